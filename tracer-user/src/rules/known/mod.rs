//! Faults that others have found before: what was observed is compared with a table, and a finding that fits says
//! what fixed it. No kernel version is asked for, and nothing of this decides a verdict.

mod table;

use crate::finding::Known;

/// One fault, and what must have been observed to call a finding that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The id of the rule that finds it.
    pub rule: &'static str,
    /// What must have been observed beside that.
    pub condition: Condition,
    /// What is known.
    pub known: Known,
}

/// What must have been observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A bus, by its name, and where functions are named, that one of these did it and no driver. A compiler may make
    /// their last call a jump: then the driver core's function that called them stands in their place.
    Bus {
        /// The bus.
        name: &'static str,
        /// Its functions.
        functions: &'static [&'static str],
    },
    /// One of these functions of the kernel did it.
    Function(&'static [&'static str]),
    /// It was one of these drivers.
    Driver(&'static [&'static str]),
}

/// What a rule has observed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Observed<'a> {
    /// The device's bus.
    pub(super) bus: Option<&'a str>,
    /// The driver whose doing it was.
    pub(super) driver: Option<&'a str>,
    /// The kernel function that did it.
    pub(super) function: Option<&'a str>,
}

impl<'a> Observed<'a> {
    /// That it was this driver, and nothing else.
    pub(super) fn driver(driver: Option<&'a str>) -> Self {
        Self {
            driver,
            ..Self::default()
        }
    }

    /// That this function of the kernel did it, and nothing else.
    pub(super) fn function(function: Option<&'a str>) -> Self {
        Self {
            function,
            ..Self::default()
        }
    }
}

/// The functions of the driver core that call those of a bus.
const DRIVER_CORE: &[&str] = &[
    "device_remove",
    "device_release_driver_internal",
    "__device_release_driver",
    "call_driver_probe",
    "really_probe",
];

/// Every fault that is known.
#[must_use]
pub fn all() -> &'static [Row] {
    table::ROWS
}

/// What is known of a finding of this rule.
pub(super) fn of(rule: &str, observed: Observed<'_>) -> Option<&'static Known> {
    all()
        .iter()
        .find(|row| row.rule == rule && row.condition.holds(observed))
        .map(|row| &row.known)
}

impl Condition {
    fn holds(self, observed: Observed<'_>) -> bool {
        let is_one =
            |name: Option<&str>, names: &[&str]| name.is_some_and(|it| names.contains(&it));
        match self {
            Self::Bus { name, functions } => {
                observed.bus == Some(name)
                    && (functions.is_empty()
                        || is_one(observed.function, functions)
                        || is_one(observed.function, DRIVER_CORE))
            }
            Self::Function(functions) => is_one(observed.function, functions),
            Self::Driver(drivers) => is_one(observed.driver, drivers),
        }
    }

    /// What must have been observed, in words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Bus {
                name,
                functions: [],
            } => format!("bus {name}"),
            Self::Bus { name, functions } => {
                format!("bus {name}, by {}", functions.join(", "))
            }
            Self::Function(functions) => format!("by {}", functions.join(", ")),
            Self::Driver(drivers) => format!("driver {}", drivers.join(", ")),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
