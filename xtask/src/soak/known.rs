//! What stock kernels do wrong: findings that are true.

use serde_json::Value;

use super::series;

/// Something that is wrong in stock kernels.
pub(crate) struct Known {
    /// The finding's rule.
    pub(crate) rule: &'static str,
    /// The driver's name, or the empty string for all on the bus.
    pub(crate) driver: &'static str,
    /// The bus's name.
    pub(crate) bus: &'static str,
    /// The first series in which it is wrong, and the first in which it is not any more.
    pub(crate) kernels: ((u32, u32), (u32, u32)),
    /// Why it is true.
    pub(crate) reason: &'static str,
}

/// No end yet.
const NEWEST: (u32, u32) = (u32::MAX, 0);

/// What is known to be wrong.
pub(crate) const KNOWN: &[Known] = &[Known {
    rule: "DR001",
    driver: "",
    bus: "platform",
    kernels: ((0, 0), (6, 17)),
    reason: "`platform_remove()` detaches the PM domain before the driver core releases the resources; the driver \
                 core itself detaches, in the right order, from f99508074e78 on",
}];

/// Why a finding is true of this kernel, if that is known.
pub(super) fn reason(finding: &Value, release: &str) -> Option<&'static str> {
    let _ = NEWEST;
    let series = series(release)?;
    KNOWN
        .iter()
        .find(|known| {
            finding["rule"] == known.rule
                && finding["bus"] == known.bus
                && (known.driver.is_empty() || finding["driver"] == known.driver)
                && (known.kernels.0..known.kernels.1).contains(&series)
        })
        .map(|known| known.reason)
}
