//! Which devices are meant: globs over device, driver and bus, in and out.

use crate::glob::{BadGlob, GlobList};

/// Whom a finding, a binding or a test is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The bus's or class's name; empty where there is none.
    pub bus: String,
    /// The device's name.
    pub device: String,
    /// The driver's name, or that of the last one; empty where there was none.
    pub driver: String,
}

impl Place {
    /// The device with its bus, as it is written on a command line.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.bus, self.device)
    }

    /// Whether another one differs at most in its device's numbers: devices that are made anew may be counted on.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        fn words(name: &str) -> impl Iterator<Item = &str> {
            name.split(|character: char| character.is_ascii_digit())
                .filter(|word| !word.is_empty())
        }
        self.bus == other.bus
            && self.driver == other.driver
            && (self.device == other.device || words(&self.device).eq(words(&other.device)))
    }
}

/// Names that are in, and names that are out again.
#[derive(Debug, Clone, Default)]
pub(super) struct InOut {
    include: Option<GlobList>,
    exclude: GlobList,
}

impl InOut {
    /// With no `include`, everything is in.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, BadGlob> {
        let include = if include.is_empty() {
            None
        } else {
            Some(GlobList::new(include)?)
        };
        Ok(Self {
            include,
            exclude: GlobList::new(exclude)?,
        })
    }

    fn fits(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|set| set.is_match(name)) && !self.exclude.is_match(name)
    }
}

/// Which devices are meant; by default all.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// By the device's name.
    pub devices: InOut,
    /// By the driver's name.
    pub drivers: InOut,
    /// By the bus's name.
    pub buses: InOut,
}

impl Selection {
    /// Only what fits each of these globs; `None` lets everything through.
    pub(super) fn only(
        device: Option<&str>,
        driver: Option<&str>,
        bus: Option<&str>,
    ) -> Result<Self, BadGlob> {
        let one = |glob: Option<&str>| {
            let include: Vec<String> = glob.map(str::to_owned).into_iter().collect();
            InOut::new(&include, &[])
        };
        Ok(Self {
            devices: one(device)?,
            drivers: one(driver)?,
            buses: one(bus)?,
        })
    }

    /// Whether what is there is meant.
    #[must_use]
    pub(super) fn wants(&self, place: &Place) -> bool {
        self.devices.fits(&place.device)
            && self.drivers.fits(&place.driver)
            && self.buses.fits(&place.bus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bus: &str, device: &str, driver: &str) -> Place {
        Place {
            bus: bus.to_owned(),
            device: device.to_owned(),
            driver: driver.to_owned(),
        }
    }

    #[test]
    fn what_is_out_is_out_though_it_is_in() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let selection = Selection {
            drivers: InOut::new(&texts(&["lm*"]), &texts(&["lm90"])).unwrap(),
            ..Selection::default()
        };
        assert!(selection.wants(&place("i2c", "0-0048", "lm75")));
        assert!(!selection.wants(&place("i2c", "0-004c", "lm90")));
        assert!(!selection.wants(&place("pci", "0000:00:01.0", "")));
        assert!(Selection::default().wants(&place("", "x", "")));
    }
}
