//! Who is named where the innermost function is none to blame, and who is not accused.

use devres_tracer::{engine::Verdict, finding::Severity};

use super::{
    finding, judge,
    kinds::{RELEASE, told},
    log,
};

/// A lock in the memory, or a string that is printed: the caller has the memory, not the kernel's library.
#[test]
fn whoever_calls_the_kernels_library_with_freed_memory_is_named() {
    let whole = log("kfence.log");
    let frame = "[   55.100040]  acme_work+0x1c/0x60 [acme]";
    for inner in [
        &["__mutex_lock", "mutex_lock_nested"][..],
        &["string", "vsnprintf", "devm_kvasprintf", "devm_kasprintf"],
        &["_raw_spin_lock_irqsave"],
        &["strlen"],
        &["refcount_warn_saturate", "kref_get"],
    ] {
        let frames: Vec<String> = inner
            .iter()
            .map(|name| format!("[   55.100040]  {name}+0x48/0xe0\n"))
            .collect();
        let frames = frames.concat();
        let log = whole
            .replacen(
                "in acme_work+0x1c/0x60 [acme]",
                &format!("in {}+0x48/0xe0", inner[0]),
                1,
            )
            .replacen(frame, &format!("{frames}{frame}"), 1);
        let found = finding(&log, "DR013");
        assert!(
            found
                .summary
                .starts_with("acme_work [acme] used managed memory"),
            "{inner:?}: {}",
            found.summary
        );
        assert!(
            found.fingerprint.ends_with("/kfence/acme_work"),
            "{}",
            found.fingerprint
        );
    }
    // Where nobody else is on the stack, the library's function is all there is.
    let alone = whole.replace("acme_work+0x1c/0x60 [acme]", "__mutex_lock+0x1c/0x60");
    let alone = alone
        .lines()
        .filter(|line| !line.contains("process_one_work") && !line.contains("worker_thread"));
    let found = finding(&alone.collect::<Vec<_>>().join("\n"), "DR013");
    assert!(
        found
            .summary
            .starts_with("__mutex_lock used managed memory"),
        "{}",
        found.summary
    );
}

/// `devm_free_irq()` of an interrupt that was never requested warns twice; only the first says why.
#[test]
fn an_interrupt_that_was_never_requested_was_not_freed_twice() {
    let missed = log("irq-not-there.log");
    let again = "\
[   41.200000] Trying to free already-free IRQ 45
[   41.200075] WARNING: CPU: 2 PID: 911 at kernel/irq/manage.c:1894 __free_irq+0x8b/0x27c
[   41.200770] Modules linked in: acme(-)
[   41.202208] Call trace:
[   41.202300]  __free_irq+0x8b/0x27c
[   41.202310]  free_irq+0x31/0x60
[   41.202320]  devm_free_irq+0x58/0x90
[   41.205777]  acme_remove+0x6c/0xac [acme]
[   41.205800]  platform_remove+0x28/0x40
[   41.205900] ---[ end trace 0000000000000000 ]---
";
    let found = finding(&(missed + again), "DR016");
    assert_eq!(found.fingerprint, "DR016/?/?/devm_free_irq/acme_remove");
    let (said, open) = told(again);
    assert!(
        said.starts_with("A warning (interrupt 45 is already free)"),
        "{said}"
    );
    assert!(
        said.contains("acme_remove [acme] frees an interrupt that is not registered"),
        "{said}"
    );
    assert!(open.contains(&"DR021"), "{open:?}");
}

