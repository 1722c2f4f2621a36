//! `regen`: starts the browser, and controls a running one for people and CI jobs.
//!
//! Exit codes: 0 success · 1 failure, explained on stderr · 2 wrong usage · 3 no browser runs on this profile ·
//! 4 not found (such as a tab or process) · 5 timeout. `policy exec` exits with the program's exit code.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

#[macro_use]
mod terminal;

mod arguments;
mod audit;
mod bookmarks;
mod chaos;
mod client;
mod crashes;
mod dns;
mod doctor;
mod downloads;
mod history;
mod keys;
mod launch;
mod moment;
mod permissions;
mod policy;
mod render;
mod routes;
mod settings;
mod shields;
mod site;
mod tab;
mod vpn;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use regen_broker::launcher::{self, LauncherProcess, SANDBOXED};
use regen_broker::startup::options::BrowserOptions;
use regen_proto::control::v1::{
    KillRequest, LogsRequest, QuitRequest, SessionAction, SessionRequest, StatusRequest, kill_request,
};
use regen_session::address;

use arguments::{Arguments, AuditCommand, Command, Output, SessionCommand};
use client::{Client, Failure};

fn main() -> ExitCode {
    regen_sandbox::sys::end_on_broken_pipe();
    let arguments = Arguments::parse();
    // Fork before the runtime starts: a fork keeps only the calling thread.
    let launchers = match &arguments.command {
        Some(Command::Policy(command)) => policy::launchers(command),
        _ => 0,
    };
    let launchers = match (0..launchers).map(|_| sandboxes_launcher()).collect::<Result<Vec<_>, _>>() {
        Ok(launchers) => launchers,
        Err(error) => return Failure::from(error).report(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Other(error.to_string()).report(),
    };
    match runtime.block_on(run(arguments, launchers)) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn sandboxes_launcher() -> std::io::Result<LauncherProcess> {
    launcher::fork(&launch::programs()?, SANDBOXED)
}

async fn run(arguments: Arguments, launchers: Vec<LauncherProcess>) -> Result<ExitCode, Failure> {
    let Arguments { command, browser, detach, json } = arguments;
    let output = if json { Output::Json } else { Output::Text };
    let profile = browser.profile.clone();
    let connect = || Client::connect(profile.as_deref());
    match command {
        None => {
            browser.urls.iter().try_for_each(|url| not_a_mistyped_command(url))?;
            return launch::launch(browser, detach, output).await;
        }
        Some(Command::Search { words }) => {
            let browser = BrowserOptions { urls: vec![address::search(&words.join(" "))], ..browser };
            return launch::launch(browser, detach, output).await;
        }
        Some(Command::Status { memory }) => {
            let reply = connect().await?.api.status(StatusRequest { memory }).await?.into_inner();
            render::status(&reply, memory, output);
        }
        Some(Command::Tab(command)) => tab::run(connect().await?, command, output).await?,
        Some(Command::Kill { target, signal }) => {
            let request = KillRequest { target: Some(kill_target(&target)?), signal };
            let reply = connect().await?.api.kill(request).await?.into_inner();
            render::killed(&reply.pids, signal, output);
        }
        Some(Command::Session(command)) => {
            let (action, session, tabs) = match command {
                SessionCommand::List { session } => (SessionAction::List, session, Vec::new()),
                SessionCommand::Restore { session, tabs } => (SessionAction::Restore, session, tabs),
                SessionCommand::Dismiss { session } => (SessionAction::Dismiss, session, Vec::new()),
                SessionCommand::Automatic { choice: Some(true) } => (SessionAction::Automatic, None, Vec::new()),
                SessionCommand::Automatic { choice: Some(false) } => (SessionAction::Ask, None, Vec::new()),
                SessionCommand::Automatic { choice: None } => (SessionAction::Unspecified, None, Vec::new()),
                SessionCommand::Save => (SessionAction::Save, None, Vec::new()),
            };
            let request = SessionRequest { action: action.into(), session: session.unwrap_or(0), tabs };
            let reply = connect().await?.api.session(request).await?.into_inner();
            render::session(action, &reply, output);
        }
        Some(Command::History(command)) => history::run(connect().await?, command, output).await?,
        Some(Command::Bookmarks(command)) => bookmarks::run(connect().await?, command, output).await?,
        Some(Command::Settings(command)) => settings::run(profile.as_deref(), command, output).await?,
        Some(Command::RunInWindow { name }) => settings::run_command(profile.as_deref(), name, output).await?,
        Some(Command::Permissions { command }) => permissions::run(connect().await?, command, output).await?,
        Some(Command::Workspace { command }) => workspace::run(connect().await?, command, output).await?,
        Some(Command::Downloads { command }) => downloads::run(connect().await?, command, output).await?,
        Some(Command::Site(command)) => site::run(connect().await?, command, output).await?,
        Some(Command::Route(command)) => routes::route(connect().await?, command, output).await?,
        Some(Command::HttpsOnly { choice, site }) => {
            shields::https_only(connect().await?, choice, site, output).await?
        }
        Some(Command::Dns(command)) => dns::run(connect().await?, command, output).await?,
        Some(Command::Vpn(command)) => return vpn::run(connect().await?, command, output).await,
        Some(Command::Tor(command)) => return routes::tor(connect().await?, command, output).await,
        Some(Command::Shields(command)) => return shields::run(connect().await?, command, output).await,
        Some(Command::Logs { follow, lines }) => {
            let mut stream = connect().await?.api.logs(LogsRequest { follow, lines }).await?.into_inner();
            while let Some(line) = stream.message().await? {
                println!("{}", line.line);
            }
        }
        Some(Command::Quit) => {
            let mut client = connect().await?;
            // A browser without children may exit before it answers; only its exit matters.
            if let Err(error) = client.api.quit(QuitRequest {}).await {
                tracing::debug!("no answer to quit: {error}");
            }
            client.wait_until_gone().await?;
        }
        Some(Command::Audit { command: None, follow }) => audit::print(profile.as_deref(), follow, output).await?,
        Some(Command::Audit { command: Some(AuditCommand::Verify { anchor }), .. }) => {
            audit::verify(profile.as_deref(), anchor.as_deref(), output).await?;
        }
        Some(Command::Audit { command: Some(AuditCommand::Anchor), .. }) => {
            audit::anchor(profile.as_deref(), output).await?;
        }
        Some(Command::Policy(command)) => return policy::run(command, launchers, profile.as_deref(), output).await,
        Some(Command::Crashes(command)) => crashes::run(profile.as_deref(), command, output)?,
        Some(Command::Chaos(command)) => return chaos::run(command, profile, output).await,
        Some(Command::Doctor) => return Ok(doctor::run(profile.as_deref(), output).await),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), "regen", &mut std::io::stdout());
        }
        Some(Command::Man) => {
            let page = clap_mangen::Man::new(Arguments::command());
            page.render(&mut std::io::stdout()).map_err(|error| Failure::Other(error.to_string()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Rejects a single word that is neither an address nor a file: it is more likely a mistyped command than a search.
fn not_a_mistyped_command(word: &str) -> Result<(), Failure> {
    const LIKE: f64 = 0.8;
    if !address::is_bare_word(word) || std::path::Path::new(word).exists() {
        return Ok(());
    }
    let command = Arguments::command();
    let mut like: Vec<(f64, &str)> = command
        .get_subcommands()
        .map(|one| (strsim::jaro_winkler(word, one.get_name()), one.get_name()))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .collect();
    like.sort_by(|a, b| b.0.total_cmp(&a.0));
    let meant = like.first().map(|(_, name)| format!(" Did you mean `regen {name}`?")).unwrap_or_default();
    let word = regen_runtime::foreign_text::escape(word);
    Err(Failure::Usage(format!(
        "“{word}” is not a command, address or file.{meant} To search the web for it: `regen search {word}`"
    )))
}

fn kill_target(words: &[String]) -> Result<kill_request::Target, Failure> {
    let number =
        |word: &String, what: &str| word.parse().map_err(|_| Failure::Usage(format!("“{word}” is not a {what} ID")));
    match words {
        [tab, id] if tab == "tab" => Ok(kill_request::Target::Tab(number(id, "tab")?)),
        [word] if word.chars().all(|c| c.is_ascii_digit()) => {
            let pid = word.parse().map_err(|_| Failure::Usage(format!("“{word}” is not a process ID")))?;
            Ok(kill_request::Target::Pid(pid))
        }
        [role] => Ok(kill_request::Target::Role(role.clone())),
        _ => Err(Failure::Usage("use `regen kill ROLE`, `regen kill tab ID` or `regen kill PID`".to_owned())),
    }
}
