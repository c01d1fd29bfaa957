//! Keeps a probe from being preempted.
//!
//! The kernel does not run a program that is already running on the same CPU. Where a probe can be preempted, as
//! at fentry on a preemptible kernel and at tracepoints from 7.0 on, another task on that CPU would go by unseen.

use core::mem::MaybeUninit;

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_ebpf::KernelFunction;

/// Does `work` without being preempted, where the kernel lets a probe have that.
///
/// Kprobes need it not: they are never preempted.
#[inline(always)]
pub(crate) fn uninterrupted<R>(work: impl FnOnce() -> R) -> R {
    let mut flags = MaybeUninit::<u64>::uninit();
    let disable = function::<unsafe extern "C" fn()>(KernelFunction::PreemptDisable);
    let enable = function::<unsafe extern "C" fn()>(KernelFunction::PreemptEnable);
    let save = function::<unsafe extern "C" fn(*mut u64)>(KernelFunction::LocalIrqSave);
    let restore = function::<unsafe extern "C" fn(*mut u64)>(KernelFunction::LocalIrqRestore);
    // SAFETY: the first has no conditions.
    unsafe { disable() };
    let result = work();
    // To allow preemption is to be preempted at once where that is due, which would still be inside the program. With
    // interrupts off it is not, and what is due comes when the program has ended.
    //
    // SAFETY: preemption was disabled above, and the flags are those that were saved.
    unsafe {
        save(flags.as_mut_ptr());
        enable();
        restore(flags.as_mut_ptr());
    }
    result
}

/// A kernel function, or one that does nothing where the kernel lacks it.
#[inline(always)]
fn function<F: Copy>(function: KernelFunction) -> F {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    let number = function.placeholder() as usize;
    // SAFETY: the caller names the function's type. A call of a constant address is this target's call of the helper
    // of that number, which userspace replaces.
    unsafe { core::mem::transmute_copy(&number) }
}

/// Never attached: it loads where the running kernel lets probes call the functions above.
#[raw_tracepoint(tracepoint = "devres_tracer_never_attached")]
pub(crate) fn call_kernel_functions(_context: RawTracePointContext) -> i32 {
    uninterrupted(|| 0)
}