/// Whoever asks by sysrq what all tasks are doing reports no fault.
#[test]
fn what_sysrq_shows_is_no_fault() {
    for asked in [
        "sysrq: Show Blocked State",
        "sysrq: Show State",
        "SysRq : Show Blocked State",
    ] {
        let task = "[   52.000200] task:rmmod           state:D stack:13840 pid:412 tgid:412 ppid:99 flags:0x4002\n";
        let (_, stack) = RELEASE.split_once('\n').unwrap();
        let other = "[   52.001300] task:kworker/u16:3   state:D stack:14256 pid:88 tgid:88 ppid:2 flags:0x4000\n\
                     [   52.001400] Call Trace:\n[   52.001500]  schedule+0x27/0xf0\n";
        let log = format!("[   52.000100] {asked}\n{task}{stack}{other}");
        let (said, open) = told(&log);
        assert!(
            said.starts_with("A call trace (shown along with others) in the release acme_off"),
            "{said}"
        );
        assert!(said.contains("somebody asked"), "{said}");
        assert_eq!(open, ["DR022"], "{asked}");
    }
}

/// Whoever cuts a report of 32-bit ARM down for a mail leaves the names in parentheses.
#[test]
fn functions_in_parentheses_are_a_stack() {
    let names = [
        "regmap_read",
        "acme_interrupt",
        "free_irq",
        "devm_irq_release",
        "release_nodes",
        "devres_release_all",
        "device_release_driver_internal",
    ];
    for address in ["", "[<c012df84>] "] {
        let frames: Vec<String> = names
            .iter()
            .map(|name| format!("      {address}({name})\n"))
            .collect();
        let frames = frames.concat();
        let log = format!(
            "    Unhandled fault: external abort on non-linefetch (0x1008) at 0x8887f02c\n    \
             Internal error: : 1008 [#1] ARM\n    Backtrace:\n{frames}\n(not shown: the rest)\n"
        );
        let (said, _) = told(&log);
        assert!(
            said.starts_with("An external abort in regmap_read, in the release devm_irq_release, during an unbind."),
            "{said}"
        );
        assert_eq!(judge(&log).verdict(Severity::Error), Verdict::Inconclusive);
    }
}

/// A call through a pointer to no function: the machine still knows where it came from.
#[test]
fn whoever_called_what_is_no_function_is_named() {
    for (registers, frame) in [
        (
            "[   18.500785] pc : 0xffff000040241c10\n[   18.500800] lr : acme_off+0x30/0x50 [acme]\n",
            "[   18.501028]  0xffff000040241c10\n",
        ),
        (
            "[   18.500785] PC is at 0xc216c810\n[   18.500800] LR is at acme_off+0x18/0x24 [acme]\n",
            "",
        ),
    ] {
        let log = format!(
            "[   18.500527] Unable to handle kernel execute from non-executable memory at virtual address ffff000040241c10\n\
             [   18.500612] Internal error: Oops: 8600000f [#1] PREEMPT SMP\n\
             [   18.500752] CPU: 0 PID: 246 Comm: modprobe Not tainted 5.19.0 #1\n\
             {registers}[   18.501022] Call trace:\n{frame}\
             [   18.501040]  release_nodes+0x60/0x8c\n\
             [   18.501050]  devres_release_all+0x9c/0x100\n\
             [   18.501060]  really_probe+0x1e0/0x2b0\n"
        );
        let (said, _) = told(&log);
        assert!(
            said.contains("in the release acme_off [acme], after a failed probe"),
            "{said}"
        );
    }
    // Where the processor is within a function, that is where it happened.
    let whole = log("arm64-oops-without-beginning.log");
    let summaries = |log: &str| -> Vec<String> {
        let findings = judge(log).findings.into_iter();
        findings.map(|one| one.summary).collect()
    };
    let linked = whole.replace("lr : devres_release_group", "lr : other_function");
    assert_ne!(linked, whole);
    assert_eq!(summaries(&linked), summaries(&whole));
}

