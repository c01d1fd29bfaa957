//! What the machine can't do without: the disks in use, the only network, the console, the terminal, a host's directories.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{ExerciseError, Roots, Target, affected::affected, sysfs::names};
use crate::kernel::{self, Mount};

/// Refuses devices without which the machine would be cut off.
pub(super) fn refuse(roots: &Roots, targets: &[Target]) -> Result<(), ExerciseError> {
    for target in targets {
        let paths = affected(std::slice::from_ref(&target.path));
        if let Some(reason) = needed_by(roots, &paths)? {
            return Err(ExerciseError::Refused {
                target: format!("{}/{}", target.place.bus, target.place.device),
                reason,
            });
        }
    }
    // Two networks that are not needed each may be needed together.
    let paths: Vec<PathBuf> = targets.iter().map(|target| target.path.clone()).collect();
    if let Some(reason) = needed_by(roots, &affected(&paths))? {
        return Err(ExerciseError::Refused {
            target: "all of this together".to_owned(),
            reason,
        });
    }
    Ok(())
}

/// What needs something in or below these directories.
fn needed_by(
    roots: &Roots,
    directories: &BTreeSet<PathBuf>,
) -> Result<Option<String>, ExerciseError> {
    let holds = |path: &Path| {
        directories
            .iter()
            .any(|directory| path.starts_with(directory))
    };
    for (what, device) in disks(roots) {
        if holds(&device) {
            return Ok(Some(what));
        }
    }
    let others = consoles(roots).into_iter().chain(terminal(roots));
    for (what, device) in others.chain(shares(roots)) {
        if holds(&device) {
            return Ok(Some(what));
        }
    }
    let networks = networks(roots)?;
    if let Some(point) = mounted_from_network(roots)
        && let Some((name, _)) = networks.iter().find(|(_, path)| holds(path))
    {
        return Ok(Some(format!(
            "{name}, a network from which {point} may be mounted"
        )));
    }
    let (lost, kept): (Vec<_>, Vec<_>) = networks.iter().partition(|(_, path)| holds(path));
    if let (Some((name, _)), true) = (lost.first(), kept.is_empty()) {
        return Ok(Some(format!("{name}, the only network that is up")));
    }
    Ok(None)
}

/// Everything that is mounted.
fn mounts(roots: &Roots) -> Vec<Mount> {
    kernel::mounts(&fs::read_to_string(roots.proc.join("self/mountinfo")).unwrap_or_default())
}

/// Where something is mounted from another machine, if that is so.
fn mounted_from_network(roots: &Roots) -> Option<String> {
    mounts(roots)
        .into_iter()
        .find(|mount| {
            ["nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.sshfs"].contains(&mount.kind.as_str())
        })
        .map(|mount| mount.point)
}

/// The disks that are mounted or swapped to, with all disks that they are made of.
fn disks(roots: &Roots) -> Vec<(String, PathBuf)> {
    let mut disks = Vec::new();
    for mount in mounts(roots) {
        let by_number = roots.sys.join("dev/block").join(&mount.numbers);
        // File systems of many devices, such as btrfs, have numbers of their own.
        let block = by_number
            .canonicalize()
            .ok()
            .or_else(|| by_name(roots, &mount.source));
        if let Some(block) = block {
            let what = format!("the disk that is mounted on {}", mount.point);
            add_disk(roots, &block, &what, &mut disks);
        }
    }
    let swaps = fs::read_to_string(roots.proc.join("swaps")).unwrap_or_default();
    for line in swaps.lines().skip(1) {
        if let Some(block) = line
            .split_whitespace()
            .next()
            .and_then(|name| by_name(roots, name))
        {
            add_disk(roots, &block, "swap", &mut disks);
        }
    }
    disks
}

/// The block device of a node in `/dev`.
fn by_name(roots: &Roots, node: &str) -> Option<PathBuf> {
    let node = node.strip_prefix("/dev/")?;
    let name = match roots.sys.join("class/block").join(node) {
        path if path.exists() => path,
        // A name of udev's or of the device mapper's.
        _ => {
            let target = fs::canonicalize(Path::new("/dev").join(node)).ok()?;
            roots.sys.join("class/block").join(target.file_name()?)
        }
    };
    name.canonicalize().ok()
}

