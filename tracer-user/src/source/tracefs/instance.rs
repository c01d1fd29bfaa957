//! An ftrace instance of our own.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
};

use crate::{
    boot::{Probe, Setup},
    event::Hook,
    kernel::{Kernel, is_before},
};

/// What our instances are called; behind it comes the number of the process.
const INSTANCE: &str = "devres-tracer-";
/// The group of our probe events; behind it comes the number of the process.
const GROUP: &str = "devres_";
/// What a process that has an instance is called.
const PROCESS: &str = "devres-tracer";

/// Whose callers the rules want to know.
const WITH_STACK: [Hook; 7] = [
    Hook::AddDr,
    Hook::OpenGroup,
    Hook::CloseGroup,
    Hook::RemoveGroup,
    Hook::ReleaseGroup,
    Hook::Destroy,
    Hook::Release,
];

/// Why the kernel's own tracing can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TracefsError {
    /// There is none.
    #[error(
        "cannot read tracefs at {0}: run as root, and mount it with `mount -t tracefs tracefs {0}`; the kernel needs CONFIG_TRACING=y"
    )]
    Missing(String),
    /// An instance can't be made.
    #[error("cannot create an ftrace instance at {path} (run as root)")]
    Instance {
        /// Where.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Something in it can't be set.
    #[error("{path} can't be written")]
    Write {
        /// What.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Its events can't be read.
    #[error("{path} can't be read")]
    Read {
        /// What.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Neither the tracepoint nor any function can be recorded.
    #[error(
        "this kernel has neither the devres_log tracepoint nor kprobe events: it can't record devres events"
    )]
    Nothing,
}

/// An instance. It is removed when this value goes away.
#[derive(Debug)]
pub struct Instance {
    tracing: PathBuf,
    directory: PathBuf,
    group: String,
    /// Probe events that were defined.
    events: Vec<String>,
    /// Those of which the kernel counts how many calls it did not observe.
    counted: Vec<String>,
    /// What the kernel would not take, in words.
    refused: Vec<String>,
    /// Whether additions have their stacks.
    stacks: bool,
    pipe: Option<File>,
    /// Whether the kernel counts each argument that it can't read as a call that it has not observed.
    counts_faults: bool,
    /// Calls that the kernel had not observed before this was made, of events that are called as ours.
    missed_before: u64,
}

impl Instance {
    /// Makes an instance that records a setup from here on.
    pub fn create(tracing: &Path, setup: &Setup) -> Result<Self, TracefsError> {
        if !tracing.join("trace").exists() {
            return Err(TracefsError::Missing(tracing.display().to_string()));
        }
        remove_abandoned(tracing);
        let directory = tracing
            .join("instances")
            .join(format!("{INSTANCE}{}", process::id()));
        fs::create_dir(&directory).map_err(|source| TracefsError::Instance {
            path: directory.display().to_string(),
            source,
        })?;
        let mut instance = Self {
            tracing: tracing.to_owned(),
            directory,
            group: format!("{GROUP}{}", process::id()),
            events: Vec::new(),
            counted: Vec::new(),
            refused: Vec::new(),
            stacks: false,
            pipe: None,
            counts_faults: is_before(&Kernel::running().release, FAULTS_UNCOUNTED),
            missed_before: 0,
        };
        instance.set_up(setup)?;
        Ok(instance)
    }

