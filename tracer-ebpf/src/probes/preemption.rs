//! Keeps a probe from being preempted.
//!
//! The kernel does not run a program that is already running on the same CPU. Where a probe can be preempted, as
//! at fentry on a preemptible kernel and at tracepoints from 7.0 on, another task on that CPU would go by unseen.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_ebpf::KernelFunction;

/// Does `work` without being preempted, where the kernel lets a probe have that.
///
/// Kprobes need it not: they are never preempted.
#[inline(always)]
pub(crate) fn uninterrupted<R>(work: impl FnOnce() -> R) -> R {
    call(KernelFunction::PreemptDisable);
    let result = work();
    call(KernelFunction::PreemptEnable);
    result
}

/// Calls a kernel function without arguments, or does nothing where userspace has found none.
#[inline(always)]
fn call(function: KernelFunction) {
    let number = function.placeholder() as usize;
    // SAFETY: a call of a constant address is the target's call of a helper of that number; userspace replaces it
    // by a call that takes no arguments and always returns.
    let function: unsafe extern "C" fn() = unsafe { core::mem::transmute(number) };
    // SAFETY: as above.
    unsafe { function() };
}

/// Never attached: it loads where the running kernel lets probes call the functions above.
#[raw_tracepoint(tracepoint = "devres_tracer_never_attached")]
pub(crate) fn call_kernel_functions(_context: RawTracePointContext) -> i32 {
    uninterrupted(|| 0)
}
