//! Questions to pages that have not been answered yet. Only the child that was asked may answer.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use regen_proto::page::v1::{ToPage, to_page};
use regen_session::{Dialog, DialogKind, TabId};
use tokio::sync::oneshot;

use crate::answer::CommandError;
use crate::message::ChildId;

/// Time that pages have to object to the end of the browser.
const OBJECTION_TIMEOUT: Duration = Duration::from_millis(800);

/// Question to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageQuery {
    /// Text of the page.
    Text,
    /// Picture of the page.
    Screenshot,
    /// Answered after a snapshot of the current state.
    Saved,
    /// Objection of the page to being left: “true” as text where it has one.
    Objects,
    /// Certificate and cookies of the page, as JSON.
    Connection,
    /// Answered when all earlier input has reached it.
    Settled,
}

/// Question on its way to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Number that the answer names.
    pub request: u64,
    /// The question.
    pub query: PageQuery,
    /// Pieces of input that the page must have taken before it answers.
    pub events: u32,
}

/// Reply of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageReply {
    /// Number of the question.
    pub request: u64,
    /// Reason of a failure; empty: success.
    pub error: String,
    /// Answer, where it is a text that fits into a message.
    pub text: String,
    /// Bytes of the answer in a descriptor; 0: there is none.
    pub payload_size: u64,
    /// Width of a picture, in pixels.
    pub width: u32,
    /// Height of a picture, in pixels.
    pub height: u32,
}

/// A piece of input for a page, as the control API has it.
#[derive(Debug, Clone)]
pub struct Input(ToPage);

impl Input {
    /// Wraps a message of the control API.
    #[must_use]
    pub fn new(message: ToPage) -> Self {
        Self(message)
    }

    /// Returns the number of input events that the page gets for it.
    #[must_use]
    pub fn weight(&self) -> u32 {
        match &self.0.body {
            Some(to_page::Body::TypeText(text)) => u32::try_from(text.text.chars().count() * 2).unwrap_or(u32::MAX),
            _ => 1,
        }
    }

    /// Returns the message for the page's host.
    #[must_use]
    pub fn into_message(self) -> ToPage {
        self.0
    }
}

/// Answer of a page, some time. An error means that the page ended before it answered.
pub type PageAnswer = oneshot::Receiver<(PageReply, Vec<OwnedFd>)>;

#[derive(Debug)]
struct PageQuestion {
    child: ChildId,
    tab: TabId,
    kind: PageQuery,
    answer: oneshot::Sender<(PageReply, Vec<OwnedFd>)>,
}

/// All open questions, by number.
#[derive(Debug, Default)]
pub struct PageQuestions {
    last: u64,
    open: HashMap<u64, PageQuestion>,
}

impl PageQuestions {
    /// Opens a question to the page of a tab. Returns the query for the child, and the answer. `events`: pieces of input that
    /// the page must have taken before it answers.
    pub fn ask(&mut self, child: ChildId, tab: TabId, kind: PageQuery, events: u32) -> (Question, PageAnswer) {
        self.last += 1;
        let (answer, waiting) = oneshot::channel();
        self.open.insert(self.last, PageQuestion { child, tab, kind, answer });
        (Question { request: self.last, query: kind, events }, waiting)
    }

    /// Takes a child's reply. A reply to nothing, or to a question to another child, changes nothing.
    pub fn replied(&mut self, child: ChildId, reply: PageReply, descriptors: Vec<OwnedFd>) {
        if self.open.get(&reply.request).is_some_and(|question| question.child == child)
            && let Some(question) = self.open.remove(&reply.request)
        {
            // The caller may have stopped waiting.
            let _ = question.answer.send((reply, descriptors));
        }
    }

    /// Answers for a page that shows a dialog: until that is answered, the page's script answers nothing.
    pub fn page_waits(&mut self, tab: TabId, dialog: &Dialog) {
        let is_stuck = |question: &PageQuestion| question.tab == tab && question.kind != PageQuery::Screenshot;
        for (request, question) in self.open.extract_if(|_, question| is_stuck(question)) {
            let has_arrived = question.kind == PageQuery::Settled;
            let error = if has_arrived { String::new() } else { shows_dialog(tab, dialog).to_string() };
            // The caller may have stopped waiting.
            let _ = question.answer.send((PageReply { request, error, ..PageReply::default() }, Vec::new()));
        }
    }

    /// Drops the questions to a child that is gone.
    pub fn child_gone(&mut self, child: ChildId) {
        self.open.retain(|_, question| question.child != child);
    }
}

/// Counts the pages that object to the end of the browser. Silence is no objection.
pub async fn count_objections(asked: Vec<PageAnswer>) -> usize {
    let deadline = tokio::time::Instant::now() + OBJECTION_TIMEOUT;
    let mut objecting = 0;
    for answer in asked {
        let answer = tokio::time::timeout_at(deadline, answer).await;
        objecting += usize::from(answer.is_ok_and(|said| said.is_ok_and(|(reply, _)| reply.text == "true")));
    }
    objecting
}

/// Returns the error for a page that waits with a dialog.
#[must_use]
pub fn shows_dialog(tab: TabId, dialog: &Dialog) -> CommandError {
    let how = match dialog.kind {
        DialogKind::SignIn => format!("authenticate {tab} --user NAME"),
        DialogKind::Alert | DialogKind::Confirm | DialogKind::Prompt | DialogKind::Leave => {
            format!("dialog {tab} --accept|--dismiss")
        }
    };
    CommandError::Dialog(tab, dialog.to_string(), how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_child_that_was_asked_answers() {
        let mut questions = PageQuestions::default();
        let (query, mut answer) = questions.ask(3, 1, PageQuery::Text, 0);
        let reply = || PageReply { request: query.request, text: "said".into(), ..PageReply::default() };
        questions.replied(4, reply(), Vec::new());
        assert!(answer.try_recv().is_err(), "another child");
        questions.replied(3, PageReply { request: query.request + 1, ..reply() }, Vec::new());
        assert!(answer.try_recv().is_err(), "another question");
        questions.replied(3, reply(), Vec::new());
        assert_eq!(answer.try_recv().unwrap().0.text, "said");
        questions.replied(3, reply(), Vec::new());
        let (_, mut lost) = questions.ask(3, 1, PageQuery::Text, 0);
        questions.child_gone(3);
        assert_eq!(lost.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
    }

    #[test]
    fn a_page_that_shows_a_dialog_answers_in_words_but_for_its_picture() {
        let mut questions = PageQuestions::default();
        let text = "hello".to_owned();
        let (preset, server) = (String::new(), String::new());
        let dialog = Dialog { number: 1, kind: DialogKind::Alert, text, preset, server, again: false };
        let (_, mut text) = questions.ask(3, 1, PageQuery::Text, 0);
        let (_, mut picture) = questions.ask(3, 1, PageQuery::Screenshot, 0);
        let (_, mut settled) = questions.ask(3, 1, PageQuery::Settled, 2);
        let (_, mut other) = questions.ask(3, 2, PageQuery::Text, 0);
        questions.page_waits(1, &dialog);
        assert!(text.try_recv().unwrap().0.error.contains("regen tab dialog 1"));
        assert_eq!(settled.try_recv().unwrap().0.error, "", "its input has arrived");
        assert!(picture.try_recv().is_err() && other.try_recv().is_err());
    }
}
