//! `regen chaos`: injects crashes into a browser, one after the other, and checks after each that nothing was lost.

mod clock;
mod inject;
mod invariants;
mod plan;
mod recovery;
mod report;
mod store;
mod test_page;
mod testbed;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::arguments::{ChaosCommand, ChaosOptions, Output};
use crate::client::Failure;

use plan::{Plan, Step};
use report::{Record, Report};
use testbed::Testbed;

pub(crate) async fn run(command: ChaosCommand, profile: Option<PathBuf>, output: Output) -> Result<ExitCode, Failure> {
    let (plan, options) = match command {
        ChaosCommand::Run { scenario, options } => (Plan::of_file(&scenario)?, options),
        ChaosCommand::Random { seed, faults, roles, duration, options } => {
            (Plan::random(seed, faults, &roles, options.window, duration.map(Duration::from_secs_f64))?, options)
        }
    };
    let budgets = options.budget.iter().map(|text| report::budget(text)).collect::<Result<Vec<_>, _>>()?;
    let mut report = Report::new(&plan, budgets);
    let done = options.resume.as_deref().map(Record::read).transpose()?.unwrap_or_default();
    if let Some(path) = &options.junit {
        junit_file(path)?;
    }
    let attacked = attacked(options.attack_profile.clone(), profile, std::env::var_os("REGEN_PROFILE"));
    let mut testbed = Testbed::set(attacked, &options).await?;
    let outcome = tokio::select! {
        outcome = campaign(&plan, &mut testbed, &mut report, done, &options, output) => outcome,
        failure = interrupted() => Err(failure),
    };
    // Whatever happened: no browser is left behind.
    testbed.strike().await?;
    // An interrupted campaign reports the faults that it did.
    if let Some(path) = &options.junit {
        use std::io::Write;
        junit_file(path)?.write_all(&report.junit()?)?;
    }
    outcome?;
    report.print(output);
    Ok(ExitCode::from(u8::from(!report.holds())))
}

/// An hour's campaign must not find out at its end that its report has no place.
fn junit_file(path: &Path) -> Result<std::fs::File, Failure> {
    let file = std::fs::File::create(path);
    file.map_err(|error| Failure::Usage(format!("the JUnit report cannot be written to {}: {error}", path.display())))
}

/// The profile whose browser is attacked; none: a browser of the campaign's own. A profile that the shell names for every command is
/// somebody's, and was not meant.
fn attacked(named: Option<PathBuf>, profile: Option<PathBuf>, of_shell: Option<OsString>) -> Option<PathBuf> {
    let old_form = profile.filter(|profile| named.is_none() && of_shell.is_none_or(|of_shell| *profile != of_shell));
    if let Some(profile) = &old_form {
        let profile = profile.display();
        eprintln!(
            "regen: chaos attacks the browser on {profile}. Say `--attack-profile {profile}`: `--profile` will not do so later."
        );
    }
    named.or(old_form)
}

/// Ctrl+C, or a CI job whose time is up.
async fn interrupted() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut end, mut stop) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(end), Ok(stop)) => (end, stop),
        (Err(error), _) | (_, Err(error)) => return error.into(),
    };
    tokio::select! {
        _ = end.recv() => {}
        _ = stop.recv() => {}
    }
    Failure::Timeout("interrupted: with `--resume FILE` it goes on where it was".to_owned())
}

/// Every step of the plan that was not done before, each with its checks.
async fn campaign(
    plan: &Plan,
    testbed: &mut Testbed,
    report: &mut Report,
    done: Vec<Record>,
    options: &ChaosOptions,
    output: Output,
) -> Result<(), Failure> {
    let skip = done.len();
    done.into_iter().for_each(|record| report.add(record));
    let start = Instant::now();
    for (number, step) in plan.steps.iter().enumerate().skip(skip) {
        if plan.duration.is_some_and(|duration| start.elapsed() > duration) {
            break;
        }
        let record = one(testbed, number, step).await;
        if output == Output::Text {
            record.print();
        }
        if let Some(path) = options.resume.as_deref() {
            record.append(path)?;
        }
        let failed = !record.violations.is_empty();
        if failed {
            keep(testbed, &record).await;
        }
        report.add(record);
        if failed {
            if options.fail_fast {
                break;
            }
            // What one fault broke must not be counted against the next.
            testbed.anew().await?;
        }
    }
    Ok(())
}

async fn one(testbed: &mut Testbed, number: usize, step: &Step) -> Record {
    let mut record = Record::of(number, step);
    match testbed.rehearse(number).await.and(testbed.snapshot().await) {
        Ok(before) => match inject::inject(testbed, step, &before).await {
            Ok(injected) => match testbed.recovered(&injected, &before).await {
                Ok(recovered) => {
                    record.recovery_ms = recovered.time.map(|time| time.as_secs_f64() * 1000.0);
                    record.ended_as = recovered.how;
                    record.violations = invariants::check(testbed, &injected, &before).await;
                    record.noticed = invariants::noticed(testbed, &injected, &before);
                }
                Err(failure) => record.violations.push(format!("recovery: {failure}")),
            },
            Err(failure) => record.violations.push(format!("injection: {failure}")),
        },
        Err(failure) => record.violations.push(format!("before the fault: {failure}")),
    }
    record
}

/// Keeps a failed fault for whoever looks into it: the checks that did not hold, the browser's state, and its log.
async fn keep(testbed: &Testbed, record: &Record) {
    let from = testbed.profile().join("regen.log");
    let to = std::env::temp_dir().join(format!("regen-chaos-{}-{}.log", std::process::id(), record.number));
    let status = match testbed.status().await {
        Ok(status) => format!("{status:#?}"),
        Err(failure) => format!("none: {failure}"),
    };
    let log = std::fs::read(&from).unwrap_or_else(|error| format!("{}: {error}", from.display()).into_bytes());
    let fault = serde_json::to_string_pretty(record).unwrap_or_default();
    let kept = [
        b"== the fault and what did not hold\n",
        fault.as_bytes(),
        b"\n== the browser afterwards\n",
        status.as_bytes(),
        b"\n== its log\n",
        &log,
    ];
    match std::fs::write(&to, kept.concat()) {
        Ok(()) => eprintln!("regen: what explains it is kept in {}", to.display()),
        Err(error) => eprintln!("regen: {} cannot be kept: {error}", to.display()),
    }
}

/// A scenario file's folder is where its relative paths start.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::NotFound(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_attacked_only_by_name() {
        let path = |name: &str| Some(PathBuf::from(name));
        assert_eq!(attacked(path("/a"), path("/b"), None), path("/a"));
        assert_eq!(attacked(None, path("/b"), None), path("/b"), "the old form, with a warning");
        assert_eq!(attacked(None, path("/b"), Some("/b".into())), None, "the shell's profile was not meant");
        assert_eq!(attacked(None, None, None), None);
    }

    #[test]
    fn a_report_without_a_place_is_found_before_the_campaign() {
        let why = junit_file(Path::new("/nowhere/chaos.xml")).unwrap_err();
        assert!(matches!(&why, Failure::Usage(text) if text.contains("/nowhere/chaos.xml")), "{why}");
    }
}
