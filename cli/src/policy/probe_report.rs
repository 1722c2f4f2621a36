//! Reports of `regen policy probe`: text, JUnit XML and a Markdown table.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::findings::{Finding, RoleFindings, Verdict};
use crate::client::Failure;

pub(super) fn text(role: &RoleFindings) {
    println!("{}", role.role);
    let mut last = "";
    for Finding { attempt, verdict, detail } in &role.findings {
        if attempt.area != last {
            println!("  {}", attempt.area);
            last = &attempt.area;
        }
        println!("    {:<10} {:<48} {detail}", word(*verdict), attempt.name);
    }
    println!("  {} system calls made, {} against the policy", role.calls_made, role.calls_wrong.len());
    role.calls_wrong.iter().for_each(|line| println!("    {line}"));
    println!();
}

/// Prints the number of attempts per verdict, each with its meaning.
pub(super) fn summary(roles: &[RoleFindings]) {
    let count = |verdict: Verdict| {
        roles.iter().flat_map(|role| &role.findings).filter(|found| found.verdict == verdict).count()
    };
    let (calls, wrong) =
        roles.iter().fold((0, 0), |(calls, wrong), role| (calls + role.calls_made, wrong + role.calls_wrong.len()));
    println!(
        "{} escape attempts in {} roles, and {calls} system calls:",
        roles.iter().map(|role| role.findings.len()).sum::<usize>(),
        roles.len()
    );
    println!("{:>7} contained   the attempt failed, and succeeds outside a sandbox", count(Verdict::Contained));
    println!("{:>7} its nature  the role needs this for its task", count(Verdict::ByNature));
    println!(
        "{:>7} not proven  the attempt failed, but also fails outside a sandbox, on this kernel or for this user",
        count(Verdict::NotProven)
    );
    println!("{:>7} ESCAPED     the attempt succeeded", count(Verdict::Escaped));
    println!("{wrong:>7} system calls violated the policy");
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Contained => "contained",
        Verdict::ByNature => "its nature",
        Verdict::NotProven => "not proven",
        Verdict::Escaped => "ESCAPED",
    }
}

/// Returns a JUnit report with a test suite for each role and a test case for each attempt.
pub(super) fn junit(roles: &[RoleFindings]) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer.write_event(Event::Start(BytesStart::new("testsuites")))?;
    for role in roles {
        let count = |verdict: Verdict| role.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let failures = count(Verdict::Escaped) + usize::from(!role.calls_wrong.is_empty());
        let (tests, skipped) = ((role.findings.len() + 1).to_string(), count(Verdict::NotProven).to_string());
        let suite = BytesStart::new("testsuite").with_attributes([
            ("name", role.role.as_str()),
            ("tests", tests.as_str()),
            ("failures", failures.to_string().as_str()),
            ("skipped", skipped.as_str()),
        ]);
        writer.write_event(Event::Start(suite))?;
        for finding in &role.findings {
            let result = match finding.verdict {
                Verdict::Escaped => Some("failure"),
                Verdict::NotProven => Some("skipped"),
                Verdict::Contained | Verdict::ByNature => None,
            };
            case(
                &mut writer,
                &role.role,
                &finding.attempt.area,
                &finding.attempt.name,
                result.zip(Some(finding.detail.as_str())),
            )?;
        }
        let wrong = role.calls_wrong.join("\n");
        let result = (!wrong.is_empty()).then_some(("failure", wrong.as_str()));
        case(&mut writer, &role.role, "system calls", "every call ends as the policy says", result)?;
        writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    Ok(writer.into_inner())
}

fn case(
    writer: &mut Writer<Vec<u8>>,
    role: &str,
    area: &str,
    name: &str,
    result: Option<(&str, &str)>,
) -> Result<(), Failure> {
    let class = format!("{role}.{area}");
    let start = BytesStart::new("testcase").with_attributes([("classname", class.as_str()), ("name", name)]);
    let Some((kind, detail)) = result else {
        writer.write_event(Event::Empty(start))?;
        return Ok(());
    };
    writer.write_event(Event::Start(start))?;
    let message = detail.lines().next().unwrap_or_default();
    writer.write_event(Event::Start(BytesStart::new(kind).with_attributes([("message", message)])))?;
    writer.write_event(Event::Text(BytesText::new(detail)))?;
    writer.write_event(Event::End(BytesEnd::new(kind)))?;
    writer.write_event(Event::End(BytesEnd::new("testcase")))?;
    Ok(())
}

/// Prints a table with one row per attempt and one column per attacked role, and a table of every role's system calls.
pub(super) fn markdown(roles: &[RoleFindings]) {
    let jailed: Vec<&RoleFindings> = roles.iter().filter(|role| !role.findings.is_empty()).collect();
    let names: Vec<&str> = jailed.iter().map(|role| role.role.as_str()).collect();
    println!("| attempt | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let longest = jailed.iter().max_by_key(|role| role.findings.len());
    for Finding { attempt, .. } in longest.iter().flat_map(|role| &role.findings) {
        let words = jailed.iter().map(|role| {
            let finding = role.findings.iter().find(|finding| finding.attempt.name == attempt.name);
            finding.map_or("–", |finding| word(finding.verdict))
        });
        println!("| {}: {} | {} |", attempt.area, attempt.name, words.collect::<Vec<_>>().join(" | "));
    }
    println!("\n| role | system calls made | not as its policy says |");
    println!("|---|---|---|");
    for role in roles {
        println!("| {} | {} | {} |", role.role, role.calls_made, role.calls_wrong.len());
    }
}
