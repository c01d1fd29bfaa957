//! Where a kernel that died has left something.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::messages;

/// The clock of a new instance.
const DEFAULT_CLOCK: &str = "local";

/// Something that was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// An instance of tracefs whose buffer has outlived the reset.
    Instance {
        /// Its name.
        name: String,
        /// Its `trace`.
        trace: PathBuf,
    },
    /// What a script has kept of such an instance, before it was used again.
    Kept(PathBuf),
    /// What a tracer has kept of what was under way.
    Messages(PathBuf),
    /// A dump of the kernel's log in pstore, its parts in order.
    Pstore(Vec<PathBuf>),
}

/// Where to look.
#[derive(Debug, Clone)]
pub struct Places {
    /// tracefs.
    pub tracing: PathBuf,
    /// Where scripts keep what was left.
    pub kept: PathBuf,
    /// pstore.
    pub pstore: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            tracing: "/sys/kernel/tracing".into(),
            kept: crate::boot::LAST_BOOT_DIRECTORY.into(),
            pstore: "/sys/fs/pstore".into(),
        }
    }
}

impl Places {
    /// What is there: first what holds events for sure.
    #[must_use]
    pub fn find(&self) -> Vec<Left> {
        let mut left = Vec::new();
        for instance in directories(&self.tracing.join("instances")) {
            if outlived(&instance) {
                left.push(Left::Instance {
                    name: file_name(&instance),
                    trace: instance.join("trace"),
                });
            }
        }
        let kept = files(&self.kept)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|it| it == "trace"));
        left.extend(kept.map(Left::Kept));
        let messages = files(&self.pstore)
            .into_iter()
            .filter(|path| file_name(path).starts_with("pmsg-"))
            .filter(|path| fs::read(path).is_ok_and(|it| messages::tell_of_a_crash(&it)));
        left.extend(messages.map(Left::Messages));
        left.extend(dumps(&self.pstore).into_iter().map(Left::Pstore));
        left
    }
}

impl Left {
    /// What to call it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Instance { name, .. } => format!("the persistent instance {name}"),
            Self::Kept(path) | Self::Messages(path) => path.display().to_string(),
            Self::Pstore(parts) => parts
                .first()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
        }
    }

    /// What of it this kernel has destroyed before anybody could read it, if so.
    ///
    /// Newer kernels remember the clock of such an instance. If that isn't the default one they set it again when they
    /// make the instance, which empties the buffers of all CPUs that run by then: of the one that boots.
    #[must_use]
    pub fn destroyed(&self) -> Option<String> {
        let Self::Instance { trace, .. } = self else {
            return None;
        };
        let clocks = fs::read_to_string(trace.with_file_name("trace_clock")).ok()?;
        let (_, rest) = clocks.split_once('[')?;
        let (clock, _) = rest.split_once(']')?;
        (clock != DEFAULT_CLOCK).then(|| {
            format!(
                "the buffer of the CPU that booted was emptied by this kernel, because the one before had recorded with the \
                 clock `{clock}`, not `{DEFAULT_CLOCK}`"
            )
        })
    }

    /// Its text. A part of a pstore dump has a line of its own that only numbers it.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Instance { trace: path, .. } | Self::Kept(path) => {
                Ok(without_names(fs::read(path)?))
            }
            Self::Messages(path) => fs::read(path),
            Self::Pstore(parts) => {
                let mut text = Vec::new();
                for part in parts {
                    let content = fs::read(part)?;
                    let behind = content
                        .iter()
                        .position(|byte| *byte == b'\n')
                        .map_or(0, |newline| newline + 1);
                    text.extend_from_slice(content.get(behind..).unwrap_or_default());
                    if text.last().is_some_and(|last| *last != b'\n') {
                        text.push(b'\n');
                    }
                }
                Ok(text)
            }
        }
    }
}

/// A trace without its tasks' names. A buffer holds their numbers, and the kernel that prints it looks these up among its
/// own tasks.
fn without_names(mut trace: Vec<u8>) -> Vec<u8> {
    /// The kernel prints `%16s-%d`.
    const UNKNOWN: &[u8; 16] = b"           <...>";
    let mut rest = trace.as_mut_slice();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, behind) = rest.split_at_mut(end.map_or(rest.len(), |end| end + 1));
        if let Some((name, [b'-', b'0'..=b'9', ..])) = line.split_first_chunk_mut() {
            *name = *UNKNOWN;
        }
        rest = behind;
    }
    trace
}

/// Whether an instance holds what the kernel before this one has recorded: its buffer outlives a reset, nothing is
/// recorded there now, and something is in it.
fn outlived(instance: &Path) -> bool {
    let Ok(information) = fs::read_to_string(instance.join("last_boot_info")) else {
        return false;
    };
    // Newer kernels say so where the buffer is this boot's own.
    if information.starts_with("# Current") {
        return false;
    }
    let recording = fs::read_to_string(instance.join("set_event")).unwrap_or_default();
    if !recording.trim().is_empty() {
        return false;
    }
    has_entries(&instance.join("trace"))
}

