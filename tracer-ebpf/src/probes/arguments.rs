//! The arguments of a probed function as plain words, and what they point to.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::{bpf_probe_read_kernel, generated::bpf_probe_read_kernel_str},
    programs::{ProbeContext, RetProbeContext},
};

/// Where a probe runs, for the helpers that want to know.
pub(crate) type Context = *mut c_void;

/// The first `N` words of the context of a tracepoint, fentry or fexit program: the arguments, and behind
/// them, for fexit, the returned value.
///
/// They are read through a helper, not directly: so they are numbers to the verifier, which would
/// otherwise insist on their types and refuse function pointers altogether.
#[inline(always)]
pub(crate) fn words<const N: usize>(context: Context) -> [u64; N] {
    // SAFETY: the helper checks the address; words behind the last argument are read but not used.
    unsafe { bpf_probe_read_kernel(context.cast::<[u64; N]>()) }.unwrap_or([0; N])
}

/// The first three arguments from a kprobe's registers.
#[inline(always)]
pub(crate) fn registers(context: &ProbeContext) -> [u64; 3] {
    [
        context.arg(0).unwrap_or(0),
        context.arg(1).unwrap_or(0),
        context.arg(2).unwrap_or(0),
    ]
}

/// The returned value from a kretprobe's registers.
#[inline(always)]
pub(crate) fn returned(context: &RetProbeContext) -> u64 {
    context.ret()
}

/// Reads a kernel address; zero where it can't be read, which is what a NULL pointer on the way gives.
#[inline(always)]
pub(crate) fn kernel_word(address: u64) -> u64 {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(address as *const u64) }.unwrap_or(0)
}

/// Reads a zero-terminated string into `place` and tells how many bytes it takes with the terminating
/// zero. A NULL pointer or unreadable memory leaves the place as it is and takes none.
///
/// # Safety
/// `place` points to `N` writable bytes.
#[inline(always)]
pub(crate) unsafe fn kernel_string<const N: usize>(address: u64, place: *mut [u8; N]) -> u64 {
    if address == 0 {
        return 0;
    }
    // SAFETY: the place is writable by contract; the helper checks the address.
    let length =
        unsafe { bpf_probe_read_kernel_str(place.cast(), N as u32, address as *const c_void) };
    if length > 0 { length as u64 } else { 0 }
}
