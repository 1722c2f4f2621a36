//! Checks that must hold after every fault.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use regen_proto::control::v1::StatusReply;
use regen_proto::places::v1::{VisitAction, VisitFilter, VisitsRequest};
use regen_sandbox::policy::Policy;
use regen_sandbox::verify;

use super::recovery::reasons;
use super::test_page;
use super::testbed::{Before, Footprint, Injected, Testbed};

/// Time within which processes that are starting or ending settle.
const SETTLED: Duration = Duration::from_secs(5);
/// Number of descriptors that the broker may hold beyond the baseline, for messages in transit.
const MORE_DESCRIPTORS: usize = 16;
/// Memory that the broker may use beyond the baseline, in KB.
const MORE_MEMORY: u64 = 48 << 10;

/// Runs all checks. Returns a description of each violation.
pub(super) async fn check(testbed: &mut Testbed, injected: &Injected, before: &Before) -> Vec<String> {
    let mut wrong = deaths(testbed, injected, before);
    wrong.extend(downloads(testbed));
    // Repeat until everything has settled: only lasting violations count.
    let deadline = Instant::now() + SETTLED;
    loop {
        let mut found = pages(testbed, injected, before).await;
        found.extend(history(testbed).await);
        match testbed.status().await {
            Ok(status) => {
                found.extend(processes(&status, before, injected));
                // Measure only once the processes have settled.
                if found.is_empty() {
                    found.extend(footprint(testbed, &status));
                }
            }
            Err(failure) => found.push(format!("no status: {failure}")),
        }
        if found.is_empty() || Instant::now() > deadline {
            wrong.extend(found);
            return wrong;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Checks that every tab has its address, history, scroll position and text, and that pages of other sites ran on.
async fn pages(testbed: &Testbed, injected: &Injected, before: &Before) -> Vec<String> {
    let mut wrong = Vec::new();
    let status = match testbed.status().await {
        Ok(status) => status,
        Err(failure) => return vec![format!("no status: {failure}")],
    };
    if status.tabs.len() != before.status.tabs.len() {
        wrong.push(format!("there were {} tabs, now there are {}", before.status.tabs.len(), status.tabs.len()));
    }
    for (site, expected) in testbed.expected.iter().enumerate() {
        let Some(tab) = status.tabs.iter().find(|tab| tab.id == expected.tab) else {
            wrong.push(format!("the tab of {} is gone", expected.url));
            continue;
        };
        if tab.url != expected.url || tab.state != "ready" {
            wrong.push(format!("{} is {} and shows {}", expected.url, tab.state, tab.url));
        }
        if !tab.can_go_back {
            wrong.push(format!("{} has lost its history", expected.url));
        }
        let (Some(now), Some(old)) = (testbed.test_page(expected.tab).await, before.test_pages.get(site)) else {
            wrong.push(format!("{} does not answer", expected.url));
            continue;
        };
        if now.field != expected.field {
            wrong.push(format!("{}: the text was “{}”, now “{}”", expected.url, expected.field, now.field));
        }
        if now.scroll != expected.scroll {
            wrong.push(format!("{}: the scroll position was {}, now {}", expected.url, expected.scroll, now.scroll));
        }
        if injected.browser || injected.sites.contains(&site) {
            continue;
        }
        if now.token != old.token {
            wrong.push(format!("{} was reloaded, although the fault did not affect its site", expected.url));
        }
        // A page in the background ticks once a second.
        let enough = before.seen_at.elapsed() > Duration::from_millis(2500);
        if now.tick < old.tick || (enough && now.tick == old.tick) {
            wrong.push(format!("the script of {} stopped running", expected.url));
        }
    }
    wrong
}

/// Checks that the history still has every page that was visited.
async fn history(testbed: &Testbed) -> Vec<String> {
    let mut wrong = Vec::new();
    for expected in &testbed.expected {
        for url in [expected.url.clone(), expected.url.replace("/two", "/one")] {
            let filter = Some(VisitFilter { url: url.clone(), ..VisitFilter::default() });
            let request =
                VisitsRequest { action: VisitAction::List.into(), filter, limit: 1, ..VisitsRequest::default() };
            match testbed.client.api.clone().visits(request).await {
                Ok(reply) if !reply.get_ref().visits.is_empty() => {}
                Ok(_) => wrong.push(format!("{url} is no longer in the history of visited pages")),
                Err(status) => wrong.push(format!("no answer about the history: {status}")),
            }
        }
    }
    wrong
}

/// Checks that no process of an unaffected site died.
fn deaths(testbed: &Testbed, injected: &Injected, before: &Before) -> Vec<String> {
    more_deaths(testbed, before, |site| !injected.browser && !injected.sites.contains(&site), 0)
}

/// Returns additional deaths of affected sites, which are no violations. The engine ends its own network process if
/// that does not answer for six seconds, as on an overloaded machine.
pub(super) fn noticed(testbed: &Testbed, injected: &Injected, before: &Before) -> Vec<String> {
    more_deaths(testbed, before, |site| injected.sites.contains(&site), injected.deaths)
}

fn more_deaths(testbed: &Testbed, before: &Before, of: impl Fn(usize) -> bool, most: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (_, expected) in testbed.expected.iter().enumerate().filter(|(site, _)| of(*site)) {
        let name = before.status.tabs.iter().find(|tab| tab.id == expected.tab).map_or("", |tab| &tab.site);
        match testbed.deaths(name, before.time) {
            Ok(deaths) if deaths.len() > most => {
                found.push(format!("{most} deaths of {name} were injected, but reported: {}", reasons(&deaths)));
            }
            Ok(_) => {}
            Err(failure) => found.push(format!("crash reports: {failure}")),
        }
    }
    found
}

/// Checks that every download without the `.part` suffix is complete.
fn downloads(testbed: &Testbed) -> Vec<String> {
    let files = fs::read_dir(testbed.downloads()).into_iter().flatten().flatten();
    let is_whole = |size: u64| size == test_page::FILE as u64;
    let finished = files.filter(|file| !file.file_name().to_string_lossy().ends_with(".part"));
    let broken = finished.filter(|file| file.metadata().is_ok_and(|data| !is_whole(data.len())));
    broken.map(|file| format!("{} looks finished, but is incomplete", file.path().display())).collect()
}

/// Checks that no process is left over, and that every process matches its policy.
fn processes(status: &StatusReply, before: &Before, injected: &Injected) -> Vec<String> {
    let mut wrong = Vec::new();
    let broker = status.broker.as_ref().map_or(0, |broker| broker.pid);
    let mut known = BTreeSet::from([broker]);
    let mut roles: Vec<(String, i32)> = Vec::new();
    match verify::launcher_of(broker) {
        Ok(Some(launcher)) => roles.push(("launcher".to_owned(), launcher)),
        Ok(None) => wrong.push("the broker has no launcher".to_owned()),
        Err(error) => wrong.push(format!("cannot inspect the launcher: {error}")),
    }
    for process in status.processes.iter().filter(|process| process.pid > 0) {
        if !["ready", "spare"].contains(&process.state.as_str()) {
            wrong.push(format!("the {} {} is {}", process.role, process.site, process.state));
        }
        roles.push((process.role.clone(), process.pid));
        roles.extend(process.helpers.iter().map(|helper| (process.role.clone(), helper.pid)));
        if process.role != "broker" {
            match verify::jail_of(process.pid) {
                Ok(jail) => {
                    roles.push(("jail".to_owned(), jail));
                    match verify::dumper_of(jail) {
                        Ok(Some(dumper)) => roles.push(("dumper".to_owned(), dumper)),
                        Ok(None) => wrong.push(format!("the {} {} has no dumper", process.role, process.site)),
                        Err(error) => wrong.push(format!("cannot inspect a dumper: {error}")),
                    }
                    // The window does not report its helpers: they are the processes in its jail.
                    if process.role == "ui-shell" {
                        known.extend(descendants(jail).into_iter().map(|(pid, _)| pid));
                    }
                }
                Err(error) => wrong.push(format!("cannot inspect process {}: {error}", process.pid)),
            }
        }
    }
    let has_spare = |status: &StatusReply| status.processes.iter().any(|process| process.state == "spare");
    if has_spare(&before.status) && !has_spare(status) {
        wrong.push("the spare tab-host is missing".to_owned());
    }
    known.extend(roles.iter().map(|(_, pid)| *pid));
    for (pid, name) in descendants(broker) {
        if !known.contains(&pid) {
            wrong.push(format!("process {pid} ({name}) is left over"));
        }
    }
    if injected.browser {
        let old = before.status.processes.iter().flat_map(|process| {
            process.helpers.iter().map(|helper| helper.pid).chain([process.pid]).collect::<Vec<_>>()
        });
        for pid in old.filter(|pid| *pid > 0 && !known.contains(pid) && is_alive(*pid)) {
            wrong.push(format!("process {pid} outlived its browser"));
        }
    }
    for (role, pid) in roles {
        let report = Policy::of(&role)
            .map_err(|error| error.to_string())
            .and_then(|policy| verify::verify(&policy, pid, broker).map_err(|error| error.to_string()));
        match report {
            Ok(report) if report.holds() => {}
            Ok(report) => {
                let drift = report.checks.iter().find(|check| !check.holds);
                let what = drift.map_or(String::new(), |check| format!("{}: {}", check.name, check.found));
                wrong.push(format!("the {role} {pid} differs from its policy: {what}"));
            }
            Err(error) => wrong.push(format!("cannot verify the {role} {pid}: {error}")),
        }
    }
    wrong
}

/// Checks that descriptors, memory and mounts have not grown. After a restart, sets a new baseline.
fn footprint(testbed: &mut Testbed, status: &StatusReply) -> Vec<String> {
    let now = match testbed.footprint(status) {
        Ok(now) => now,
        Err(failure) => return vec![format!("cannot inspect the broker: {failure}")],
    };
    let Footprint { descriptors, resident_kb, mounts } = testbed.baseline;
    if descriptors == 0 {
        testbed.baseline = now;
        return Vec::new();
    }
    let mut wrong = Vec::new();
    if now.descriptors > descriptors + MORE_DESCRIPTORS {
        wrong.push(format!("the broker had {descriptors} descriptors, now it has {}", now.descriptors));
    }
    if now.resident_kb > resident_kb + MORE_MEMORY {
        wrong.push(format!("the broker used {resident_kb} KB, now it uses {} KB", now.resident_kb));
    }
    if now.mounts != mounts {
        wrong.push(format!("there were {mounts} mounts, now there are {}", now.mounts));
    }
    wrong
}

fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X'])))
}

/// Returns all descendants of a process, with their names. Zombies are left out.
pub(super) fn descendants(root: i32) -> Vec<(i32, String)> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some((name, rest)) = stat.rsplit_once(')') else { continue };
        let mut fields = rest.split_whitespace();
        let (Some(state), Some(parent)) = (fields.next(), fields.next().and_then(|parent| parent.parse::<i32>().ok()))
        else {
            continue;
        };
        if state != "Z" {
            let name = name.split_once('(').map_or("", |(_, name)| name).to_owned();
            parents.push((pid, parent, name));
        }
    }
    let mut below = BTreeSet::from([root]);
    let mut found = Vec::new();
    loop {
        let next: Vec<_> =
            parents.iter().filter(|(pid, parent, _)| below.contains(parent) && !below.contains(pid)).cloned().collect();
        if next.is_empty() {
            return found;
        }
        for (pid, _, name) in next {
            below.insert(pid);
            found.push((pid, name));
        }
    }
}
