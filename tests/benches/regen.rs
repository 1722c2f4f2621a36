//! Regen against WebKitGTK's own MiniBrowser: the same engine and pages, in alternating runs. Results are ratios of
//! medians, because machines and single runs are noisy.
//!
//! The page tells its server when it is interactive (`load`, then two animation frames), so that both browsers are
//! measured from outside, in the same way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking, and prints its results"
)]

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use regen_tests::bench::{DEADLINE, Server, ServerEvent, bound, median, processor_time, report};
use regen_tests::window::Display;
use regen_tests::{Browser, MiniBrowser, eventually, process, programs, programs_with, within};
use rustix::process::Signal;

const RUNS: usize = 10;
const PAGE: &str = "/library/inspect.html";
const SECOND: &str = "/library/functions.html";

/// Runs all measurements, or those whose names are arguments.
fn main() {
    let server = Server::start();
    let display = Display::start(1280, 800);
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let measurements: [(&str, &dyn Fn()); 6] = [
        ("starts", &|| starts(&server, &display)),
        ("downloads", &|| downloads(&server, &display)),
        ("running", &|| running(&server)),
        ("many_children", &many_children),
        ("hostile_hosts", &hostile_hosts),
        ("hosts_die_at_once", &hosts_die_at_once),
    ];
    for (name, measure) in measurements {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure();
        }
    }
}

/// Measures the start, recovery after a kill, and loading of a second page.
fn starts(server: &Server, display: &Display) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut recovered, mut our_second, mut their_second) = (Vec::new(), Vec::new(), Vec::new());
    // The first run of each fills the machine's file cache.
    for run in 0..=RUNS {
        server.forget();
        let start = Instant::now();
        let mini = MiniBrowser::start(display, &[&server.url(1, PAGE)]);
        let their_start = server.wait(ServerEvent::Done) - start;
        drop(mini);

        server.forget();
        *server.next.lock().unwrap() = SECOND.to_owned();
        let mini = MiniBrowser::start(display, &[&server.url(1, PAGE)]);
        let left = server.wait(ServerEvent::Leaving);
        let their_next = server.wait(ServerEvent::Done) - left;
        drop(mini);

        server.forget();
        let url = server.url(1, PAGE);
        let start = Instant::now();
        let browser = Browser::with_options(&["--headless", &url]);
        let our_start = server.wait(ServerEvent::Done) - start;

        // Each host is killed once: after a second death, the broker delays the restart.
        let second = browser.open(&server.url(2, PAGE));
        for tab in [1, second] {
            browser.regen(&["tab", "activate", &tab.to_string()]).unwrap();
            eventually("a prelaunched process", || has_spare(&browser).then_some(()));
            server.forget();
            let pid = browser.pid_of_tab(tab);
            let start = Instant::now();
            process::signal(pid, rustix::process::Signal::KILL);
            let our_recovery = server.wait(ServerEvent::Done) - start;
            if run > 0 {
                recovered.push(our_recovery);
            }
        }
        drop(browser);

        server.forget();
        *server.next.lock().unwrap() = SECOND.to_owned();
        let browser = Browser::with_options(&["--headless", &url]);
        let left = server.wait(ServerEvent::Leaving);
        let our_next = server.wait(ServerEvent::Done) - left;
        drop(browser);

        if run > 0 {
            theirs.push(their_start);
            ours.push(our_start);
            our_second.push(our_next);
            their_second.push(their_next);
        }
    }
    let theirs = median(theirs);
    report("start to interactive", median(ours), "MiniBrowser", theirs, 0.9);
    recovered.sort();
    let late = recovered[recovered.len() * 95 / 100 - 1];
    report("kill -9 of the tab-host to interactive", median(recovered), "MiniBrowser", theirs, 0.55);
    report("the same, 95th percentile", late, "MiniBrowser", theirs, 0.8);
    report("a second page of the same site", median(our_second), "MiniBrowser", median(their_second), 1.05);
}

fn has_spare(browser: &Browser) -> bool {
    browser.status()["processes"].as_array().unwrap().iter().any(|process| process["state"] == "spare")
}

