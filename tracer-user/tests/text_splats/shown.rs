//! Stacks that nobody reported, whose lines are mixed, or that lack the frames of devres.

use devres_tracer::finding::Severity;

use super::{finding, judge, log};

/// What nobody reported: a task's stack that somebody asked for, and stacks that bpftrace has counted.
#[test]
fn stacks_that_nobody_reported_are_no_fault() {
    let frames = "release_nodes devres_release_all device_unbind_cleanup unbind_store";
    let asked: Vec<String> = frames
        .split(' ')
        .map(|name| format!("[<0>] {name}+0x5a/0x110\n"))
        .collect();
    let asked = asked.concat();
    let counted: Vec<String> = frames
        .split(' ')
        .map(|name| format!("    {name}+90\n"))
        .collect();
    let counted = counted.concat();
    let counted = format!("Attaching 4 probes...\n@[\n{counted}]: 3\n");
    for log in [asked, counted] {
        let found = finding(&log, "DR022");
        let summary = &found.summary;
        assert!(summary.contains("shown along with others"), "{summary}");
    }
}

/// Two reports line by line: no words of the one are said of the other.
#[test]
fn mixed_reports_are_called_so() {
    let report = |task: u32, function: &str| {
        [
            format!("WARNING: CPU: 1 PID: {task} at drivers/acme/core.c:19 {function}+0x30/0x40"),
            format!("CPU: 1 PID: {task} Comm: modprobe Not tainted 6.9.3 #3"),
            "Call trace:".to_owned(),
            format!(" {function}+0x30/0x40 [acme]"),
            " devm_action_release+0x14/0x20".to_owned(),
            " release_nodes+0x44/0x60".to_owned(),
            " devres_release_all+0xa0/0x100".to_owned(),
            " device_unbind_cleanup+0x14/0x60".to_owned(),
        ]
    };
    let (one, other) = (report(8, "acme_off"), report(9, "acme_stop"));
    let log: Vec<String> = one
        .iter()
        .zip(&other)
        .map(|(one, other)| format!("{one}\n{other}\n"))
        .collect();
    let log = log.concat();
    let outcome = judge(&log);
    assert!(!outcome.findings.is_empty(), "{log}");
    for found in &outcome.findings {
        assert!(found.severity == Severity::Info, "{found:#?}");
        assert!(!found.summary.contains("acme_"), "{found:#?}");
        assert!(found.meaning.contains("CONFIG_PRINTK_CALLER"), "{found:#?}");
    }
}

/// A compiler that sees the whole kernel puts devres into the driver core.
#[test]
fn a_release_is_one_without_a_frame_of_devres() {
    for (name, rule) in [
        ("irq-freed-twice.log", "DR021"),
        ("regulator-still-on.log", "DR023"),
    ] {
        let whole = log(name);
        let inlined: Vec<String> = whole
            .lines()
            .filter(|line| !line.contains("release_nodes") && !line.contains("devres_release_all"))
            .map(|line| format!("{line}\n"))
            .collect();
        let inlined = inlined.concat();
        assert_ne!(whole, inlined);
        let (whole, inlined) = (finding(&whole, rule), finding(&inlined, rule));
        assert_eq!(whole.fingerprint, inlined.fingerprint, "{name}");
        assert_eq!(whole.summary, inlined.summary, "{name}");
    }
}