/// A CPU is stuck in other code; who waits for RCU in a release is shown behind it.
#[test]
fn a_stall_is_of_the_cpu_that_is_shown_first() {
    let head = "\
[   52.000010] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   52.000020] rcu: \t2-....: (5249 ticks this GP) idle=7f3/1/0x4000000000000002
";
    let other = "\
[   52.000030] Sending NMI from CPU 0 to CPUs 2:
[   52.000040] NMI backtrace for cpu 2
[   52.000050] CPU: 2 PID: 99 Comm: kworker/2:1 Not tainted 6.6.20 #1
[   52.000060] RIP: 0010:other_spin+0x14/0x20 [other]
[   52.000070] Call Trace:
[   52.000080]  <NMI>
[   52.000090]  ? nmi_cpu_backtrace+0x84/0xf0
[   52.000100]  </NMI>
[   52.000110]  <TASK>
[   52.000120]  other_work+0x1c/0x40 [other]
[   52.000130]  </TASK>
";
    let task = "[   52.000150] task:rmmod           state:D stack:0     pid:412   ppid:880    flags:0x4002\n";
    let (_, stack) = RELEASE.split_once('\n').unwrap();
    finding(&[head, task, stack].concat(), "DR019");
    let outcome = judge(&[head, other, task, stack].concat());
    let accused = outcome
        .findings
        .iter()
        .find(|one| one.severity > Severity::Info);
    assert_eq!(accused, None);
    let said = &outcome.findings[0].summary;
    assert!(!said.contains("other_"), "{said}");
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
}