/// Measures the broker's cost of supervising many children that only answer heartbeats.
fn many_children() {
    const CHILDREN: usize = 200;
    let decent = fs::read(programs().join("regen-hostile-child")).unwrap();
    let folder = programs_with("tab-host", &decent);
    let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
    browser.start();
    for site in 0..CHILDREN {
        browser.regen(&["tab", "open", &format!("http://decent{site}.test/")]).unwrap();
    }
    let ready = || browser.status()["processes"].as_array().unwrap().iter().filter(|p| p["state"] == "ready").count();
    eventually("all children to be ready", || (ready() >= CHILDREN).then_some(()));
    // The child ends after twenty heartbeats, which sets the length of the measurement.
    let clock = browser.json(&["tab", "open", "http://twenty-heartbeats.test/"])["id"].as_u64().unwrap();
    let pid = eventually("the timing child", || Some(browser.pid_of_tab(clock)).filter(|pid| *pid > 0));
    let (start, before) = (Instant::now(), processor_time(browser.broker()));
    within(DEADLINE, || (!process::is_alive(pid)).then_some(())).expect("twenty heartbeats");
    let used = (processor_time(browser.broker()) - before) / start.elapsed().as_secs_f64() * 100.0;
    bound("the broker with 200 children", used, "% of a core", 1.0);
    let resident = process::status_field(browser.broker(), "VmRSS").unwrap();
    let resident: f64 = resident.trim_end_matches(" kB").parse().unwrap();
    bound("the broker with 200 children", resident / 1024.0, "MB", 40.0);
}

/// Measures steps of the broker's event loop while three hostile hosts send payloads for foreign tabs, endless
/// snapshots and endless requests and log lines.
fn hostile_hosts() {
    let hostile = fs::read(programs().join("regen-hostile-child")).unwrap();
    let folder = programs_with("tab-host", &hostile);
    let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
    browser.start();
    let open = |url: &str| browser.json(&["tab", "open", url])["id"].as_u64().unwrap();
    let quiet = open("http://decent.test/");
    let pid = eventually("the neighbour", || Some(browser.pid_of_tab(quiet)).filter(|pid| *pid > 0));
    for host in ["greedy", "hoarder", "chatty"] {
        open(&format!("http://{host}.test/"));
    }
    let clock = open("http://twenty-heartbeats.test/");
    let its = eventually("the timing child", || Some(browser.pid_of_tab(clock)).filter(|pid| *pid > 0));
    within(DEADLINE, || (!process::is_alive(its)).then_some(())).expect("twenty heartbeats");
    let times = browser.status()["broker"]["event_loop"].clone();
    let ms = |field: &str| times[field].as_f64().unwrap() / 1000.0;
    println!("{} steps of the event loop; kind of the longest: {}", times["steps"], times["longest_kind"]);
    bound("event loop step, hostile hosts, 99th pct.", ms("p99_us"), "ms", 5.0);
    bound("longest event loop step", ms("longest_us"), "ms", 50.0);
    assert_eq!(browser.pid_of_tab(quiet), pid, "another host was ended");
}

