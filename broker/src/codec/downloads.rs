//! Downloads: the window's and the control API's messages.

use regen_proto::downloads::v1::{Download as Listed, DownloadAction, DownloadOrder};
use regen_proto::kernel::v1::{Download, DownloadState};

use crate::window::downloads::{DownloadView, Order, Progress};

/// Returns an order; `None` for one that orders nothing.
#[must_use]
pub fn order(order: DownloadOrder) -> Option<Order> {
    let id = order.download;
    Some(match order.action() {
        DownloadAction::Cancel => Order::Cancel(id),
        DownloadAction::Pause => Order::Pause(id),
        DownloadAction::Resume => Order::Resume(id),
        DownloadAction::Forget => Order::Forget(id),
        DownloadAction::ForgetEnded => Order::ForgetEnded,
        DownloadAction::ShowFolder => Order::ShowFolder(id),
        DownloadAction::Unspecified => return None,
    })
}

/// Returns a download as the window shows it.
#[must_use]
pub fn shown(shown: DownloadView) -> Download {
    let state = match shown.progress {
        Progress::Queued => DownloadState::Queued,
        Progress::Running => DownloadState::Running,
        Progress::Paused => DownloadState::Paused,
        Progress::Interrupted => DownloadState::Interrupted,
        Progress::Done => DownloadState::Done,
        Progress::Failed => DownloadState::Failed,
        Progress::Cancelled => DownloadState::Cancelled,
    };
    Download {
        download: shown.id,
        url: shown.url,
        suggested_name: shown.name,
        received: shown.received,
        total: shown.total,
        state: state.into(),
        error: shown.error,
        can_go_on: shown.can_resume,
        ended_at: shown.ended_at,
        ..Download::default()
    }
}

/// Returns a download as the control API lists it.
#[must_use]
pub fn listed(shown: DownloadView) -> Listed {
    let state = match shown.progress {
        Progress::Queued => "queued",
        Progress::Running => "running",
        Progress::Paused => "paused",
        Progress::Interrupted => "interrupted",
        Progress::Done => "done",
        Progress::Failed => "failed",
        Progress::Cancelled => "cancelled",
    };
    Listed {
        download: shown.id,
        url: shown.url,
        path: shown.path.to_string_lossy().into_owned(),
        received: shown.received,
        total: shown.total,
        state: state.to_owned(),
        error: shown.error,
        can_resume: shown.can_resume,
        ended_at: shown.ended_at,
    }
}
