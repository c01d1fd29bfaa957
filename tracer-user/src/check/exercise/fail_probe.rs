//! Probes that are made to fail, at one place after the other: what was made to fail in each, and how it ended.

use crate::errno;

/// A way to make something in a probe fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailWay {
    /// The kernel's fault injection: the n-th allocation of the task that binds, by `fail-nth` and failslab
    FailNth,
    /// eBPF, by `bpf_override_return()`: the n-th allocation of the probe
    Bpf,
    /// The module `devres_fail`: the n-th managed acquisition of the probe
    Module,
}

impl FailWay {
    /// All ways, the one that is tried first in front.
    pub const ALL: [Self; 3] = [Self::FailNth, Self::Bpf, Self::Module];

    /// What fails, one at a time.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::FailNth | Self::Bpf => "allocation",
            Self::Module => "acquisition",
        }
    }

    /// What makes it fail.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::FailNth => "fail-nth (failslab)",
            Self::Bpf => "eBPF (should_failslab)",
            Self::Module => "the module devres_fail",
        }
    }
}

/// What came of making probes fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedProbes {
    /// How they were made to fail, or why none can be.
    pub way: Result<FailWay, String>,
    /// Each probe that something was to fail in, in their order; of each device the last is one in which nothing did.
    pub probes: Vec<Attempt>,
}

/// A probe in which something was to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The device.
    pub device: String,
    /// Which allocation or acquisition was to fail, from 1 on.
    pub number: u32,
    /// What came of that.
    pub outcome: Outcome,
    /// Whether the driver was bound behind it.
    pub bound: bool,
}

/// What the kernel says of a probe in which something was to fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many allocations or acquisitions there were.
    pub seen: u32,
    /// The function that failed, and its callers; empty where the kernel doesn't tell them. `None` if nothing was made to
    /// fail: the probe has not so many.
    pub failed: Option<Vec<String>>,
    /// By fail-nth: the error of the order to bind, negative. By the others: what `really_probe()` returned. 0 if neither is
    /// known.
    pub returned: i64,
}

impl Attempt {
    /// What was made to fail, and how the probe ended.
    #[must_use]
    pub fn describe(&self, way: FailWay) -> String {
        let end = match (self.bound, self.outcome.returned, way) {
            (true, ..) => "the driver is bound without it".to_owned(),
            _ if self.is_before_probe() => "the probe did not begin".to_owned(),
            // Before 5.11 the kernel doesn't say.
            (false, 0, _) => "the probe failed".to_owned(),
            // The driver's own errors come back without their sign.
            (false, error, FailWay::Bpf | FailWay::Module) => {
                format!("the probe failed with {}", errno::name(-error.abs()))
            }
            // On 5.10 that is -ENODEV, whatever the driver returns.
            (false, error, FailWay::FailNth) => {
                format!("binding failed with {}", errno::name(error))
            }
        };
        let what = format!("{} {}", way.unit(), self.number);
        match self.outcome.place() {
            Some(place) => format!("{what}, {place}: {end}"),
            None => format!("{what}: {end}"),
        }
    }

    /// Whether it is certain that the failure kept the kernel from calling the probe: the whole stack is known, and no
    /// `really_probe()` is on it.
    #[must_use]
    pub fn is_before_probe(&self) -> bool {
        let functions = self.outcome.failed.as_deref().unwrap_or_default();
        let has = |wanted: &str| functions.iter().any(|function| base(function) == wanted);
        !self.bound && has("vfs_write") && !has(PROBE)
    }
}

/// The driver core's function that calls a driver's probe.
const PROBE: &str = "really_probe";

impl Outcome {
    /// What failed: the function, and which call of the driver's it was in, as far as that can be told by names. That is
    /// the outermost of the managed functions in the probe, else the call by the innermost function of a module.
    fn place(&self) -> Option<String> {
        let functions = self.failed.as_ref()?;
        let in_probe = functions.iter().position(|name| base(name) == PROBE);
        let own = &functions[..in_probe.unwrap_or(functions.len())];
        let by_module = || own.iter().position(|name| name.ends_with(']'));
        let at = own
            .iter()
            .rposition(|name| is_managed(name))
            .or_else(|| by_module().map(|inner| inner.saturating_sub(1)))
            .unwrap_or(0);
        let function = functions.get(at)?;
        let call = match functions.get(at + 1) {
            Some(caller) => format!("{function} in {caller}"),
            None => function.clone(),
        };
        let innermost = functions.first()?;
        Some(if at == 0 || is_managed(innermost) {
            call
        } else {
            format!("{innermost} for {call}")
        })
    }
}

