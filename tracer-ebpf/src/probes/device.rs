//! Who a device is: sent before the first event that names it, and again when it changes.

use tracer_ebpf::{
    Filter, Hook, Pattern,
    wire::{DeviceRecord, Kind, NO_STACK},
};

use crate::{
    arguments::{Beginning, Structure, Typed, kernel_string, kernel_word},
    maps::{
        BUS_FILTER, DEVICE_FILTER, DEVICES, DRIVER_FILTER, DeviceSeen, FORGOTTEN, LAST_DEVICE,
        count, layout, value_of,
    },
    record::{begin, reserve, wake_up},
};

/// Reports who `device` is unless userspace knows already, and whether its events are wanted.
///
/// `driver` is the driver that is about to be tried, before the kernel has set it; else zero.
#[inline(never)]
pub(crate) fn announce(device: u64, driver: u64, hook: u64) -> bool {
    let known = pointers(&Beginning::read(device), driver);
    is_wanted(device, &known, hook)
}

/// The same where the verifier knows what `device` points to, so that no helper is needed to look at it.
///
/// # Safety
/// To the verifier `device` is a pointer to a `struct device`.
#[inline(always)]
pub(crate) unsafe fn announce_typed(device: u64, hook: u64) -> bool {
    // SAFETY: by contract, and the layout's members are pointers.
    let known = pointers(&unsafe { Typed::at(device) }, 0);
    is_wanted(device, &known, hook)
}

/// What shows whether a device is still who it was when its record was sent.
struct Pointers {
    name: u64,
    driver: u64,
    bus: u64,
    parent: u64,
}

#[inline(always)]
fn pointers(device: &impl Structure, driver: u64) -> Pointers {
    let init_name = device.word(layout!(device_init_name));
    Pointers {
        name: if init_name == 0 {
            device.word(layout!(device_name))
        } else {
            init_name
        },
        driver: if driver == 0 {
            device.word(layout!(device_driver))
        } else {
            driver
        },
        bus: device.word(layout!(device_bus)),
        parent: device.word(layout!(device_parent)),
    }
}

#[inline(always)]
fn is_wanted(device: u64, known: &Pointers, hook: u64) -> bool {
    // Before anything is looked up: what is forgotten meanwhile must not be kept.
    let forgotten = value_of(&FORGOTTEN);
    let Some(last) = LAST_DEVICE.get_ptr_mut(0) else {
        return true;
    };
    // SAFETY: the place is a map's value, and this CPU's own. Another probe that interrupts this one may leave a mixture in
    // it, which has the pointers of this device only if both devices have the same.
    unsafe {
        if (*last).device == device
            && (*last).forgotten == forgotten
            && is_current(&(*last).seen, device, known)
        {
            return (*last).seen.wanted != 0;
        }
        // Whatever interrupts this finds no device here that it could take for its own.
        (&raw mut (*last).device).write_volatile(0);
        if !send(device, known, hook, &raw mut (*last).seen) {
            return true;
        }
        (*last).forgotten = forgotten;
        (&raw mut (*last).device).write_volatile(device);
        (*last).seen.wanted != 0
    }
}

/// Whether this is still what was sent of a device.
#[inline(always)]
fn is_current(seen: &DeviceSeen, device: u64, known: &Pointers) -> bool {
    seen.name == known.name
        && seen.driver == known.driver
        && seen.parent == known.parent
        && has_owner(seen.owner, known.bus, device)
}

/// Sends a device's record unless userspace has it already, and returns in `seen` what was sent last; false if the ring buffer
/// has no room.
///
/// # Safety
/// `seen` points to a place in a map.
#[inline(never)]
unsafe fn send(device: u64, known: &Pointers, hook: u64, seen: *mut DeviceSeen) -> bool {
    // SAFETY: the value is copied out at once; a racing update leaves old or new words, either of which
    // only decides whether the device is sent once more. The place is writable by contract.
    unsafe {
        if let Some(sent) = DEVICES.get(device)
            && is_current(sent, device, known)
        {
            *seen = *sent;
            return true;
        }
    }

    let Pointers {
        name,
        driver,
        bus,
        parent,
    } = *known;
    let hook = Hook::from_number(hook as u8).unwrap_or(Hook::DevresLog);
    let Some(mut entry) = reserve::<DeviceRecord>(hook) else {
        return false;
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
    let bus_name = kernel_word(owner.wrapping_add(u64::from(owner_name)));
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record; every member is written before it is read.
    let (time, wanted) = unsafe {
        let time = begin(
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
        // known. It is sent again when it has one, and judged by that.
        let wanted = (name == 0 || passes(&DEVICE_FILTER, (&raw const (*record).name).cast()))
            && (driver == 0 || passes(&DRIVER_FILTER, (&raw const (*record).driver).cast()))
            && (owner == 0 || passes(&BUS_FILTER, (&raw const (*record).bus).cast()));
        (time, wanted)
    };
    entry.submit(wake_up(time));
    let sent = DeviceSeen {
        name,
        driver,
        owner,
        parent,
        wanted: u64::from(wanted),
    };
    // A full map is no harm: the device is sent again next time.
    let _ = DEVICES.insert(device, sent, 0);
    // SAFETY: by contract.
    unsafe {
        *seen = sent;
    }
    true
}

/// Whether the bus or class that was sent of a device is still the one that it has. A class never changes, so
/// it is only looked for again where there was neither.
#[inline(always)]
fn has_owner(sent: u64, bus: u64, device: u64) -> bool {
    if bus != 0 {
        return sent == bus;
    }
    sent != 0 || class_of(device) == 0
}

#[inline(always)]
fn class_of(device: u64) -> u64 {
    kernel_word(device.wrapping_add(u64::from(layout!(device_class))))
}

/// Forgets a device, because its address now means another.
#[inline(always)]
pub(crate) fn forget(device: u64) {
    let _ = DEVICES.remove(device);
    count(&FORGOTTEN);
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
