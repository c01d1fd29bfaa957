//! How much memory the cgroups of this process allow it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::mounts::{Mount, mounts};

/// A cgroup's limit on memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The file that sets it: `memory.max`, or `memory.limit_in_bytes` of the first version of cgroups.
    pub file: PathBuf,
    /// Bytes.
    pub bytes: u64,
}

/// The lowest limit on memory of this process's cgroup and those above it, if there is one (cgroups(7)).
#[must_use]
pub fn memory_limit() -> Option<MemoryLimit> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounted = fs::read_to_string("/proc/self/mountinfo").ok()?;
    lowest(&own, &mounts(&mounted), |file| {
        fs::read_to_string(file).ok()
    })
}

fn lowest(
    own: &str,
    mounted: &[Mount],
    read: impl Fn(&Path) -> Option<String>,
) -> Option<MemoryLimit> {
    own.lines()
        .filter_map(|line| directory(line, mounted))
        .flat_map(|(directory, name)| {
            // Those above the mount point have no such file.
            let above: Vec<_> = directory.ancestors().map(|path| path.join(name)).collect();
            above
        })
        .filter_map(|file| {
            let bytes = read(&file)?.trim().parse().ok()?;
            Some(MemoryLimit { file, bytes })
        })
        .min_by_key(|limit| limit.bytes)
}

/// Where a line of `/proc/self/cgroup` (`hierarchy:controllers:path`) has its directory, and the name of the limit's file.
fn directory(line: &str, mounted: &[Mount]) -> Option<(PathBuf, &'static str)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let has = |list: &str| list.split(',').any(|word| word == "memory");
    let (kind, name) = if controllers.is_empty() {
        ("cgroup2", "memory.max")
    } else if has(controllers) {
        ("cgroup", "memory.limit_in_bytes")
    } else {
        return None;
    };
    let mount = mounted
        .iter()
        .find(|mount| mount.kind == kind && (kind == "cgroup2" || has(&mount.options)))?;
    // In a container what is mounted may begin where its own path ends.
    let below = Path::new(path).strip_prefix(&mount.root).ok()?;
    Some((Path::new(&mount.point).join(below), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTED: &str = "\
        25 1 0:22 / /proc rw,nosuid - proc proc rw\n\
        30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
        31 23 0:27 /box /sys/fs/old rw - cgroup cgroup rw,memory\n\
        32 23 0:28 / /sys/fs/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";

    fn of(own: &str, files: &[(&str, &str)]) -> Option<(String, u64)> {
        let limit = lowest(own, &mounts(MOUNTED), |file| {
            files
                .iter()
                .find(|(name, _)| Path::new(name) == file)
                .map(|(_, content)| (*content).to_owned())
        })?;
        Some((limit.file.display().to_string(), limit.bytes))
    }

    #[test]
    fn the_lowest_limit_from_the_own_cgroup_upwards_counts() {
        let files = [
            ("/sys/fs/cgroup/ci/job/memory.max", "max\n"),
            ("/sys/fs/cgroup/ci/memory.max", "67108864\n"),
            ("/sys/fs/cgroup/other/memory.max", "1\n"),
            ("/sys/fs/old/job/memory.limit_in_bytes", "33554432\n"),
            ("/sys/fs/cpu/job/memory.limit_in_bytes", "2\n"),
        ];
        let limit = |own| of(own, &files);
        assert_eq!(
            limit("0::/ci/job\n"),
            Some(("/sys/fs/cgroup/ci/memory.max".to_owned(), 67_108_864))
        );
        let old = "/sys/fs/old/job/memory.limit_in_bytes".to_owned();
        assert_eq!(
            limit("4:memory:/box/job\n2:cpu,cpuacct:/job\n0::/ci/job\n"),
            Some((old, 33_554_432))
        );
        assert_eq!(limit("4:memory:/elsewhere\n0::/\n"), None);
        assert_eq!(limit("no cgroups\n"), None);
    }
}
