//! `regen tab`: opens, lists and controls tabs.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use regen_proto::control::v1::{
    AllowDownloadsRequest, DialogAnswer, DialogRequest, GotoTabRequest, HistoryRequest, InputRequest, OpenTabRequest,
    ScreenshotReply, StatusRequest, TabRequest, WaitTabRequest,
};
use regen_proto::page::v1::{PointerAxis, PointerButton, PointerMotion, ToPage, TypeText, to_page};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::arguments::{InputArguments, Output, TabCommand};
use crate::client::{Client, Failure};
use crate::{keys, render};

const LEFT_BUTTON: u32 = 272;

fn milliseconds(seconds: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be 0 to a day")]
    let milliseconds = (seconds * 1000.0) as u32;
    milliseconds.max(1)
}

pub(crate) async fn run(mut client: Client, command: TabCommand, output: Output) -> Result<(), Failure> {
    let api = &mut client.api;
    match command {
        TabCommand::Open { url, wait, timeout, workspace, background } => {
            let timeout_ms = milliseconds(timeout);
            let request = OpenTabRequest { url, wait, timeout_ms, workspace, background, raise: false };
            let tab = api.open_tab(request).await?.into_inner().tab.unwrap_or_default();
            if wait { render::waited(&tab, output)? } else { render::tab(&tab, output) }
        }
        TabCommand::List => {
            let status = api.status(StatusRequest { memory: false }).await?.into_inner();
            render::tabs(&status.tabs, output);
        }
        TabCommand::Goto { id, url, wait, timeout } => {
            let request = GotoTabRequest { tab: id, url, wait, timeout_ms: milliseconds(timeout) };
            let tab = api.goto_tab(request).await?.into_inner().tab.unwrap_or_default();
            if wait { render::waited(&tab, output)? } else { render::tab(&tab, output) }
        }
        TabCommand::Activate { id } => {
            let tab = api.activate_tab(TabRequest { tab: id }).await?.into_inner().tab;
            render::tab(&tab.unwrap_or_default(), output);
        }
        TabCommand::Dialog { id, accept, dismiss, text, stop } => {
            let is_answered = accept || dismiss || stop;
            let shown = api.dialog(DialogRequest { tab: id, answer: None }).await?.into_inner().tab;
            let shown = shown.unwrap_or_default().dialog.unwrap_or_default();
            if accept && shown.kind == "sign-in" {
                let how = format!("tab {id} asks for a password: use `regen tab authenticate {id} --user NAME`");
                return Err(Failure::Other(how));
            }
            let text = text.unwrap_or(shown.preset);
            let answer = is_answered.then_some(DialogAnswer { accept, text, password: String::new(), stop });
            let tab = api.dialog(DialogRequest { tab: id, answer }).await?.into_inner().tab.unwrap_or_default();
            if !is_answered && tab.dialog.is_none() {
                return Err(Failure::Other(format!("tab {id} shows no dialog")));
            }
            render::tab(&tab, output);
        }
        TabCommand::Authenticate { id, user, cancel } => {
            let password = if cancel { String::new() } else { read_password()? };
            let text = user.unwrap_or_default();
            let answer = Some(DialogAnswer { accept: !cancel, text, password, stop: false });
            let tab = api.dialog(DialogRequest { tab: id, answer }).await?.into_inner().tab.unwrap_or_default();
            render::tab(&tab, output);
        }
        TabCommand::AllowInsecure { id } => {
            let tab = api.allow_insecure(TabRequest { tab: id }).await?.into_inner().tab;
            render::tab(&tab.unwrap_or_default(), output);
        }
        TabCommand::AllowPrivate { id } => {
            let tab = api.allow_private(TabRequest { tab: id }).await?.into_inner().tab;
            render::tab(&tab.unwrap_or_default(), output);
        }
        TabCommand::AllowDownloads { id, refuse } => {
            let request = AllowDownloadsRequest { tab: id, refuse };
            render::tab(&api.allow_downloads(request).await?.into_inner().tab.unwrap_or_default(), output);
        }
        TabCommand::StopScript { id } => {
            let tab = api.stop_script(TabRequest { tab: id }).await?.into_inner().tab;
            render::tab(&tab.unwrap_or_default(), output);
        }
        TabCommand::Close { id } => {
            api.close_tab(TabRequest { tab: id }).await?;
        }
        TabCommand::Back { id } => {
            api.history(HistoryRequest { tab: id, delta: -1, reload: false }).await?;
        }
        TabCommand::Forward { id } => {
            api.history(HistoryRequest { tab: id, delta: 1, reload: false }).await?;
        }
        TabCommand::Reload { id } => {
            api.history(HistoryRequest { tab: id, delta: 0, reload: true }).await?;
        }
        TabCommand::Text { id } => {
            let text = api.tab_text(TabRequest { tab: id }).await?.into_inner().text;
            render::text(&text, output);
        }
        TabCommand::Screenshot { id, output: file } => {
            let picture = api.screenshot(TabRequest { tab: id }).await?.into_inner();
            write_png(&picture, &file)?;
            render::picture(&picture, &file, output);
        }
        TabCommand::Input(arguments) => {
            let events = events(&arguments)?;
            api.input(InputRequest { tab: arguments.id, events }).await?;
        }
        TabCommand::Wait { id, timeout } => {
            let request = WaitTabRequest { tab: id, timeout_ms: milliseconds(timeout) };
            render::waited(&api.wait_tab(request).await?.into_inner().tab.unwrap_or_default(), output)?;
        }
    }
    Ok(())
}

/// Reads a line from stdin, without echo if it is a terminal.
fn read_password() -> Result<String, Failure> {
    let input = std::io::stdin();
    let terminal = tcgetattr(&input).ok();
    if let Some(shown) = &terminal {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &hidden).map_err(std::io::Error::from)?;
        std::eprint!("Password: ");
    }
    let mut line = String::new();
    let read = input.read_line(&mut line);
    if let Some(shown) = &terminal {
        tcsetattr(&input, OptionalActions::Flush, shown).map_err(std::io::Error::from)?;
        std::eprintln!();
    }
    read?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn events(arguments: &InputArguments) -> Result<Vec<ToPage>, Failure> {
    let event = |body| ToPage { tab: arguments.id, body: Some(body), ..ToPage::default() };
    if let Some((x, y)) = arguments.click {
        let press = |pressed| {
            event(to_page::Body::PointerButton(PointerButton { button: LEFT_BUTTON, pressed, modifiers: None }))
        };
        let motion = event(to_page::Body::PointerMotion(PointerMotion { x, y }));
        return Ok(vec![motion, press(true), press(false)]);
    }
    if let Some(text) = &arguments.r#type {
        return Ok(vec![event(to_page::Body::TypeText(TypeText { text: text.clone() }))]);
    }
    if let Some((dx, dy)) = arguments.scroll {
        return Ok(vec![event(to_page::Body::PointerAxis(PointerAxis { dx, dy, discrete: false, modifiers: None }))]);
    }
    let name = arguments.key.as_deref().unwrap_or_default();
    let keys = keys::parse(name).map_err(Failure::Usage)?;
    Ok(keys.into_iter().map(|key| event(to_page::Body::Key(key))).collect())
}

fn write_png(picture: &ScreenshotReply, path: &Path) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Other(format!("cannot write {}: {error}", path.display()));
    let file = File::create(path).map_err(|error| failed(&error))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| failed(&error))?;
    let pixels: Vec<u8> = picture.bgra.chunks_exact(4).flat_map(|pixel| pixel.iter().take(3).rev().copied()).collect();
    writer.write_image_data(&pixels).map_err(|error| failed(&error))
}
