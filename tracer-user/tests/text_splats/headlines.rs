//! The first lines of reports: what the exceptions of each processor and the other complaints are called.

use devres_tracer::finding::Severity;

use super::{
    finding, judge,
    kinds::{RELEASE, told},
    log,
};

#[test]
fn exceptions_are_called_as_their_processor_calls_them() {
    for (line, words) in [
        // x86
        (
            "divide error: 0000 [#1] PREEMPT SMP NOPTI",
            "An oops (divide error)",
        ),
        (
            "Oops: divide error: 0000 [#1] SMP NOPTI",
            "An oops (divide error)",
        ),
        ("int3: 0000 [#1] SMP", "An oops (int3)"),
        ("stack segment: 0000 [#1] SMP", "An oops (stack segment)"),
        ("invalid opcode: 0000 [#1] SMP", "A BUG in the release"),
        (
            "traps: PANIC: double fault, error_code: 0x0",
            "An oops (double fault)",
        ),
        (
            "BUG: TASK stack guard page was hit at 00000000a5b4c3d2",
            "An oops (the stack is full)",
        ),
        ("Oops: 0002 [#1] SMP", "An oops in the release"),
        // riscv
        ("Oops - load page fault [#1]", "An oops (load page fault)"),
        (
            "Oops - store (or AMO) access fault [#1]",
            "An external abort (store (or AMO) access fault)",
        ),
        ("Kernel BUG [#1]", "A BUG in the release"),
        // mips, loongarch, sparc, parisc
        (
            "Data bus error, epc == 80010000, ra == 80010010",
            "An external abort (data bus error)",
        ),
        ("Oops[#1]:", "An oops in the release"),
        (
            "Reserved instruction in kernel code[#1]:",
            "An oops (Reserved instruction in kernel code)",
        ),
        (
            "rmmod(412): Kernel bad sw trap 5 [#1]",
            "An oops (Kernel bad sw trap 5)",
        ),
        (
            "Kernel Fault: Code=26 (Data memory access rights trap) at addr 0000000000000028",
            "An oops (Data memory access rights trap)",
        ),
        // s390
        (
            "specification exception: 0006 ilc:2 [#1] SMP",
            "An oops (specification exception)",
        ),
        ("monitor event: 0040 ilc:2 [#1] SMP", "A BUG in the release"),
        // powerpc
        (
            "BUG: Kernel NULL pointer dereference on read at 0x00000018",
            "An oops (NULL pointer dereference)",
        ),
        (
            "Oops: Kernel access of bad area, sig: 11 [#1]",
            "An oops in the release",
        ),
        (
            "Oops: Exception in kernel mode, sig: 5 [#1]",
            "A BUG in the release",
        ),
        (
            "Oops: Machine check, sig: 7 [#1]",
            "An external abort in the release",
        ),
        // arm
        (
            "Unhandled prefetch abort: breakpoint debug exception (0x002) at 0x00000000",
            "An oops (breakpoint debug exception)",
        ),
    ] {
        let (said, _) = told(&format!("[   52.000100] {line}\n{RELEASE}"));
        assert!(said.starts_with(words), "{line}: {said}");
    }
}

#[test]
fn other_complaints_are_called_after_their_words() {
    for (line, words) in [
        (
            "irq 45: nobody cared (try booting with the \"irqpoll\" option)",
            "A warning (nobody handles interrupt 45)",
        ),
        (
            "list_add double add: new=ffff88811b79fb00, prev=ffff88811b79fb10, next=ffff88811b79fb00.",
            "A list corruption report (list_add of what is on a list)",
        ),
        (
            "iounmap: bad address 00000000f1b2c3d4",
            "A warning (iounmap() of what is not mapped)",
        ),
        (
            "slab error in verify_redzone_free(): cache `kmalloc-64': double free detected",
            "A report of the slab allocator (double free detected)",
        ),
        (
            "BUG acme_cache (Not tainted): Objects remaining in acme_cache on __kmem_cache_shutdown()",
            "A report of the slab allocator (Objects remaining",
        ),
        (
            "BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000001/12",
            "A BUG (workqueue leaked lock or atomic: kworker/0:1/0x00000001/12)",
        ),
        (
            "WARNING: CPU: 1 PID: 412 at acme_off+0x14/0x40 [acme]",
            "A warning in the release acme_off [acme]",
        ),
        (
            "Kernel panic - not syncing: synchronous external abort: Fatal exception",
            "An external abort in the release",
        ),
    ] {
        let (said, _) = told(&format!("[   52.000100] {line}\n{RELEASE}"));
        assert!(said.starts_with(words), "{line}: {said}");
    }
    let prose = [
        "It is a divide error [#1], see below:",
        "as I wrote in [#1]",
        "see the kernel patch [#1]",
        "Kernel patches [#1] and [#2]:",
        "BUG: my driver does this",
        "irq handlers: nobody cared",
    ];
    for line in prose {
        let (said, _) = told(&format!("{line}\n{RELEASE}"));
        assert!(
            said.starts_with("A call trace (no line says why)"),
            "{line}: {said}"
        );
    }
}

