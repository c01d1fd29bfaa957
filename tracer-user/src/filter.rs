//! Which devices are wanted: globs over device, driver and bus.

use tracer_ebpf::{Filter, Pattern};

use crate::{
    event::DeviceIdentity,
    evidence::FilterTexts,
    finding::Finding,
    glob::{BadGlob, GlobList},
};

/// What the probes let through, by device, driver and bus.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbeFilters {
    /// Device names.
    pub device: Option<Filter>,
    /// Driver names.
    pub driver: Option<Filter>,
    /// Bus names.
    pub bus: Option<Filter>,
}

/// Globs over a device's name, its driver's and its bus's. Each list lets everything through if it is
/// empty; else one of its globs must fit.
#[derive(Debug, Clone, Default)]
pub struct DeviceFilter {
    device: Globs,
    driver: Globs,
    bus: Globs,
}

#[derive(Debug, Clone, Default)]
struct Globs {
    texts: Vec<String>,
    list: GlobList,
}

impl DeviceFilter {
    /// A filter of these globs.
    pub fn new(device: &[String], driver: &[String], bus: &[String]) -> Result<Self, BadGlob> {
        Ok(Self {
            device: Globs::new(device)?,
            driver: Globs::new(driver)?,
            bus: Globs::new(bus)?,
        })
    }

    /// Whether a device is wanted.
    #[must_use]
    pub fn wants(&self, identity: &DeviceIdentity) -> bool {
        self.device.fit(identity.name.as_deref())
            && self.driver.fit(identity.driver.as_deref())
            && self.bus.fit(identity.bus.as_deref())
    }

    /// Whether a finding on a device of these names is wanted.
    #[must_use]
    pub fn wants_names(&self, device: &str, driver: Option<&str>, bus: Option<&str>) -> bool {
        self.device.fit(Some(device)) && self.driver.fit(driver) && self.bus.fit(bus)
    }

    /// Whether a finding is wanted: of a device that it is on, or of the one whose driver did it.
    #[must_use]
    pub fn wants_finding(&self, finding: &Finding) -> bool {
        let fits = |device: &str| {
            self.wants_names(device, finding.driver.as_deref(), finding.bus.as_deref())
        };
        fits(&finding.device)
            || finding.occurrences.iter().any(|one| fits(&one.device))
            || finding
                .caused_by
                .as_ref()
                .is_some_and(|cause| self.wants_names(&cause.device, cause.driver.as_deref(), None))
    }

    /// Whether every device is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.device.texts.is_empty() && self.driver.texts.is_empty() && self.bus.texts.is_empty()
    }

    /// The globs as they were given.
    #[must_use]
    pub fn texts(&self) -> FilterTexts {
        FilterTexts {
            device: self.device.texts.clone(),
            driver: self.driver.texts.clone(),
            bus: self.bus.texts.clone(),
        }
    }

    /// What of this the probes can do themselves: names, and globs that only end in a star. They let
    /// through more than is wanted, never less.
    #[must_use]
    pub fn for_probes(&self) -> ProbeFilters {
        ProbeFilters {
            device: self.device.for_probes(),
            driver: self.driver.for_probes(),
            bus: self.bus.for_probes(),
        }
    }
}

impl Globs {
    fn new(texts: &[String]) -> Result<Self, BadGlob> {
        Ok(Self {
            texts: texts.to_vec(),
            list: GlobList::new(texts)?,
        })
    }

    fn fit(&self, name: Option<&str>) -> bool {
        self.texts.is_empty() || name.is_some_and(|name| self.list.is_match(name))
    }

    fn for_probes(&self) -> Option<Filter> {
        if self.texts.is_empty() || self.texts.len() > Filter::CAPACITY {
            return None;
        }
        let mut filter = Filter::EVERYTHING;
        for (text, place) in self.texts.iter().zip(&mut filter.patterns) {
            *place = pattern(text)?;
            filter.count += 1;
        }
        Some(filter)
    }
}

fn pattern(glob: &str) -> Option<Pattern> {
    let special = |text: &str| text.contains(['*', '?', '[', ']', '{', '}', '\\']);
    match glob.strip_suffix('*') {
        Some(beginning) if !special(beginning) => Pattern::prefix(beginning.as_bytes()),
        None if !special(glob) => Pattern::exact(glob.as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str, driver: Option<&str>, bus: &str) -> DeviceIdentity {
        DeviceIdentity {
            name: Some(name.into()),
            driver: driver.map(Into::into),
            bus: Some(bus.into()),
            ..Default::default()
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn every_list_must_be_satisfied() {
        let filter =
            DeviceFilter::new(&texts(&["0000:00:*"]), &texts(&["nvme", "ahci"]), &[]).unwrap();
        assert!(filter.wants(&identity("0000:00:1f.2", Some("ahci"), "pci")));
        assert!(!filter.wants(&identity("0000:01:00.0", Some("ahci"), "pci")));
        assert!(!filter.wants(&identity("0000:00:1f.2", Some("e1000e"), "pci")));
        assert!(!filter.wants(&identity("0000:00:1f.2", None, "pci")));
    }

    #[test]
    fn names_and_prefixes_are_left_to_the_probes() {
        let filter =
            DeviceFilter::new(&texts(&["QEMU0001:00", "virtio*"]), &[], &texts(&["?ci"])).unwrap();
        let probes = filter.for_probes();
        assert_eq!(probes.device.map(|filter| filter.count), Some(2));
        assert_eq!(probes.driver, None);
        assert_eq!(
            probes.bus, None,
            "this glob is beyond the probes, so they let everything through"
        );
    }

    #[test]
    fn a_malformed_glob_is_an_error() {
        let error = DeviceFilter::new(&texts(&["[a"]), &[], &[]).unwrap_err();
        assert!(error.to_string().contains("[a"), "{error}");
    }
}
