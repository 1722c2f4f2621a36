//! Results of a campaign: a record for each fault, a summary by role and fault, budgets, and a JUnit report.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::plan::{Fault, Plan, Step, Target, word};
use crate::arguments::Output;
use crate::client::Failure;
use crate::render::print_json;

/// Result of one fault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) number: usize,
    role: Target,
    fault: Fault,
    site: usize,
    /// Time from the fault to full recovery, in milliseconds.
    pub(super) recovery_ms: Option<f64>,
    pub(super) ended_as: String,
    pub(super) violations: Vec<String>,
    /// Additional deaths that were not injected, but are no violations.
    #[serde(default)]
    pub(super) noticed: Vec<String>,
}

impl Record {
    pub(super) fn of(number: usize, step: &Step) -> Self {
        let Step { fault, role, site, .. } = *step;
        let (violations, noticed) = (Vec::new(), Vec::new());
        Self { number, role, fault, site, recovery_ms: None, ended_as: String::new(), violations, noticed }
    }

    pub(super) fn print(&self) {
        let time = self.recovery_ms.map_or_else(String::new, |time| format!("{time:.0} ms"));
        let (role, fault) = (word(&self.role), word(&self.fault));
        println!("{:>5} {role:<16} {fault:<18} {time:>9}  {}", self.number + 1, self.ended_as);
        self.violations.iter().for_each(|violation| println!("      VIOLATION {violation}"));
        self.noticed.iter().for_each(|noticed| println!("      noticed: {noticed}"));
    }

    /// Reads the records of an interrupted campaign.
    pub(super) fn read(path: &Path) -> Result<Vec<Self>, Failure> {
        match fs::read_to_string(path) {
            Ok(text) => text
                .lines()
                .filter(|line| !line.is_empty())
                .map(|line| {
                    serde_json::from_str(line).map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
                })
                .collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Failure::Other(format!("{}: {error}", path.display()))),
        }
    }

    pub(super) fn append(&self, path: &Path) -> Result<(), Failure> {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
        let line = serde_json::to_string(self).map_err(|error| Failure::Other(error.to_string()))?;
        Ok(writeln!(file, "{line}")?)
    }
}

/// Maximum recovery time at a quantile, for one role or all.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Budget {
    text: String,
    role: Option<String>,
    quantile: f64,
    most_ms: f64,
}

/// Parses a budget such as `p95=800ms` or `tab-host:p95=800ms`.
pub(super) fn budget(text: &str) -> Result<Budget, Failure> {
    let wrong = || Failure::Usage(format!("“{text}” is not a budget: use p95=800ms, max=2s or tab-host:p50=500ms"));
    let (role, rest) = match text.split_once(':') {
        Some((role, rest)) => (Some(role.to_owned()), rest),
        None => (None, text),
    };
    let (quantile, time) = rest.split_once('=').ok_or_else(wrong)?;
    let quantile = match quantile {
        "max" => 1.0,
        other => {
            let percent: f64 = other.strip_prefix('p').and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
            percent / 100.0
        }
    };
    let time = humantime::parse_duration(time).map_err(|_| wrong())?;
    if !(0.0..=1.0).contains(&quantile) {
        return Err(wrong());
    }
    Ok(Budget { text: text.to_owned(), role, quantile, most_ms: time.as_secs_f64() * 1000.0 })
}

#[derive(Debug)]
pub(super) struct Report {
    name: String,
    began: SystemTime,
    budgets: Vec<Budget>,
    records: Vec<Record>,
}

/// Summary of one role and fault.
#[derive(Debug, Serialize)]
struct Row {
    role: String,
    fault: String,
    faults: usize,
    violations: usize,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    max_ms: Option<f64>,
}

fn quantile(times: &mut [f64], quantile: f64) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((times.len() as f64 * quantile).ceil() as usize).clamp(1, times.len().max(1)) - 1;
    times.get(index).copied()
}

impl Report {
    pub(super) fn new(plan: &Plan, budgets: Vec<Budget>) -> Self {
        Self { name: plan.name.clone(), began: SystemTime::now(), budgets, records: Vec::new() }
    }

