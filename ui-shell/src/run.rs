//! Runs the browser's commands: a shortcut's, a menu's, the command bar's and the command line's.

use std::rc::Rc;

use regen_commands::{Command as TableCommand, CommandId, Shortcuts};
use regen_proto::kernel::v1::user_command::Body as Command;
use regen_proto::kernel::v1::{
    Empty, History, MoveTab, MuteTab, OpenTab, PageTool, PinTab, ReloadTab, Tab, UseTool, UseToolInTab, WindowSettings,
    ZoomTab,
};

use regen_proto::workspaces::v1::workspaces_request::Action;
use regen_proto::workspaces::v1::{NewWorkspace, WorkspacesRequest};

use crate::bridge::ToChrome;
use crate::input::InputDecision;
use crate::window::Window;

impl Window {
    /// Runs the command with this name.
    pub(crate) fn run_named(self: &Rc<Self>, name: &str) {
        match TableCommand::named(name) {
            Some(command) => self.run(command.id),
            None => tracing::error!("there is no command {name:?}"),
        }
    }

    /// Runs a command.
    pub(crate) fn run(self: &Rc<Self>, id: CommandId) {
        let tab = self.active_tab();
        match id {
            CommandId::NewTab => {
                self.command(Command::OpenTab(OpenTab::default()));
                self.run_in_chrome(id);
            }
            CommandId::ReopenTab => self.command(Command::ReopenClosed(Empty {})),
            CommandId::CloseTab => self.command(Command::CloseTab(tab)),
            CommandId::CloseOtherTabs => {
                let others =
                    self.order().into_iter().filter(|other| *other != tab && !self.is(*other, |tab| tab.pinned));
                others.for_each(|other| self.command(Command::CloseTab(other)));
            }
            CommandId::NextTab => self.switch_to(self.neighbour(1)),
            CommandId::PreviousTab => self.switch_to(self.neighbour(-1)),
            CommandId::TabAt(place) => self.switch_to(self.nth(usize::from(place).saturating_sub(1))),
            CommandId::LastTab => self.switch_to(self.last()),
            CommandId::MoveTabLeft => self.move_tab(-1),
            CommandId::MoveTabRight => self.move_tab(1),
            CommandId::DuplicateTab => self.command(Command::DuplicateTab(tab)),
            CommandId::PinTab => {
                self.command(Command::Pin(PinTab { tab, pinned: !self.is(tab, |tab| tab.pinned) }));
            }
            CommandId::MuteTab => {
                self.command(Command::Mute(MuteTab { tab, muted: !self.is(tab, |tab| tab.muted) }));
            }
            CommandId::Back => self.command(Command::History(History { tab, delta: -1 })),
            CommandId::Forward => self.command(Command::History(History { tab, delta: 1 })),
            CommandId::Reload => self.command(Command::Reload(ReloadTab { tab, bypass_cache: false })),
            CommandId::ReloadWithoutCache => self.command(Command::Reload(ReloadTab { tab, bypass_cache: true })),
            CommandId::StopLoading => self.command(Command::Stop(tab)),
            CommandId::ZoomIn => self.zoom_by(1),
            CommandId::ZoomOut => self.zoom_by(-1),
            CommandId::ActualSize => self.command(Command::Zoom(ZoomTab { tab, zoom: 1.0, steps: 0 })),
            CommandId::Print => self.use_tool(PageTool::Print),
            CommandId::SavePage => self.use_tool(PageTool::Save),
            CommandId::Screenshot => self.use_tool(PageTool::Picture),
            CommandId::ScreenshotOfPage => self.use_tool(PageTool::WholePicture),
            CommandId::Inspector => self.use_tool(PageTool::Inspect),
            CommandId::Reader => self.use_tool(PageTool::Reader),
            CommandId::ViewSource => self.use_tool(PageTool::Source),
            CommandId::CaretBrowsing => self.use_tool(PageTool::Caret),
            CommandId::NewThrowAway => {
                let create = NewWorkspace { throw_away: true, show: true, ..NewWorkspace::default() };
                self.workspaces(Action::Create(create));
                self.run_in_chrome(CommandId::NewTab);
            }
            CommandId::NextWorkspace => {
                self.workspace_beside(1).into_iter().for_each(|id| self.workspaces(Action::Show(id)))
            }
            CommandId::PreviousWorkspace => {
                self.workspace_beside(-1).into_iter().for_each(|id| self.workspaces(Action::Show(id)));
            }
            CommandId::PreviousSession => self.command(Command::OfferSession(Empty {})),
            CommandId::FullScreen => self.toggle_fullscreen(),
            CommandId::Quit => self.command(Command::Quit(Empty {})),
            CommandId::SearchTabs
            | CommandId::Address
            | CommandId::Home
            | CommandId::Find
            | CommandId::FindNext
            | CommandId::FindPrevious
            | CommandId::BookmarkPage
            | CommandId::ScreenshotOfArea
            | CommandId::SiteInformation
            | CommandId::CommandBar
            | CommandId::History
            | CommandId::Bookmarks
            | CommandId::BookmarksBar
            | CommandId::Downloads
            | CommandId::Settings
            | CommandId::Workspaces
            | CommandId::Status
            | CommandId::Menu => self.run_in_chrome(id),
        }
    }

    fn workspaces(&self, action: Action) {
        self.command(Command::Workspaces(WorkspacesRequest { action: Some(action) }));
    }

    fn use_tool(&self, tool: PageTool) {
        let used = UseTool { tool: tool.into(), area: None };
        self.command(Command::UseTool(UseToolInTab { tab: self.active_tab(), r#use: Some(used) }));
    }

    fn run_in_chrome(&self, id: CommandId) {
        self.focus_page(false);
        self.tell_chrome(ToChrome::Command { name: id.command().name });
    }

    /// Brings a tab to the front; keys that follow wait for it.
    fn switch_to(self: &Rc<Self>, target: Option<u64>) {
        if let Some(target) = target.filter(|target| *target != self.active_tab()) {
            self.wait_for(InputDecision::Switch);
            self.command(Command::ActivateTab(target));
        }
    }

    fn move_tab(&self, steps: isize) {
        let tab = self.active_tab();
        let at = self.order().iter().position(|other| *other == tab);
        let to = at.and_then(|at| at.checked_add_signed(steps)).and_then(|to| u32::try_from(to).ok());
        if let Some(index) = to {
            self.command(Command::MoveTab(MoveTab { tab, index }));
        }
    }

    fn is(&self, tab: u64, what: impl Fn(&Tab) -> bool) -> bool {
        self.tab(tab).is_some_and(|tab| what(&tab))
    }

    /// Zooms by so many steps. The broker knows from where: several may be on their way.
    pub(crate) fn zoom_by(&self, steps: i32) {
        self.command(Command::Zoom(ZoomTab { tab: self.active_tab(), zoom: 0.0, steps }));
    }

    /// Takes the settings that the window follows.
    pub(crate) fn follow(&self, settings: &WindowSettings) {
        let keys = settings.keys.iter().filter_map(|own| {
            let command = TableCommand::named(&own.command)?;
            Some((command.id, own.keys.iter().filter_map(|keys| keys.parse().ok()).collect()))
        });
        self.input.shortcuts.replace(Shortcuts::new(&keys.collect()));
    }
}
