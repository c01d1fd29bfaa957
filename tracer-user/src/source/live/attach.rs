//! Attaches each hook in the best way that the kernel allows, and says why where it can't.

use std::{error::Error as _, io, path::Path};

use aya::{
    Btf, Ebpf,
    maps::Array,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint},
};
use tracer_ebpf::{Description, Hook, NAMES_ARE_KEPT, Point, Programs, Role, Trait};

use super::{switches::silences, timing::StopWatch};
use crate::{
    evidence::{Attachment, HookCoverage, HookState, Untold},
    kernel::KernelFacts,
};

/// What the attaching needs to know of the kernel.
pub(super) struct Kernel<'kernel> {
    /// For aya, which resolves attach targets in it.
    pub(super) btf: &'kernel Btf,
    /// To know which functions can be attached to at all.
    pub(super) facts: &'kernel KernelFacts,
    /// Which ways are tried, in order.
    pub(super) ways: &'kernel [Attachment],
    /// Which of the optional hooks are wanted.
    pub(super) optional: &'kernel [Hook],
    /// How long the verifier takes.
    pub(super) verifier: StopWatch,
}

impl Kernel<'_> {
    /// Why the hook is left out, if it is.
    fn left_out(&self, hook: Hook) -> Option<HookState> {
        (hook.is_optional() && !self.optional.contains(&hook)).then(|| {
            let symbol = hook.symbol();
            HookState::NotNeeded(format!("optional: enable it with --with {symbol}"))
        })
    }
}

/// Every way, best first.
pub const WAYS: [Attachment; 4] = [
    Attachment::TpBtf,
    Attachment::RawTracepoint,
    Attachment::Fentry,
    Attachment::Kprobe,
];

/// Attaches every hook and returns how.
pub(super) fn attach(ebpf: &mut Ebpf, kernel: &Kernel<'_>) -> Vec<HookCoverage> {
    let mut coverage: Vec<HookCoverage> = Vec::with_capacity(Hook::COUNT);
    let mut logged = false;
    for row in &Hook::TABLE {
        let state = if row.has(Trait::WithoutLog) && logged {
            HookState::NotNeeded("the devres_log tracepoint covers it".to_owned())
        } else if let Some(left_out) = kernel.left_out(row.hook) {
            left_out
        } else if row.has(Trait::InMemory) && !logged {
            HookState::NotNeeded(
                "of no use without the devres_log tracepoint, which reports sizes".to_owned(),
            )
        } else {
            match row.point {
                Point::Tracepoint => attach_tracepoint(ebpf, kernel, row),
                Point::Function => attach_function(ebpf, kernel, row),
            }
        };
        logged |= row.hook == Hook::DevresLog && matches!(state, HookState::Attached(_));
        coverage.push(HookCoverage {
            hook: row.hook,
            state,
        });
    }
    coverage
}

/// Lets the probes keep the names of nodes that they have read: only a module that is loaded can put another string where
/// a known one stood, and from now on the probes hear of each.
pub(super) fn keep_names(ebpf: &mut Ebpf) {
    let changed = ebpf
        .map_mut("MODULES_CHANGED")
        .and_then(|map| Array::<_, u64>::try_from(map).ok());
    if let Some(mut changed) = changed {
        // If it fails, each name is read anew.
        let _ = changed.set(0, NAMES_ARE_KEPT, 0);
    }
}

/// Why, if none of the hooks that report devices could be attached.
pub(super) fn nothing(hooks: &[HookCoverage]) -> Option<String> {
    let of_devices = |entry: &&HookCoverage| {
        !entry.hook.is_optional() && !matches!(entry.hook, Hook::ModuleLoad | Hook::ModuleFree)
    };
    let mut reason = None;
    for entry in hooks.iter().filter(of_devices) {
        match &entry.state {
            HookState::Attached(_) => return None,
            HookState::Missing(why) => reason = reason.or(Some(why)),
            HookState::NotNeeded(_) => {}
        }
    }
    reason.cloned()
}

/// What the probes can't report of calls, because of the way they are attached.
pub(super) fn untold(hooks: &[HookCoverage]) -> Vec<Untold> {
    let by_kretprobe = hooks.iter().any(|entry| {
        entry.hook == Hook::Probe && entry.state == HookState::Attached(Attachment::Kprobe)
    });
    let untold = by_kretprobe.then(|| Untold {
        hook: Hook::Probe,
        role: Role::PmDomain,
        reason: "a kretprobe does not show the device argument".to_owned(),
    });
    untold.into_iter().collect()
}

