//! Additions, removals and releases of devres nodes.

use aya_ebpf::{
    EbpfContext as _, helpers,
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext},
};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    Hook, NAMES_ARE_KEPT,
    wire::{AddRecord, Kind, NO_STACK, NODE_NAME_CAPACITY, NodeRecord, SHORT_NODE_NAME},
};

use crate::{
    arguments::{Beginning, Context, arguments, kernel_string, registers, words},
    device::{announce, announce_typed},
    maps::{KNOWN_NAMES, KnownName, MODULES_CHANGED, NAMES, Name, OPERATIONS, layout, value_of},
    pending, pointers,
    preemption::uninterrupted,
    record::{begin, lost, reserve, stack, wake_up},
};

/// `devres_log(dev, op, node, name, size)`, typed by BTF.
#[btf_tracepoint(function = "devres_log")]
pub(crate) fn devres_log(context: BtfTracePointContext) -> i32 {
    uninterrupted(|| {
        // SAFETY: the tracepoint has five arguments, and the first is a pointer to a device.
        let (arguments, is_wanted) = unsafe {
            let arguments = arguments(context.as_ptr());
            let is_wanted = announce_typed(arguments[0], Hook::DevresLog as u64);
            (arguments, is_wanted)
        };
        if is_wanted {
            log(context.as_ptr(), arguments);
        }
        0
    })
}

/// The same without BTF.
#[raw_tracepoint(tracepoint = "devres_log")]
pub(crate) fn raw_devres_log(context: RawTracePointContext) -> i32 {
    uninterrupted(|| {
        // SAFETY: the tracepoint has five arguments.
        let arguments = unsafe { arguments(context.as_ptr()) };
        if announce(arguments[0], 0, Hook::DevresLog as u64) {
            log(context.as_ptr(), arguments);
        }
        0
    })
}

/// `add_dr(dev, node)`, on kernels without the tracepoint.
#[fentry(function = "add_dr")]
pub(crate) fn enter_add_dr(context: FEntryContext) -> i32 {
    let [device, node] = words(context.as_ptr());
    uninterrupted(|| added_without_log(context.as_ptr(), device, node));
    0
}

/// The same as a kprobe.
#[kprobe]
pub(crate) fn kprobe_add_dr(context: ProbeContext) -> u32 {
    let [device, node, _] = registers(&context);
    added_without_log(context.as_ptr(), device, node);
    0
}

#[inline(always)]
fn log(context: Context, [device, operation, node, name, size]: [u64; 5]) {
    match kind_of(operation) {
        Some(Kind::Add) => add(context, device, node, name, size),
        Some(kind) => remove(context, kind, [device, node, name, size]),
        None => {
            lost(Hook::DevresLog);
            complain(
                context,
                "devres_log: unknown operation at",
                operation,
                device,
            );
        }
    }
}

/// What the kernel's word at this address stands for.
#[inline(always)]
fn kind_of(operation: u64) -> Option<Kind> {
    if operation == 0 {
        return None;
    }
    let known = OPERATIONS.get_ptr_mut(0)?;
    // SAFETY: the place is a map's value. Whoever writes it at the same time writes the same.
    let known = unsafe { &mut *known };
    if operation == known[0] {
        return Some(Kind::Add);
    }
    if operation == known[1] {
        return Some(Kind::Remove);
    }
    if operation == known[2] {
        return Some(Kind::Release);
    }
    if operation == known[3] {
        return Some(Kind::Replace);
    }
    // SAFETY: the helper checks the address.
    let word = unsafe { helpers::bpf_probe_read_kernel(operation as *const [u8; 4]) };
    let (slot, kind) = match &word.unwrap_or([0; 4]) {
        b"ADD\0" => (&mut known[0], Kind::Add),
        b"REM\0" => (&mut known[1], Kind::Remove),
        b"REL\0" => (&mut known[2], Kind::Release),
        b"REPL" => (&mut known[3], Kind::Replace),
        _ => return None,
    };
    *slot = operation;
    Some(kind)
}

#[inline(always)]
fn added_without_log(context: Context, device: u64, node: u64) {
    if announce(device, 0, Hook::AddDr as u64) {
        add(context, device, node, 0, 0);
    }
}

/// Room for most names, as the helper counts it.
const SHORT: i64 = 24;

const _: () = assert!(SHORT.unsigned_abs() as usize == SHORT_NODE_NAME);

/// Says in the probes' own log, if it is wanted, what is not as it should be.
#[inline(always)]
fn complain(context: Context, what: &'static str, value: u64, device: u64) {
    if layout!(log) != 0 {
        debug!(
            &BtfTracePointContext::new(context),
            "{}: {:x}, device {:x}", what, value, device
        );
    }
}

