//! Reports that are wrapped, cut, doubled or mixed with others.

use devres_tracer::{
    engine::Verdict,
    finding::{Certainty, Severity},
    rules::RuleSet,
    source::text,
};

use super::{
    OPEN, PROVEN, log,
    support::{self, judge, judge_by},
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
            "journalctl -o short-monotonic",
            each(&|text| match text.split_once("] ") {
                Some((time, message)) => format!("{time}] pc kernel: {message}"),
                None => format!("[    1.000000] pc kernel: {text}"),
            }),
        ),
        (
            "dmesg -J",
            each(&|text| {
                let (time, message) = text.split_once("] ").unwrap_or(("1.0", text));
                format!(
                    "{{\n\"pri\": 4,\n\"time\": {},\n\"msg\": {}\n}},",
                    time.trim_start_matches('[').trim(),
                    serde_json::Value::from(message)
                )
            }),
        ),
        // Test machines whose console has no times of the kernel's.
        (
            "the time of day",
            each(&|text| format!("21:52:21.123  {}", message(text))),
        ),
        (
            "a container",
            each(&|text| format!("2024-01-02T03:04:05.678901234Z stdout F {}", message(text))),
        ),
        (
            "a job and its step",
            each(&|text| {
                format!(
                    "boot\tRun qemu\t2024-01-02T03:04:05.6789012Z {}",
                    message(text)
                )
            }),
        ),
        (
            "LAVA",
            each(&|text| {
                let message = serde_json::Value::from(message(text));
                format!(
                    "- {{\"dt\": \"2024-01-02T03:04:05\", \"lvl\": \"target\", \"msg\": {message}}}"
                )
            }),
        ),
        (
            "a collector",
            each(&|text| {
                let message = serde_json::Value::from(message(text));
                format!("{{\"@timestamp\":\"2024-01-02T03:04:05Z\",\"message\":{message}}}")
            }),
        ),
        (
            "a job's log",
            each(&|text| format!("2024-01-02T03:04:05.678901Z 01O {text}")),
        ),
        ("lines apart", log.replace('\n', "\n\n")),
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

/// A report whose lines follow each other in time, and say who writes them.
pub(super) fn written_by(log: &str, who: &str) -> Vec<String> {
    let message = |text: &'_ str| {
        text.split_once("] ")
            .map_or(text, |(_, rest)| rest)
            .to_owned()
    };
    log.lines()
        .zip(0..)
        .map(|(text, number)| format!("[   50.{number:06}]{who} {}", message(text)))
        .collect()
}

