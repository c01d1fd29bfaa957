//! What pasted logs are judged to be: culprits, and the innocents that look most like them.

#[path = "support/text.rs"]
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

#[test]
fn what_binding_adds_behind_its_components_is_no_error() {
    let next = |time: &str| LATER.replace("4.500000", time);
    for (time, severity) in [
        ("3.000090", Severity::Warn),
        ("3.001070", Severity::Warn),
        ("3.001090", Severity::Error),
    ] {
        let log = [MASTER, &next(time), UNBIND, SWALLOWED, OWN, END].concat();
        assert_eq!(found(&log), likely(severity, CULPRIT), "{time}");
    }
    // One after the other, without a pause.
    let chain = next("3.000700").replace("aaaa0005 devm_irq", "aaaa0006 devm_clk");
    let swallowed = SWALLOWED.to_owned()
        + "[    9.000045] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0006 devm_clk_release (16 bytes)\n";
    let log = [
        MASTER,
        &chain,
        &next("3.001500"),
        UNBIND,
        &swallowed,
        OWN,
        END,
    ]
    .concat();
    assert_eq!(found(&log), likely(Severity::Warn, CULPRIT));
}

/// A log that begins later than the group: what went with it, and then the driver itself gives something up.
#[test]
fn groups_that_were_not_seen_to_be_opened_are_judged_by_what_follows() {
    let head = "\
[    9.000010] rockchip-vop ff900000.vop: DEVRES REL 00000000bbbb0002 grp< (0 bytes)
[    9.000020] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0001 grp< (0 bytes)
";
    let taken = "\
[    9.000030] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0005 devm_irq_release (16 bytes)
";
    let removed = "\
[    9.000040] rockchip-drm display-subsystem: DEVRES REM 00000000aaaa0003 devm_clk_release (16 bytes)
";
    let added = removed.replace("REM", "ADD");
    let late = removed.replace("9.000040", "19.000040");
    assert_eq!(
        found(&[head, taken, removed].concat()),
        likely(Severity::Warn, CULPRIT)
    );
    for (log, undecided) in [
        ([head, removed].concat(), false),
        ([head, taken].concat(), true),
        ([head, taken, &added].concat(), true),
        ([head, taken, &late].concat(), true),
    ] {
        assert_eq!(found(&log), [], "{log}");
        let why = judge(&log).undecided;
        let told = why
            .iter()
            .any(|undecided| undecided.rule == "DR003" && undecided.devices == 1);
        assert_eq!(told, undecided, "{log}");
    }
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
            // Without times nothing tells a bind that fails from an unbind.
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

#[test]
fn groups_that_go_as_they_should_are_no_finding() {
    let closed = "[    3.000090] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0002 grp> (0 bytes)\n";
    let rest = "\
[    9.000060] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0003 devm_component_match_release (24 bytes)
";
    let dropped = "[    5.000000] ** 12 printk messages dropped **\n";
    let headless: Vec<String> = MASTER
        .lines()
        .skip(7)
        .map(|line| format!("{line}\n"))
        .collect();
    let failed = "\
[    3.000060] rockchip-vop ff900000.vop: DEVRES REL 00000000bbbb0002 grp< (0 bytes)
[    3.000070] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0002 grp< (0 bytes)
[    3.000080] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0001 grp< (0 bytes)
[    3.000090] rockchip-drm display-subsystem: DEVRES REL 00000000aaaa0004 devm_drm_dev_init_release (8 bytes)
[    4.000090] rockchip-drm display-subsystem: DEVRES ADD 00000000aaaa0001 grp< (0 bytes)
";
    let binding: Vec<String> = MASTER
        .lines()
        .take(10)
        .map(|line| format!("{line}\n"))
        .collect();
    let other_task = [MASTER, LATER, UNBIND, SWALLOWED, OWN, END]
        .concat()
        .lines()
        .map(|line| {
            let task = if line.contains("rockchip-vop") { 7 } else { 8 };
            line.replace("] ", &format!("][  T{task}] ")) + "\n"
        })
        .collect();
    for (why, log) in [
        (
            "from 5.15.3 on the group is closed",
            [MASTER, closed, LATER, UNBIND, OWN, END].concat(),
        ),
        (
            "all of it was bind's own",
            [MASTER, UNBIND, OWN, END].concat(),
        ),
        (
            "the master itself is unbound",
            [MASTER, LATER, UNBIND, SWALLOWED, OWN, rest].concat(),
        ),
        (
            "messages are missing",
            [MASTER, LATER, dropped, UNBIND, SWALLOWED, OWN].concat(),
        ),
        (
            "the begin is missing",
            [&headless.concat(), LATER, UNBIND, SWALLOWED, OWN].concat(),
        ),
        (
            "a bind fails and is tried again",
            [&binding.concat(), failed].concat(),
        ),
        ("the two run on different tasks", other_task),
        (
            "the drivers are the same",
            [MASTER, LATER, UNBIND, SWALLOWED, OWN]
                .concat()
                .replace("rockchip-vop", "rockchip-drm"),
        ),
    ] {
        assert_eq!(found(&log), [], "{why}:\n{log}");
    }
}

/// Two I2C devices, whose core opens a group that it never closes, are unbound one after the other.
#[test]
fn unbinds_of_other_buses_that_interleave_are_no_finding() {
    let mut lines = Vec::new();
    let mut now = 1_000_000;
    let mut line = |text: String| {
        now += 37;
        lines.push(format!(
            "[    {}.{:06}] {text}\n",
            now / 1_000_000,
            now % 1_000_000
        ));
    };
    let devices = [("lm75", "0-0048", 0x100), ("tmp102", "0-0049", 0x200)];
    for (driver, device, node) in devices {
        line(format!(
            "{driver} {device}: DEVRES ADD {node:016x} devm_kzalloc_release (40 bytes)"
        ));
        line(format!(
            "{driver} {device}: DEVRES ADD {:016x} devm_pinctrl_release (8 bytes)",
            node + 1
        ));
        line(format!(
            "{driver} {device}: DEVRES ADD {:016x} grp< (0 bytes)",
            node + 2
        ));
        line(format!(
            "{driver} {device}: DEVRES ADD {:016x} devm_regmap_release (8 bytes)",
            node + 3
        ));
        line(format!(
            "{driver} {device}: DEVRES ADD {:016x} devm_hwmon_release (8 bytes)",
            node + 4
        ));
    }
    for (offset, name) in [
        (2, "grp< (0"),
        (4, "devm_hwmon_release (8"),
        (3, "devm_regmap_release (8"),
    ] {
        for (driver, device, node) in devices {
            line(format!(
                "{driver} {device}: DEVRES REL {:016x} {name} bytes)",
                node + offset
            ));
        }
    }
    assert_eq!(found(&lines.concat()), []);
}

/// Several lives of one name, in which the same hashes come again for other things.
#[test]
fn lives_of_one_name_with_hashes_used_again_are_no_finding() {
    let life = "\
[ TIME.1] foo x.0: DEVRES ADD 0000000000000001 devm_kzalloc_release (40 bytes)
[ TIME.2] foo x.0: DEVRES ADD 0000000000000002 devm_clk_release (16 bytes)
[ TIME.3] foo x.0: DEVRES ADD 0000000000000003 foo_disable (16 bytes)
[ TIME.4] foo x.0: DEVRES REL 0000000000000003 foo_disable (16 bytes)
[ TIME.5] foo x.0: DEVRES REL 0000000000000002 devm_clk_release (16 bytes)
[ TIME.6] foo x.0: DEVRES REL 0000000000000001 devm_kzalloc_release (40 bytes)
";
    let lives: Vec<String> = (1..5)
        .map(|time| life.replace("TIME", &time.to_string()))
        .collect();
    let all = lives.concat();
    assert_eq!(found(&all), []);
    // Whatever is cut off at either end, and whichever lines are missing.
    let each: Vec<&str> = all.lines().collect();
    for skip in 0..each.len() - 1 {
        assert_eq!(found(&(each[skip..].join("\n") + "\n")), [], "{skip}");
        assert_eq!(found(&(each[..=skip].join("\n") + "\n")), [], "{skip}");
        let mut without = each.clone();
        without.remove(skip);
        assert_eq!(found(&(without.join("\n") + "\n")), [], "{skip}");
    }
    for printed in ["(ptrval)", "(____ptrval____)", "ffff800081443800"] {
        let same: Vec<String> = all
            .lines()
            .map(|line| {
                let at = line.find(" 000000000000").unwrap() + 1;
                format!("{}{printed}{}\n", &line[..at], &line[at + 16..])
            })
            .collect();
        assert_eq!(found(&same.concat()), [], "{printed}");
    }
}

#[test]
fn devices_without_a_driver_are_told_by_the_kernels_words() {
    let info = |fingerprint: &str| likely(Severity::Info, fingerprint);
    for (line, expected) in [
        (
            "pci 0000:00:00.2: DEVRES ADD 0000000000000001 devm_kzalloc_release (40 bytes)",
            info("DR011/pci/?/devm_kzalloc_release"),
        ),
        (
            "hwmon hwmon3: DEVRES ADD 0000000000000001 devm_kzalloc_release (40 bytes)",
            info("DR011/hwmon/?/devm_kzalloc_release"),
        ),
        (
            "iio iio:device0: DEVRES ADD 0000000000000001 devm_iio_trigger_unreg (8 bytes)",
            likely(Severity::Warn, "DR011/iio/?/devm_iio_trigger_unreg"),
        ),
        // A driver, although a bus or class is called the same.
        (
            "nvme 0000:01:00.0: DEVRES ADD 0000000000000001 devm_kzalloc_release (40 bytes)",
            vec![],
        ),
        (
            "usb 1-1: DEVRES ADD 0000000000000001 devm_hwmon_release (8 bytes)",
            vec![],
        ),
        // What is released or removed tells nothing of who is bound now.
        (
            "platform x.0: DEVRES REL 0000000000000001 devm_hwmon_release (8 bytes)",
            vec![],
        ),
        (
            "x.0: DEVRES ADD 0000000000000001 devm_hwmon_release (8 bytes)",
            vec![],
        ),
        (
            "platform x.0: DEVRES ADD 0000000000000001 grp< (0 bytes)",
            vec![],
        ),
    ] {
        assert_eq!(
            found(&format!("[    1.000000] {line}\n")),
            expected,
            "{line}"
        );
    }
}

#[test]
fn what_the_kernel_says_itself_is_a_finding() {
    let confirmed = |severity, fingerprint: &str| {
        vec![(severity, Certainty::Confirmed, fingerprint.to_owned())]
    };
    let warning = |function: &str| {
        format!(
            "[ 1.0] WARNING: CPU: 0 PID: 1 at drivers/base/devres.c:1064 {function}+0x8c/0xfc\n"
        )
    };
    for (log, expected) in [
        (
            "[ 1.0] spi spi0.0: Resources present before probing\n".to_owned(),
            confirmed(Severity::Error, "DR007/spi/?/spi0.0"),
        ),
        (
            // Who is to blame may be in the log after all.
            "[ 1.0] spi spi0.0: DEVRES ADD 0000000000000001 devm_kzalloc_release (40 bytes)\n\
             [ 2.0] spi spi0.0: Resources present before probing\n"
                .to_owned(),
            [
                likely(Severity::Info, "DR011/spi/?/devm_kzalloc_release"),
                confirmed(Severity::Error, "DR007/spi/?/spi0.0"),
            ]
            .concat(),
        ),
        (
            warning("devm_kfree"),
            confirmed(Severity::Warn, "DR016/?/?/devm_kfree"),
        ),
        (
            warning("devm_remove_action"),
            confirmed(Severity::Warn, "DR016/?/?/devm_remove_action"),
        ),
        (
            warning("devres_close_group"),
            confirmed(Severity::Warn, "DR005/?/?/not-found/devres_close_group"),
        ),
        (
            "[ 1.0] kernel BUG at drivers/base/devres.c:120!\n[ 1.0] RIP: 0010:add_dr+0x70/0xa0\n"
                .to_owned(),
            likely(Severity::Warn, "DR005/?/?/added-twice/add_dr"),
        ),
        (
            "[ 1.0] kernel BUG at drivers/base/devres.c:120!\n[ 1.0] RIP: 0010:add_dr+0x70/0xa0\n\
             [ 1.0] Call Trace:\n[ 1.0]  devres_close_group+0x70/0xa0\n[ 1.0]  foo_probe+0x1/0x2 [foo]\n"
                .to_owned(),
            confirmed(
                Severity::Error,
                "DR005/?/?/added-twice/add_dr/devres_close_group",
            ),
        ),
        (
            warning("devm_kfree")
                + "[ 1.1] Call Trace:\n[ 1.1]  <TASK>\n[ 1.1]  ? __warn+0x1/0x2\n\
                   [ 1.1]  foo_remove+0x89/0xa0 [foo]\n[ 1.1]  </TASK>\n",
            confirmed(Severity::Warn, "DR016/?/?/devm_kfree/foo_remove"),
        ),
    ] {
        assert_eq!(found(&log), expected, "{log}");
    }
    // Twice the same is one finding.
    let outcome = judge(&warning("devm_kfree").repeat(3));
    assert_eq!((outcome.findings.len(), outcome.findings[0].count), (1, 3));
}

#[test]
fn memory_in_use_is_blamed_on_the_release_right_before_it_only() {
    let freed = "[ 2.1] ------------[ cut here ]------------\n\
                 [ 2.1] ODEBUG: free active (active state 0) object: 00000000b0ee7ae6 object type: timer_list hint: foo_timer+0x0/0x10\n";
    let released = "[ 2.0] foo x.0: DEVRES REL 0000000000000001 devm_kzalloc_release (400 bytes)\n";
    let added = "[ 2.0] foo x.0: DEVRES ADD 0000000000000001 devm_kzalloc_release (400 bytes)\n";
    let other = "[ 2.0] usb 1-1: something else\n".repeat(20);
    assert_eq!(
        found(&[released, freed].concat()),
        likely(Severity::Error, "DR013/?/foo/foo_timer")
    );
    assert_eq!(found(&[added, freed].concat()), []);
    let wrapped = freed.replace("hint: ", "hint:\n> ");
    assert_eq!(
        found(&[released, &wrapped].concat()),
        likely(Severity::Error, "DR013/?/foo/foo_timer")
    );
    // Long before, of too little memory, or freed by somebody else.
    let later = freed.replace("2.1", "602.1");
    assert_eq!(found(&[released, &later].concat()), []);
    let little = released.replace("400", "8");
    assert_eq!(found(&[&little, freed].concat()), []);
    let stack = |frame: &str| {
        format!("{freed}[ 2.1] Call Trace:\n[ 2.1]  kfree+0x82/0x110\n[ 2.1]  {frame}+0x1/0x2\n")
    };
    assert_eq!(found(&[released, &stack("foo_close")].concat()), []);
    assert_eq!(
        found(&[released, &stack("release_nodes")].concat()),
        likely(Severity::Error, "DR013/?/foo/foo_timer")
    );
    assert_eq!(found(&[released, &other, freed].concat()), []);
}

#[test]
fn a_driver_named_with_blanks_and_a_wrapped_mail_are_the_same_to_the_rules() {
    let log = [MASTER, LATER, UNBIND, SWALLOWED, OWN, END].concat();
    let wrapped: Vec<String> = log
        .lines()
        .map(|line| {
            let at = line.rfind(" (").unwrap();
            format!("> {}\n> {}\n", &line[..at], &line[at + 1..])
        })
        .collect();
    assert_eq!(found(&wrapped.concat()), likely(Severity::Error, CULPRIT));
    let blanks = log.replace("rockchip-drm ", "Rockchip DRM ");
    assert_eq!(
        found(&blanks),
        likely(Severity::Error, "DR003/?/Rockchip DRM/devm_irq_release")
    );
}
