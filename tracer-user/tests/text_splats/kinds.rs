//! Which kind of report it is, by the line that says so; and what that line is missing in.

use devres_tracer::{engine::Verdict, finding::Severity};

use super::{
    finding, judge, log, splats,
    support::{self, judge_by},
};

/// A release in which it happens, as the kernel prints the stack of a task.
pub(super) const RELEASE: &str = "\
[   52.000200] CPU: 1 PID: 412 Comm: rmmod Tainted: G           O       6.1.0 #1
[   52.000300] Call Trace:
[   52.000400]  <TASK>
[   52.000500]  dump_stack_lvl+0x48/0x60
[   52.000600]  acme_off+0x14/0x40 [acme]
[   52.000700]  devm_action_release+0x16/0x20
[   52.000800]  release_nodes+0x40/0xb0
[   52.000900]  devres_release_all+0x8c/0xc0
[   52.001000]  device_release_driver_internal+0x1f4/0x240
[   52.001100]  driver_detach+0x48/0x90
[   52.001200]  </TASK>
";

/// An allocation that a probe makes.
const PROBE: &str = "\
[   52.000200] CPU: 1 PID: 412 Comm: modprobe Not tainted 6.1.0 #1
[   52.000300] Call Trace:
[   52.000400]  <TASK>
[   52.000500]  dump_stack_lvl+0x48/0x60
[   52.000600]  devm_kmalloc+0x52/0xd0
[   52.000700]  acme_probe+0x54/0x1f0 [acme]
[   52.000800]  really_probe+0xc8/0x3a0
[   52.000900]  </TASK>
";

/// The one finding of a log, in one line, and what no other rule could decide.
pub(super) fn told(log: &str) -> (String, Vec<&'static str>) {
    let outcome = judge(log);
    let [found] = &outcome.findings[..] else {
        panic!("{log}: {:#?}", outcome.findings);
    };
    assert_eq!(
        (found.rule, found.severity),
        ("DR022", Severity::Info),
        "{log}"
    );
    assert_eq!(
        outcome.verdict(Severity::Error),
        Verdict::Inconclusive,
        "{log}"
    );
    let doubted = outcome.undecided.iter().filter(|open| open.devices > 0);
    let open = doubted.map(|open| open.rule).collect();
    (format!("{} {}", found.summary, found.meaning), open)
}

#[test]
fn a_report_is_called_after_the_line_that_says_what_it_is() {
    for (line, stack, words) in [
        (
            "modprobe: page allocation failure: order:10, mode:0x40dc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)",
            PROBE,
            "A warning (page allocation failure, order 10) in devm_kmalloc, during a probe.",
        ),
        (
            "genirq: Flags mismatch irq 45. 00000080 (acme) vs. 00000000 (other)",
            PROBE,
            "A warning (the flags of interrupt 45 differ from its other user's) in devm_kmalloc",
        ),
        (
            "FAULT_INJECTION: forcing a failure.",
            PROBE,
            "A warning (fault injection makes a call fail) in devm_kmalloc",
        ),
        (
            "BUG: spinlock bad magic on CPU#1, rmmod/412",
            RELEASE,
            "A lockdep report (spinlock bad magic) in the release acme_off [acme], during an unbind.",
        ),
        (
            "[ BUG: Invalid wait context ]",
            RELEASE,
            "A lockdep report (invalid wait context) in the release acme_off",
        ),
        (
            "BUG: using smp_processor_id() in preemptible [00000000] code: rmmod/412",
            RELEASE,
            "A lockdep report (smp_processor_id() in preemptible context) in the release acme_off",
        ),
        (
            "BUG: Bad page state in process rmmod  pfn:10d3c2",
            RELEASE,
            "A warning (bad page state) in the release acme_off",
        ),
        (
            "refcount_t: underflow; use-after-free.",
            RELEASE,
            "A reference was put once too often",
        ),
        (
            "refcount_t: addition on 0; use-after-free.",
            RELEASE,
            "A reference was taken after the last one had been put",
        ),
        (
            "refcount_t: saturated; leaking memory.",
            RELEASE,
            "references were taken and never put",
        ),
        (
            "WARNING: CPU: 1 PID: 412 at lib/refcount.c:25 refcount_warn_saturate+0x65/0x110",
            RELEASE,
            "A refcount warning in the release acme_off",
        ),
    ] {
        let (said, open) = told(&format!("[   52.000100] {line}\n{stack}"));
        assert!(said.contains(words), "{words}\n{said}");
        assert_eq!(open, ["DR022"], "{line}");
    }
    let (said, open) = told(RELEASE);
    assert!(
        said.starts_with("A call trace (no line says why) in the release acme_off"),
        "{said}"
    );
    assert!(said.contains("dump_stack()"), "{said}");
    assert!(open.contains(&"DR013"), "{open:?}");
}

#[test]
fn prose_about_a_report_is_none() {
    for line in [
        "We saw a page allocation failure here, and then this:",
        "They are unreferenced objects, says kmemleak",
        "the Flags mismatch irq message came, too",
    ] {
        let (said, _) = told(&format!("{line}\n{RELEASE}"));
        assert!(
            said.starts_with("A call trace (no line says why)"),
            "{line}: {said}"
        );
    }
}

