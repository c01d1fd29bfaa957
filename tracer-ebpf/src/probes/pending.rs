//! Timers and work items that are pending in managed memory when it is released.
//!
//! Timers are started all the time. Those that lie in no page in which managed memory is are let pass at once; of the others
//! it is kept where they are. When memory is released, the kernel's own words in those places say whether they are pending.

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_ktime_get_ns,
    macros::{map, raw_tracepoint},
    maps::{Array, LruHashMap},
    programs::RawTracePointContext,
};
use tracer_ebpf::{
    Hook,
    wire::{CallRecord, Kind, NO_STACK},
};

use crate::{
    arguments::{kernel_word, words},
    maps::layout,
    preemption::uninterrupted,
    record::{begin, reserve, wake_up},
};

/// How many pages are told apart, a power of two: others with the same last bits count as managed, too.
const PAGES: u32 = 64 * 1024;
/// Bits of an address within a page.
const PAGE_BITS: u32 = 12;
/// Pages of one block that are looked after: what lies behind them is missed.
const PAGES_OF_BLOCK: u64 = 3;
/// How many timers and work items of a page are told apart, a power of two: of two in one place the later is kept.
const PLACES: usize = 16;

/// Whether managed memory lies, or lay, in a page.
#[map]
static MANAGED_PAGES: Array<u8> = Array::with_max_entries(PAGES, 0);

/// When each node was added.
#[map]
static MANAGED_NODES: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16 * 1024, 0);

/// What was started or queued in pages with managed memory, by the page's number.
#[map]
static STARTED: LruHashMap<u64, [Started; PLACES]> = LruHashMap::with_max_entries(4 * 1024, 0);

/// The last start at an address.
#[derive(Clone, Copy)]
#[repr(C)]
struct Started {
    object: u64,
    time: u64,
    hook: u64,
}

const NOTHING: Started = Started {
    object: 0,
    time: 0,
    hook: 0,
};

/// A page in which nothing was started: the programs' stack is too small for it.
static UNTOUCHED: [Started; PLACES] = [NOTHING; PLACES];

#[inline(always)]
fn page(address: u64) -> u32 {
    (address >> PAGE_BITS) as u32 & (PAGES - 1)
}

/// A node was added, with a payload of this size.
#[inline(always)]
pub(crate) fn manage(node: u64, size: u64) {
    if layout!(pending) == 0 || size == 0 {
        return;
    }
    let begin = node.wrapping_add(u64::from(layout!(payload)));
    for number in 0..PAGES_OF_BLOCK {
        // The last one is that of the payload's end, which may lie anywhere in its page.
        let within = (number << PAGE_BITS).min(size - 1);
        if let Some(place) = MANAGED_PAGES.get_ptr_mut(page(begin.wrapping_add(within))) {
            // SAFETY: the place is a map's value. Whoever writes it at the same time writes the same.
            unsafe { *place = 1 };
        }
    }
    // SAFETY: the helper has no conditions.
    let time = unsafe { bpf_ktime_get_ns() };
    let _ = MANAGED_NODES.insert(node, time, 0);
}

/// A timer was started, or a work item was queued.
#[inline(always)]
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "the programs' stack has no room for a copy"
)]
fn started(hook: Hook, object: u64) {
    let Some(place) = MANAGED_PAGES.get_ptr(page(object)) else {
        return;
    };
    // SAFETY: the place is a map's value.
    if unsafe { *place } == 0 {
        return;
    }
    let number = object >> PAGE_BITS;
    let places = if let Some(places) = STARTED.get_ptr_mut(number) {
        places
    } else {
        let _ = STARTED.insert(number, &UNTOUCHED, 0);
        match STARTED.get_ptr_mut(number) {
            Some(places) => places,
            None => return,
        }
    };
    let place = (object >> 5 ^ object >> 9) as usize & (PLACES - 1);
    // SAFETY: the place lies in a map's value. What another processor writes to it at the same time may leave a mixture, which is
    // nothing that is pending at its address. The helper has no conditions.
    unsafe {
        let started = places.cast::<Started>().add(place);
        (*started).object = object;
        (*started).hook = hook as u64;
        (*started).time = bpf_ktime_get_ns();
    }
}

/// `timer_start(timer, ...)`.
#[raw_tracepoint]
pub(crate) fn timer_start(context: RawTracePointContext) -> i32 {
    let [timer] = words(context.as_ptr());
    uninterrupted(|| started(Hook::TimerStart, timer));
    0
}

/// `workqueue_queue_work(cpu, pwq, work)`.
#[raw_tracepoint]
pub(crate) fn queue_work(context: RawTracePointContext) -> i32 {
    let [_, _, work] = words(context.as_ptr());
    uninterrupted(|| started(Hook::QueueWork, work));
    0
}

/// The kernel's `WORK_STRUCT_PENDING`, in a work item's first word.
const WORK_PENDING: u64 = 1;
/// Where `timer_list.entry.pprev` lies, which is NULL where the timer is not pending.
const TIMER_PPREV: u64 = 8;
/// Where a timer and a work item alike have the function that they call.
const FUNCTION: u64 = 24;

/// A node goes, with a payload of this size. Of what is pending in it the first is reported.
#[inline(always)]
pub(crate) fn unmanage(device: u64, node: u64, size: u64) {
    if layout!(pending) != 0 {
        report(device, node, size);
    }
}

#[inline(never)]
fn report(device: u64, node: u64, size: u64) {
    let Some(since) = MANAGED_NODES.get_ptr(node) else {
        return;
    };
    // SAFETY: the place is a map's value.
    let since = unsafe { *since };
    let _ = MANAGED_NODES.remove(node);
    let begin = node.wrapping_add(u64::from(layout!(payload)));
    for number in 0..PAGES_OF_BLOCK {
        let page = (begin >> PAGE_BITS).wrapping_add(number);
        let Some(places) = STARTED.get_ptr(page) else {
            continue;
        };
        for place in 0..PLACES {
            // SAFETY: the place lies in a map's value.
            let started = unsafe { places.cast::<Started>().add(place).read_volatile() };
            // What was started before is none of this memory.
            if started.object.wrapping_sub(begin) < size
                && started.time >= since
                && is_pending(&started)
            {
                let hook = if started.hook == Hook::TimerStart as u64 {
                    Hook::TimerStart
                } else {
                    Hook::QueueWork
                };
                tell(hook, device, started.object);
                return;
            }
        }
    }
}

/// Whether the kernel's words at its address say so.
#[inline(always)]
fn is_pending(started: &Started) -> bool {
    if started.hook == Hook::TimerStart as u64 {
        kernel_word(started.object.wrapping_add(TIMER_PPREV)) != 0
    } else {
        kernel_word(started.object) & WORK_PENDING != 0
    }
}

#[inline(always)]
fn tell(hook: Hook, device: u64, object: u64) {
    let Some(mut entry) = reserve::<CallRecord>(hook) else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    let time = unsafe {
        (*record).first = kernel_word(object.wrapping_add(FUNCTION));
        (*record).second = 0;
        (*record).pm_domain = 0;
        (*record).pm_detach = 0;
        begin(
            &raw mut (*record).header,
            Kind::Enter,
            hook,
            device,
            NO_STACK,
        )
    };
    entry.submit(wake_up(time));
}
