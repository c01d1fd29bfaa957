//! Timers and work items that are pending in managed memory when it is released, and what is registered there: character
//! devices, notifiers, input handlers.
//!
//! Timers are started all the time. Those that lie in no page in which managed memory is are let pass at once; of the others
//! it is kept where they are. When memory is released, the kernel's own words in those places say whether they are pending
//! or registered: that nothing was seen to end proves nothing.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::{fentry, fexit, kprobe, kretprobe, map, raw_tracepoint},
    maps::{Array, LruHashMap},
    programs::{FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext},
};
use tracer_ebpf::{
    Hook,
    wire::{CallRecord, Kind, NO_STACK},
};

use crate::{
    arguments::{kernel_word, registers, returned, words},
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
/// How many objects of a page are told apart, a power of two: of two in one place the later is kept.
const PLACES: usize = 16;

/// Whether managed memory lies, or lay, in a page.
#[map]
static MANAGED_PAGES: Array<u8> = Array::with_max_entries(PAGES, 0);

/// When each node was added.
#[map]
static MANAGED_NODES: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16 * 1024, 0);

/// What was started, queued or registered in pages with managed memory, by the page's number.
#[map]
static STARTED: LruHashMap<u64, [Started; PLACES]> = LruHashMap::with_max_entries(4 * 1024, 0);

/// The character device that a task registers, by its thread id.
#[map]
static ADDED: LruHashMap<u32, u64> = LruHashMap::with_max_entries(256, 0);

/// The last start or registration at an address.
#[derive(Clone, Copy)]
#[repr(C)]
struct Started {
    object: u64,
    time: u64,
    hook: u64,
    /// Where the kernel's word is that says whether it is pending or registered; of a notifier that is where its chain
    /// begins, of an input handler where it is on a list.
    word: u64,
    /// The bits of that word that say so; none where it takes more than a word.
    mask: u64,
    /// Made of the others: two processors may write to one place at the same time.
    sum: u64,
}

impl Started {
    #[inline(always)]
    fn sum(&self) -> u64 {
        self.object
            ^ self.time.rotate_left(16)
            ^ self.hook.rotate_left(32)
            ^ self.word.rotate_left(48)
            ^ self.mask
    }
}

const NOTHING: Started = Started {
    object: 0,
    time: 0,
    hook: 0,
    word: 0,
    mask: 0,
    sum: 0,
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

/// A timer was started, a work item was queued, or something was registered, as long as the word there has one of these bits.
#[inline(always)]
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "the programs' stack has no room for a copy"
)]
fn started(hook: Hook, object: u64, word: u64, mask: u64) {
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
    // SAFETY: the helper has no conditions.
    let time = unsafe { bpf_ktime_get_ns() };
    let mut whole = Started {
        object,
        time,
        hook: hook as u64,
        word,
        mask,
        sum: 0,
    };
    whole.sum = whole.sum();
    // SAFETY: the place lies in a map's value. What another processor writes to it at the same time may leave a mixture, whose sum
    // is wrong.
    unsafe { places.cast::<Started>().add(place).write_volatile(whole) };
}

/// `timer_start(timer, ...)`.
#[raw_tracepoint]
pub(crate) fn timer_start(context: RawTracePointContext) -> i32 {
    let [timer] = words(context.as_ptr());
    let linked = timer.wrapping_add(TIMER_PPREV);
    uninterrupted(|| started(Hook::TimerStart, timer, linked, u64::MAX));
    0
}

/// `workqueue_queue_work(cpu, pwq, work)`.
#[raw_tracepoint]
pub(crate) fn queue_work(context: RawTracePointContext) -> i32 {
    let [_, _, work] = words(context.as_ptr());
    uninterrupted(|| started(Hook::QueueWork, work, work, WORK_PENDING));
    0
}

