//! Permissions: what pages ask their user for, the user's answers, and what follows from them for later questions.
//!
//! A page's process only says that a page asks. The site that is named, the click that lets a question show itself, and the
//! answer are the broker's. A right belongs to a site in a workspace: what a page embeds asks in the name of the site around it.

mod question;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use regen_audit_log::AuditLog;
use regen_net_config::settings::permissions::{KeptPermission, PERMISSION_KINDS, PermissionKind, PermissionSettings};
use regen_net_config::site::Site;
use regen_net_config::text::is_invisible;
use regen_session::{HostKey, TabId};
use regen_store::Store;

use crate::message::ChildId;
use question::Question;
pub use question::QuestionView;

/// Number of dismissals after which a site's question is not shown again in this run.
const MAX_DISMISSALS: u8 = 3;
/// Maximum number of requests that wait for one answer; further ones are refused.
const MAX_WAITING: usize = 20;
/// Maximum number of open questions of one tab.
const MAX_QUESTIONS: usize = PERMISSION_KINDS.len();
/// Maximum length of a host name.
const MAX_HOST: usize = 253;
/// Notifications of a site in a minute.
const NOTICES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Maximum length of a notification's title and text, in characters.
const MAX_NOTICE: (usize, usize) = (100, 400);
/// Time for which an answer "for a day" holds.
const DAY: Duration = Duration::from_hours(24);

/// Request of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionRequest {
    /// Process of the host.
    pub child: ChildId,
    /// Tab of the page.
    pub tab: TabId,
    /// Number that the host gave it.
    pub request: u64,
    /// Host of the page.
    pub host: HostKey,
    /// Right that is wanted.
    pub kind: PermissionKind,
    /// Embedded site in whose name the page asks, as its process says; empty: the page itself.
    pub asker: String,
}

/// Facts about a page that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestContext {
    /// The user has just clicked or typed in the page.
    pub by_user: bool,
    /// The page's connections go over Tor.
    pub over_tor: bool,
    /// There is a window in which the user can answer.
    pub has_window: bool,
}

/// Answer of the user to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserAnswer {
    /// Allow this request.
    Once,
    /// Allow while the tab shows the site.
    WhileOpen,
    /// Allow for a day.
    ForDay,
    /// Allow always.
    Always,
    /// Never allow, and never ask.
    Never,
    /// Closed without an answer.
    Dismissed,
}

/// State of a right for a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionState {
    /// The user is asked.
    Ask,
    /// Granted, until this time in seconds since 1970; `None`: without an end.
    Allowed(Option<u64>),
    /// Refused without a question, until this time.
    Denied(Option<u64>),
    /// Not available in Regen yet.
    Unavailable,
}

/// Text of a page's notification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    /// Title.
    pub title: String,
    /// Text below it.
    pub body: String,
}

/// Action for the rest of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answer a host's request.
    Answer { child: ChildId, tab: TabId, request: u64, is_allowed: bool },
    /// Show a question, or show it anew.
    Ask(QuestionView),
    /// Take a question back.
    Withdraw(u64),
    /// Tell the hosts of a site what its pages may do now.
    Inform(HostKey),
    /// Have the desktop show a notification in the name of a site.
    Notify { child: ChildId, tab: TabId, notification: u64, site: String, notice: Notice },
}

/// Questions, answers and kept choices.
#[derive(Debug)]
pub struct Permissions {
    settings: PermissionSettings,
    /// Rights that hold while a tab shows a site, by tab, kind and embedded asker.
    while_open: HashMap<(TabId, PermissionKind, String), HostKey>,
    dismissals: HashMap<(HostKey, PermissionKind), u8>,
    questions: BTreeMap<u64, Question>,
    last: u64,
    /// Notifications of each site: a page must not fill the screen with them.
    notified: DefaultKeyedRateLimiter<HostKey>,
    store: Store,
    audit: AuditLog,
}

