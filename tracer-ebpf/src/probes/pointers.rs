//! Memory that is freed by hand while a resource may still point to it: what resources are called with, and frees of that in
//! a task that probes or unbinds a device. Memory is freed all the time, so all other frees are let pass as soon as possible.

use aya_ebpf::{
    EbpfContext as _,
    macros::{map, raw_tracepoint},
    maps::LruHashMap,
    programs::RawTracePointContext,
};
use tracer_ebpf::Hook;

use crate::{
    arguments::{Context, words},
    beside::{device_in_hand, is_any_busy},
    calls::call,
    maps::layout,
    preemption::uninterrupted,
};

/// Addresses that resources have, or had, in the places where an action's argument or an interrupt's `dev_id` is. One that is
/// pushed out is missed; one that is too much costs an event.
#[map]
static HELD: LruHashMap<u64, u8> = LruHashMap::with_max_entries(16 * 1024, 0);

/// A resource was added that has these words there.
#[inline(always)]
pub(crate) fn hold(words: [u64; 3]) {
    if layout!(frees) == 0 {
        return;
    }
    for word in words {
        if word >> 63 == 1 {
            let _ = HELD.insert(word, 1, 0);
        }
    }
}

/// `kfree(call_site, ptr)`.
#[raw_tracepoint]
pub(crate) fn memory_free(context: RawTracePointContext) -> i32 {
    if is_any_busy() {
        uninterrupted(|| freed(context.as_ptr()));
    }
    0
}

#[inline(always)]
fn freed(context: Context) {
    let [_, memory] = words(context);
    if HELD.get_ptr(memory).is_none() {
        return;
    }
    let device = device_in_hand(Hook::Free);
    if device != 0 {
        call(context, Hook::Free as u64, device, memory, 0);
    }
}
