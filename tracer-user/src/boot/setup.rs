//! What a kernel shall record, and what it can't.

use std::fmt;

use super::{
    Machine, hooks,
    probe::{self, Probe},
    target::Target,
};
use crate::event::Hook;

/// What is wanted of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetupOptions {
    /// Bytes of the buffer for each CPU.
    pub buffer: u64,
    /// Whether each event has its kernel stack.
    pub stacks: bool,
    /// Bytes of a buffer that outlives a reset, for all CPUs together.
    pub persistent: Option<u64>,
    /// Whether the buffer is printed to the console when the kernel oopses or panics.
    pub dump: bool,
    /// Whether each interrupt that is freed is recorded.
    pub free_irq: bool,
}

/// What a kernel shall record.
#[derive(Debug)]
pub struct Setup {
    /// Whether it records the tracepoint `devres_log`.
    pub tracepoint: bool,
    /// The probe events on each function, what the rules need most first.
    pub probes: Vec<Vec<Probe>>,
    /// Whether a stack that a probe event takes leads to the callers of its function.
    pub probes_see_callers: bool,
    /// What is wanted of it.
    pub options: SetupOptions,
    /// What it can't do.
    pub shortfalls: Vec<Shortfall>,
}

/// Something that a kernel can't record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortfall {
    /// Its types are not known.
    NoTypes,
    /// It can't probe functions.
    NoProbeEvents,
    /// It has no tracepoint `devres_log`.
    NoTracepoint,
    /// The architecture's registers are not known.
    NoRegisters,
    /// It has none of these functions, or the compiler has put them into their callers, or there are several.
    NoFunction(Hook),
    /// This argument of a function is not recorded.
    NoArgument(Hook, &'static str),
    /// No buffer outlives a reset.
    NotPersistent,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTypes => formatter.write_str(
                "no BTF: without the offsets in it, the PM domain and the names of devices and drivers are not recorded, \
                 and DR001 can't be judged",
            ),
            Self::NoProbeEvents => formatter.write_str(
                "no kprobe events (CONFIG_KPROBE_EVENTS): only additions, removals and releases are recorded, not what \
                 happens around them",
            ),
            Self::NoTracepoint => formatter.write_str(
                "no devres_log tracepoint (before 5.15): additions and removals are seen at their functions",
            ),
            Self::NoRegisters => formatter.write_str(
                "the architecture's registers are not known: arguments are recorded by number ($arg1), which not every \
                 kernel can do",
            ),
            Self::NoFunction(hook) => write!(
                formatter,
                "cannot probe {}: this kernel has no function of that name, or several",
                hook.symbol()
            ),
            Self::NoArgument(hook, name) => {
                write!(formatter, "{} is recorded without `{name}`", hook.symbol())
            }
            Self::NotPersistent => formatter.write_str(
                "no buffer that outlives a reset (reserve_mem=, from 6.12 on): use ftrace_dump_on_oops with a serial \
                 console or ramoops",
            ),
        }
    }
}

impl Setup {
    /// What the target can record of all that is wanted.
    #[must_use]
    pub fn of(target: &Target, options: SetupOptions) -> Self {
        let mut shortfalls = Vec::new();
        let tracepoint = target.has_tracepoint();
        let probe_events = target.has_probe_events();
        if !target.has_types() {
            shortfalls.push(Shortfall::NoTypes);
        }
        if !tracepoint {
            shortfalls.push(Shortfall::NoTracepoint);
        }
        if !probe_events {
            shortfalls.push(Shortfall::NoProbeEvents);
        } else if target.machine().is_none() {
            shortfalls.push(Shortfall::NoRegisters);
        }
        if options.persistent.is_some() && !target.can_persist() {
            shortfalls.push(Shortfall::NotPersistent);
        }
        let mut probes: Vec<Vec<Probe>> = Vec::new();
        let optional = options.free_irq.then_some(Hook::FreeIrq);
        for hook in hooks::wanted(tracepoint, optional).filter(|_| probe_events) {
            let mut names = hook.description().candidates();
            let function = if target.knows_functions() {
                names.find(|function| target.has(function))
            } else {
                // The kernel passes over a function that it doesn't have.
                Some(hook.symbol())
            };
            match function {
                Some(function) => probes.push(pair(hook, function, target, &mut shortfalls)),
                None => shortfalls.push(Shortfall::NoFunction(hook)),
            }
        }
        Self {
            tracepoint,
            probes,
            probes_see_callers: target.machine().is_none_or(Machine::unwinds_from_probes),
            options: SetupOptions {
                persistent: options.persistent.filter(|_| target.can_persist()),
                ..options
            },
            shortfalls,
        }
    }

    /// All probe events.
    pub fn all_probes(&self) -> impl Iterator<Item = &Probe> {
        self.probes.iter().flatten()
    }
}

/// The probe events on a function.
fn pair(
    hook: Hook,
    function: &'static str,
    target: &Target,
    shortfalls: &mut Vec<Shortfall>,
) -> Vec<Probe> {
    let address = target.address(function);
    let mut arguments = Vec::new();
    for argument in hooks::at_entry(hook) {
        match probe::argument(&argument, target) {
            Some(text) => arguments.push(text),
            // That there are no types says it of all of them.
            None if !target.has_types() => {}
            None => shortfalls.push(Shortfall::NoArgument(hook, argument.name)),
        }
    }
    let entry = Probe {
        hook,
        function,
        address,
        returns: false,
        arguments,
    };
    let returned = hooks::at_return(hook).map(|returned| Probe {
        hook,
        function,
        address,
        returns: true,
        arguments: returned
            .filter_map(|argument| probe::argument(&argument, target))
            .collect(),
    });
    [entry].into_iter().chain(returned).collect()
}
