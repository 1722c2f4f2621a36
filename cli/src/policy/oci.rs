//! Conversion of a policy to an OCI runtime configuration. OCI cannot express Landlock rules and notifications of the
//! broker: Landlock is left out, and calls that would notify the broker are refused.

use std::path::Path;

use regen_sandbox::policy::{Condition, Limit, Mount, MountKind, Namespace, Policy, Resource};
use regen_sandbox::seccomp::errno;
use regen_sandbox::seccomp::{self, Comparison};
use regen_sandbox::spawn::{INSIDE_ID, outside_id};
use regen_sandbox::{DEVICES, filled};
use serde_json::{Value, json};

/// Version of the OCI runtime specification.
const VERSION: &str = "1.0.2";

/// Host user ID of the namespace's root, which sets up the sandbox.
const SETUP: u32 = 61_599;

pub(crate) fn config(policy: &Policy, programs: &Path) -> Value {
    let env: Vec<String> =
        policy.env.iter().filter_map(|env| Some(format!("{}={}", env.name, env.value.as_deref()?))).collect();
    let empty: [&str; 0] = [];
    let capabilities = json!({
        "bounding": empty, "effective": empty, "inheritable": empty, "permitted": empty, "ambient": empty,
    });
    let outside = outside_id(&policy.role);
    // A runtime sets up the sandbox as root of the namespace, which has no rights outside.
    let map = json!([
        { "containerID": 0, "hostID": SETUP, "size": 1 },
        { "containerID": INSIDE_ID, "hostID": outside, "size": 1 },
    ]);
    json!({
        "ociVersion": VERSION,
        "process": {
            "user": { "uid": INSIDE_ID, "gid": INSIDE_ID },
            "args": [format!("/regen/{}", policy.program)],
            "env": env,
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": capabilities,
            "oomScoreAdj": policy.memory.as_ref().map(|memory| memory.oom_score_adj),
            "rlimits": policy.limit.iter().map(|limit| rlimit(limit)).collect::<Vec<_>>(),
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "regen",
        "mounts": policy.mount.iter().flat_map(|rule| mounts(rule, programs)).collect::<Vec<_>>(),
        "linux": {
            "namespaces": policy.namespaces.new.iter().map(|new| json!({ "type": namespace(*new) })).collect::<Vec<_>>(),
            "uidMappings": map,
            "gidMappings": map,
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO",
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
                "syscalls": system_calls(policy),
            },
        },
        "annotations": { "org.regen.role": policy.role, "org.regen.policy.sha256": policy.sha256 },
    })
}

fn namespace(namespace: Namespace) -> &'static str {
    match namespace {
        Namespace::Net => "network",
        Namespace::User | Namespace::Pid | Namespace::Mount | Namespace::Ipc | Namespace::Uts | Namespace::Cgroup => {
            match namespace.file() {
                "mnt" => "mount",
                same => same,
            }
        }
    }
}

fn rlimit(limit: &Limit) -> Value {
    let name = match limit.resource {
        Resource::Nofile => "RLIMIT_NOFILE",
        Resource::Nproc => "RLIMIT_NPROC",
        Resource::Core => "RLIMIT_CORE",
        Resource::Fsize => "RLIMIT_FSIZE",
        Resource::Data => "RLIMIT_DATA",
    };
    json!({ "type": name, "soft": limit.value, "hard": limit.value })
}

/// Converts a mount rule. Symbolic links are left to the root file system. Paths known only to a running browser are
/// placeholders in braces.
fn mounts(mount: &Mount, programs: &Path) -> Vec<Value> {
    let source = |path: &str| filled(&path.replace("{bin}", &programs.to_string_lossy()));
    let bind = |path: &str, target: &str, options: &[&str]| {
        let options: Vec<&str> = ["rbind"].iter().chain(options).copied().collect();
        json!({ "destination": filled(target), "type": "bind", "source": source(path), "options": options })
    };
    let here = |path: &str, options: &[&str]| vec![bind(path, mount.target(), options)];
    match mount.kind {
        MountKind::Symlink => Vec::new(),
        MountKind::ReadOnly | MountKind::File if mount.optional && !Path::new(&source(&mount.path)).exists() => {
            Vec::new()
        }
        MountKind::ReadOnly | MountKind::File => here(&mount.path, &["ro", "nosuid", "nodev"]),
        MountKind::Bucket => here("{bucket}", &["nosuid", "nodev", "noexec"]),
        MountKind::Chosen => here("{chosen}", &["ro", "nosuid", "nodev", "noexec"]),
        MountKind::CaBundle => here("{certificates}", &["ro", "nosuid", "nodev"]),
        MountKind::Display => here("{display}", &["ro", "nosuid", "nodev"]),
        MountKind::Devices => {
            let device = |name| {
                let path = format!("{}/{name}", mount.target());
                bind(&path, &path, &["nosuid", "noexec"])
            };
            DEVICES.into_iter().map(device).collect()
        }
        MountKind::Tmpfs => {
            let size = format!("size={}", mount.size.as_deref().unwrap_or("1M"));
            vec![json!({
                "destination": mount.target(), "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", "noexec", size],
            })]
        }
        MountKind::Proc => vec![json!({
            "destination": mount.target(), "type": "proc", "source": "proc",
            "options": ["nosuid", "nodev", "noexec", "subset=pid"],
        })],
    }
}

fn system_calls(policy: &Policy) -> Vec<Value> {
    let allowed =
        policy.allow.iter().flat_map(|rule| rules(&rule.calls, &rule.when, &json!({ "action": "SCMP_ACT_ALLOW" })));
    let refused = policy.refuse.iter().flat_map(|rule| {
        rules(&rule.calls, &rule.when, &json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": errno(&rule.errno) }))
    });
    allowed.chain(refused).collect()
}

fn rules(calls: &[String], when: &[Condition], action: &Value) -> Vec<Value> {
    let with = |comparisons: Vec<Comparison>| {
        let arguments: Vec<Value> = comparisons.iter().map(|comparison| argument(*comparison)).collect();
        let mut rule = json!({ "names": calls, "args": arguments });
        if let (Some(rule), Some(action)) = (rule.as_object_mut(), action.as_object()) {
            rule.extend(action.clone());
        }
        rule
    };
    seccomp::combinations(when).into_iter().map(with).collect()
}

fn argument(comparison: Comparison) -> Value {
    match comparison.mask {
        None => json!({ "index": comparison.argument, "value": comparison.number, "op": "SCMP_CMP_EQ" }),
        Some(mask) => json!({
            "index": comparison.argument, "value": mask, "valueTwo": comparison.number, "op": "SCMP_CMP_MASKED_EQ",
        }),
    }
}
