//! `regen vpn`: imports, connects and removes `WireGuard` profiles.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use regen_net_config::wireguard::{Profile, is_name};
use regen_proto::control::v1::vpn_request::Change;
use regen_proto::control::v1::{VpnImport, VpnInfo, VpnRequest, VpnUp};
use regen_proto::net::v1::{VpnState, VpnTunnel};
use serde_json::{Value, json};
use tonic::Code;

use crate::arguments::{Output, VpnCommand};
use crate::client::{Client, Failure};
use crate::render;

/// Maximum time to wait for a peer's first answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Interval at which the state of a tunnel is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum number of bytes read from a profile file. The broker accepts less.
const MAX_PROFILE: u64 = 1 << 20;

/// Runs a subcommand of `regen vpn`. The exit code of `list` and `up` is 1 if a tunnel is failing or still connecting.
pub(crate) async fn run(mut client: Client, command: VpnCommand, output: Output) -> Result<ExitCode, Failure> {
    match command {
        VpnCommand::Import { file, name, replace } => {
            let name = match name {
                Some(name) => name,
                None => name_of(&file)?,
            };
            let (config, profile) = read(&file)?;
            for (line, what) in &profile.ignored {
                eprintln!("regen: {}: line {line}: {what}", file.display());
            }
            let import = Change::Import(VpnImport { name: name.clone(), config, replace });
            let profiles = ask(&mut client, Some(import)).await?;
            match output {
                Output::Json => print_all(&profiles, output),
                Output::Text => println!("imported {name}: `regen vpn up {name}` connects it"),
            }
        }
        VpnCommand::List => {
            let profiles = ask(&mut client, None).await?;
            print_all(&profiles, output);
            return Ok(code(&profiles));
        }
        VpnCommand::Up { name, allow } => {
            let profiles = bring_up(&mut client, &name, allow).await?;
            print_all(&profiles, output);
            return Ok(code(&profiles));
        }
        VpnCommand::Down { name } => print_all(&ask(&mut client, Some(Change::Down(name))).await?, output),
        VpnCommand::Remove { name } => print_all(&ask(&mut client, Some(Change::Remove(name))).await?, output),
    }
    Ok(ExitCode::SUCCESS)
}

/// Connects a VPN, and waits until its peer has answered or the time is up.
async fn bring_up(client: &mut Client, name: &str, allow: bool) -> Result<Vec<VpnInfo>, Failure> {
    let up = |allow| VpnRequest { change: Some(Change::Up(VpnUp { name: name.to_owned(), allow })) };
    match client.api.vpn(up(allow)).await {
        Err(refused) if refused.code() == Code::PermissionDenied && std::io::stdin().is_terminal() => {
            if !agrees(name)? {
                return Err(Failure::Usage(format!("not allowed: “{name}” stays disconnected")));
            }
            client.api.vpn(up(true)).await?;
        }
        answer => drop(answer?),
    }
    let since = Instant::now();
    loop {
        let profiles: Vec<VpnInfo> =
            ask(client, None).await?.into_iter().filter(|one| tunnel(one).name == name).collect();
        let is_settled = |one: &VpnInfo| tunnel(one).state() != VpnState::Connecting;
        if profiles.iter().all(is_settled) || since.elapsed() > ANSWER_TIMEOUT {
            return Ok(profiles);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn agrees(name: &str) -> Result<bool, Failure> {
    eprint!("“{name}” has never been connected. Its operator will see which sites you visit. Allow it? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn ask(client: &mut Client, change: Option<Change>) -> Result<Vec<VpnInfo>, Failure> {
    Ok(client.api.vpn(VpnRequest { change }).await?.into_inner().profiles)
}

fn name_of(file: &Path) -> Result<String, Failure> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if is_name(stem) {
        return Ok(stem.to_owned());
    }
    Err(Failure::Usage(format!("“{stem}” is not a valid profile name: choose one with --name")))
}

fn read(file: &Path) -> Result<(String, Profile), Failure> {
    let failed = |what: String| Failure::Usage(format!("{}: {what}", file.display()));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| failed(error.to_string()))?;
    opened.take(MAX_PROFILE + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > MAX_PROFILE {
        return Err(failed(format!("the file is larger than {MAX_PROFILE} bytes: it is not a WireGuard profile")));
    }
    let config = text_of(bytes).map_err(failed)?;
    let profile = config.parse::<Profile>().map_err(|error| failed(error.to_string()))?;
    Ok((config, profile))
}

/// Decodes UTF-8, or UTF-16 with a byte order mark, as some Windows programs write it.
fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    let utf16 = |read: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(read).collect();
        let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty());
        text.ok_or_else(|| "the file is not valid UTF-16: save it as UTF-8".to_owned())
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|error| {
            let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            format!("line {line} is not valid UTF-8: save the file as UTF-8")
        }),
    }
}

