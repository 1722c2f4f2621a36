//! Output of results as text or JSON. The JSON is an interface: fields are only added.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::styling::{AnsiColor, Style};
use regen_proto::control::v1::{
    Dialog, Process, SavedSession, ScreenshotReply, SessionAction, SessionReply, StatusReply, Tab,
};
use regen_proto::health::v1::{HealthLine, HealthState};
use serde_json::{Value, json};

use regen_runtime::foreign_text::{escape, escape_json};

use crate::arguments::Output;
use crate::client::Failure;

/// Style of warnings. Colours are printed to terminals only, and not if `NO_COLOR` is set.
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default();
/// Style of violations.
pub(crate) const WRONG: Style = AnsiColor::Red.on_default().bold();

/// Prints one JSON document. The `println!` of this program would break it: that escapes as Rust does.
pub(crate) fn print_json(value: &Value) {
    std::println!("{}", escape_json(&format!("{value:#}")));
}

/// Prints one line of a stream of JSON values.
pub(crate) fn print_json_line(value: &Value) {
    std::println!("{}", escape_json(&value.to_string()));
}

fn dialog_json(dialog: &Dialog) -> Value {
    let Dialog { kind, text, preset, server, again } = dialog;
    json!({ "kind": kind, "text": text, "preset": preset, "server": server, "again": again })
}

fn tab_json(tab: &Tab) -> Value {
    json!({
        "id": tab.id, "url": tab.url, "title": tab.title, "site": tab.site, "state": tab.state, "pid": tab.pid,
        "reason": tab.reason, "active": tab.active, "workspace": tab.workspace,
        "can_go_back": tab.can_go_back, "can_go_forward": tab.can_go_forward,
        "unresponsive": tab.unresponsive, "route": tab.route, "blocked": tab.blocked,
        "dialog": tab.dialog.as_ref().map(dialog_json),
    })
}

fn process_json(process: &Process, memory: bool) -> Value {
    let helpers: Vec<Value> = process.helpers.iter().map(|h| json!({"name": h.name, "pid": h.pid})).collect();
    let mut value = json!({
        "role": process.role, "pid": process.pid, "site": process.site, "workspace": process.workspace,
        "state": process.state, "restarts": process.restarts, "rss_kb": process.rss_kb, "helpers": helpers,
    });
    if memory && let Some(fields) = value.as_object_mut() {
        fields.insert("pss_kb".to_owned(), process.pss_kb.into());
    }
    value
}

pub(crate) fn status(status: &StatusReply, memory: bool, output: Output) {
    let broker = status.broker.clone().unwrap_or_default();
    let refusals = status.refusals.unwrap_or_default();
    let event_loop = broker.event_loop.clone().unwrap_or_default();
    if output == Output::Json {
        print_json(&json!({
            "broker": {
                "pid": broker.pid, "uptime_s": broker.uptime_s, "version": broker.version,
                "profile": broker.profile, "headless": broker.headless, "secrets": broker.secrets,
                "event_loop": {
                    "steps": event_loop.steps, "p99_us": event_loop.p99_us,
                    "longest_us": event_loop.longest_us, "longest_kind": event_loop.longest_kind,
                },
            },
            "processes": status.processes.iter().map(|p| process_json(p, memory)).collect::<Vec<_>>(),
            "tabs": status.tabs.iter().map(tab_json).collect::<Vec<_>>(),
            "policies": status.policies,
            "warnings": status.warnings,
            "health": status.health.iter().map(health_json).collect::<Vec<_>>(),
            "extra_ca": status.extra_ca,
            "saved_session": status.offer.as_ref().map(session_json),
            "refused_messages": {
                "malformed": refusals.malformed, "oversized": refusals.oversized, "too_frequent": refusals.too_frequent,
                "not_allowed": refusals.not_allowed, "version": refusals.version, "system_calls": refusals.system_calls,
            },
        }));
        return;
    }
    let mode = if broker.headless { "headless" } else { "with a window" };
    println!("Regen {} · {mode} · up {} · {}", broker.version, uptime(broker.uptime_s), broker.profile);
    println!("Session cookies are encrypted; the key is in {}", broker.secrets);
    if status.extra_ca > 0 {
        println!("{} certificate authorities were added with --extra-ca", status.extra_ca);
    }
    for warning in &status.warnings {
        let warning = escape(warning);
        anstream::println!("{CAUTION}! {warning}{CAUTION:#}");
    }
    println!("\n{:>8}  {:<13} {:<9} {:>8} {:>9}  SITE", "PID", "ROLE", "STATE", "RESTARTS", "MEMORY");
    for process in &status.processes {
        let memory = if memory { process.pss_kb } else { process.rss_kb };
        let Process { pid, role, state, restarts, site, .. } = process;
        let site = if state == "spare" { "(spare)" } else { site };
        println!("{pid:>8}  {role:<13} {state:<9} {restarts:>8} {:>6} MB  {}", memory / 1024, one_line(site));
        for helper in &process.helpers {
            println!("{:>8}    └ {}", helper.pid, one_line(&helper.name));
        }
    }
    println!();
    tabs(&status.tabs, output);
    if let Some(offer) = &status.offer {
        println!("\nAn earlier session with {} tabs can be restored: `regen session restore`", offer.tabs);
    }
}

fn health_json(line: &HealthLine) -> Value {
    let number = (!line.unit.is_empty()).then_some(line.value);
    json!({
        "part": line.part, "state": state_of(line), "words": line.words, "value": number,
        "unit": (!line.unit.is_empty()).then_some(&line.unit),
    })
}