/// Whether a trace holds more than its head.
fn has_entries(trace: &Path) -> bool {
    use io::BufRead as _;
    let Ok(file) = fs::File::open(trace) else {
        return false;
    };
    io::BufReader::new(file)
        .split(b'\n')
        .map_while(Result::ok)
        .take(64)
        .any(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// The dumps of the kernel's log in pstore, the last one first. Firmware variables are small, so that a dump has several
/// parts there, of which the first is the log's end.
fn dumps(pstore: &Path) -> Vec<Vec<PathBuf>> {
    let mut dumps: BTreeMap<(u32, String), Vec<(u32, PathBuf)>> = BTreeMap::new();
    for path in files(pstore) {
        let name = file_name(&path);
        if !name.starts_with("dmesg-") || name.ends_with(".enc.z") {
            continue;
        }
        let Ok(content) = fs::read(&path) else {
            continue;
        };
        let first = content
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let first = String::from_utf8_lossy(first);
        // `Panic#2 Part1`
        let numbered = first.split_once('#').and_then(|(reason, rest)| {
            let (count, part) = rest.split_once(" Part")?;
            Some((
                count.parse().ok()?,
                reason.to_owned(),
                part.trim().parse().ok()?,
            ))
        });
        let (count, reason, part) = numbered.unwrap_or((0, name, 1));
        dumps.entry((count, reason)).or_default().push((part, path));
    }
    dumps
        .into_values()
        .rev()
        .map(|mut parts| {
            parts.sort_by_key(|(part, _)| std::cmp::Reverse(*part));
            parts.into_iter().map(|(_, path)| path).collect()
        })
        .collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

fn directories(directory: &Path) -> Vec<PathBuf> {
    let mut paths = entries(directory);
    paths.retain(|path| path.is_dir());
    paths
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths = entries(directory);
    paths.retain(|path| path.is_file());
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tasks_are_those_of_the_kernel_that_prints_them() {
        let trace = "# tracer: nop\n kworker/R-scsi_-155     [000] d..1.  1.0: x: y-2 z\n => y-7\n\n              sh-9";
        let expected = "# tracer: nop\n           <...>-155     [000] d..1.  1.0: x: y-2 z\n => y-7\n\n           <...>-9";
        assert_eq!(
            String::from_utf8(without_names(trace.into())).unwrap(),
            expected
        );
    }

    fn write(path: &Path, content: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn places(root: &Path) -> Places {
        Places {
            tracing: root.join("tracing"),
            kept: root.join("kept"),
            pstore: root.join("pstore"),
        }
    }

    #[test]
    fn only_buffers_of_the_kernel_before_count() {
        let root = tempfile::tempdir().unwrap();
        let places = places(root.path());
        let instance = |name: &str, information: &str, events: &str, trace: &str| {
            let directory = places.tracing.join("instances").join(name);
            write(&directory.join("last_boot_info"), information);
            write(&directory.join("set_event"), events);
            write(&directory.join("trace"), trace);
        };
        let line = "# tracer: nop\n#\n sh-1 [000] ..... 1.0: devres_log: x REL 1 y (8 bytes)\n";
        instance("died", "text delta:\t0\n", "", line);
        instance("empty", "text delta:\t0\n", "", "# tracer: nop\n#\n");
        instance("in-use", "text delta:\t0\n", "dev:devres_log\n", line);
        instance("of-this-boot", "# Current\n", "", line);
        write(&places.tracing.join("instances/plain/trace"), line);
        let found = places.find();
        let names: Vec<String> = found.iter().map(Left::name).collect();
        assert_eq!(names, ["the persistent instance died"]);
        let clock = places.tracing.join("instances/died/trace_clock");
        for (clocks, destroyed) in [("[local] global\n", false), ("local [mono]\n", true)] {
            write(&clock, clocks);
            assert_eq!(found[0].destroyed().is_some(), destroyed, "{clocks}");
        }
    }

    #[test]
    fn parts_of_a_dump_are_put_in_order() {
        let root = tempfile::tempdir().unwrap();
        let places = places(root.path());
        write(
            &places.pstore.join("dmesg-efi-1"),
            "Panic#2 Part1\nthe end\n",
        );
        write(
            &places.pstore.join("dmesg-efi-2"),
            "Panic#2 Part2\nthe beginning\n",
        );
        write(
            &places.pstore.join("dmesg-efi-3"),
            "Oops#1 Part1\nan oops before\n",
        );
        write(&places.pstore.join("console-ramoops-0"), "not a dump\n");
        write(&places.pstore.join("pmsg-ramoops-0"), "another program's\n");
        let found = places.find();
        let texts: Vec<String> = found
            .iter()
            .map(|left| String::from_utf8(left.read().unwrap()).unwrap())
            .collect();
        assert_eq!(texts, ["the beginning\nthe end\n", "an oops before\n"]);
    }
}
