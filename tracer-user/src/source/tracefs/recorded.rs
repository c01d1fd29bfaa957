//! What tracefs says of the trace that is read from it: which functions are recorded, also those that were not called.

use std::{fs, path::Path};

use crate::{
    event::Hook,
    evidence::{Attachment, Before, Coverage, HookState},
    source::text,
};

/// Which events a buffer of the kernel records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    hooks: Vec<Hook>,
    /// Whether the kernel was told to on its command line.
    from_boot_on: bool,
}

impl Recorded {
    /// What is recorded in the buffer whose `trace` this is; `None` where it is no file of tracefs.
    #[must_use]
    pub fn beside(trace: &Path) -> Option<Self> {
        if trace.file_name()? != "trace" {
            return None;
        }
        let directory = trace.parent()?;
        if !directory.join("trace_clock").exists() {
            return None;
        }
        let events = fs::read_to_string(directory.join("set_event")).ok()?;
        let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        Some(Self::of(&events, &command_line))
    }

    /// By the content of `set_event` and of `/proc/cmdline`.
    fn of(events: &str, command_line: &str) -> Self {
        let mut hooks: Vec<Hook> = events
            .lines()
            .filter_map(|event| match event.trim() {
                "dev:devres_log" => Some(Hook::DevresLog),
                event => text::hook_of_event(event),
            })
            .collect();
        hooks.sort_unstable();
        hooks.dedup();
        let parameter = |name: &str, value: &str| {
            command_line
                .split_ascii_whitespace()
                .filter_map(|word| word.strip_prefix(name))
                .any(|words| words.contains(value))
        };
        let from_boot_on =
            parameter("trace_event=", "devres_log") && parameter("kprobe_event=", "really_probe");
        Self {
            hooks,
            from_boot_on,
        }
    }

    /// Puts into the coverage of the text what the text itself doesn't say.
    pub fn complete(&self, coverage: &mut Coverage) {
        for entry in &mut coverage.hooks {
            if self.hooks.contains(&entry.hook) {
                entry.state = HookState::Attached(Attachment::Recorded);
            }
        }
        if self.from_boot_on && self.hooks.contains(&Hook::DevresLog) {
            coverage.before = Before::Unknown(
                "the kernel has recorded since its boot; of devices that it made before its probe events were set up, what \
                 happened then is not known"
                    .to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::HookCoverage;

    #[test]
    fn what_was_not_called_is_recorded_nevertheless() {
        let recorded = Recorded::of(
            "kprobes:p_really_probe_0\nkprobes:r_really_probe_0\nkprobes:p_devres_destroy_0\ndev:devres_log\nsched:sched_switch\n",
            "quiet trace_event=dev:devres_log kprobe_event=p,really_probe,dev=%di",
        );
        assert_eq!(
            recorded.hooks,
            [Hook::DevresLog, Hook::Probe, Hook::Destroy]
        );
        let mut coverage = Coverage {
            hooks: vec![
                HookCoverage {
                    hook: Hook::Destroy,
                    state: HookState::Missing("none".to_owned()),
                },
                HookCoverage {
                    hook: Hook::Bound,
                    state: HookState::Missing("none".to_owned()),
                },
            ],
            ..Coverage::default()
        };
        recorded.complete(&mut coverage);
        assert!(coverage.sees(Hook::Destroy) && !coverage.sees(Hook::Bound));
        assert!(matches!(&coverage.before, Before::Unknown(why) if why.contains("since its boot")));
    }

    #[test]
    fn other_files_called_trace_are_no_tracefs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        fs::write(&path, "").unwrap();
        assert_eq!(Recorded::beside(&path), None);
    }
}
