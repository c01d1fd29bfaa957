//! The kernel's fault injection for slab allocations, set so that `fail-nth` reaches all of them, and set back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Roots;

/// What must be so while allocations are made to fail: they may wait for memory, as almost all in a probe do; they may be
/// of any cache; and the kernel logs where it lets one fail.
const WANTED: [(&str, &str); 3] = [
    ("ignore-gfp-wait", "N"),
    ("cache-filter", "N"),
    ("verbose", "2"),
];
/// The kernel counts it down at each failure unless it is -1, although `fail-nth` ignores it.
const COUNTED: &str = "times";

/// failslab, and how it was set before.
#[derive(Debug)]
pub(super) struct Failslab {
    directory: PathBuf,
    before: Vec<(&'static str, String)>,
}

impl Failslab {
    /// Sets it, where the kernel has it and `fail-nth`; else says why not.
    pub(super) fn set(roots: &Roots) -> Result<Self, String> {
        let mut failslab = Self::find(roots)?;
        failslab.keep(COUNTED)?;
        for (name, value) in WANTED {
            let set = failslab.keep(name).and_then(|before| {
                if before == value {
                    return Ok(());
                }
                failslab.write(name, value)
            });
            if let Err(error) = set {
                // What came first: that it can't be set back either is for the same reason.
                let _ = failslab.restore();
                return Err(error);
            }
        }
        Ok(failslab)
    }

    fn find(roots: &Roots) -> Result<Self, String> {
        if !roots.proc.join("thread-self/fail-nth").exists() {
            return Err(
                "the kernel has no /proc/thread-self/fail-nth (CONFIG_FAULT_INJECTION)".to_owned(),
            );
        }
        let debugfs = roots.sys.join("kernel/debug");
        let directory = debugfs.join("failslab");
        match fs::metadata(&directory) {
            Ok(_) => Ok(Self {
                directory,
                before: Vec::new(),
            }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", directory.display()))
            }
            Err(_) if is_empty(&debugfs) => {
                Err("debugfs is not mounted at /sys/kernel/debug".to_owned())
            }
            Err(_) => Err(
                "the kernel has no /sys/kernel/debug/failslab (CONFIG_FAILSLAB, CONFIG_FAULT_INJECTION_DEBUG_FS)"
                    .to_owned(),
            ),
        }
    }

    /// Sets it back to what it was.
    pub(super) fn restore(&self) -> Result<(), String> {
        let restore = |(name, before): &(&'static str, String)| {
            if self.read(name).is_ok_and(|now| now == *before) {
                return None;
            }
            self.write(name, before).err()
        };
        let problems: Vec<String> = self.before.iter().filter_map(restore).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.join("; "))
        }
    }

    /// Notes how something is set.
    fn keep(&mut self, name: &'static str) -> Result<String, String> {
        let before = self
            .read(name)
            .map_err(|error| format!("failslab/{name} can't be read: {error}"))?;
        self.before.push((name, before.clone()));
        Ok(before)
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let text = fs::read_to_string(self.directory.join(name))?;
        Ok(text.trim().to_owned())
    }

    fn write(&self, name: &str, value: &str) -> Result<(), String> {
        fs::write(self.directory.join(name), value)
            .map_err(|error| format!("failslab/{name} can't be set to {value}: {error}"))
    }
}

/// Whether a directory has nothing in it, or is not there.
fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree in which these files are, and nothing else.
    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let roots = Roots {
            sys: directory.path().join("sys"),
            proc: directory.path().join("proc"),
            modules: directory.path().join("modules"),
        };
        (directory, roots)
    }

    const FAIL_NTH: (&str, &str) = ("proc/thread-self/fail-nth", "0\n");
    const KERNEL: [(&str, &str); 5] = [
        FAIL_NTH,
        ("sys/kernel/debug/failslab/ignore-gfp-wait", "Y\n"),
        ("sys/kernel/debug/failslab/cache-filter", "N\n"),
        ("sys/kernel/debug/failslab/verbose", "0\n"),
        ("sys/kernel/debug/failslab/times", "1\n"),
    ];

    #[test]
    fn what_is_set_is_set_back() {
        let (_directory, roots) = tree(&KERNEL);
        let path = |name: &str| roots.sys.join("kernel/debug/failslab").join(name);
        let read = |name: &str| fs::read_to_string(path(name)).unwrap();
        let failslab = Failslab::set(&roots).unwrap();
        assert_eq!((&*read("ignore-gfp-wait"), &*read("verbose")), ("N", "2"));
        // Nothing is written that is right already.
        assert_eq!(read("cache-filter"), "N\n");
        fs::write(path("times"), "0\n").unwrap();
        failslab.restore().unwrap();
        let names = ["ignore-gfp-wait", "cache-filter", "verbose", "times"];
        assert_eq!(names.map(read), ["Y", "N\n", "0", "1"]);
    }

    #[test]
    fn what_can_not_be_set_back_is_said() {
        let (directory, roots) = tree(&KERNEL);
        let failslab = Failslab::set(&roots).unwrap();
        fs::remove_dir_all(directory.path().join("sys")).unwrap();
        let error = failslab.restore().unwrap_err();
        assert!(
            error.contains("failslab/ignore-gfp-wait can't be set to Y"),
            "{error}"
        );
    }

    #[test]
    fn what_the_kernel_lacks_is_said() {
        let reason = |files: &[(&str, &str)]| {
            let (_directory, roots) = tree(files);
            Failslab::set(&roots).unwrap_err()
        };
        assert!(reason(&KERNEL[1..]).contains("CONFIG_FAULT_INJECTION"));
        assert!(reason(&[FAIL_NTH]).contains("debugfs is not mounted"));
        let other = ("sys/kernel/debug/fail_page_alloc/times", "1\n");
        assert!(reason(&[FAIL_NTH, other]).contains("CONFIG_FAILSLAB"));
        // An older kernel may lack one of its settings: nothing stays changed.
        let (_directory, roots) = tree(&KERNEL[..3]);
        let directory = roots.sys.join("kernel/debug/failslab");
        fs::write(directory.join("times"), "1\n").unwrap();
        let error = Failslab::set(&roots).unwrap_err();
        assert!(error.contains("failslab/verbose can't be read"), "{error}");
        let path = directory.join("ignore-gfp-wait");
        assert_eq!(fs::read_to_string(path).unwrap(), "Y");
    }
}
