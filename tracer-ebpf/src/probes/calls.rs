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
    Hook,
    wire::{CallRecord, Kind, NO_STACK},
};

use crate::{
    arguments::{Context, kernel_word, registers, returned, words},
    device::{announce, forget},
    maps::layout,
    preemption::uninterrupted,
    record::{begin, reserve, stack, wake_up},
};

/// Hooks whose entry tells who is responsible for what follows, so that a stack is taken there.
const WITH_STACK: u64 = bit(Hook::Unbind)
    | bit(Hook::ReleaseAll)
    | bit(Hook::ReleaseGroup)
    | bit(Hook::OpenGroup)
    | bit(Hook::CloseGroup)
    | bit(Hook::RemoveGroup)
    | bit(Hook::PmDetach)
    | bit(Hook::Delete)
    | bit(Hook::FinalPut)
    | bit(Hook::Destroy)
    | bit(Hook::Release)
    | bit(Hook::FreeIrq);

/// Hooks that have to do with the device's PM domain.
const WITH_PM_DOMAIN: u64 = bit(Hook::PmAttach) | bit(Hook::PmDetach) | bit(Hook::Probe);

/// Hooks of which events of every device are wanted, whatever the filters say: what one device's unbind
/// does to another can only be told if both frames are known.
const UNFILTERED: u64 = bit(Hook::Probe)
    | bit(Hook::Unbind)
    | bit(Hook::Initialise)
    | bit(Hook::FinalPut)
    | bit(Hook::Bound);

const fn bit(hook: Hook) -> u64 {
    1 << hook as u64
}

const LEAVE: u64 = 1 << 8;

