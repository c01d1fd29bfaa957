//! A report that begins within the stack of another one, and what debuggers write in place of a report.

use devres_tracer::finding::Severity;

use super::{
    PROVEN,
    damaged::{accusations, written_by},
    finding, judge, log,
};

/// The lines of `inner` behind the line of `outer` that `begins` its stack, in the order of their times.
fn within(outer: &str, inner: &str, begins: &str) -> Option<String> {
    let lines: Vec<&str> = outer.lines().collect();
    let at = lines.iter().position(|line| line.contains(begins))? + 1;
    let (before, behind) = lines.split_at(at);
    let all = [before, &inner.lines().collect::<Vec<_>>(), behind].concat();
    Some(written_by(&all.join("\n"), "").join("\n"))
}

const END: &str = "[   99.0]  </TASK>\n[   99.1] ---[ end trace 0000000000000000 ]---\n";

/// A warning, whole: what it proves does not depend on what it stands in.
fn freed_irq() -> String {
    let log = log("irq-freed-twice.log");
    let (head, frames) = log.split_once("Call trace:\n").expect("a trace");
    let (_, head) = head.split_once("(16 bytes)\n").expect("a line");
    format!("{head}Call Trace:\n[   98.0]  <TASK>\n{frames}{END}")
}

#[test]
fn a_report_within_the_stack_of_another_is_one_of_its_own() {
    let inner = freed_irq();
    let own = accusations(&inner);
    assert_eq!(own.len(), 1, "{inner}");
    for name in [
        "active-in-memory.log",
        "freed-by-hand.log",
        "hung.log",
        "lockup.log",
        "used-after-unbind.log",
    ] {
        let outer = log(name);
        for begins in ["<TASK>", "devres_release_all+0x"] {
            let Some(text) = within(&outer, &inner, begins) else {
                continue;
            };
            let mut expected = [accusations(&outer), own.clone()].concat();
            let mut found = accusations(&text);
            expected.sort_unstable();
            found.sort_unstable();
            // Only behind its beginning is a stack known to go on.
            if begins == "<TASK>" || outer.contains("</TASK>") && found.len() > 1 {
                assert_eq!(found, expected, "{name}: {begins}\n{text}");
            }
            for (fingerprint, _) in found {
                let is_own = expected.iter().any(|(other, _)| *other == fingerprint);
                assert!(is_own, "{name}: {begins}: {fingerprint}\n{text}");
            }
        }
    }
}

/// The one that was begun first has lost its rest: the other is whole.
#[test]
fn a_report_behind_the_beginning_of_a_stack_is_whole() {
    let inner = freed_irq();
    for (name, ..) in PROVEN {
        let outer = log(name);
        let Some((head, _)) = outer.split_once("<TASK>\n") else {
            continue;
        };
        let text = written_by(&format!("{head}<TASK>\n{inner}"), "").join("\n");
        let found = accusations(&text);
        let own = accusations(&inner);
        assert!(
            own.iter().all(|own| found.contains(own)),
            "{name}: {found:?}"
        );
    }
}

/// A line of the report around it, before its own stack has begun: nothing says any more whose frames come.
#[test]
fn a_report_with_a_frame_of_another_in_its_head_proves_nothing() {
    let outer = log("freed-by-hand.log");
    let inner = freed_irq();
    let frame = "[   97.0]  devm_clk_release+0x1c/0x40\n";
    let (head, rest) = inner.split_once('\n').unwrap();
    let disturbed = format!("{head}\n{frame}{rest}");
    let text = within(&outer, &disturbed, "<TASK>").unwrap();
    let found = accusations(&text);
    assert!(
        found.iter().all(|(own, _)| !own.contains("irq")),
        "{found:?}"
    );
}

