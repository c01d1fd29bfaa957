//! The kernel's switches that silence probes without detaching them.
//!
//! With `kprobes/enabled` at 0 no kprobe fires, whoever attached it; with the sysctl `kernel.ftrace_enabled` at 0
//! no fentry does, and no kprobe can be attached to a function's entry. Neither notifies those who are attached.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use crate::{
    event::{Event, LossCause, Time},
    evidence::{Attachment, HookCoverage, HookState},
};

/// Whether kprobes fire, where debugfs is mounted.
const KPROBES: &str = "/sys/kernel/debug/kprobes/enabled";
/// The sysctl `kernel.ftrace_enabled`.
const FTRACE: &str = "/proc/sys/kernel/ftrace_enabled";
/// The sysctl `net.core.bpf_jit_enable`. Debian's kernels for RISC-V boot with 0.
const COMPILER: &str = "/proc/sys/net/core/bpf_jit_enable";

/// Where the kernel lists the kinds of file systems that it has.
const FILE_SYSTEMS: &str = "/proc/filesystems";

/// Whether the kernel has a switch for this way, as far as can be known where it can't be read: the one of kprobes lies
/// in debugfs, which need not be mounted, nor be there at all.
fn exists(way: Attachment) -> bool {
    let file_systems = || fs::read_to_string(FILE_SYSTEMS).unwrap_or_default();
    way != Attachment::Kprobe || has_debugfs(&file_systems())
}

fn has_debugfs(file_systems: &str) -> bool {
    file_systems
        .split_whitespace()
        .any(|word| word == "debugfs")
}

/// Whether a switch is off; one that can't be read is not known to be.
fn is_off(switch: &File) -> bool {
    let mut state = [0];
    matches!(switch.read_at(&mut state, 0), Ok(1)) && state == *b"0"
}

fn is_off_at(path: &str) -> bool {
    File::open(path).is_ok_and(|switch| is_off(&switch))
}

/// Whether the kernel does not compile eBPF programs. A kernel that always does has no such switch.
pub(super) fn compiler_is_off() -> bool {
    is_off_at(COMPILER)
}

/// Why nothing that is attached in this way would fire at this moment, if so.
pub(super) fn silences(way: Attachment) -> Option<&'static str> {
    match way {
        Attachment::Kprobe if is_off_at(KPROBES) => Some(
            "kprobes are switched off (switch them on: echo 1 >/sys/kernel/debug/kprobes/enabled)",
        ),
        Attachment::Fentry | Attachment::Kprobe if is_off_at(FTRACE) => {
            Some("ftrace is switched off (switch it on: sysctl kernel.ftrace_enabled=1)")
        }
        _ => None,
    }
}

/// The switches that matter to what is attached.
#[derive(Debug, Default)]
pub(super) struct Switches {
    switches: Vec<Switch>,
    unread: Vec<Attachment>,
}

#[derive(Debug)]
struct Switch {
    state: File,
    cause: LossCause,
    /// As it was last seen, so that it is reported once.
    off: bool,
}

impl Switches {
    /// The switches of the ways in which these are attached.
    pub(super) fn of(hooks: &[HookCoverage]) -> Self {
        let uses = |way| {
            hooks
                .iter()
                .any(|entry| entry.state == HookState::Attached(way))
        };
        let ways = [
            (Attachment::Kprobe, KPROBES, LossCause::KprobesOff),
            (Attachment::Fentry, FTRACE, LossCause::FtraceOff),
        ];
        let mut switches = Self::default();
        for (way, path, cause) in ways.into_iter().filter(|(way, _, _)| uses(*way)) {
            match File::open(path) {
                Ok(state) => switches.switches.push(Switch {
                    state,
                    cause,
                    off: false,
                }),
                Err(_) if exists(way) => switches.unread.push(way),
                Err(_) => {}
            }
        }
        switches
    }

    /// The ways of attachment whose switch can't be read.
    pub(super) fn unread(&self) -> &[Attachment] {
        &self.unread
    }

    /// Tells `sink` of each switch that was turned off since the last call, as of `time`.
    pub(super) fn tell(&mut self, time: Time, sink: &mut impl FnMut(Event)) {
        for switch in &mut self.switches {
            let off = is_off(&switch.state);
            if off && !switch.off {
                sink(Event::loss(time, 0, switch.cause));
            }
            switch.off = off;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::event::{EventKind, Loss};

    #[test]
    fn a_switch_is_told_each_time_that_it_is_turned_off() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut switches = Switches {
            switches: vec![Switch {
                state: file.reopen().unwrap(),
                cause: LossCause::KprobesOff,
                off: false,
            }],
            unread: Vec::new(),
        };
        let mut told = Vec::new();
        let steps: [(&[u8], usize); 5] = [
            (b"1\n", 0),
            (b"0\n", 1),
            (b"0\n", 1),
            (b"1\n", 1),
            (b"0\n", 2),
        ];
        for (state, expected) in steps {
            file.as_file_mut().set_len(0).unwrap();
            std::io::Seek::rewind(&mut file).unwrap();
            file.write_all(state).unwrap();
            switches.tell(Time(1), &mut |event| told.push(event));
            assert_eq!(told.len(), expected, "after {state:?}");
        }
        assert!(told.iter().all(|event| matches!(
            &event.kind,
            EventKind::Loss(Loss {
                count: 0,
                cause: LossCause::KprobesOff
            })
        )));
    }

    #[test]
    fn a_switch_that_can_not_be_read_is_not_taken_to_be_off() {
        assert!(!is_off_at("/nonexistent/enabled"));
        assert!(!is_off(&tempfile::tempfile().unwrap()));
    }

    #[test]
    fn a_kernel_without_debugfs_has_no_switch_in_it() {
        assert!(has_debugfs("nodev\ttracefs\nnodev\tdebugfs\n\text4\n"));
        assert!(!has_debugfs("nodev\ttracefs\n\text4\n"));
    }
}
