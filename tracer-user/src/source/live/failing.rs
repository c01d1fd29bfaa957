//! Lets one allocation of a probe fail, by programs of the probes' object that take no part in tracing.

use std::{fmt, thread};

use aya::{
    Ebpf, Pod,
    maps::{Array, MapData},
    programs::KProbe,
};
use tracer_ebpf::{FailingAllocation, Hook};

use super::{
    limits,
    load::loader_without_types,
    object::{self, FittedObject},
    options::Options,
    symbols::Symbols,
    watched,
};
use crate::source::chain;

/// What the kernel asks before each slab allocation (`mm/slab_common.c`). Since a7526fe8b94e (6.11) it is there with
/// `CONFIG_FAILSLAB` only (`mm/failslab.c`).
const ASKED: &str = "should_failslab";

/// The smallest that every page size divides.
const RING_BYTES: u32 = 64 * 1024;

/// Why no allocation can be made to fail.
#[derive(Debug, thiserror::Error)]
pub enum FailingError {
    /// There are no programs for this architecture.
    #[error("this program carries no eBPF for this architecture")]
    NoPrograms,
    /// The kernel refuses a program, or has no place for it.
    #[error("{0}")]
    Refused(String),
    /// The kernel does not let eBPF replace what a function returns.
    #[error(
        "eBPF can't let {ASKED}() fail (CONFIG_BPF_KPROBE_OVERRIDE; from 6.11 on CONFIG_FAILSLAB, too): {0}"
    )]
    NotInjectable(String),
    /// The task that was to bind has made no probe.
    #[error("no probe of the task was seen in which an allocation was to fail")]
    NoProbe,
}

/// The program's map, as its loader wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Wanted(FailingAllocation);

// SAFETY: it is made of words without gaps between them (`FromBytes`, `IntoBytes`), and is copied as it is.
unsafe impl Pod for Wanted {}

/// What came of the probe of a task in which an allocation was to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAllocation {
    /// How many allocations the probe made that count.
    pub seen: u64,
    /// The function whose allocation failed, and its callers, innermost first; `None` if none was made to fail.
    pub stack: Option<Vec<String>>,
    /// What `really_probe()` returned.
    pub returned: i64,
}

/// The programs, attached. They let nothing fail until they are told what, and are gone when this is.
pub struct FailingAllocations {
    wanted: Array<MapData, Wanted>,
    /// The names of functions, read again where a module has come that they lack.
    symbols: Symbols,
    /// Keeps them attached.
    _programs: Ebpf,
}

impl fmt::Debug for FailingAllocations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("FailingAllocations");
        debug.finish_non_exhaustive()
    }
}

impl FailingAllocations {
    /// Attaches them.
    ///
    /// # Errors
    /// If the kernel does not allow it, and why.
    pub fn attach() -> Result<Self, FailingError> {
        if !object::has_probes() {
            return Err(FailingError::NoPrograms);
        }
        limits::make_room_for_maps();
        let refused = |error: &dyn std::error::Error| FailingError::Refused(chain(error));
        let mut loader = thread::spawn(loader_without_types)
            .join()
            .map_err(|_| FailingError::Refused("the loader can't be started".to_owned()))?;
        loader.btf(None).map_max_entries("RECORDS", RING_BYTES);
        // What only tracing needs takes no room here.
        watched::make_room(&mut loader, &Options::default());
        for map in ["STACKS", "DEVICES"] {
            loader.map_max_entries(map, watched::UNUSED);
        }
        let object = FittedObject::new(|_| None);
        let mut programs = loader
            .load(object.bytes())
            .map_err(|error| refused(&error))?;
        attach(&mut programs, "fail_allocation", ASKED).map_err(FailingError::NotInjectable)?;
        let probe = Hook::Probe.symbol();
        for program in ["failing_probe_begins", "failing_probe_ends"] {
            attach(&mut programs, program, probe).map_err(FailingError::Refused)?;
        }
        let map = programs.take_map("FAILING").ok_or_else(|| {
            FailingError::Refused("the eBPF object has no map FAILING".to_owned())
        })?;
        let wanted = Array::try_from(map).map_err(|error| refused(&error))?;
        Ok(Self {
            wanted,
            symbols: Symbols::default(),
            _programs: programs,
        })
    }

    /// Lets the allocation with this number (from 1 on) fail in the next probe that this process makes, whose only thread it is.
    ///
    /// # Errors
    /// If the kernel refuses the number.
    pub fn arm(&mut self, process: u32, number: u32) -> Result<(), FailingError> {
        let task = u64::from(process) << 32 | u64::from(process);
        self.set(&FailingAllocation::of(task, u64::from(number)))
    }

    /// What came of that. Nothing fails from then on.
    ///
    /// # Errors
    /// If there was no probe.
    pub fn outcome(&mut self) -> Result<FailedAllocation, FailingError> {
        let came = self.wanted.get(&0, 0);
        self.set(&FailingAllocation::NONE)?;
        let Wanted(came) = came.map_err(|error| FailingError::Refused(chain(&error)))?;
        if came.ended == 0 {
            return Err(FailingError::NoProbe);
        }
        Ok(FailedAllocation {
            seen: came.seen,
            stack: (came.failed != 0).then(|| self.names(&came)),
            returned: came.returned,
        })
    }

    /// The functions of the stack at which an allocation failed; those that have no name are left out.
    fn names(&mut self, came: &FailingAllocation) -> Vec<String> {
        let bytes = usize::try_from(came.stack_bytes).unwrap_or(0);
        let addresses = came.stack.get(..bytes / size_of::<u64>());
        let addresses = addresses.unwrap_or_default();
        let is_known = |address: &u64| self.symbols.frame(*address).function.is_some();
        if !addresses.iter().all(is_known) {
            self.symbols = Symbols::of_running_kernel().unwrap_or_default();
        }
        let frames = addresses.iter().map(|address| self.symbols.frame(*address));
        frames
            .filter_map(|frame| Some(frame.function?.to_string()))
            .collect()
    }

    fn set(&mut self, wanted: &FailingAllocation) -> Result<(), FailingError> {
        let set = self.wanted.set(0, Wanted(*wanted), 0);
        set.map_err(|error| FailingError::Refused(chain(&error)))
    }
}

/// Loads a program and attaches it to a function.
fn attach(programs: &mut Ebpf, name: &str, function: &str) -> Result<(), String> {
    let program = programs
        .program_mut(name)
        .ok_or_else(|| format!("the eBPF object has no program {name}"))?;
    let program = <&mut KProbe>::try_from(program).map_err(|error| chain(&error))?;
    program.load().map_err(|error| chain(&error))?;
    let attached = program.attach(function, 0);
    attached.map(|_| ()).map_err(|error| chain(&error))
}
