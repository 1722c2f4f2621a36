//! Comparison of a process's file view with its policy. Every mount must belong to a rule and have the source, flags
//! and size of that rule, and no mount may cover another.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Check, Process};
use crate::policy::{Mount, MountKind, Policy};

/// A line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MountLine {
    device: String,
    /// Folder or file on the device that is mounted.
    root: String,
    place: String,
    options: Vec<String>,
    filesystem: String,
    super_options: Vec<String>,
}

impl MountLine {
    fn parse(line: &str) -> Option<Self> {
        let (own, rest) = line.split_once(" - ")?;
        let fields: Vec<&str> = own.split(' ').collect();
        let (mut rest, list) = (rest.split(' '), |text: &str| text.split(',').map(str::to_owned).collect());
        let filesystem = rest.next()?.to_owned();
        Some(Self {
            device: (*fields.get(2)?).to_owned(),
            root: unescape(fields.get(3)?),
            place: unescape(fields.get(4)?),
            options: list(fields.get(5)?),
            filesystem,
            super_options: list(rest.nth(1).unwrap_or_default()),
        })
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|other| other == option)
    }

    /// Returns the size limit of a tmpfs in KiB, if it has one.
    fn size_kb(&self) -> Option<u64> {
        let size = self.super_options.iter().find_map(|option| option.strip_prefix("size="))?;
        size.strip_suffix('k').and_then(|kb| kb.parse().ok())
    }
}

/// Decodes the octal escapes of `mountinfo`: blanks, tabs, line feeds and backslashes.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (octal, char)| text.replace(octal, char))
}

/// Mounts of the machine, by which the device of a file and its path there are found.
#[derive(Debug)]
struct Machine {
    mounts: Vec<MountLine>,
    /// Folder of Regen's programs.
    programs: PathBuf,
}

impl Machine {
    fn of(broker: i32) -> io::Result<Self> {
        let mounts = fs::read_to_string(format!("/proc/{broker}/mountinfo"))?;
        let program = fs::read_link(format!("/proc/{broker}/exe"))?;
        let programs = program.parent().unwrap_or(Path::new("/")).to_path_buf();
        Ok(Self { mounts: mounts.lines().filter_map(MountLine::parse).collect(), programs })
    }

    /// Returns the device of a rule's source and the path there; `None` if no mount of the machine contains it.
    fn source(&self, rule: &Mount) -> Option<(String, String)> {
        let path = crate::filled(&rule.path).replace("{bin}", &self.programs.to_string_lossy());
        let path = fs::canonicalize(&path).unwrap_or_else(|_| PathBuf::from(path));
        // Of several mounts in one place, the last one is visible.
        let holder = self.mounts.iter().enumerate().filter(|(_, mount)| path.starts_with(&mount.place));
        let (_, holder) = holder.max_by_key(|(index, mount)| (Path::new(&mount.place).components().count(), *index))?;
        let rest = path.strip_prefix(&holder.place).ok()?;
        let root =
            if rest.as_os_str().is_empty() { PathBuf::from(&holder.root) } else { Path::new(&holder.root).join(rest) };
        Some((holder.device.clone(), root.to_string_lossy().into_owned()))
    }
}

pub(super) fn check(policy: &Policy, process: &Process, broker: i32) -> io::Result<Check> {
    let machine = Machine::of(broker)?;
    let lines: Vec<MountLine> = process.file("mountinfo")?.lines().filter_map(MountLine::parse).collect();
    let wrong = compare(policy, &lines, |rule| machine.source(rule));
    let wanted = "each as in the policy, none over another";
    let found = if wrong.is_empty() { format!("{} mounts, {wanted}", lines.len()) } else { wrong.join("; ") };
    Ok(Check { name: "mounts", holds: wrong.is_empty(), found, wanted: wanted.to_owned() })
}

