//! `regen policy verify`: compares every running process with its policy.

use std::process::ExitCode;

use regen_proto::control::v1::StatusReply;
use regen_sandbox::policy::Mode;
use regen_sandbox::verify::{self, Report};
use serde_json::json;

use super::role_policy;
use crate::arguments::Output;
use crate::client::Failure;
use regen_runtime::foreign_text::escape;

use crate::render::{CAUTION, WRONG, print_json};

pub(super) fn verified(status: &StatusReply, only: Option<i32>, output: Output) -> Result<ExitCode, Failure> {
    let broker = status.broker.as_ref().map_or(0, |broker| broker.pid);
    let gone =
        |pid: i32| move |error: std::io::Error| Failure::NotFound(format!("cannot inspect process {pid}: {error}"));
    let mut processes: Vec<(String, i32)> = Vec::new();
    for process in status.processes.iter().filter(|process| process.pid > 0) {
        processes.push((process.role.clone(), process.pid));
        processes.extend(process.helpers.iter().map(|helper| (process.role.clone(), helper.pid)));
        if process.role != "broker" {
            let jail = verify::jail_of(process.pid).map_err(gone(process.pid))?;
            processes.push(("jail".to_owned(), jail));
            processes.extend(verify::dumper_of(jail)?.map(|dumper| ("dumper".to_owned(), dumper)));
        }
    }
    if let Some(launcher) = verify::launcher_of(broker).map_err(gone(broker))? {
        processes.push(("launcher".to_owned(), launcher));
    }
    if let Some(pid) = only {
        processes.retain(|(_, other)| *other == pid);
        if processes.is_empty() {
            return Err(Failure::NotFound(format!("process {pid} is not one of this browser's: see `regen status`")));
        }
    }
    let mut reports = Vec::new();
    for (role, pid) in processes {
        reports.push(verify::verify(&role_policy(&role, Mode::Jit)?, pid, broker).map_err(gone(pid))?);
    }
    if output == Output::Json {
        print_json(&json!(
            reports.iter().map(|report| json!({ "holds": report.holds(), "process": report })).collect::<Vec<_>>()
        ));
    } else {
        reports.iter().for_each(print_report);
    }
    let drift = reports.iter().filter(|report| !report.holds()).count();
    if output == Output::Text {
        println!("{} processes, {drift} of them differ from their policy", reports.len());
    }
    Ok(ExitCode::from(u8::from(drift > 0)))
}

fn print_report(report: &Report) {
    let kinds: Vec<String> = report.descriptors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("{} {} {}", report.role, report.pid, report.program);
    for check in &report.checks {
        if check.holds {
            println!("  ok    {:<36} {}", check.name, check.found);
        } else {
            anstream::println!(
                "  {WRONG}DRIFT{WRONG:#} {:<36} {}   (wanted: {})",
                check.name,
                escape(&check.found),
                escape(&check.wanted)
            );
        }
    }
    if let Some(lacks) = &report.lacks {
        anstream::println!("  {CAUTION}lacks{CAUTION:#} {:<36} {CAUTION}{lacks}{CAUTION:#}", "optional");
    }
    println!("        {:<36} {}\n", "open descriptors", kinds.join(", "));
}