impl Permissions {
    /// Returns the component with the choices that earlier runs kept.
    #[must_use]
    pub fn new(settings: PermissionSettings, store: Store, audit: AuditLog) -> Self {
        Self {
            settings,
            while_open: HashMap::new(),
            dismissals: HashMap::new(),
            questions: BTreeMap::new(),
            last: 0,
            notified: RateLimiter::keyed(Quota::per_minute(NOTICES_PER_MINUTE)),
            store,
            audit,
        }
    }

    /// Returns the kept choices.
    #[must_use]
    pub fn settings(&self) -> &PermissionSettings {
        &self.settings
    }

    /// Returns the state of a right for a site.
    #[must_use]
    pub fn state(&self, host: &HostKey, kind: PermissionKind) -> PermissionState {
        if !kind.is_available() {
            return PermissionState::Unavailable;
        }
        match self.settings.of(host, kind, now_s()) {
            Some(KeptPermission { is_allowed: true, until_s }) => PermissionState::Allowed(until_s),
            Some(KeptPermission { is_allowed: false, until_s }) => PermissionState::Denied(until_s),
            None => PermissionState::Ask,
        }
    }

    /// Returns the state of every right for a site.
    #[must_use]
    pub fn states(&self, host: &HostKey) -> Vec<(PermissionKind, PermissionState)> {
        PERMISSION_KINDS.into_iter().map(|kind| (kind, self.state(host, kind))).collect()
    }

    /// Takes a page's request.
    pub fn asked(&mut self, request: PermissionRequest, context: RequestContext) -> Vec<Action> {
        let PermissionRequest { child, tab, request: number, host, kind, asker } = request;
        let asker = known_asker(kind, &asker);
        let answer = |is_allowed| vec![Action::Answer { child, tab, request: number, is_allowed }];
        if let Some(is_allowed) = self.decided(&host, tab, kind, &asker, context) {
            return answer(is_allowed);
        }
        let open = self.questions.values_mut().find(|question| question.is_about(tab, kind, &asker));
        if let Some(question) = open {
            if question.waiting.len() >= MAX_WAITING {
                return answer(false);
            }
            question.waiting.push((child, number));
            // A click after a question that nobody saw makes it one that is seen.
            if question.is_quiet && context.by_user {
                question.is_quiet = false;
                return vec![Action::Ask(question.view())];
            }
            return Vec::new();
        }
        if self.questions.values().filter(|question| question.tab == tab).count() >= MAX_QUESTIONS {
            return answer(false);
        }
        self.last += 1;
        let waiting = vec![(child, number)];
        let question = Question { number: self.last, host, tab, kind, asker, waiting, is_quiet: !context.by_user };
        let view = question.view();
        self.questions.insert(self.last, question);
        vec![Action::Ask(view)]
    }

    /// Returns the answer that needs no question.
    fn decided(
        &self,
        host: &HostKey,
        tab: TabId,
        kind: PermissionKind,
        asker: &str,
        context: RequestContext,
    ) -> Option<bool> {
        if context.over_tor && kind.identifies() {
            return Some(false);
        }
        match self.state(host, kind) {
            PermissionState::Allowed(_) => return Some(true),
            PermissionState::Denied(_) | PermissionState::Unavailable => return Some(false),
            PermissionState::Ask => {}
        }
        if self.while_open.get(&(tab, kind, asker.to_owned())) == Some(host) {
            return Some(true);
        }
        // A notification leaves its text with the desktop, which may keep it.
        let leaves_traces = kind == PermissionKind::Notifications && host.is_throw_away();
        let is_silenced = self.dismissals.get(&(host.clone(), kind)).is_some_and(|count| *count >= MAX_DISMISSALS);
        (leaves_traces || is_silenced || !context.has_window).then_some(false)
    }

