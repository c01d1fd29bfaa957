//! Whose name a report gets: what only prints it, or loads the driver, is not to blame.

use devres_tracer::finding::Severity;

use super::{finding, judge, log};

/// A kernel that stops at warnings (`panic_on_warn`) prints the stack from where it stops, through the exception,
/// and the registers within that stack.
const STOPS_AT_WARNINGS: &str = "\
[   81.100100][   T88] ------------[ cut here ]------------
[   81.100200][   T88] WARNING: CPU: 1 PID: 88 at drivers/base/devres.c:526 devres_release_all+0x8c/0xc3
[   81.100300][   T88] Kernel panic - not syncing: panic_on_warn set ...
[   81.100400][   T88] CPU: 1 PID: 88 Comm: kworker/1:3 Not tainted 5.7.0-acme #1
[   81.100500][   T88] Call Trace:
[   81.100600][   T88]  dump_stack+0xef/0x16e
[   81.100700][   T88]  ? devres_release_all+0x10/0xc3
[   81.100800][   T88]  panic+0x2aa/0x6e1
[   81.100900][   T88]  __warn.cold+0x2f/0x30
[   81.101000][   T88]  report_bug+0x27b/0x2f0
[   81.101100][   T88]  do_error_trap+0x12b/0x1e0
[   81.101200][   T88]  do_invalid_op+0x32/0x40
[   81.101300][   T88]  invalid_op+0x23/0x30
[   81.101400][   T88] RIP: 0010:devres_release_all+0x8c/0xc3
[   81.101500][   T88] Code: 48 83 c4 08 5d 41 5c c3 <0f> 0b e8 8d f8 b9 fe
[   81.101600][   T88]  device_release+0x39/0x200
[   81.101700][   T88]  kobject_put+0x256/0x550
[   81.101800][   T88]  acme_remove_ports+0x3e/0x80
[   81.101900][   T88]  process_one_work+0x965/0x1630
[   81.102000][   T88] Kernel Offset: disabled
";

#[test]
fn what_stops_the_kernel_at_a_warning_did_not_call_what_warned() {
    let found = finding(STOPS_AT_WARNINGS, "DR016");
    assert_eq!(
        found.fingerprint,
        "DR016/?/?/devres_release_all/device_release"
    );
    let cause = found.caused_by.expect("a stack").stack.join(" ");
    let expected = "devres_release_all+0x8c device_release+0x39 kobject_put+0x256";
    assert!(cause.starts_with(expected), "{cause}");
}

#[test]
fn a_bug_in_an_addition_is_no_failure_to_free() {
    for function in ["devres_node_add", "devres_add", "__devm_add_action"] {
        let log = format!(
            "[    1.530100] kernel BUG at drivers/base/devres.c:135!\n\
             [    1.530200] Internal error: Oops - BUG: 00000000f2000800 [#1]  SMP\n\
             [    1.530300] CPU: 1 UID: 0 PID: 1 Comm: swapper/0 Not tainted 7.1.0 #1\n\
             [    1.530400] pc : {function}+0x48/0x60\n\
             [    1.530500] Call trace:\n\
             [    1.530600]  {function}+0x48/0x60 (P)\n\
             [    1.530700]  devm_acme_register+0x68/0xb0\n\
             [    1.530800]  acme_probe+0x4a0/0x600\n\
             [    1.530900]  really_probe+0xbc/0x298\n\
             [    1.531000] Code: d65f03c0 d503201f (d4210000)\n"
        );
        let found = finding(&log, "DR005");
        assert_eq!(found.severity, Severity::Warn, "{log}");
        assert!(found.meaning.contains("already on a list"), "{log}");
    }
}

