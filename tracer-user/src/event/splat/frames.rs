//! What the functions on a splat's stacks are: parts of devres, of the allocator, of what reports.

use super::reporting::is_of_reporting;
use crate::event::{Function, StackFrame};

/// The functions of a stack with their names in the source, innermost first.
pub(super) fn named(frames: &[StackFrame]) -> impl Iterator<Item = (usize, &Function, &str)> {
    frames.iter().enumerate().filter_map(|(place, frame)| {
        let function = frame.function.as_deref()?;
        Some((place, function, function.base_name()?))
    })
}

/// Whether the function is one of drivers/base/devres.c that releases what lies on a device's list.
pub(super) fn releases(function: &Function, name: &str) -> bool {
    function.module.is_none()
        && matches!(
            name,
            "release_nodes" | "devres_release_all" | "devres_release_group"
        )
}

/// Whether a function is a part of devres, or one that acquires or frees something managed.
#[must_use]
pub fn is_devres(function: &Function) -> bool {
    function.base_name().is_some_and(|name| {
        releases(function, name) || is_managed(name) || function.module.is_none() && is_inner(name)
    })
}

/// Parts of devres whose names do not show it.
fn is_inner(name: &str) -> bool {
    matches!(name, "add_dr" | "alloc_dr" | "remove_nodes")
}

/// Whether a function acquires or frees something managed, judged by its name.
#[must_use]
pub fn is_managed(name: &str) -> bool {
    let name = name.trim_start_matches('_');
    ["devm_", "devres_", "pcim_", "dmam_"]
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

/// Whether a managed function frees what was acquired, explicitly: `devm_free_irq`, `devm_clk_put`. A release
/// that devres itself calls, such as `devm_irq_release`, is none.
#[must_use]
pub fn is_freeing(name: &str) -> bool {
    if !is_managed(name) {
        return false;
    }
    // The words of a name, so that `devm_input_allocate_device` is not one that puts.
    let words: Vec<&str> = name.trim_start_matches('_').split('_').collect();
    let gives_up = |word: &&str| {
        matches!(
            *word,
            "free"
                | "kfree"
                | "put"
                | "release"
                | "remove"
                | "destroy"
                | "unregister"
                | "deregister"
                | "del"
                | "depopulate"
                | "unmap"
                | "iounmap"
                | "memunmap"
                | "unhinge"
                | "krealloc"
                | "detach"
                | "close"
        )
    };
    let last = words.last().copied().unwrap_or_default();
    // `devm_regulator_put` and `devm_free_irq` give up, `devm_regulator_release` is what devres calls.
    let asks = matches!(
        words.get(1).copied(),
        Some("request" | "get" | "alloc" | "allocate" | "add" | "create" | "init")
    );
    let is_callback = asks
        || last == "release" && words.len() > 2
        || matches!(
            last,
            "match" | "get" | "add" | "reset" | "register" | "enable" | "enabled"
        );
    !is_callback && words.iter().skip(1).any(gives_up)
}

/// Functions that warn where something managed is not there, and whose names don't say that they free it.
const FREEING_UNSAID: &[&str] = &[
    "input_free_device",
    "input_unregister_device",
    "scmi_devm_notifier_unregister",
    "scmi_devm_protocol_put",
];

/// Whether a warning in this function says that the managed resource which it was to free is not there.
#[must_use]
pub fn warns_of_miss(name: &str) -> bool {
    is_freeing(name) || FREEING_UNSAID.contains(&name)
}

/// Whether a function passes on the release of one resource, and is not that release itself.
pub(super) fn passes_on(name: &str) -> bool {
    matches!(
        name,
        "devm_action_release" | "dr_node_release" | "devres_release" | "devm_release_action"
    )
}

/// Whether a function belongs to an allocator, or to what watches one.
pub(crate) fn is_of_allocator(name: &str) -> bool {
    let name = name.trim_start_matches('_');
    [
        "kasan_",
        "kfence_",
        "kmsan_",
        "kmem_",
        "kmalloc",
        "slab_",
        "save_stack",
        "set_track",
        "set_alloc_info",
        "set_free_info",
        "kfree",
        "kvfree",
        "cache_free",
        "cache_alloc",
        "free_large_kmalloc",
        "free_to_partial_list",
        "poison_",
        "unpoison_",
        "quarantine_",
        "debug_check_no_",
        "debug_print_object",
        "debug_object_",
        "stack_trace_save",
        "stack_depot_",
        "do_slab_free",
        "do_kmalloc",
        "do_krealloc",
        "krealloc",
        "kzalloc",
        "kvmalloc",
        "kstrdup",
        "kmemdup",
        "kasprintf",
        "kvasprintf",
        "check_heap_object",
        "free_debug_processing",
        "alloc_debug_processing",
        "free_unref",
        "free_pages",
        "free_frozen_pages",
        "put_page",
        "rcu_free_sheaf",
        "asan_",
    ]
    .iter()
    .any(|beginning| name.starts_with(beginning))
}

/// The bus's function by which a driver is probed or removed, with the bus's name in sysfs.
pub(super) fn bus_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "platform_remove" | "platform_drv_remove" | "platform_probe" | "platform_drv_probe" => {
            "platform"
        }
        "i2c_device_remove" | "i2c_device_probe" => "i2c",
        "spi_remove" | "spi_drv_remove" | "spi_probe" | "spi_drv_probe" => "spi",
        "pci_device_remove" | "pci_device_probe" | "local_pci_probe" => "pci",
        "usb_unbind_interface"
        | "usb_unbind_device"
        | "usb_probe_interface"
        | "usb_probe_device" => "usb",
        "auxiliary_bus_remove" | "auxiliary_bus_probe" => "auxiliary",
        "amba_remove" | "amba_probe" => "amba",
        "hid_device_remove" | "hid_device_probe" => "hid",
        "serdev_drv_remove" | "serdev_drv_probe" => "serial",
        "virtio_dev_remove" | "virtio_dev_probe" => "virtio",
        "sdio_bus_remove" | "sdio_bus_probe" => "sdio",
        "rpmsg_dev_remove" | "rpmsg_dev_probe" => "rpmsg",
        "mdio_remove" | "mdio_probe" | "phy_remove" | "phy_probe" => "mdio_bus",
        "faux_remove" | "faux_probe" => "faux",
        "acpi_device_remove" | "acpi_device_probe" => "acpi",
        "sdw_drv_remove" | "sdw_drv_probe" => "soundwire",
        "hda_codec_driver_remove" | "hda_codec_driver_probe" => "hdaudio",
        _ => return None,
    })
}