fn add_disk(roots: &Roots, block: &Path, what: &str, into: &mut Vec<(String, PathBuf)>) {
    if into.iter().any(|(_, known)| known == block) {
        return;
    }
    into.push((what.to_owned(), block.to_owned()));
    // The device mapper, RAID and the like: what they are made of. A partition's disk knows.
    let own = block.join("slaves");
    let parent = block.parent().map(|parent| parent.join("slaves"));
    for slaves in [Some(own), parent].into_iter().flatten() {
        for slave in names(&slaves).unwrap_or_default() {
            if let Ok(slave) = roots.sys.join("class/block").join(slave).canonicalize() {
                add_disk(roots, &slave, what, into);
            }
        }
    }
}

/// The consoles.
fn consoles(roots: &Roots) -> Vec<(String, PathBuf)> {
    let terminals = roots.sys.join("class/tty");
    let active = fs::read_to_string(terminals.join("console/active")).unwrap_or_default();
    let mut consoles = Vec::new();
    for name in active.split_whitespace() {
        let what = format!("{name}, a console");
        // The terminal itself lies below its device; older kernels have a link to that as well.
        let terminal = terminals.join(name);
        for path in [terminal.clone(), terminal.join("device")] {
            if let Ok(path) = path.canonicalize() {
                consoles.push((what.clone(), path));
            }
        }
        let is_virtual = name
            .strip_prefix("tty")
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        if is_virtual {
            let screens = roots.sys.join("class/graphics");
            for screen in names(&screens).unwrap_or_default() {
                if screen.starts_with("fb")
                    && let Ok(path) = screens.join(&screen).join("device").canonicalize()
                {
                    consoles.push((format!("{screen}, the screen of {name}"), path));
                }
            }
        }
    }
    consoles
}

/// The terminal that this process runs on, as proc(5) has it in `stat`, unless it is one without a device.
fn terminal(roots: &Roots) -> Option<(String, PathBuf)> {
    let stat = fs::read_to_string(roots.proc.join("self/stat")).ok()?;
    // A program's name may have blanks and brackets.
    let (_, behind) = stat.rsplit_once(") ")?;
    let number: u32 = behind.split(' ').nth(4)?.parse().ok()?;
    let (major, minor) = (
        (number >> 8) & 0xfff,
        (number & 0xff) | ((number >> 12) & 0xfff00),
    );
    let path = roots.sys.join(format!("dev/char/{major}:{minor}"));
    let path = path.canonicalize().ok()?;
    Some(("the terminal that this runs on".to_owned(), path))
}

/// The devices through which directories of a host are mounted.
fn shares(roots: &Roots) -> Vec<(String, PathBuf)> {
    let mut shares = Vec::new();
    for mount in mounts(roots) {
        let driver = match mount.kind.as_str() {
            "9p" => "9pnet_virtio",
            "virtiofs" => "virtiofs",
            _ => continue,
        };
        for device in Target::of_driver(roots, "virtio", driver).unwrap_or_default() {
            // Not every kernel shows the tag of a virtiofs.
            let tag = fs::read_to_string(device.path.join("mount_tag"));
            if tag.is_ok_and(|tag| tag.trim_end_matches(['\0', '\n']) != mount.source) {
                continue;
            }
            let what = format!("what is mounted on {} from the host", mount.point);
            shares.push((what, device.path));
        }
    }
    shares
}

/// The networks that are up and have a device.
fn networks(roots: &Roots) -> Result<Vec<(String, PathBuf)>, ExerciseError> {
    let directory = roots.sys.join("class/net");
    let mut networks = Vec::new();
    for name in names(&directory)? {
        let interface = directory.join(&name);
        let state = fs::read_to_string(interface.join("operstate")).unwrap_or_default();
        // Some drivers never say.
        let is_up = match state.trim() {
            "up" => true,
            "unknown" => fs::read_to_string(interface.join("carrier"))
                .is_ok_and(|carrier| carrier.trim() == "1"),
            _ => false,
        };
        if is_up && let Ok(device) = interface.join("device").canonicalize() {
            networks.push((name, device));
        }
    }
    Ok(networks)
}
