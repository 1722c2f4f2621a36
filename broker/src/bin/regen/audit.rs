//! `regen audit`: the log of what the kernel of the browser did, read from the profile, and whether it is whole.

use std::fs;
use std::path::Path;
use std::time::Duration;

use regen_broker::audit::{self, Entry, Head};
use regen_broker::foreign_text::escape_json;
use regen_broker::profile::Profile;
use regen_broker::store;
use regen_proto::control::v1::AuditRequest;
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::client::{Client, Failure};
use crate::render::print_json;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

fn read(profile: &Profile) -> Result<String, Failure> {
    let path = audit::path(profile.root());
    fs::read_to_string(&path).map_err(|error| Failure::Other(format!("cannot read {}: {error}", path.display())))
}

pub(crate) async fn print(folder: Option<&Path>, follow: bool, output: Output) -> Result<(), Failure> {
    let profile = Profile::find(folder)?;
    let mut printed = 0;
    loop {
        let text = read(&profile)?;
        for line in text.lines().skip(printed) {
            // A line that is just being written is read with the next look.
            let Some(entry) = audit::parse(line) else { break };
            print_entry(&entry, output);
            printed += 1;
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn print_entry(Entry { hash, entry }: &Entry, output: Output) {
    if output == Output::Json {
        // One object a line: it is a stream.
        std::println!("{}", escape_json(&json!({ "hash": hash, "entry": entry }).to_string()));
        return;
    }
    let Value::Object(fields) = entry else { return };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let details =
        fields.iter().filter(|(name, value)| !["n", "time_ms", "event"].contains(&name.as_str()) && !value.is_null());
    let details: Vec<String> = details.map(|(name, value)| format!("{name}={}", text(value))).collect();
    let since = Duration::from_millis(fields.get("time_ms").and_then(Value::as_u64).unwrap_or(0));
    let time = humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since);
    let event = fields.get("event").map(text).unwrap_or_default();
    println!("{time} {event:<13} {}", details.join(" "));
}

pub(crate) async fn verify(folder: Option<&Path>, output: Output) -> Result<(), Failure> {
    let profile = Profile::find(folder)?;
    // The store of a running browser is open elsewhere: its broker says what is in it.
    let known = match Client::connect(folder).await {
        Ok(mut client) => {
            let reply = client.api.audit(AuditRequest {}).await?.into_inner();
            Head { length: reply.length, hash: reply.hash }
        }
        Err(Failure::NotRunning(_)) => {
            store::audit_head(profile.root()).map_err(|error| Failure::Other(error.to_string()))?
        }
        Err(other) => return Err(other),
    };
    let lines = audit::verify(&read(&profile)?, &known).map_err(|error| Failure::Other(error.to_string()))?;
    if output == Output::Json {
        print_json(&json!({ "whole": true, "lines": lines, "head": known }));
    } else {
        println!(
            "The audit log is whole: {lines} lines, the last one known to the store is {} {}",
            known.length, known.hash
        );
    }
    Ok(())
}
