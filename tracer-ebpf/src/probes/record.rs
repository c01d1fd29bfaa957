//! Headers, kernel stacks, and the way into the ring buffer.

use core::mem::offset_of;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{
        bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_ns,
        generated::{
            bpf_get_current_comm, bpf_get_current_task_btf, bpf_get_stack, bpf_get_stackid,
        },
    },
    maps::ring_buf::RingBufEntry,
};
use tracer_ebpf::{
    Hook,
    wire::{Header, Kind, NO_STACK, STACK_BEFORE, STACK_DEPTH, StackRecord},
};

use crate::{
    arguments::{Context, Structure as _, Typed},
    maps::{LOST, LOST_SLOTS, LOST_TOTAL, RECORDS, STACKS, add_one, count, layout, value_of},
};

/// `-EEXIST`: another stack has the place in the map that this one would get.
const EEXIST: i64 = -17;

/// Fills in the beginning of a record, and returns its time.
///
/// # Safety
/// `place` points to a header's room in the ring buffer.
#[inline(always)]
pub(crate) unsafe fn begin(
    place: *mut Header,
    kind: Kind,
    hook: Hook,
    device: u64,
    stack: i32,
) -> u64 {
    let task = bpf_get_current_pid_tgid();
    // SAFETY: the helper has no conditions.
    let time = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the place is writable by contract, and a header's name lies at a multiple of a word. The helpers have no
    // conditions.
    unsafe {
        (*place).time = time;
        (*place).device = device;
        (*place).tid = task as u32;
        (*place).tgid = (task >> 32) as u32;
        task_name((&raw mut (*place).comm).cast());
        (*place).stack = stack;
        (*place).lost = value_of(&LOST_TOTAL) as u32;
        (*place).cpu = bpf_get_smp_processor_id() as u16;
        (*place).kind = kind as u8;
        (*place).hook = hook as u8;
        (*place).reserved = 0;
    }
    time
}

const _: () = assert!(offset_of!(Header, comm).is_multiple_of(8));

/// Writes the running task's name, and what lies behind its end: loaded as two words where the verifier knows the task's type. The
/// helper copies byte by byte, and took a tenth of the time of an addition without its stack.
///
/// # Safety
/// `place` points to so many writable bytes.
#[inline(always)]
unsafe fn task_name(place: *mut [u64; 2]) {
    let name = layout!(task_name);
    // SAFETY: the place is writable by contract. To the verifier the task is a `struct task_struct`, and its name lies there.
    unsafe {
        if name == 0 {
            // It only fails without a current task.
            bpf_get_current_comm(place.cast(), size_of::<[u64; 2]>() as u32);
        } else {
            let task = Typed::at(bpf_get_current_task_btf() as u64);
            *place = [task.word(name), task.word(name + 8)];
        }
    }
}

/// Whether userspace is to be woken for this record: it looks by itself every few milliseconds, so only
/// a ring buffer that fills up is worth the wake-up, which costs the traced code a microsecond. Nor is it worth a look at
/// every record: about one in sixteen looks, by its time.
#[inline(always)]
pub(crate) fn wake_up(time: u64) -> u64 {
    if time % 256 < 16
        && RECORDS.query(u64::from(BPF_RB_AVAIL_DATA)) >= u64::from(layout!(wake_up_at))
    {
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
    count(&LOST_TOTAL);
    if let Some(slots) = LOST.get_ptr_mut(0) {
        let slot = hook as usize;
        if slot < LOST_SLOTS {
            // SAFETY: the slot lies within the array.
            add_one(unsafe { slots.cast::<u64>().add(slot) });
        }
    }
}

/// The number of the current kernel stack.
///
/// The map keeps a stack under its hash, once. Where two stacks want the same place the second one goes
/// into the ring buffer itself, in front of its record.
///
/// The kernel walks up from the program that asks, and finds its way out of each function of a program only after it has
/// looked for it everywhere. So this is part of its caller.
#[inline(always)]
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
    stack_before(context, hook)
}

/// Puts the current kernel stack into the ring buffer.
#[inline(never)]
fn stack_before(context: Context, hook: u64) -> i32 {
    let hook = Hook::from_number(hook as u8).unwrap_or(Hook::DevresLog);
    let Some(mut entry) = reserve::<StackRecord>(hook) else {
        return NO_STACK;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record, and the helper writes no more than it is told.
    let length = unsafe {
        begin(&raw mut (*record).header, Kind::Stack, hook, 0, NO_STACK);
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