fn attach_tracepoint(ebpf: &mut Ebpf, kernel: &Kernel<'_>, row: &Description) -> HookState {
    let tracepoint = row.hook.symbol();
    let Some(programs) = row
        .enter
        .filter(|_| kernel.facts.has_tracepoint(tracepoint))
    else {
        return HookState::Missing(format!("this kernel has no {tracepoint} tracepoint"));
    };
    let mut reasons = Vec::new();
    for way in kernel.ways {
        let result = match way {
            Attachment::TpBtf => with::<BtfTracePoint>(ebpf, programs.best, |program| {
                kernel
                    .verifier
                    .time(|| program.load(tracepoint, kernel.btf))?;
                program.attach().map(drop)
            }),
            Attachment::RawTracepoint => with::<RawTracePoint>(ebpf, programs.plain, |program| {
                kernel.verifier.time(|| program.load())?;
                program.attach(tracepoint).map(drop)
            }),
            _ => continue,
        };
        match result {
            Ok(()) => return HookState::Attached(*way),
            Err(reason) => reasons.push(format!("{way}: {reason}")),
        }
    }
    missing(&reasons)
}

/// That none of the ways has worked. Where none was tried, the wanted ones don't fit the hook.
fn missing(reasons: &[String]) -> HookState {
    HookState::Missing(if reasons.is_empty() {
        "it can't be attached in the given ways (--attach)".to_owned()
    } else {
        reasons.join("; ")
    })
}

fn attach_function(ebpf: &mut Ebpf, kernel: &Kernel<'_>, hook: &Description) -> HookState {
    let mut candidates = hook.candidates();
    let Some(function) = candidates.find(|name| kernel.facts.function_number(name).is_some())
    else {
        let names: Vec<_> = hook.candidates().collect();
        return HookState::Missing(format!(
            "this kernel has no function {} (inlined, renamed, or not there yet)",
            names.join(" or ")
        ));
    };
    let mut reasons = Vec::new();
    for way in kernel.ways {
        // It could be attached, and would never fire.
        if let (Attachment::Fentry | Attachment::Kprobe, Some(reason)) = (way, silences(*way)) {
            reasons.push(format!("{way}: {reason}"));
            continue;
        }
        let result = match way {
            Attachment::Fentry => fentry(ebpf, kernel, hook, function),
            Attachment::Kprobe => kprobe(ebpf, kernel, hook, function),
            _ => continue,
        };
        match result {
            Ok(()) => return HookState::Attached(*way),
            Err(reason) => reasons.push(format!("{way}: {reason}")),
        }
    }
    missing(&reasons)
}

fn fentry(
    ebpf: &mut Ebpf,
    kernel: &Kernel<'_>,
    hook: &Description,
    function: &str,
) -> Result<(), Refusal> {
    // The return first: a frame whose end can't be seen must not be seen to begin.
    if let Some(Programs { best: fentry, .. }) = hook.leave {
        with::<FExit>(ebpf, fentry, |program| {
            kernel
                .verifier
                .time(|| program.load(function, kernel.btf))?;
            program.attach().map(drop)
        })?;
    }
    let Some(Programs { best: fentry, .. }) = hook.enter else {
        return Ok(());
    };
    let entered = with::<FEntry>(ebpf, fentry, |program| {
        kernel
            .verifier
            .time(|| program.load(function, kernel.btf))?;
        program.attach().map(drop)
    });
    if let (Err(_), Some(Programs { best: fentry, .. })) = (&entered, hook.leave) {
        unload(ebpf, fentry);
    }
    entered
}

fn kprobe(
    ebpf: &mut Ebpf,
    kernel: &Kernel<'_>,
    hook: &Description,
    function: &str,
) -> Result<(), Refusal> {
    if !Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        return Err(Refusal::NoKprobes);
    }
    for Programs { plain: kprobe, .. } in [hook.leave, hook.enter].into_iter().flatten() {
        let attached = with::<KProbe>(ebpf, kprobe, |program| {
            kernel.verifier.time(|| program.load())?;
            program.attach(function, 0).map(drop)
        });
        if let (Err(_), Some(Programs { plain: kprobe, .. })) = (&attached, hook.leave) {
            unload(ebpf, kprobe);
        }
        attached?;
    }
    Ok(())
}