#[test]
fn kmemleak_names_who_allocated() {
    let log = "\
unreferenced object 0xffff888103b2c000 (size 192):
  comm \"modprobe\", pid 412, jiffies 4294743123 (age 12.310s)
  hex dump (first 32 bytes):
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace (crc 1234abcd):
    [<00000000abcd1234>] __kmalloc_node_track_caller+0x4c/0x150
    [<00000000abcd1235>] devm_kmalloc+0x52/0xd0
    [<00000000abcd1236>] acme_probe+0x54/0x1f0 [acme]
    [<00000000abcd1237>] really_probe+0xc8/0x3a0
unreferenced object 0xffff888103b2d000 (size 16):
  comm \"modprobe\", pid 412, jiffies 4294743123
  backtrace:
    kstrdup+0x3c/0x90
    acme_probe+0x94/0x1f0 [acme]
";
    let (said, open) = told(log);
    assert!(
        said.contains("kmemleak: an unreferenced object of 192 bytes"),
        "{said}"
    );
    assert!(
        said.contains("devm_kmalloc was at work for acme_probe [acme]"),
        "{said}"
    );
    assert_eq!(open, ["DR022"]);
}

#[test]
fn a_data_race_is_one_report_with_two_stacks() {
    let log = "\
[   12.100100] BUG: KCSAN: data-race in devres_add / devres_find

[   12.100200] write to 0xffff888103b2c2f0 of 8 bytes by task 212 on cpu 1:
[   12.100300]  devres_add+0x6a/0xa0
[   12.100400]  devm_request_threaded_irq+0xac/0x100
[   12.100500]  acme_probe+0x54/0x1f0 [acme]
[   12.100600]  really_probe+0xc8/0x3a0

[   12.100700] read to 0xffff888103b2c2f0 of 8 bytes by task 213 on cpu 0:
[   12.100800]  devres_find+0x3a/0xc0
[   12.100900]  acme_ioctl+0x1c/0x50 [acme]

[   12.101000] Reported by Kernel Concurrency Sanitizer on:
[   12.101100] CPU: 0 PID: 213 Comm: acmectl Not tainted 6.1.0 #1
[   12.101200] ==================================================================
";
    let (said, open) = told(log);
    assert!(
        said.starts_with("A warning (KCSAN: data-race) in devres_add, during a probe."),
        "{said}"
    );
    assert_eq!(open, ["DR022"]);
    assert_eq!(splats(&support::import(log))[0].stacks.len(), 2);
}

/// Lockdep shows where it saw a lock before: that is not where it happened.
#[test]
fn what_lockdep_remembers_is_not_the_stack_of_the_report() {
    let (head, rest) = RELEASE.split_once('\n').unwrap();
    for before in [
        "[   52.000120] {IN-HARDIRQ-W} state was registered at:\n[   52.000130]   lock_acquire+0xd5/0x2f0\n\
         [   52.000140]   acme_isr+0x1c/0x60 [acme]\n",
        "[   52.000120] Preemption disabled at:\n[   52.000130] [<ffffffffb1e23993>] acme_stop+0x23/0x60 [acme]\n",
    ] {
        let log =
            format!("[   52.000100] WARNING: inconsistent lock state\n{before}{head}\n{rest}");
        let (said, _) = told(&log);
        assert!(
            said.starts_with("A lockdep report (inconsistent lock state) in the release acme_off"),
            "{said}"
        );
    }
}

#[test]
fn the_address_of_a_frame_is_no_module() {
    let log = "\
WARNING: CPU: 1 PID: 660 at lib/refcount.c:28 refcount_warn_saturate+0x108/0x174
[<b0396f04>] (refcount_warn_saturate) from [<b03c56a4>] (kobject_put+0x90/0x98)
[<b03c5614>] (kobject_put) from [<b07515e8>] (acme_release+0x3c/0x40)
[<b07515ac>] (acme_release) from [<b045343c>] (release_nodes+0x84/0xc4)
[<b04533b8>] (release_nodes) from [<b0454160>] (devres_release_all+0x5c/0x60)
[<b0454104>] (devres_release_all) from [<b044e41c>] (device_release_driver_internal+0x144/0x1ec)
";
    let (said, _) = told(log);
    assert!(
        said.starts_with(
            "A refcount warning in kobject_put, in the release acme_release, during an unbind."
        ),
        "{said}"
    );
}

#[test]
fn a_regulator_is_still_on_where_one_function_was_put_into_the_other() {
    let log = log("regulator-still-on.log");
    let (before, after) = log.split_once("[   31.400600]").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let log = format!("{before}{after}").replace("_regulator_put.part.0", "regulator_put");
    finding(&log, "DR023");
    // The same name elsewhere in the source is another warning.
    let elsewhere = log.replace("drivers/regulator/core.c", "kernel/locking/mutex.c");
    told(&elsewhere);
}

