//! `regen-jail`: builds one child's sandbox from its policy, starts the role in it, and stays as the first process of
//! its PID namespace. There it reaps, reports how the role ended, and by ending ends everything else in the namespace.
//!
//! People do not run it: the launcher starts it with the descriptors of `regen_sandbox::spawn`.

mod dumper;
mod file_view;

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use libseccomp::ScmpFilterContext;
use regen_sandbox::policy::{Guest, Namespace, Policy};
use regen_sandbox::seccomp::{self, Otherwise};
use regen_sandbox::spawn::{self, Contents};
use regen_sandbox::{landlock, lock_down, sys};
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// A setup step that failed. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {error}")]
struct SetupError {
    step: String,
    error: std::io::Error,
}

/// Adds the name of the failed step to an error.
trait Step<T> {
    fn step(self, name: &str) -> Result<T, SetupError>;
}

impl<T, E: Into<std::io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: &str) -> Result<T, SetupError> {
        self.map_err(|error| SetupError { step: name.to_owned(), error: error.into() })
    }
}

fn main() {
    let mut report = File::from(sys::inherit(spawn::REPORT));
    let outcome = start().and_then(|role| reap_until(role).step("wait for the role"));
    let (text, code) = match outcome {
        Ok(status) => (format!("status {status}"), 0),
        Err(error) => (format!("setup failed: {error}"), 70),
    };
    // Without a reader the launcher is gone, and this process ends with it.
    let _ = report.write_all(text.as_bytes());
    sys::exit_now(code);
}

/// Builds the sandbox and starts the role in it. Returns the role's id in this PID namespace.
fn start() -> Result<i32, SetupError> {
    let contents = std::env::args().nth(1).ok_or_else(|| std::io::Error::other("missing")).step("the settings")?;
    let contents: Contents = toml::from_str(&contents).map_err(std::io::Error::other).step("the settings")?;
    let policy = contents.policy().map_err(std::io::Error::other).step("the role's policy")?;

    // 1. Wait until the id maps are written; fail if the launcher is gone.
    let mut go = [0; 1];
    File::from(sys::inherit(spawn::GO)).read_exact(&mut go).step("wait for the launcher")?;

    // 2. Open every source while this process is still the user who started it: folders on the path may be private.
    let sources = file_view::hold(&policy, &contents)?;
    if let Some(memory) = &policy.memory {
        std::fs::write("/proc/self/oom_score_adj", memory.oom_score_adj.to_string()).step("oom_score_adj")?;
    }

    // 3. Become the sandbox's user, who is never root outside.
    let groups_allowed = std::fs::read_to_string("/proc/self/setgroups").step("read setgroups")?.trim() == "allow";
    sys::become_user(spawn::INSIDE_ID, groups_allowed).step("become the sandbox's user")?;

    // 4. Die with the launcher. This follows the change of user, which clears it, and precedes anything that runs.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("parent death signal")?;

    // 5. Replace the machine's files with the file view.
    file_view::enter(&policy, sources)?;
    // A guest has no dumper: its crashes concern the command that runs it.
    let crashes = if contents.guest.is_none() { Some(dumper::listen()?) } else { None };
    file_view::lock()?;

    // 6. Set the host name and bring up the loopback interface of the new namespaces.
    if policy.namespaces.new.contains(&Namespace::Uts) {
        rustix::system::sethostname(b"regen").step("host name")?;
    }
    if policy.namespaces.new.contains(&Namespace::Net) {
        sys::loopback_up().step("loopback interface")?;
    }

    // 7. Start the dumper, or a guest in its place.
    let dumper = crashes.map(|crashes| dumper::start(&policy, crashes)).transpose()?;
    let as_dumper = contents.guest.as_ref().filter(|guest| guest.as_dumper);
    let as_dumper = as_dumper.map(|guest| dumper::start_guest(&policy, guest)).transpose()?;

    // 8. Drop all rights, so that none can be regained.
    for limit in &policy.limit {
        sys::set_limit(limit.resource, limit.value).step("resource limit")?;
    }
    drop_rights()?;

    // 9. Build the filters of the role and of the jail.
    let role_filter =
        if contents.watched { seccomp::watching() } else { seccomp::filter(&policy, lock_down::otherwise(&policy)) };
    let role_filter = role_filter.map_err(std::io::Error::other).step("the role's filter")?;
    let own = Policy::of("jail").map_err(std::io::Error::other).step("the jail's policy")?;
    let own_filter =
        seccomp::filter(&own, lock_down::otherwise(&own)).map_err(std::io::Error::other).step("the jail's filter")?;

    // 10. Start the role, under its Landlock domain and filter. From here on this process only waits.
    let role = if as_dumper.is_some() { as_dumper } else { sys::fork().step("fork")? };
    match role {
        Some(role) => {
            // Only the role holds its channel, so the channel closes when the role ends.
            drop(dumper);
            drop(sys::inherit(spawn::CHANNEL));
            drop(sys::inherit(spawn::LISTENER));
            seccomp::load(&own_filter, Otherwise::Refuse).map_err(std::io::Error::other).step("the jail's filter")?;
            Ok(role)
        }
        None => {
            let error = become_role(&policy, contents.guest.as_ref(), &role_filter, dumper);
            // The log is the only place left to report this.
            let _ = sys::say(2, &format!("regen-jail: {error}\n"));
            sys::exit_now(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 });
        }
    }
}

