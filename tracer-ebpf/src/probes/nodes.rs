//! Additions, removals and releases of devres nodes.

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_probe_read_kernel,
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext},
};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    Hook,
    wire::{AddRecord, Kind, NO_STACK, NODE_NAME_CAPACITY, NodeRecord},
};

use crate::{
    arguments::{Context, kernel_string, kernel_word, registers, words},
    device::announce,
    maps::{RECORDS, layout},
    record::{header, lost, stack, wake_up},
};

/// `devres_log(dev, op, node, name, size)`, typed by BTF.
#[btf_tracepoint(function = "devres_log")]
pub(crate) fn devres_log(context: BtfTracePointContext) -> i32 {
    log(context.as_ptr(), words(context.as_ptr()))
}

/// The same without BTF.
#[raw_tracepoint(tracepoint = "devres_log")]
pub(crate) fn raw_devres_log(context: RawTracePointContext) -> i32 {
    log(context.as_ptr(), words(context.as_ptr()))
}

/// `add_dr(dev, node)`, on kernels without the tracepoint.
#[fentry(function = "add_dr")]
pub(crate) fn enter_add_dr(context: FEntryContext) -> i32 {
    let [device, node] = words(context.as_ptr());
    added_without_log(context.as_ptr(), device, node)
}

/// The same as a kprobe.
#[kprobe]
pub(crate) fn kprobe_add_dr(context: ProbeContext) -> u32 {
    let [device, node, _] = registers(&context);
    added_without_log(context.as_ptr(), device, node) as u32
}

#[inline(always)]
fn log(context: Context, [device, operation, node, name, size]: [u64; 5]) -> i32 {
    if !announce(device, 0, Hook::DevresLog as u64) {
        return 0;
    }
    // SAFETY: the helper checks the address.
    let operation = unsafe { bpf_probe_read_kernel(operation as *const [u8; 4]) }.unwrap_or([0; 4]);
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
            if layout!(log) != 0 {
                let [first, second, third, _] = operation;
                debug!(
                    &BtfTracePointContext::new(context),
                    "devres_log: unknown operation {:x} {:x} {:x}", first, second, third
                );
            }
        }
    }
    0
}

#[inline(always)]
fn added_without_log(context: Context, device: u64, node: u64) -> i32 {
    if announce(device, 0, Hook::AddDr as u64) {
        add(context, device, node, 0, 0);
    }
    0
}

/// Where the record's kind is kept in the size argument of [`remove`], because a function of a probe can
/// take no more than five arguments: no payload is that large.
const KIND_SHIFT: u32 = 56;

#[inline(never)]
fn add(context: Context, device: u64, node: u64, name: u64, size: u64) {
    let hook = if name == 0 && size == 0 && layout!(release_behind_node) == 0 {
        Hook::AddDr
    } else {
        Hook::DevresLog
    };
    let stack = stack(context, hook as u64);
    let at = |offset: u32| node.wrapping_add(u64::from(offset));
    let mut record = AddRecord {
        header: header(Kind::Add, hook, device, stack),
        node,
        size,
        release: kernel_word(at(layout!(node_release))),
        behind: [0; 2],
        payload: [0; 4],
        name: [0; NODE_NAME_CAPACITY],
    };
    if layout!(release_behind_node) != 0 {
        let behind = at(layout!(node_size));
        record.behind = [kernel_word(behind), kernel_word(behind.wrapping_add(8))];
    }
    // SAFETY: the name is part of the record.
    let length = unsafe { kernel_string(name, &raw mut record.name) };
    let payload = if &record.name[..4] == b"grp<" {
        layout!(group_id)
    } else {
        layout!(payload)
    };
    // SAFETY: the helper checks the address.
    record.payload =
        unsafe { bpf_probe_read_kernel(at(payload) as *const [u64; 4]) }.unwrap_or([0; 4]);
    output(
        &raw const record as *const u8,
        AddRecord::FIXED,
        length,
        hook,
    );
}

#[inline(never)]
fn remove(context: Context, device: u64, node: u64, name: u64, size_and_kind: u64) {
    let kind = match size_and_kind >> KIND_SHIFT {
        kind if kind == Kind::Remove as u64 => Kind::Remove,
        kind if kind == Kind::Release as u64 => Kind::Release,
        _ => Kind::Replace,
    };
    // A release belongs to a batch, whose beginning has the stack.
    let stack = if matches!(kind, Kind::Release) {
        NO_STACK
    } else {
        stack(context, Hook::DevresLog as u64)
    };
    let mut record = NodeRecord {
        header: header(kind, Hook::DevresLog, device, stack),
        node,
        size: size_and_kind & ((1 << KIND_SHIFT) - 1),
        name: [0; NODE_NAME_CAPACITY],
    };
    // SAFETY: the name is part of the record.
    let length = unsafe { kernel_string(name, &raw mut record.name) };
    output(
        &raw const record as *const u8,
        NodeRecord::FIXED,
        length,
        Hook::DevresLog,
    );
}

/// Copies a record, cut after its name, into the ring buffer, or counts it as lost.
#[inline(always)]
fn output(record: *const u8, fixed: usize, name: u64, hook: Hook) {
    // Hidden from the compiler, so that the verifier sees the bound right before the use.
    let name = core::hint::black_box((name.max(1) + 7) & 0x78);
    let name = if name > NODE_NAME_CAPACITY as u64 {
        NODE_NAME_CAPACITY as u64
    } else {
        name
    };
    // SAFETY: the record is `fixed` bytes and a name of full capacity long.
    let bytes = unsafe { core::slice::from_raw_parts(record, fixed + name as usize) };
    if RECORDS.output::<[u8]>(bytes, wake_up()).is_err() {
        lost(hook);
    }
}
