//! Records that a mail program has put on one line and then wrapped: within a time, a message, or a frame.

use devres_tracer::finding::Severity;

use super::{judge, log};

/// The lines of a log in groups of so many, each of them one paragraph in lines of at most this width.
fn joined(log: &str, group: usize, width: usize) -> String {
    let records: Vec<&str> = log.lines().collect();
    let mut text = String::new();
    for records in records.chunks(group) {
        let mut column = 0;
        for word in records.join(" ").split(' ') {
            if column > 0 && column + 1 + word.len() > width {
                text.push('\n');
                column = 0;
            } else if column > 0 || word.is_empty() {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += word.len();
        }
        text.push('\n');
    }
    text
}

fn found(log: &str) -> Vec<(String, Severity)> {
    let findings = judge(log).findings.into_iter();
    findings
        .map(|finding| (finding.fingerprint, finding.severity))
        .collect()
}

/// Only their times show where one ends.
#[test]
fn records_on_one_line_are_the_same_report_however_wrapped() {
    for name in [
        "action-after-remove.log",
        "irq-freed-twice.log",
        "clock-already-off.log",
        "hung.log",
        "regulator-still-on.log",
    ] {
        let whole = log(name);
        let expected = found(&whole);
        for group in [2, 3] {
            for width in [72, 79, 100] {
                let log = joined(&whole, group, width);
                assert_eq!(found(&log), expected, "{name} {group} {width}\n{log}");
            }
        }
    }
}

/// What a forum makes of the system's log: one paragraph, in which each record has its own date.
#[test]
fn records_of_the_system_log_in_one_paragraph_are_the_same_report() {
    for name in [
        "used-after-unbind.log",
        "hung.log",
        "regulator-still-on.log",
    ] {
        let whole = log(name);
        let date = |line: &str| {
            let text = line.split_once("] ").map_or(line, |(_, text)| text);
            format!("Oct 12 00:20:01 pc kernel: {text}")
        };
        let records: Vec<String> = whole.lines().map(date).collect();
        let expected = found(&records.join("\n"));
        assert!(!expected.is_empty(), "{name}");
        for group in [2, 3, 5] {
            let paragraphs: Vec<String> =
                records.chunks(group).map(|some| some.join(" ")).collect();
            let log = paragraphs.join("\n");
            assert_eq!(found(&log), expected, "{name} {group}\n{log}");
        }
    }
}
