//! Lets one allocation of a probe fail: `should_failslab()`, which every slab allocation asks, is made to return an error.
//!
//! Loaded and attached on its own, and only where an exercise asks for it: the kernel must let eBPF replace what a function returns
//! (`CONFIG_BPF_KPROBE_OVERRIDE`).

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_stack, bpf_override_return},
    },
    macros::{kprobe, kretprobe, map},
    maps::Array,
    programs::{ProbeContext, RetProbeContext},
};
use tracer_ebpf::FailingAllocation;

/// `___GFP_DIRECT_RECLAIM`: the allocation may wait, so it is not made by an interrupt on top of the task.
const MAY_WAIT: u64 = 0x400;
/// `___GFP_NOFAIL`: whoever allocates does not expect an error.
const MUST_NOT_FAIL: u64 = 0x8000;
/// `-ENOMEM`, as it is returned.
const NO_MEMORY: u64 = 12_u64.wrapping_neg();

/// What is to fail.
#[map]
static FAILING: Array<FailingAllocation> = Array::with_max_entries(1, 0);

/// What is to fail in this task. Nobody else touches it meanwhile: userspace waits for the task.
#[inline(always)]
fn in_this_task() -> Option<&'static mut FailingAllocation> {
    let place = FAILING.get_ptr_mut(0)?;
    // SAFETY: the place is a map's value, which only the task that it names goes on to change.
    let failing = unsafe { &mut *place };
    (failing.task == bpf_get_current_pid_tgid()).then_some(failing)
}

/// `really_probe(dev, drv)`: from here on allocations count.
#[kprobe]
pub(crate) fn failing_probe_begins(_context: ProbeContext) -> u32 {
    if let Some(failing) = in_this_task()
        && failing.ended == 0
    {
        failing.depth += 1;
    }
    0
}

/// `really_probe()` returns: if it is the outermost one, nothing fails any more.
#[kretprobe]
pub(crate) fn failing_probe_ends(context: RetProbeContext) -> u32 {
    if let Some(failing) = in_this_task()
        && failing.depth > 0
    {
        failing.depth -= 1;
        if failing.depth == 0 {
            failing.ended = 1;
            failing.returned = i64::from(context.ret::<i32>());
        }
    }
    0
}

/// `should_failslab(cache, flags)`.
#[kprobe]
pub(crate) fn fail_allocation(context: ProbeContext) -> u32 {
    let Some(failing) = in_this_task() else {
        return 0;
    };
    let flags: u64 = context.arg(1).unwrap_or(0);
    if failing.depth == 0 || flags & MAY_WAIT == 0 || flags & MUST_NOT_FAIL != 0 {
        return 0;
    }
    failing.seen += 1;
    if failing.seen != failing.number {
        return 0;
    }
    failing.failed = 1;
    let (stack, size) = ((&raw mut failing.stack).cast(), size_of_val(&failing.stack));
    // SAFETY: the place has that many bytes.
    failing.stack_bytes = unsafe { bpf_get_stack(context.as_ptr(), stack, size as u32, 0) };
    // SAFETY: the context is the kprobe's own, at the beginning of a function that the kernel lets fail.
    unsafe { bpf_override_return(context.as_ptr().cast(), NO_MEMORY) };
    0
}