    /// Takes a page's notification. One that is not allowed, or is one of too many, is not shown.
    pub fn notifies(
        &mut self,
        child: ChildId,
        tab: TabId,
        host: &HostKey,
        notification: u64,
        notice: Notice,
    ) -> Option<Action> {
        let kind = PermissionKind::Notifications;
        let is_kept = matches!(self.state(host, kind), PermissionState::Allowed(_));
        let is_allowed = is_kept || self.while_open.get(&(tab, kind, String::new())) == Some(host);
        if !is_allowed || host.is_throw_away() || self.notified.check_key(host).is_err() {
            return None;
        }
        self.notified.retain_recent();
        // One line, in its own direction: below it the page could name another site.
        let text = |text: &str, limit| {
            let spaced = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
            spaced.filter(|letter| !is_invisible(*letter)).take(limit).collect::<String>()
        };
        let notice = Notice { title: text(&notice.title, MAX_NOTICE.0), body: text(&notice.body, MAX_NOTICE.1) };
        let site = host.site.host().to_owned();
        Some(Action::Notify { child, tab, notification, site, notice })
    }

    /// Takes the user's answer. One to a question that is no longer open changes nothing.
    pub fn answered(&mut self, number: u64, answer: UserAnswer) -> Vec<Action> {
        let Some(question) = self.questions.remove(&number) else { return Vec::new() };
        let Question { host, tab, kind, .. } = &question;
        let kept = |is_allowed, until_s| Some(KeptPermission { is_allowed, until_s });
        let chosen = match answer {
            // One notification is of no use without the right to show it.
            UserAnswer::Once if *kind != PermissionKind::Notifications => None,
            UserAnswer::Once | UserAnswer::WhileOpen => {
                self.while_open.insert((*tab, *kind, question.asker.clone()), host.clone());
                None
            }
            UserAnswer::ForDay => kept(true, Some(now_s() + DAY.as_secs())),
            UserAnswer::Always => kept(true, None),
            UserAnswer::Never => kept(false, None),
            UserAnswer::Dismissed => {
                *self.dismissals.entry((host.clone(), *kind)).or_default() += 1;
                None
            }
        };
        let is_allowed = !matches!(answer, UserAnswer::Never | UserAnswer::Dismissed);
        self.record(host, *kind, if is_allowed { "allowed" } else { "refused" });
        let mut actions = question.answers(is_allowed);
        actions.push(Action::Withdraw(number));
        if chosen.is_some() {
            actions.extend(self.choose(&question.host.clone(), question.kind, chosen));
        }
        actions
    }

    /// Keeps the user's choice for a site; `None`: ask again.
    pub fn choose(&mut self, host: &HostKey, kind: PermissionKind, kept: Option<KeptPermission>) -> Vec<Action> {
        self.dismissals.remove(&(host.clone(), kind));
        if kept.is_none_or(|kept| !kept.is_allowed) {
            self.while_open.retain(|(_, its, _), holder| *its != kind || holder != host);
        }
        if self.settings.choose(host, kind, kept) {
            self.store.put_permissions(&self.settings);
        }
        let mut actions = self.settle(host, kind);
        actions.push(Action::Inform(host.clone()));
        actions
    }

    /// Records a choice that was made without a question.
    pub fn record_choice(&self, host: &HostKey, kind: PermissionKind, kept: Option<KeptPermission>) {
        self.record(host, kind, kept.map_or("reset", |kept| if kept.is_allowed { "allowed" } else { "refused" }));
    }

    fn record(&self, host: &HostKey, kind: PermissionKind, what: &str) {
        let entry = serde_json::json!({ "site": host.recorded_site(), "permission": kind.to_string(), "what": what });
        self.audit.record("permission", entry);
    }

    /// Answers open questions that a choice has answered.
    fn settle(&mut self, host: &HostKey, kind: PermissionKind) -> Vec<Action> {
        let is_allowed = match self.state(host, kind) {
            PermissionState::Allowed(_) => true,
            PermissionState::Denied(_) | PermissionState::Unavailable => false,
            PermissionState::Ask => return Vec::new(),
        };
        self.take(|question| question.host == *host && question.kind == kind, Some(is_allowed))
    }