#[test]
fn a_group_that_is_closed_twice_is_told_from_one_that_is_not_there() {
    let closed = |first: &str| {
        let log = format!(
            "[    1.5] {first}\n[    1.5] CPU: 1 PID: 9 Comm: modprobe Not tainted 6.1.0 #1\n\
             [    1.5] pc : devres_close_group+0x48/0x60\n[    1.5] Call trace:\n\
             [    1.5]  devres_close_group+0x48/0x60\n[    1.5]  acme_probe+0x20/0x60 [acme]\n\
             [    1.5]  really_probe+0xbc/0x298\n"
        );
        finding(&log, "DR005")
    };
    let twice = closed("kernel BUG at drivers/base/devres.c:135!");
    assert_eq!(twice.severity, Severity::Error);
    assert!(twice.meaning.contains("closed twice"), "{}", twice.meaning);
    let missing =
        closed("WARNING: CPU: 1 PID: 9 at drivers/base/devres.c:619 devres_close_group+0x48/0x60");
    assert_eq!(missing.severity, Severity::Warn);
    assert!(
        missing.meaning.contains("no such group"),
        "{}",
        missing.meaning
    );
}

/// A release that releases a group: while all of a device's resources go, the group may have gone with them.
#[test]
fn a_group_that_is_released_by_a_release_may_be_gone_already() {
    let log = |around: &str| {
        format!(
            "[   41.2] WARNING: CPU: 3 PID: 9 at drivers/base/devres.c:687 devres_release_group+0x362/0x530\n\
             [   41.2] Call Trace:\n[   41.2]  component_unbind+0x156/0x380\n\
             [   41.2]  acme_off+0x1e/0x40 [acme]\n{around}[   41.2]  driver_detach+0x54/0xa0\n"
        )
    };
    let released =
        "[   41.2]  devm_action_release+0x15/0x20\n[   41.2]  devres_release_all+0x8e/0xd0\n";
    for (around, may) in [(released, true), ("", false)] {
        let found = finding(&log(around), "DR005");
        let meaning = &found.meaning;
        assert_eq!(meaning.contains("nothing is wrong"), may, "{meaning}");
    }
}

/// Builds outside of the source's directory name it from its root on.
#[test]
fn a_warning_of_devres_is_one_wherever_the_kernel_was_built() {
    for place in [
        "drivers/base/devres.c",
        "/usr/src/kernel/drivers/base/devres.c",
        "../../../mnt/host/source/src/third_party/kernel/drivers/base/devres.c",
    ] {
        let log = format!(
            "[   10.1] WARNING: CPU: 0 PID: 113 at {place}:691 devres_release_group+0x8c/0xfc\n\
             [   10.1] Call Trace:\n[   10.1]  acme_remove+0x20/0x40 [acme]\n\
             [   10.1]  device_remove+0x4c/0x80\n"
        );
        assert_eq!(
            finding(&log, "DR005").fingerprint,
            "DR005/?/?/not-found/devres_release_group/acme_remove",
            "{place}"
        );
    }
}

#[test]
fn a_first_line_without_an_offset_names_its_function() {
    let log = "\
[   16.233604] WARNING: CPU: 0 PID: 2177 at drivers/regulator/core.c:2257 _regulator_put
[   16.240453] Call Trace:
[   16.240572]  <TASK>
[   16.240676]  regulator_put+0x26/0x40
[   16.240853]  regulator_bulk_free+0x26/0x50
[   16.241050]  release_nodes+0x3f/0x70
[   16.241225]  devres_release_group+0x147/0x1c0
";
    assert_eq!(
        finding(log, "DR023").fingerprint,
        "DR023/?/?/regulator_bulk_free"
    );
    // Whether that was in a probe or an unbind the stack does not show.
    let seen = &finding(log, "DR023").order[0].what;
    assert_eq!(seen, "the regulator is still on");
    // One that ends in prose names none.
    let prose = log.replace("2257 _regulator_put", "2257 comes then");
    assert!(!judge(&prose).findings.iter().any(|one| one.rule == "DR023"));
}

