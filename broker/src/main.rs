//! `regen-broker`: the kernel. People start it through `regen`.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;
use regen_broker::audit::Audit;
use regen_broker::kernel::{Kernel, Options, Setup};
use regen_broker::keyboard::Keyboard;
use regen_broker::options::BrowserOptions;
use regen_broker::profile::Profile;
use regen_broker::{certificates, control, launcher, logs, store};
use regen_sandbox::lock_down;
use regen_sandbox::policy::{self, Mode, Policy};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(name = "regen-broker", version, about = "The kernel of Regen; start it with `regen`")]
struct Arguments {
    #[command(flatten)]
    browser: BrowserOptions,
    /// Write the log to stderr as well
    #[arg(long)]
    echo_log: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let programs = programs_folder()?;
    let locked = Profile::find(arguments.browser.profile.as_deref())?.lock()?;
    let profile = locked.profile.clone();
    raise_descriptor_limit();
    forget_chosen_files(&profile);
    // A policy with a mistake stops everything, before there is anything.
    let mode = if arguments.browser.jitless { Mode::Jitless } else { Mode::Jit };
    let policies = policy::all(mode)?;
    let logs = logs::init(&profile.log(), arguments.echo_log).context("cannot open the log")?;
    // Before there is any other thread: a fork takes only the calling one along.
    let forked = launcher::fork(&programs).context("cannot start the launcher")?;
    // What a policy calls optional and this machine lacks: shown, never passed over.
    let version = regen_sandbox::sys::landlock_version();
    let lacks = policies.iter().find_map(|policy| regen_sandbox::landlock::shortfall(policy, version));
    lock_down::enter("broker").context("the broker cannot lock itself down; run `regen doctor`")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(policies, lacks, arguments.browser, profile, forked, logs))
}

/// What a browser that was killed left of the files that its user chose.
fn forget_chosen_files(profile: &Profile) {
    if let Err(error) = std::fs::remove_dir_all(profile.chosen_root())
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("{} stays: {error}", profile.chosen_root().display());
    }
}

async fn run(
    policies: Vec<Policy>,
    lacks: Option<String>,
    arguments: BrowserOptions,
    profile: Profile,
    forked: launcher::Forked,
    logs: logs::Logs,
) -> anyhow::Result<()> {
    let opened = store::open(profile.root())?;
    let (ca_bundle, extra_ca) = certificates::bundle(&arguments.extra_ca, profile.root())?;
    let options = Options {
        headless: arguments.headless,
        size: arguments.size.unwrap_or((1280, 800)),
        scale: arguments.scale.unwrap_or(1),
        dark: arguments.color_scheme.is_dark(),
        keyboard: Keyboard::of_user(),
        ca_bundle,
        extra_ca,
        jitless: arguments.jitless,
        watched: arguments.watch,
    };
    let watched = options.watched.as_ref().map(|role| {
        format!("the system calls of every {role} are written down, and none is refused: not for browsing")
    });
    let mut audit = Audit::open(profile.root()).context("cannot open the audit log")?;
    let digests: serde_json::Map<String, serde_json::Value> =
        policies.iter().map(|policy| (policy.role.clone(), policy.sha256.clone().into())).collect();
    audit.record(
        "started",
        serde_json::json!({ "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION"), "policies": digests }),
    );
    let setup = Setup {
        audit,
        policies,
        options,
        launcher: forked.adopt()?,
        store: opened.store,
        previous: opened.previous,
        warnings: opened.warning.into_iter().chain(lacks).chain(watched).collect(),
        urls: arguments.urls,
        profile,
    };
    // Last: whoever finds the socket finds a browser.
    let listener = control::bind(&setup.profile.control_socket()).context("cannot open the control socket")?;
    let (kernel, handle) = Kernel::new(setup);
    tokio::spawn(control::serve(listener, handle.clone(), logs));
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let handle = handle.clone();
        tokio::spawn(async move {
            signals.recv().await;
            handle.quit().await;
        });
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    kernel.run().await;
    Ok(())
}

/// Each site takes a handful of descriptors here: as many as the system allows.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Without it there is room for fewer sites; nothing else changes.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The folder of all of Regen's programs: this one's.
fn programs_folder() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_path_buf())
}
