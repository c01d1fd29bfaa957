//! Reports that are wrapped, cut, doubled or mixed with others.

use devres_tracer::{
    finding::{Certainty, Severity},
    rules::RuleSet,
    source::text,
};

use super::{
    OPEN, PROVEN, log,
    support::{judge, judge_by},
};

/// What others put around a log.
fn wrapped(log: &str) -> Vec<(&'static str, String)> {
    let each = |line: &dyn Fn(&str) -> String| -> String {
        log.lines().map(|text| line(text) + "\n").collect()
    };
    let message = |text: &str| match text.split_once("] ") {
        Some((_, message)) => message.to_owned(),
        None => text.to_owned(),
    };
    vec![
        ("a mail", each(&|text| format!("> {text}"))),
        (
            "syslog",
            each(&|text| format!("Mar 10 21:17:16 pc kernel: {text}")),
        ),
        ("levels", each(&|text| format!("<4>{text}"))),
        ("callers", each(&|text| text.replacen("] ", "][  T12] ", 1))),
        (
            "CI",
            each(&|text| format!("2024-01-02T03:04:05.678901Z {text}")),
        ),
        ("no times", each(&message)),
        ("carriage returns", log.replace('\n', "\r\n")),
        (
            "JSON",
            each(&|text| {
                format!(
                    "{{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":{}}}",
                    serde_json::Value::from(message(text))
                )
            }),
        ),
        (
            "web page",
            each(&|text| {
                text.replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;")
            }),
        ),
    ]
}

#[test]
fn reports_are_read_in_every_wrapping() {
    let names = PROVEN
        .iter()
        .map(|proves| proves.0)
        .chain(OPEN.iter().map(|open| open.0));
    for name in names {
        let plain = log(name);
        let expected: Vec<_> = judge(&plain)
            .findings
            .into_iter()
            .map(|finding| (finding.fingerprint, finding.summary))
            .collect();
        for (wrapping, log) in wrapped(&plain) {
            let found: Vec<_> = judge(&log)
                .findings
                .into_iter()
                .map(|finding| (finding.fingerprint, finding.summary))
                .collect();
            assert_eq!(found, expected, "{name} in {wrapping}");
        }
    }
}

/// Whatever is missing of a log, no other rule accuses, and none does so more surely.
#[test]
fn cut_and_doubled_reports_accuse_nobody_else() {
    let names = PROVEN
        .iter()
        .map(|proves| (proves.0, Some(proves.1)))
        .chain(OPEN.iter().map(|open| (open.0, None)));
    for (name, rule) in names {
        let whole = log(name);
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        for at in 0..lines.len() {
            let without = [&lines[..at], &lines[at + 1..]].concat().concat();
            let doubled = [&lines[..=at], &lines[at..]].concat().concat();
            for (what, part) in [
                ("from", lines[at..].concat()),
                ("up to", lines[..at].concat()),
                ("without", without),
                ("twice", doubled),
            ] {
                let Ok(import) = text::read(part.as_bytes()) else {
                    continue;
                };
                for finding in judge_by(&import, RuleSet::all()).findings {
                    let of_rule = rule == Some(finding.rule) || finding.rule == "DR022";
                    // A report from drivers/base/devres.c of which only the registers are left.
                    let bare = finding.rule == "DR005" && finding.severity == Severity::Warn;
                    let is_fair = of_rule || finding.severity == Severity::Info || bare;
                    assert!(is_fair, "{name}: {what} {at}: {finding:#?}");
                    assert_eq!(finding.certainty, Certainty::Likely, "{name}: {what} {at}");
                }
            }
        }
    }
}

#[test]
fn two_reports_at_once_are_told_apart_by_who_wrote_them() {
    let one = log("active-in-memory.log").replace("] ", "][  T101] ");
    let two = log("irq-freed-twice.log").replace("] ", "][  T202] ");
    let (mut one, mut two) = (one.lines(), two.lines());
    let mut mixed = String::new();
    loop {
        let next = [one.next(), two.next()];
        if next == [None, None] {
            break;
        }
        for line in next.into_iter().flatten() {
            mixed.push_str(line);
            mixed.push('\n');
        }
    }
    let mut found: Vec<_> = judge(&mixed)
        .findings
        .into_iter()
        .map(|finding| finding.rule)
        .collect();
    found.sort_unstable();
    assert_eq!(found, ["DR013", "DR021"]);
}

#[test]
fn a_name_in_a_report_is_no_command() {
    let log = log("failed-probe-refcount.log").replace("radeonish(+)", "x;reboot(-)");
    let outcome = judge(&log);
    for command in &outcome.findings[0].next {
        assert!(!command.contains("reboot"), "{command}");
    }
}
