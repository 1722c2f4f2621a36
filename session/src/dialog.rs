//! Dialogs of pages, at most one per tab. The text comes from the page and is shown as such.

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

/// Answer of the user to a dialog.
#[derive(Clone, PartialEq, Eq)]
pub struct DialogAnswer {
    /// Number of the dialog.
    pub number: u64,
    /// The user agrees.
    pub accept: bool,
    /// For a prompt, its text; for a sign-in, the name.
    pub text: String,
    /// For a sign-in, the password.
    pub password: String,
    /// The page may show no more dialogs.
    pub stop: bool,
}

impl std::fmt::Debug for DialogAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialogAnswer")
            .field("number", &self.number)
            .field("accept", &self.accept)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
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
