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
pub(super) const HARMLESS: &[&str] = &[
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
