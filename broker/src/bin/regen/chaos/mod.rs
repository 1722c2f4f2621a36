//! `regen chaos`: injects crashes into a browser, one after the other, and checks after each that nothing was lost.

mod clock;
mod inject;
mod invariants;
mod plan;
mod recovery;
mod report;
mod stage;
mod store;
mod witness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::arguments::{ChaosCommand, ChaosOptions, Output};
use crate::client::Failure;

use plan::{Plan, Step};
use report::{Record, Report};
use stage::Stage;

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
    let mut stage = Stage::set(profile, &options).await?;
    let outcome = tokio::select! {
        outcome = campaign(&plan, &mut stage, &mut report, done, &options, output) => outcome,
        failure = interrupted() => Err(failure),
    };
    // Whatever happened: no browser is left behind.
    stage.strike().await?;
    outcome?;
    if let Some(path) = &options.junit {
        std::fs::write(path, report.junit()?)?;
    }
    report.print(output);
    Ok(ExitCode::from(u8::from(!report.holds())))
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
    stage: &mut Stage,
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
        let record = one(stage, number, step).await;
        if output == Output::Text {
            record.print();
        }
        if let Some(path) = options.resume.as_deref() {
            record.append(path)?;
        }
        let failed = !record.violations.is_empty();
        report.add(record);
        if failed {
            keep(stage, number);
            if options.fail_fast {
                break;
            }
            // What one fault broke must not be counted against the next.
            stage.anew().await?;
        }
    }
    Ok(())
}

async fn one(stage: &mut Stage, number: usize, step: &Step) -> Record {
    let mut record = Record::of(number, step);
    match stage.rehearse(number).await.and(stage.snapshot().await) {
        Ok(before) => match inject::inject(stage, step, &before).await {
            Ok(injected) => match stage.recovered(&injected, &before).await {
                Ok(recovered) => {
                    record.recovery_ms = recovered.time.map(|time| time.as_secs_f64() * 1000.0);
                    record.ended_as = recovered.how;
                    record.violations = invariants::check(stage, &injected, &before).await;
                    record.noticed = invariants::noticed(stage, &injected, &before);
                }
                Err(failure) => record.violations.push(format!("recovery: {failure}")),
            },
            Err(failure) => record.violations.push(format!("injection: {failure}")),
        },
        Err(failure) => record.violations.push(format!("before the fault: {failure}")),
    }
    record
}

/// The log of a browser in which something was lost, for whoever looks into it.
fn keep(stage: &Stage, number: usize) {
    let from = stage.profile().join("regen.log");
    let to = std::env::temp_dir().join(format!("regen-chaos-{}-{number}.log", std::process::id()));
    match std::fs::copy(&from, &to) {
        Ok(_) => eprintln!("regen: the browser's log is kept in {}", to.display()),
        Err(error) => eprintln!("regen: {} cannot be kept: {error}", from.display()),
    }
}

/// A scenario file's folder is where its relative paths start.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::NotFound(format!("{}: {error}", path.display())))
}