    pub(super) fn add(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(super) fn holds(&self) -> bool {
        self.records.iter().all(|record| record.violations.is_empty()) && self.over_budget().is_empty()
    }

    fn over_budget(&self) -> Vec<String> {
        let over = self.budgets.iter().filter_map(|budget| {
            let of_role = |record: &&Record| budget.role.as_ref().is_none_or(|role| *role == word(&record.role));
            let mut times: Vec<f64> =
                self.records.iter().filter(of_role).filter_map(|record| record.recovery_ms).collect();
            let found = quantile(&mut times, budget.quantile)?;
            (found > budget.most_ms).then(|| format!("{} was {found:.0} ms", budget.text))
        });
        over.collect()
    }

    fn rows(&self) -> Vec<Row> {
        let mut groups: BTreeMap<(Target, Fault), Vec<&Record>> = BTreeMap::new();
        for record in &self.records {
            groups.entry((record.role, record.fault)).or_default().push(record);
        }
        let row = |((role, fault), records): ((Target, Fault), Vec<&Record>)| {
            let mut times: Vec<f64> = records.iter().filter_map(|record| record.recovery_ms).collect();
            Row {
                role: word(&role),
                fault: word(&fault),
                faults: records.len(),
                violations: records.iter().filter(|record| !record.violations.is_empty()).count(),
                p50_ms: quantile(&mut times, 0.5),
                p95_ms: quantile(&mut times, 0.95),
                max_ms: quantile(&mut times, 1.0),
            }
        };
        groups.into_iter().map(row).collect()
    }

    pub(super) fn print(&self, output: Output) {
        let over = self.over_budget();
        if output == Output::Json {
            print_json(&json!({
                "name": self.name, "holds": self.holds(), "faults": self.records.len(), "over_budget": over,
                "by_role_and_fault": self.rows(), "records": self.records,
            }));
            return;
        }
        println!("\n| role | fault | faults | violations | p50 | p95 | max |\n|---|---|---|---|---|---|---|");
        let time = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), |time| format!("{time:.0} ms"));
        for Row { role, fault, faults, violations, p50_ms, p95_ms, max_ms } in self.rows() {
            let (p50, p95, max) = (time(p50_ms), time(p95_ms), time(max_ms));
            println!("| {role} | {fault} | {faults} | {violations} | {p50} | {p95} | {max} |");
        }
        let failed = self.records.iter().filter(|record| !record.violations.is_empty()).count();
        println!("\n{}: {} faults, {failed} with violations", self.name, self.records.len());
        over.iter().for_each(|line| println!("over budget: {line}"));
    }

    /// Returns a JUnit report with a test case for each fault and each budget.
    pub(super) fn junit(&self) -> Result<Vec<u8>, Failure> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let failures =
            self.records.iter().filter(|record| !record.violations.is_empty()).count() + self.over_budget().len();
        let suite = BytesStart::new("testsuite").with_attributes([
            ("name", self.name.as_str()),
            ("tests", (self.records.len() + self.budgets.len()).to_string().as_str()),
            ("failures", failures.to_string().as_str()),
            ("errors", "0"),
            ("skipped", "0"),
            ("timestamp", humantime::format_rfc3339_seconds(self.began).to_string().as_str()),
            ("time", format!("{:.3}", self.began.elapsed().unwrap_or_default().as_secs_f64()).as_str()),
        ]);
        writer.write_event(Event::Start(suite))?;
        writer.write_event(Event::Start(BytesStart::new("properties")))?;
        for (name, value) in about() {
            let property = BytesStart::new("property").with_attributes([("name", name), ("value", value.as_str())]);
            writer.write_event(Event::Empty(property))?;
        }
        writer.write_event(Event::End(BytesEnd::new("properties")))?;
        for record in &self.records {
            let class = format!("chaos.{}", word(&record.role));
            let name = format!("{} {} at site {}", record.number + 1, word(&record.fault), record.site);
            let seconds = record.recovery_ms.unwrap_or(0.0) / 1000.0;
            case(&mut writer, &class, &name, seconds, &record.violations.join("\n"))?;
        }
        let over = self.over_budget();
        for budget in &self.budgets {
            let failure = over.iter().find(|line| line.starts_with(&budget.text)).map_or("", String::as_str);
            case(&mut writer, "chaos.budget", &budget.text, 0.0, failure)?;
        }
        writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
        Ok(writer.into_inner())
    }
}

/// Returns the properties of the suite: the build under test and the machine.
fn about() -> Vec<(&'static str, String)> {
    let kernel = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let mut about = vec![
        ("regen.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("kernel", format!("{} {}", text(kernel.sysname()), text(kernel.release()))),
        ("machine", text(kernel.machine())),
        ("processors", std::thread::available_parallelism().map_or(0, usize::from).to_string()),
    ];
    about.extend(
        option_env!("REGEN_COMMIT")
            .filter(|commit| !commit.is_empty())
            .map(|commit| ("regen.commit", commit.to_owned())),
    );
    about
}

fn case(writer: &mut Writer<Vec<u8>>, class: &str, name: &str, seconds: f64, failure: &str) -> Result<(), Failure> {
    let time = format!("{seconds:.3}");
    let start =
        BytesStart::new("testcase").with_attributes([("classname", class), ("name", name), ("time", time.as_str())]);
    if failure.is_empty() {
        writer.write_event(Event::Empty(start))?;
        return Ok(());
    }
    writer.write_event(Event::Start(start))?;
    let message = failure.lines().next().unwrap_or_default();
    writer.write_event(Event::Start(BytesStart::new("failure").with_attributes([("message", message)])))?;
    writer.write_event(Event::Text(BytesText::new(failure)))?;
    writer.write_event(Event::End(BytesEnd::new("failure")))?;
    writer.write_event(Event::End(BytesEnd::new("testcase")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_or_refused_with_an_example() {
        let read = budget("tab-host:p95=800ms").unwrap();
        assert_eq!((read.role.as_deref(), read.quantile, read.most_ms), (Some("tab-host"), 0.95, 800.0));
        assert_eq!(budget("max=2s").unwrap().most_ms, 2000.0);
        for wrong in ["p95", "p95=", "q=3s", "p101=3s"] {
            assert!(budget(wrong).unwrap_err().to_string().contains("p95=800ms"), "{wrong}");
        }
    }

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let mut times: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&mut times, 0.5), Some(50.0));
        assert_eq!(quantile(&mut times, 0.95), Some(95.0));
        assert_eq!(quantile(&mut times, 1.0), Some(100.0));
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