/// Describes the differences between a file view and its policy.
fn compare(policy: &Policy, lines: &[MountLine], source: impl Fn(&Mount) -> Option<(String, String)>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeMap::<&str, usize>::new();
    for line in lines {
        let place = line.place.as_str();
        *seen.entry(place).or_default() += 1;
        match policy.mount.iter().find(|mount| covers(mount.kind, &crate::filled(mount.target()), place)) {
            None if place == "/" => {
                if !line.has("ro") {
                    wrong.push("/ is writable".to_owned());
                }
            }
            None => wrong.push(format!("{place} is in no rule")),
            Some(rule) => wrong.extend(against(rule, line, &source)),
        }
    }
    wrong.extend(seen.iter().filter(|(_, count)| **count > 1).map(|(place, _)| format!("{place} is mounted over")));
    for rule in &policy.mount {
        let may_be_absent =
            rule.optional || matches!(rule.kind, MountKind::Symlink | MountKind::CaBundle | MountKind::Display);
        let target = crate::filled(rule.target());
        let is_there = seen.keys().any(|place| covers(rule.kind, &target, place));
        if !may_be_absent && !is_there {
            wrong.push(format!("{} is missing", rule.target()));
        }
    }
    wrong
}

/// Describes the differences between a mount and its rule.
fn against(rule: &Mount, line: &MountLine, source: impl Fn(&Mount) -> Option<(String, String)>) -> Vec<String> {
    let place = &line.place;
    let missing = flags(rule.kind).iter().filter(|flag| !line.has(flag));
    let mut wrong: Vec<String> = missing.map(|flag| format!("{place} is not {flag}")).collect();
    match rule.kind {
        // The policy names the source of these mounts.
        MountKind::ReadOnly | MountKind::File => {
            // A file that has been replaced on the disk is still mounted in its old version.
            let root = line.root.strip_suffix("//deleted").unwrap_or(&line.root);
            match source(rule) {
                Some((device, wanted)) if (device.as_str(), wanted.as_str()) != (line.device.as_str(), root) => {
                    wrong.push(format!("{place} shows {root} of device {}, and not {wanted}", line.device));
                }
                Some(_) | None => {}
            }
        }
        MountKind::Tmpfs => {
            let most = rule.size.as_deref().and_then(kb).unwrap_or(1024);
            match line.size_kb() {
                _ if line.filesystem != "tmpfs" => wrong.push(format!("{place} is a {}", line.filesystem)),
                Some(size) if size <= most => {}
                Some(size) => wrong.push(format!("{place} may hold {} MB, and not {} MB", size >> 10, most >> 10)),
                None => wrong.push(format!("{place} has no bound")),
            }
        }
        MountKind::Proc if line.filesystem != "proc" => wrong.push(format!("{place} is a {}", line.filesystem)),
        // The policy names no source for these mounts; the broker chooses some of them for each process.
        MountKind::Bucket
        | MountKind::Chosen
        | MountKind::CaBundle
        | MountKind::Devices
        | MountKind::Display
        | MountKind::Symlink
        | MountKind::Proc => {}
    }
    wrong
}

/// Returns a size from a policy, such as `256M`, in KiB.
fn kb(size: &str) -> Option<u64> {
    let (number, unit) = size.split_at(size.len().checked_sub(1)?);
    let factor = match unit {
        "K" => 1,
        "M" => 1 << 10,
        "G" => 1 << 20,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * factor)
}

fn covers(kind: MountKind, target: &str, place: &str) -> bool {
    match kind {
        MountKind::Devices => Path::new(place).parent() == Some(Path::new(target)),
        // The X server's socket is mounted at its usual path.
        MountKind::Display => place.starts_with(target) || place.starts_with("/tmp/.X11-unix/"),
        MountKind::Symlink => false,
        MountKind::ReadOnly
        | MountKind::File
        | MountKind::Bucket
        | MountKind::Chosen
        | MountKind::CaBundle
        | MountKind::Tmpfs
        | MountKind::Proc => place == target,
    }
}

