//! Logs that look most like it and are none.

use devres_tracer::finding::Severity;

use super::{CULPRIT, END, LATER, MASTER, OWN, SWALLOWED, UNBIND, found, judge, likely};

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
