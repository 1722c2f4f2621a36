//! Actions of the permissions component, carried out with the components that they concern.

use std::sync::Arc;

use regen_desktop::notification::{self, Ended};
use regen_session::HostKey;

use crate::broker::Broker;
use crate::codec::permission_messages as codec;
use crate::permissions::Action;
use crate::window;

/// The broker, as the permissions component directs it.
pub(crate) struct PermissionActions<'a> {
    broker: &'a mut Broker,
}

impl<'a> PermissionActions<'a> {
    pub(crate) fn new(broker: &'a mut Broker) -> Self {
        Self { broker }
    }

    /// Carries out what the permissions component wants.
    pub(crate) fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Answer { child, tab, request, is_allowed } => {
                    self.broker.send(codec::answer(child, tab, request, is_allowed));
                }
                Action::Ask(view) => self.broker.tell_window(|window| codec::question(window, view)),
                Action::Withdraw(number) => self.broker.tell_window(|window| codec::withdrawn(window, number)),
                Action::Inform(host) => self.inform(&host),
                Action::Notify { child, tab, notification: number, site, notice } => {
                    // Some desktops keep notifications until somebody closes them.
                    let Ok(room) = Arc::clone(&self.broker.notifications).try_acquire_owned() else { continue };
                    let events = self.broker.window_events.clone();
                    tokio::spawn(async move {
                        let _room = room;
                        let event = match notification::show(&site, &notice.title, &notice.body).await {
                            Ok(Ended::Closed) => return,
                            Ok(Ended::Clicked) => window::Event::NotificationClicked { child, tab, number },
                            Err(error) => {
                                tracing::warn!("{error}");
                                return;
                            }
                        };
                        // The event loop may have ended meanwhile.
                        let _ = events.send(event).await;
                    });
                }
            }
        }
    }

    /// Tells the host of a site, where one runs, what its pages may do.
    fn inform(&mut self, host: &HostKey) {
        if let Some(child) = self.broker.lookup().of_host(host) {
            let told = codec::inform(child, &self.broker.permissions, host);
            self.broker.send(told);
        }
    }
}
