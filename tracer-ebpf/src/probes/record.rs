//! Headers, kernel stacks, and the way into the ring buffer.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_ns,
        generated::{bpf_get_stack, bpf_get_stackid},
    },
    maps::ring_buf::RingBufEntry,
};
use tracer_ebpf::{
    Hook,
    wire::{Header, Kind, NO_STACK, STACK_BEFORE, STACK_DEPTH, StackRecord},
};

use crate::{
    arguments::Context,
    maps::{LOST, LOST_SLOTS, LOST_TOTAL, RECORDS, STACKS, layout},
};

/// `-EEXIST`: another stack has the place in the map that this one would get.
const EEXIST: i64 = -17;

/// The beginning of a record.
#[inline(always)]
pub(crate) fn header(kind: Kind, hook: Hook, device: u64, stack: i32) -> Header {
    let task = bpf_get_current_pid_tgid();
    Header {
        // SAFETY: the helper has no conditions.
        time: unsafe { bpf_ktime_get_ns() },
        device,
        tid: task as u32,
        tgid: (task >> 32) as u32,
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
        stack,
        lost: LOST_TOTAL.get(0).copied().unwrap_or(0) as u32,
        // SAFETY: the helper has no conditions.
        cpu: unsafe { bpf_get_smp_processor_id() } as u16,
        kind: kind as u8,
        hook: hook as u8,
        reserved: 0,
    }
}

/// Whether userspace is to be woken for this record: it looks by itself every few milliseconds, so only
/// a ring buffer that fills up is worth the wake-up, which costs the traced code a microsecond.
#[inline(always)]
pub(crate) fn wake_up() -> u64 {
    if RECORDS.query(u64::from(BPF_RB_AVAIL_DATA)) >= u64::from(layout!(wake_up_at)) {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

/// Reserves room for a record, or counts it as lost.
#[inline(always)]
pub(crate) fn reserve<T>(hook: Hook) -> Option<RingBufEntry<T>> {
    let entry = RECORDS.reserve::<T>(0);
    if entry.is_none() {
        lost(hook);
    }
    entry
}

/// Counts a record that found no room.
#[inline(always)]
pub(crate) fn lost(hook: Hook) {
    if let Some(total) = LOST_TOTAL.get_ptr_mut(0) {
        add_one(total);
    }
    if let Some(slots) = LOST.get_ptr_mut(0) {
        let slot = hook as usize;
        if slot < LOST_SLOTS {
            // SAFETY: the slot lies within the array.
            add_one(unsafe { slots.cast::<u64>().add(slot) });
        }
    }
}

/// Adds one atomically: a probe can be preempted by another on the same CPU. The target's core library has
/// no atomic addition.
#[inline(always)]
fn add_one(counter: *mut u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the counter is an aligned word of a map's value.
    unsafe {
        core::arch::asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1_u64);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = counter;
}

/// The number of the current kernel stack.
///
/// The map keeps a stack under its hash, once. Where two stacks want the same place the second one goes
/// into the ring buffer itself, in front of its record.
#[inline(never)]
pub(crate) fn stack(context: Context, hook: u64) -> i32 {
    if layout!(stacks) == 0 {
        return NO_STACK;
    }
    // SAFETY: the context is this program's own and the map is a stack map.
    let number = unsafe { bpf_get_stackid(context, (&raw const STACKS).cast_mut().cast(), 0) };
    if number >= 0 {
        return number as i32;
    }
    if number != EEXIST {
        return NO_STACK;
    }
    let hook = Hook::from_number(hook as u8).unwrap_or(Hook::DevresLog);
    let Some(mut entry) = reserve::<StackRecord>(hook) else {
        return NO_STACK;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record, and the helper writes no more than it is told.
    let length = unsafe {
        (*record).header = header(Kind::Stack, hook, 0, NO_STACK);
        (*record).addresses = [0; STACK_DEPTH];
        bpf_get_stack(
            context,
            (&raw mut (*record).addresses).cast(),
            size_of::<[u64; STACK_DEPTH]>() as u32,
            0,
        )
    };
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    if length > 0 { STACK_BEFORE } else { NO_STACK }
}
