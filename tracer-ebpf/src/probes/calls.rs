//! Functions that are entered and left: frames such as probe and unbind, and points such as a device's
//! beginning.

use aya_ebpf::{
    EbpfContext as _,
    macros::{btf_tracepoint, fentry, fexit, kprobe, kretprobe, raw_tracepoint},
    programs::{
        BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RawTracePointContext,
        RetProbeContext,
    },
};
use tracer_ebpf::{
    Hook, Trait,
    wire::{CallRecord, Kind, NO_STACK},
};

use crate::{
    arguments::{Context, kernel_word, registers, returned, words},
    beside::{frame_begins, frame_ends},
    device::{announce, forget},
    maps::layout,
    preemption::uninterrupted,
    record::{begin, reserve, stack, wake_up},
};

/// Hooks whose entry is sent with a stack.
const WITH_STACK: u64 = Hook::with(Trait::Stack);

/// Hooks that have to do with the device's PM domain.
const WITH_PM_DOMAIN: u64 = Hook::with(Trait::PmDomain);

/// Hooks of which events of every device are wanted, whatever the filters say.
const UNFILTERED: u64 = Hook::with(Trait::Unfiltered);

const LEAVE: u64 = 1 << 8;

/// A function was entered with these arguments, the device first if the hook has one.
#[inline(always)]
fn entered(context: Context, hook: Hook, arguments: [u64; 3]) {
    let [device, first, second] = if hook.has_device() {
        arguments
    } else {
        [0, arguments[0], arguments[1]]
    };
    if matches!(hook, Hook::Initialise) {
        forget(device);
    }
    call(context, hook as u64, device, first, second);
}

#[inline(always)]
fn left(context: Context, hook: Hook, device: u64, value: u64) {
    call(context, hook as u64 | LEAVE, device, value, 0);
    if matches!(hook, Hook::FinalPut) && device != 0 {
        forget(device);
    }
}

#[inline(never)]
pub(crate) fn call(
    context: Context,
    hook_and_direction: u64,
    device: u64,
    first: u64,
    second: u64,
) {
    let Some(hook) = Hook::from_number(hook_and_direction as u8) else {
        return;
    };
    let leaving = hook_and_direction & LEAVE != 0;
    if matches!(hook, Hook::Probe | Hook::Unbind) {
        if leaving {
            frame_ends();
        } else {
            frame_begins(device);
        }
    }
    // A kretprobe doesn't know its function's arguments, and a device that has just been released can't
    // be looked at any more.
    if device != 0 && !(leaving && matches!(hook, Hook::FinalPut)) {
        let driver = if matches!(hook, Hook::Probe) && !leaving {
            first
        } else {
            0
        };
        if !announce(device, driver, hook as u64) && !hook.is_in(UNFILTERED) {
            return;
        }
    }
    let with_stack = !leaving && hook.is_in(WITH_STACK) && !releases_nothing(hook, device);
    let stack = if with_stack {
        stack(context, hook as u64)
    } else {
        NO_STACK
    };
    let (mut pm_domain, mut pm_detach) = (0, 0);
    if hook.is_in(WITH_PM_DOMAIN) && device != 0 {
        pm_domain = kernel_word(device.wrapping_add(u64::from(layout!(device_pm_domain))));
        if pm_domain != 0 {
            pm_detach = kernel_word(pm_domain.wrapping_add(u64::from(layout!(pm_domain_detach))));
        }
    }
    let Some(mut entry) = reserve::<CallRecord>(hook) else {
        return;
    };
    let kind = if leaving { Kind::Leave } else { Kind::Enter };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    let time = unsafe {
        (*record).first = first;
        (*record).second = second;
        (*record).pm_domain = pm_domain;
        (*record).pm_detach = pm_detach;
        begin(&raw mut (*record).header, kind, hook, device, stack)
    };
    entry.submit(wake_up(time));
}

/// `irq_handler_entry(irq, action)`, typed by BTF.
#[btf_tracepoint(function = "irq_handler_entry")]
pub(crate) fn irq_handler_entry(context: BtfTracePointContext) -> i32 {
    handler(context.as_ptr());
    0
}

/// The same without BTF.
#[raw_tracepoint(tracepoint = "irq_handler_entry")]
pub(crate) fn raw_irq_handler_entry(context: RawTracePointContext) -> i32 {
    handler(context.as_ptr());
    0
}

#[inline(always)]
fn handler(context: Context) {
    let [number, action] = words(context);
    let dev_id = kernel_word(action.wrapping_add(u64::from(layout!(irqaction_dev_id))));
    call(context, Hook::IrqHandler as u64, 0, number, dev_id);
}

/// Whether this is a `devres_release_all` with nothing to release: two of three are.
#[inline(always)]
fn releases_nothing(hook: Hook, device: u64) -> bool {
    let head = device.wrapping_add(u64::from(layout!(device_devres_head)));
    matches!(hook, Hook::ReleaseAll | Hook::FinalPut | Hook::Delete) && kernel_word(head) == head
}

/// A hook on a function's entry, as fentry and as kprobe.
macro_rules! entry {
    ($hook:ident, $fentry:ident, $kprobe:ident) => {
        #[fentry]
        pub(crate) fn $fentry(context: FEntryContext) -> i32 {
            uninterrupted(|| {
                entered(context.as_ptr(), Hook::$hook, words(context.as_ptr()));
            });
            0
        }

        #[kprobe]
        pub(crate) fn $kprobe(context: ProbeContext) -> u32 {
            entered(context.as_ptr(), Hook::$hook, registers(&context));
            0
        }
    };
}

/// A hook on a function's return, as fexit and as kretprobe. The returned value lies behind the arguments.
macro_rules! exit {
    ($hook:ident, $fexit:ident, $kretprobe:ident) => {
        #[fexit]
        pub(crate) fn $fexit(context: FExitContext) -> i32 {
            const ARITY: usize = Hook::$hook.arity();
            let words: [u64; ARITY + 1] = words(context.as_ptr());
            let device = if Hook::$hook.has_device() {
                words[0]
            } else {
                0
            };
            uninterrupted(|| left(context.as_ptr(), Hook::$hook, device, words[ARITY]));
            0
        }

        #[kretprobe]
        pub(crate) fn $kretprobe(context: RetProbeContext) -> u32 {
            left(context.as_ptr(), Hook::$hook, 0, returned(&context));
            0
        }
    };
}

/// The programs of every hook in the table, but for those that are written by hand.
macro_rules! programs {
    ($(
        $(#[$doc:meta])*
        $hook:ident = $number:literal: $point:ident $symbols:tt $arguments:tt -> $returns:ident,
        $(enter $enter:ident $kprobe:ident,)?
        $(leave $leave:ident $kretprobe:ident,)?
        $(by_hand $best:ident $plain:ident,)?
        $(leave_by_hand $best_leave:ident $plain_leave:ident,)?
        [$($trait:ident)*], $without:literal;
    )*) => {
        $(
            $(entry!($hook, $enter, $kprobe);)?
            $(exit!($hook, $leave, $kretprobe);)?
        )*
    };
}

tracer_ebpf::hooks!(programs);