/// Measures steps of the broker's event loop while twenty hosts die at once, each of which leaves 100,000 files in its storage and as
/// many beside it.
fn hosts_die_at_once() {
    const HOSTS: usize = 20;
    const FILES: usize = 100_000;
    let decent = fs::read(programs().join("regen-hostile-child")).unwrap();
    let folder = programs_with("tab-host", &decent);
    let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
    browser.start();
    for site in 0..HOSTS {
        browser.regen(&["tab", "open", &format!("http://decent{site}.test/")]).unwrap();
    }
    let ready = || {
        let status = browser.status();
        let processes = status["processes"].as_array().unwrap().iter();
        let hosts = processes.filter(|process| process["role"] == "tab-host" && process["state"] == "ready");
        let pids: Vec<i64> = hosts.map(|process| process["pid"].as_i64().unwrap()).collect();
        (pids.len() >= HOSTS).then_some(pids)
    };
    let first = eventually("all hosts to be ready", ready);
    for mount in fs::read_dir(browser.profile().join("slots")).unwrap() {
        let mount = mount.unwrap();
        if !mount.file_type().unwrap().is_dir() {
            continue;
        }
        for folder in [mount.path().join("left"), mount.path().join("site/left")] {
            fs::create_dir_all(&folder).unwrap();
            (0..FILES).for_each(|file| fs::write(folder.join(file.to_string()), "").unwrap());
        }
    }
    for pid in &first {
        process::signal(i32::try_from(*pid).unwrap(), Signal::KILL);
    }
    let again = || ready().filter(|pids| pids.iter().all(|pid| !first.contains(pid)));
    eventually("all hosts to be back", again);
    let times = browser.status()["broker"]["event_loop"].clone();
    let ms = |field: &str| times[field].as_f64().unwrap() / 1000.0;
    println!("{} steps of the event loop; kind of the longest: {}", times["steps"], times["longest_kind"]);
    bound("event loop step, 20 hosts die, 99th pct.", ms("p99_us"), "ms", 5.0);
    bound("longest event loop step, 20 hosts die", ms("longest_us"), "ms", 20.0);
}

fn downloads(server: &Server, display: &Display) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        server.forget();
        let mini = MiniBrowser::start(display, &[&server.url(1, "/big")]);
        let start = server.wait(ServerEvent::BigStarted);
        theirs.push(server.wait(ServerEvent::BigSent) - start);
        drop(mini);

        server.forget();
        let browser = Browser::headless();
        browser.regen(&["tab", "open", &server.url(1, "/big")]).unwrap();
        let start = server.wait(ServerEvent::BigStarted);
        ours.push(server.wait(ServerEvent::BigSent) - start);
        let file = browser.downloads().join("big.bin");
        let deadline = Instant::now() + DEADLINE;
        while !file.exists() {
            assert!(Instant::now() < deadline, "the download did not arrive within {DEADLINE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // At least 0.6 of the throughput is at most 1/0.6 of the time.
    report("a 200 MB download", median(ours), "MiniBrowser", median(theirs), 1.0 / 0.6);
}

fn running(server: &Server) {
    let browser = Browser::headless();
    let mut memory = HashMap::new();
    for site in 1..=3_u8 {
        server.forget();
        browser.open(&server.url(site, PAGE));
    }
    // The engine does background work for some seconds after a page has loaded.
    std::thread::sleep(Duration::from_secs(15));
    let family: Vec<i32> = process::descendants(browser.broker()).into_keys().chain([browser.broker()]).collect();
    let before: f64 = family.iter().map(|pid| processor_time(*pid)).sum();
    std::thread::sleep(Duration::from_secs(20));
    let idle = (family.iter().map(|pid| processor_time(*pid)).sum::<f64>() - before) / 20.0 * 100.0;
    bound("the idle browser with three tabs", idle, "% of a core", 1.0);

    const CALLS: u32 = 50;
    let own = || ended_children_time() + processor_time(browser.broker());
    let before = own();
    for _ in 0..CALLS {
        browser.regen(&["--json", "status"]).unwrap();
    }
    bound("regen status --json, client and broker", (own() - before) * 1000.0 / f64::from(CALLS), "ms of CPU", 15.0);

    for site in 4..=6_u8 {
        server.forget();
        browser.open(&server.url(site, PAGE));
    }
    std::thread::sleep(Duration::from_secs(3));
    let status = browser.json(&["status", "--memory"]);
    for process in status["processes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|process| process["role"] == "tab-host" && process["site"] != "")
    {
        memory.insert(process["site"].as_str().unwrap().to_owned(), process["pss_kb"].as_f64().unwrap() / 1024.0);
    }
    let mean = memory.values().sum::<f64>() / memory.len() as f64;
    bound("PSS of each of six sites", mean, "MB", 115.0);
}

/// Returns the processor time of this process's ended children, in seconds.
fn ended_children_time() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()) / TICKS
}