/// What a debugger shows of a release: the one finding, and what it says.
#[test]
fn debuggers_show_in_which_release_it_happened() {
    for (text, words) in [
        (
            "\
[   52.000100] BUG: Kernel NULL pointer dereference on read at 0x00000028
cpu 0x3: Vector: 300 (Data Access) at [c00000000f8e7830]
    pc: c008000001a30014: acme_off+0x14/0x60 [acme]
    lr: c0000000009a1234: devm_action_release+0x24/0x40
    sp: c00000000f8e7ad0
   dar: 28
  current = 0xc000000008a1b000
    pid   = 1517, comm = rmmod
enter ? for help
[c00000000f8e7ad0] c0000000009a1234 devm_action_release+0x24/0x40 (unreliable)
[c00000000f8e7b00] c0000000009a2345 release_nodes+0x74/0x130
[c00000000f8e7b60] c0000000009a3456 devres_release_all+0xb4/0x130
[link register   ] c00000000099abcd device_unbind_cleanup+0x20/0xa0
[c00000000f8e7bd0] c00000000099bbcd device_release_driver_internal+0x2b0/0x360
--- Exception: c00 (System Call) at 00007fff8c0a1234
3:mon>
",
            "An oops (NULL pointer dereference) in the release acme_off [acme], during an unbind.",
        ),
        (
            "\
Entering kdb (current=0xffff888100a1c000, pid 1517) on processor 1 Oops: (null)
CPU: 1 PID: 1517 Comm: rmmod Tainted: G           O       6.6.0 #1
RIP: 0010:acme_off+0x14/0x40 [acme]
Code: 1f 44 00 00 48 8b 07 <48> 8b 40 28 c3
Call Trace:
 <TASK>
 kdb_show_stack+0x6b/0x80
 kdb_bt1+0xc0/0x110
 devm_action_release+0x12/0x20
 release_nodes+0x3e/0xb0
 devres_release_all+0x8e/0xc0
 device_release_driver_internal+0x1c0/0x200
 </TASK>
",
            "An oops in the release acme_off [acme], during an unbind.",
        ),
        (
            "\
PID: 1517     TASK: ffff888100a1c000  CPU: 1    COMMAND: \"rmmod\"
 #5 [ffffc900008dfc80] exc_page_fault at ffffffff81a2b1c4
 #6 [ffffc900008dfcb0] asm_exc_page_fault at ffffffff81c00b62
    [exception RIP: acme_off+20]
    RIP: ffffffffc0345014  RSP: ffffc900008dfd60  RFLAGS: 00010246
 #7 [ffffc900008dfd68] devm_action_release at ffffffff8171f2c2
 #8 [ffffc900008dfd80] release_nodes at ffffffff8171f6be
 #9 [ffffc900008dfdb0] devres_release_all at ffffffff81720a1e
#10 [ffffc900008dfdf8] device_release_driver_internal at ffffffff8171c4a0
",
            "An oops in the release acme_off, during an unbind.",
        ),
        (
            "\
#0  acme_off (data=0xffff888103b2c000) at drivers/misc/acme.c:42
#1  0xffffffff8171f2c2 in devm_action_release (dev=0x1, res=0x2) at drivers/base/devres.c:703
#2  0xffffffff8171f6be in release_nodes (dev=dev@entry=0x1, todo=0x3) at drivers/base/devres.c:506
#3  0xffffffff81720a1e in devres_release_all (dev=0x1) at drivers/base/devres.c:535
",
            "A call trace (no line says why) in the release acme_off.",
        ),
        (
            "\
#0  acme_off (drivers/misc/acme.c:42:5)
#1  devm_action_release (drivers/base/devres.c:703:2)
#2  release_nodes (drivers/base/devres.c:506:3)
#3  devres_release_all (drivers/base/devres.c:535:2)
",
            "A call trace (no line says why) in the release acme_off.",
        ),
        (
            "@[\n    acme_off+1\n    devm_action_release+18\n    release_nodes+62\n    devres_release_all+142\n]: 1\n",
            "A call trace (shown along with others) in the release acme_off.",
        ),
    ] {
        let findings = judge(text).findings;
        let [found] = &findings[..] else {
            panic!("{text}: {findings:#?}");
        };
        assert_eq!((found.rule, found.severity), ("DR022", Severity::Info));
        assert_eq!(found.summary, words, "{text}");
    }
}

