//! What the kernel says itself.

use devres_tracer::finding::{Certainty, Severity};

use super::{CULPRIT, END, LATER, MASTER, OWN, SWALLOWED, UNBIND, found, judge, likely};

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
        // What is released or removed says nothing of who is bound now.
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
    // What comes again is one finding, and a line that a log has twice is one line.
    let often = ["1.0", "2.0", "2.0", "3.0"];
    let log = often.map(|time| warning("devm_kfree").replace("1.0", time));
    let outcome = judge(&log.concat());
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