#[test]
fn a_hard_lockup_is_of_the_cpu_that_is_stuck() {
    for line in [
        "watchdog: CPU 7 Hard LOCKUP",
        "Watchdog CPU:7 Hard LOCKUP",
        "watchdog: CPU 3 self-detected hard LOCKUP @ acme_off+0x14/0x40 [acme]",
        "watchdog: CPU 3 detected hard LOCKUP on other CPUs 7\n[   52.000150] watchdog: CPU 7 Hard LOCKUP",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1",
    ] {
        let found = finding(&format!("[   52.000100] {line}\n{RELEASE}"), "DR019");
        assert_eq!(found.severity, Severity::Warn, "{line}");
        assert!(
            found
                .summary
                .starts_with("The release acme_off [acme] kept a CPU"),
            "{line}: {}",
            found.summary
        );
    }
}

/// An action whose type was cast away: what is called is in the line, and on no stack.
#[test]
fn a_failure_of_cfi_names_what_was_called() {
    let line = "CFI failure at devm_action_release+0x24/0x38 (target: acme_unprepare+0x0/0x2c [acme]; expected type: 0xe87e52be)";
    let log = RELEASE.replace("[   52.000600]  acme_off+0x14/0x40 [acme]\n", "");
    let (said, _) = told(&format!("[   52.000100] {line}\n{log}"));
    assert!(said.contains("called acme_unprepare [acme]"), "{said}");
    assert!(said.contains("pointer of another type"), "{said}");
}

/// A first line that ends too early says nothing; that the memory had been freed, the rest shows.
#[test]
fn a_report_whose_first_line_was_cut_off_stays_open() {
    let whole = log("used-after-unbind.log");
    let line = whole
        .lines()
        .find(|line| line.contains("BUG: KASAN"))
        .unwrap();
    let begin = line.find("KASAN").unwrap();
    for end in [begin, begin + 2, begin + 6, begin + 9] {
        let outcome = judge(&whole.replace(line, &line[..end]));
        let open = outcome.undecided.iter().any(|it| it.rule == "DR013");
        assert!(open, "{}", &line[..end]);
        let severe = |finding: &&devres_tracer::finding::Finding| finding.severity > Severity::Info;
        assert_eq!(outcome.findings.iter().find(severe), None);
    }
}

/// What a managed function allocates is managed, whatever frees it; an object with a count is another matter.
#[test]
fn memory_that_a_managed_function_allocated_is_managed() {
    let used = "\
[   52.000100] BUG: KASAN: slab-use-after-free in acme_read+0xd4/0x4b0 [acme]
[   52.000200] Read of size 8 at addr ffff88810c3f6c40 by task acmectl/1502
[   52.000300] Call Trace:
[   52.000400]  acme_read+0xd4/0x4b0 [acme]
[   52.000500]  vfs_read+0x15b/0x6e0
[   52.000600] Allocated by task 1400:
[   52.000700]  __kasan_kmalloc+0x8f/0xa0
[   52.000800]  devm_acme_fifo_allocate+0x31/0x90 [acme_fifo]
[   52.000900]  acme_probe+0x2c4/0x6d0 [acme]
[   52.001000]  really_probe+0x16f/0x5a0
[   52.001100] Freed by task 1499:
[   52.001200]  kfree+0xd9/0x2f0
[   52.001300]  acme_fifo_free+0x2d/0x40 [acme_fifo]
[   52.001400]  devm_action_release+0x2a/0x40
[   52.001500]  release_nodes+0x94/0x140
[   52.001600]  devres_release_all+0x124/0x190
[   52.001700]  device_release_driver_internal+0x268/0x360
";
    let found = finding(used, "DR013");
    assert!(
        found.summary.starts_with(
            "acme_read [acme] used memory that the release acme_fifo_free [acme_fifo] had freed before, during an unbind"
        ),
        "{}",
        found.summary
    );
    let put = used.replace(
        "[   52.001300]",
        "[   52.001250]  kobject_put+0x11c/0x2d0\n[   52.001300]",
    );
    let (said, open) = told(&put);
    assert!(said.contains("put a reference too often"), "{said}");
    assert!(!said.contains("not managed"), "{said}");
    assert!(open.contains(&"DR013"), "{open:?}");
}

/// The driver whose function the bus called, and not who allocated the memory for it.
#[test]
fn the_module_to_unload_is_the_one_that_the_bus_has_called() {
    let log = "\
[   52.000100] BUG: KASAN: slab-use-after-free in devres_release_all+0x3c/0x180
[   52.000200] Read of size 8 at addr ffff88810d4f4a90 by task kworker/3:1/77
[   52.000300] Call Trace:
[   52.000400]  devres_release_all+0x3c/0x180
[   52.000500]  device_release+0x48/0x120
[   52.000600]  kobject_put+0x11c/0x2d0
[   52.000700]  acme_disconnect+0x1c4/0x330 [acme_usb]
[   52.000800]  usb_unbind_interface+0xf5/0x420
[   52.000900]  device_release_driver_internal+0x268/0x360
[   52.001000] Allocated by task 60:
[   52.001100]  __kasan_kmalloc+0x8f/0xa0
[   52.001200]  acme_card_new+0x49/0xd0 [acme_core]
[   52.001300]  acme_probe+0x3b4/0x1100 [acme_usb]
";
    let outcome = judge(log);
    let next = outcome.findings[0].next.join("\n");
    assert!(next.contains("modprobe -r acme_usb"), "{next}");
}
