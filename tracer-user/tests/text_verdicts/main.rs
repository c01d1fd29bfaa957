//! What pasted logs are judged to be: culprits, and the innocents that look most like them.

mod culprits;
mod innocents;
mod kernel_words;
#[path = "../support/text.rs"]
mod support;

use devres_tracer::{
    engine::{Outcome, Verdict},
    finding::{Certainty, Severity},
};

fn judge(text: &str) -> Outcome {
    let outcome = support::judge(text);
    // A log of nodes shows too little for that, whatever is in it.
    assert_ne!(outcome.verdict(Severity::Error), Verdict::Clean, "{text}");
    outcome
}

/// Severity, certainty and fingerprint of what every rule finds.
fn found(text: &str) -> Vec<(Severity, Certainty, String)> {
    let findings = judge(text).findings.into_iter();
    findings
        .map(|finding| (finding.severity, finding.certainty, finding.fingerprint))
        .collect()
}

fn likely(severity: Severity, fingerprint: &str) -> Vec<(Severity, Certainty, String)> {
    vec![(severity, Certainty::Likely, fingerprint.to_owned())]
}

/// A master and its component on 5.10, bound by the component's probe; later the component is unbound.
const MASTER: &str = "\
[    2.000010] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0001 devm_kzalloc_release (40 bytes)
[    2.000020] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0002 devm_pinctrl_release (8 bytes)
[    2.000030] rockchip-drm display-subsystem: DEVRES REM 00000000aaaa0002 devm_pinctrl_release (8 bytes)
[    2.000040] rockchip-drm display-subsystem: DEVRES REM 00000000aaaa0001 devm_kzalloc_release (40 bytes)
[    2.000050] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0003 devm_component_match_release (24 bytes)
[    3.000010] rockchip-vop ff900000.vop: DEVRES ADD 00000000bbbb0001 devm_kzalloc_release (40 bytes)
[    3.000020] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0001 grp< (0 bytes)
[    3.000030] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0004 devm_drm_dev_init_release (8 bytes)
[    3.000040] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0002 grp< (0 bytes)
[    3.000050] rockchip-vop ff900000.vop: DEVRES ADD 00000000bbbb0002 grp< (0 bytes)
[    3.000060] rockchip-vop ff900000.vop: DEVRES ADD 00000000bbbb0003 devm_ioremap_release (8 bytes)
[    3.000070] rockchip-vop ff900000.vop: DEVRES ADD 00000000bbbb0004 grp> (0 bytes)
[    3.000080] rockchip-drm display-subsystem: DEVRES REM 00000000aaaa0002 grp< (0 bytes)
";

/// What the master's driver adds when it is bound.
const LATER: &str = "\
[    4.500000] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0005 devm_irq_release (16 bytes)
";

/// The component's unbind: its group goes, then the master's.
const UNBIND: &str = "\
[    9.000010] rockchip-vop ff900000.vop: DEVRES REL 00000000bbbb0002 grp< (0 bytes)
[    9.000020] rockchip-vop ff900000.vop: DEVRES REL 00000000bbbb0003 devm_ioremap_release (8 bytes)
[    9.000030] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0001 grp< (0 bytes)
";

const SWALLOWED: &str = "\
[    9.000040] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0005 devm_irq_release (16 bytes)
";

const OWN: &str = "\
[    9.000050] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0004 devm_drm_dev_init_release (8 bytes)
";

/// The component's own end.
const END: &str = "\
[    9.000060] rockchip-vop ff900000.vop: DEVRES REL 00000000bbbb0001 devm_kzalloc_release (40 bytes)
";
const CULPRIT: &str = "DR003/?/rockchip-drm/devm_irq_release";