fn flags(kind: MountKind) -> &'static [&'static str] {
    match kind {
        MountKind::ReadOnly | MountKind::File | MountKind::CaBundle | MountKind::Display => &["ro", "nosuid", "nodev"],
        MountKind::Chosen => &["ro", "nosuid", "nodev", "noexec"],
        MountKind::Bucket | MountKind::Tmpfs | MountKind::Proc => &["nosuid", "nodev", "noexec"],
        MountKind::Devices => &["nosuid", "noexec"],
        MountKind::Symlink => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "tab-host";

    /// Returns the file view that a policy describes.
    fn view(policy: &Policy) -> Vec<MountLine> {
        let line = |rule: &Mount| {
            let options = flags(rule.kind).iter().map(|flag| (*flag).to_owned()).collect();
            let size = rule.size.as_deref().and_then(kb).map(|kb| format!("size={kb}k"));
            let (filesystem, place) = match rule.kind {
                MountKind::Tmpfs => ("tmpfs", crate::filled(rule.target())),
                MountKind::Proc => ("proc", crate::filled(rule.target())),
                MountKind::Devices => ("devtmpfs", format!("{}/null", crate::filled(rule.target()))),
                MountKind::ReadOnly
                | MountKind::File
                | MountKind::Symlink
                | MountKind::Bucket
                | MountKind::Chosen
                | MountKind::CaBundle
                | MountKind::Display => ("ext4", crate::filled(rule.target())),
            };
            let (device, root) = ("8:1".to_owned(), rule.path.clone());
            MountLine {
                device,
                root,
                place,
                options,
                filesystem: filesystem.into(),
                super_options: size.into_iter().collect(),
            }
        };
        let shown = policy.mount.iter().filter(|rule| !matches!(rule.kind, MountKind::Symlink | MountKind::Display));
        let root = MountLine::parse("1 0 0:1 / / ro,nosuid - tmpfs tmpfs ro").unwrap();
        std::iter::once(root).chain(shown.map(|rule| line(rule))).collect()
    }

    fn found(change: impl FnOnce(&mut Vec<MountLine>)) -> String {
        let policy = Policy::of(POLICY).unwrap();
        let mut lines = view(&policy);
        change(&mut lines);
        compare(&policy, &lines, |rule| Some(("8:1".to_owned(), rule.path.clone()))).join("; ")
    }

    fn at<'a>(lines: &'a mut [MountLine], place: &str) -> &'a mut MountLine {
        lines.iter_mut().find(|line| line.place == place).unwrap()
    }

    #[test]
    fn a_view_as_the_policy_has_it_holds_and_each_change_shows() {
        assert_eq!(found(|_| {}), "", "the control");
        let over = found(|lines| {
            let again = at(lines, "/tmp").clone();
            lines.push(again);
        });
        assert_eq!(over, "/tmp is mounted over");
        assert!(
            found(|lines| at(lines, "/tmp").super_options = vec!["size=8388608k".into()]).contains("may hold 8192 MB")
        );
        assert!(found(|lines| at(lines, "/tmp").super_options.clear()).contains("has no bound"));
        assert!(found(|lines| at(lines, "/tmp").filesystem = "ext4".into()).contains("/tmp is a ext4"));
        let program = "/regen/regen-tab-host";
        assert!(found(|lines| at(lines, program).root = "/home/user/evil".into()).contains("shows /home/user/evil"));
        assert!(found(|lines| at(lines, program).device = "0:55".into()).contains("of device 0:55"));
        assert_eq!(found(|lines| at(lines, program).root.push_str("//deleted")), "", "replaced on the disk since");
        assert!(found(|lines| at(lines, program).options.retain(|option| option != "ro")).contains("is not ro"));
        assert!(found(|lines| lines.retain(|line| line.place != program)).contains("is missing"));
        let extra = MountLine::parse("9 1 8:1 /home /home rw - ext4 /dev/sda1 rw").unwrap();
        assert!(found(|lines| lines.push(extra)).contains("/home is in no rule"));
        assert!(found(|lines| at(lines, "/").options = vec!["rw".into()]).contains("/ is writable"));
    }

    #[test]
    fn lines_of_the_kernel_are_read_with_all_that_they_hold() {
        let line = "36 35 98:0 /a\\040b /mnt\\134x rw,noatime master:1 - ext3 /dev/root rw,size=1024k,errors=continue";
        let line = MountLine::parse(line).unwrap();
        assert_eq!((line.root.as_str(), line.place.as_str(), line.device.as_str()), ("/a b", "/mnt\\x", "98:0"));
        assert_eq!((line.size_kb(), line.has("noatime"), line.filesystem.as_str()), (Some(1024), true, "ext3"));
        assert_eq!(
            (kb("256M"), kb("2G"), kb("3K"), kb("x"), kb("")),
            (Some(262_144), Some(2 << 20), Some(3), None, None)
        );
    }
}
