//! Who a device is: told before the first event that names it, and again when it changes.

use tracer_ebpf::{
    Filter, Hook, Pattern, PatternKind,
    wire::{DEVICE_NAME_CAPACITY, DRIVER_NAME_CAPACITY, DeviceRecord, Kind, NO_STACK},
};

use crate::{
    arguments::{kernel_string, kernel_word},
    maps::{BUS_FILTER, DEVICE_FILTER, DEVICES, DRIVER_FILTER, DeviceSeen, layout},
    record::{header, reserve, wake_up},
};

/// Tells who `device` is unless userspace knows already, and whether its events are wanted.
///
/// `driver` is the driver that is about to be tried, before the kernel has set it; else zero.
#[inline(never)]
pub(crate) fn announce(device: u64, driver: u64, hook: u64) -> bool {
    let device_offset = |offset: u32| device.wrapping_add(u64::from(offset));
    let init_name = kernel_word(device_offset(layout!(device_init_name)));
    let name = if init_name == 0 {
        kernel_word(device_offset(layout!(device_name)))
    } else {
        init_name
    };
    let driver = if driver == 0 {
        kernel_word(device_offset(layout!(device_driver)))
    } else {
        driver
    };
    let bus = kernel_word(device_offset(layout!(device_bus)));
    let parent = kernel_word(device_offset(layout!(device_parent)));

    let mut seen = DeviceSeen {
        name,
        driver,
        bus,
        parent,
        wanted: 0,
    };
    // SAFETY: the value is copied out at once; a racing update leaves old or new words, either of which
    // only decides whether the device is told once more.
    if let Some(known) = unsafe { DEVICES.get(&device) } {
        if known.name == name
            && known.driver == driver
            && known.bus == bus
            && known.parent == parent
        {
            return known.wanted != 0;
        }
    }

    let hook = Hook::from_number(hook as u8).unwrap_or(Hook::DevresLog);
    let Some(mut entry) = reserve::<DeviceRecord>(hook) else {
        return true;
    };
    let driver_name = if driver == 0 {
        0
    } else {
        kernel_word(driver.wrapping_add(u64::from(layout!(driver_name))))
    };
    let class = kernel_word(device_offset(layout!(device_class)));
    let bus_name = if bus != 0 {
        kernel_word(bus.wrapping_add(u64::from(layout!(bus_name))))
    } else if class != 0 {
        kernel_word(class.wrapping_add(u64::from(layout!(class_name))))
    } else {
        0
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record; every member is written before it is read.
    unsafe {
        (*record).header = header(Kind::Device, hook, device, NO_STACK);
        (*record).parent = parent;
        (*record).name = [0; DEVICE_NAME_CAPACITY];
        (*record).driver = [0; DRIVER_NAME_CAPACITY];
        (*record).bus = [0; DRIVER_NAME_CAPACITY];
        kernel_string(name, &raw mut (*record).name);
        kernel_string(driver_name, &raw mut (*record).driver);
        kernel_string(bus_name, &raw mut (*record).bus);
        // A device without a driver may get one that is wanted: what it owns by then must be known.
        let wanted = passes(&DEVICE_FILTER, (&raw const (*record).name).cast())
            && (driver == 0 || passes(&DRIVER_FILTER, (&raw const (*record).driver).cast()))
            && passes(&BUS_FILTER, (&raw const (*record).bus).cast());
        seen.wanted = u64::from(wanted);
    }
    entry.submit(wake_up());
    // A full map is no harm: the device is told again next time.
    let _ = DEVICES.insert(&device, &seen, 0);
    seen.wanted != 0
}

/// Forgets a device, because its address now means another.
#[inline(always)]
pub(crate) fn forget(device: u64) {
    let _ = DEVICES.remove(&device);
}

/// Whether a name fits one of the filter's patterns, or there are none.
///
/// # Safety
/// `name` points to at least [`Pattern::CAPACITY`] readable bytes.
#[inline(always)]
unsafe fn passes(filter: *const Filter, name: *const u8) -> bool {
    // SAFETY: the filter is a static that userspace replaces after compilation.
    let count = unsafe { core::ptr::read_volatile(&raw const (*filter).count) };
    if count == 0 {
        return true;
    }
    for index in 0..Filter::CAPACITY {
        // SAFETY: the index lies within the array.
        let pattern = unsafe { (&raw const (*filter).patterns).cast::<Pattern>().add(index) };
        // SAFETY: the pattern lies within the filter, and the name is long enough by contract.
        if unsafe { fits(pattern, name) } {
            return true;
        }
    }
    false
}

/// # Safety
/// As [`passes`], for one pattern of the filter.
#[inline(always)]
unsafe fn fits(pattern: *const Pattern, name: *const u8) -> bool {
    // SAFETY: the pattern is part of a static that userspace replaces after compilation.
    let (kind, length) = unsafe {
        (
            core::ptr::read_volatile((&raw const (*pattern).kind).cast::<u32>()),
            core::ptr::read_volatile(&raw const (*pattern).length) as usize,
        )
    };
    if kind == PatternKind::Unused as u32 {
        return false;
    }
    for index in 0..Pattern::CAPACITY {
        // SAFETY: both are at least this long.
        let (wanted, given) = unsafe {
            (
                core::ptr::read_volatile((&raw const (*pattern).text).cast::<u8>().add(index)),
                core::ptr::read_volatile(name.add(index)),
            )
        };
        if index >= length {
            return kind == PatternKind::Prefix as u32 || given == 0;
        }
        if wanted != given {
            return false;
        }
    }
    true
}
