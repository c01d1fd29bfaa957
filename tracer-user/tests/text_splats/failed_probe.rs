//! A report after a failed probe is about the device whose probe failed, unless it shows otherwise.

use super::{UNKNOWN, finding};

/// A failed probe's line, with this prefix, and a report with that one.
fn log(said: &str, writes: &str, registers: &str) -> String {
    let report = format!(
        "Trying to free already-free IRQ 74
WARNING: CPU: 1 PID: 232 at kernel/irq/manage.c:1895 free_irq+0x300/0x340
CPU: 1 PID: 232 Comm: modprobe Not tainted 6.9.3 #3
pc : free_irq+0x300/0x340
Call trace:
 free_irq+0x300/0x340
 devm_irq_release+0x14/0x20
 devres_release_all+0xa0/0x100
 device_unbind_cleanup+0x14/0x60
 really_probe+0x198/0x2d4
 __driver_attach+0x8c/0x190
 driver_register+0x74/0x120
 {registers}
 do_one_initcall+0x4c/0x1b0"
    );
    let report: Vec<String> = report
        .lines()
        .map(|line| format!("{writes} {line}\n"))
        .collect();
    let report = report.concat();
    format!(
        "{said} acme-touch 1-0038: probe with driver acme-touch failed with error -121\n{report}"
    )
}

#[test]
fn a_report_is_of_the_probe_that_failed_right_before() {
    let own = "acme_init+0x48/0x1000 [acme_touch]";
    for (said, writes, registers, device) in [
        ("[    7.400000]", "[    7.400100]", own, "1-0038"),
        (
            "[    7.400000][  T232]",
            "[    7.400100][  T232]",
            own,
            "1-0038",
        ),
        // Built in, no module registers it.
        (
            "[    7.400000]",
            "[    7.400100]",
            "acme_init+0x48/0x1000",
            "1-0038",
        ),
        (
            "[    7.400000]",
            "[    7.400100]",
            "zeta_driver_init+0x48/0x1000",
            UNKNOWN,
        ),
        // Another driver is registered.
        (
            "[    7.400000]",
            "[    7.400100]",
            "zeta_init+0x48/0x1000 [zeta]",
            UNKNOWN,
        ),
        // Another task writes it.
        (
            "[    7.400000][  T100]",
            "[    7.400100][  T232]",
            own,
            UNKNOWN,
        ),
        // Long after it.
        ("[    7.400000]", "[    9.400100]", own, UNKNOWN),
    ] {
        let log = log(said, writes, registers);
        assert_eq!(finding(&log, "DR021").device, device, "{log}");
    }
}
