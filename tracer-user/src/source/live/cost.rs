//! What the most frequent probe costs the traced kernel, measured on the running one.
//!
//! The probe of `devres_log` is run, not attached, with a device and a node of the snapshot, over and over, and
//! the kernel itself accounts for the time (`BPF_ENABLE_STATS`). So the figure is that of a burst: caches are warm,
//! and the stack is the short one of a system call.

use std::{fs, os::fd::AsRawFd as _, time::Duration};

use aya::{
    Ebpf,
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _},
    sys::{Stats, enable_stats},
};

use super::snapshot::{BpfMemory, Unreadable};

/// What is measured: the probe that [`BpfMemory`]'s caller has not attached.
const PROGRAM: &str = "raw_devres_log";

/// Why the cost could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// No device of the snapshot owns anything.
    #[error("no device holds a devres resource")]
    NoNode,
    /// The kernel did not run the probe.
    #[error("the probe can't be run: {0}")]
    NotRun(String),
    /// The kernel does not account for the time of programs.
    #[error("the kernel does not report the cost of programs: {0}")]
    NoStatistics(String),
    /// What the probe would be given is not there.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// What one run costs.
pub(super) struct Burst<'ebpf> {
    ebpf: &'ebpf Ebpf,
    arguments: [u64; 5],
    /// Keeps the kernel's accounting on.
    _accounting: std::os::fd::OwnedFd,
    /// The thread's name before.
    name: Vec<u8>,
}

/// Where a thread's name can be read and written.
const THREAD_NAME: &str = "/proc/thread-self/comm";

impl<'ebpf> Burst<'ebpf> {
    /// Loads the probe.
    pub(super) fn load(ebpf: &mut Ebpf) -> Result<(), CostError> {
        let not_run = |error: &dyn std::fmt::Display| CostError::NotRun(error.to_string());
        let program: &mut RawTracePoint = ebpf
            .program_mut(PROGRAM)
            .ok_or_else(|| not_run(&"the eBPF object lacks it"))?
            .try_into()
            .map_err(|error: aya::programs::ProgramError| not_run(&error))?;
        program.load().map_err(|error| not_run(&error))
    }

    /// Prepares runs that report an addition of `node`, `size` bytes large, to `device`, whose name lies at
    /// `name`. `comm` is the offset of `task_struct.comm`.
    pub(super) fn of_additions(
        ebpf: &'ebpf Ebpf,
        [device, node, name, size]: [u64; 4],
        comm: usize,
    ) -> Result<Self, CostError> {
        let accounting = enable_stats(Stats::RunTime)
            .map_err(|error| CostError::NoStatistics(error.to_string()))?;
        let mut memory = BpfMemory::new(ebpf).map_err(CostError::NotRun)?;
        // The probe reads the operation's name from kernel memory: this thread's own name lies there.
        let operation = memory.own_task()? + comm as u64;
        let old = fs::read(THREAD_NAME).unwrap_or_default();
        fs::write(THREAD_NAME, "ADD").map_err(|error| CostError::NotRun(error.to_string()))?;
        Ok(Self {
            ebpf,
            arguments: [device, operation, node, name, size],
            _accounting: accounting,
            name: old,
        })
    }

    /// Runs the probe so many times, and returns the mean time of one run.
    pub(super) fn run(&self, times: u32) -> Result<Duration, CostError> {
        let program: &RawTracePoint = self
            .ebpf
            .program(PROGRAM)
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| CostError::NotRun("it is not loaded".to_owned()))?;
        let mut arguments = [0; 12];
        for (place, argument) in arguments.iter_mut().zip(self.arguments) {
            *place = argument;
        }
        let before = accounted(program)?;
        for _ in 0..times {
            program
                .test_run(RawTracePointRunOptions {
                    args: arguments,
                    cpu: None,
                })
                .map_err(|error| CostError::NotRun(error.to_string()))?;
        }
        let after = accounted(program)?;
        let (time, runs) = (after.0 - before.0, after.1 - before.1);
        if runs == 0 {
            return Err(CostError::NoStatistics("no run was counted".to_owned()));
        }
        Ok(Duration::from_nanos(time / runs))
    }
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        // A thread with a wrong name is no harm.
        let _ = fs::write(THREAD_NAME, &self.name);
    }
}

/// Nanoseconds and runs that the kernel has accounted for.
fn accounted(program: &RawTracePoint) -> Result<(u64, u64), CostError> {
    let none = |error: &dyn std::fmt::Display| CostError::NoStatistics(error.to_string());
    let descriptor = program.fd().map_err(|error| none(&error))?;
    let path = format!(
        "/proc/self/fdinfo/{}",
        std::os::fd::AsFd::as_fd(descriptor).as_raw_fd()
    );
    let information = fs::read_to_string(path).map_err(|error| none(&error))?;
    let number = |key: &str| {
        let line = information
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .ok_or_else(|| none(&format!("{key} is missing")))?;
        line.trim().parse::<u64>().map_err(|error| none(&error))
    };
    Ok((number("run_time_ns")?, number("run_cnt")?))
}
