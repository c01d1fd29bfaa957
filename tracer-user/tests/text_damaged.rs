//! Texts that lost, doubled or swapped a line, or in which something hangs: small ones, each with the right answer.

#[path = "support/text.rs"]
mod support;

use devres_tracer::{
    engine::{Outcome, Verdict},
    finding::Severity,
};
use support::{import, judge};

fn rules(outcome: &Outcome) -> Vec<(&'static str, Severity)> {
    let findings = outcome.findings.iter();
    findings
        .map(|finding| (finding.rule, finding.severity))
        .collect()
}

/// Nobody is accused, nobody is called innocent, and the text is said not to fit.
fn is_doubted(text: &str, rule: &str) {
    let outcome = judge(text);
    assert_eq!(rules(&outcome), [], "{text}");
    assert!(outcome.misfits > 0, "{text}");
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
    let undecided = outcome.undecided.iter().any(|one| one.rule == rule);
    assert!(undecided, "{rule}: {:?}", outcome.undecided);
}

const GROUP: &str = "\
modprobe-210 [001] ..... 20.100000: device_initialize: (device_initialize+0x0/0x120) dev=0xff110000012a4000
modprobe-210 [001] ..... 20.100100: open_group: (devres_open_group+0x0/0x110) dev=0xff110000012a4000 id=0x77
modprobe-210 [001] d..1. 20.100104: add_dr: (add_dr+0x0/0xc0) dev=0xff110000012a4000 node=0xff110000012b0000 rel=group_open_release+0x0/0x10
modprobe-210 [001] d..1. 20.100105: devres_log: acme.1 ADD 00000000a11c0001 grp< (0 bytes)
";
const CLOSING: &str = "\
modprobe-210 [001] ..... 20.100200: close_group: (devres_close_group+0x0/0xa0) dev=0xff110000012a4000 id=0x77
";
const CLOSED: &str = "\
modprobe-210 [001] d..1. 20.100204: add_dr: (add_dr+0x0/0xc0) dev=0xff110000012a4000 node=0xff110000012b0028 rel=group_close_release+0x0/0x10
modprobe-210 [001] d..1. 20.100205: devres_log: acme.1 ADD 00000000a11c0002 grp> (0 bytes)
";

#[test]
fn a_group_closed_by_a_call_that_is_not_in_the_text_is_not_closed_twice() {
    let later = CLOSING.replace("20.100200", "20.100300");
    is_doubted(&[GROUP, CLOSED, &later].concat(), "DR005");
    let whole = judge(&[GROUP, CLOSING, CLOSED].concat());
    assert_eq!((whole.misfits, rules(&whole)), (0, vec![]));
    let twice = judge(&[GROUP, CLOSING, CLOSED, &later].concat());
    assert_eq!(rules(&twice), [("DR005", Severity::Error)]);
}

