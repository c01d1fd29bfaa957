//! Who the devices are, as far as the lines reveal it.

use hashbrown::HashMap;

use super::names::{NameId, Names};
use crate::{
    event::{DeviceAddress, DeviceIdentity},
    source::text::record::buses::is_bus,
};

/// Who the devices are.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Identities {
    known: HashMap<DeviceAddress, Identity>,
}

#[derive(Debug, Default)]
struct Identity {
    name: Option<NameId>,
    driver: Option<NameId>,
    bus: Option<NameId>,
    /// What is known was in an event.
    told: bool,
}

/// What a line says about a device.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::source::text) struct Naming {
    pub(in crate::source::text) name: Option<NameId>,
    pub(in crate::source::text) driver: Option<NameId>,
    pub(in crate::source::text) bus: Option<NameId>,
    /// A driver, or the bus where there is none.
    pub(in crate::source::text) driver_or_bus: Option<NameId>,
}

impl Identities {
    /// Takes in what a line says. Returns the identity if it is new or has changed.
    pub(in crate::source::text) fn learn(
        &mut self,
        device: DeviceAddress,
        mut told: Naming,
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
    pub(in crate::source::text) fn begin(&mut self, device: DeviceAddress) {
        self.known.remove(&device);
    }

    /// The device's driver is gone.
    pub(in crate::source::text) fn unbind(&mut self, device: DeviceAddress) {
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
    fn an_identity_is_told_when_it_changes() {
        let mut names = Names::default();
        let name = Some(names.intern(b"0-0048"));
        let (bus, driver) = (Some(names.intern(b"i2c")), Some(names.intern(b"lm75")));
        let mut identities = Identities::default();
        let mut learn = |driver_or_bus| {
            let told = Naming {
                name,
                driver_or_bus,
                ..Naming::default()
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
        assert!(
            identities
                .learn(DEVICE, Naming::default(), &names)
                .is_some()
        );
        assert!(
            identities
                .learn(DEVICE, Naming::default(), &names)
                .is_none()
        );
        identities.begin(DEVICE);
        assert!(
            identities
                .learn(DEVICE, Naming::default(), &names)
                .is_some()
        );
    }
}