/// A long word has no room in a line that is short without it.
#[test]
fn a_first_line_is_wrapped_before_a_long_word() {
    let long = "acme_soc_unregister_component_by_driver";
    let whole = log("action-after-remove.log").replace("acme_detach", long);
    let line = whole
        .lines()
        .find(|line| line.contains("BUG: KASAN"))
        .unwrap();
    let (time, line) = line.split_once("] ").unwrap();
    for (from, begin) in [
        (whole.clone(), format!("{time}] ")),
        (whole.replace(&format!("{time}] "), ""), String::new()),
    ] {
        let (first, rest) = line.split_once(" in ").unwrap();
        let broken = from.replacen(line, &format!("{first} in\n{rest}"), 1);
        assert_ne!(from, broken, "{begin}");
        let found = |log: &str| finding(log, "DR013").summary;
        assert_eq!(found(&broken), found(&from), "{broken}");
    }
}

/// Some mail programs make one line of several.
#[test]
fn records_that_were_run_together_are_the_same_report() {
    for name in [
        "action-after-remove.log",
        "irq-freed-twice.log",
        "clock-already-off.log",
    ] {
        let whole = log(name);
        let found = |log: &str| -> Vec<_> {
            let findings = judge(log).findings.into_iter();
            findings
                .map(|finding| (finding.rule, finding.summary))
                .collect()
        };
        let frames: Vec<&str> = whole.lines().filter(|line| line.contains("+0x")).collect();
        let mut joined = whole.clone();
        for pair in frames.chunks_exact(2) {
            joined = joined.replacen(&format!("{}\n{}", pair[0], pair[1]), &pair.join(" "), 1);
        }
        assert_ne!(joined, whole, "{name}");
        assert_eq!(found(&joined), found(&whole), "{name}: {joined}");
    }
}

/// What runs in a release is above devres on the stack: in a text that begins there, it is the first line.
#[test]
fn a_stack_that_nothing_introduces_has_its_first_frames() {
    for log in [
        "[<ffffffffa02c0029>] acme_kill+0x29/0x50 [acme]\n\
         [<ffffffff81454715>] devm_action_release+0x15/0x20\n\
         [<ffffffff814552cf>] release_nodes+0x1cf/0x220\n\
         [<ffffffff81450c73>] device_release_driver_internal+0x23/0x30\n",
        "[   52.000500]  acme_wait+0x48/0x60 [acme]\n\
         [   52.000600]  acme_kill+0x14/0x40 [acme]\n\
         [   52.000800]  release_nodes+0x40/0xb0\n\
         [   52.001000]  device_release_driver_internal+0x1f4/0x240\n",
    ] {
        let (said, _) = told(log);
        assert!(
            said.contains("the release acme_kill [acme], during an unbind"),
            "{said}"
        );
    }
    let apart = "[   52.000500]  acme_kill+0x48/0x60 [acme]\n[   52.000600] all is well\n\
                 [   52.000800]  release_nodes+0x40/0xb0\n";
    let (said, _) = told(apart);
    assert!(!said.contains("acme_kill"), "{said}");
}

/// The driver core calls devres: it is no release function, wherever a frame of it got to.
#[test]
fn a_frame_of_the_driver_core_is_no_release() {
    let whole = log("irq-freed-twice.log");
    let without_times = whole
        .lines()
        .map(|line| line.split_once("] ").map_or(line, |(_, text)| text));
    let mut lines: Vec<&str> = without_times.collect();
    let place = |lines: &[&str], name: &str| lines.iter().position(|line| line.contains(name));
    let core = place(&lines, "device_release_driver_internal").unwrap();
    let line = lines.remove(core);
    let devres = place(&lines, "release_nodes").unwrap();
    lines.insert(devres, line);
    let outcome = judge(&lines.join("\n"));
    let [found] = &outcome.findings[..] else {
        panic!("{:#?}", outcome.findings);
    };
    assert!(
        !found.summary.contains("device_release_driver"),
        "{}",
        found.summary
    );
    assert!(
        !found.fingerprint.contains("device_release_driver"),
        "{}",
        found.fingerprint
    );
}

#[test]
fn a_warning_of_devres_whose_function_is_missing_may_be_about_groups() {
    let log = "\
[   34.841401] WARNING: CPU: 2 PID: 204 at drivers/base/devres.c:691
[   34.841402] Modules linked in: acme(-)
[   34.841403] Call Trace:
[   34.841404]  acme_remove+0xf5/0x220 [acme]
[   34.841405]  device_release_driver_internal+0x371/0x540
";
    let outcome = judge(log);
    let [found] = &outcome.findings[..] else {
        panic!("{:#?}", outcome.findings);
    };
    assert_eq!((found.rule, found.severity), ("DR016", Severity::Warn));
    assert!(
        found.meaning.contains("does not say which function warned"),
        "{}",
        found.meaning
    );
    let only = devres_tracer::rules::RuleSet::all()
        .only(&["DR005"])
        .unwrap();
    let verdict = judge_by(&support::import(log), only).verdict(Severity::Error);
    assert_eq!(verdict, Verdict::Inconclusive);
}
