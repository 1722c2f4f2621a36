//! Translates the chrome's messages into window actions and commands to the broker.

use std::rc::Rc;

use regen_proto::downloads::v1::{DownloadAction, DownloadOrder};
use regen_proto::kernel::v1::user_command::Body as Command;
use regen_proto::kernel::v1::{
    AnswerDialog, AnswerDownloads, AnswerSession, AnswerVpn, BookmarksQuery, Complete, DialogAnswer, Empty, Find,
    FindAnything, FindInTab, History, MoveTab, MuteTab, Navigate, OpenTab, PageArea, PageTool, PinTab, ReloadTab,
    SettingsQuery, ShieldsLevel, SiteLevel, SiteQuery, SiteRule, UseTool, UseToolInTab, VisitsQuery, ZoomTab,
};
use regen_proto::places::v1::bookmarks_request::Action;
use regen_proto::places::v1::{
    Bookmark, BookmarkEdit, BookmarkFilter, BookmarkTags, BookmarksRequest, VisitAction, VisitFilter, VisitsRequest,
};
use regen_proto::settings::v1::{SettingChange, SettingFilter, SettingsRequest, settings_request};

use crate::bridge::permissions;
use crate::bridge::{ChromeBookmarkAction, ChromeDownloadAction, ChromeSettingAction, ChromeVisitAction, FromChrome};
use crate::window::Window;