/// Runs `action` on the program of this name.
fn with<'ebpf, P>(
    ebpf: &'ebpf mut Ebpf,
    name: &str,
    action: impl FnOnce(&mut P) -> Result<(), ProgramError>,
) -> Result<(), Refusal>
where
    &'ebpf mut P: TryFrom<&'ebpf mut Program, Error = ProgramError> + 'ebpf,
    P: 'ebpf,
{
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| Refusal::NoProgram(name.to_owned()))?;
    let program: &mut P = program.try_into()?;
    Ok(action(program)?)
}

fn unload(ebpf: &mut Ebpf, name: &str) {
    // A program that never got as far has nothing to unload.
    if let Some(program) = ebpf.program_mut(name) {
        let _ = match program {
            Program::FExit(program) => program.unload(),
            Program::KProbe(program) => program.unload(),
            _ => Ok(()),
        };
    }
}

/// Whether the verifier complains that there is no helper to read memory with, as it does in lockdown's confidentiality
/// mode.
fn is_lockdown(line: &str) -> bool {
    let refused = line.starts_with("unknown func ") || line.contains("cannot use helper");
    refused && line.contains("bpf_probe_read")
}

/// The verifier's last line that is no statistics.
fn complaint(log: &str) -> Option<&str> {
    const STATISTICS: [&str; 4] = ["processed ", "verification time ", "stack depth ", "insns "];
    log.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty() && STATISTICS.iter().all(|word| !line.starts_with(word)))
}

/// `ENOTSUPP`, which the C library has no words for.
const ENOTSUPP: i32 = 524;

/// Why a way to attach a hook does not work.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the eBPF object has no program {0}")]
    NoProgram(String),
    #[error("kprobes are not compiled into this kernel (CONFIG_KPROBE_EVENTS)")]
    NoKprobes,
    /// With the last line of what the verifier says.
    #[error("refused by the verifier: {0} ({1})")]
    Verifier(String, io::Error),
    #[error(
        "the kernel does not let eBPF read its memory (lockdown in confidentiality mode; boot with lockdown=integrity or none)"
    )]
    LockedDown,
    #[error("not permitted (EPERM)")]
    NotPermitted,
    #[error(
        "the kernel can't attach to functions that way (it needs CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)"
    )]
    NoDirectCalls,
    #[error("the kernel does not know the function or tracepoint (ENOENT)")]
    Unknown,
    #[error("{0}")]
    Kernel(String),
}

impl From<&io::Error> for Refusal {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => Self::NotPermitted,
            Some(ENOTSUPP) => Self::NoDirectCalls,
            Some(libc::ENOENT) => Self::Unknown,
            _ => Self::Kernel(error.to_string()),
        }
    }
}

impl From<ProgramError> for Refusal {
    fn from(error: ProgramError) -> Self {
        if let ProgramError::LoadError {
            io_error,
            verifier_log,
        } = error
        {
            let log = verifier_log.to_string();
            return match complaint(&log) {
                Some(line) if is_lockdown(line) => Self::LockedDown,
                Some(last) => Self::Verifier(last.to_owned(), io_error),
                None => Self::from(&io_error),
            };
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                return Self::from(cause);
            }
            source = cause.source();
        }
        Self::Kernel(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{complaint, is_lockdown};

    #[test]
    fn what_the_verifier_complains_of_stands_before_its_statistics() {
        let log = "0: (79) r1 = *(u64 *)(r1 +0)\nR1 invalid mem access 'scalar'\nverification time 33 usec\n\
                   stack depth 16\nprocessed 1 insns (limit 1000000)\n";
        assert_eq!(complaint(log), Some("R1 invalid mem access 'scalar'"));
        assert!(is_lockdown("unknown func bpf_probe_read#4"));
        assert!(is_lockdown(
            "program of this type cannot use helper bpf_probe_read_kernel#113"
        ));
        assert!(!is_lockdown("12: (85) call bpf_probe_read_kernel#113"));
        assert_eq!(complaint("processed 1 insns (limit 1000000)\n"), None);
    }
}
