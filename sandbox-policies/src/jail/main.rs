//! `regen-jail`: builds one child's sandbox from its policy, starts the role in it, and stays as the first process of its
//! PID namespace: it reaps, reports how the role ended, and by ending takes everything else in the namespace with it.
//!
//! It is not for people: the launcher starts it with the descriptors of `regen_sandbox::spawn`.

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

/// One step failed; nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {error}")]
struct SetupError {
    step: String,
    error: std::io::Error,
}

/// Names the step that failed.
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
    // Without a reader the launcher is gone, and so will we be.
    let _ = report.write_all(text.as_bytes());
    sys::exit_now(code);
}

/// Builds the sandbox and starts the role in it. Returns the role's id in this PID namespace.
fn start() -> Result<i32, SetupError> {
    let contents = std::env::args().nth(1).ok_or_else(|| std::io::Error::other("missing")).step("the contents")?;
    let contents: Contents = toml::from_str(&contents).map_err(std::io::Error::other).step("the contents")?;
    let policy = contents.policy().map_err(std::io::Error::other).step("the policy")?;

    // 1. The id maps are written, or the launcher is gone.
    let mut go = [0; 1];
    File::from(sys::inherit(spawn::GO)).read_exact(&mut go).step("the launcher's go-ahead")?;

    // 2. Hold every source while this process still is the user who started it: folders on the way may be private.
    let sources = file_view::hold(&policy, &contents)?;
    if let Some(memory) = &policy.memory {
        std::fs::write("/proc/self/oom_score_adj", memory.oom_score_adj.to_string()).step("oom_score_adj")?;
    }

    // 3. Become the sandbox's user, who is never root on the outside.
    let groups_allowed = std::fs::read_to_string("/proc/self/setgroups").step("read setgroups")?.trim() == "allow";
    sys::become_user(spawn::INSIDE_ID, groups_allowed).step("become the sandbox's user")?;

    // 4. Die with the launcher. After the change of user, which clears it; and before anything runs.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("parent death signal")?;

    // 5. The file view replaces the machine's.
    file_view::enter(&policy, sources)?;
    // A guest's crash is its owner's business.
    let crashes = if contents.guest.is_none() { Some(dumper::listen()?) } else { None };
    file_view::lock()?;

    // 6. Names and network of its own.
    if policy.namespaces.new.contains(&Namespace::Uts) {
        rustix::system::sethostname(b"regen").step("host name")?;
    }
    if policy.namespaces.new.contains(&Namespace::Net) {
        sys::loopback_up().step("loopback interface")?;
    }

    // 7. Whoever will look at the role's memory should it crash; or a guest in its place.
    let dumper = crashes.map(|crashes| dumper::start(&policy, crashes)).transpose()?;
    let as_dumper = contents.guest.as_ref().filter(|guest| guest.as_dumper);
    let as_dumper = as_dumper.map(|guest| dumper::start_guest(&policy, guest)).transpose()?;

    // 8. No right is left, and none can be regained.
    for limit in &policy.limit {
        sys::set_limit(limit.resource, limit.value).step("resource limit")?;
    }
    drop_rights()?;

    // 9. The role's filter is made here, while its policy can still be read; the jail's own as well.
    let role_filter =
        if contents.watched { seccomp::watching() } else { seccomp::filter(&policy, lock_down::otherwise(&policy)) };
    let role_filter = role_filter.map_err(std::io::Error::other).step("the filter")?;
    let own = Policy::of("jail").map_err(std::io::Error::other).step("the jail's policy")?;
    let own_filter =
        seccomp::filter(&own, lock_down::otherwise(&own)).map_err(std::io::Error::other).step("the jail's filter")?;

    // 10. The role, under its Landlock domain and filter; and this process, which from here on only waits.
    let role = if as_dumper.is_some() { as_dumper } else { sys::fork().step("fork")? };
    match role {
        Some(role) => {
            // Only the role holds its channel, so that its end is the channel's end.
            drop(dumper);
            drop(sys::inherit(spawn::CHANNEL));
            drop(sys::inherit(spawn::LISTENER));
            seccomp::load(&own_filter, Otherwise::Refuse).map_err(std::io::Error::other).step("the jail's filter")?;
            Ok(role)
        }
        None => {
            let error = become_role(&policy, contents.guest.as_ref(), &role_filter, dumper);
            // The log is all that is left to say it to.
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
        // A capability that this kernel does not know cannot be held either.
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(error) => Err(error).step("bounding set"),
    }
}

/// In the child: the role's own program, environment and descriptors. Returns only on failure.
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
        // Last: from here on only what the policy allows is possible. The broker must hold the listener before the program
        // starts, for that is the first thing it is asked about.
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

/// A guest's program, and what it is told, its own name first.
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