    fn set_up(&mut self, setup: &Setup) -> Result<(), TracefsError> {
        self.write("tracing_on", "0")?;
        self.write("trace_clock", "mono")?;
        self.write("buffer_size_kb", &(setup.options.buffer >> 10).to_string())?;
        if setup.tracepoint {
            self.write("events/dev/devres_log/enable", "1")?;
        }
        for probe in setup.all_probes() {
            if let Err(error) = self.define(probe) {
                self.refused.push(format!("{}: {error}", probe.function));
                continue;
            }
            if probe.hook != Hook::PmDetach || !self.counts_faults {
                self.counted.push(probe.event());
            }
            self.events.push(probe.event());
        }
        if !self.events.is_empty() {
            self.write(&format!("events/{}/enable", self.group), "1")?;
        }
        if self.events.is_empty() && !setup.tracepoint {
            return Err(TracefsError::Nothing);
        }
        if setup.options.stacks {
            self.take_stacks(setup);
        }
        let pipe = self.directory.join("trace_pipe");
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&pipe);
        self.pipe = Some(opened.map_err(|source| TracefsError::Read {
            path: pipe.display().to_string(),
            source,
        })?);
        self.missed_before = self.missed_by_now();
        self.write("tracing_on", "1")
    }

    /// Has the kernel's stack printed behind what the rules want to know the caller of. Where it can't be had behind
    /// `add_dr`, it is behind each line of the tracepoint.
    fn take_stacks(&mut self, setup: &Setup) {
        // Without offsets, older kernels print no modules either.
        let _ = self.write("options/sym-offset", "1");
        let mut adders = false;
        for probe in setup.all_probes().filter(|probe| !probe.returns) {
            let wanted = setup.probes_see_callers
                && WITH_STACK.contains(&probe.hook)
                && self.events.contains(&probe.event());
            let trigger = format!("events/{}/{}/trigger", self.group, probe.event());
            if wanted && self.write(&trigger, "stacktrace").is_ok() {
                adders |= probe.hook == Hook::AddDr;
            }
        }
        let log = "events/dev/devres_log/trigger";
        self.stacks = adders || setup.tracepoint && self.write(log, "stacktrace").is_ok();
    }

    /// Makes a probe event: by the function's name, or by its address where a module has a function of that name too.
    fn define(&self, probe: &Probe) -> io::Result<()> {
        let definitions = self.tracing.join("kprobe_events");
        append(&definitions, &probe.line_in(&self.group)).or_else(|error| {
            let line = probe.line_in_by_address(&self.group);
            line.map_or(Err(error), |line| append(&definitions, &line))
        })
    }

    /// Probe events that are recorded.
    #[must_use]
    pub fn events(&self) -> &[String] {
        &self.events
    }

    /// Whether additions have their stacks.
    #[must_use]
    pub fn stacks(&self) -> bool {
        self.stacks
    }

    /// What the kernel would not record, in words.
    #[must_use]
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    /// Records nothing more; what was recorded can still be read.
    pub fn stop(&self) -> Result<(), TracefsError> {
        self.write("tracing_on", "0")
    }

    /// Reads what was recorded, as far as there is room; nothing if there is no more for now.
    pub fn read(&mut self, space: &mut [u8]) -> Result<usize, TracefsError> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(0);
        };
        match pipe.read(space) {
            Ok(count) => Ok(count),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(0)
            }
            Err(source) => Err(TracefsError::Read {
                path: self.directory.join("trace_pipe").display().to_string(),
                source,
            }),
        }
    }

    /// Events that found no room, by CPU, as the instance's statistics say.
    #[must_use]
    pub fn lost(&self) -> Vec<(usize, u64)> {
        let mut lost = Vec::new();
        for cpu in 0.. {
            let stats = self.directory.join(format!("per_cpu/cpu{cpu}/stats"));
            let Ok(text) = fs::read_to_string(stats) else {
                break;
            };
            let count = lost_in(&text);
            if count > 0 {
                lost.push((cpu, count));
            }
        }
        lost
    }

    /// Calls and returns that the kernel did not observe since the instance was made.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed_by_now().saturating_sub(self.missed_before)
    }

    fn missed_by_now(&self) -> u64 {
        let profile = fs::read_to_string(self.tracing.join("kprobe_profile")).unwrap_or_default();
        profile
            .lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let (event, _, missed) = (words.next()?, words.next()?, words.next()?);
                self.counted
                    .iter()
                    .any(|own| own == event)
                    .then(|| missed.parse::<u64>().ok())?
            })
            .sum()
    }

    fn write(&self, file: &str, value: &str) -> Result<(), TracefsError> {
        let path = self.directory.join(file);
        fs::write(&path, value).map_err(|source| TracefsError::Write {
            path: path.display().to_string(),
            source,
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.pipe = None;
        remove(&self.tracing, &self.directory, &self.group);
    }
}

/// Removes the instances and probe events of tracers that were killed.
pub fn remove_abandoned(tracing: &Path) {
    let instances = fs::read_dir(tracing.join("instances"))
        .into_iter()
        .flatten();
    for entry in instances.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(INSTANCE) else {
            continue;
        };
        if process.bytes().all(|byte| byte.is_ascii_digit()) && !is_ours(process) {
            remove(tracing, &entry.path(), &format!("{GROUP}{process}"));
        }
    }
}

/// Whether a process that has this number now may be the one that made an instance.
fn is_ours(process: &str) -> bool {
    fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|comm| comm.trim() == PROCESS)
}

/// Removes an instance, and then the probe events of its group: they can't be while something records them. What fails
/// is left to the next tracer.
fn remove(tracing: &Path, directory: &Path, group: &str) {
    // What is enabled when an instance goes is disabled with it; on kernels before 5.10 it had to be before.
    let _ = fs::write(directory.join("events/enable"), "0");
    let _ = fs::remove_dir(directory);
    let definitions = tracing.join("kprobe_events");
    let text = fs::read_to_string(&definitions).unwrap_or_default();
    for line in text.lines() {
        let event = line
            .split_ascii_whitespace()
            .next()
            .and_then(|kind| kind.split_once(':'))
            .map(|(_, event)| event);
        if let Some(event) = event.filter(|event| {
            event
                .split_once('/')
                .is_some_and(|(of_group, _)| of_group == group)
        }) {
            let _ = append(&definitions, &format!("-:{event}"));
        }
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// The first series that does not count a fault in reading an argument as a call that was missed. What `pm_domain` points to
/// is such an argument where there is no PM domain.
const FAULTS_UNCOUNTED: (u32, u32) = (5, 14);

/// The events that a buffer of one CPU has lost.
fn lost_in(statistics: &str) -> u64 {
    statistics
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| matches!(name.trim(), "overrun" | "commit overrun" | "dropped events"))
        .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::lost_in;

    #[test]
    fn statistics_tell_what_was_lost() {
        let statistics = "entries: 120\noverrun: 7\ncommit overrun: 1\nbytes: 4096\noldest event ts:  1.0\n\
                          now ts:  2.0\ndropped events: 2\nread events: 80\n";
        assert_eq!(lost_in(statistics), 10);
    }
}