/// What an interrupt interrupted on powerpc is not blamed; what a fault interrupted has caused it.
#[test]
fn the_vector_says_whether_a_stack_was_interrupted() {
    let log = |vector: &str| {
        format!(
            "\
[   52.000100] BUG: Kernel NULL pointer dereference on read at 0x00000028
[   52.000200] Oops: Kernel access of bad area, sig: 11 [#1]
[   52.000300] CPU: 3 PID: 1517 Comm: rmmod Not tainted 6.6.0 #1
[   52.000400] NIP [c008000001b30014] other_isr+0x14/0x60 [other]
[   52.000500] Call Trace:
[   52.000600] [c00000000f8e7a00] [c0000000001a1234] handle_irq_event+0x64/0xf0
[   52.000700] --- interrupt: {vector} at acme_off+0x14/0x60 [acme]
[   52.000800] [c00000000f8e7ad0] [c0000000009a1234] devm_action_release+0x24/0x40
[   52.000900] [c00000000f8e7b00] [c0000000009a2345] release_nodes+0x74/0x130
[   52.001000] [c00000000f8e7b60] [c0000000009a3456] devres_release_all+0xb4/0x130
"
        )
    };
    assert!(super::text::read(log("500").as_bytes()).is_err());
    assert_eq!(judge(&log("300")).findings.len(), 1);
}

/// What a task, by its `ps` line, was doing.
fn shown(tid: u32, name: &str, frames: &[&str]) -> String {
    let mut text = format!(
        "[  369.1] task:{name}            state:D stack:0     pid:{tid}   tgid:{tid}   ppid:1\n[  369.1] Call Trace:\n[  369.1]  <TASK>\n"
    );
    for frame in frames {
        text.push_str("[  369.1]  ");
        text.push_str(frame);
        text.push('\n');
    }
    text + "[  369.1]  </TASK>\n"
}

const READS: &[&str] = &[
    "schedule+0x3a/0xa0",
    "__mutex_lock.constprop.0+0x2a0/0x550",
    "acme_show+0x20/0x60 [acme]",
    "vfs_read+0x184/0x260",
];

const RELEASES: &[&str] = &[
    "schedule+0x3a/0xa0",
    "msleep+0x2b/0x40",
    "acme_off+0x14/0x40 [acme]",
    "devm_action_release+0x16/0x20",
    "release_nodes+0x40/0xb0",
    "devres_release_all+0x8c/0xc0",
    "device_release_driver_internal+0x1f4/0x240",
];

/// Of the task that holds the lock nobody says that it was blocked.
#[test]
fn whoever_holds_the_lock_is_not_the_one_that_is_blocked() {
    let blocked = "[  369.0] INFO: task cat:501 blocked for more than 122 seconds.\n";
    let owner =
        "[  369.1] INFO: task cat:501 is blocked on a mutex likely owned by task rmmod:412.\n";
    for (between, summary) in [
        (
            owner,
            "A warning (a blocked task waits for the mutex that it holds) in msleep, in the release acme_off [acme]",
        ),
        // The line that says so was lost.
        (
            "",
            "A call trace (shown along with others) in msleep, in the release acme_off [acme]",
        ),
    ] {
        let log = [
            blocked,
            &shown(501, "cat", READS),
            between,
            &shown(412, "rmmod", RELEASES),
        ]
        .concat();
        let found = finding(&log, "DR022");
        assert!(found.summary.starts_with(summary), "{}", found.summary);
        let cause = found.caused_by.expect("a stack");
        assert_eq!((cause.tid, &cause.task[..]), (412, "rmmod"));
    }
    let itself = "[  369.0] INFO: task rmmod:412 blocked for more than 122 seconds.\n";
    let log = [
        itself,
        &shown(412, "rmmod", RELEASES),
        &shown(501, "cat", READS),
    ]
    .concat();
    assert_eq!(finding(&log, "DR019").severity, Severity::Warn);
}

/// The CPU that is stuck is the one that the first line names, and not another one that is shown behind it.
#[test]
fn another_cpu_is_not_the_one_that_is_stuck() {
    let stuck = "\
[  369.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [cat:501]
[  369.0] CPU: 0 PID: 501 Comm: cat Not tainted 6.1.0 #1
[  369.0] RIP: 0010:native_queued_spin_lock_slowpath+0x64/0x2a0
[  369.0] Call Trace:
[  369.0]  _raw_spin_lock+0x2b/0x40
[  369.0]  acme_show+0x20/0x60 [acme]
[  369.0] Sending NMI from CPU 0 to CPUs 1:
[  369.0] NMI backtrace for cpu 1
[  369.0] CPU: 1 PID: 412 Comm: rmmod Not tainted 6.1.0 #1
[  369.0] RIP: 0010:delay_tsc+0x2d/0x70
[  369.0] Code: 66 90 48 c1 e2 20 48 89 d0 <48> 29 f0 48 39 f8 73 16
[  369.0] Call Trace:
";
    let frames: Vec<_> = RELEASES[2..]
        .iter()
        .map(|frame| format!("[  369.0]  {frame}\n"))
        .collect();
    let found = finding(&[stuck, &frames.concat()].concat(), "DR022");
    assert!(
        found.summary.starts_with(
            "A call trace (shown along with others) in delay_tsc, in the release acme_off"
        ),
        "{}",
        found.summary
    );
    let cause = found.caused_by.expect("a stack");
    assert_eq!((cause.tid, &cause.task[..]), (412, "rmmod"));
}

/// Each stack of all tasks is of the task in front of it.
#[test]
fn of_all_tasks_each_has_its_own_name() {
    let log = [
        "[  369.0] sysrq: Show State\n",
        &shown(1, "init", &["schedule+0x3a/0xa0", "do_wait+0x1a0/0x2f0"]),
        &shown(412, "rmmod", RELEASES),
        &shown(
            44,
            "kworker/1:1",
            &["schedule+0x3a/0xa0", "worker_thread+0xa0/0x3a0"],
        ),
    ]
    .concat();
    let cause = finding(&log, "DR022").caused_by.expect("a stack");
    assert_eq!((cause.tid, &cause.task[..]), (412, "rmmod"));
}
