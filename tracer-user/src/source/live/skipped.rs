//! Events that the kernel did not hand to the probes at all.
//!
//! A program that is already running on a CPU is not run again inside itself, and a kretprobe needs a free
//! instance. The kernel counts both and shows them in the `fdinfo` of each program and link.

use std::{
    fs::{self, File},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::FileExt as _,
    },
    str,
};

use aya::{Ebpf, programs::Program};
use tracer_ebpf::Hook;

use crate::{
    event::{Event, LossCause, Time},
    kernel::now,
};

/// Hooks that fire all the time, in interrupts as well. What the kernel skips of them came in an interrupt that hit the probe
/// while it ran, or, where probes can be preempted, in another task. Nothing is concluded from what they don't report.
const UNCOUNTED: [Hook; 3] = [Hook::Free, Hook::TimerStart, Hook::QueueWork];

/// The counts of this process's programs and links.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    counters: Vec<Counter>,
}

/// The count of one program or link.
#[derive(Debug)]
struct Counter {
    information: File,
    last: u64,
}

impl Skipped {
    /// The counts of what this process has loaded and attached by now.
    pub(super) fn open(ebpf: &Ebpf) -> Self {
        let uncounted: Vec<Identity> = UNCOUNTED
            .into_iter()
            .filter_map(|hook| identity(ebpf, hook))
            .collect();
        let Ok(descriptors) = fs::read_dir("/proc/self/fdinfo") else {
            return Self::default();
        };
        let mut counters: Vec<(Identity, Counter)> = Vec::new();
        for descriptor in descriptors.flatten() {
            let Ok(information) = File::open(descriptor.path()) else {
                continue;
            };
            // Several descriptors may stand for one program.
            if let Some((identity, _)) = read(&information)
                && counters.iter().all(|(known, _)| *known != identity)
                && !uncounted.contains(&identity)
            {
                counters.push((
                    identity,
                    Counter {
                        information,
                        last: 0,
                    },
                ));
            }
        }
        Self {
            counters: counters.into_iter().map(|(_, counter)| counter).collect(),
        }
    }

    /// Tells `sink` of what was skipped since the last call, before what happened meanwhile is told. The loss has the time up to which
    /// that may have been. Returns the time up to which everything that was skipped has been told: the counts are read after it.
    pub(super) fn tell(&mut self, sink: &mut impl FnMut(Event)) -> Time {
        let before = now();
        let count = self.since_last();
        if count > 0 {
            // One that was skipped while the counts were read is among them.
            sink(Event::loss(now(), count, LossCause::ProbeSkipped));
        }
        before
    }

    fn since_last(&mut self) -> u64 {
        let mut skipped = 0;
        for counter in &mut self.counters {
            if let Some((_, count)) = read(&counter.information) {
                skipped += count.saturating_sub(counter.last);
                counter.last = count;
            }
        }
        skipped
    }
}

/// Which program or link a descriptor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    Program(u64),
    Link(u64),
}

/// Which program observes a tracepoint, if it is loaded.
fn identity(ebpf: &Ebpf, hook: Hook) -> Option<Identity> {
    let programs = hook.description().enter?;
    let Program::RawTracePoint(program) = ebpf.program(programs.plain)? else {
        return None;
    };
    let descriptor = program.fd().ok()?.as_fd().as_raw_fd();
    let information = File::open(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
    read(&information).map(|(identity, _)| identity)
}

/// What an `fdinfo` file shows at this moment, if it has a count.
fn read(information: &File) -> Option<(Identity, u64)> {
    // An ordinary one takes a third of it.
    let mut buffer = [0; 1024];
    let length = information.read_at(&mut buffer, 0).ok()?;
    count(str::from_utf8(buffer.get(..length)?).ok()?)
}

/// The identity and the count that one `fdinfo` shows.
fn count(information: &str) -> Option<(Identity, u64)> {
    let mut identity = None;
    let mut count = None;
    for line in information.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let number = || value.trim().parse().ok();
        match key {
            "prog_id" if identity.is_none() => identity = number().map(Identity::Program),
            "link_id" => identity = number().map(Identity::Link),
            "recursion_misses" | "missed" => count = number(),
            _ => {}
        }
    }
    Some((identity?, count?))
}

#[cfg(test)]
mod tests {
    use super::{Identity, count};

    #[test]
    fn a_programs_recursion_misses_are_read() {
        let information = "pos:\t0\nflags:\t02\nprog_type:\t26\nprog_jited:\t1\nprog_id:\t77\nrun_cnt:\t9\nrecursion_misses:\t3\n";
        assert_eq!(count(information), Some((Identity::Program(77), 3)));
    }

    #[test]
    fn a_links_misses_are_its_own_not_its_programs() {
        let information =
            "link_type:\tperf\nlink_id:\t5\nprog_tag:\tab\nprog_id:\t77\nmissed:\t2\n";
        assert_eq!(count(information), Some((Identity::Link(5), 2)));
    }

    #[test]
    fn other_descriptors_have_no_count() {
        assert_eq!(count("pos:\t0\nflags:\t02\n"), None);
    }
}