#[inline(always)]
fn entered(context: Context, hook: Hook, [device, first, second]: [u64; 3]) {
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
fn call(context: Context, hook_and_direction: u64, device: u64, first: u64, second: u64) {
    let Some(hook) = Hook::from_number(hook_and_direction as u8) else {
        return;
    };
    let leaving = hook_and_direction & LEAVE != 0;
    // The framework's own structure, not a device.
    let device = if matches!(hook, Hook::ComponentBringUp) {
        0
    } else {
        device
    };
    // A kretprobe doesn't know its function's arguments, and a device that has just been released can't
    // be looked at any more.
    if device != 0 && !(leaving && matches!(hook, Hook::FinalPut)) {
        let driver = if matches!(hook, Hook::Probe) && !leaving {
            first
        } else {
            0
        };
        if !announce(device, driver, hook as u64) && UNFILTERED & bit(hook) == 0 {
            return;
        }
    }
    let with_stack = !leaving && WITH_STACK & bit(hook) != 0 && !releases_nothing(hook, device);
    let stack = if with_stack {
        stack(context, hook as u64)
    } else {
        NO_STACK
    };
    let (mut pm_domain, mut pm_detach) = (0, 0);
    if WITH_PM_DOMAIN & bit(hook) != 0 && device != 0 {
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
    unsafe {
        begin(&raw mut (*record).header, kind, hook, device, stack);
        (*record).first = first;
        (*record).second = second;
        (*record).pm_domain = pm_domain;
        (*record).pm_detach = pm_detach;
    }
    entry.submit(wake_up());
}

/// `free_irq(irq, dev_id)`: of whatever device, for the interrupt does not tell.
#[fentry(function = "free_irq")]
pub(crate) fn enter_free_irq(context: FEntryContext) -> i32 {
    let [number, dev_id] = words(context.as_ptr());
    uninterrupted(|| interrupt(context.as_ptr(), Hook::FreeIrq, number, dev_id));
    0
}

/// The same as a kprobe.
#[kprobe]
pub(crate) fn kprobe_free_irq(context: ProbeContext) -> u32 {
    let [number, dev_id, _] = registers(&context);
    interrupt(context.as_ptr(), Hook::FreeIrq, number, dev_id);
    0
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
    interrupt(context, Hook::IrqHandler, number, dev_id);
}

#[inline(always)]
fn interrupt(context: Context, hook: Hook, number: u64, dev_id: u64) {
    // An `int` fills half of the register; the other half is not defined.
    call(
        context,
        hook as u64,
        0,
        number & u64::from(u32::MAX),
        dev_id,
    );
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

/// A hook on a function's return, as fexit and as kretprobe. The function takes `$arguments` arguments:
/// the returned value lies behind them.
macro_rules! exit {
    ($hook:ident, $arguments:literal, $fexit:ident, $kretprobe:ident) => {
        #[fexit]
        pub(crate) fn $fexit(context: FExitContext) -> i32 {
            let words: [u64; $arguments + 1] = words(context.as_ptr());
            uninterrupted(|| left(context.as_ptr(), Hook::$hook, words[0], words[$arguments]));
            0
        }

        #[kretprobe]
        pub(crate) fn $kretprobe(context: RetProbeContext) -> u32 {
            left(context.as_ptr(), Hook::$hook, 0, returned(&context));
            0
        }
    };
}

entry!(DevresAdd, enter_devres_add, kprobe_devres_add);
entry!(Probe, enter_probe, kprobe_probe);
exit!(Probe, 2, leave_probe, kretprobe_probe);
entry!(Bound, enter_bound, kprobe_bound);
entry!(Unbind, enter_unbind, kprobe_unbind);
exit!(Unbind, 3, leave_unbind, kretprobe_unbind);
entry!(Remove, enter_remove, kprobe_remove);
exit!(Remove, 1, leave_remove, kretprobe_remove);
entry!(Cleanup, enter_cleanup, kprobe_cleanup);
exit!(Cleanup, 1, leave_cleanup, kretprobe_cleanup);
entry!(ReleaseAll, enter_release_all, kprobe_release_all);
exit!(ReleaseAll, 1, leave_release_all, kretprobe_release_all);
entry!(ReleaseGroup, enter_release_group, kprobe_release_group);
exit!(
    ReleaseGroup,
    2,
    leave_release_group,
    kretprobe_release_group
);
entry!(OpenGroup, enter_open_group, kprobe_open_group);
entry!(CloseGroup, enter_close_group, kprobe_close_group);
entry!(RemoveGroup, enter_remove_group, kprobe_remove_group);
entry!(PmAttach, enter_pm_attach, kprobe_pm_attach);
exit!(PmAttach, 2, leave_pm_attach, kretprobe_pm_attach);
entry!(PmDetach, enter_pm_detach, kprobe_pm_detach);
exit!(PmDetach, 2, leave_pm_detach, kretprobe_pm_detach);
entry!(Initialise, enter_initialise, kprobe_initialise);
entry!(Delete, enter_delete, kprobe_delete);
exit!(Delete, 1, leave_delete, kretprobe_delete);
entry!(FinalPut, enter_final_put, kprobe_final_put);
exit!(FinalPut, 1, leave_final_put, kretprobe_final_put);
entry!(Krealloc, enter_krealloc, kprobe_krealloc);
exit!(Krealloc, 4, leave_krealloc, kretprobe_krealloc);
entry!(Destroy, enter_destroy, kprobe_destroy);
exit!(Destroy, 4, leave_destroy, kretprobe_destroy);
entry!(Release, enter_release, kprobe_release);
exit!(Release, 4, leave_release, kretprobe_release);
entry!(ReleaseAction, enter_release_action, kprobe_release_action);
exit!(
    ReleaseAction,
    3,
    leave_release_action,
    kretprobe_release_action
);
exit!(
    DevresRemove,
    4,
    leave_devres_remove,
    kretprobe_devres_remove
);
entry!(Kfree, enter_kfree, kprobe_kfree);
entry!(RemoveAction, enter_remove_action, kprobe_remove_action);
entry!(FreePages, enter_free_pages, kprobe_free_pages);
entry!(Defer, enter_defer, kprobe_defer);
entry!(FreePercpu, enter_free_percpu, kprobe_free_percpu);
entry!(
    ComponentBringUp,
    enter_component_bring_up,
    kprobe_component_bring_up
);
exit!(
    ComponentBringUp,
    2,
    leave_component_bring_up,
    kretprobe_component_bring_up
);