#[test]
fn a_device_that_only_calls_name_by_its_address_is_not_told_to_lack_groups() {
    let unconnected: String = [GROUP, CLOSING, CLOSED]
        .concat()
        .lines()
        .filter(|line| !line.contains("add_dr"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let outcome = judge(&unconnected);
    assert_eq!(rules(&outcome), []);
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
}

#[test]
fn a_line_that_is_there_twice_is_one_event() {
    let doubled = "modprobe-210 [001] d..1. 20.100105: devres_log: acme.1 ADD 00000000a11c0001 grp< (0 bytes)\n";
    let outcome = judge(&[GROUP, doubled, CLOSING, CLOSED].concat());
    assert_eq!((outcome.misfits, rules(&outcome)), (1, vec![]));
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
}

#[test]
fn a_line_that_is_there_twice_silences_no_hook() {
    let text = "\
modprobe-210 [001] ..... 20.100000: device_initialize: (device_initialize+0x0/0x110) dev=0xffff888003001000
modprobe-210 [001] ..... 20.100050: open_group: (devres_open_group+0x0/0x100) dev=0xffff888003001000 id=0x0
modprobe-210 [001] d..1. 20.100100: add_dr: (add_dr+0x0/0xc0) dev=0xffff888003001000 node=0xffff888003002000 rel=group_open_release+0x0/0x10
modprobe-210 [001] d..1. 20.100105: devres_log: acme.1 ADD 00000000a11c0001 grp< (0 bytes)
modprobe-210 [001] d..1. 20.100105: devres_log: acme.1 ADD 00000000a11c0001 grp< (0 bytes)
modprobe-210 [001] ..... 20.100200: open_group_ret: (acme_probe+0x10c/0x330 <- devres_open_group) id=0xffff888003002000
";
    let outcome = judge(text);
    assert_eq!(rules(&outcome), []);
    assert!(outcome.misfits > 0, "{outcome:?}");
    assert_eq!(outcome.silent_hooks, []);
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
}

#[test]
fn what_was_added_later_was_not_added_after_the_unbind() {
    let text = "\
sh-9 [000] .... 50.000000: really_probe: (really_probe+0x0/0x480) dev=0xffff888003001000 name=\"acme.1\" drv=\"acme\"
sh-9 [000] d... 50.000500: really_probe_ret: (driver_probe_device+0xb6/0x100 <- really_probe) ret=1
sh-9 [000] .... 60.000000: unbind: (__device_release_driver+0x0/0x250) dev=0xffff888003001000 name=\"acme.1\"
sh-9 [000] .... 60.000100: release_all: (devres_release_all+0x0/0x50) dev=0xffff888003001000 name=\"acme.1\"
sh-9 [000] d... 60.000200: release_all_ret: (__device_release_driver+0x186/0x250 <- devres_release_all) cnt=0
sh-9 [000] d... 70.000100: add_dr: (add_dr+0x0/0x60) dev=0xffff888003001000 node=0xffff888003002000 rel=devm_irq_release+0x0/0x10
sh-9 [000] .... 70.000000: really_probe: (really_probe+0x0/0x480) dev=0xffff888003001000 name=\"acme.1\" drv=\"acme\"
";
    let outcome = judge(text);
    assert_eq!(rules(&outcome), []);
    assert!(outcome.misfits > 0);
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
}

#[test]
fn a_released_group_whose_opening_is_not_in_the_text_is_no_fault_of_the_tool() {
    let text = "\
modprobe-210 [001] .... 20.100000: device_initialize: (device_initialize+0x0/0x140) dev=0xffff888003001000
modprobe-210 [001] .... 20.100100: release_group: (devres_release_group+0x0/0xb0) dev=0xffff888003001000 id=0x0
modprobe-210 [001] d... 20.100200: release_group_ret: (acme_del+0xb2/0x140 <- devres_release_group) cnt=3
";
    let outcome = judge(text);
    assert_eq!((outcome.desyncs, rules(&outcome)), (0, vec![]));
    assert!(outcome.misfits > 0);
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
}

/// An unbind whose release waits, and something else that goes on until 300 s later.
fn stuck(returns: &str) -> String {
    format!(
        "\
{returns}rmmod-88 [000] ..... 100.000000: unbind: (device_release_driver_internal+0x0/0x60) dev=0xffff888003001000 name=\"acme.1\" driver=\"acme\"
rmmod-88 [000] ..... 100.000100: release_all: (devres_release_all+0x0/0x60) dev=0xffff888003001000 name=\"acme.1\"
rmmod-88 [000] d..1. 100.000200: devres_log: acme.1 REL 00000000a11c0001 devm_card_release (8 bytes)
sh-9 [001] ..... 107.000000: unbind: (device_release_driver_internal+0x0/0x60) dev=0xffff888003001000 name=\"acme.1\" driver=\"acme\"
bash-10 [001] d..1. 400.000200: devres_log: other.0 ADD 00000000b0b00001 devm_kzalloc_release (16 bytes)
"
    )
}

#[test]
fn a_release_that_hangs_is_told_and_who_waits_for_it() {
    let returned = "\
rmmod-88 [000] ..... 90.000000: release_all: (devres_release_all+0x0/0x60) dev=0xffff888003009000 name=\"acme.9\"
rmmod-88 [000] ..... 90.000100: release_all_ret: (device_del+0x264/0x3e0 <- devres_release_all) cnt=0
";
    for (returns, severity) in [("", Severity::Info), (returned, Severity::Warn)] {
        let outcome = judge(&stuck(returns));
        let finding = outcome
            .findings
            .iter()
            .find(|finding| finding.rule == "DR019")
            .unwrap_or_else(|| panic!("{:?}", outcome.findings));
        assert_eq!(finding.severity, severity);
        assert!(
            finding
                .summary
                .starts_with("Releasing devm_card_release of acme.1 has not ended after 6999 ms"),
            "{}",
            finding.summary
        );
        let [_, last] = &finding.order[..] else {
            panic!("{:?}", finding.order);
        };
        assert!(last.what.contains("rmmod (88)"), "{}", last.what);
    }
}

#[test]
fn a_slow_release_is_told_in_seconds_and_not_where_it_was_added() {
    let text = "\
rmmod-88 [000] ..... 100.000000: unbind: (device_release_driver_internal+0x0/0x60) dev=0xffff888003001000 name=\"acme.1\" driver=\"acme\"
rmmod-88 [000] ..... 100.000100: release_all: (devres_release_all+0x0/0x60) dev=0xffff888003001000 name=\"acme.1\"
rmmod-88 [000] d..1. 100.000200: devres_log: acme.1 REL 00000000a11c0001 devm_card_release (8 bytes)
rmmod-88 [000] d..1. 220.000200: devres_log: acme.1 REL 00000000a11c0002 devm_kzalloc_release (8 bytes)
";
    let outcome = judge(text);
    let [finding] = &outcome.findings[..] else {
        panic!("{:?}", outcome.findings);
    };
    assert_eq!(
        finding.summary,
        "Releasing devm_card_release of acme.1 took 120 s."
    );
    assert_eq!(finding.resources[0].added.phase, "unknown");
}

#[test]
fn a_log_whose_times_are_blank_is_a_log() {
    let text = "\
[] demo demo.0: Resources present before probing
[] demo demo.0: DEVRES REL 00000000c18c52fb devm_kzalloc_release (152 bytes)
";
    assert_eq!(rules(&judge(text)), [("DR007", Severity::Error)]);
}

#[test]
fn records_that_a_mail_program_has_run_together_are_told_apart() {
    for text in [
        "\
> [ 100.000100] demo demo.0: DEVRES REL 00000000c18c52fb
> devm_kzalloc_release (152 bytes) [ 100.000200] demo demo.0: DEVRES
> REL 0000000049e4adfe gate_restore (4 bytes)
",
        "\
> [ 100.000100] demo demo.0: DEVRES REL 00000000c18c52fb gate_restore (4 bytes) [ 100.000200] demo
> demo.0: DEVRES ADD 0000000049e4adfe gate_restore (4 bytes)
",
    ] {
        let import = import(text);
        assert_eq!(import.statistics().kernel_log, 2, "{text}");
        let times: Vec<u64> = import
            .events()
            .map(|event| event.time.0)
            .filter(|time| *time == 100_000_200_000)
            .collect();
        assert!(!times.is_empty(), "{text}");
        assert_eq!(judge(text).devices, 1, "{text}");
    }
}

#[test]
fn a_device_without_a_driver_is_called_after_its_bus() {
    let text =
        "[    1.0] acpi NTRG0001:01: DEVRES ADD 0000000098033b1a devm_hwmon_release (16 bytes)\n";
    let outcome = judge(text);
    let [finding] = &outcome.findings[..] else {
        panic!("{:?}", outcome.findings);
    };
    assert!(
        finding.summary.contains("a device of bus acpi"),
        "{}",
        finding.summary
    );
}
