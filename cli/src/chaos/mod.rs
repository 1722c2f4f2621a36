//! `regen chaos`: injects faults into a browser, one after the other, and checks after each that nothing was lost.

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
    // Clean up even after a failure.
    testbed.strike().await?;
    // An interrupted campaign reports the faults injected so far.
    if let Some(path) = &options.junit {
        use std::io::Write;
        junit_file(path)?.write_all(&report.junit()?)?;
    }
    outcome?;
    report.print(output);
    Ok(ExitCode::from(u8::from(!report.holds())))
}

/// Creates the JUnit report. Also called before the campaign, so that an unwritable path fails early.
fn junit_file(path: &Path) -> Result<std::fs::File, Failure> {
    let file = std::fs::File::create(path);
    file.map_err(|error| Failure::Usage(format!("cannot write the JUnit report to {}: {error}", path.display())))
}

/// Returns the profile whose browser is attacked, or `None` to start a separate browser. A profile from `REGEN_PROFILE`
/// is not attacked: the user did not name it for this command.
fn attacked(named: Option<PathBuf>, profile: Option<PathBuf>, of_shell: Option<OsString>) -> Option<PathBuf> {
    let old_form = profile.filter(|profile| named.is_none() && of_shell.is_none_or(|of_shell| *profile != of_shell));
    if let Some(profile) = &old_form {
        let profile = profile.display();
        eprintln!(
            "regen: chaos attacks the browser on {profile}: use `--attack-profile {profile}`, `--profile` is deprecated"
        );
    }
    named.or(old_form)
}

/// Waits for SIGINT or SIGTERM, such as from Ctrl+C or a CI job's timeout.
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
    Failure::Timeout("interrupted: run with `--resume FILE` to continue after an interruption".to_owned())
}

/// Runs and checks every step of the plan that `done` does not contain.
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
            // A fresh browser keeps this fault's damage from failing the next checks.
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

/// Writes a report of a failed fault to the temporary folder: the failed checks, the browser's state and its log.
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
        b"== the fault and the failed checks\n",
        fault.as_bytes(),
        b"\n== the browser afterwards\n",
        status.as_bytes(),
        b"\n== its log\n",
        &log,
    ];
    match std::fs::write(&to, kept.concat()) {
        Ok(()) => eprintln!("regen: details are in {}", to.display()),
        Err(error) => eprintln!("regen: cannot write {}: {error}", to.display()),
    }
}

/// Reads a scenario file.
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