/// Whether a function is one of those of the driver core that release a device's resources: no release function.
pub(super) fn calls_devres(function: &Function, name: &str) -> bool {
    function.module.is_none()
        && matches!(
            name,
            "really_probe"
                | "call_driver_probe"
                | "device_unbind_cleanup"
                | "__device_release_driver"
                | "device_release_driver_internal"
                | "driver_detach"
                | "unbind_store"
        )
}

/// Whether a function can only be on the stack of a task that is in devres or in the driver core.
pub(crate) fn is_of_driver_core(function: &Function) -> bool {
    let is_core = |name: &str| {
        core(function, name).is_some() || calls_devres(function, name) || registers(function, name)
    };
    is_devres(function) || function.base_name().is_some_and(is_core)
}

/// Whether a function is one of those of the driver core that register or unregister a driver.
pub(super) fn registers(function: &Function, name: &str) -> bool {
    function.module.is_none()
        && matches!(
            name,
            "driver_attach"
                | "driver_detach"
                | "bus_add_driver"
                | "bus_remove_driver"
                | "driver_register"
                | "driver_unregister"
        )
}

/// What a function of the driver core, outward of a release or a fault, says of the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Core {
    Probe,
    Unbind,
    Deletion,
    FinalPut,
}

pub(super) fn core(function: &Function, name: &str) -> Option<Core> {
    if function.module.is_some() {
        return None;
    }
    Some(match name {
        "really_probe" | "call_driver_probe" => Core::Probe,
        "device_release_driver_internal"
        | "__device_release_driver"
        | "device_release_driver"
        | "device_driver_detach"
        | "driver_detach"
        | "device_remove"
        | "unbind_store" => Core::Unbind,
        "device_del" => Core::Deletion,
        "device_release" => Core::FinalPut,
        _ => {
            bus_of(name)?;
            if name.ends_with("probe") || name.contains("_probe_") {
                Core::Probe
            } else {
                Core::Unbind
            }
        }
    })
}

/// Who acquired, freed or used something: the innermost function that belongs neither to an allocator, nor to what
/// reports, nor to devres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    /// The function itself.
    pub by: Option<&'a Function>,
    /// The part of devres that did it for it: the managed function that it called.
    pub through: Option<&'a Function>,
    /// Devres did it itself, as a part of releasing what lies on a device's list.
    pub in_release: bool,
}

impl<'a> Given<'a> {
    /// By the stack of an allocation or of freeing.
    #[must_use]
    pub fn of(frames: &'a [StackFrame]) -> Self {
        let mut given = Self {
            by: None,
            through: None,
            in_release: false,
        };
        for (_, function, name) in named(frames) {
            if releases(function, name) {
                given.in_release = true;
                given.through = given.through.or(Some(function));
                break;
            }
            if is_of_allocator(name) || is_of_reporting(name) {
                continue;
            }
            if is_devres(function) {
                // The outermost is the one that was called.
                given.through = Some(function);
            } else {
                given.by = Some(function);
                break;
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_give_up_are_told_from_those_that_acquire() {
        for name in [
            "devm_free_irq",
            "devm_kfree",
            "devm_clk_put",
            "devm_iounmap",
            "devm_gpiod_put",
            "devm_regulator_put",
            "devm_remove_action",
            "devm_release_action",
            "devm_pinctrl_put",
            "devm_led_classdev_unregister",
            "pcim_iounmap",
            "dmam_free_coherent",
            "devm_release_resource",
            "devm_free_percpu",
            "devm_free_pages",
            "devm_ioport_unmap",
            "devm_memunmap",
            "devm_gpiod_put_array",
            "devm_usb_put_phy",
            "devm_pinctrl_unregister",
            "devm_device_remove_groups",
            "devm_clk_release_clkdev",
            "devm_of_clk_del_provider",
            "devm_regmap_del_irq_chip",
            "devm_of_platform_depopulate",
            "devm_rtc_device_unregister",
            "devm_thermal_of_zone_unregister",
            "devm_hwspin_lock_unregister",
            "devm_acpi_dma_controller_free",
            "devm_devfreq_remove_device",
            "dmam_pool_destroy",
            "__devm_release_region",
        ] {
            assert!(is_freeing(name), "{name}");
        }
        for name in [
            "devm_irq_release",
            "devm_clk_get",
            "devm_kmalloc",
            "devm_ioremap",
            "devm_request_threaded_irq",
            "devm_action_release",
            "devm_regulator_bulk_get",
            "devm_input_allocate_device",
            "devm_reset_control_get",
            "free_irq",
            "devm_pinctrl_register",
            "devm_get_free_pages",
            "devm_request_free_mem_region",
            "devm_delayed_work_autocancel",
            "devm_of_platform_populate",
        ] {
            assert!(!is_freeing(name), "{name}");
        }
    }
}
