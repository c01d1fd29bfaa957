//! The kernel's switches that silence probes without detaching them.
//!
//! With `kprobes/enabled` at 0 no kprobe fires, whoever attached it; with the sysctl `kernel.ftrace_enabled` at 0
//! no fentry does, and no kprobe can be attached to a function's entry. Neither tells those who are attached.

use std::{fs::File, os::unix::fs::FileExt as _};

use super::decode::outside_any_task;
use crate::{
    event::{Event, Loss, LossCause, Time},
    evidence::{Attachment, HookCoverage, HookState},
};

/// Whether kprobes fire, where debugfs is mounted.
const KPROBES: &str = "/sys/kernel/debug/kprobes/enabled";
/// The sysctl `kernel.ftrace_enabled`.
const FTRACE: &str = "/proc/sys/kernel/ftrace_enabled";

/// Whether a switch is off; one that can't be read is not known to be.
fn is_off(switch: &File) -> bool {
    let mut state = [0];
    matches!(switch.read_at(&mut state, 0), Ok(1)) && state == *b"0"
}

fn is_off_at(path: &str) -> bool {
    File::open(path).is_ok_and(|switch| is_off(&switch))
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
}

#[derive(Debug)]
struct Switch {
    state: File,
    cause: LossCause,
    /// As it was last seen, so that it is told once.
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
        let switches = ways
            .into_iter()
            .filter(|(way, _, _)| uses(*way))
            .filter_map(|(_, path, cause)| {
                Some(Switch {
                    state: File::open(path).ok()?,
                    cause,
                    off: false,
                })
            });
        Self {
            switches: switches.collect(),
        }
    }

    /// Tells `sink` of each switch that was turned off since the last call, as of `time`.
    pub(super) fn tell(&mut self, time: Time, sink: &mut impl FnMut(Event)) {
        for switch in &mut self.switches {
            let off = is_off(&switch.state);
            if off && !switch.off {
                sink(outside_any_task(
                    time,
                    Loss {
                        count: 0,
                        cause: switch.cause,
                    },
                ));
            }
            switch.off = off;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_switch_is_told_each_time_that_it_is_turned_off() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut switches = Switches {
            switches: vec![Switch {
                state: file.reopen().unwrap(),
                cause: LossCause::KprobesOff,
                off: false,
            }],
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
            crate::event::EventKind::Loss(Loss {
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
}
