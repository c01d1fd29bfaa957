//! Maps and constants shared by all probes.

use aya_ebpf::{
    bindings::PERF_MAX_STACK_DEPTH,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf, StackTrace},
};
use tracer_ebpf::{Filter, Hook, Layout};

/// Records for userspace, which sets the size before loading.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(16 * 1024 * 1024, 0);

/// Records that found no room, for each CPU, by hook number.
#[map]
pub(crate) static LOST: PerCpuArray<[u64; LOST_SLOTS]> = PerCpuArray::with_max_entries(1, 0);

/// Records that found no room, in all.
#[map]
pub(crate) static LOST_TOTAL: Array<u64> = Array::with_max_entries(1, 0);

/// Kernel stacks by number.
#[map]
pub(crate) static STACKS: StackTrace = StackTrace::with_max_entries(16 * 1024, 0);

/// What was last sent of each device.
#[map]
pub(crate) static DEVICES: LruHashMap<u64, DeviceSeen> = LruHashMap::with_max_entries(32 * 1024, 0);

/// Slots of [`LOST`]. A hook whose number lies beyond them counts in the total only.
pub(crate) const LOST_SLOTS: usize = tracer_ebpf::LOST_SLOTS;

const _: () = assert!(Hook::ALL.len() < LOST_SLOTS);
const _: () = assert!(tracer_ebpf::wire::STACK_DEPTH <= PERF_MAX_STACK_DEPTH as usize);

/// What a [`DeviceRecord`](tracer_ebpf::wire::DeviceRecord) said: as long as the pointers are the same,
/// it need not be sent again.
#[derive(Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct DeviceSeen {
    pub(crate) name: u64,
    pub(crate) driver: u64,
    /// The bus, else the class.
    pub(crate) owner: u64,
    pub(crate) parent: u64,
    /// One where the filters let this device's events through.
    pub(crate) wanted: u64,
}

/// Offsets and switches, set by userspace before loading.
#[unsafe(no_mangle)]
static LAYOUT: Layout = Layout {
    device_name: 0,
    device_init_name: 0,
    device_parent: 0,
    device_bus: 0,
    device_class: 0,
    device_driver: 0,
    device_pm_domain: 0,
    device_devres_head: 0,
    pm_domain_detach: 0,
    driver_name: 0,
    bus_name: 0,
    class_name: 0,
    module_name: 0,
    module_text: 0,
    module_text_size: 0,
    module_init_text: 0,
    module_init_text_size: 0,
    module_kallsyms: 0,
    kallsyms_symtab: 0,
    irqaction_dev_id: 0,
    node_release: 0,
    node_size: 0,
    payload: 0,
    group_id: 0,
    release_behind_node: 0,
    logged: 1,
    stacks: 1,
    log: 0,
    wake_up_at: 0,
};

/// Device names that are wanted, set by userspace before loading.
#[unsafe(no_mangle)]
pub(crate) static DEVICE_FILTER: Filter = Filter::EVERYTHING;
/// Driver names that are wanted.
#[unsafe(no_mangle)]
pub(crate) static DRIVER_FILTER: Filter = Filter::EVERYTHING;
/// Bus names that are wanted.
#[unsafe(no_mangle)]
pub(crate) static BUS_FILTER: Filter = Filter::EVERYTHING;

/// A member of the [`Layout`] that userspace has set.
macro_rules! layout {
    ($member:ident) => {
        // SAFETY: the place is a valid static; the read is volatile because userspace replaces the
        // value after compilation.
        unsafe { core::ptr::read_volatile(&raw const (*$crate::maps::layout_address()).$member) }
    };
}
pub(crate) use layout;

/// Where the layout lies.
#[inline(always)]
pub(crate) fn layout_address() -> *const Layout {
    &raw const LAYOUT
}