fn tunnel(info: &VpnInfo) -> VpnTunnel {
    info.tunnel.clone().unwrap_or_default()
}

fn code(profiles: &[VpnInfo]) -> ExitCode {
    let is_well = |one: &VpnInfo| matches!(tunnel(one).state(), VpnState::Up | VpnState::Down);
    ExitCode::from(u8::from(!profiles.iter().all(is_well)))
}

fn print_all(profiles: &[VpnInfo], output: Output) {
    if output == Output::Json {
        return render::print_json(&Value::from(profiles.iter().map(to_json).collect::<Vec<_>>()));
    }
    for info in profiles {
        let VpnTunnel { name, message, endpoint, sent, received, handshake_s, open, .. } = tunnel(info);
        let state = word(tunnel(info).state());
        if message.is_empty() {
            println!("{name}  {state}")
        } else {
            println!("{name}  {state}: {message}")
        }
        if let Some(ago) = handshake_s {
            let (sent, received) = (sent / 1024, received / 1024);
            println!(
                "  {endpoint} · handshake {ago} s ago · {sent} KB sent, {received} KB received · {open} connections"
            );
        }
    }
}

fn to_json(info: &VpnInfo) -> Value {
    let VpnTunnel { name, message, endpoint, addresses, dns, mtu, sent, received, handshake_s, waiting, open, .. } =
        tunnel(info);
    json!({
        "name": name, "state": word(tunnel(info).state()), "message": message, "endpoint": endpoint,
        "addresses": addresses, "dns": dns, "mtu": mtu, "sent": sent, "received": received,
        "handshake_s": handshake_s, "waiting": waiting, "open": open, "allowed": info.allowed, "asked": info.asked,
    })
}

fn word(state: VpnState) -> &'static str {
    match state {
        VpnState::Down | VpnState::Unspecified => "down",
        VpnState::Connecting => "connecting",
        VpnState::Up => "up",
        VpnState::Failing => "failing",
    }
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn a_profile_in_utf_16_is_read_and_one_in_latin_1_is_named_with_its_line() {
        let marked: Vec<u8> = "\u{feff}[Interface]".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text_of(marked.clone()).unwrap().trim_start_matches('\u{feff}'), "[Interface]");
        // Cut off in the middle of a character.
        assert!(text_of([marked.as_slice(), b"x"].concat()).unwrap_err().contains("UTF-16"));
        assert_eq!(
            text_of(b"# ok\n# caf\xe9\n".to_vec()).unwrap_err(),
            "line 2 is not valid UTF-8: save the file as UTF-8"
        );
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_and_never_cut_off() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let profile = "[Interface]\nPrivateKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAddress = 10.0.0.2/32\n";
        std::fs::write(file.path(), format!("{profile}#{}", "x".repeat(1 << 20))).unwrap();
        let error = super::read(file.path()).unwrap_err().to_string();
        assert!(error.contains("larger than 1048576 bytes"), "{error}");
    }
}
