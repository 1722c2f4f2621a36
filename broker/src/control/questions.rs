//! Questions to pages that have not been answered yet. Only the child that was asked may answer.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use regen_proto::kernel::v1::{Query, QueryKind, Reply};
use regen_proto::page::v1::{ToPage, to_page};
use tokio::sync::oneshot;

use crate::answer::CommandError;
use crate::children::ChildId;
use crate::session::{Dialog, DialogKind, TabId};

/// Time that pages have to object to the end of the browser.
const OBJECTION_TIMEOUT: Duration = Duration::from_millis(800);

/// Answer of a page, some time. An error means that the page ended before it answered.
pub type PageAnswer = oneshot::Receiver<(Reply, Vec<OwnedFd>)>;

#[derive(Debug)]
struct PageQuestion {
    child: ChildId,
    tab: TabId,
    kind: QueryKind,
    answer: oneshot::Sender<(Reply, Vec<OwnedFd>)>,
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
    pub fn ask(&mut self, child: ChildId, tab: TabId, kind: QueryKind, events: u32) -> (Query, PageAnswer) {
        self.last += 1;
        let (answer, waiting) = oneshot::channel();
        self.open.insert(self.last, PageQuestion { child, tab, kind, answer });
        (Query { request: self.last, kind: kind.into(), events }, waiting)
    }

    /// Takes a child's reply. A reply to nothing, or to a question to another child, changes nothing.
    pub fn replied(&mut self, child: ChildId, reply: Reply, descriptors: Vec<OwnedFd>) {
        if self.open.get(&reply.request).is_some_and(|question| question.child == child)
            && let Some(question) = self.open.remove(&reply.request)
        {
            // The caller may have stopped waiting.
            let _ = question.answer.send((reply, descriptors));
        }
    }

    /// Answers for a page that shows a dialog: until that is answered, the page's script answers nothing.
    pub fn page_waits(&mut self, tab: TabId, dialog: &Dialog) {
        let is_stuck = |question: &PageQuestion| question.tab == tab && question.kind != QueryKind::Screenshot;
        for (request, question) in self.open.extract_if(|_, question| is_stuck(question)) {
            let has_arrived = question.kind == QueryKind::Settled;
            let error = if has_arrived { String::new() } else { shows_dialog(tab, dialog).to_string() };
            // The caller may have stopped waiting.
            let _ = question.answer.send((Reply { request, error, ..Reply::default() }, Vec::new()));
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

/// Returns the number of input events that a page gets for one message.
#[must_use]
pub fn weight(event: &ToPage) -> u32 {
    match &event.body {
        Some(to_page::Body::TypeText(text)) => u32::try_from(text.text.chars().count() * 2).unwrap_or(u32::MAX),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_child_that_was_asked_answers() {
        let mut questions = PageQuestions::default();
        let (query, mut answer) = questions.ask(3, 1, QueryKind::Text, 0);
        let reply = || Reply { request: query.request, text: "said".into(), ..Reply::default() };
        questions.replied(4, reply(), Vec::new());
        assert!(answer.try_recv().is_err(), "another child");
        questions.replied(3, Reply { request: query.request + 1, ..reply() }, Vec::new());
        assert!(answer.try_recv().is_err(), "another question");
        questions.replied(3, reply(), Vec::new());
        assert_eq!(answer.try_recv().unwrap().0.text, "said");
        questions.replied(3, reply(), Vec::new());
        let (_, mut lost) = questions.ask(3, 1, QueryKind::Text, 0);
        questions.child_gone(3);
        assert_eq!(lost.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
    }

    #[test]
    fn a_page_that_shows_a_dialog_answers_in_words_but_for_its_picture() {
        let mut questions = PageQuestions::default();
        let dialog = Dialog::from_host(regen_proto::kernel::v1::Dialog {
            dialog: 1,
            kind: regen_proto::kernel::v1::DialogKind::Alert.into(),
            text: "hello".into(),
            ..Default::default()
        })
        .unwrap();
        let (_, mut text) = questions.ask(3, 1, QueryKind::Text, 0);
        let (_, mut picture) = questions.ask(3, 1, QueryKind::Screenshot, 0);
        let (_, mut settled) = questions.ask(3, 1, QueryKind::Settled, 2);
        let (_, mut other) = questions.ask(3, 2, QueryKind::Text, 0);
        questions.page_waits(1, &dialog);
        assert!(text.try_recv().unwrap().0.error.contains("regen tab dialog 1"));
        assert_eq!(settled.try_recv().unwrap().0.error, "", "its input has arrived");
        assert!(picture.try_recv().is_err() && other.try_recv().is_err());
    }
}