#[test]
fn the_driver_allocated_the_memory_and_not_the_allocator() {
    let log = "\
BUG: KASAN: use-after-free in acme_complete+0x16e/0x1a0 drivers/acme/acme.c:935
Read of size 1 at addr ffff88801bb59540 by task ksoftirqd/2/26
Call Trace:
 <TASK>
 dump_stack_lvl+0xcd/0x134 lib/dump_stack.c:106
 acme_complete+0x16e/0x1a0 drivers/acme/acme.c:935
 run_ksoftirqd+0x2b/0x60 kernel/softirq.c:923
 </TASK>
Allocated by task 1255:
 kasan_save_stack+0x1e/0x40 mm/kasan/common.c:38
 kasan_set_track mm/kasan/common.c:45 [inline]
 set_alloc_info mm/kasan/common.c:436 [inline]
 ____kasan_kmalloc mm/kasan/common.c:515 [inline]
 alloc_dr drivers/base/devres.c:116 [inline]
 devm_kmalloc+0x96/0x1d0 drivers/base/devres.c:823
 acme_probe+0x8a/0x1320 drivers/acme/acme.c:1502
Freed by task 1255:
 kasan_save_stack+0x1e/0x40 mm/kasan/common.c:38
 kfree+0xf8/0x2b0 mm/slab.c:3794
 release_nodes+0x112/0x1a0 drivers/base/devres.c:501
 devres_release_all+0x114/0x190 drivers/base/devres.c:530
 really_probe+0x626/0xcc0 drivers/base/dd.c:670
";
    let found = finding(log, "DR013");
    assert_eq!(
        found.order[0].what,
        "acme_probe allocates the memory by devm_kmalloc"
    );
}

/// Who registers the driver is the module to load or unload: a helper of the release's function may be one that many
/// drivers use.
#[test]
fn the_module_that_comes_or_goes_is_the_one_to_try() {
    let oops = "\
[   31.5] BUG: kernel NULL pointer dereference, address: 0000000000000018
[   31.5] CPU: 0 PID: 531 Comm: modprobe Not tainted 6.5.0 #1
[   31.5] RIP: 0010:helper_cleanup+0x78/0x2d4 [helper]
[   31.5] Call Trace:
[   31.5]  helper_release+0x14/0x24 [helper]
[   31.5]  devm_action_release+0x14/0x20
[   31.5]  release_nodes+0x5c/0x90
";
    let unload = "\
[   31.5]  devres_release_all+0x8c/0xe0
[   31.5]  device_unbind_cleanup+0x18/0x68
[   31.5]  device_release_driver_internal+0x208/0x23c
[   31.5]  driver_detach+0x4c/0x94
[   31.5]  bus_remove_driver+0x70/0xf4
[   31.5]  platform_driver_unregister+0x14/0x20
[   31.5]  acme_driver_exit+0x18/0x40 [acme]
[   31.5]  __x64_sys_delete_module+0x1a0/0x2b4
";
    let load = "\
[   31.5]  devres_release_all+0x8c/0xe0
[   31.5]  really_probe+0x198/0x2d4
[   31.5]  __driver_attach+0x8c/0x190
[   31.5]  bus_add_driver+0x148/0x1fc
[   31.5]  driver_register+0x74/0x120
[   31.5]  acme_init+0x48/0x1000 [acme]
[   31.5]  do_one_initcall+0x4c/0x1b0
";
    let cut = "\
[   31.5]  devres_release_group+0x113/0x140
[   31.5]  helper_alloc+0xed/0x120 [helper]
[   31.5]  acme_init_one+0x6c9/0xd20 [acme]
";
    let by_hand = "\
[   31.5]  devres_release_all+0x8c/0xe0
[   31.5]  device_release_driver_internal+0x208/0x23c
[   31.5]  unbind_store+0xef/0x120
";
    for (stack, command) in [
        (unload, "modprobe -r acme"),
        (load, "modprobe acme"),
        (cut, "modprobe -r acme"),
        (by_hand, "modprobe -r helper"),
    ] {
        let found = finding(&[oops, stack].concat(), "DR022");
        let next = found.next.join("\n");
        assert!(next.contains(&format!(": {command}\n")), "{stack}{next}");
    }
}

