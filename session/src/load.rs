//! A navigation: its address, its request and its initiator.

use std::fmt;

use bytes::Bytes;

/// A navigation, with its initiator and request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// Address to load.
    pub url: String,
    /// Request method.
    pub method: Method,
    /// Referrer, as the initiator's policy allows.
    pub referrer: Option<String>,
    /// Origin of the page that began it; `None` for the user.
    pub initiator: Option<Origin>,
    /// Set if a click or a key of the user caused it.
    pub user_gesture: bool,
    /// Set if a server redirected it: a form then has an opaque origin.
    pub redirected: bool,
    /// Set if a server redirected a load that the session gave to the reporting host.
    pub continues: bool,
}

/// Method of a navigation's request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `POST`, with the form; `None` if the form is too large or cannot be read.
    Post(Option<Form>),
    /// A method that a page used and that no navigation may have.
    Other(String),
}

/// Content of a form, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Body of the request.
    pub body: Bytes,
    /// Media type of the body.
    pub content_type: String,
}

/// Origin of a page, such as `https://www.example.org`, as its host states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Wraps the text of an origin. `None` for an empty one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(Self(text))
    }

    /// Returns the text of the origin.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Load {
    /// Returns a load of an address that the user caused.
    #[must_use]
    pub fn by_user(url: impl Into<String>) -> Self {
        Self { url: url.into(), user_gesture: true, ..Self::default() }
    }

    /// Returns whether it sends a form.
    #[must_use]
    pub fn is_post(&self) -> bool {
        matches!(self.method, Method::Post(_))
    }
}
