//! Whose wish it was that a driver's probe added a resource to another device: the driver's own, or that of the
//! kernel or of the other device's driver, which only ran in it.

use super::blame::{functions, is_managed_function, is_named};
use crate::{
    event::{Function, Hook, StackDefinition},
    finding::Subject,
    model::{Device, Node, Origin},
};

/// How sure it is whose wish an addition was that a driver's probe made to another device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribution {
    /// The driver's own code called the function that adds.
    Driver,
    /// A module did that is the driver's as far as is known: what the other device's driver consists of is not
    /// known.
    Likely,
    /// A part of the kernel, or the other device's driver, did so for a purpose of its own: the PCI core that sets up
    /// the interrupts of a device whose child asks for some, a codec's driver whose card is being probed.
    Other,
    /// There is no stack to judge by.
    Unknown,
}

/// Nodes of the other device that are looked at for its driver's modules.
const MOST_NODES: usize = 256;

/// Whose wish the addition of the node to `owner` was, made inside the probe of `creator`.
pub(super) fn attribute(node: &Node, creator: &Subject, owner: Device<'_>) -> Attribution {
    let inside = node.stack().map(|stack| InProbe::of(stack, creator));
    let driver_module = inside.as_ref().and_then(InProbe::driver_module);
    let runs = node
        .function()
        .and_then(|function| function.module.as_deref());
    let Some(caller) = inside.as_ref().and_then(InProbe::caller) else {
        return match (runs, creator.driver()) {
            (Some(module), Some(driver)) if is_module_of(module, driver) => Attribution::Driver,
            _ => Attribution::Unknown,
        };
    };
    let of_module = |module: &str| {
        if Some(module) == driver_module
            || creator
                .driver()
                .is_some_and(|driver| is_module_of(module, driver))
        {
            return Attribution::Driver;
        }
        let owners = OwnersModules::of(owner);
        let bus = owner.identity().bus.as_deref().unwrap_or_default();
        if owners.contain(module) || is_core_of(module, bus) {
            Attribution::Other
        } else if owners.known {
            // A library that the driver uses is as good as the driver.
            Attribution::Driver
        } else {
            Attribution::Likely
        }
    };
    // What is called later says as well as who calls now.
    if let Some(module) = runs
        && of_module(module) == Attribution::Driver
    {
        return Attribution::Driver;
    }
    if let Some(module) = caller.module.as_deref().or(runs) {
        of_module(module)
    } else if inside.is_some_and(|inside| inside.is_drivers_by_name(caller, creator)) {
        Attribution::Driver
    } else {
        Attribution::Other
    }
}

/// The part of an addition's stack that lies in a probe.
struct InProbe<'s> {
    /// The functions that were called by the driver core, innermost first, without devres's own.
    functions: Vec<&'s Function>,
    /// The place of the driver's own probe among them.
    probe: Option<usize>,
}

impl<'s> InProbe<'s> {
    fn of(stack: &'s StackDefinition, creator: &Subject) -> Self {
        let functions: Vec<&Function> = functions(stack)
            .take_while(|function| {
                !is_named(function, |name| {
                    matches!(name, "really_probe" | "call_driver_probe")
                })
            })
            .skip_while(|function| is_named(function, is_managed_function))
            .collect();
        // The bus's own functions come first, named after the bus: platform_probe, local_pci_probe.
        let bus = creator.bus().unwrap_or_default();
        let of_bus = |function: &&&Function| {
            let by_name = is_named(function, |name| {
                let name = name.trim_start_matches('_');
                name.strip_prefix("local_").unwrap_or(name).starts_with(bus)
            });
            let module = function.module.as_deref();
            !bus.is_empty() && by_name && module.is_none_or(|module| is_core_of(module, bus))
        };
        let buses = functions.iter().rev().take_while(of_bus).count();
        let probe = (functions.len() - buses).checked_sub(1);
        Self { functions, probe }
    }

