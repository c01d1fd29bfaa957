//! Where it happened: the frames that are shown of a report, and the task.

use super::{finding, judge};

/// The frames of the only finding's cause, and its task.
fn cause(log: &str) -> (String, u32) {
    let outcome = judge(log);
    let [found] = &outcome.findings[..] else {
        panic!("{log}: {:#?}", outcome.findings);
    };
    let cause = found.caused_by.as_ref().expect("a cause");
    (cause.stack.join(" "), cause.tid)
}

/// The stack of an unbind behind these lines, each written a millisecond after the one before.
fn unbind(before: &str, innermost: &str) -> Vec<String> {
    let behind = "devres_release_all+0x8c/0xc0
 device_unbind_cleanup+0xe/0x70
 device_release_driver_internal+0x1cc/0x200
 unbind_store+0xa1/0xb0";
    format!("{before}\n {innermost}\n {behind}")
        .lines()
        .enumerate()
        .map(|(place, line)| format!("[   81.{:03}000] {line}", place + 100))
        .collect()
}

#[test]
fn the_place_is_the_registers_own() {
    for (before, innermost, expected) in [
        (
            "BUG: kernel NULL pointer dereference, address: 0000000000000028
CPU: 1 PID: 9 Comm: sh Not tainted 6.1.0 #1
RIP: 0010:acme_off+0x14/0x40 [acme]
Call Trace:",
            "devm_action_release+0x15/0x20",
            "acme_off+0x14 [acme] devm_action_release+0x15 devres_release_all+0x8c",
        ),
        // Where the first frame names both ends of a call, it has no offset of its own.
        (
            "Unhandled fault: external abort on non-linefetch (0x1008) at 0xf0a5c000
CPU: 0 PID: 9 Comm: sh Not tainted 6.1.0 #1
PC is at acme_off+0x2c/0x60 [acme]",
            "acme_off [acme] from devm_action_release+0x15/0x20",
            "acme_off+0x2c [acme] devm_action_release+0x15 devres_release_all+0x8c",
        ),
        // A CPU that is stuck was interrupted by what reports it.
        (
            "watchdog: BUG: soft lockup - CPU#2 stuck for 26s! [sh:9]
CPU: 2 PID: 9 Comm: sh Not tainted 6.1.0 #1
RIP: 0010:acme_off+0x21/0x40 [acme]
Call Trace:
 <IRQ>
 ? watchdog_timer_fn+0x1b8/0x220
 </IRQ>
 <TASK>
 ? asm_sysvec_apic_timer_interrupt+0x1a/0x20",
            "devm_action_release+0x15/0x20",
            "acme_off+0x21 [acme] devm_action_release+0x15 devres_release_all+0x8c",
        ),
    ] {
        let log = unbind(before, innermost).join("\n");
        let (stack, task) = cause(&log);
        assert!(stack.starts_with(expected), "{log}: {stack}");
        assert_eq!(task, 9, "{log}");
    }
}

/// The code of a process is none of the kernel's.
#[test]
fn the_code_of_a_process_says_nothing_of_the_report() {
    let mut log = unbind("", "release_nodes+0x22a/0x250");
    log.push("RIP: 0033:0x7f5b3db1c5ab\nCode: 73 01 c3 48 <8b> 0d 75 a8 0e 00\n".to_owned());
    let found = finding(&log.join("\n"), "DR022");
    assert!(
        found.summary.starts_with("A call trace"),
        "{}",
        found.summary
    );
}

/// Logs that come over a network may have swapped lines: their times say in which order they were written.
#[test]
fn swapped_frames_are_put_in_order() {
    let lines = unbind(
        "BUG: KASAN: slab-use-after-free in acme_off+0x14/0x40 [acme]
Read of size 8 at addr ffff888104c3a008 by task sh/9

CPU: 1 PID: 9 Comm: sh Not tainted 6.1.0 #1
Call Trace:
 acme_off+0x14/0x40 [acme]
 devm_action_release+0x15/0x20
 devres_release_all+0x8c/0xc0

Allocated by task 8:
 kasan_save_stack+0x33/0x60
 acme_probe+0x31/0x120 [acme]

Freed by task 9:
 kasan_save_stack+0x33/0x60
 acme_remove+0x3c/0x50 [acme]",
        "device_remove+0x4b/0x80",
    );
    let expected = finding(&lines.join("\n"), "DR013");
    assert_eq!(expected.fingerprint, "DR013/?/?/kasan/acme_off");
    for place in 0..lines.len() - 1 {
        let mut swapped = lines.clone();
        swapped.swap(place, place + 1);
        let log = swapped.join("\n");
        let found = finding(&log, "DR013");
        assert_eq!(found.fingerprint, expected.fingerprint, "{log}");
    }
}

/// In front of a stack the slab allocator names the frame that called it.
#[test]
fn a_frame_that_introduces_a_stack_is_there_once() {
    let log = unbind(
        "BUG kmalloc-512 (Not tainted): Poison overwritten
Allocated in devm_kmalloc+0x4f/0xf0 age=15021 cpu=1 pid=611
 devm_kmalloc+0x4f/0xf0
 acme_probe+0x3d/0x540 [acme]
Freed in release_nodes+0x40/0xb0 age=12 cpu=0 pid=87
 __kmem_cache_free+0x2a8/0x310",
        "release_nodes+0x40/0xb0",
    );
    let found = finding(&log.join("\n"), "DR013");
    assert!(
        found
            .expected
            .iter()
            .any(|step| step == "whatever can use the memory is stopped"),
        "{:?}",
        found.expected
    );
    let (stack, task) = cause(&log.join("\n"));
    assert_eq!(task, 87);
    assert!(
        stack.starts_with("release_nodes+0x40 devres_release_all+0x8c"),
        "{stack}"
    );
}

/// The line at the end names only the task of the second access.
#[test]
fn of_a_data_race_each_access_has_its_task() {
    let mut log = unbind(
        "BUG: KCSAN: data-race in acme_poll / release_nodes

write to 0xffff88811b79fb00 of 8 bytes by task 412 on cpu 1:",
        "release_nodes+0x58/0x90",
    );
    log.push(
        "
read to 0xffff88811b79fb00 of 8 bytes by task 98 on cpu 0:
 acme_poll+0x1c/0x60 [acme]
 process_one_work+0x1e0/0x3a0

Reported by Kernel Concurrency Sanitizer on:
CPU: 0 PID: 98 Comm: kworker/0:2 Not tainted 6.1.0 #1
"
        .to_owned(),
    );
    let (stack, task) = cause(&log.join("\n"));
    assert!(stack.starts_with("release_nodes+0x58"), "{stack}");
    assert_eq!(task, 412);
}
