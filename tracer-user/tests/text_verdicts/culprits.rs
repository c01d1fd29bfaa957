//! Logs in which a component takes its master's resources along.

use devres_tracer::{
    engine::Verdict,
    finding::{Certainty, Severity},
};

use super::{CULPRIT, END, LATER, MASTER, OWN, SWALLOWED, UNBIND, found, judge, likely};

#[test]
fn a_component_that_takes_the_masters_resources_with_it_is_found() {
    let log = [MASTER, LATER, UNBIND, SWALLOWED, OWN, END].concat();
    assert_eq!(found(&log), likely(Severity::Error, CULPRIT));
    let outcome = judge(&log);
    let finding = &outcome.findings[0];
    assert_eq!(finding.device, "display-subsystem");
    let cause = finding.caused_by.as_ref().unwrap();
    assert_eq!(cause.device, "ff900000.vop");
    assert_eq!(cause.driver.as_deref(), Some("rockchip-vop"));
    // What bind had added before its components is no loss.
    let swallowed: Vec<_> = finding.resources.iter().map(|one| &one.name).collect();
    assert_eq!(swallowed, ["devm_irq_release"]);
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Findings);
}

/// What a release adds is still there when the device is to be probed again.
#[test]
fn each_refused_device_is_named_with_what_a_release_added() {
    let device = |name: &str| {
        format!(
            "[ 1.0] ccp {name}: DEVRES REL 0000000000000001 pcim_intx_restore (4 bytes)\n\
             [ 1.1] ccp {name}: DEVRES ADD 0000000000000002 pcim_intx_restore (4 bytes)\n\
             [ 1.2] ccp {name}: DEVRES REL 0000000000000003 pcim_msi_release (16 bytes)\n"
        )
    };
    let refused = |name: &str| format!("[ 9.0] pci {name}: Resources present before probing\n");
    let log = [device("a"), device("b"), refused("a"), refused("b")].concat();
    let findings = judge(&log).findings;
    let named: Vec<_> = findings.iter().map(|finding| &*finding.device).collect();
    assert_eq!(named, ["a", "b"]);
    for finding in &findings {
        assert!(finding.meaning.contains("DR008"), "{}", finding.meaning);
    }
    // Added before it, or behind it, it is no release's.
    for order in [[1, 0, 2], [0, 2, 1]] {
        let text = device("a");
        let lines: Vec<&str> = text.lines().collect();
        let lines: String = order.map(|line| format!("{}\n", lines[line])).concat();
        let findings = judge(&[lines, refused("a")].concat()).findings;
        assert!(!findings[0].meaning.contains("DR008"), "{order:?}");
    }
}

#[test]
fn nobody_is_blamed_where_several_components_go_at_once() {
    let another = "\
[    9.000005] panel-dsi panel.0: DEVRES REL 00000000cccc0001 grp< (0 bytes)
";
    let log = [MASTER, LATER, another, UNBIND, SWALLOWED, OWN, END].concat();
    assert_eq!(found(&log), likely(Severity::Error, CULPRIT));
    assert_eq!(judge(&log).findings[0].caused_by, None);
}

#[test]
fn the_same_is_found_in_every_form_of_log() {
    let log = [MASTER, LATER, UNBIND, SWALLOWED, OWN, END].concat();
    let each = |change: &dyn Fn(&str) -> String| -> String { log.lines().map(change).collect() };
    let message = |line: &str| line.split_once("] ").unwrap().1.to_owned();
    let time = |line: &str| line[1..13].trim().to_owned();
    for (form, severity) in [
        (each(&|line| format!("> {line}\r\n")), Severity::Error),
        (
            each(&|line| format!("<3>{}\n", line.replace("] ", "][  T312] "))),
            Severity::Error,
        ),
        (
            each(&|line| line.replacen(" DEVRES", "\nDEVRES", 1) + "\n"),
            Severity::Error,
        ),
        (
            each(&|line| message(line) + "\n"),
            // Without times a failed bind can't be told from an unbind.
            Severity::Warn,
        ),
        (
            each(&|line| {
                let (_, event) = line.split_once(": DEVRES ").unwrap();
                let (subject, _) = line.split_once(": DEVRES").unwrap();
                let device = subject.rsplit(' ').next().unwrap();
                format!(
                    "  sh-312  [001] d..1. {}: devres_log: {device} {event}\n",
                    time(line)
                )
            }),
            Severity::Error,
        ),
    ] {
        let found = found(&form);
        assert_eq!(found.len(), 1, "{form}\n{found:?}");
        let (found, certainty, fingerprint) = &found[0];
        assert!(fingerprint.ends_with("/devm_irq_release"), "{fingerprint}");
        assert_eq!(
            (*found, *certainty),
            (severity, Certainty::Likely),
            "{form}"
        );
    }
}

#[test]
fn a_master_that_lives_on_or_is_unbound_later_lost_its_resources_all_the_same() {
    for after in [
        "[   11.000000] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0009 devm_kzalloc_release (8 bytes)\n",
        "[   60.000000] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0003 devm_component_match_release (24 bytes)\n",
    ] {
        let log = [MASTER, LATER, UNBIND, SWALLOWED, OWN, END, after].concat();
        assert_eq!(found(&log), likely(Severity::Error, CULPRIT), "{after}");
    }
    // Only its own lines are there, and it goes on: somebody released its group.
    let own: Vec<String> = [MASTER, LATER, UNBIND, SWALLOWED, OWN]
        .concat()
        .lines()
        .filter(|line| line.contains("rockchip-drm"))
        .map(|line| format!("{line}\n"))
        .collect();
    let own = own.concat();
    let after = "[   11.000000] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0009 devm_kzalloc_release (8 bytes)\n";
    assert_eq!(
        found(&[own.as_str(), after].concat()),
        likely(Severity::Warn, CULPRIT)
    );
    assert_eq!(found(&own), []);
    let silent = judge(&own);
    let why: Vec<_> = silent
        .undecided
        .iter()
        .filter(|undecided| undecided.rule == "DR003" && undecided.devices == 1)
        .collect();
    assert_eq!(why.len(), 1, "{:?}", silent.undecided);
}
