//! The faults that are known. A row says only what was read in a kernel's source or binary, or in the change itself;
//! where a commit, a subject or a release was not seen, it is left out.

use super::{Condition, Row};
use crate::finding::{Fix, Known, Mainline};

const fn fix(commit: &'static str, subject: &'static str) -> Fix {
    Fix {
        commit: Some(commit),
        subject: Some(subject),
    }
}

/// A change whose commit was not seen.
const fn subject(subject: &'static str) -> Fix {
    Fix {
        commit: None,
        subject: Some(subject),
    }
}

/// The driver core detaches by itself, for every bus.
const CORE_DETACHES: Fix = fix(
    "f99508074e78",
    "PM: domains: Detach on device_unbind_cleanup()",
);
/// What each bus's own change is called.
const DROP: &str = "Drop dev_pm_domain_detach() call";

/// A bus that detached in its own remove until it was converted. No stable series has that.
const fn detach_of_bus(
    bus: &'static str,
    functions: &'static [&'static str],
    fixes: &'static [Fix],
    mainline: Mainline,
) -> Row {
    Row {
        rule: "DR001",
        condition: Condition::Bus {
            name: bus,
            functions,
        },
        known: Known {
            fault: "the bus detaches the PM domain before the driver's resources are released",
            fixes,
            mainline,
            backports: &[],
            not_in: &["6.12", "6.1", "5.10"],
        },
    }
}

/// A fault of a driver or a managed function, known from the stable releases in which it is fixed.
const fn in_stable(
    rule: &'static str,
    condition: Condition,
    fault: &'static str,
    fixes: &'static [Fix],
    backports: &'static [&'static str],
) -> Row {
    Row {
        rule,
        condition,
        known: Known {
            fault,
            fixes,
            mainline: Mainline::Untold,
            backports,
            not_in: &[],
        },
    }
}

const DROPPED: &str = "the function does not release what it takes off the list";

