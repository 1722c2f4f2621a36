//! The command line's grammar.

mod chaos;
mod net;
mod policy;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use regen_broker::startup::options::BrowserOptions;

pub(crate) use chaos::{ChaosCommand, ChaosOptions};
pub(crate) use net::{DnsCommand, ListsArguments, RouteCommand, ShieldsCommand, TestArguments, TorCommand, VpnCommand};
pub(crate) use policy::{Exec, Learn, PolicyCommand};

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A browser whose every site is a sandboxed process that comes back by itself.
///
/// Without a command: opens the URLs, in the browser that runs on this profile or in a new one.
#[derive(Debug, Parser)]
#[command(name = "regen", version, subcommand_precedence_over_arg = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no browser runs on this profile, \
                        4 no such tab or process, 5 the time was up.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) browser: BrowserOptions,
    /// Return as soon as the browser answers, and leave it running
    #[arg(long)]
    pub(crate) detach: bool,
    /// Results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Processes and tabs of the running browser
    Status {
        /// Also measure proportional memory (slower)
        #[arg(long)]
        memory: bool,
    },
    /// Search the web, in a new tab
    Search {
        /// Words to search for
        #[arg(required = true, value_name = "WORDS")]
        words: Vec<String>,
    },
    /// Open, list and drive tabs
    #[command(subcommand)]
    Tab(TabCommand),
    /// Send a signal to processes of the running browser: a role, the host of a tab, or a process id
    Kill {
        /// ROLE, or `tab ID`, or a process id
        #[arg(required = true, num_args = 1..=2, value_name = "TARGET")]
        target: Vec<String>,
        /// Which signal
        #[arg(long, default_value = "KILL", value_parser = signal)]
        signal: i32,
    },
    /// Sessions of earlier runs, and saving this one
    #[command(subcommand)]
    Session(SessionCommand),
    /// What pages are kept from sending: trackers, and what else filter lists name
    #[command(subcommand)]
    Shields(ShieldsCommand),
    /// Open pages over encrypted connections only, and ask before one comes without
    HttpsOnly {
        /// on, off or default, from now on; without it, what it is
        choice: Option<String>,
        /// Only on this site (any of its addresses)
        #[arg(long, value_name = "URL")]
        site: Option<String>,
    },
    /// Which way connections leave this machine: directly, over Tor, through a VPN or a proxy
    #[command(subcommand)]
    Route(RouteCommand),
    /// Which name servers are asked where a route is direct, and what they say
    #[command(subcommand)]
    Dns(DnsCommand),
    /// VPN profiles, for the sites whose route has one
    #[command(subcommand)]
    Vpn(VpnCommand),
    /// Tor, for the sites whose route has it
    #[command(subcommand)]
    Tor(TorCommand),
    /// The log of the running browser
    Logs {
        /// Go on printing as new lines come
        #[arg(long, short)]
        follow: bool,
        /// How many of the last lines
        #[arg(long, short = 'n', default_value_t = 200)]
        lines: u32,
    },
    /// What every process may do, and whether the kernel enforces it
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What was started, granted, refused and lost
    Audit {
        #[command(subcommand)]
        command: Option<AuditCommand>,
        /// Go on printing as new events come
        #[arg(long, short)]
        follow: bool,
    },
    /// Reports of what died; they are kept in the profile, and sent nowhere
    #[command(subcommand)]
    Crashes(CrashesCommand),
    /// Inject crashes, and check after each that nothing was lost; exit code 1 where something was
    #[command(subcommand)]
    Chaos(ChaosCommand),
    /// What this machine lacks, and how to get it
    Doctor,
    /// End the running browser
    Quit,
    /// Shell completions, on standard output
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// The manual page, on standard output
    Man,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CrashesCommand {
    /// All of them, oldest first
    List,
    /// Everything about one
    Show {
        /// Its name, or `last`
        id: String,
    },
    /// One as a JSON file, or its minidump
    Export {
        /// Its name, or `last`
        id: String,
        /// The memory of the process as it crashed, for `minidump-stackwalk`
        #[arg(long)]
        minidump: bool,
        /// Where to write it
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that the log is whole: no line edited, none cut off, no break recorded; exit code 1 where it is not
    Verify {
        /// Anchor that `audit anchor` printed earlier, kept elsewhere: the log must go through it
        #[arg(long, value_name = "LENGTH:HASH")]
        anchor: Option<String>,
    },
    /// Print the end of the log, for keeping where no program of yours can change it
    Anchor,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Earlier sessions that can come back, and the tabs of one of them
    List {
        /// Of this one; without it, of the one that is offered
        #[arg(long, value_name = "ID")]
        session: Option<u64>,
    },
    /// Bring one back
    Restore {
        /// This one; without it, the one that is offered
        #[arg(long, value_name = "ID")]
        session: Option<u64>,
        /// Only these of its tabs
        #[arg(long = "tab", value_name = "ID")]
        tabs: Vec<u64>,
    },
    /// Do not offer it again; for seven days it can still be restored
    Dismiss {
        /// This one; without it, the one that is offered
        #[arg(long, value_name = "ID")]
        session: Option<u64>,
    },
    /// Whether the last session comes back by itself when it ended normally
    Automatic {
        /// on or off; without it, what it is
        #[arg(value_parser = on_or_off)]
        choice: Option<bool>,
    },
    /// Put everything as it is now on disk; returns when it is there
    Save,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TabCommand {
    /// Open a tab
    Open {
        /// What to open
        url: String,
        /// Return when the page has loaded
        #[arg(long)]
        wait: bool,
        /// How long to wait, in seconds
        #[arg(long, default_value_t = 30.0, value_parser = seconds)]
        timeout: f64,
        /// In which workspace; workspaces share no storage
        #[arg(long, default_value = "")]
        workspace: String,
        /// Leave the active tab active
        #[arg(long)]
        background: bool,
    },
    /// List the tabs
    List,
    /// Take a tab to another address
    Goto {
        /// Which tab
        id: u64,
        /// Where to
        url: String,
        /// Return when the page has loaded
        #[arg(long)]
        wait: bool,
        /// How long to wait, in seconds
        #[arg(long, default_value_t = 30.0, value_parser = seconds)]
        timeout: f64,
    },
    /// Show a tab
    Activate {
        /// Which tab
        id: u64,
    },
    /// End the page of a tab whose script does not end; it stays until it is reloaded
    StopScript {
        /// Which tab
        id: u64,
    },
    /// Answer the dialog that a tab's page shows; without an answer, print it
    Dialog {
        /// Which tab
        id: u64,
        /// Press its OK
        #[arg(long, conflicts_with = "dismiss")]
        accept: bool,
        /// Press its Cancel
        #[arg(long)]
        dismiss: bool,
        /// What to write into the field of a prompt
        #[arg(long, requires = "accept", allow_hyphen_values = true)]
        text: Option<String>,
        /// And let this page show no more of them
        #[arg(long)]
        stop: bool,
    },
    /// Sign in where a tab's server wants a name and a password; the password is read from the standard input
    Authenticate {
        /// Which tab
        id: u64,
        /// The name
        #[arg(long, required_unless_present = "cancel", conflicts_with = "cancel")]
        user: Option<String>,
        /// Do not sign in
        #[arg(long)]
        cancel: bool,
    },
    /// Open what a tab says is not encrypted, as all of its site until the browser ends
    AllowInsecure {
        /// Which tab
        id: u64,
    },
    /// Open what a tab says is in the private network, where a page from the internet wanted to go
    AllowPrivate {
        /// Which tab
        id: u64,
    },
    /// Let the site of a tab save files without a click for each, until the browser ends
    AllowDownloads {
        /// Which tab
        id: u64,
        /// Refuse them instead
        #[arg(long)]
        refuse: bool,
    },
    /// Close a tab
    Close {
        /// Which tab
        id: u64,
    },
    /// Go back in a tab's history
    Back {
        /// Which tab
        id: u64,
    },
    /// Go forward in a tab's history
    Forward {
        /// Which tab
        id: u64,
    },
    /// Load a tab's page again
    Reload {
        /// Which tab
        id: u64,
    },
    /// Print the text of a tab's page
    Text {
        /// Which tab
        id: u64,
    },
    /// Save a picture of a tab's page
    Screenshot {
        /// Which tab
        id: u64,
        /// Where to write the PNG
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Click, type or scroll in a tab
    Input(InputArguments),
    /// Wait until a tab's page has loaded
    Wait {
        /// Which tab
        id: u64,
        /// How long, in seconds
        #[arg(long, default_value_t = 30.0, value_parser = seconds)]
        timeout: f64,
    },
}

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(false)))]
pub(crate) struct InputArguments {
    /// Which tab
    pub(crate) id: u64,
    /// Click at this point of the page, in CSS pixels
    #[arg(long, value_name = "X,Y", group = "what", value_parser = pair)]
    pub(crate) click: Option<(f64, f64)>,
    /// Type this text
    #[arg(long, value_name = "TEXT", group = "what")]
    pub(crate) r#type: Option<String>,
    /// Press a key: Enter, Tab, Escape, F5, ctrl+a …
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) key: Option<String>,
    /// Scroll by this much, in CSS pixels
    #[arg(long, value_name = "DX,DY", group = "what", value_parser = pair, allow_hyphen_values = true)]
    pub(crate) scroll: Option<(f64, f64)>,
}

fn pair(text: &str) -> Result<(f64, f64), String> {
    let wrong = || "give two numbers with a comma, such as 100,200".to_owned();
    let (x, y) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    number(x).zip(number(y)).ok_or_else(wrong)
}

fn seconds(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (0.0..=86_400.0).contains(value));
    value.ok_or_else(|| "give seconds, from 0 to 86400".to_owned())
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("say on or off".to_owned()),
    }
}

fn signal(text: &str) -> Result<i32, String> {
    const NAMES: [(&str, i32); 9] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ABRT", 6),
        ("KILL", 9),
        ("SEGV", 11),
        ("TERM", 15),
        ("CONT", 18),
        ("STOP", 19),
    ];
    let name = text.trim_start_matches("SIG").to_ascii_uppercase();
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = named.or_else(|| text.parse().ok().filter(|n| (1..=31).contains(n)));
    number.ok_or_else(|| "give a signal such as KILL, TERM, STOP, CONT, SEGV or ABRT, or its number".to_owned())
}
