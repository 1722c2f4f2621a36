//! Commands of the user from the window.

use regen_net_config::host::HostKey;
use regen_net_config::site::Site;
use regen_proto::kernel::v1::WindowSize as WireSize;
use regen_proto::kernel::v1::user_command::Body;
use regen_session::Event;

use super::{bookmarks, downloads, page, page_tools, permissions, settings, site, visits, workspaces};
use crate::window::commands::{PageCommand, Question, SessionAnswer, SiteOrder, UserCommand, VpnAnswer};
use crate::window::window_size::Size;

/// Returns a command of the user; `None` for one that asks for nothing.
pub fn user_command(body: Body) -> Option<UserCommand> {
    let event = match body {
        Body::OpenTab(open) => return Some(UserCommand::OpenTab { input: open.input, background: open.background }),
        Body::Navigate(to) => return Some(UserCommand::Navigate { tab: to.tab, input: to.input }),
        Body::CloseTab(tab) => Event::Close { tab, ask: true },
        Body::ActivateTab(tab) => Event::Activate(tab),
        Body::MoveTab(to) => Event::Move { tab: to.tab, index: usize::try_from(to.index).unwrap_or(usize::MAX) },
        Body::ReopenClosed(_) => Event::ReopenClosed,
        Body::History(step) => Event::History { tab: step.tab, delta: step.delta },
        Body::Reload(reload) => Event::Reload { tab: reload.tab, bypass_cache: reload.bypass_cache },
        Body::Stop(tab) => Event::Stop(tab),
        Body::StopScript(tab) => Event::StopScript(tab),
        Body::AllowInsecure(tab) => Event::AllowInsecure(tab),
        Body::AllowPrivate(tab) => Event::AllowPrivate(tab),
        Body::AnswerDialog(answered) => {
            Event::AnswerDialog { tab: answered.tab, answer: page::dialog_answer(answered.answer?) }
        }
        Body::Zoom(zoom) if zoom.steps != 0 => Event::ZoomBy { tab: zoom.tab, steps: zoom.steps },
        Body::Zoom(zoom) => Event::Zoom { tab: zoom.tab, zoom: zoom.zoom },
        Body::Mute(mute) => Event::Mute { tab: mute.tab, muted: mute.muted },
        Body::Pin(pin) => Event::Pin { tab: pin.tab, pinned: pin.pinned },
        Body::DuplicateTab(tab) => Event::Duplicate(tab),
        Body::Gesture(tab) => return Some(UserCommand::Gesture(tab)),
        Body::Find(find) => {
            let (tab, find) = (find.tab, find.find?);
            let command = PageCommand::Find { text: find.text, forward: find.forward, next: find.next };
            return Some(UserCommand::Page { tab, command });
        }
        Body::UseTool(used) => return Some(UserCommand::Tool { tab: used.tab, tool: page_tools::tool(used.r#use?)? }),
        Body::Quit(_) => return Some(UserCommand::Quit),
        Body::QuitAnyway(_) => return Some(UserCommand::QuitAnyway),
        Body::AnswerSession(answer) => {
            let answer = SessionAnswer { session: answer.session, restore: answer.restore, tabs: answer.tabs };
            return Some(UserCommand::AnswerSession(answer));
        }
        Body::OfferSession(_) => return Some(UserCommand::OfferSession),
        Body::AnswerDownloads(answer) => {
            let host = HostKey { site: Site::parse(&answer.site).ok()?, workspace: answer.workspace };
            return Some(UserCommand::AnswerDownloads { host, allow: answer.allow });
        }
        Body::AnswerVpn(answer) => {
            return Some(UserCommand::AnswerVpn(VpnAnswer { name: answer.name, allow: answer.allow }));
        }
        Body::Visits(asked) => return ask(asked.request, Question::Visits(visits::query(asked.query?)?)),
        Body::Bookmarks(asked) => return ask(asked.request, Question::Bookmarks(bookmarks::query(asked.query?)?)),
        Body::Settings(asked) => return ask(asked.request, Question::Settings(settings::query(asked.query?)?)),
        Body::Complete(asked) => return ask(asked.request, Question::Complete(asked.typed)),
        Body::Site(asked) => {
            return Some(UserCommand::Site(SiteOrder::Report { request: asked.request, tab: asked.tab }));
        }
        Body::ClearSite(tab) => return Some(UserCommand::Site(SiteOrder::Clear(tab))),
        Body::SiteLevel(chosen) => {
            let order = SiteOrder::SetLevel { tab: chosen.tab, level: site::level(chosen.level()) };
            return Some(UserCommand::Site(order));
        }
        Body::SiteRule(rule) => {
            return Some(UserCommand::Site(SiteOrder::Allow { tab: rule.tab, url: rule.url }));
        }
        Body::FindAnything(asked) => return ask(asked.request, Question::Anything(asked.typed)),
        Body::DownloadOrder(order) => return downloads::order(order).map(UserCommand::Download),
        Body::Health(request) => return Some(UserCommand::Health(request)),
        Body::AnswerPermission(answered) => {
            let answer = permissions::user_answer(answered.answer())?;
            return Some(UserCommand::AnswerPermission { question: answered.question, answer });
        }
        Body::ChoosePermission(chosen) => {
            let (kind, kept) = (permissions::kind(chosen.kind())?, permissions::choice(chosen.state())?);
            return Some(UserCommand::ChoosePermission { tab: chosen.tab, kind, kept });
        }
        Body::Workspaces(asked) => {
            let order = workspaces::order(asked.action?);
            return Some(order.map_or_else(|error| UserCommand::Refused(error.to_string()), UserCommand::Workspaces));
        }
        Body::OpenOutside(url) => return Some(UserCommand::OpenOutside(url)),
        Body::WindowSize(WireSize { width, height, maximized }) => {
            return Some(UserCommand::Resized(Size { width, height, maximized }));
        }
    };
    Some(UserCommand::Session(event))
}

fn ask(request: u64, question: Question) -> Option<UserCommand> {
    Some(UserCommand::Ask { request, question })
}