#[test]
fn a_node_that_was_put_too_often_is_said_so() {
    for words in [
        "OF: ERROR: of_node_release() detected bad of_node_put() on /soc/acme@1000/child",
        "OF: ERROR: Bad of_node_put() on /soc/acme@1000/child",
    ] {
        let log = format!(
            "[   22.941500] {words}\n\
             [   22.941590] CPU: 0 UID: 0 PID: 213 Comm: rmmod Not tainted 6.12.0 #81\n\
             [   22.941615] Call trace:\n\
             [   22.941680]  dump_stack_lvl from of_node_release+0x140/0x16c\n\
             [   22.941707]  of_node_release from kobject_put+0x110/0x130\n\
             [   22.941911]  kobject_put from devm_acme_release+0x30/0x54\n\
             [   22.941941]  devm_acme_release from devres_release_all+0xb0/0x114\n\
             [   22.941974]  devres_release_all from device_unbind_cleanup+0xc/0x58\n\
             [   22.942003]  device_unbind_cleanup from device_release_driver_internal+0x190/0x1c4\n"
        );
        let found = finding(&log, "DR022");
        assert!(
            found
                .summary
                .starts_with("A refcount warning (bad of_node_put())"),
            "{}",
            found.summary
        );
        assert!(
            found.meaning.starts_with("A reference was taken or put"),
            "{}",
            found.meaning
        );
    }
}

/// An input without times has none to show.
#[test]
fn reports_without_times_are_not_said_to_be_at_zero() {
    let report = "\
WARNING: CPU: 0 PID: 162 at drivers/acme/core.c:5700 acme_unregister+0xf0/0x106
[<ffffffff803a0794>] devm_acme_release+0xe/0x16
[<ffffffff80427bac>] release_nodes+0x3c/0x98
[<ffffffff80428cac>] devres_release_all+0x72/0x9e

";
    let found = finding(&report.repeat(2), "DR022");
    let text = devres_tracer::finding::text::Text(&found).to_string();
    assert!(text.contains("Seen 2 times. Shown is"), "{text}");
}

/// What the interface of a forge gives for an issue: the log is one string.
#[test]
fn a_log_within_a_string_of_json_is_the_log() {
    for name in ["used-after-unbind.log", "freed-by-hand.log", "syzbot.log"] {
        let log = log(name);
        let fingerprints = |text: &str| -> Vec<String> {
            let findings = judge(text).findings.into_iter();
            findings.map(|one| one.fingerprint).collect()
        };
        let expected = fingerprints(&log);
        assert!(!expected.is_empty(), "{name}");
        let body = format!(
            "Seen here:\r\n```\r\n{}```\r\nThanks",
            log.replace('\n', "\r\n")
        );
        let issue = serde_json::json!({"number": 12, "title": "It crashes", "body": body});
        for text in [
            issue.to_string(),
            serde_json::to_string_pretty(&issue).expect("JSON"),
            serde_json::json!([issue, {"body": "The same here"}]).to_string(),
        ] {
            assert_eq!(fingerprints(&text), expected, "{text}");
        }
    }
}

