//! What a resource is, judged by the name and the function that the kernel gives it.
//!
//! The tables were made from the release functions and actions of the kernels 5.10 to 7.3. They decide
//! two things: whether releasing a resource runs code that may touch hardware, and how to call the
//! resource in a sentence.

use crate::event::Function;

/// What a devres node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `grp<`: a group begins.
    GroupOpen,
    /// `grp>`: a group ends.
    GroupClose,
    /// Memory: its release only gives the memory back.
    Memory,
    /// An action (`devm_add_action`).
    Action(Hazard),
    /// Anything else that was added by `devres_add`.
    Resource(Hazard),
}

/// What releasing a resource may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hazard {
    /// Runtime PM or power is switched.
    Power,
    /// A clock is disabled or put.
    Clock,
    /// A regulator is disabled or put.
    Regulator,
    /// An interrupt is freed: its handler may run until then.
    Interrupt,
    /// A thermal zone or cooling device is unregistered, which calls into the driver.
    Thermal,
    /// An interface to other code or to user space is unregistered, through which the driver can be
    /// called until then: hwmon, input, iio, rtc, sysfs attributes, a bus controller and the like.
    Interface,
    /// A reset, phy, PWM, GPIO, DMA channel or mailbox is given back.
    Line,
    /// The driver's own code.
    Driver,
    /// A mapping or reserved range is given up.
    Mapping,
    /// A reference is dropped, or bookkeeping undone.
    Reference,
    /// None of the known ones.
    Other,
}

impl Hazard {
    /// Whether the release, or what can still be called until it, may touch the device's registers.
    #[must_use]
    pub const fn touches_hardware(self) -> bool {
        match self {
            Self::Power
            | Self::Clock
            | Self::Regulator
            | Self::Interrupt
            | Self::Thermal
            | Self::Interface
            | Self::Line
            | Self::Driver => true,
            Self::Mapping | Self::Reference | Self::Other => false,
        }
    }

    /// In a word or two, for a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Clock => "clock",
            Self::Regulator => "regulator",
            Self::Interrupt => "interrupt",
            Self::Thermal => "thermal",
            Self::Interface => "interface",
            Self::Line => "line",
            Self::Driver => "driver code",
            Self::Mapping => "mapping",
            Self::Reference => "reference",
            Self::Other => "other",
        }
    }
}

impl Kind {
    /// Whether the node is one of a group's two markers.
    #[must_use]
    pub const fn is_marker(self) -> bool {
        matches!(self, Self::GroupOpen | Self::GroupClose)
    }

    /// What its release may do; `None` for markers and memory.
    #[must_use]
    pub const fn hazard(self) -> Option<Hazard> {
        match self {
            Self::GroupOpen | Self::GroupClose | Self::Memory => None,
            Self::Action(hazard) | Self::Resource(hazard) => Some(hazard),
        }
    }

    /// In a word or two, for a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GroupOpen => "group begin",
            Self::GroupClose => "group end",
            Self::Memory => "memory",
            Self::Action(hazard) | Self::Resource(hazard) => hazard.name(),
        }
    }

    /// What the node with this logged name and this function is. `action` says that it is known to be an
    /// action; otherwise the name must tell.
    #[must_use]
    pub fn classify(name: Option<&str>, function: Option<&Function>, action: bool) -> Self {
        let logged = plain_name(name.unwrap_or_default());
        match logged {
            "grp<" | "group_open_release" => return Self::GroupOpen,
            "grp>" | "group_close_release" => return Self::GroupClose,
            _ => {}
        }
        let generic = matches!(logged, "devm_action_release" | "action" | "");
        let action = action
            || matches!(logged, "devm_action_release" | "action")
            || sounds_like_action(logged);
        let symbol = function.and_then(|function| function.name.as_deref());
        let effective = match symbol {
            Some(symbol) if generic => symbol,
            _ if generic => "",
            _ => logged,
        };
        if MEMORY.contains(&effective) || effective.starts_with("dmam_") {
            return Self::Memory;
        }
        let hazard = if HARMLESS.contains(&effective) {
            Some(Hazard::Reference)
        } else {
            by_words(effective)
        };
        if action {
            // An action of which nothing is known is the driver's own code.
            Self::Action(hazard.unwrap_or(Hazard::Driver))
        } else {
            Self::Resource(hazard.unwrap_or(Hazard::Other))
        }
    }
}