/// `cdev_add(p, dev, count)`: whether it succeeds is known when it returns, which a kretprobe sees without its arguments.
#[fentry(function = "cdev_add")]
pub(crate) fn enter_cdev_add(context: FEntryContext) -> i32 {
    let [device] = words(context.as_ptr());
    uninterrupted(|| add_device(device));
    0
}

#[kprobe]
pub(crate) fn kprobe_cdev_add(context: ProbeContext) -> u32 {
    let [device, _, _] = registers(&context);
    add_device(device);
    0
}

#[fexit(function = "cdev_add")]
pub(crate) fn leave_cdev_add(context: FExitContext) -> i32 {
    const ARITY: usize = 3;
    let words: [u64; ARITY + 1] = words(context.as_ptr());
    uninterrupted(|| device_added(words[ARITY]));
    0
}

#[kretprobe]
pub(crate) fn kretprobe_cdev_add(context: RetProbeContext) -> u32 {
    device_added(returned(&context));
    0
}

#[inline(always)]
fn add_device(device: u64) {
    let _ = ADDED.insert(bpf_get_current_pid_tgid() as u32, device, 0);
}

#[inline(always)]
fn device_added(result: u64) {
    let task = bpf_get_current_pid_tgid() as u32;
    let Some(device) = ADDED.get_ptr(task) else {
        return;
    };
    // SAFETY: the place is a map's value, which only its task writes.
    let device = unsafe { *device };
    let _ = ADDED.remove(task);
    if result as u32 == 0 {
        // Whoever has it open holds a reference, too. `cdev.kobj` is the first member.
        let references = device.wrapping_add(u64::from(layout!(kobject_kref)));
        started(Hook::CdevAdd, device, references, REFERENCES);
    }
}

/// A kind of notifiers: `..._notifier_chain_register(nh, n)`. One that is refused is not in its chain later.
macro_rules! notifier {
    ($function:literal, $enter:ident, $kprobe:ident, $hook:ident, $head:ident) => {
        #[fentry(function = $function)]
        pub(crate) fn $enter(context: FEntryContext) -> i32 {
            let [head, notifier] = words(context.as_ptr());
            let chain = head.wrapping_add(u64::from(layout!($head)));
            uninterrupted(|| started(Hook::$hook, notifier, chain, 0));
            0
        }

        #[kprobe]
        pub(crate) fn $kprobe(context: ProbeContext) -> u32 {
            let [head, notifier, _] = registers(&context);
            let chain = head.wrapping_add(u64::from(layout!($head)));
            started(Hook::$hook, notifier, chain, 0);
            0
        }
    };
}

notifier!(
    "raw_notifier_chain_register",
    enter_raw_notifier,
    kprobe_raw_notifier,
    RawNotifier,
    raw_notifier_head
);
notifier!(
    "blocking_notifier_chain_register",
    enter_blocking_notifier,
    kprobe_blocking_notifier,
    BlockingNotifier,
    blocking_notifier_head
);
notifier!(
    "atomic_notifier_chain_register",
    enter_atomic_notifier,
    kprobe_atomic_notifier,
    AtomicNotifier,
    atomic_notifier_head
);
notifier!(
    "srcu_notifier_chain_register",
    enter_srcu_notifier,
    kprobe_srcu_notifier,
    SrcuNotifier,
    srcu_notifier_head
);

/// `input_register_handler(handler)`. One that is refused is on no list later.
#[fentry(function = "input_register_handler")]
pub(crate) fn enter_input_register(context: FEntryContext) -> i32 {
    let [handler] = words(context.as_ptr());
    uninterrupted(|| register_handler(handler));
    0
}

#[kprobe]
pub(crate) fn kprobe_input_register(context: ProbeContext) -> u32 {
    let [handler, _, _] = registers(&context);
    register_handler(handler);
    0
}

#[inline(always)]
fn register_handler(handler: u64) {
    let offset = u64::from(layout!(input_handler_node));
    if offset != 0 {
        started(
            Hook::InputRegister,
            handler,
            handler.wrapping_add(offset),
            0,
        );
    }
}

