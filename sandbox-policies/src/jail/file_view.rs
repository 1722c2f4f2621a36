//! The file view: an empty root with the entries that the policy lists, and nothing else.
//!
//! `hold` opens the sources as detached mounts first, because the sandbox's user may not reach them by path. `enter`
//! then attaches them to a new root, which replaces the machine's.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use regen_sandbox::DISPLAY_FOLDER;
use regen_sandbox::policy::{Mount, MountKind, Policy};
use regen_sandbox::spawn::Contents;
use regen_sandbox::{DEVICES, sys};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};

use crate::{SetupError, Step};

/// A detached copy of one source, with its target.
#[derive(Debug)]
pub(crate) struct Held {
    tree: OwnedFd,
    target: String,
    is_folder: bool,
    attributes: MountAttrFlags,
}

const LOCKED: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_RDONLY.union(MountAttrFlags::MOUNT_ATTR_NOSUID).union(MountAttrFlags::MOUNT_ATTR_NODEV);
const WRITABLE: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Opens every source of the policy as a detached mount.
pub(crate) fn hold(policy: &Policy, contents: &Contents) -> Result<Vec<Held>, SetupError> {
    let mut held = Vec::new();
    for mount in &policy.mount {
        match mount.kind {
            MountKind::ReadOnly | MountKind::File => {
                let source = fill_in(&mount.path, &contents.programs);
                let optional = mount.optional && !source.exists();
                if !optional {
                    held.push(hold_one(&source, mount.target_filled(), LOCKED)?);
                }
            }
            MountKind::Bucket => {
                held.push(hold_one(given(contents.bucket.as_ref())?, mount.target_filled(), WRITABLE)?)
            }
            MountKind::Chosen => {
                let flags = LOCKED | MountAttrFlags::MOUNT_ATTR_NOEXEC;
                held.push(hold_one(given(contents.chosen.as_ref())?, mount.target_filled(), flags)?);
            }
            MountKind::CaBundle => {
                if let Some(bundle) = &contents.ca_bundle {
                    held.push(hold_one(bundle, mount.target_filled(), LOCKED)?);
                }
            }
            MountKind::Devices => {
                for name in DEVICES {
                    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
                    let target = format!("{}/{name}", mount.target());
                    held.push(hold_one(&Path::new("/dev").join(name), target, flags)?);
                }
            }
            MountKind::Display => {
                for (source, target) in display_sockets() {
                    held.push(hold_one(&source, target, LOCKED)?);
                }
            }
            MountKind::Symlink | MountKind::Tmpfs | MountKind::Proc => {}
        }
    }
    Ok(held)
}

/// Returns a folder that the launcher must name for this role.
fn given(folder: Option<&PathBuf>) -> Result<&Path, SetupError> {
    folder.map(PathBuf::as_path).ok_or_else(|| std::io::Error::other("missing")).step("bucket or chosen folder")
}

/// Replaces the machine's root with the file view.
pub(crate) fn enter(policy: &Policy, held: Vec<Held>) -> Result<(), SetupError> {
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .step("make mounts private")?;
    let root = tmpfs("64k", MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    attach(&root, Path::new("/tmp"))?;
    rustix::process::chdir("/tmp").step("enter the new root")?;

    for mount in &policy.mount {
        let target = relative(mount.target());
        match mount.kind {
            MountKind::Tmpfs => {
                fs::create_dir_all(&target).step(mount.target())?;
                attach(&tmpfs(mount.size.as_deref().unwrap_or("1M"), WRITABLE)?, &target)?;
            }
            MountKind::Symlink => {
                std::os::unix::fs::symlink(&mount.path, &target).step(mount.target())?;
            }
            MountKind::Proc => {
                fs::create_dir_all(&target).step(mount.target())?;
                let proc = filesystem("proc", &[("subset", "pid")], WRITABLE)?;
                attach(&proc, &target)?;
            }
            MountKind::ReadOnly
            | MountKind::File
            | MountKind::Bucket
            | MountKind::Chosen
            | MountKind::CaBundle
            | MountKind::Devices
            | MountKind::Display => {
                for held in held.iter().filter(|held| belongs(mount, held)) {
                    place(held)?;
                }
            }
        }
    }

    rustix::process::pivot_root(".", ".").step("replace the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("unmount the old root")?;
    rustix::process::chdir("/").step("enter the root")
}

/// Makes the root read-only, so that nothing can be added beside the entries of the policy.
pub(crate) fn lock() -> Result<(), SetupError> {
    make_read_only("/", MountFlags::empty())
}

/// Remounts a place read-only, with additional flags.
pub(crate) fn make_read_only(place: &str, more: MountFlags) -> Result<(), SetupError> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | more;
    rustix::mount::mount_remount(place, flags, "").step(&format!("lock {place}"))
}

fn belongs(mount: &Mount, held: &Held) -> bool {
    match mount.kind {
        MountKind::Devices => held.target.starts_with("/dev/") && mount.target() == "/dev",
        MountKind::Display => held.target.starts_with(DISPLAY_FOLDER) || held.target.starts_with("/tmp/.X11-unix/"),
        MountKind::ReadOnly
        | MountKind::File
        | MountKind::Bucket
        | MountKind::Chosen
        | MountKind::CaBundle
        | MountKind::Symlink
        | MountKind::Tmpfs
        | MountKind::Proc => held.target == mount.target_filled(),
    }
}

fn place(held: &Held) -> Result<(), SetupError> {
    let target = relative(&held.target);
    if held.is_folder {
        fs::create_dir_all(&target).step(&held.target)?;
    } else {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).step(&held.target)?;
        }
        if !target.exists() {
            fs::write(&target, "").step(&held.target)?;
        }
    }
    sys::mount_setattr(held.tree.as_fd(), held.attributes.bits().into()).step(&held.target)?;
    attach(&held.tree, &target)
}