    /// Forgets everything of a site whose data is cleared.
    pub fn forget_site(&mut self, host: &HostKey) -> Vec<Action> {
        self.dismissals.retain(|(its, _), _| its != host);
        self.while_open.retain(|_, holder| holder != host);
        if self.settings.forget_site(host) {
            self.store.put_permissions(&self.settings);
        }
        self.take(|question| question.host == *host, Some(false))
    }

    /// Forgets everything of a workspace that is gone.
    pub fn forget_workspace(&mut self, workspace: &str) -> Vec<Action> {
        self.dismissals.retain(|(its, _), _| its.workspace != workspace);
        self.while_open.retain(|_, holder| holder.workspace != workspace);
        if self.settings.forget_workspace(workspace) {
            self.store.put_permissions(&self.settings);
        }
        self.take(|question| question.host.workspace == workspace, None)
    }

    /// Takes the questions of a page back whose tab shows another page.
    pub fn page_left(&mut self, tab: TabId, now_shown: Option<&HostKey>) -> Vec<Action> {
        self.forget_while_open(tab, now_shown);
        self.take(|question| question.tab == tab, Some(false))
    }

    /// Takes the questions of a tab back that are of another site than it shows now. A tab that is only no longer in front keeps
    /// its own.
    pub fn tab_shows(&mut self, tab: TabId, now_shown: Option<&HostKey>) -> Vec<Action> {
        self.forget_while_open(tab, now_shown);
        self.take(|question| question.tab == tab && Some(&question.host) != now_shown, Some(false))
    }

    /// Ends what was allowed while the tab shows a site, if it shows another one.
    fn forget_while_open(&mut self, tab: TabId, now_shown: Option<&HostKey>) {
        self.while_open.retain(|(its, _, _), holder| *its != tab || Some(&*holder) == now_shown);
    }

    /// Takes the questions of a process back that is gone.
    pub fn child_gone(&mut self, child: ChildId) -> Vec<Action> {
        for question in self.questions.values_mut() {
            question.waiting.retain(|(its, _)| *its != child);
        }
        self.take(|question| question.waiting.is_empty(), None)
    }

    /// Refuses what waits, because the window is gone: nobody sees the questions.
    pub fn window_gone(&mut self) -> Vec<Action> {
        let mut actions = self.take(|_| true, Some(false));
        actions.retain(|action| matches!(action, Action::Answer { .. }));
        actions
    }

    /// Returns the open questions, for a new window.
    pub fn shown(&self) -> impl Iterator<Item = QuestionView> {
        self.questions.values().map(Question::view)
    }

    /// Removes questions, and answers them where there is an answer.
    fn take(&mut self, is_meant: impl Fn(&Question) -> bool, is_allowed: Option<bool>) -> Vec<Action> {
        let taken: Vec<Question> =
            self.questions.extract_if(.., |_, question| is_meant(question)).map(|(_, question)| question).collect();
        let mut actions = Vec::new();
        for question in taken {
            actions.extend(is_allowed.into_iter().flat_map(|is_allowed| question.answers(is_allowed)));
            actions.push(Action::Withdraw(question.number));
        }
        actions
    }
}

/// Returns the embedded site that asks, if it can be one: only storage is asked for in the name of an embedded site.
fn known_asker(kind: PermissionKind, said: &str) -> String {
    let is_host = |said: &str| {
        said.len() <= MAX_HOST && Site::of(&format!("https://{said}/")).is_ok_and(|site| !site.host().is_empty())
    };
    Some(said).filter(|said| kind == PermissionKind::StorageAccess && is_host(said)).unwrap_or_default().to_owned()
}

/// Returns the time in seconds since 1970.
#[must_use]
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