/// The kernel's `WORK_STRUCT_PENDING`, in a work item's first word.
const WORK_PENDING: u64 = 1;
/// Where `timer_list.entry.pprev` lies, which is NULL where the timer is not pending.
const TIMER_PPREV: u64 = 8;
/// Where a timer and a work item alike have the function that they call.
const FUNCTION: u64 = 24;
/// `list_head.prev`.
const LIST_PREV: u32 = 8;
/// The bits of a `struct kref` in the word where it begins.
const REFERENCES: u64 = u32::MAX as u64;
/// How far a chain of notifiers is followed.
const MOST_OF_CHAIN: usize = 32;

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
    let mut registered = NOTHING;
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
                && started.sum == started.sum()
            {
                if started.mask == 0 {
                    registered = started;
                } else if kernel_word(started.word) & started.mask != 0 {
                    // The end, even if nothing is told: the verifier of 6.1 takes minutes where the loop goes on from here.
                    tell(&started, device);
                    return;
                }
            }
        }
    }
    // Not in the loop, because the verifier would follow a chain for each place. A chain that goes with the same memory is called
    // by nobody any more.
    let goes_with_it =
        registered.hook != Hook::InputRegister as u64 && registered.word.wrapping_sub(begin) < size;
    if registered.object != 0 && !goes_with_it && is_registered(&registered) {
        tell(&registered, device);
    }
}

/// The word in a member of what was started.
#[inline(always)]
fn word_at(object: u64, offset: u32) -> u64 {
    kernel_word(object.wrapping_add(u64::from(offset)))
}

/// Whether a notifier is among the first of its chain, or an input handler is on the kernel's list: one that was taken off
/// points to itself.
#[inline(always)]
fn is_registered(registered: &Started) -> bool {
    let mut member = kernel_word(registered.word);
    if registered.hook == Hook::InputRegister as u64 {
        return member != 0
            && member != registered.word
            && word_at(member, LIST_PREV) == registered.word;
    }
    for _ in 0..MOST_OF_CHAIN {
        if member == registered.object {
            return true;
        }
        if member == 0 || layout!(notifier_next) == 0 {
            return false;
        }
        member = word_at(member, layout!(notifier_next));
    }
    false
}

/// What was started or registered, and the function that it calls, or its number.
#[inline(always)]
fn known_by(started: &Started) -> (Hook, u64) {
    let Started { object, hook, .. } = *started;
    // One after the other: the verifier can't follow a table of hooks, into which a `match` may be compiled.
    if hook == Hook::CdevAdd as u64 {
        let number = word_at(object, layout!(cdev_number)) as u32;
        return (Hook::CdevAdd, u64::from(number));
    }
    if hook == Hook::InputRegister as u64 {
        let function = word_at(object, layout!(input_handler_connect));
        return (Hook::InputRegister, function);
    }
    if started.mask == 0 {
        let function = word_at(object, layout!(notifier_call));
        return if hook == Hook::RawNotifier as u64 {
            (Hook::RawNotifier, function)
        } else if hook == Hook::BlockingNotifier as u64 {
            (Hook::BlockingNotifier, function)
        } else if hook == Hook::AtomicNotifier as u64 {
            (Hook::AtomicNotifier, function)
        } else {
            (Hook::SrcuNotifier, function)
        };
    }
    let function = kernel_word(object.wrapping_add(FUNCTION));
    if hook == Hook::QueueWork as u64 {
        (Hook::QueueWork, function)
    } else {
        (Hook::TimerStart, function)
    }
}

/// Tells of it, unless there is nothing to know it by: a character device that was set up anew, and not added again, has no number.
#[inline(always)]
fn tell(started: &Started, device: u64) {
    let (hook, known_by) = known_by(started);
    if known_by == 0 {
        return;
    }
    let Some(mut entry) = reserve::<CallRecord>(hook) else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    let time = unsafe {
        (*record).first = known_by;
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
