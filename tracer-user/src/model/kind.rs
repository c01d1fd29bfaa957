//! What a resource is, judged by the name and the function that the kernel gives it.

use super::hazard::{HARMLESS, HARMLESS_ACTIONS, Hazard, MEMORY, by_words};
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
    /// action; otherwise the name must say.
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
        let is_harmless =
            HARMLESS.contains(&effective) || action && HARMLESS_ACTIONS.contains(&effective);
        let hazard = if is_harmless {
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

/// Release functions of `devres_alloc` that are not called `devm_…`, `dmam_…` or `pcim_…`, in kernels from 5.10
/// to 7.3.
const RELEASES: &[&str] = &[
    "__snd_card_release",
    "__snd_release_dma",
    "__snd_release_pages",
    "ahci_platform_put_resources",
    "arcnet_led_release",
    "ata_devres_release",
    "ata_host_stop",
    "can_led_release",
    "dev_get_regmap_release",
    "fec_dmam_release",
    "fw_name_devm_release",
    "hdac_acomp_release",
    "jack_devres_free_gpios",
    "k1_spi_dma_cleanup",
    "maciom_release",
    "msi_device_data_release",
    "ntbm_msi_callback_release",
    "prom21_xhci_auxdev_release",
    "rave_sp_unregister_event_notifier",
    "release_ohci",
    "riscv_iommu_devres_pages_release",
    "scmi_devm_release_notifier",
    "scmi_devm_release_protocol",
    "thermal_cooling_device_release",
    "ttm_dma_pool_release",
    "unregister_event",
    "vexpress_config_devres_release",
    "wacom_devm_kfifo_release",
    "wacom_devm_sysfs_group_release",
];

/// Whether a logged name is that of an action although nobody said so: what is neither one of the known
/// releases nor called as the others are. `Devres<T>` is Rust's.
fn sounds_like_action(name: &str) -> bool {
    !name.is_empty()
        && !RELEASES.contains(&name)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Kind, plain_name};
    use crate::{event::Function, model::Hazard};

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
            // A driver's own action, whatever it calls it.
            (
                "aspeed_pcie_reset_release",
                false,
                Kind::Action(Hazard::Line),
            ),
            ("ast_device_release", false, Kind::Action(Hazard::Driver)),
            ("maciom_release", false, Kind::Resource(Hazard::Other)),
            // An action whose function nobody reported may be anything.
            ("devm_action_release", false, Kind::Action(Hazard::Driver)),
        ] {
            assert_eq!(Kind::classify(Some(name), None, action), kind, "{name}");
        }
    }

    #[test]
    fn what_only_drops_a_reference_is_told_from_what_unregisters() {
        for (name, action, kind) in [
            (
                "devm_input_device_release",
                false,
                Kind::Resource(Hazard::Reference),
            ),
            (
                "devm_spi_release_controller",
                false,
                Kind::Resource(Hazard::Reference),
            ),
            (
                "devm_spi_unregister",
                false,
                Kind::Resource(Hazard::Interface),
            ),
            (
                "devm_rtc_release_device",
                true,
                Kind::Action(Hazard::Reference),
            ),
            (
                "devm_rtc_release_device",
                false,
                Kind::Resource(Hazard::Interface),
            ),
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
