//! What releasing a resource may do, by the names of the kernel's release functions and actions.
//!
//! The tables were made from those of the kernels 5.10 to 7.3. They decide whether a release may touch
//! hardware, and how to call the resource in a sentence. An unmap, a dropped reference and bookkeeping do
//! not touch it. An interrupt, and an interface through which others call the driver, may do so until they
//! are released, whatever their release itself does.

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

/// Releases that only give memory back.
pub(super) const MEMORY: &[&str] = &[
    "__snd_release_pages",
    "arm_smmu_cmdq_free_bitmap",
    "bitmap_free",
    "devm_bitmap_free",
    "devm_component_match_release",
    "devm_iio_gts_avail_all_drop",
    "devm_kfree_strarray",
    "devm_kmalloc_release",
    "devm_krealloc_release",
    "devm_kzalloc_release",
    "devm_pages_release",
    "devm_percpu_release",
    "fec_dmam_release",
    "free_event_buf",
    "free_poison_buf",
    "kfree",
    "kfree_const",
    "kfree_sensitive",
    "kvfree",
    "kzfree",
    "power_supply_hwmon_bitmap_free",
    "vfree",
    "wacom_devm_kfifo_release",
];

/// Releases that are known to drop no more than a reference, or to undo bookkeeping.
pub(super) const HARMLESS: &[&str] = &[
    "acpi_nfit_put_table",
    "action_put_kobject",
    "ad7173_ida_destroy",
    "apple_sart_put_device",
    "axp288_put_role_sw",
    "bq27xxx_battery_i2c_devm_ida_free",
    "bq27xxx_battery_mutex_destroy",
    "cci_put_of_node",
    "cht_wc_extcon_put_role_sw",
    "cpufreq_cpu_put",
    "dev_get_regmap_release",
    "devm_acpi_dev_release_driver_gpios",
    "devm_acpi_table_put",
    "devm_backlight_release",
    "devm_clkdev_release",
    "devm_counter_put",
    "devm_drm_dev_init_release",
    "devm_extcon_dev_release",
    "devm_iio_channel_free",
    "devm_iio_channel_free_all",
    "devm_iio_device_release",
    "devm_iio_hw_consumer_release",
    "devm_iio_kfifo_release",
    "devm_iio_trigger_release",
    "devm_input_device_release",
    "devm_input_polldev_release",
    "devm_irq_desc_release",
    "devm_led_release",
    "devm_mdiobus_free",
    "devm_mmc_host_release",
    "devm_mutex_release",
    "devm_mux_chip_release",
    "devm_mux_control_release",
    "devm_mux_state_release",
    "devm_nvmem_cell_release",
    "devm_nvmem_device_release",
    "devm_of_regulator_put_matches",
    "devm_of_reserved_mem_device_release",
    "devm_pci_alloc_host_bridge_release",
    "devm_phy_package_leave",
    "devm_pinctrl_release",
    "devm_power_supply_put",
    "devm_put_device_action",
    "devm_pwmchip_put",
    "devm_rc_alloc_release",
    "devm_regmap_release",
    "devm_regulator_destroy_supply_alias",
    "devm_reset_control_bulk_release",
    "devm_reset_control_release",
    "devm_rproc_free",
    "devm_siox_master_put",
    "devm_spi_release_controller",
    "devm_spmi_controller_release",
    "devm_usb_phy_release",
    "drm_bridge_put_void",
    "drm_panel_put_void",
    "ds278x_free_ida",
    "exar_devm_ida_free",
    "fwnode_handle_put",
    "fwnode_remove_software_node",
    "gpio_sim_mutex_destroy",
    "gpio_sim_put_device",
    "i2c_put_adapter",
    "imx_tve_put_device",
    "is31f1319x_mutex_destroy",
    "lpss_dma_put_device",
    "mdp_put_device",
    "mmc_free_host",
    "msi_device_data_release",
    "mtk_ddp_comp_put_device",
    "mtk_hdmi_put_adapter",
    "mtk_hdmi_put_device",
    "mutex_destroy",
    "mutex_fini",
    "nct6694_gpio_ida_free",
    "nct6694_i2c_ida_free",
    "nct6694_wdt_ida_free",
    "odroid_go_ultra_poweroff_put_pmic_device",
    "of_node_put",
    "of_reserved_mem_device_release",
    "omap_usb2_put_device",
    "ovl_adaptor_put_device",
    "pac1934_mutex_destroy",
    "panel_edp_put_adapter",
    "pci_dev_put",
    "pisosr_mutex_destroy",
    "put_device",
    "quickstart_mutex_destroy",
    "rz_dmac_put_device",
    "rzv2h_usb2phy_reset_ida_free",
    "software_node_unregister_node_group",
    "svs_put_device",
    "tegra_dc_of_node_put",
    "tegra_mc_devm_action_put_device",
    "tegra_pmc_put_device",
    "tegra_usb_phy_put_pmc_device",
    "ti_pipe3_put_device",
    "tpm_put_device",
    "vc4_hdmi_put_ddc_device",
    "wcd9335_put_device_action",
    "wcd934x_put_device_action",
    "xiaomi_mutex_destroy",
];

/// Releases of which that is so only where they are actions: where they are not, on 5.10, they unregister too.
pub(super) const HARMLESS_ACTIONS: &[&str] = &["devm_rtc_release_device"];

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

/// What the words in a release's name say of it.
pub(super) fn by_words(name: &str) -> Option<Hazard> {
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