fn state_of(line: &HealthLine) -> &'static str {
    match line.state() {
        HealthState::Good => "good",
        HealthState::Off | HealthState::Unspecified => "off",
        HealthState::Busy => "busy",
        HealthState::Trouble => "trouble",
    }
}

pub(crate) fn tabs(tabs: &[Tab], output: Output) {
    if output == Output::Json {
        print_json(&Value::Array(tabs.iter().map(tab_json).collect()));
        return;
    }
    if tabs.is_empty() {
        println!("No tabs.");
        return;
    }
    println!("{:>5}  {:<10} {:<40} URL", "TAB", "STATE", "TITLE");
    for tab in tabs {
        let title: String = one_line(&tab.title).chars().take(40).collect();
        let mark = if tab.active { "*" } else { " " };
        println!("{mark}{:>4}  {:<10} {title:<40} {}", tab.id, tab.state, one_line(&tab.url));
        if !tab.reason.is_empty() {
            println!("       └ {}", one_line(&tab.reason));
        }
        if let Some(dialog) = &tab.dialog {
            println!("       └ shows a dialog: {}", words(dialog));
        }
    }
}

pub(crate) fn tab(tab: &Tab, output: Output) {
    if output == Output::Json {
        print_json(&tab_json(tab));
    } else {
        println!("tab {}: {} {}", tab.id, tab.state, one_line(&tab.url));
        if !tab.reason.is_empty() {
            println!("  {}", one_line(&tab.reason));
        }
        if let Some(dialog) = &tab.dialog {
            println!("  shows a dialog: {}", words(dialog));
        }
    }
}

fn words(dialog: &Dialog) -> String {
    let Dialog { kind, text, server, .. } = dialog;
    if server.is_empty() {
        one_line(&format!("{kind} “{text}”"))
    } else {
        one_line(&format!("{kind} to {server} for “{text}”"))
    }
}

/// Prints a tab after waiting for its page.
///
/// # Errors
/// When the page could not be loaded, with the state of the tab.
pub(crate) fn waited(tab: &Tab, output: Output) -> Result<(), Failure> {
    self::tab(tab, output);
    if matches!(tab.state.as_str(), "failed" | "refused" | "sad" | "insecure" | "private") {
        return Err(Failure::Other(format!("tab {} has no page: it is {}", tab.id, tab.state)));
    }
    Ok(())
}

pub(crate) fn text(text: &str, output: Output) {
    if output == Output::Json {
        print_json(&json!({ "text": text }));
    } else {
        println!("{text}");
    }
}

pub(crate) fn picture(picture: &ScreenshotReply, file: &Path, output: Output) {
    if output == Output::Json {
        print_json(&json!({"file": file.display().to_string(), "width": picture.width, "height": picture.height}));
    }
}

pub(crate) fn killed(pids: &[i32], signal: i32, output: Output) {
    if output == Output::Json {
        print_json(&json!({"pids": pids, "signal": signal}));
    } else {
        for pid in pids {
            println!("sent signal {signal} to process {pid}");
        }
    }
}

fn session_json(saved: &SavedSession) -> Value {
    let SavedSession { tabs, saved_at, clean, session, dismissed, stale } = saved;
    json!({"session": session, "tabs": tabs, "saved_at": saved_at, "clean": clean, "dismissed": dismissed, "stale": stale})
}

pub(crate) fn session(action: SessionAction, reply: &SessionReply, output: Output) {
    if output == Output::Json {
        let saved = reply.saved.as_ref().map(session_json);
        let tabs: Vec<Value> = reply.tabs.iter().map(tab_json).collect();
        let sessions: Vec<Value> = reply.sessions.iter().map(session_json).collect();
        print_json(&json!({"saved": saved, "tabs": tabs, "sessions": sessions, "automatic": reply.automatic}));
        return;
    }
    match action {
        SessionAction::Save => println!("The session is saved."),
        SessionAction::Automatic | SessionAction::Ask | SessionAction::Unspecified => {
            let how = if reply.automatic {
                "is restored automatically after a normal end"
            } else {
                "is not restored automatically"
            };
            println!("The last session {how}.");
        }
        SessionAction::Restore => println!("{} tabs restored.", reply.tabs.len()),
        SessionAction::Dismiss => {
            let tabs = reply.saved.as_ref().map_or(0, |saved| saved.tabs);
            println!("The session with {tabs} tabs will not be offered again.");
        }
        SessionAction::List if reply.sessions.is_empty() => println!("There is no earlier session."),
        SessionAction::List => {
            for saved in &reply.sessions {
                let how = if saved.clean { "ended normally" } else { "did not end normally" };
                let answered = if saved.dismissed { ", dismissed" } else { "" };
                let (id, tabs, when) = (saved.session, saved.tabs, ago(saved.saved_at));
                println!("Session {id}: {tabs} tabs, saved {when}, {how}{answered}");
            }
            if let Some(saved) = &reply.saved {
                println!("\nTabs of session {}:", saved.session);
                tabs(&reply.tabs, output);
            }
        }
    }
}

pub(crate) fn started(status: &StatusReply, output: Output) {
    let broker = status.broker.clone().unwrap_or_default();
    if output == Output::Json {
        print_json(&json!({"pid": broker.pid, "profile": broker.profile, "headless": broker.headless}));
    } else {
        println!("Regen runs as process {} on profile {}", broker.pid, broker.profile);
    }
}

fn uptime(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn ago(at: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    #[expect(clippy::cast_precision_loss, reason = "seconds of a human span")]
    let passed = now.saturating_sub(at) as f64;
    format!("{} ago", uptime(passed))
}

/// Returns a text with line feeds and tabs replaced by spaces.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}
