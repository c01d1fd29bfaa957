//! Reports of the kernel in pasted logs: what each proves, and what it does not.

#[path = "support/text.rs"]
mod support;

use std::{fs, path::PathBuf, sync::Arc};

use devres_tracer::{
    engine::{Engine, Verdict},
    event::{EventKind, Message, splat::Splat},
    finding::{Certainty, Finding, Severity, text::Text},
    rules::RuleSet,
    source::text::{self, Import, ImportError},
};
use proptest::prelude::*;
use support::{judge, judge_by};

fn log(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/splats")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn splats(import: &Import) -> Vec<Splat> {
    import
        .events()
        .filter_map(|event| match event.kind {
            EventKind::Message(Message::Splat(splat)) => Some(*splat),
            _ => None,
        })
        .collect()
}

/// The one finding of this log by this rule, and nothing worse by another.
fn finding(log: &str, rule: &str) -> Finding {
    let outcome = judge(log);
    let accused: Vec<_> = outcome
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Info || finding.rule == rule)
        .collect();
    let [one] = accused[..] else {
        panic!("{log}: {accused:#?}");
    };
    assert_eq!(one.rule, rule, "{log}");
    one.clone()
}

/// What a log proves: rule, severity, the end of the fingerprint, the device, and words of the story.
type Proves<'a> = (&'a str, &'a str, Severity, &'a str, &'a str, &'a [&'a str]);

const UNKNOWN: &str = "an unknown device";

const PROVEN: &[Proves<'_>] = &[
    (
        "regulator-still-on.log",
        "DR023",
        Severity::Warn,
        "/devm_regulator_release",
        UNKNOWN,
        &[
            "still enabled when the release devm_regulator_release put it, after a failed probe",
            "fails later, and does not disable it",
        ],
    ),
    (
        "irq-not-there.log",
        "DR016",
        Severity::Warn,
        "/devm_free_irq/acme_remove",
        UNKNOWN,
        &["devm_free_irq()", "acme_remove [acme]"],
    ),
    (
        "irq-freed-twice.log",
        "DR021",
        Severity::Error,
        "/already-free-irq/devm_irq_release",
        "acme.1",
        &[
            "Interrupt 44",
            "the release devm_irq_release",
            "during an unbind",
        ],
    ),
    (
        "active-in-memory.log",
        "DR013",
        Severity::Error,
        "/acme_poll",
        UNKNOWN,
        &[
            "active timer_list that would call acme_poll",
            "during an unbind",
        ],
    ),
    (
        "action-after-remove.log",
        "DR013",
        Severity::Error,
        "/kasan/acme_detach",
        "acme.0",
        &[
            "The release acme_detach used memory that acme_remove had freed before",
            "acme_probe allocates the memory",
            "acme_remove frees the memory, during an unbind",
        ],
    ),
    (
        "managed-memory-too-young.log",
        "DR013",
        Severity::Error,
        "/kasan/devm_component_release",
        UNKNOWN,
        &[
            "The release devm_component_release [snd_acme] used managed memory that had been released before",
            "acme_topology_load [snd_acme] allocates the memory by devm_kmalloc",
            "devres releases the memory, during an unbind",
            "in snd_acme_unregister [snd_acme]",
        ],
    ),
    (
        "used-after-unbind.log",
        "DR013",
        Severity::Error,
        "/kasan/acme_timer",
        UNKNOWN,
        &["acme_timer [acme] used managed memory that had been released before, during an unbind"],
    ),
    (
        "freed-by-hand.log",
        "DR021",
        Severity::Error,
        "/kasan/acme_remove",
        UNKNOWN,
        &["acme_remove [acme] freed managed memory explicitly, during an unbind"],
    ),
    (
        "kfence.log",
        "DR013",
        Severity::Error,
        "/kfence/acme_work",
        UNKNOWN,
        &[
            "acme_work [acme] used managed memory that had been released before, after a failed probe",
            "acme_probe [acme] allocates the memory by devm_kmalloc",
        ],
    ),
    (
        "syzbot.log",
        "DR013",
        Severity::Error,
        "/kasan/acme_read",
        UNKNOWN,
        &[
            "acme_read used managed memory that had been released before, during an unbind",
            "acme_probe allocates the memory by devm_kmalloc",
        ],
    ),
    (
        "poison.log",
        "DR013",
        Severity::Error,
        "/slab/acme_probe",
        UNKNOWN,
        &["Somebody used managed memory that had been released before, during an unbind"],
    ),
    (
        "lockup.log",
        "DR019",
        Severity::Warn,
        "/lockup/acme_wait_idle",
        UNKNOWN,
        &["The release acme_wait_idle [acme] kept a CPU for 22 s, during an unbind"],
    ),
    (
        "hung.log",
        "DR019",
        Severity::Warn,
        "/hung-task/acme_stop_thread",
        UNKNOWN,
        &["The release acme_stop_thread [acme] was blocked for more than 120 s, during an unbind"],
    ),
];

#[test]
fn what_a_report_proves_is_the_rules_finding() {
    for (name, rule, severity, end, device, words) in PROVEN {
        let found = finding(&log(name), rule);
        assert_eq!(found.severity, *severity, "{name}");
        assert_eq!(found.certainty, Certainty::Likely, "{name}");
        assert!(
            found.fingerprint.ends_with(end),
            "{name}: {}",
            found.fingerprint
        );
        assert_eq!(found.device, *device, "{name}");
        let told = [
            found.summary.clone(),
            found
                .order
                .iter()
                .map(|step| step.what.clone())
                .collect::<Vec<_>>()
                .join("\n"),
        ]
        .join("\n");
        for words in *words {
            assert!(told.contains(words), "{name}: {words}\n{told}");
        }
        let expected = if *severity == Severity::Error {
            Verdict::Findings
        } else {
            Verdict::Inconclusive
        };
        assert_eq!(
            judge(&log(name)).verdict(Severity::Error),
            expected,
            "{name}"
        );
    }
}

/// From these no rule follows: what is said of them, and what to run.
const OPEN: &[(&str, &[&str])] = &[
    (
        "oops-without-beginning.log",
        &[
            "An oops while devres_release_group releases resources, during an unbind",
            "trace_event=dev:devres_log tp_printk",
            "modprobe -r acme",
        ],
    ),
    (
        "arm64-oops-without-beginning.log",
        &[
            "An oops while devres_release_group releases resources",
            "tp_printk",
        ],
    ),
    (
        "abort.log",
        &[
            "An external abort (synchronous external abort) in the release acme_pwm_disable [acme_pwm], during an unbind.",
            "DR001",
        ],
    ),
    (
        "arm-abort.log",
        &[
            "An external abort in the release acme_adc_off [acme_adc]",
            "after a failed probe",
            "modprobe acme_adc",
        ],
    ),
    (
        "duplicate-name.log",
        &[
            "/devices/platform/acme.0/leds/acme:green",
            "below devm_led_classdev_register_ext, during a probe",
            "only the messenger",
            "acme_led_probe",
        ],
    ),
    (
        "messenger.log",
        &["only the messenger", "devm_kmalloc", "acme_probe [acme]"],
    ),
    (
        "clock-already-off.log",
        &[
            "A warning (drivers/clk/clk.c:1090) in clk_core_disable, in the release devm_clk_release, during an unbind.",
            "It was already off",
            "devres-tracer record -o acme_spi.dvrt -- modprobe -r acme_spi",
        ],
    ),
    (
        "failed-probe-refcount.log",
        &[
            "A refcount warning (underflow; use-after-free.) in drm_dev_put [drm], in the release devm_drm_dev_init_release [drm], after a failed probe.",
            "devres-tracer record -o 0000-c1-00.0.dvrt -- ",
        ],
    ),
];

#[test]
fn what_a_report_leaves_open_is_said_and_inconclusive() {
    for (name, words) in OPEN {
        let log = log(name);
        let outcome = judge(&log);
        let found: Vec<_> = outcome
            .findings
            .iter()
            .map(|finding| (finding.rule, finding.severity, finding.certainty))
            .collect();
        assert_eq!(
            found,
            [("DR022", Severity::Info, Certainty::Likely)],
            "{name}"
        );
        let told = Text(&outcome.findings[0]).to_string();
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in *words {
            assert!(told.contains(words), "{name}: {words}\n{told}");
        }
        assert_eq!(
            outcome.verdict(Severity::Error),
            Verdict::Inconclusive,
            "{name}"
        );
        // Even alone the rule does not call it clean.
        let import = text::read(log.as_bytes()).unwrap();
        let only = RuleSet::all().only(&["DR022"]).unwrap();
        let mut engine = Engine::new(Arc::new(import.coverage().clone()), only);
        for event in import.events() {
            engine.apply(&event);
        }
        assert_eq!(
            engine.finish().verdict(Severity::Error),
            Verdict::Inconclusive,
            "{name}"
        );
    }
}

#[test]
fn a_report_without_devres_is_no_event() {
    let read = text::read(log("no-devres.log").as_bytes());
    assert!(
        matches!(read, Err(ImportError::NoEvents { .. })),
        "{read:?}"
    );
    // What an interrupt interrupted has nothing to do with it.
    let interrupted = log("used-after-unbind.log");
    let (head, _) = interrupted.split_once("Allocated by").unwrap();
    let read = text::read(head.as_bytes());
    assert!(
        matches!(read, Err(ImportError::NoEvents { .. })),
        "{read:?}"
    );
}

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

/// A report whose lines follow each other in time, and tell who writes them.
fn written_by(log: &str, who: &str) -> Vec<String> {
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

fn accusations(log: &str) -> Vec<(String, Severity)> {
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

/// Who wrote which line, nobody tells: the function of one is not accused of what the other reports.
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
fn the_kernels_words_and_stacks_are_kept() {
    let import = text::read(log("action-after-remove.log").as_bytes()).unwrap();
    let [splat] = &splats(&import)[..] else {
        panic!("{:?}", splats(&import));
    };
    assert_eq!(
        splat.to_string(),
        "KASAN report (slab-use-after-free) in the release acme_detach"
    );
    assert_eq!(splat.stacks.len(), 3);
    let lines = import.statistics();
    assert_eq!(lines.lines, lines.event_lines + lines.other_lines);
    assert_eq!(lines.messages, 1);
}

#[test]
fn a_name_in_a_report_is_no_command() {
    let log = log("failed-probe-refcount.log").replace("radeonish(+)", "x;reboot(-)");
    let outcome = judge(&log);
    for command in &outcome.findings[0].next {
        assert!(!command.contains("reboot"), "{command}");
    }
}

proptest! {
    /// Lines of all reports in any order, each any number of times: nothing panics, every line is counted.
    #[test]
    fn lines_of_reports_in_any_order_are_read(
        picks in prop::collection::vec((0_usize..22, 0_usize..40), 0..120),
    ) {
        let names: Vec<&str> = PROVEN
            .iter()
            .map(|proves| proves.0)
            .chain(OPEN.iter().map(|open| open.0))
            .collect();
        let logs: Vec<String> = names.iter().map(|name| log(name)).collect();
        let lines: Vec<&str> = picks
            .iter()
            .filter_map(|(which, line)| logs.get(which % logs.len())?.lines().nth(*line))
            .collect();
        let text = lines.join("\n");
        if let Ok(import) = text::read(text.as_bytes()) {
            let lines = import.statistics();
            prop_assert_eq!(lines.lines, lines.event_lines + lines.other_lines);
            judge_by(&import, RuleSet::all());
        }
    }
}
