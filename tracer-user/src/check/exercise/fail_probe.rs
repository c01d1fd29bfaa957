//! Probes that are made to fail: first at their first managed acquisition, then at the second, until none is left.

use std::fs;

use super::{Roots, modules::Module, orders::Orders};
use crate::{check::selection::Place, errno};

/// The module that does it, which is part of this project.
pub(super) const MODULE: &str = "devres_fail";

/// What came of letting the acquisitions of probes fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedProbes {
    /// Why none can be made to fail here.
    pub unable: Option<String>,
    /// Each probe that something was to fail in, in their order; of each device the last is one in which nothing was left.
    pub probes: Vec<Attempt>,
}

/// A probe in which an acquisition was to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The device.
    pub device: String,
    /// Which acquisition was to fail, from 1 on.
    pub number: u32,
    /// What came of that.
    pub outcome: Outcome,
    /// Whether the driver was bound behind it.
    pub bound: bool,
}

/// What the kernel says of a probe in which an acquisition was to fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many acquisitions there were.
    pub seen: u32,
    /// What failed: the function that allocates, and its callers. Nothing if the probe has no so many acquisitions.
    pub failed: Vec<String>,
    /// What `really_probe()` returned.
    pub returned: i64,
}

impl Attempt {
    /// What was made to fail, and how the probe ended.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { number, bound, .. } = self;
        let acquisition = self.outcome.acquisition();
        let end = match (bound, self.outcome.returned) {
            (true, _) => "the driver is bound without it".to_owned(),
            // Before 5.11 it doesn't say.
            (false, 0) => "the probe failed".to_owned(),
            // The driver's own errors come back without their sign.
            (false, error) => format!("the probe failed with {}", errno::name(-error.abs())),
        };
        format!("acquisition {number}, {acquisition}: {end}")
    }
}

impl Outcome {
    /// What was acquired, and by whom: the outermost of the functions that are named like managed ones, and its caller.
    fn acquisition(&self) -> String {
        let is_managed = |name: &&String| {
            ["devm_", "dmam_", "pcim_", "devres_"]
                .iter()
                .any(|part| name.trim_start_matches('_').starts_with(part))
        };
        let managed = self.failed.iter().take_while(is_managed).count();
        let function = self.failed.get(managed.saturating_sub(1));
        match (function, self.failed.get(managed)) {
            (Some(function), Some(caller)) => format!("{function} in {caller}"),
            (Some(function), None) => function.clone(),
            (None, _) => String::new(),
        }
    }

    /// As the module prints it; an error if the probe has not run.
    fn parse(text: &str) -> Result<Self, String> {
        let mut outcome = Self::default();
        let wrong = || format!("{MODULE} says {:?} of the probe", text.trim());
        for line in text.lines() {
            let (what, value) = line.split_once(' ').ok_or_else(wrong)?;
            match what {
                "seen" => outcome.seen = value.parse().map_err(|_| wrong())?,
                "failed" => outcome.failed = value.split(';').map(str::to_owned).collect(),
                "returned" => outcome.returned = value.parse().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        Ok(outcome)
    }
}

/// The module's files in sysfs.
#[derive(Debug)]
pub(super) struct Injector<'r>(pub(super) &'r Roots);

impl Injector<'_> {
    /// The module.
    pub(super) fn module() -> Module {
        Module {
            name: MODULE.to_owned(),
            file: None,
        }
    }

    /// Lets the acquisition with this number fail in the next probe of a device that the process asks for which carries
    /// out this order.
    pub(super) fn arm(
        &self,
        place: &Place,
        number: u32,
        orders: &mut Orders,
    ) -> Result<(), String> {
        let order = format!("{number}/{}/{}", place.device, place.driver);
        let armed = orders.write(&self.path("arm"), &order);
        armed.map_err(|error| format!("{MODULE}: arm: {error}"))
    }

    /// Lets nothing fail any more.
    pub(super) fn disarm(&self) -> Result<(), String> {
        fs::write(self.path("arm"), "\n").map_err(|error| format!("{MODULE}: arm: {error}"))
    }

    /// What came of that probe.
    pub(super) fn outcome(&self) -> Result<Outcome, String> {
        let text = fs::read_to_string(self.path("result"));
        Outcome::parse(&text.map_err(|error| format!("{MODULE}: result: {error}"))?)
    }

    fn path(&self, parameter: &str) -> std::path::PathBuf {
        let module = self.0.sys.join("module").join(MODULE);
        module.join("parameters").join(parameter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_managed_function_and_its_caller_are_told() {
        let text = "seen 3\nfailed devm_kmalloc;devm_kvasprintf;devm_kasprintf;probe_it [it];really_probe\nreturned 12\n";
        let outcome = Outcome::parse(text).unwrap();
        let attempt = |bound, returned| Attempt {
            device: "it.0".to_owned(),
            number: 3,
            outcome: Outcome {
                returned,
                ..outcome.clone()
            },
            bound,
        };
        let told = "acquisition 3, devm_kasprintf in probe_it [it]: the probe failed with -ENOMEM";
        assert_eq!(attempt(false, 12).describe(), told);
        assert_eq!(attempt(false, -12).describe(), told);
        assert!(attempt(false, 0).describe().ends_with("the probe failed"));
        assert!(attempt(true, 0).describe().ends_with("bound without it"));
    }

    #[test]
    fn a_name_that_is_not_of_a_managed_function_is_a_caller() {
        let by = |names: &[&str]| Outcome {
            failed: names.iter().map(ToString::to_string).collect(),
            ..Outcome::default()
        };
        let outcome = by(&["__devres_alloc_node", "devm_clk_get", "acme_devm_x"]);
        assert_eq!(outcome.acquisition(), "devm_clk_get in acme_devm_x");
        assert_eq!(by(&["devm_kmalloc"]).acquisition(), "devm_kmalloc");
    }

    #[test]
    fn a_probe_that_has_not_run_is_an_error() {
        assert_eq!(Outcome::parse("seen 2\nreturned 0\n").unwrap().seen, 2);
        for text in ["armed\n", "running\n", "seen many\n"] {
            assert!(Outcome::parse(text).is_err(), "{text}");
        }
    }
}
