//! Arguments of the command line.

mod bookmarks;
mod chaos;
mod downloads;
mod history;
mod net;
mod permissions;
mod policy;
mod settings;
mod site;
mod workspace;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use regen_broker::startup::options::BrowserOptions;

pub(crate) use bookmarks::BookmarksCommand;
pub(crate) use chaos::{ChaosCommand, ChaosOptions};
pub(crate) use downloads::DownloadsCommand;
pub(crate) use history::{HistoryCommand, VisitConditions};
pub(crate) use net::{DnsCommand, ListsArguments, RouteCommand, ShieldsCommand, TestArguments, TorCommand, VpnCommand};
pub(crate) use permissions::PermissionsCommand;
pub(crate) use policy::{Exec, Learn, PolicyCommand};
pub(crate) use settings::SettingsCommand;
pub(crate) use site::{SiteArguments, SiteCommand};
pub(crate) use workspace::WorkspaceCommand;

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Text for people.
    Text,
    /// JSON for machines.
    Json,
}

/// A browser that runs each site in its own sandboxed process and restarts processes that crash.
///
/// Without a command, opens the URLs in the browser running on this profile, or starts a new one.
#[derive(Debug, Parser)]
#[command(name = "regen", version, subcommand_precedence_over_arg = true)]
#[command(after_help = "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 no browser runs on this profile, \
                        4 not found (such as a tab or process), 5 timeout.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) browser: BrowserOptions,
    /// Start the browser in the background, and return as soon as it answers
    #[arg(long)]
    pub(crate) detach: bool,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the processes and tabs of the running browser
    Status {
        /// Measure proportional memory (PSS), too; slower
        #[arg(long)]
        memory: bool,
    },
    /// Search the web in a new tab
    Search {
        /// Words to search for
        #[arg(required = true, value_name = "WORDS")]
        words: Vec<String>,
    },
    /// Open, list and control tabs
    #[command(subcommand)]
    Tab(TabCommand),
    /// Send a signal to all processes of a role, to a tab's process, or to one process
    Kill {
        /// Role, `tab ID`, or process ID
        #[arg(required = true, num_args = 1..=2, value_name = "TARGET")]
        target: Vec<String>,
        /// Signal to send, by name or number
        #[arg(long, default_value = "KILL", value_parser = signal)]
        signal: i32,
    },
    /// List, restore and dismiss earlier sessions, or save the current one
    #[command(subcommand)]
    Session(SessionCommand),
    /// List, search and delete the history of visited pages
    #[command(subcommand)]
    History(HistoryCommand),
    /// List, change, import and export bookmarks
    #[command(subcommand)]
    Bookmarks(BookmarksCommand),
    /// List and change what sites may do: show notifications, use their storage in other sites, play sound by themselves
    Permissions {
        #[command(subcommand)]
        command: Option<PermissionsCommand>,
    },
    /// List and change workspaces, which share no cookies and no storage; without a command, list them
    Workspace {
        #[command(subcommand)]
        command: Option<WorkspaceCommand>,
    },
    /// List, pause, resume and cancel downloads; without a command, list them
    Downloads {
        #[command(subcommand)]
        command: Option<DownloadsCommand>,
    },
    /// List and change settings; those of a running browser mostly take effect at once
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Run a command of the browser in its window, such as close-tab; without a name, list the commands and their keys
    #[command(name = "command")]
    RunInWindow {
        /// Name of the command
        #[arg(value_parser = settings::commands())]
        name: Option<String>,
    },
    /// Show and change what shields block: trackers and other requests that filter lists match
    #[command(subcommand)]
    Shields(ShieldsCommand),
    /// Show what is known about a site, or remove its data
    #[command(subcommand)]
    Site(SiteCommand),
    /// Open pages over HTTPS only, and ask before opening one over an unencrypted connection
    HttpsOnly {
        /// `on`, `off` or `default`; if omitted, show the current setting
        choice: Option<String>,
        /// Change the setting of this site only (any URL of the site)
        #[arg(long, value_name = "URL")]
        site: Option<String>,
    },
    /// Show and choose how connections leave this machine: directly, over Tor, or through a VPN or proxy
    #[command(subcommand)]
    Route(RouteCommand),
    /// Choose the name servers for direct routes, and look up names
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Import, connect and remove VPN profiles, for routes that use a VPN
    #[command(subcommand)]
    Vpn(VpnCommand),
    /// Show the state of Tor, or switch to new circuits, for routes that use Tor
    #[command(subcommand)]
    Tor(TorCommand),
    /// Print the log of the running browser
    Logs {
        /// Keep printing new lines as they arrive
        #[arg(long, short)]
        follow: bool,
        /// Number of recent lines to print first
        #[arg(long, short = 'n', default_value_t = 200)]
        lines: u32,
    },
    /// Show the sandbox policy of each role, and verify that the kernel enforces it
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Print the audit log: what was started, granted, refused and lost
    Audit {
        #[command(subcommand)]
        command: Option<AuditCommand>,
        /// Keep printing new events as they arrive
        #[arg(long, short)]
        follow: bool,
    },
    /// Show and export crash reports; they stay in the profile and are never sent anywhere
    #[command(subcommand)]
    Crashes(CrashesCommand),
    /// Inject faults, and check after each that nothing was lost; exit code 1 if a check or a budget fails
    #[command(subcommand)]
    Chaos(ChaosCommand),
    /// Check what this machine lacks to run Regen, and print how to fix it
    Doctor,
    /// Quit the running browser
    Quit,
    /// Print shell completions to standard output
    Completions {
        /// Shell to print completions for
        shell: clap_complete::Shell,
    },
    /// Print the manual page to standard output
    Man,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CrashesCommand {
    /// List all crash reports, oldest first
    List,
    /// Show one crash report
    Show {
        /// Report ID, or `last`
        id: String,
    },
    /// Write one crash report to a file, as JSON, or its minidump
    Export {
        /// Report ID, or `last`
        id: String,
        /// Write the minidump of the crashed process instead, for `minidump-stackwalk`
        #[arg(long)]
        minidump: bool,
        /// File to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no line of the log was edited or cut off, and that no break is recorded; exit code 1 if not
    Verify {
        /// Anchor that `audit anchor` printed earlier; the log must still contain it
        #[arg(long, value_name = "LENGTH:HASH")]
        anchor: Option<String>,
    },
    /// Print an anchor (length and hash of the log) to keep where none of your programs can change it
    Anchor,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the earlier sessions that can be restored, and the tabs of one of them
    List {
        /// Session whose tabs to list [default: the session on offer]
        #[arg(long, value_name = "ID")]
        session: Option<u64>,
    },
    /// Restore an earlier session
    Restore {
        /// Session to restore [default: the session on offer]
        #[arg(long, value_name = "ID")]
        session: Option<u64>,
        /// Restore only this tab (may be given more than once)
        #[arg(long = "tab", value_name = "ID")]
        tabs: Vec<u64>,
    },
    /// Stop offering a session; it can still be restored for seven days
    Dismiss {
        /// Session to dismiss [default: the session on offer]
        #[arg(long, value_name = "ID")]
        session: Option<u64>,
    },
    /// Show or choose whether the last session is restored at the next start if it ended normally
    Automatic {
        /// `on` or `off`; if omitted, show the current setting
        #[arg(value_parser = on_or_off)]
        choice: Option<bool>,
    },
    /// Save the current session; returns once it is on disk
    Save,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TabCommand {
    /// Open a tab
    Open {
        /// Address to open, or words to search for
        url: String,
        /// Wait until the page has loaded
        #[arg(long)]
        wait: bool,
        /// Maximum time to wait, in seconds
        #[arg(long, default_value_t = 30.0, value_parser = seconds)]
        timeout: f64,
        /// Workspace to open the tab in, by its name; an unknown one is made. Workspaces share no storage
        #[arg(long, default_value = "")]
        workspace: String,
        /// Open the tab without activating it
        #[arg(long)]
        background: bool,
    },
    /// List all tabs
    List,
    /// Navigate a tab to another address
    Goto {
        /// Tab ID
        id: u64,
        /// Address to go to, or words to search for
        url: String,
        /// Wait until the page has loaded
        #[arg(long)]
        wait: bool,
        /// Maximum time to wait, in seconds
        #[arg(long, default_value_t = 30.0, value_parser = seconds)]
        timeout: f64,
    },
    /// Activate a tab
    Activate {
        /// Tab ID
        id: u64,
    },
    /// End the process of a tab whose script does not finish; the tab has no page until it is reloaded
    StopScript {
        /// Tab ID
        id: u64,
    },
    /// Answer the dialog that a tab shows, or print it if no answer is given
    Dialog {
        /// Tab ID
        id: u64,
        /// Press OK
        #[arg(long, conflicts_with = "dismiss")]
        accept: bool,
        /// Press Cancel
        #[arg(long)]
        dismiss: bool,
        /// Text to enter into a prompt
        #[arg(long, requires = "accept", allow_hyphen_values = true)]
        text: Option<String>,
        /// Block further dialogs of this page; presses Cancel unless `--accept` is given
        #[arg(long)]
        stop: bool,
    },
    /// Sign in to a server that asks for a user name and password; reads the password from standard input
    Authenticate {
        /// Tab ID
        id: u64,
        /// User name
        #[arg(long, required_unless_present = "cancel", conflicts_with = "cancel")]
        user: Option<String>,
        /// Cancel the request instead of signing in
        #[arg(long)]
        cancel: bool,
    },
    /// Open the unencrypted page that a tab asks about; allows its site until the browser quits
    AllowInsecure {
        /// Tab ID
        id: u64,
    },
    /// Open the private network address that a tab asks about, after a page from the internet requested it
    AllowPrivate {
        /// Tab ID
        id: u64,
    },
    /// Allow the site of a tab to save files without a click for each, until the browser quits
    AllowDownloads {
        /// Tab ID
        id: u64,
        /// Refuse such downloads instead
        #[arg(long)]
        refuse: bool,
    },
    /// Close a tab
    Close {
        /// Tab ID
        id: u64,
    },
    /// Go back in a tab's history
    Back {
        /// Tab ID
        id: u64,
    },
    /// Go forward in a tab's history
    Forward {
        /// Tab ID
        id: u64,
    },
    /// Reload the page of a tab
    Reload {
        /// Tab ID
        id: u64,
    },
    /// Print the text of the page in a tab
    Text {
        /// Tab ID
        id: u64,
    },
    /// Save a screenshot of the page in a tab
    Screenshot {
        /// Tab ID
        id: u64,
        /// PNG file to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Click, type or scroll in a tab
    Input(InputArguments),
    /// Wait until the page of a tab has loaded
    Wait {
        /// Tab ID
        id: u64,
        /// Maximum time to wait, in seconds
        #[arg(long, default_value_t = 30.0, value_parser = seconds)]
        timeout: f64,
    },
}

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(false)))]
pub(crate) struct InputArguments {
    /// Tab ID
    pub(crate) id: u64,
    /// Click at this position, in CSS pixels
    #[arg(long, value_name = "X,Y", group = "what", value_parser = pair)]
    pub(crate) click: Option<(f64, f64)>,
    /// Type this text
    #[arg(long, value_name = "TEXT", group = "what")]
    pub(crate) r#type: Option<String>,
    /// Press a key or key combination, such as Enter, Tab, F5 or ctrl+a
    #[arg(long, value_name = "NAME", group = "what")]
    pub(crate) key: Option<String>,
    /// Scroll by this distance, in CSS pixels
    #[arg(long, value_name = "DX,DY", group = "what", value_parser = pair, allow_hyphen_values = true)]
    pub(crate) scroll: Option<(f64, f64)>,
}

fn pair(text: &str) -> Result<(f64, f64), String> {
    let wrong = || "expected two numbers separated by a comma, such as 100,200".to_owned();
    let (x, y) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    number(x).zip(number(y)).ok_or_else(wrong)
}

fn seconds(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (0.0..=86_400.0).contains(value));
    value.ok_or_else(|| "expected a number of seconds from 0 to 86400".to_owned())
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
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
    number.ok_or_else(|| "expected a signal such as KILL, TERM, STOP, CONT, SEGV or ABRT, or its number".to_owned())
}
