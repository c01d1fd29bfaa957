//! Reads kernel memory for userspace, which walks the device set at start.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_current_task, bpf_probe_read_kernel},
    macros::{map, raw_tracepoint},
    maps::Array,
    programs::RawTracePointContext,
};

use crate::arguments::words;

/// The most bytes that one run reads.
const CAPACITY: usize = 1024;

/// What the last run read.
#[map]
static MEMORY: Array<[u8; CAPACITY]> = Array::with_max_entries(1, 0);

/// Reads `length` bytes at `address` into [`MEMORY`], or, where the length is zero, the address of the task
/// that runs it. Never attached: userspace runs it with the two numbers as its arguments, and learns whether
/// the memory could be read.
#[raw_tracepoint(tracepoint = "devres_tracer_never_attached")]
pub(crate) fn read_memory(context: RawTracePointContext) -> i32 {
    let [address, length] = words(context.as_ptr());
    let Some(place) = MEMORY.get_ptr_mut(0) else {
        return 1;
    };
    if length == 0 {
        // SAFETY: the helper has no conditions; the place is longer than a word.
        unsafe { place.cast::<u64>().write_unaligned(bpf_get_current_task()) };
        return 0;
    }
    let length = core::hint::black_box(length & (2 * CAPACITY as u64 - 1));
    if length > CAPACITY as u64 {
        return 1;
    }
    // SAFETY: the place is `CAPACITY` bytes long; the helper checks the address.
    let result = unsafe { bpf_probe_read_kernel(place.cast(), length as u32, address as *const _) };
    i32::from(result != 0)
}