/// A terminal breaks lines at its last column, within a word.
#[test]
fn what_a_terminal_has_broken_is_whole_again() {
    let log = "\
[    5.335427] ------------[ cut here ]------------
[    5.335527] WARNING: CPU: 2 PID: 36 at drivers/regulator/core.c:2398 _regulator_put+0x15c/0x164
[    5.347248] CPU: 2 PID: 36 Comm: kworker/u19:0 Not tainted 6.8.0 #36
[    5.366694] Call trace:
[    5.389431]  warn_slowpath_fmt from _regulator_put+0x15c/0x164
[    5.395283]  _regulator_put from regulator_put+0x1c/0x2c
[    5.400611]  regulator_put from devres_release_all+0x98/0xfc
[    5.406290]  devres_release_all from device_unbind_cleanup+0xc/0x60
[    5.412577]  device_unbind_cleanup from really_probe_of_a_device_with_a_long_name+0x25c/0x3f4
[    5.418603]  really_probe from __driver_probe_device+0x9c/0x130
";
    let expected = finding(log, "DR023").fingerprint;
    for columns in [80, 81, 82, 83] {
        let broken: Vec<&str> = log
            .lines()
            .flat_map(|line| match line.split_at_checked(columns) {
                Some((first, rest)) => vec![first.trim_end(), rest],
                None => vec![line],
            })
            .filter(|line| !line.is_empty())
            .collect();
        let text = broken.join("\n") + "\n";
        assert_eq!(finding(&text, "DR023").fingerprint, expected, "{text}");
    }
}

/// A release that took one of the locks earlier is in the report, too.
#[test]
fn a_release_in_a_chain_of_locks_is_not_denied() {
    let log = "\
[    4.915000] WARNING: possible circular locking dependency detected
[    4.930000] swapper/0/1 is trying to acquire lock:
[    4.955000] the existing dependency chain (in reverse order) is:
[    4.960000] -> #1 (device_links_lock){+.+.}:
[    5.065905]        mutex_lock_nested+0x40/0x50
[    5.075215]        device_link_remove+0x40/0xe0
[    5.084093]        acme_put+0x30/0x44
[    5.088184]        devm_acme_release+0x38/0x44
[    5.093056]        release_nodes+0x604/0x670
[    5.097320]        devres_release_all+0x70/0x8c
[    5.101846]        really_probe+0x270/0x4dc
[    5.173901] -> #0 (acme_mutex){+.+.}:
[    5.179910]        lock_acquire+0x350/0x4d4
[    5.188088]        acme_lock+0x4c/0x298
[    5.205000] stack backtrace:
[    5.206000] CPU: 6 PID: 1 Comm: swapper/0 Not tainted 4.19.79 #8
[    5.208000] Call trace:
[    5.211000]  dump_stack+0xc8/0x124
[    5.212000]  print_circular_bug+0x2f0/0x3c0
[    5.213000]  acme_lock+0x4c/0x298
[    5.214000]  acme_enable+0x54/0xd8
";
    let found = finding(log, "DR022");
    assert!(
        found
            .meaning
            .starts_with("It did not happen in a release. Another stack of the report goes through the release devm_acme_release, after a failed probe."),
        "{}",
        found.meaning
    );
}

/// The driver core releases what a probe had acquired only after that has failed; a driver can release a group before.
#[test]
fn a_group_that_a_probe_releases_is_no_sign_that_it_failed() {
    let log = |between: &str| {
        format!(
            "[   18.5] BUG: kernel NULL pointer dereference, address: 0000000000000018\n\
             [   18.5] CPU: 0 PID: 246 Comm: udevd Not tainted 6.1.0 #1\n\
             [   18.5] RIP: 0010:acme_off+0x14/0x40 [acme]\n[   18.5] Call Trace:\n\
             [   18.5]  release_nodes+0x64/0x104\n[   18.5]  devres_release_group+0xd8/0x120\n{between}\
             [   18.5]  really_probe+0x1bc/0x380\n"
        )
    };
    for (between, phase) in [
        (
            "[   18.5]  i2c_device_probe+0x694/0x880\n",
            "after a failed probe",
        ),
        (
            "[   18.5]  acme_take_down+0x40/0x50 [acme]\n[   18.5]  component_del+0x90/0x160\n",
            "during a probe",
        ),
    ] {
        let found = finding(&log(between), "DR022");
        assert!(
            found.summary.ends_with(&format!(", {phase}.")),
            "{}",
            found.summary
        );
    }
}
