//! Dialogs of pages: at most one of a tab, as its host says. Nothing here trusts the words; they are shown as the page's.

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
    /// The name in the control API.
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

/// Question that a page waits with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// Number that the host gave it. An answer to another number is ignored.
    pub number: u64,
    /// Kind of question.
    pub kind: DialogKind,
    /// The page's words; of a sign-in, the server's name for what it protects.
    pub text: String,
    /// Of a prompt: what its field holds at first.
    pub preset: String,
    /// Of a sign-in: host and port that ask.
    pub server: String,
    /// The page has shown another before, or the server has refused an answer.
    pub again: bool,
}

impl Dialog {
    /// Takes what a host says. `None`: there is no dialog any more.
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

    /// As the window is told of it.
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
