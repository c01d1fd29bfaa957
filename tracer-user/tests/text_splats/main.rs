//! Reports of the kernel in pasted logs: what each proves, and what it does not.

mod damaged;
mod failed_probe;
mod frames;
mod headlines;
mod joined;
mod kinds;
mod names;
mod nested;
mod shown;
#[path = "../support/text.rs"]
mod support;
mod users;

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
            "the probe has failed, and the regulator is still on",
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

#[test]
fn every_managed_free_that_warns_of_what_is_not_there_is_a_miss() {
    for (function, file) in [
        ("devm_free_irq", "kernel/irq/devres.c"),
        ("devm_iounmap", "lib/devres.c"),
        ("devm_ioport_unmap", "lib/devres.c"),
        ("devm_memunmap", "kernel/iomem.c"),
        ("devm_release_resource", "kernel/resource.c"),
        ("__devm_release_region", "kernel/resource.c"),
        ("dmam_free_coherent", "kernel/dma/mapping.c"),
        ("dmam_pool_destroy", "mm/dmapool.c"),
        ("pcim_iounmap", "drivers/pci/devres.c"),
        ("devm_clk_put", "drivers/clk/clk-devres.c"),
        ("devm_of_clk_del_provider", "drivers/clk/clk.c"),
        ("devm_gpiod_put", "drivers/gpio/gpiolib-devres.c"),
        ("devm_gpiod_put_array", "drivers/gpio/gpiolib-devres.c"),
        ("devm_pinctrl_put", "drivers/pinctrl/core.c"),
        ("devm_regulator_put", "drivers/regulator/devres.c"),
        (
            "devm_regmap_del_irq_chip",
            "drivers/base/regmap/regmap-irq.c",
        ),
        ("devm_phy_put", "drivers/phy/phy-core.c"),
        ("devm_rtc_device_unregister", "drivers/rtc/class.c"),
        ("devm_led_classdev_unregister", "drivers/leds/led-class.c"),
        ("devm_of_platform_depopulate", "drivers/of/platform.c"),
        ("devm_device_remove_group", "drivers/base/core.c"),
        ("input_unregister_device", "drivers/input/input.c"),
    ] {
        let log = log("irq-not-there.log")
            .replace("kernel/irq/devres.c", file)
            .replace("devm_free_irq", function);
        let found = finding(&log, "DR016");
        assert_eq!(
            found.fingerprint,
            format!("DR016/?/?/{function}/acme_remove")
        );
        assert!(found.summary.contains(function), "{}", found.summary);
    }
    // A warning in what acquires, or in a release that devres itself calls, is no miss.
    for function in [
        "devm_clk_get",
        "devm_regulator_release",
        "input_register_device",
    ] {
        let log = log("irq-not-there.log").replace("devm_free_irq", function);
        let of_rule = |finding: &Finding| finding.rule == "DR016";
        assert!(!judge_or_nothing(&log).iter().any(of_rule), "{function}");
    }
}

/// What is found in a log, which may have nothing of devres in it.
fn judge_or_nothing(log: &str) -> Vec<Finding> {
    match text::read(log.as_bytes()) {
        Ok(_) => judge(log).findings,
        Err(ImportError::NoEvents { .. }) => Vec::new(),
        Err(error) => panic!("{error}"),
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
    (
        "irq-number-freed.log",
        &[
            "A warning (interrupt 45 still has a handler) in remove_proc_entry, during an unbind.",
            "If devm_request_irq() requested it",
            "modprobe -r acme",
        ],
    ),
    (
        "powerpc-oops.log",
        &[
            "An oops (NULL pointer dereference) in the release acme_disable [acme], during an unbind.",
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
    let Err(error @ ImportError::NoEvents { .. }) = read else {
        unreachable!();
    };
    let said = error.to_string();
    assert!(
        said.contains("1 report of the kernel is among them, without devres on its stacks"),
        "{said}"
    );
    // One that was cut off before its stack says nothing of it.
    let cut: Vec<String> = log("no-devres.log")
        .lines()
        .take_while(|line| !line.to_lowercase().contains("call trace:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let cut = cut.concat();
    let said = text::read(cut.as_bytes())
        .err()
        .map(|error| error.to_string());
    assert!(
        said.as_deref()
            .is_some_and(|said| said.contains("1 report of the kernel is cut off before the stack")),
        "{said:?}"
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
