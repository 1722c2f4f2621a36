//! `regen doctor`: checks what this machine lacks, and prints the command that fixes it.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use regen_broker::profile::Profile;
use regen_proto::control::v1::StatusRequest;
use regen_sandbox::policy::{self, Mode, Policy};
use serde_json::json;

use crate::arguments::Output;
use crate::client::Client;
use crate::render::print_json;

/// Result of one check.
struct Finding {
    name: &'static str,
    well: bool,
    found: String,
    remedy: &'static str,
}

pub(crate) async fn run(profile: Option<&Path>, output: Output) -> ExitCode {
    let mut findings = vec![user_namespaces(), apparmor(), kernel_version(), landlock(), seccomp(), policies()];
    findings.extend(programs());
    findings.extend(files());
    findings.extend(profile_findings(profile).await);
    let all_well = findings.iter().all(|finding| finding.well);
    if output == Output::Json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| json!({"name": f.name, "ok": f.well, "found": f.found, "remedy": if f.well { "" } else { f.remedy }}))
            .collect();
        print_json(&json!({"ok": all_well, "findings": list}));
    } else {
        for finding in &findings {
            println!("{} {}: {}", if finding.well { "ok  " } else { "FAIL" }, finding.name, finding.found);
            if !finding.well {
                println!("     {}", finding.remedy);
            }
        }
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn user_namespaces() -> Finding {
    let most = number("/proc/sys/user/max_user_namespaces");
    let debian = number("/proc/sys/kernel/unprivileged_userns_clone");
    let tried = regen_sandbox::sys::try_user_namespace();
    let allowed = most.is_some_and(|most| most > 0) && debian != Some(0);
    Finding {
        name: "user namespaces",
        well: tried.is_ok(),
        found: match (most, tried) {
            (None, _) => "not supported by this kernel".to_owned(),
            (Some(most), Ok(())) => format!("available, at most {most}"),
            (Some(_), Err(error)) => format!("cannot be created: {error}"),
        },
        remedy: if allowed {
            "leave the chroot or container (a container needs `--security-opt seccomp=unconfined`, or a \
             profile that allows unshare), or see the AppArmor line"
        } else {
            "sudo sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"
        },
    }
}

fn apparmor() -> Finding {
    let restricted = number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1);
    Finding {
        name: "AppArmor",
        well: !restricted || rustix::process::geteuid().is_root(),
        found: if restricted { "restricts user namespaces" } else { "does not restrict user namespaces" }.to_owned(),
        remedy: "sudo ./x setup (installs an AppArmor profile for Regen's programs), or sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    }
}

fn kernel_version() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    Finding {
        name: "kernel",
        well: version >= (5, 12),
        found: format!("Linux {release}"),
        remedy: "Regen needs Linux 5.12 or later (clone3, close_range, mount_setattr)",
    }
}

fn landlock() -> Finding {
    let version = regen_sandbox::sys::landlock_version();
    let least =
        policy::all(Mode::Jit).map_or(0, |all| all.iter().map(|policy| policy.landlock_minimum).max().unwrap_or(0));
    let shortfall = Policy::of("tab-host").ok().and_then(|policy| regen_sandbox::landlock::shortfall(&policy, version));
    let found = if version == 0 { "not supported, or disabled".to_owned() } else { format!("version {version}") };
    Finding {
        name: "Landlock",
        well: version >= least,
        found: shortfall.filter(|_| version > 0).unwrap_or(found),
        remedy: "Regen needs Landlock 2 (Linux 5.19 or later); if disabled, add `landlock` to the kernel's `lsm=` option",
    }
}

fn seccomp() -> Finding {
    let well = regen_sandbox::sys::has_seccomp_notifications();
    Finding {
        name: "seccomp",
        well,
        found: if well { "user notifications are available" } else { "this kernel has no user notifications" }
            .to_owned(),
        remedy: "Regen needs Linux 5.0 or later with CONFIG_SECCOMP_FILTER",
    }
}

fn policies() -> Finding {
    let all = policy::all(Mode::Jit);
    Finding {
        name: "policies",
        well: all.is_ok(),
        found: all.map_or_else(|error| error.to_string(), |all| format!("{} roles", all.len())),
        remedy: "correct or remove the file in /etc/regen/sandbox-policies",
    }
}

fn programs() -> Vec<Finding> {
    let folder = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_path_buf)).unwrap_or_default();
    let names = [
        "regen-broker",
        "regen-jail",
        "regen-tab-host",
        "regen-net-daemon",
        "regen-agent-daemon",
        "regen-ui-shell",
        "libregen_page_agent.so",
        "libregen_crash_agent.so",
    ];
    let missing: Vec<&str> = names.into_iter().filter(|name| !folder.join(name).exists()).collect();
    vec![Finding {
        name: "programs",
        well: missing.is_empty(),
        found: if missing.is_empty() {
            format!("all in {}", folder.display())
        } else {
            format!("missing: {}", missing.join(", "))
        },
        remedy: "./x build",
    }]
}

fn files() -> Vec<Finding> {
    let needed = [
        (
            "web engine",
            "/usr/lib/{multiarch}/webkit2gtk-4.1/WebKitWebProcess",
            "sudo apt-get install libwebkit2gtk-4.1-0",
        ),
        ("HTTPS", "/usr/lib/{multiarch}/gio/modules/libgiognutls.so", "sudo apt-get install glib-networking"),
        ("software rendering", "/usr/lib/{multiarch}/libEGL_mesa.so.0", "sudo apt-get install libegl1 libgl1-mesa-dri"),
        ("keyboard layouts", "/usr/share/X11/xkb", "sudo apt-get install xkb-data"),
        ("fonts", "/usr/share/fonts", "sudo apt-get install fonts-dejavu-core"),
        ("certificate authorities", "/etc/ssl/certs/ca-certificates.crt", "sudo apt-get install ca-certificates"),
        ("filter lists", "{ublock}/assets/ublock", "sudo apt-get install webext-ublock-origin-firefox"),
    ];
    needed
        .into_iter()
        .map(|(name, path, remedy)| {
            let path = regen_sandbox::filled(path);
            Finding { name, well: Path::new(&path).exists(), found: path, remedy }
        })
        .collect()
}

async fn profile_findings(folder: Option<&Path>) -> Vec<Finding> {
    let remedy = "keep the folder, attach it to a bug report, or delete it; Regen does not need it";
    let mut findings = Vec::new();
    if let Ok(profile) = Profile::find(folder)
        && let Ok(entries) = fs::read_dir(profile.root())
    {
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("store.unreadable-") {
                let found = format!("a session that could not be read is kept in {}", entry.path().display());
                findings.push(Finding { name: "profile", well: false, found, remedy });
            }
        }
    }
    if let Ok(mut client) = Client::connect(folder).await
        && let Ok(status) = client.api.status(StatusRequest { memory: false }).await
    {
        for found in status.into_inner().warnings {
            findings.push(Finding { name: "running browser", well: false, found, remedy: "see `regen logs`" });
        }
    }
    findings
}