    /// Who called the function that adds.
    fn caller(&self) -> Option<&'s Function> {
        self.functions.first().copied()
    }

    /// The module of the driver that is being probed.
    fn driver_module(&self) -> Option<&'s str> {
        let probe = self.probe.and_then(|place| self.functions.get(place))?;
        probe.module.as_deref()
    }

    /// Whether `caller` is the driver's where no module says, all of it being built in.
    fn is_drivers_by_name(&self, caller: &Function, creator: &Subject) -> bool {
        // The bus's own function, called by the driver core: the driver's probe has ended in a jump.
        if self.functions.len() <= 1 || self.probe == Some(0) {
            return true;
        }
        // Code that a module calls for itself is the kernel's.
        if self
            .functions
            .iter()
            .any(|function| function.module.is_some())
        {
            return false;
        }
        let alike = |other: &str| is_named(caller, |name| begins_alike(name, other));
        let probe = self.probe.and_then(|place| self.functions.get(place));
        creator.driver().is_some_and(alike)
            || probe.and_then(|probe| probe.base_name()).is_some_and(alike)
    }
}

/// What is known of the modules that a device's driver consists of.
struct OwnersModules<'m> {
    driver: Option<&'m str>,
    seen: Vec<&'m str>,
    /// Whether all that its driver's probe added would say.
    known: bool,
}

impl<'m> OwnersModules<'m> {
    fn of(owner: Device<'m>) -> Self {
        let mut seen = Vec::new();
        let mut known = true;
        for (_, node) in owner.nodes().take(MOST_NODES) {
            let own = node.context().is_some_and(|context| {
                context.hook == Hook::Probe && context.device == owner.key()
            });
            if node.origin() != Origin::Seen {
                known = false;
            } else if !own {
                continue;
            }
            let runs = node
                .function()
                .and_then(|function| function.module.as_deref());
            let in_stack = node.stack().into_iter().flat_map(|stack| {
                functions(stack)
                    .take_while(|function| !is_named(function, |name| name == "really_probe"))
                    .filter_map(|function| function.module.as_deref())
            });
            for module in runs.into_iter().chain(in_stack) {
                if !seen.contains(&module) {
                    seen.push(module);
                }
            }
        }
        Self {
            driver: owner.last_driver().map(|driver| &**driver),
            seen,
            known,
        }
    }

    fn contain(&self, module: &str) -> bool {
        self.seen.contains(&module)
            || self
                .driver
                .is_some_and(|driver| is_module_of(module, driver))
    }
}

/// Whether a module is the core of a bus, called like it: `cxl_core`, `usbcore`.
fn is_core_of(module: &str, bus: &str) -> bool {
    !bus.is_empty()
        && module
            .strip_prefix(bus)
            .is_some_and(|rest| matches!(rest, "" | "core" | "_core"))
}

/// Whether a driver's name says that it is this module's: `rt5640` is that of `snd_soc_rt5640`, and
/// `ti_sn65dsi86.bridge` one of those of `ti_sn65dsi86`.
fn is_module_of(module: &str, driver: &str) -> bool {
    let driver = driver.split('.').next().unwrap_or_default();
    let driver = driver.replace(['-', ' '], "_").to_ascii_lowercase();
    let module = module.to_ascii_lowercase();
    let rest = module.strip_suffix(driver.as_str());
    !driver.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
}

/// Whether a function's name begins like its driver's, up to the first word's end.
fn begins_alike(function: &str, driver: &str) -> bool {
    let word = |name: &str| {
        let end = name.find(['_', '-', ' ']).unwrap_or(name.len());
        name.get(..end).unwrap_or_default().to_ascii_lowercase()
    };
    let (function, driver) = (
        word(function.trim_start_matches('_')),
        word(driver.trim_start_matches('_')),
    );
    function.len() >= 3
        && driver.len() >= 3
        && (function.starts_with(&driver) || driver.starts_with(&function))
}

#[cfg(test)]
mod tests {
    use super::is_module_of;

    #[test]
    fn a_module_is_known_by_its_drivers_name() {
        for (module, driver) in [
            ("ucan", "ucan"),
            ("virtio_pci", "virtio-pci"),
            ("snd_soc_rt5640", "rt5640"),
            ("ti_sn65dsi86", "ti_sn65dsi86.bridge"),
            ("i915", "i915"),
        ] {
            assert!(is_module_of(module, driver), "{module} {driver}");
        }
        for (module, driver) in [
            ("rt2x00usb", "usb"),
            ("usbcore", "usb"),
            ("ucan", ""),
            ("snd_soc_core", "rt5640"),
        ] {
            assert!(!is_module_of(module, driver), "{module} {driver}");
        }
    }
}