/// Every fault that is known.
pub(super) const ROWS: &[Row] = &[
    detach_of_bus(
        "platform",
        &[
            "platform_remove",
            "platform_drv_remove",
            "platform_probe",
            "platform_drv_probe",
        ],
        &[
            CORE_DETACHES,
            fix(
                "f3e8f073c9a1",
                "driver core: platform: Drop dev_pm_domain_detach() call",
            ),
        ],
        Mainline::From("6.17"),
    ),
    detach_of_bus(
        "serial",
        &["serdev_drv_remove", "serdev_drv_probe"],
        &[CORE_DETACHES, fix("e3fa89f3a768", DROP)],
        Mainline::From("6.17"),
    ),
    Row {
        rule: "DR001",
        condition: Condition::Bus {
            name: "i2c",
            functions: &["i2c_device_remove", "i2c_device_probe"],
        },
        known: Known {
            fault: "the bus detaches the PM domain before the driver's resources are released",
            fixes: &[Fix {
                commit: Some("5b5475826c52"),
                subject: None,
            }],
            mainline: Mainline::Between("5.10", "6.1"),
            backports: &[],
            not_in: &["5.10"],
        },
    },
    detach_of_bus(
        "spi",
        &["spi_remove", "spi_drv_remove", "spi_probe", "spi_drv_probe"],
        &[CORE_DETACHES, subject(DROP)],
        Mainline::From("6.18"),
    ),
    detach_of_bus(
        "auxiliary",
        &["auxiliary_bus_remove", "auxiliary_bus_probe"],
        &[CORE_DETACHES, subject(DROP)],
        Mainline::From("6.18"),
    ),
    detach_of_bus(
        "sdio",
        &["sdio_bus_remove", "sdio_bus_probe"],
        &[CORE_DETACHES, fix("7322d24cab91", DROP)],
        Mainline::From("6.18"),
    ),
    detach_of_bus(
        "soundwire",
        &[
            "sdw_bus_remove",
            "sdw_drv_remove",
            "sdw_bus_probe",
            "sdw_drv_probe",
        ],
        &[CORE_DETACHES, subject(DROP)],
        Mainline::From("6.18"),
    ),
    detach_of_bus(
        "amba",
        &["amba_remove", "amba_probe"],
        &[CORE_DETACHES, subject(DROP)],
        Mainline::From("6.19"),
    ),
    detach_of_bus(
        "rpmsg",
        &["rpmsg_dev_remove", "rpmsg_dev_probe"],
        &[CORE_DETACHES],
        Mainline::Between("6.12", "7.2"),
    ),
    Row {
        rule: "DR001",
        condition: Condition::Bus {
            name: "dp-aux",
            functions: &["dp_aux_ep_remove", "dp_aux_ep_probe"],
        },
        known: Known {
            fault: "the bus detaches the PM domain before the driver's resources are released",
            fixes: &[],
            mainline: Mainline::NotYet("7.3"),
            backports: &[],
            not_in: &[],
        },
    },
    Row {
        rule: "DR002",
        condition: Condition::Bus {
            name: "rpmsg",
            functions: &[],
        },
        known: Known {
            fault: "rpmsg_dev_probe() does not detach what it has attached when the driver's probe fails",
            fixes: &[CORE_DETACHES],
            mainline: Mainline::From("6.17"),
            backports: &[],
            not_in: &["6.12", "6.1", "5.10"],
        },
    },
    Row {
        rule: "DR003",
        condition: Condition::Function(&["try_to_bring_up_master"]),
        known: Known {
            fault: "the component framework leaves its group on the master's device open after the bind",
            fixes: &[fix(
                "c87761db2100",
                "component: do not leave master devres group open after bind",
            )],
            mainline: Mainline::Between("5.15-rc1", "6.1"),
            backports: &["5.15.3"],
            not_in: &["5.10"],
        },
    },
    Row {
        rule: "DR011",
        condition: Condition::Function(&["device_del"]),
        known: Known {
            fault: "device_del() does not release the resources of a device without a driver",
            fixes: &[fix(
                "699fb50d9903",
                "drivers: base: Free devm resources when unregistering a device",
            )],
            mainline: Mainline::From("6.6"),
            backports: &["6.5.y", "6.1.53", "5.10.y (in 5.10.262, not in 5.10.223)"],
            not_in: &[],
        },
    },
    in_stable(
        "DR012",
        Condition::Driver(&["ucan"]),
        "the driver adds its resources to the USB device instead of the interface",
        &[fix("fed4626501c8", "can: ucan: fix devres lifetime")],
        &["6.12.86", "6.1.175"],
    ),
    in_stable(
        "DR014",
        Condition::Driver(&["vboxguest"]),
        "the interrupt outlives what remove() frees",
        &[subject("vboxguest: Do not use devm for irq")],
        &["5.10.138"],
    ),
    in_stable(
        "DR014",
        Condition::Driver(&["pci-endpoint-test"]),
        "the interrupts outlive what remove() frees",
        &[subject(
            "misc: pci_endpoint_test: Free IRQs before removing the device",
        )],
        &["6.1.40", "5.10.188"],
    ),
    in_stable(
        "DR014",
        Condition::Driver(&["pps-gpio"]),
        "the interrupt outlives what remove() frees",
        &[subject(
            "pps: clients: gpio: fix interrupt handling order in remove path",
        )],
        &["6.12.43", "6.1.149"],
    ),
    in_stable(
        "DR016",
        Condition::Function(&["devm_usb_put_phy"]),
        DROPPED,
        &[subject(
            "usb: phy: Fix API devm_usb_put_phy() can not release the phy",
        )],
        &["6.1.116"],
    ),
    in_stable(
        "DR016",
        Condition::Function(&["devm_pci_epc_destroy"]),
        DROPPED,
        &[subject(
            "PCI: endpoint: Destroy the EPC device in devm_pci_epc_destroy()",
        )],
        &["6.1.129"],
    ),
    in_stable(
        "DR017",
        Condition::Driver(&["dwc2"]),
        "each resume adds an action that stays until the unbind",
        &[fix(
            "f747313249b7",
            "usb: dwc2: fix a devres leak in hw_enable upon suspend resume",
        )],
        &["6.1.22", "5.10.177"],
    ),
];