/// Two CPUs die at once, and nobody says who writes: none of the functions can be said to be a release.
#[test]
fn whose_lines_are_mixed_has_no_release_to_name() {
    let log = "\
[  882.100001] BUG: kernel NULL pointer dereference, address: 0000000000000018
[  882.100004] BUG: unable to handle page fault for address: ffffc90000abc000
[  882.100021] Oops: 0000 [#1] PREEMPT SMP NOPTI
[  882.100024] CPU: 2 PID: 911 Comm: rmmod Not tainted 6.6.30 #1
[  882.100031] CPU: 3 PID: 77 Comm: kworker/3:1 Not tainted 6.6.30 #1
[  882.100035] RIP: 0010:acme_disable+0x1a/0x60 [acme]
[  882.100040] RIP: 0010:memcpy_toio+0x38/0x80
[  882.100045] Call Trace:
[  882.100051] Call Trace:
[  882.100059]  devm_action_release+0x12/0x20
[  882.100061]  other_flush+0x4c/0xd0 [other]
[  882.100064]  release_nodes+0x40/0xb0
[  882.100066]  other_work+0x1c/0x40 [other]
[  882.100070]  devres_release_all+0x8c/0xc0
[  882.100072]  process_one_work+0x1e5/0x3f0
[  882.100080]  device_release_driver_internal+0x1cc/0x200
";
    let outcome = judge(log);
    let [found] = &outcome.findings[..] else {
        panic!("{:#?}", outcome.findings);
    };
    assert_eq!(found.severity, Severity::Info);
    let text = devres_tracer::finding::text::Text(found).to_string();
    assert!(
        !text.contains("other") && !text.contains("kworker"),
        "{text}"
    );
    assert!(text.contains("during an unbind"), "{text}");
}

/// What crash shows has no offsets: its first frames are those of it all the same.
#[test]
fn the_first_frames_that_crash_shows_are_of_the_stack() {
    let log = "\
PID: 2231     TASK: ffff9d8a43a30000  CPU: 3    COMMAND: \"rmmod\"
 #0 [ffffb3cfc0b5fa58] __schedule at ffffffff8f9e6b7a
 #1 [ffffb3cfc0b5fae8] schedule at ffffffff8f9e7046
 #2 [ffffb3cfc0b5fb60] wait_for_completion at ffffffff8f9e7b1f
 #3 [ffffb3cfc0b5fbb8] acme_quiesce at ffffffffc09f30b2 [acme]
 #4 [ffffb3cfc0b5fbd0] devm_action_release at ffffffff8f4ea0b2
 #5 [ffffb3cfc0b5fbe0] release_nodes at ffffffff8f4eb3f0
 #6 [ffffb3cfc0b5fc20] devres_release_all at ffffffff8f4eb9cc
 #7 [ffffb3cfc0b5fc68] device_release_driver_internal at ffffffff8f4e6f8c
";
    for log in [log.to_owned(), log.replace("\n #", "\n#")] {
        let (said, _) = told(&log);
        assert!(
            said.contains(
                "in wait_for_completion, in the release acme_quiesce [acme], during an unbind"
            ),
            "{said}"
        );
    }
}

/// What the driver called is named, and not the part of devres that does it.
#[test]
fn what_is_freed_by_hand_is_called_by_the_managed_function() {
    for (frames, expected) in [
        (
            "find_dr devres_remove devres_destroy devm_iounmap acme_deinit",
            "in find_dr, called by devm_iounmap",
        ),
        (
            "mutex_lock free_irq devm_irq_release devres_release devm_free_irq acme_suspend",
            "in mutex_lock, in devm_irq_release, called by devm_free_irq",
        ),
        (
            "devres_remove devres_release devm_clk_put acme_remove",
            "in devres_remove, in devm_clk_put",
        ),
    ] {
        let frames: Vec<String> = frames
            .split(' ')
            .map(|name| format!("[   52.000500]  {name}+0x14/0x40\n"))
            .collect();
        let frames = frames.concat();
        let log = format!(
            "[   52.000100] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\n\
             [   52.000200] CPU: 1 PID: 412 Comm: rmmod Not tainted 6.1.0 #1\n\
             [   52.000300] Call trace:\n{frames}"
        );
        let (said, _) = told(&log);
        assert!(said.contains(expected), "{said}");
    }
}

/// Memory that the driver frees by hand is freed by no unbind.
#[test]
fn memory_that_is_freed_by_hand_has_its_own_advice() {
    let found = finding(
        "[   90.1] BUG: KASAN: slab-use-after-free in acme_work+0x1c/0x60 [acme]
[   90.1] Read of size 8 at addr ffff888104c3a008 by task kworker/0:1/12
[   90.1] Call Trace:
[   90.1]  acme_work+0x1c/0x60 [acme]
[   90.1]  process_one_work+0x1e0/0x3a0
[   90.1] Allocated by task 700:
[   90.1]  devm_kmalloc+0x60/0x110
[   90.1]  acme_open+0x34/0x150 [acme]
[   90.1] Freed by task 700:
[   90.1]  kfree+0x12/0x40
[   90.1]  devm_kfree+0x60/0x110
[   90.1]  acme_release+0x2c/0x50 [acme]
[   90.1]  __fput+0x1a5/0x2f0
",
        "DR013",
    );
    let steps: Vec<_> = found.order.iter().map(|step| step.what.as_str()).collect();
    assert!(
        steps.contains(&"acme_release [acme] frees the memory by devm_kfree"),
        "{steps:?}"
    );
    assert!(!found.meaning.contains("binding ends"), "{}", found.meaning);
}

/// Memory with the tag of what is free was freed, whatever KASAN calls the access.
#[test]
fn a_tag_shows_that_memory_is_free() {
    let log = |tag: &str| {
        format!(
            "[   77.1] BUG: KASAN: invalid-access in acme_work+0x1c/0x60 [acme]
[   77.1] Read at addr f4ff000005c0a200 by task kworker/2:1/77
[   77.1] Pointer tag: [f4], memory tag: [{tag}]
[   77.1] Call trace:
[   77.1]  kasan_report+0xa8/0xd0
[   77.1]  __do_kernel_fault+0x17c/0x1c0
[   77.1]  do_mem_abort+0x44/0x90
[   77.1]  el1_abort+0x40/0x60
[   77.1]  acme_work+0x1c/0x60 [acme]
[   77.1] Freed by task 302:
[   77.1]  release_nodes+0x5c/0x90
[   77.1]  devres_release_all+0x8c/0xe0
[   77.1]  device_unbind_cleanup+0x18/0x68
"
        )
    };
    let found = finding(&log("fe"), "DR013");
    assert_eq!(found.fingerprint, "DR013/?/?/kasan/acme_work");
    // Another tag is of memory that somebody has.
    finding(&log("f2"), "DR022");
}

/// Plain memory that an action frees, after somebody did so by hand; or after a call of which the stack does not show the
/// caller, which may have been the same release's.
#[test]
fn a_release_that_frees_what_was_freed_by_hand_is_told_from_one_that_runs_twice() {
    let log = |caller: &str| {
        format!(
            "[   41.1] BUG: KASAN: double-free in acme_off+0x1c/0x30 [acme]
[   41.1] Free of addr ffff888112345678 by task rmmod/77
[   41.1] Call Trace:
[   41.1]  kfree+0xa7/0x300
[   41.1]  acme_off+0x1c/0x30 [acme]
[   41.1]  devm_action_release+0x30/0x40
[   41.1]  release_nodes+0x5a/0x110
[   41.1]  devres_release_all+0x8e/0xd0
[   41.1]  device_unbind_cleanup+0xe/0x70
[   41.1]  driver_detach+0x54/0xa0
[   41.1] Allocated by task 60:
[   41.1]  acme_probe+0x44/0x120 [acme]
[   41.1]  really_probe+0xdb/0x340
[   41.1] Freed by task 77:
[   41.1]  kfree+0xf5/0x300
[   41.1]  acme_off+0x1c/0x30 [acme]
{caller}"
        )
    };
    let by_hand = "[   41.1]  acme_remove+0x1c/0x40 [acme]\n[   41.1]  device_remove+0x3f/0x70\n";
    let found = finding(&log(by_hand), "DR021");
    assert_eq!(
        found.summary,
        "The release acme_off [acme] freed memory that acme_remove [acme] through acme_off [acme] had freed before, \
         during an unbind."
    );
    assert!(
        !found.meaning.contains("managed memory"),
        "{}",
        found.meaning
    );
    let open = finding(&log(""), "DR022");
    assert!(
        open.meaning.contains("The same function"),
        "{}",
        open.meaning
    );
}

/// What the advice is depends on who used the memory, and when.
#[test]
fn memory_that_is_used_too_late_has_the_advice_that_fits() {
    let log = |user: &str, freed_by: u32| {
        format!(
            "[   41.1] BUG: KASAN: slab-use-after-free in acme_use+0x1c/0x30 [acme]
[   41.1] Read of size 8 at addr ffff888112345678 by task sh/77
[   41.1] Call Trace:
[   41.1]  acme_use+0x1c/0x30 [acme]
{user}
[   41.1] Allocated by task 60:
[   41.1]  devm_kmalloc+0x44/0x120
[   41.1]  acme_probe+0x44/0x120 [acme]
[   41.1] Freed by task {freed_by}:
[   41.1]  release_nodes+0x5a/0x110
[   41.1]  devres_release_all+0x8e/0xd0
[   41.1]  device_unbind_cleanup+0xe/0x70
[   41.1]  device_release_driver_internal+0x1cc/0x200
"
        )
    };
    let release = "[   41.1]  devm_action_release+0x30/0x40\n[   41.1]  release_nodes+0x5a/0x110\n\
                   [   41.1]  devres_release_all+0x8e/0xd0\n\
                   [   41.1]  device_release_driver_internal+0x1cc/0x200";
    for (user, freed_by, says) in [
        (release, 77, "reverse order"),
        (release, 78, "another device's resources"),
        (
            "[   41.1]  really_probe+0xdb/0x340",
            78,
            "A pointer to the memory was kept",
        ),
        (
            "[   41.1]  device_remove+0x3f/0x70",
            78,
            "an earlier binding",
        ),
        ("[   41.1]  device_release+0x3f/0x70", 78, "kzalloc()"),
        ("[   41.1]  process_one_work+0x1e0/0x3a0", 78, "a work item"),
    ] {
        let log = log(user, freed_by);
        let found = finding(&log, "DR013");
        assert!(found.meaning.contains(says), "{log}: {}", found.meaning);
    }
}
