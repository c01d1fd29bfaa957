//! Maps and constants shared by all probes.

use core::cell::UnsafeCell;

use aya_ebpf::{
    bindings::{PERF_MAX_STACK_DEPTH, bpf_map_type::BPF_MAP_TYPE_STACK_TRACE},
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use tracer_ebpf::{
    Filter, Hook, Layout,
    wire::{NODE_NAME_CAPACITY, STACK_DEPTH},
};

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
#[unsafe(link_section = "maps")]
#[unsafe(export_name = "STACKS")]
pub(crate) static STACKS: StackMap = StackMap(UnsafeCell::new([
    BPF_MAP_TYPE_STACK_TRACE,
    size_of::<u32>() as u32,
    size_of::<[u64; STACK_DEPTH]>() as u32,
    16 * 1024,
    0,
    0,
    0,
]));

/// A map as aya's loader reads it: type, size of a key and of a value, entries, flags, id and pinning. The library's own map of stacks has
/// room for the most frames that a kernel gives, 127 for each stack, and the kernel sets it all aside at the start.
#[repr(transparent)]
pub(crate) struct StackMap(UnsafeCell<[u32; 7]>);

// SAFETY: nothing reads or writes it in the probes; only its address is used. It is a cell so that it lies in one section with the other
// maps, which are.
unsafe impl Sync for StackMap {}

/// What was last sent of each device.
#[map]
pub(crate) static DEVICES: LruHashMap<u64, DeviceSeen> = LruHashMap::with_max_entries(32 * 1024, 0);

/// The device that a CPU's last event was about, with the value of [`FORGOTTEN`] from before it was looked up: in a burst
/// that saves looking for it in [`DEVICES`].
#[map]
pub(crate) static LAST_DEVICE: PerCpuArray<LastDevice> = PerCpuArray::with_max_entries(1, 0);

/// How many devices were forgotten.
#[map]
pub(crate) static FORGOTTEN: Array<u64> = Array::with_max_entries(1, 0);

/// Names of nodes that were read before, for each CPU: reading a string takes longer than anything else that is recorded of a
/// node but its stack.
#[map]
pub(crate) static NAMES: PerCpuArray<KnownName> = PerCpuArray::with_max_entries(KNOWN_NAMES, 0);

/// Slots of [`NAMES`], a power of two.
pub(crate) const KNOWN_NAMES: u32 = 16;

/// How many modules have come and gone, and with them the strings at their addresses. Userspace adds
/// [`NAMES_ARE_KEPT`](tracer_ebpf::NAMES_ARE_KEPT) once every module that comes is counted.
#[map]
pub(crate) static MODULES_CHANGED: Array<u64> = Array::with_max_entries(1, 0);

/// Where the kernel has its words for what is done to a node, as far as they have been met: ADD, REM, REL, REPLACE. They are
/// part of the kernel itself and stay where they are.
#[map]
pub(crate) static OPERATIONS: Array<[u64; 4]> = Array::with_max_entries(1, 0);

/// Slots of [`LOST`]. A hook whose number lies beyond them counts in the total only.
pub(crate) const LOST_SLOTS: usize = tracer_ebpf::LOST_SLOTS;

const _: () = assert!(Hook::ALL.len() < LOST_SLOTS);
const _: () = assert!(STACK_DEPTH <= PERF_MAX_STACK_DEPTH as usize);

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

/// See [`LAST_DEVICE`].
#[repr(C)]
pub(crate) struct LastDevice {
    pub(crate) device: u64,
    pub(crate) forgotten: u64,
    pub(crate) seen: DeviceSeen,
}

/// A name in [`NAMES`].
#[repr(C)]
pub(crate) struct KnownName {
    /// Where it was read; zero where nothing was.
    pub(crate) address: u64,
    /// The value of [`MODULES_CHANGED`] from before it was read.
    pub(crate) modules_changed: u64,
    /// What the helper that read it returned.
    pub(crate) length: i64,
    pub(crate) text: Name,
}

/// A name, aligned so that it is copied by words.
#[repr(C, align(8))]
pub(crate) struct Name<const NAME: usize = NODE_NAME_CAPACITY>(pub(crate) [u8; NAME]);

/// The value of a counter.
#[inline(always)]
pub(crate) fn value_of(counter: &Array<u64>) -> u64 {
    match counter.get_ptr(0) {
        // SAFETY: the place is a map's value; the read is volatile because another CPU may write it.
        Some(place) => unsafe { place.read_volatile() },
        None => 0,
    }
}

/// Adds one to a counter.
#[inline(always)]
pub(crate) fn count(counter: &Array<u64>) {
    if let Some(place) = counter.get_ptr_mut(0) {
        add_one(place);
    }
}

/// Takes one from a counter.
#[inline(always)]
pub(crate) fn count_down(counter: &Array<u64>) {
    if let Some(place) = counter.get_ptr_mut(0) {
        add(place, u64::MAX);
    }
}

/// Adds one atomically: a probe can be preempted by another on the same CPU.
#[inline(always)]
pub(crate) fn add_one(counter: *mut u64) {
    add(counter, 1);
}

/// The target's core library has no atomic addition.
#[inline(always)]
fn add(counter: *mut u64, value: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the counter is an aligned word of a map's value.
    unsafe {
        core::arch::asm!("lock *(u64 *)({counter} + 0) += {value}", counter = in(reg) counter, value = in(reg) value);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = (counter, value);
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
    clk_core_name: 0,
    clk_core_hw: 0,
    clk_core_flags: 0,
    clk_core_enable_count: 0,
    clk_core_children: 0,
    clk_core_clks: 0,
    clk_clks_node: 0,
    clk_hw_clk: 0,
    regulator_enable_count: 0,
    regulator_supply_name: 0,
    kobject_kref: 0,
    cdev_number: 0,
    notifier_call: 0,
    notifier_next: 0,
    raw_notifier_head: 0,
    blocking_notifier_head: 0,
    atomic_notifier_head: 0,
    srcu_notifier_head: 0,
    input_handler_connect: 0,
    input_handler_node: 0,
    node_release: 0,
    node_size: 0,
    payload: 0,
    group_id: 0,
    task_name: 0,
    release_behind_node: 0,
    logged: 1,
    stacks: 1,
    beside: 0,
    frees: 0,
    pending: 0,
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