/// The lines of one log among those of another.
fn mixed(one: &[String], two: &[String]) -> String {
    let mut text = String::new();
    for number in 0..one.len().max(two.len()) {
        for line in [one.get(number), two.get(number)].into_iter().flatten() {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

pub(super) fn accusations(log: &str) -> Vec<(String, Severity)> {
    judge(log)
        .findings
        .into_iter()
        .filter(|finding| finding.severity > Severity::Info)
        .map(|finding| (finding.fingerprint, finding.severity))
        .collect()
}

#[test]
fn two_reports_at_once_are_told_apart_by_who_wrote_them() {
    let names: Vec<&str> = PROVEN.iter().map(|proves| proves.0).collect();
    for one in &names {
        for two in names.iter().filter(|two| *two != one) {
            let one_lines = written_by(&log(one), "[  T101]");
            let two_lines = written_by(&log(two), "[  T202]");
            let mut expected = accusations(&one_lines.join("\n"));
            expected.extend(accusations(&two_lines.join("\n")));
            let mut found = accusations(&mixed(&one_lines, &two_lines));
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{one} and {two}");
        }
    }
}

const WHOLE_KASAN: &str = "\
BUG: KASAN: slab-use-after-free in acme_detach+0x58/0x220 [acme]
Read of size 4 at addr ffff88810a2b3c28 by task rmmod/400
CPU: 1 PID: 400 Comm: rmmod Not tainted 6.6.0 #3
Call Trace:
 <TASK>
 kasan_report+0xb5/0xf0
 acme_detach+0x58/0x220 [acme]
 devm_action_release+0x12/0x20
 release_nodes+0x3e/0xb0
 devres_release_all+0x8e/0xc0
 device_unbind_cleanup+0xe/0x70
 device_release_driver_internal+0x1c0/0x200
 </TASK>
Freed by task 400:
 kfree+0x74/0x120
 acme_remove+0x2a/0x40 [acme]
 platform_remove+0x2a/0x50
 device_release_driver_internal+0x1c0/0x200
";

const WHOLE_HUNG: &str = "\
INFO: task sh:512 blocked for more than 120 seconds.
task:sh              state:D stack:0     pid:512   ppid:1
Call Trace:
 <TASK>
 __schedule+0x351/0xa20
 other_wait+0x12/0x20 [other]
 devm_action_release+0x12/0x20
 release_nodes+0x3e/0xb0
 devres_release_all+0x8e/0xc0
 device_unbind_cleanup+0xe/0x70
 </TASK>
";

/// Nothing says who wrote which line: the function of one is not accused of what the other reports.
#[test]
fn reports_whose_lines_are_mixed_prove_nothing() {
    let alone = accusations(WHOLE_KASAN);
    assert_eq!(alone.len(), 1, "{alone:?}");
    let (kasan, hung) = (written_by(WHOLE_KASAN, ""), written_by(WHOLE_HUNG, ""));
    for behind in 0..kasan.len() {
        let late = [vec![String::new(); behind], hung.clone()].concat();
        let early = [vec![String::new(); behind], kasan.clone()].concat();
        for text in [mixed(&kasan, &late), mixed(&early, &hung)] {
            for (fingerprint, _) in accusations(&text) {
                let own = fingerprint == "DR013/?/?/kasan/acme_detach"
                    || fingerprint == "DR019/?/?/hung-task/other_wait";
                assert!(own, "{behind}: {fingerprint}\n{text}");
            }
        }
    }
}

#[test]
fn a_report_about_memory_without_the_function_that_used_it_proves_nothing() {
    let lost: String = WHOLE_KASAN
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(" acme_detach"))
        .collect();
    assert_eq!(accusations(&lost), []);
    for rule in ["DR013", "DR021"] {
        let only = RuleSet::all().only(&[rule]).unwrap();
        let verdict = judge_by(&support::import(&lost), only).verdict(Severity::Warn);
        assert_eq!(verdict, Verdict::Inconclusive, "{rule}");
    }
}

#[test]
fn a_report_that_has_lost_its_first_line_leaves_open_what_it_could_prove() {
    let whole = log("regulator-still-on.log");
    let lost: String = whole
        .split_inclusive('\n')
        .filter(|line| !line.contains("WARNING"))
        .collect();
    let only = RuleSet::all().only(&["DR023"]).unwrap();
    let outcome = judge_by(&support::import(&lost), only);
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
}

#[test]
fn a_name_in_a_report_is_no_command() {
    let log = log("failed-probe-refcount.log").replace("radeonish(+)", "x;reboot(-)");
    let outcome = judge(&log);
    for command in &outcome.findings[0].next {
        assert!(!command.contains("reboot"), "{command}");
    }
}

/// A mail breaks lines between words: those that begin a report say the same as before.
#[test]
fn first_lines_may_be_wrapped_anywhere() {
    let names = PROVEN.iter().map(|proves| proves.0);
    let begins = |line: &str| {
        ["BUG: K", "ODEBUG: ", "WARNING: ", "already-free"]
            .iter()
            .any(|words| line.contains(words))
    };
    let mut tried = 0;
    for name in names {
        let whole = log(name);
        let found = |log: &str| -> Vec<_> {
            let findings = judge(log).findings.into_iter();
            findings
                .map(|finding| (finding.fingerprint, finding.summary))
                .collect()
        };
        let expected = found(&whole);
        for line in whole.lines().filter(|line| begins(line)) {
            // As far behind the beginning as a line is full.
            for (at, _) in line.match_indices(' ').filter(|(at, _)| *at >= 50) {
                let (first, rest) = line.split_at(at);
                for mark in ["", "> "] {
                    let broken = format!("{mark}{first}\n{mark}{}", &rest[1..]);
                    let log = whole.replacen(line, &broken, 1);
                    assert_eq!(found(&log), expected, "{name}: {broken}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

/// A mail wraps each line where it is full, wherever that is.
#[test]
fn whole_reports_may_be_wrapped() {
    let prefix = "Mar 10 21:52:21 workstation.example kernel: ";
    for name in [
        "irq-freed-twice.log",
        "action-after-remove.log",
        "used-after-unbind.log",
        "hung.log",
        "duplicate-name.log",
        "irq-not-there.log",
    ] {
        let whole = log(name);
        let lines = whole.lines().map(|line| {
            let message = line.split_once("] ").map_or(line, |(_, message)| message);
            format!("{prefix}{message}")
        });
        let lines: Vec<String> = lines.collect();
        let found = |log: &str| -> Vec<_> {
            let findings = judge(log).findings.into_iter();
            findings
                .map(|finding| (finding.rule, finding.fingerprint))
                .collect()
        };
        let expected = found(&lines.join("\n"));
        for width in [70, 72, 76, 80] {
            let text: Vec<String> = lines.iter().map(|line| broken(line, width)).collect();
            assert_eq!(found(&text.join("\n")), expected, "{name}: {width}");
        }
    }
}

/// A line as a mail program breaks it.
fn broken(line: &str, width: usize) -> String {
    let mut rest = line;
    let mut lines = Vec::new();
    while rest.len() > width
        && let Some(at) = rest[..=width].rfind(' ').filter(|at| *at > 0)
    {
        lines.push(rest[..at].to_owned());
        rest = rest[at..].trim_start();
    }
    lines.push(rest.to_owned());
    lines.join("\n")
}

/// What runs in which release is in the order of the frames: where that is not the order of their times, nothing is.
#[test]
fn frames_that_are_out_of_order_prove_nothing() {
    let stack = |time: u32, frames: &[&str]| -> Vec<String> {
        (time..)
            .zip(frames)
            .map(|(time, frame)| format!("[  12.{time:06}]  {frame}+0x1c/0x40\n"))
            .collect()
    };
    let release = |inner: &[&'static str]| -> Vec<&'static str> {
        let outer = [
            "acme_disable",
            "devm_action_release",
            "release_nodes",
            "devres_release_all",
        ];
        [inner, &outer].concat()
    };
    let log = |used: &[String], freed: &[String]| {
        let head = "[  12.000000] BUG: KASAN: slab-use-after-free in acme_disable+0x1c/0x40\n\
                    [  12.000001] CPU: 0 PID: 9 Comm: rmmod Not tainted 6.1.0 #1\n[  12.000002] Call Trace:\n";
        let between = "[  12.000100] Freed by task 9:\n";
        let end =
            "[  12.000200] ==================================================================\n";
        [head, &used.concat(), between, &freed.concat(), end].concat()
    };
    let used = stack(10, &release(&["print_report", "kasan_report"]));
    let freed = stack(110, &release(&["kasan_save_stack", "kfree"]));
    let accused = |log: &str| {
        judge(log)
            .findings
            .iter()
            .any(|finding| finding.severity > Severity::Info)
    };
    assert!(!accused(&log(&used, &freed)));
    for at in 0..used.len() - 1 {
        let (mut swapped, mut other) = (used.clone(), freed.clone());
        swapped.swap(at, at + 1);
        other.swap(at, at + 1);
        assert!(!accused(&log(&swapped, &freed)), "{at}");
        assert!(!accused(&log(&used, &other)), "{at}");
    }
}

/// On s390 the last branch follows the stack, and is no part of it.
#[test]
fn what_follows_a_stack_is_no_part_of_it() {
    let log = "\
[   91.000000] Unable to handle kernel pointer dereference in virtual kernel address space\n\
[   91.000100] Failing address: 0000000000000000 TEID: 0000000000000483\n\
[   91.000200] Oops: 0004 ilc:3 [#1] SMP\n\
[   91.000300] Modules linked in: acme(-)\n\
[   91.000400] CPU: 1 PID: 1190 Comm: rmmod Not tainted 6.1.0 #1\n\
[   91.000500] Krnl PSW : 0704c00180000000 000003ff8012345a (acme_disable+0x1a/0x60 [acme])\n\
[   91.000600]            R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3\n\
[   91.000700] Call Trace:\n\
[   91.000800]  [<000003ff8012345a>] acme_disable+0x1a/0x60 [acme] \n\
[   91.000900]  [<000003ff80123512>] acme_remove+0x22/0x50 [acme] \n\
[   91.001000]  [<00000000125c1a2c>] device_release_driver_internal+0x1ac/0x230 \n\
[   91.001100] Last Breaking-Event-Address:\n\
[   91.001200]  [<00000000125c2b3c>] devm_action_release+0x2c/0x38\n\
[   91.001300] Kernel panic - not syncing: Fatal exception: panic_on_oops\n\
";
    assert!(
        text::read(log.as_bytes())
            .is_err_and(|error| matches!(error, text::ImportError::NoEvents { .. }))
    );
}

/// The device is that of the release right before, however often the first line came.
#[test]
fn a_first_line_that_came_twice_is_one() {
    let release =
        "[    9.000001] acme acme.0: DEVRES REL 00000000aaaa0002 devm_irq_release (16 bytes)\n";
    let first = "[    9.000002] Trying to free already-free IRQ 44\n";
    let rest = log("irq-freed-twice.log");
    let (_, rest) = rest.split_once("already-free IRQ").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    for lines in [
        release.to_owned() + first,
        release.to_owned() + first + first,
    ] {
        let findings = judge(&(lines.clone() + rest)).findings;
        let devices: Vec<_> = findings.iter().map(|finding| &*finding.device).collect();
        assert_eq!(devices, ["acme.0"], "{lines}");
    }
}
