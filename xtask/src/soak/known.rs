//! What stock kernels do wrong: findings that are true.

use serde_json::Value;

use super::series;

/// Something that is wrong in stock kernels.
pub(crate) struct Known {
    /// The finding's rule.
    pub(crate) rule: &'static str,
    /// The driver's name, or the empty string for all on the bus.
    pub(crate) driver: &'static str,
    /// The bus's name, or the empty string for all.
    pub(crate) bus: &'static str,
    /// The first series in which it is wrong, and the first in which it is not any more.
    pub(crate) kernels: ((u32, u32), (u32, u32)),
    /// Why it is true.
    pub(crate) reason: &'static str,
}

/// No end yet.
const NEWEST: (u32, u32) = (u32::MAX, 0);

/// What is known to be wrong.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        rule: "DR001",
        driver: "",
        bus: "platform",
        kernels: ((0, 0), (6, 17)),
        reason: "`platform_remove()` detaches the PM domain before the driver core releases the resources; from \
                 f99508074e78 on the driver core itself detaches, in the right order",
    },
    Known {
        rule: "DR012",
        driver: "",
        bus: "acpi",
        kernels: ((6, 10), NEWEST),
        reason: "`vmgenid_add()` maps its memory with `devm_memremap()` on the ACPI companion instead of its platform \
                 device: each probe leaves one more mapping there",
    },
    Known {
        rule: "DR019",
        driver: "",
        bus: "",
        kernels: ((0, 0), NEWEST),
        reason: "an emulated machine is slow, and some releases do wait: `ata_devres_release()` for an RCU grace \
                 period for each of the ports, that of a sound card until its last file is closed",
    },
];

/// Why a finding is true of this kernel, if that is known.
pub(super) fn reason(finding: &Value, release: &str) -> Option<&'static str> {
    let series = series(release)?;
    KNOWN
        .iter()
        .find(|known| {
            finding["rule"] == known.rule
                && (known.bus.is_empty() || finding["bus"] == known.bus)
                && (known.driver.is_empty() || finding["driver"] == known.driver)
                && (known.kernels.0..known.kernels.1).contains(&series)
        })
        .map(|known| known.reason)
}
