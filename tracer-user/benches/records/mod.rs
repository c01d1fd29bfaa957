//! Records as the probes write them into the ring buffer: devices that come and go.

use devres_tracer::event::Hook;
use tracer_ebpf::wire::{AddRecord, CallRecord, DeviceRecord, Header, Kind, NO_STACK, NodeRecord};
use zerocopy::{FromZeros as _, IntoBytes as _};

/// Devices that live at the same time.
const DEVICES: u64 = 256;
/// Resources of each.
const COUNT: u8 = 8;
/// Their names and sizes.
const RESOURCES: [(&str, u64); COUNT as usize] = [
    ("devm_kzalloc_release", 320),
    ("devm_ioremap_release", 8),
    ("devm_clk_release", 16),
    ("devm_regulator_release", 8),
    ("devm_irq_release", 16),
    ("pm_runtime_disable_action", 16),
    ("devm_hwmon_release", 8),
    ("devm_kzalloc_release", 24),
];

/// Devices begin, are probed, unbound in the right order, and go.
pub(crate) fn cycle() -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for number in 0..DEVICES {
        let device = 0xff11_0000_0500_0000 + number * 0x800;
        records.push(identity(device, number));
        records.push(call(Kind::Enter, Hook::Initialise, device));
        records.push(call(Kind::Enter, Hook::Probe, device));
        for (index, (name, size)) in (1..=COUNT).zip(RESOURCES) {
            records.push(add(device, device + 0x10 * u64::from(index), name, size));
        }
        records.push(call(Kind::Enter, Hook::Bound, device));
        records.push(call(Kind::Leave, Hook::Probe, device));
        for hook in [Hook::Delete, Hook::Unbind, Hook::Remove] {
            records.push(call(Kind::Enter, hook, device));
        }
        records.push(call(Kind::Leave, Hook::Remove, device));
        records.push(call(Kind::Enter, Hook::Cleanup, device));
        records.push(call(Kind::Enter, Hook::ReleaseAll, device));
        for (index, (name, size)) in (1..=COUNT).zip(RESOURCES).rev() {
            records.push(release(
                device,
                device + 0x10 * u64::from(index),
                name,
                size,
            ));
        }
        records.push(returned(Hook::ReleaseAll, device, u64::from(COUNT)));
        for hook in [Hook::Cleanup, Hook::Unbind, Hook::Delete] {
            records.push(call(Kind::Leave, hook, device));
        }
        records.push(call(Kind::Enter, Hook::FinalPut, device));
        records.push(call(Kind::Enter, Hook::ReleaseAll, device));
        records.push(call(Kind::Leave, Hook::ReleaseAll, device));
        records.push(call(Kind::Leave, Hook::FinalPut, device));
    }
    records
}

fn header(kind: Kind, hook: Hook, device: u64) -> Header {
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"init");
    Header {
        time: 1,
        device,
        tid: 1,
        tgid: 1,
        comm,
        stack: NO_STACK,
        lost: 0,
        cpu: 0,
        kind: kind as u8,
        hook: hook as u8,
        reserved: 0,
    }
}

fn identity(device: u64, number: u64) -> Vec<u8> {
    let mut record = DeviceRecord::new_zeroed();
    record.header = header(Kind::Device, Hook::Initialise, device);
    let name = format!("dev{number}");
    record.name[..name.len()].copy_from_slice(name.as_bytes());
    record.driver[..6].copy_from_slice(b"driver");
    record.bus[..8].copy_from_slice(b"platform");
    record.as_bytes().to_vec()
}

fn call(kind: Kind, hook: Hook, device: u64) -> Vec<u8> {
    CallRecord {
        header: header(kind, hook, device),
        first: 0,
        second: 0,
        pm_domain: 0,
        pm_detach: 0,
    }
    .as_bytes()
    .to_vec()
}

fn returned(hook: Hook, device: u64, value: u64) -> Vec<u8> {
    CallRecord {
        header: header(Kind::Leave, hook, device),
        first: value,
        second: 0,
        pm_domain: 0,
        pm_detach: 0,
    }
    .as_bytes()
    .to_vec()
}

fn add(device: u64, node: u64, name: &str, size: u64) -> Vec<u8> {
    let record = AddRecord {
        header: header(Kind::Add, Hook::DevresLog, device),
        node,
        size,
        release: 0xffff_ffff_8100_0000,
        behind: [0; 2],
        payload: [0; 4],
    };
    named(record.as_bytes(), name)
}

fn release(device: u64, node: u64, name: &str, size: u64) -> Vec<u8> {
    named(
        NodeRecord {
            header: header(Kind::Release, Hook::DevresLog, device),
            node,
            size,
        }
        .as_bytes(),
        name,
    )
}

fn named(record: &[u8], name: &str) -> Vec<u8> {
    let mut record = record.to_vec();
    record.extend_from_slice(name.as_bytes());
    record.push(0);
    record
}
