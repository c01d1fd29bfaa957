//! The module `devres_fail`, which is part of this project: it lets the n-th managed acquisition of a probe fail.

use std::fs;

use super::{Roots, fail_probe::Outcome, modules::Module, orders::Orders};
use crate::check::selection::Place;

/// Its name.
pub(super) const MODULE: &str = "devres_fail";

/// Its files in sysfs.
#[derive(Debug)]
pub(super) struct FailModule<'r>(pub(super) &'r Roots);

impl FailModule<'_> {
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
        parse(&text.map_err(|error| format!("{MODULE}: result: {error}"))?)
    }

    fn path(&self, parameter: &str) -> std::path::PathBuf {
        let module = self.0.sys.join("module").join(MODULE);
        module.join("parameters").join(parameter)
    }
}

/// As the module prints it; an error if the probe has not run.
fn parse(text: &str) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let wrong = || format!("{MODULE} says {:?} of the probe", text.trim());
    for line in text.lines() {
        let (what, value) = line.split_once(' ').ok_or_else(wrong)?;
        match what {
            "seen" => outcome.seen = value.parse().map_err(|_| wrong())?,
            "failed" => outcome.failed = Some(value.split(';').map(str::to_owned).collect()),
            "returned" => outcome.returned = value.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_probe_is_read_as_the_module_prints_it() {
        let outcome = parse("seen 3\nfailed devm_kmalloc;probe_it [it]\nreturned 12\n").unwrap();
        let functions = vec!["devm_kmalloc".to_owned(), "probe_it [it]".to_owned()];
        assert_eq!((outcome.seen, outcome.returned), (3, 12));
        assert_eq!(outcome.failed, Some(functions));
        assert_eq!(parse("seen 2\nreturned 0\n").unwrap().failed, None);
    }

    #[test]
    fn a_probe_that_has_not_run_is_an_error() {
        for text in ["armed\n", "running\n", "seen many\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