impl Window {
    pub(crate) fn from_chrome(self: &Rc<Self>, message: FromChrome) {
        match message {
            FromChrome::Ready => {
                self.chrome_ready.set(true);
                self.flush();
            }
            FromChrome::Layout { page, covers, shown } => self.lay_out(page, &covers, &shown),
            FromChrome::FocusPage => self.focus_page(true),
            FromChrome::FocusChrome => self.focus_page(false),
            FromChrome::KeepKeyboard { tab, in_bars } => self.keep_keyboard(tab, in_bars),
            FromChrome::OpenTab { input, background } => self.command(Command::OpenTab(OpenTab { input, background })),
            FromChrome::CloseTab { tab } => self.command(Command::CloseTab(tab)),
            FromChrome::ActivateTab { tab } => self.command(Command::ActivateTab(tab)),
            FromChrome::MoveTab { tab, index } => self.command(Command::MoveTab(MoveTab { tab, index })),
            FromChrome::DuplicateTab { tab } => self.command(Command::DuplicateTab(tab)),
            FromChrome::PinTab { tab, pinned } => self.command(Command::Pin(PinTab { tab, pinned })),
            FromChrome::MuteTab { tab, muted } => self.command(Command::Mute(MuteTab { tab, muted })),
            FromChrome::Navigate { tab, input } => self.command(Command::Navigate(Navigate { tab, input })),
            FromChrome::History { tab, delta } => self.command(Command::History(History { tab, delta })),
            FromChrome::Reload { tab, bypass_cache } => {
                self.command(Command::Reload(ReloadTab { tab, bypass_cache }));
            }
            FromChrome::Stop { tab } => self.command(Command::Stop(tab)),
            FromChrome::StopScript { tab } => self.command(Command::StopScript(tab)),
            FromChrome::AllowInsecure { tab } => self.command(Command::AllowInsecure(tab)),
            FromChrome::AllowPrivate { tab } => self.command(Command::AllowPrivate(tab)),
            FromChrome::Zoom { tab, zoom } => self.command(Command::Zoom(ZoomTab { tab, zoom, steps: 0 })),
            FromChrome::Find { tab, text, forward, next } => {
                self.command(Command::Find(FindInTab { tab, find: Some(Find { text, forward, next }) }));
            }
            FromChrome::AnswerSession { session, restore, tabs } => {
                self.command(Command::AnswerSession(AnswerSession { session, restore, tabs }));
            }
            FromChrome::AnswerVpn { name, allow } => self.command(Command::AnswerVpn(AnswerVpn { name, allow })),
            FromChrome::AnswerDownloads { site, workspace, allow } => {
                self.command(Command::AnswerDownloads(AnswerDownloads { site, workspace, allow }));
            }
            FromChrome::AnswerDialog { tab, dialog, accept, text, password, stop } => {
                let answer = Some(DialogAnswer { dialog, accept, text, password, stop });
                self.command(Command::AnswerDialog(AnswerDialog { tab, answer }));
            }
            FromChrome::OpenOutside { url } => self.command(Command::OpenOutside(url)),
            FromChrome::OfferSession => self.command(Command::OfferSession(Empty {})),
            FromChrome::Screenshot { tab, x, y, width, height } => {
                let area = Some(PageArea { x, y, width, height });
                let used = UseTool { tool: PageTool::Picture.into(), area };
                self.command(Command::UseTool(UseToolInTab { tab, r#use: Some(used) }));
            }
            FromChrome::Download { action, download } => {
                let action = match action {
                    ChromeDownloadAction::Cancel => DownloadAction::Cancel,
                    ChromeDownloadAction::Pause => DownloadAction::Pause,
                    ChromeDownloadAction::Resume => DownloadAction::Resume,
                    ChromeDownloadAction::Forget => DownloadAction::Forget,
                    ChromeDownloadAction::ForgetEnded => DownloadAction::ForgetEnded,
                    ChromeDownloadAction::ShowFolder => DownloadAction::ShowFolder,
                };
                self.command(Command::DownloadOrder(DownloadOrder { action: action.into(), download }));
            }
            FromChrome::Visits { request, action, words, domain, since, until, visits, after } => {
                let action = match action {
                    ChromeVisitAction::List => VisitAction::List,
                    ChromeVisitAction::Delete => VisitAction::Delete,
                    ChromeVisitAction::Undo => VisitAction::Undo,
                };
                let filter = VisitFilter { words, domain, since, until, visits, ..VisitFilter::default() };
                let query = VisitsRequest { action: action.into(), filter: Some(filter), after, limit: 0 };
                self.command(Command::Visits(VisitsQuery { request, query: Some(query) }));
            }
            FromChrome::Bookmarks { request, action } => {
                let query = Some(bookmarks_request(action));
                self.command(Command::Bookmarks(BookmarksQuery { request, query }));
            }
            FromChrome::Complete { request, typed } => self.command(Command::Complete(Complete { request, typed })),
            FromChrome::Settings { request, action } => {
                let query = Some(SettingsRequest { action: Some(setting_action(action)) });
                self.command(Command::Settings(SettingsQuery { request, query }));
            }
            FromChrome::FindAnything { request, typed } => {
                self.command(Command::FindAnything(FindAnything { request, typed }));
            }
            FromChrome::Site { request, tab } => self.command(Command::Site(SiteQuery { request, tab })),
            FromChrome::ClearSite { tab } => self.command(Command::ClearSite(tab)),
            FromChrome::SiteLevel { tab, level } => {
                self.command(Command::SiteLevel(SiteLevel { tab, level: ShieldsLevel::from(level).into() }));
            }
            FromChrome::AllowHere { tab, url } => self.command(Command::SiteRule(SiteRule { tab, url })),
            FromChrome::Health { request } => self.command(Command::Health(request)),
            FromChrome::AnswerPermission { question, answer } => {
                self.command(Command::AnswerPermission(permissions::answer(question, answer)));
            }
            FromChrome::ChoosePermission { tab, kind, state } => {
                self.command(Command::ChoosePermission(permissions::choice(tab, kind, state)));
            }
            FromChrome::Workspaces { action } => self.command(Command::Workspaces(action.into())),
            FromChrome::Run { command } => self.run_named(&command),
            FromChrome::QuitAnyway => self.command(Command::QuitAnyway(Empty {})),
        }
    }
}

fn setting_action(action: ChromeSettingAction) -> settings_request::Action {
    match action {
        ChromeSettingAction::List { words } => {
            settings_request::Action::List(SettingFilter { words, name: String::new() })
        }
        ChromeSettingAction::Set { name, values } => settings_request::Action::Set(SettingChange { name, values }),
        ChromeSettingAction::Reset { name } => settings_request::Action::Reset(name),
    }
}

fn bookmarks_request(action: ChromeBookmarkAction) -> BookmarksRequest {
    let mut first = 0;
    let action = match action {
        ChromeBookmarkAction::List { parent, words, url, folders, skip } => {
            first = skip;
            Action::List(BookmarkFilter { parent, words, url, folders })
        }
        ChromeBookmarkAction::Add { parent, url, title } => {
            Action::Add(Bookmark { parent, url, title, ..Bookmark::default() })
        }
        ChromeBookmarkAction::Edit { id, title, url, tags, parent, place } => {
            let tags = tags.map(|tags| BookmarkTags { tags });
            Action::Edit(BookmarkEdit { id, title, url, tags, parent, place })
        }
        ChromeBookmarkAction::Remove { id } => Action::Remove(id),
        ChromeBookmarkAction::Undo {} => Action::Undo(true),
    };
    BookmarksRequest { action: Some(action), skip: first }
}
