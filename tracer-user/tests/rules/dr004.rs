//! DR004: groups that are open when a driver is bound.

use devres_tracer::{event::Hook, finding::Severity};

use super::{BLOCK, DEVICE, accused, begin, innocent, silent_after_loss, support::Story};

/// A device whose probe opens a group there and leaves it open, or not.
fn left_open(bus: &str, driver: &str, opener: &str, close: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", bus, driver)
        .enter(DEVICE, Hook::Probe)
        .stack(&["add_dr", "devres_open_group", opener, "really_probe"])
        .open_group(DEVICE, 0, 0x100)
        .add(DEVICE, 0x200, BLOCK, 8);
    if close {
        story.close_group(DEVICE, 0, 0x100);
    }
    story.bound(DEVICE);
    story
}

#[test]
fn a_group_that_is_open_when_its_device_is_bound_is_reported_unless_by_design() {
    let story = left_open("platform", "driver", "driver_probe@driver", false);
    accused(
        &story,
        "DR004",
        Severity::Warn,
        "DR004/platform/driver/driver_probe",
    );
    for (bus, driver, opener) in [
        ("i2c", "lm75", "i2c_device_probe"),
        ("hid", "hid-generic", "hid_device_probe@hid"),
        ("hid", "hid-generic", "__hid_device_probe.isra.0@hid"),
        ("faux", "faux_driver", "vgem_init@vgem"),
        ("pci", "xe", "xe_pci_probe@xe"),
        ("pci", "snd_hda_intel", "try_to_bring_up_master"),
    ] {
        innocent(&left_open(bus, driver, opener, false), "DR004");
    }
    innocent(
        &left_open("platform", "driver", "driver_probe@driver", true),
        "DR004",
    );
    // The driver's own group on an I2C device is another one than the core's.
    let story = left_open("i2c", "lm75", "lm75_probe@lm75", false);
    accused(&story, "DR004", Severity::Warn, "DR004/i2c/lm75/lm75_probe");
    silent_after_loss(&story, 4, "DR004");
}

#[test]
fn without_stacks_the_first_group_of_an_i2c_device_is_the_cores() {
    let mut story = left_open("i2c", "lm75", "i2c_device_probe", false);
    for event in &mut story.events {
        event.stack = None;
    }
    innocent(&story, "DR004");
}