fn drop_rights() -> Result<(), SetupError> {
    rustix::thread::clear_ambient_capability_set().step("ambient capabilities")?;
    for number in 0..64_u32 {
        let Some(capability) = CapabilitySet::from_bits(1 << number).and_then(|set| set.iter().next()) else {
            continue;
        };
        remove_from_bounds(capability)?;
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).step("capabilities")?;
    rustix::thread::set_no_new_privs(true).step("no new privileges")
}

fn remove_from_bounds(capability: CapabilitySet) -> Result<(), SetupError> {
    match rustix::thread::remove_capability_from_bounding_set(capability) {
        // A capability that this kernel does not know cannot be held.
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(error) => Err(error).step("bounding set"),
    }
}

/// Runs in the child: sets up the role's descriptors, environment, Landlock domain and filter, and executes its
/// program. Returns only on failure.
fn become_role(
    policy: &Policy,
    guest: Option<&Guest>,
    filter: &ScmpFilterContext,
    dumper: Option<OwnedFd>,
) -> std::io::Error {
    let prepare = || -> std::io::Result<(CString, Vec<CString>, Vec<CString>)> {
        drop(sys::inherit(spawn::REPORT));
        if let Some(dumper) = &dumper {
            sys::place(dumper.as_raw_fd(), spawn::DUMPER)?;
        }
        sys::close_from(spawn::LISTENER.cast_unsigned() + 1)?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::process::setsid()?;
        let (program, arguments) = match guest {
            Some(guest) => guest_command(guest)?,
            None => {
                let own = CString::new(format!("/regen/{}", policy.program))?;
                (own.clone(), vec![own])
            }
        };
        let environment = policy
            .env
            .iter()
            .filter_map(|env| Some((&env.name, env.value.clone().or_else(|| std::env::var(&env.name).ok())?)))
            .map(|(name, value)| CString::new(format!("{name}={value}")))
            .chain(file_view::display_variables().into_iter().map(CString::new))
            .collect::<Result<_, _>>()?;
        let broker = sys::inherit(spawn::LISTENER);
        let inside = |path: &str| Some(file_view::fill_in(path, Path::new("")));
        landlock::enter(policy, &inside).map_err(std::io::Error::other)?;
        // Last, because from here on only what the policy allows is possible. The broker must receive the listener
        // before exec, because exec is the first call that it is asked about.
        let listener = seccomp::load(filter, Otherwise::Notify).map_err(std::io::Error::other)?;
        let listener = listener.ok_or_else(|| std::io::Error::other("the filter has no listener"))?;
        sys::send_descriptor(&broker, &listener)?;
        Ok((program, arguments, environment))
    };
    match prepare() {
        Ok((program, arguments, environment)) => sys::exec(&program, &arguments, &environment),
        Err(error) => error,
    }
}

/// Returns a guest's program and its arguments, the first of which is the program.
fn guest_command(guest: &Guest) -> std::io::Result<(CString, Vec<CString>)> {
    let program = CString::new(guest.program.as_os_str().as_encoded_bytes())?;
    let told = guest.arguments.iter().map(|word| CString::new(word.as_str()));
    let arguments = std::iter::once(Ok(program.clone())).chain(told).collect::<Result<_, _>>()?;
    Ok((program, arguments))
}

fn reap_until(role: i32) -> std::io::Result<i32> {
    loop {
        let (pid, status) = sys::wait_any()?;
        if pid == role {
            return Ok(status);
        }
    }
}
