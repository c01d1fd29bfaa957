//! Assertions as they stand in a file.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{
    super::{PolicyError, file::AssertTable},
    Source,
};
use crate::check::assertion::{Assertion, Requirement};

impl Source<'_> {
    pub(super) fn assertions(
        self,
        tables: &[Spanned<AssertTable>],
    ) -> Result<Vec<Assertion>, PolicyError> {
        let mut assertions = Vec::new();
        let mut names = BTreeSet::new();
        for table in tables {
            for assertion in self.assertion(table)? {
                if !names.insert(assertion.name.clone()) {
                    let message = format!(
                        "there are two assertions {:?}: give one a name of its own",
                        assertion.name
                    );
                    return Err(self.error(table.span(), message));
                }
                assertions.push(assertion);
            }
        }
        Ok(assertions)
    }

    /// One table may ask for several things, each of which is an assertion.
    fn assertion(self, table: &Spanned<AssertTable>) -> Result<Vec<Assertion>, PolicyError> {
        let read = table.get_ref();
        let subject = [&read.driver, &read.device, &read.bus]
            .into_iter()
            .flatten()
            .next()
            .ok_or_else(|| {
                self.error(table.span(), "an assertion needs a driver, device or bus")
            })?;
        let selection = self.selection(
            read.device.as_ref(),
            read.driver.as_ref(),
            read.bus.as_ref(),
        )?;
        let requirements = self.requirements(table)?;
        if requirements.is_empty() {
            return Err(self.error(table.span(), "this assertion asserts nothing"));
        }
        let place = self.place(table.span());
        let several = requirements.len() > 1;
        Ok(requirements
            .into_iter()
            .map(|(key, requirement)| Assertion {
                name: match &read.name {
                    Some(name) if several => format!("{}: {key}", name.get_ref()),
                    Some(name) => name.get_ref().clone(),
                    None => format!("{}: {key}", subject.get_ref()),
                },
                place: place.clone(),
                selection: selection.clone(),
                optional: read.optional,
                requirement,
            })
            .collect())
    }

    /// What a table asks for, each with its key.
    fn requirements(
        self,
        table: &Spanned<AssertTable>,
    ) -> Result<Vec<(&'static str, Requirement)>, PolicyError> {
        let read = table.get_ref();
        let mut requirements = Vec::new();
        for (key, value, requirement) in [
            (
                "nothing-left-after-unbind",
                &read.nothing_left_after_unbind,
                Requirement::NothingLeft,
            ),
            (
                "released-before-pm-detach",
                &read.released_before_pm_detach,
                Requirement::BeforePmDetach,
            ),
        ] {
            match value {
                Some(value) if *value.get_ref() => requirements.push((key, requirement)),
                Some(value) => {
                    let message = "only true makes sense: leave the key out otherwise";
                    return Err(self.error(value.span(), message));
                }
                None => {}
            }
        }
        if let Some(words) = &read.released_in_order {
            if words.len() < 2 {
                let span = words.first().map_or(table.span(), Spanned::span);
                return Err(self.error(span, "an order needs at least two resources"));
            }
            let mut order = Vec::new();
            for word in words {
                order.push((word.get_ref().clone(), self.glob(word)?));
            }
            requirements.push(("released-in-order", Requirement::InOrder(order)));
        }
        if let Some(times) = &read.same_stack_on_rebind {
            if *times.get_ref() == 0 {
                return Err(self.error(times.span(), "at least one rebind is needed"));
            }
            let requirement = Requirement::SameStack(*times.get_ref());
            requirements.push(("same-stack-on-rebind", requirement));
        }
        if let Some(most) = read.most_resources {
            requirements.push(("most-resources", Requirement::MostResources(most)));
        }
        Ok(requirements)
    }
}