/// The name at this address. It is the kernel's or a module's constant, so what was read there once still stands there, as
/// long as no module came or went.
#[inline(always)]
fn name_at(address: u64) -> Option<&'static KnownName> {
    let slot = (address >> 3 ^ address >> 7) as u32 & (KNOWN_NAMES - 1);
    let place = NAMES.get_ptr_mut(slot)?;
    let modules_changed = value_of(&MODULES_CHANGED);
    // SAFETY: the place is this CPU's own, and nothing else uses it meanwhile: the probe is not preempted, and interrupt handlers
    // don't manage resources. From 6.2 on the kernel would not run it again while it is running either.
    let known = unsafe { &mut *place };
    if known.address != address
        || known.modules_changed != modules_changed
        || modules_changed < NAMES_ARE_KEPT
    {
        known.address = address;
        known.modules_changed = modules_changed;
        // SAFETY: the place is the name's.
        known.length = unsafe { kernel_string(address, &raw mut known.text.0) };
    }
    Some(known)
}

/// A function of its own, because a probe and what it calls at one time have 512 bytes of stack together.
#[inline(never)]
fn add(context: Context, device: u64, node: u64, name: u64, size: u64) {
    let hook = if layout!(logged) == 0 {
        Hook::AddDr
    } else {
        Hook::DevresLog
    };
    let stack = stack(context, hook as u64);
    let Some(name) = name_at(name) else {
        return;
    };
    let known = Beginning::read(node);
    let release = known.word(layout!(node_release));
    let behind = if layout!(release_behind_node) == 0 {
        [0; 2]
    } else {
        [
            known.word(layout!(node_size)),
            known.word(layout!(node_size) + 8),
        ]
    };
    let payload = if name.text.0.first_chunk() == Some(b"grp<") {
        [known.word(layout!(group_id)), 0, 0, 0]
    } else {
        known.four_words(layout!(payload))
    };
    if release >> 63 == 0 {
        complain(
            context,
            "a node's release is no kernel address",
            release,
            device,
        );
    }
    pointers::hold([payload[0], payload[1], behind[0]]);
    pending::manage(node, size);
    let facts = [device, node, size, release];
    if name.length <= SHORT {
        fill_add::<SHORT_NODE_NAME>(hook, stack, facts, behind, payload, &name.text);
    } else {
        fill_add::<NODE_NAME_CAPACITY>(hook, stack, facts, behind, payload, &name.text);
    }
}

#[inline(always)]
fn fill_add<const NAME: usize>(
    hook: Hook,
    stack: i32,
    [device, node, size, release]: [u64; 4],
    behind: [u64; 2],
    payload: [u64; 4],
    text: &Name,
) {
    let Some(mut entry) = reserve::<Named<AddRecord, NAME>>(hook) else {
        return;
    };
    let place = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    let time = unsafe {
        let record = &raw mut (*place).record;
        (*record).node = node;
        (*record).size = size;
        (*record).release = release;
        (*record).behind = behind;
        (*record).payload = payload;
        copy_name(&raw mut (*place).name, text);
        begin(&raw mut (*record).header, Kind::Add, hook, device, stack)
    };
    entry.submit(wake_up(time));
}

#[inline(always)]
fn remove(context: Context, kind: Kind, [device, node, name, size]: [u64; 4]) {
    // A release belongs to a batch, whose beginning has the stack.
    let stack = if kind == Kind::Release {
        NO_STACK
    } else {
        stack(context, Hook::DevresLog as u64)
    };
    let Some(name) = name_at(name) else {
        return;
    };
    pending::unmanage(device, node, size);
    let facts = [device, node, size];
    if name.length <= SHORT {
        fill_remove::<SHORT_NODE_NAME>(kind, stack, facts, &name.text);
    } else {
        fill_remove::<NODE_NAME_CAPACITY>(kind, stack, facts, &name.text);
    }
}

#[inline(always)]
fn fill_remove<const NAME: usize>(
    kind: Kind,
    stack: i32,
    [device, node, size]: [u64; 3],
    text: &Name,
) {
    let Some(mut entry) = reserve::<Named<NodeRecord, NAME>>(Hook::DevresLog) else {
        return;
    };
    let place = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    let time = unsafe {
        let record = &raw mut (*place).record;
        (*record).node = node;
        (*record).size = size;
        copy_name(&raw mut (*place).name, text);
        begin(
            &raw mut (*record).header,
            kind,
            Hook::DevresLog,
            device,
            stack,
        )
    };
    entry.submit(wake_up(time));
}

/// A record with room for a name behind it.
#[repr(C)]
struct Named<Record, const NAME: usize> {
    record: Record,
    name: Name<NAME>,
}

/// Copies the first `NAME` bytes of a name.
///
/// # Safety
/// `place` points to so many writable bytes.
#[inline(always)]
unsafe fn copy_name<const NAME: usize>(place: *mut Name<NAME>, text: &Name) {
    // SAFETY: the place is writable by contract, and neither length exceeds the text's.
    unsafe { place.copy_from_nonoverlapping((&raw const *text).cast(), 1) };
}
