//! `regen audit`: prints and verifies the broker's audit log, read from the profile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use regen_audit_log::{Break, Entry, Head, Verification};
use regen_broker::profile::Profile;
use regen_proto::control::v1::AuditRequest;
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::client::{Client, Failure};
use crate::render::{print_json, print_json_line};

/// Interval at which a followed log is read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Other(format!("cannot read {}: {error}", path.display())))
}

/// Prints all log files, and with `follow` new entries as they are written.
pub(crate) async fn print(folder: Option<&Path>, follow: bool, output: Output) -> Result<(), Failure> {
    let profile = Profile::find(folder)?;
    let mut last = 0;
    loop {
        for file in regen_audit_log::files(profile.root())? {
            for line in read(&file)?.lines() {
                // An incomplete last line is read at the next poll.
                let Some(entry) = regen_audit_log::parse(line) else { break };
                let number = entry.entry.get("n").and_then(serde_json::Value::as_u64).unwrap_or(0);
                if number > last {
                    print_entry(&entry, output);
                    last = number;
                }
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn print_entry(Entry { hash, entry }: &Entry, output: Output) {
    if output == Output::Json {
        // One object per line, because the output is a stream.
        print_json_line(&json!({ "hash": hash, "entry": entry }));
        return;
    }
    let Value::Object(fields) = entry else { return };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let details =
        fields.iter().filter(|(name, value)| !["n", "time_ms", "event"].contains(&name.as_str()) && !value.is_null());
    let details: Vec<String> = details.map(|(name, value)| format!("{name}={}", text(value))).collect();
    let time = time(fields.get("time_ms").and_then(Value::as_u64).unwrap_or(0));
    let event = fields.get("event").map(text).unwrap_or_default();
    println!("{time} {event:<13} {}", details.join(" "));
}

fn time(since_ms: u64) -> impl std::fmt::Display {
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + Duration::from_millis(since_ms))
}

/// Returns the head of the log as the store knows it, if it knows one.
async fn known(folder: Option<&Path>, profile: &Profile) -> Result<Option<Head>, Failure> {
    // A running browser has its store open, so its broker is asked.
    match Client::connect(folder).await {
        Ok(mut client) => {
            let reply = client.api.audit(AuditRequest {}).await?.into_inner();
            Ok(Some(Head { length: reply.length, hash: reply.hash }))
        }
        Err(Failure::NotRunning(_)) => {
            regen_store::audit_head(profile.root()).map_err(|error| Failure::Other(error.to_string()))
        }
        Err(other) => Err(other),
    }
}

/// Prints the head of the log as an anchor, to be kept elsewhere.
pub(crate) async fn anchor(folder: Option<&Path>, output: Output) -> Result<(), Failure> {
    let profile = Profile::find(folder)?;
    let Some(Head { length, hash }) = known(folder, &profile).await? else {
        return Err(Failure::NotFound("the store has no head of the audit log: start the browser once".to_owned()));
    };
    if output == Output::Json {
        print_json(&json!({ "length": length, "hash": hash, "anchor": format!("{length}:{hash}") }));
    } else {
        println!("{length}:{hash}");
    }
    Ok(())
}

/// Parses an anchor printed by [`anchor`].
fn parse_anchor(text: &str) -> Result<Head, Failure> {
    let parts = text.trim().split_once(':').and_then(|(length, hash)| Some((length.parse().ok()?, hash)));
    match parts.filter(|(_, hash)| hash.len() == 64 && hash.chars().all(|char| char.is_ascii_hexdigit())) {
        Some((length, hash)) => Ok(Head { length, hash: hash.to_lowercase() }),
        None => Err(Failure::Usage(format!("“{text}” is not an anchor: `regen audit anchor` prints one, LENGTH:HASH"))),
    }
}

/// Checks the log's hash chain, and that it contains the store's head and the anchor.
pub(crate) async fn verify(folder: Option<&Path>, anchor: Option<&str>, output: Output) -> Result<(), Failure> {
    let profile = Profile::find(folder)?;
    let anchor = anchor.map(parse_anchor).transpose()?;
    let known = known(folder, &profile).await?;
    let heads: Vec<&Head> = known.iter().chain(&anchor).collect();
    let mut chain = regen_audit_log::Chain::default();
    let mut found = Ok(());
    for file in regen_audit_log::files(profile.root())? {
        found = found.and_then(|()| chain.take(&read(&file)?, &heads).map_err(wrong));
    }
    let Verification { lines, breaks } = found.and_then(|()| chain.finish(&heads).map_err(wrong))?;
    let mut wrong: Vec<String> = breaks
        .iter()
        .map(|Break { line, time_ms, why }| format!("line {line}, {}: a break was recorded: {why}", time(*time_ms)))
        .collect();
    if known.is_none() {
        wrong.push("the store has no head of the log, so lines may be missing at its end".to_owned());
    }
    if output == Output::Json {
        let breaks: Vec<Value> = breaks
            .iter()
            .map(|Break { line, time_ms, why }| json!({ "line": line, "time_ms": time_ms, "why": why }))
            .collect();
        print_json(&json!({
            "whole": wrong.is_empty(), "lines": lines, "head": known, "anchor": anchor, "breaks": breaks,
        }));
    } else if wrong.is_empty() {
        let Head { length, hash } = known.clone().unwrap_or_default();
        println!("The audit log is whole: {lines} lines; the head in the store is line {length}, {hash}");
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Other(format!("the audit log is not whole: {}", wrong.join("; "))))
    }
}

fn wrong(error: regen_audit_log::TamperError) -> Failure {
    Failure::Other(error.to_string())
}
