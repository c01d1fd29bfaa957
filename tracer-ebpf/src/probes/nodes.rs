//! Additions, removals and releases of devres nodes.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext as _,
    helpers::{self, generated::bpf_probe_read_kernel},
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext},
};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    Hook,
    wire::{AddRecord, Kind, NO_STACK, NODE_NAME_CAPACITY, NodeRecord, SHORT_NODE_NAME},
};

use crate::{
    arguments::{Beginning, Context, kernel_string, registers, words},
    device::announce,
    maps::layout,
    preemption::uninterrupted,
    record::{begin, lost, reserve, stack, wake_up},
};

/// `devres_log(dev, op, node, name, size)`, typed by BTF.
#[btf_tracepoint(function = "devres_log")]
pub(crate) fn devres_log(context: BtfTracePointContext) -> i32 {
    uninterrupted(|| log(context.as_ptr(), words(context.as_ptr())))
}

/// The same without BTF.
#[raw_tracepoint(tracepoint = "devres_log")]
pub(crate) fn raw_devres_log(context: RawTracePointContext) -> i32 {
    uninterrupted(|| log(context.as_ptr(), words(context.as_ptr())))
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
fn log(context: Context, [device, operation, node, name, size]: [u64; 5]) -> i32 {
    if !announce(device, 0, Hook::DevresLog as u64) {
        return 0;
    }
    // SAFETY: the helper checks the address.
    let operation =
        unsafe { helpers::bpf_probe_read_kernel(operation as *const [u8; 4]) }.unwrap_or([0; 4]);
    match &operation {
        b"ADD\0" => add(context, device, node, name, size),
        b"REM\0" => remove(
            context,
            device,
            node,
            name,
            size | (Kind::Remove as u64) << KIND_SHIFT,
        ),
        b"REL\0" => remove(
            context,
            device,
            node,
            name,
            size | (Kind::Release as u64) << KIND_SHIFT,
        ),
        b"REPL" => remove(
            context,
            device,
            node,
            name,
            size | (Kind::Replace as u64) << KIND_SHIFT,
        ),
        _ => {
            lost(Hook::DevresLog);
            complain(
                context,
                "devres_log: unknown operation",
                u64::from(u32::from_le_bytes(operation)),
                device,
            );
        }
    }
    0
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

/// Where the record's kind is kept in the size argument of [`remove`], because a function of a probe can
/// take no more than five arguments: no payload is that large.
const KIND_SHIFT: u32 = 56;

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

#[inline(never)]
fn add(context: Context, device: u64, node: u64, name: u64, size: u64) {
    let hook = if layout!(logged) == 0 {
        Hook::AddDr
    } else {
        Hook::DevresLog
    };
    let stack = stack(context, hook as u64);
    let mut text = MaybeUninit::<Name>::uninit();
    // SAFETY: the place is the name's, and the helper fills all of it.
    let (length, text) = unsafe {
        let length = kernel_string(name, (&raw mut text).cast::<[u8; NODE_NAME_CAPACITY]>());
        (length, text.assume_init_ref())
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
    if release >> 63 == 0 {
        complain(
            context,
            "a node's release is no kernel address",
            release,
            device,
        );
    }
    if length <= SHORT {
        fill_add::<SHORT_NODE_NAME>(hook, stack, [device, node, size, release], behind, text);
    } else {
        fill_add::<NODE_NAME_CAPACITY>(hook, stack, [device, node, size, release], behind, text);
    }
}

#[inline(always)]
fn fill_add<const NAME: usize>(
    hook: Hook,
    stack: i32,
    [device, node, size, release]: [u64; 4],
    behind: [u64; 2],
    text: &Name,
) {
    let Some(mut entry) = reserve::<Named<AddRecord, NAME>>(hook) else {
        return;
    };
    let at = |offset: u32| node.wrapping_add(u64::from(offset));
    let payload = at(if text.0.first_chunk() == Some(b"grp<") {
        layout!(group_id)
    } else {
        layout!(payload)
    });
    let place = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record; the helper checks the address, and
    // fills the place with zeros where it fails.
    unsafe {
        let record = &raw mut (*place).record;
        begin(&raw mut (*record).header, Kind::Add, hook, device, stack);
        (*record).node = node;
        (*record).size = size;
        (*record).release = release;
        (*record).behind = behind;
        bpf_probe_read_kernel(
            (&raw mut (*record).payload).cast(),
            size_of::<[u64; 4]>() as u32,
            payload as *const _,
        );
        copy_name(&raw mut (*place).name, text);
    }
    entry.submit(wake_up());
}

#[inline(never)]
fn remove(context: Context, device: u64, node: u64, name: u64, size_and_kind: u64) {
    // A release belongs to a batch, whose beginning has the stack.
    let release = size_and_kind >> KIND_SHIFT == Kind::Release as u64;
    let stack = if release {
        NO_STACK
    } else {
        stack(context, Hook::DevresLog as u64)
    };
    let mut text = MaybeUninit::<Name>::uninit();
    // SAFETY: the place is the name's, and the helper fills all of it.
    let (length, text) = unsafe {
        let length = kernel_string(name, (&raw mut text).cast::<[u8; NODE_NAME_CAPACITY]>());
        (length, text.assume_init_ref())
    };
    if length <= SHORT {
        fill_remove::<SHORT_NODE_NAME>(stack, [device, node, size_and_kind], text);
    } else {
        fill_remove::<NODE_NAME_CAPACITY>(stack, [device, node, size_and_kind], text);
    }
}

#[inline(always)]
fn fill_remove<const NAME: usize>(
    stack: i32,
    [device, node, size_and_kind]: [u64; 3],
    text: &Name,
) {
    let kind = match size_and_kind >> KIND_SHIFT {
        kind if kind == Kind::Remove as u64 => Kind::Remove,
        kind if kind == Kind::Release as u64 => Kind::Release,
        _ => Kind::Replace,
    };
    let Some(mut entry) = reserve::<Named<NodeRecord, NAME>>(Hook::DevresLog) else {
        return;
    };
    let place = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    unsafe {
        let record = &raw mut (*place).record;
        begin(
            &raw mut (*record).header,
            kind,
            Hook::DevresLog,
            device,
            stack,
        );
        (*record).node = node;
        (*record).size = size_and_kind & ((1 << KIND_SHIFT) - 1);
        copy_name(&raw mut (*place).name, text);
    }
    entry.submit(wake_up());
}

/// A record with room for a name behind it.
#[repr(C)]
struct Named<Record, const NAME: usize> {
    record: Record,
    name: Name<NAME>,
}

/// A name, aligned so that it is copied by words.
#[repr(C, align(8))]
struct Name<const NAME: usize = NODE_NAME_CAPACITY>([u8; NAME]);

/// Copies the first `NAME` bytes of a name.
///
/// # Safety
/// `place` points to so many writable bytes.
#[inline(always)]
unsafe fn copy_name<const NAME: usize>(place: *mut Name<NAME>, text: &Name) {
    // SAFETY: the place is writable by contract, and neither length exceeds the text's.
    unsafe { place.copy_from_nonoverlapping((&raw const *text).cast(), 1) };
}
