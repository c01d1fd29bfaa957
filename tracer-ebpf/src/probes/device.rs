//! Who a device is: sent before the first event that names it, and again when it changes.

use tracer_ebpf::{
    Filter, Hook, Pattern,
    wire::{DeviceRecord, Kind, NO_STACK},
};

use crate::{
    arguments::{Beginning, kernel_string, kernel_word},
    maps::{BUS_FILTER, DEVICE_FILTER, DEVICES, DRIVER_FILTER, DeviceSeen, layout},
    record::{begin, reserve, wake_up},
};

/// Tells who `device` is unless userspace knows already, and whether its events are wanted.
///
/// `driver` is the driver that is about to be tried, before the kernel has set it; else zero.
#[inline(never)]
pub(crate) fn announce(device: u64, driver: u64, hook: u64) -> bool {
    let known = Beginning::read(device);
    let init_name = known.word(layout!(device_init_name));
    let name = if init_name == 0 {
        known.word(layout!(device_name))
    } else {
        init_name
    };
    let driver = if driver == 0 {
        known.word(layout!(device_driver))
    } else {
        driver
    };
    let bus = known.word(layout!(device_bus));
    let parent = known.word(layout!(device_parent));

    // SAFETY: the value is copied out at once; a racing update leaves old or new words, either of which
    // only decides whether the device is told once more.
    if let Some(known) = unsafe { DEVICES.get(device) }
        && known.name == name
        && known.driver == driver
        && known.parent == parent
        && has_owner(known.owner, bus, device)
    {
        return known.wanted != 0;
    }

    let hook = Hook::from_number(hook as u8).unwrap_or(Hook::DevresLog);
    let Some(mut entry) = reserve::<DeviceRecord>(hook) else {
        return true;
    };
    // What lies behind a NULL pointer can't be read and comes out as zero, an empty name in the end. Asking
    // each time whether there is one would double the verifier's work each time.
    let driver_name = kernel_word(driver.wrapping_add(u64::from(layout!(driver_name))));
    let class = class_of(device);
    let (owner, owner_name) = if bus == 0 {
        (class, layout!(class_name))
    } else {
        (bus, layout!(bus_name))
    };
    let mut seen = DeviceSeen {
        name,
        driver,
        owner,
        parent,
        wanted: 0,
    };
    let bus_name = kernel_word(owner.wrapping_add(u64::from(owner_name)));
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record; every member is written before it is read.
    unsafe {
        begin(
            &raw mut (*record).header,
            Kind::Device,
            hook,
            device,
            NO_STACK,
        );
        (*record).parent = parent;
        kernel_string(name, &raw mut (*record).name);
        kernel_string(driver_name, &raw mut (*record).driver);
        kernel_string(bus_name, &raw mut (*record).bus);
        // A device without a name, driver or bus may get one that is wanted: what it owns by then must be
        // known. It is told again when it has one, and judged by that.
        let wanted = (name == 0 || passes(&DEVICE_FILTER, (&raw const (*record).name).cast()))
            && (driver == 0 || passes(&DRIVER_FILTER, (&raw const (*record).driver).cast()))
            && (owner == 0 || passes(&BUS_FILTER, (&raw const (*record).bus).cast()));
        seen.wanted = u64::from(wanted);
    }
    entry.submit(wake_up());
    // A full map is no harm: the device is told again next time.
    let _ = DEVICES.insert(device, seen, 0);
    seen.wanted != 0
}

/// Whether the bus or class that was sent of a device is still the one that it has. A class never changes, so
/// it is only looked for again where there was neither.
#[inline(always)]
fn has_owner(told: u64, bus: u64, device: u64) -> bool {
    if bus != 0 {
        return told == bus;
    }
    told != 0 || class_of(device) == 0
}

#[inline(always)]
fn class_of(device: u64) -> u64 {
    kernel_word(device.wrapping_add(u64::from(layout!(device_class))))
}

/// Forgets a device, because its address now means another.
#[inline(always)]
pub(crate) fn forget(device: u64) {
    let _ = DEVICES.remove(device);
}

/// Whether a name passes a filter that userspace has set.
///
/// # Safety
/// `name` points to readable words, aligned.
#[inline(always)]
unsafe fn passes(filter: &'static Filter, name: *const [u64; Pattern::WORDS]) -> bool {
    // SAFETY: the filter is a valid static; the read is volatile because userspace replaces the value after
    // compilation.
    if unsafe { core::ptr::read_volatile(&raw const filter.count) } == 0 {
        return true;
    }
    // Hidden from the compiler for the same reason.
    let filter = core::hint::black_box(filter);
    // SAFETY: the name is readable by contract.
    filter.passes(unsafe { &*name })
}
