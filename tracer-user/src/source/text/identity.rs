//! Who the devices are, as far as lines tell by and by.

use hashbrown::HashMap;

use super::names::{NameId, Names};
use crate::event::{DeviceAddress, DeviceIdentity};

/// What `dev_driver_string()` gives for a device without driver: its bus's name, or its class's. Words that are
/// a driver's name too (gpio, nvme, serial, thunderbolt, usb) are not among them.
const BUSES: &[&str] = &[
    "acpi",
    "amba",
    "ap",
    "auxiliary",
    "backlight",
    "bcma",
    "bdi",
    "block",
    "bluetooth",
    "ccw",
    "ccwgroup",
    "cec",
    "clockevents",
    "clocksource",
    "coresight",
    "counter",
    "cpu",
    "cxl",
    "dax",
    "devfreq",
    "devlink",
    "dma",
    "dp-aux",
    "drm",
    "edac",
    "event_source",
    "extcon",
    "faux",
    "firewire",
    "fsl-mc",
    "gameport",
    "genpd",
    "gnss",
    "graphics",
    "greybus",
    "hdaudio",
    "hid",
    "host1x",
    "hwmon",
    "hwspinlock",
    "i2c",
    "i3c",
    "ieee80211",
    "iio",
    "infiniband",
    "input",
    "iommu",
    "iscsi_flashnode",
    "kunit",
    "leds",
    "lirc",
    "mcb",
    "mdev",
    "mdio_bus",
    "media",
    "mei",
    "memory",
    "mhi",
    "mipi-dsi",
    "misc",
    "mmc",
    "mmc_host",
    "mtd",
    "mux",
    "nd",
    "net",
    "node",
    "nvme-fabrics",
    "nvme-generic",
    "nvme-subsystem",
    "nvmem",
    "parport",
    "pci",
    "pci_bus",
    "pci_epf",
    "pci_express",
    "pcmcia",
    "peci",
    "phy",
    "platform",
    "pnp",
    "power_supply",
    "pps",
    "ps3",
    "ptp",
    "pwm",
    "rapidio",
    "rc",
    "regulator",
    "remoteproc",
    "rfkill",
    "rpmsg",
    "rtc",
    "scmi_protocol",
    "scsi",
    "scsi_host",
    "sdio",
    "serial-base",
    "serio",
    "slimbus",
    "snd_seq",
    "sound",
    "soundwire",
    "spi",
    "spi_master",
    "spi_slave",
    "spmi",
    "ssb",
    "tee",
    "thermal",
    "tty",
    "typec",
    "uio",
    "ulpi",
    "usb-serial",
    "video4linux",
    "virtio",
    "vmbus",
    "vme",
    "w1",
    "wakeup",
    "watchdog",
    "wmi",
    "wmi_bus",
    "workqueue",
    "wwan",
    "xen",
    "xen-backend",
    "zorro",
];

/// Whether this is what a device without driver has in place of one.
pub(super) fn is_bus(word: &str) -> bool {
    BUSES.binary_search(&word).is_ok()
}

/// Who the devices are.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: HashMap<DeviceAddress, Identity>,
}

#[derive(Debug, Default)]
struct Identity {
    name: Option<NameId>,
    driver: Option<NameId>,
    bus: Option<NameId>,
    /// What is known was told in an event.
    told: bool,
}

/// What a line tells of a device.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Told {
    pub(super) name: Option<NameId>,
    pub(super) driver: Option<NameId>,
    pub(super) bus: Option<NameId>,
    /// A driver, or the bus where there is none.
    pub(super) driver_or_bus: Option<NameId>,
}

impl Identities {
    /// Takes in what a line tells. Returns the identity if it is new or has changed.
    pub(super) fn learn(
        &mut self,
        device: DeviceAddress,
        mut told: Told,
        names: &Names,
    ) -> Option<DeviceIdentity> {
        let identity = self.known.entry(device).or_default();
        let mut unbound = false;
        if let Some(word) = told.driver_or_bus
            && identity.driver != Some(word)
        {
            let is_bus = names.text(word).is_some_and(|word| is_bus(&word));
            if is_bus {
                told.bus = Some(word);
                unbound = identity.driver.is_some();
            } else {
                told.driver = Some(word);
            }
        }
        if unbound {
            identity.driver = None;
            identity.told = false;
        }
        let pairs = [
            (&mut identity.name, told.name),
            (&mut identity.driver, told.driver),
            (&mut identity.bus, told.bus),
        ];
        for (known, told) in pairs {
            if told.is_some() && *known != told {
                *known = told;
                identity.told = false;
            }
        }
        if std::mem::replace(&mut identity.told, true) {
            return None;
        }
        let text = |name: Option<NameId>| name.and_then(|name| names.text(name));
        Some(DeviceIdentity {
            name: text(identity.name),
            driver: text(identity.driver),
            bus: text(identity.bus),
            parent: DeviceAddress::NONE,
        })
    }

    /// A device begins at this address.
    pub(super) fn begin(&mut self, device: DeviceAddress) {
        self.known.remove(&device);
    }

    /// The device's driver is gone.
    pub(super) fn unbind(&mut self, device: DeviceAddress) {
        if let Some(identity) = self.known.get_mut(&device)
            && identity.driver.take().is_some()
        {
            identity.told = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceAddress = DeviceAddress(0x10);

    #[test]
    fn buses_are_sorted_for_the_search() {
        assert!(BUSES.is_sorted());
    }

    #[test]
    fn an_identity_is_told_when_it_changes() {
        let mut names = Names::default();
        let name = Some(names.intern(b"0-0048"));
        let (bus, driver) = (Some(names.intern(b"i2c")), Some(names.intern(b"lm75")));
        let mut identities = Identities::default();
        let mut learn = |driver_or_bus| {
            let told = Told {
                name,
                driver_or_bus,
                ..Told::default()
            };
            identities.learn(DEVICE, told, &names).map(|identity| {
                let text = |text: Option<crate::event::Text>| text.map(|text| text.to_string());
                (text(identity.driver), text(identity.bus))
            })
        };
        let (i2c, lm75) = (Some("i2c".to_owned()), Some("lm75".to_owned()));
        assert_eq!(learn(bus), Some((None, i2c.clone())));
        assert_eq!(learn(driver), Some((lm75, i2c.clone())));
        assert_eq!(learn(driver), None);
        assert_eq!(learn(None), None);
        assert_eq!(learn(bus), Some((None, i2c)));
    }

    #[test]
    fn a_device_that_begins_is_another_one() {
        let names = Names::default();
        let mut identities = Identities::default();
        assert!(identities.learn(DEVICE, Told::default(), &names).is_some());
        assert!(identities.learn(DEVICE, Told::default(), &names).is_none());
        identities.begin(DEVICE);
        assert!(identities.learn(DEVICE, Told::default(), &names).is_some());
    }
}