/// Whether a logged name is that of an action although nobody said so. Release functions of `devres_alloc`
/// are called `devm_…` or `…release`, with few exceptions; `Devres<T>` is Rust's.
fn sounds_like_action(name: &str) -> bool {
    !name.is_empty()
        && !name.contains("release")
        && !name.contains('<')
        && !["devm_", "dmam_", "pcim_"]
            .iter()
            .any(|beginning| name.trim_start_matches('_').starts_with(beginning))
}

/// The function's name in what the kernel logs for an action: the expression without casts, `&`, blanks.
#[must_use]
pub fn plain_name(expression: &str) -> &str {
    let mut rest = expression.trim();
    // More casts than this are none that a driver would write.
    for _ in 0..4 {
        let Some((inner, behind)) = parenthesised(rest) else {
            break;
        };
        // A cast in front of something, or the whole expression in parentheses.
        rest = if behind.is_empty() { inner } else { behind };
    }
    rest.trim_start_matches('&').trim()
}

/// What stands in the parentheses with which `expression` begins, and what stands behind them.
fn parenthesised(expression: &str) -> Option<(&str, &str)> {
    let inside = expression.strip_prefix('(')?;
    let mut depth = 1_usize;
    let end = inside.find(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let (inner, behind) = inside.split_at_checked(end)?;
    Some((inner.trim(), behind.strip_prefix(')')?.trim()))
}

/// Releases that only give memory back.
const MEMORY: &[&str] = &[
    "bitmap_free",
    "devm_bitmap_free",
    "devm_component_match_release",
    "devm_kfree_strarray",
    "devm_kmalloc_release",
    "devm_krealloc_release",
    "devm_kzalloc_release",
    "devm_pages_release",
    "devm_percpu_release",
    "kfree",
    "kfree_const",
    "kfree_sensitive",
    "kvfree",
    "kzfree",
    "vfree",
];

/// Releases that are known to drop no more than a reference, or to undo bookkeeping.
const HARMLESS: &[&str] = &[
    "cpufreq_cpu_put",
    "dev_get_regmap_release",
    "devm_acpi_dev_release_driver_gpios",
    "devm_irq_desc_release",
    "devm_pinctrl_release",
    "devm_regmap_release",
    "fwnode_handle_put",
    "fwnode_remove_software_node",
    "i2c_put_adapter",
    "mutex_destroy",
    "of_node_put",
    "of_reserved_mem_device_release",
    "pci_dev_put",
    "put_device",
    "software_node_unregister_node_group",
];

/// Words in a release's name and what they mean; the first entry that matches decides. A word is what
/// stands between underscores; `*` at the end stands for any ending.
const WORDS: &[(&str, Hazard)] = &[
    // What touches hardware.
    ("regulator*", Hazard::Regulator),
    ("vdd", Hazard::Regulator),
    ("vcc", Hazard::Regulator),
    ("vref", Hazard::Regulator),
    ("vbus", Hazard::Regulator),
    ("clk*", Hazard::Clock),
    ("clks", Hazard::Clock),
    ("clock*", Hazard::Clock),
    ("irq*", Hazard::Interrupt),
    ("interrupt*", Hazard::Interrupt),
    ("msi*", Hazard::Interrupt),
    ("intx", Hazard::Interrupt),
    ("ahci", Hazard::Power),
    ("pm", Hazard::Power),
    ("rpm", Hazard::Power),
    ("runtime", Hazard::Power),
    ("genpd", Hazard::Power),
    ("power", Hazard::Power),
    ("poweroff", Hazard::Power),
    ("powerdown", Hazard::Power),
    ("pwrctrl", Hazard::Power),
    ("pwrseq", Hazard::Power),
    ("suspend", Hazard::Power),
    ("thermal*", Hazard::Thermal),
    ("cooling", Hazard::Thermal),
    ("tsensor", Hazard::Thermal),
    ("hwmon", Hazard::Interface),
    ("input", Hazard::Interface),
    ("iio", Hazard::Interface),
    ("rtc", Hazard::Interface),
    ("led*", Hazard::Interface),
    ("watchdog", Hazard::Interface),
    ("backlight", Hazard::Interface),
    ("lcd", Hazard::Interface),
    ("extcon", Hazard::Interface),
    ("uio", Hazard::Interface),
    ("hwrng", Hazard::Interface),
    ("supply", Hazard::Interface),
    ("counter", Hazard::Interface),
    ("attr", Hazard::Interface),
    ("attrs", Hazard::Interface),
    ("sysfs", Hazard::Interface),
    ("cdev", Hazard::Interface),
    ("spi", Hazard::Interface),
    ("spmi", Hazard::Interface),
    ("i2c", Hazard::Interface),
    ("serdev", Hazard::Interface),
    ("mdiobus", Hazard::Interface),
    ("snd", Hazard::Interface),
    ("card", Hazard::Interface),
    ("rc", Hazard::Interface),
    ("devfreq", Hazard::Interface),
    ("rdev", Hazard::Interface),
    ("typec", Hazard::Interface),
    ("drm", Hazard::Interface),
    ("component", Hazard::Interface),
    ("notifier*", Hazard::Interface),
    ("pwmchip", Hazard::Interface),
    ("gpiochip", Hazard::Interface),
    ("chip", Hazard::Interface),
    ("provider", Hazard::Interface),
    ("controller", Hazard::Interface),
    ("host", Hazard::Interface),
    ("reset*", Hazard::Line),
    ("phy", Hazard::Line),
    ("pwm", Hazard::Line),
    ("gpio*", Hazard::Line),
    ("dma*", Hazard::Line),
    ("mbox*", Hazard::Line),
    ("mailbox", Hazard::Line),
    ("hwspin", Hazard::Line),
    ("icc", Hazard::Line),
    ("mux", Hazard::Line),
    // What does not.
    ("ioremap*", Hazard::Mapping),
    ("ioport*", Hazard::Mapping),
    ("iomap*", Hazard::Mapping),
    ("iounmap*", Hazard::Mapping),
    ("iospace", Hazard::Mapping),
    ("memremap*", Hazard::Mapping),
    ("memunmap*", Hazard::Mapping),
    ("region", Hazard::Mapping),
    ("resource", Hazard::Mapping),
    ("memtype", Hazard::Mapping),
    ("addr", Hazard::Mapping),
];

fn by_words(name: &str) -> Option<Hazard> {
    let lower = name.to_ascii_lowercase();
    WORDS
        .iter()
        .find(|(pattern, _)| {
            lower
                .split(|character: char| !character.is_ascii_alphanumeric())
                .any(|word| match pattern.strip_suffix('*') {
                    Some(beginning) => word.starts_with(beginning),
                    None => word == *pattern,
                })
        })
        .map(|(_, hazard)| *hazard)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Hazard, Kind, plain_name};
    use crate::event::Function;

    fn function(name: &str, module: Option<&str>) -> Function {
        Function {
            address: 0xffff_ffff_c000_0000,
            name: Some(Arc::from(name)),
            module: module.map(Arc::from),
        }
    }

    #[test]
    fn expressions_lose_their_casts() {
        for (expression, name) in [
            ("pvpanic_remove", "pvpanic_remove"),
            ("(void(*)(void *))put_device", "put_device"),
            ("(void (*)(void *)) put_device", "put_device"),
            (
                "(void (*) (void *))clk_disable_unprepare",
                "clk_disable_unprepare",
            ),
            ("&rmi_irq_teardown", "rmi_irq_teardown"),
            ("(kfree)", "kfree"),
            ("((", "(("),
            ("", ""),
        ] {
            assert_eq!(plain_name(expression), name, "{expression}");
        }
    }

    #[test]
    fn names_tell_the_kind() {
        for (name, action, kind) in [
            ("grp<", false, Kind::GroupOpen),
            ("group_close_release", false, Kind::GroupClose),
            ("devm_kzalloc_release", false, Kind::Memory),
            ("dmam_pool_release", false, Kind::Memory),
            ("kfree", true, Kind::Memory),
            ("devm_irq_release", false, Kind::Resource(Hazard::Interrupt)),
            ("devm_clk_release", false, Kind::Resource(Hazard::Clock)),
            (
                "devm_regulator_release",
                false,
                Kind::Resource(Hazard::Regulator),
            ),
            (
                "devm_thermal_of_zone_release",
                false,
                Kind::Resource(Hazard::Thermal),
            ),
            (
                "devm_hwmon_release",
                false,
                Kind::Resource(Hazard::Interface),
            ),
            (
                "devm_iio_device_unreg",
                false,
                Kind::Resource(Hazard::Interface),
            ),
            (
                "devm_input_device_unregister",
                false,
                Kind::Resource(Hazard::Interface),
            ),
            (
                "devm_ioport_map_release",
                false,
                Kind::Resource(Hazard::Mapping),
            ),
            (
                "devm_ioremap_release",
                false,
                Kind::Resource(Hazard::Mapping),
            ),
            (
                "devm_pinctrl_release",
                false,
                Kind::Resource(Hazard::Reference),
            ),
            (
                "devm_pinctrl_release",
                true,
                Kind::Action(Hazard::Reference),
            ),
            (
                "devm_regmap_irq_chip_release",
                false,
                Kind::Resource(Hazard::Interrupt),
            ),
            (
                "devm_arch_phys_ac_add_release",
                false,
                Kind::Resource(Hazard::Other),
            ),
            ("Devres<T>", false, Kind::Resource(Hazard::Other)),
            (
                "pm_runtime_disable_action",
                true,
                Kind::Action(Hazard::Power),
            ),
            (
                "(void(*)(void *))put_device",
                true,
                Kind::Action(Hazard::Reference),
            ),
            ("&rmi_irq_teardown", true, Kind::Action(Hazard::Interrupt)),
            ("pvpanic_remove", true, Kind::Action(Hazard::Driver)),
            ("pvpanic_remove", false, Kind::Action(Hazard::Driver)),
            // An action whose function nobody told may be anything.
            ("devm_action_release", false, Kind::Action(Hazard::Driver)),
        ] {
            assert_eq!(Kind::classify(Some(name), None, action), kind, "{name}");
        }
    }

    #[test]
    fn a_generic_name_leaves_it_to_the_function() {
        let classify =
            |function: &Function| Kind::classify(Some("devm_action_release"), Some(function), true);
        assert_eq!(
            classify(&function("put_device", None)),
            Kind::Action(Hazard::Reference)
        );
        assert_eq!(
            classify(&function("pvpanic_remove", Some("pvpanic"))),
            Kind::Action(Hazard::Driver)
        );
        assert_eq!(
            classify(&function("regulator_action_disable", None)),
            Kind::Action(Hazard::Regulator)
        );
        assert_eq!(classify(&function("kfree", None)), Kind::Memory);
        // The driver's own code, although the name sounds like a dropped reference.
        assert_eq!(
            classify(&function("foo_put", Some("foo"))),
            Kind::Action(Hazard::Driver)
        );
    }
}