fn hold_one(source: &Path, target: String, attributes: MountAttrFlags) -> Result<Held, SetupError> {
    let name = source.display().to_string();
    let is_folder = fs::metadata(source).step(&name)?.is_dir();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, source, flags).step(&name)?;
    Ok(Held { tree, target, is_folder, attributes })
}

fn filesystem(kind: &str, options: &[(&str, &str)], flags: MountAttrFlags) -> Result<OwnedFd, SetupError> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).step(kind)?;
    for (name, value) in options {
        rustix::mount::fsconfig_set_string(context.as_fd(), *name, *value).step(name)?;
    }
    rustix::mount::fsconfig_create(context.as_fd()).step(kind)?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags).step(kind)
}

fn tmpfs(size: &str, flags: MountAttrFlags) -> Result<OwnedFd, SetupError> {
    filesystem("tmpfs", &[("size", size), ("mode", "0755")], flags)
}

fn attach(tree: &OwnedFd, target: &Path) -> Result<(), SetupError> {
    rustix::mount::move_mount(tree.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .step(&target.display().to_string())
}

fn relative(target: &str) -> PathBuf {
    PathBuf::from(format!(".{target}"))
}

pub(crate) fn fill_in(path: &str, programs: &Path) -> PathBuf {
    PathBuf::from(regen_sandbox::filled(&path.replace("{bin}", &programs.to_string_lossy())))
}

trait Filled {
    fn target_filled(&self) -> String;
}

impl Filled for Mount {
    fn target_filled(&self) -> String {
        regen_sandbox::filled(self.target())
    }
}

/// Returns the sources and targets of the user's display sockets, found by the environment that the launcher passed on.
fn display_sockets() -> Vec<(PathBuf, String)> {
    let mut sockets = Vec::new();
    if let (Ok(folder), Ok(name)) = (std::env::var("XDG_RUNTIME_DIR"), std::env::var("WAYLAND_DISPLAY")) {
        sockets.push((Path::new(&folder).join(name), format!("{DISPLAY_FOLDER}/wayland-0")));
    } else if let Some(number) = x11_number() {
        sockets.push((PathBuf::from(format!("/tmp/.X11-unix/X{number}")), format!("/tmp/.X11-unix/X{number}")));
        let key = std::env::var("XAUTHORITY").map(PathBuf::from).ok().or_else(|| {
            let home = std::env::var("HOME").ok()?;
            Some(Path::new(&home).join(".Xauthority"))
        });
        if let Some(key) = key.filter(|key| key.exists()) {
            sockets.push((key, format!("{DISPLAY_FOLDER}/xauthority")));
        }
    }
    sockets.into_iter().filter(|(source, _)| source.exists()).collect()
}

fn x11_number() -> Option<String> {
    let display = std::env::var("DISPLAY").ok()?;
    let number = display.strip_prefix(':')?.split('.').next()?;
    number.chars().all(|c| c.is_ascii_digit()).then(|| number.to_owned())
}

/// Returns the variables that tell the toolkit where the granted display is; empty for a role without one.
pub(crate) fn display_variables() -> Vec<String> {
    let mut variables = Vec::new();
    if Path::new(DISPLAY_FOLDER).join("wayland-0").exists() {
        variables.push(format!("WAYLAND_DISPLAY={DISPLAY_FOLDER}/wayland-0"));
        variables.push("GDK_BACKEND=wayland".to_owned());
    } else if let Some(number) = x11_number().filter(|n| Path::new("/tmp/.X11-unix").join(format!("X{n}")).exists()) {
        variables.push(format!("DISPLAY=:{number}"));
        variables.push("GDK_BACKEND=x11".to_owned());
        let key = Path::new(DISPLAY_FOLDER).join("xauthority");
        if key.exists() {
            variables.push(format!("XAUTHORITY={}", key.display()));
        }
    }
    variables
}
