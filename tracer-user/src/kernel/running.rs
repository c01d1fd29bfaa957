//! Facts about the running kernel that decide what can be traced.

use std::{fs, path::Path};

use schemars::JsonSchema;
use serde::Serialize;

use super::KERNEL_BTF;

/// The running kernel, and what this process may do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kernel {
    /// Its release, as `uname -r` prints it.
    pub release: String,
    /// The machine's architecture.
    pub machine: String,
    /// Whether it publishes its types.
    pub btf: bool,
    /// See [`lockdown`].
    pub lockdown: Option<String>,
    /// The capabilities that tracing wants and this process lacks.
    pub missing_capabilities: Vec<&'static str>,
}

/// The capabilities that tracing wants, with their numbers: to load programs, to read kernel memory in
/// them, and to see addresses in kallsyms.
const WANTED: [(&str, u32); 3] = [("CAP_BPF", 39), ("CAP_PERFMON", 38), ("CAP_SYSLOG", 34)];
/// What was needed for all of it before 5.8, and still suffices.
const SYS_ADMIN: u32 = 21;

/// Whether a release (`uname -r`) is of a series before this one; one that can't be read is not.
#[must_use]
pub fn is_before(release: &str, series: (u32, u32)) -> bool {
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < series,
        _ => false,
    }
}

impl Kernel {
    /// The running kernel.
    #[must_use]
    pub fn running() -> Self {
        let (release, machine) = nix::sys::utsname::uname().map_or_else(
            |_| (String::new(), String::new()),
            |names| {
                (
                    names.release().to_string_lossy().into_owned(),
                    names.machine().to_string_lossy().into_owned(),
                )
            },
        );
        Self {
            release,
            machine,
            btf: Path::new(KERNEL_BTF).exists(),
            lockdown: lockdown(),
            missing_capabilities: missing(
                &fs::read_to_string("/proc/self/status").unwrap_or_default(),
            ),
        }
    }

    /// What to say about the capabilities.
    #[must_use]
    pub fn capabilities_in_words(&self) -> String {
        if self.missing_capabilities.is_empty() {
            "sufficient".to_owned()
        } else {
            format!(
                "missing: {} (run as root, or grant them)",
                self.missing_capabilities.join(", ")
            )
        }
    }
}

/// The mode of the kernel's lockdown; `None` where the kernel has none or securityfs is not mounted.
#[must_use]
pub fn lockdown() -> Option<String> {
    mode(&fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default())
}

/// The mode in brackets.
fn mode(modes: &str) -> Option<String> {
    let (_, rest) = modes.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode.to_owned())
}

/// The wanted capabilities that are not among the effective ones in `/proc/self/status`.
fn missing(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0);
    let has = |number: u32| effective >> number & 1 == 1;
    WANTED
        .iter()
        .filter(|(_, number)| !has(*number) && !has(SYS_ADMIN))
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{is_before, missing, mode};

    #[test]
    fn a_release_is_compared_by_its_series() {
        let before = |release| is_before(release, (5, 14));
        assert!(before("5.10.0-46-amd64") && before("4.19.1"));
        assert!(!before("5.14.0") && !before("6.1.0-9-amd64") && !before("x"));
    }

    #[test]
    fn the_lockdown_mode_is_the_one_in_brackets() {
        assert_eq!(
            mode("none [integrity] confidentiality\n").as_deref(),
            Some("integrity")
        );
        assert_eq!(mode(""), None);
    }

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        assert_eq!(missing("CapInh:\t0\nCapEff:\t000001ffffffffff\n"), [""; 0]);
        assert_eq!(
            missing("CapEff:\t0000000000000000\n"),
            ["CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG"]
        );
        assert_eq!(
            missing("CapEff:\t0000008000000000\n"),
            ["CAP_PERFMON", "CAP_SYSLOG"]
        );
        assert_eq!(
            missing("CapEff:\t0000000000200000\n"),
            [""; 0],
            "CAP_SYS_ADMIN stands for all of them"
        );
    }
}