/// A function's name without its module and what the compiler has put behind it.
fn base(function: &str) -> &str {
    function.split([' ', '.']).next().unwrap_or(function)
}

/// Whether a function is named like a managed one.
fn is_managed(function: &str) -> bool {
    let name = function.trim_start_matches('_');
    let by_core = name.starts_with("devres_") && !function.ends_with(']');
    by_core
        || ["devm_", "dmam_", "pcim_"]
            .iter()
            .any(|part| name.starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(functions: &[&str]) -> Outcome {
        Outcome {
            failed: Some(functions.iter().map(ToString::to_string).collect()),
            ..Outcome::default()
        }
    }

    fn attempt(functions: &[&str], bound: bool, returned: i64) -> Attempt {
        Attempt {
            device: "it.0".to_owned(),
            number: 3,
            outcome: Outcome {
                returned,
                ..outcome(functions)
            },
            bound,
        }
    }

    #[test]
    fn the_outermost_managed_function_and_its_caller_are_told() {
        let functions = [
            "devm_kmalloc",
            "devm_kvasprintf",
            "devm_kasprintf",
            "probe_it [it]",
            "really_probe",
        ];
        let describe =
            |bound, returned| attempt(&functions, bound, returned).describe(FailWay::Module);
        let told = "acquisition 3, devm_kasprintf in probe_it [it]: the probe failed with -ENOMEM";
        assert_eq!(describe(false, 12), told);
        assert_eq!(describe(false, -12), told);
        assert!(describe(false, 0).ends_with("the probe failed"));
        assert!(describe(true, 0).ends_with("bound without it"));
        let by_fail_nth = attempt(&functions, false, -12).describe(FailWay::FailNth);
        assert_eq!(
            by_fail_nth,
            "allocation 3, devm_kasprintf in probe_it [it]: binding failed with -ENOMEM"
        );
    }

    #[test]
    fn a_name_that_is_not_of_a_managed_function_is_a_caller() {
        let place = |functions: &[&str]| outcome(functions).place().unwrap();
        assert_eq!(
            place(&["__devres_alloc_node", "devm_clk_get", "acme_devm_x"]),
            "devm_clk_get in acme_devm_x"
        );
        assert_eq!(place(&["devm_kmalloc"]), "devm_kmalloc");
        assert_eq!(
            place(&["devm_kmalloc", "devres_test_probe [devres_test]"]),
            "devm_kmalloc in devres_test_probe [devres_test]"
        );
        assert_eq!(outcome(&[]).place(), None);
        assert_eq!(Outcome::default().place(), None);
    }

    #[test]
    fn what_fails_within_a_call_is_told_with_the_call() {
        let place = |functions: &[&str]| outcome(functions).place().unwrap();
        assert_eq!(
            place(&[
                "__kernfs_new_node",
                "device_add",
                "devm_hwmon_device_register_with_info",
                "lm75_probe [lm75]",
                "really_probe",
            ]),
            "__kernfs_new_node for devm_hwmon_device_register_with_info in lm75_probe [lm75]"
        );
        // No managed one: what the driver has called.
        assert_eq!(
            place(&["alloc_it", "register_it", "probe_it [it]", "really_probe"]),
            "alloc_it for register_it in probe_it [it]"
        );
        assert_eq!(
            place(&["probe_it [it]", "i2c_device_probe", "really_probe"]),
            "probe_it [it] in i2c_device_probe"
        );
        // A managed function beyond the probe is not of this driver.
        assert_eq!(
            place(&["pinctrl_bind_pins", "really_probe", "devm_outer"]),
            "pinctrl_bind_pins in really_probe"
        );
    }

    #[test]
    fn only_a_whole_stack_without_a_probe_shows_that_there_was_none() {
        let is_before = |functions: &[&str]| attempt(functions, false, -12).is_before_probe();
        assert!(is_before(&["kernfs_fop_write_iter", "vfs_write"]));
        assert!(!is_before(&["it", "really_probe.isra.0", "vfs_write"]));
        assert!(!is_before(&["kernfs_fop_write_iter"]));
        assert!(!is_before(&[]));
        assert!(!attempt(&["vfs_write"], true, 0).is_before_probe());
        let text = attempt(&["kernfs_fop_write_iter", "vfs_write"], false, -12);
        assert_eq!(
            text.describe(FailWay::FailNth),
            "allocation 3, kernfs_fop_write_iter in vfs_write: the probe did not begin"
        );
        let unknown = attempt(&[], false, -12).describe(FailWay::FailNth);
        assert_eq!(unknown, "allocation 3: binding failed with -ENOMEM");
    }
}
