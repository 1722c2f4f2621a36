//! Dialogs of pages, at most one per tab. The text comes from the page and is shown as such.

use regen_proto::kernel::v1::{Dialog as WireDialog, DialogKind as WireKind};

/// Kinds of questions that a page, or the engine for it, can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogKind {
    /// `alert()`.
    Alert,
    /// `confirm()`.
    Confirm,
    /// `prompt()`.
    Prompt,
    /// The page objects to being left.
    Leave,
    /// A server wants a name and a password.
    SignIn,
}

impl DialogKind {
    /// Returns the kind's name in the control API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Confirm => "confirm",
            Self::Prompt => "prompt",
            Self::Leave => "leave",
            Self::SignIn => "sign-in",
        }
    }
}

/// Dialog whose answer a page waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// Number that the host gave it. An answer with another number is ignored.
    pub number: u64,
    /// Kind of dialog.
    pub kind: DialogKind,
    /// Text of the page; for a sign-in, the server's realm.
    pub text: String,
    /// Initial text of a prompt's field.
    pub preset: String,
    /// Host and port that ask for a sign-in.
    pub server: String,
    /// Set if the page has shown a dialog before, or the server has refused an answer.
    pub again: bool,
}

impl Dialog {
    /// Converts a host's message. Returns `None` if there is no dialog any more.
    #[must_use]
    pub fn from_host(said: WireDialog) -> Option<Self> {
        let kind = match said.kind() {
            WireKind::Alert => DialogKind::Alert,
            WireKind::Confirm => DialogKind::Confirm,
            WireKind::Prompt => DialogKind::Prompt,
            WireKind::Leave => DialogKind::Leave,
            WireKind::SignIn => DialogKind::SignIn,
            WireKind::Unspecified => return None,
        };
        let WireDialog { dialog, text, preset, server, again, .. } = said;
        (dialog != 0).then_some(Self { number: dialog, kind, text, preset, server, again })
    }

    /// Returns the message for the window.
    #[must_use]
    pub fn to_wire(&self) -> WireDialog {
        let kind = match self.kind {
            DialogKind::Alert => WireKind::Alert,
            DialogKind::Confirm => WireKind::Confirm,
            DialogKind::Prompt => WireKind::Prompt,
            DialogKind::Leave => WireKind::Leave,
            DialogKind::SignIn => WireKind::SignIn,
        };
        let Self { number, text, preset, server, again, .. } = self.clone();
        WireDialog { dialog: number, kind: kind.into(), text, preset, server, again }
    }
}

impl std::fmt::Display for Dialog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            DialogKind::Leave => write!(f, "leave (the page asks not to be left)"),
            DialogKind::SignIn => {
                write!(f, "sign-in ({} wants a name and a password for “{}”)", self.server, self.text)
            }
            DialogKind::Alert | DialogKind::Confirm | DialogKind::Prompt => {
                write!(f, "{} “{}”", self.kind.name(), shorten(&self.text))
            }
        }
    }
}

fn shorten(text: &str) -> String {
    const MAX_TEXT: usize = 200;
    if text.chars().count() <= MAX_TEXT {
        return text.to_owned();
    }
    text.chars().take(MAX_TEXT).chain(['…']).collect()
}
