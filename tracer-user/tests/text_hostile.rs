//! Whatever the bytes, reading ends, every line is counted, and every event can be judged.

#[path = "support/any_text.rs"]
mod any_text;

use devres_tracer::source::text;
use proptest::{collection::vec, prelude::*};

/// Lines of all formats, to be mutated.
const LINES: &[&str] = &[
    "[  126.886032] snd 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 grp< (0 bytes)",
    "> [7.138679] platform (null): DEVRES REM ffff800081443800 (void(*)(void *))put_device (64 bytes)",
    "Mar  8 22:20:36 pc kernel: x: DEVRES REL (ptrval) devm_clk_release (16 bytes)",
    "2023-03-08T22:20:36.12+01:00 pc kernel: [   1.0][  T12] x y: DEVRES REPLACE 1234abcd a (16 bytes)",
    "3,77,7138679,-;x y: DEVRES ADD",
    "sh-124 [000] d..1. 439.921733: devres_log: (null) ADD 44be06af devm_kzalloc_release (64 bytes)",
    "sh 124 [000] 439.921733: devres:devres_log: counter0 REL 44be06af devm_kzalloc_release (64 bytes)",
    "i-1 [000] ..... 1.1: a: (add_dr+0x0/0xc0 <ffffffff81000060>) dev=0xff10 node=0xff20 rel=foo_release+0x0/0x10 [foo]",
    "i-1 [000] ..... 1.1: a: (devres_add+0x0/0xc0) dev=0xff10 res=0xff38",
    "i-1 [000] ..... 1.1: a: (devres_release_all+0x0/0xc0) dev=0xff10 name=\"x\"",
    "i-1 [000] ..... 1.1: a: (device_del+0x297/0x410 <ffffffff816ed707> <- devres_release_all <ffffffff816fa420>) cnt=3",
    "i-1 [000] ..... 1.1: a: (devres_open_group+0x0/0x10) dev=0xff10 id=0x0",
    "i-1 [000] ..... 1.1: a: (x <- devres_open_group) id=0xff20",
    "i-1 [000] ..... 1.1: a: (devm_krealloc+0x0/0x10) dev=0xff10 p=0xff38 data=18446744073709551615",
    "node=0xff20 ret=-9223372036854775808",
    "CPU:2 [LOST 18446744073709551615 EVENTS]",
    "[ 1.0] WARNING: CPU: 0 PID: 1 at drivers/base/devres.c:1064",
    "[ 1.0] x y: Resources present before probing",
    "[ 1.0] RIP: 0010:devres_release_group+0x362/0x530",
    "[ 1.0] CPU: 1 PID: 0 Comm: swapper/1 Tainted: G           O       6.5.0-rc4+ #1",
    "[ 1.0] Call trace:",
    "[ 1.0]  devm_kfree+0x8c/0xfc",
    " [<ffffffff8134d5e8>] (foo_remove) from [<c0765432>] (foo+0x18/0x30 [foo])",
    "[ 1.0] ODEBUG: free active (active state 0) object type: work_struct hint: foo_work+0x0/0x10",
    "kernel BUG at drivers/base/devres.c:120!",
    "[ 1.0] BUG: KASAN: slab-use-after-free in foo_detach+0x58/0x220 [foo]",
    "[ 1.0] Read of size 4 at addr ffff8000304743f0 by task sh/227",
    "[ 1.0]  release_nodes+0xd0/0x2c8",
    "[ 1.0]  devres_release_all+0xfc/0x178",
    "[ 1.0] Allocated by task 200:",
    "[ 1.0] Freed by task 227:",
    "[ 1.0]  devm_kmalloc+0x5c/0x110",
    "[ 1.0] Trying to free already-free IRQ 44",
    "[ 1.0] INFO: task rmmod:1517 blocked for more than 120 seconds.",
    "[ 1.0] Internal error: synchronous external abort: 0000000096000210 [#1] PREEMPT SMP",
    "[ 1.0] Code: d503233f a9bf7bfd 910003fd f9400000 (b9000c1f)",
    "[ 1.0] ---[ end trace 0000000000000000 ]---",
    "[ 1.0] Modules linked in: foo(-)",
    "[ 1.0] foo foo.0: probe with driver foo failed with error -22",
    "[ 1.0] m mm: DEVRES ADD 0000000000000001 devm_component_match_release (24 bytes)",
    "[ 1.1] m mm: DEVRES ADD 0000000000000002 grp< (0 bytes)",
    "[ 1.2] m mm: DEVRES ADD 0000000000000003 devm_irq_release (16 bytes)",
    "[ 2.0] c cc: DEVRES REL 0000000000000004 grp< (0 bytes)",
    "[ 2.1] m mm: DEVRES REL 0000000000000002 grp< (0 bytes)",
    "[ 2.2] m mm: DEVRES REL 0000000000000003 devm_irq_release (16 bytes)",
    "[18446744073.709551615] m mm: DEVRES REL 0000000000000001 devm_component_match_release (24 bytes)",
    "[    7.138679] (2)[0:swapper/2] (NULL device *): DEVRES ADD (null) (null) (0 bytes)",
    "6.1.0,3,77,7138679,-;x y: DEVRES REM 0000000000000001 a (8 bytes)=",
    "sh-124 [001] d..1. 439.921734: <stack trace>",
    " => foo_probe+0x10/0x90 [foo]",
    "\tffffffffc0000010 foo_probe+0x10 ([foo])",
    "439.921733 |   1)     sh-124    |   |  /* devres_log: x ADD f0ecfb01 y (8 bytes) */",
    "{\"MESSAGE\":\"x y: DEVRES ADD 0000000000000001 a (8 bytes)\"}",
    "{\"MESSAGE\":\"x y: DEVRES ADD 0000000000000001 a (8 bytes)\",\"__MONOTONIC_TIMESTAMP\":\"18446744073709551615\"}",
    "{",
    "\"__MONOTONIC_TIMESTAMP\" : \"7138679\",",
    "\"MESSAGE\" : \"x y: DEVRES ADD 0000000000000001 a (8 bytes)\"",
    "}",
    "__CURSOR=s",
    "MESSAGE=x y: DEVRES ADD 0000000000000001 a (8 bytes)",
    "",
    "> [ 1.0] x y: DEVRES ADD 00000000000000=",
    "> 01 grp=3C (0 bytes)[ 1.1] x y: Resources present before",
    "probing[ 1.2] x y: DEVRES REL 0000000000000001 grp&lt; (0 bytes)\r[ 1.3]",
    "[ 1.0] WARNING: CPU: 0 PID: 1 at",
    "drivers/base/devres.c:1064 devm_kfree (drivers/base/devres.c:1064) foo",
    "BUG: soft lockup",
    "sh-124 [001] d..1. 439.921734:",
    "devres_log: x ADD 00000000aaaa00",
    "01 y (8 bytes)",
    "     0.010 sh/171 dev:devres_log(devname: \"x\", op: \"ADD\", node: 0xaaaa0001, name: \"y\", size: 40)",
    "# entries-in-buffer/entries-written: 1/18446744073709551615   #P:4",
];

/// Lines that are no events, and some with which one may begin or go on.
const DULL: &[&str] = &[
    "[    1.000000] usb 1-1: New USB device found, idVendor=1d6b, idProduct=0002",
    "[    1.000000] systemd[1]: Started Session 1 of user root.\r",
    "[ 1.0] x y:",
    "[ 1.0] x",
    "[ 1.0]",
    "x y: z",
    "> quoted",
    "",
    "sh-124 [001] d..1.",
    "sh-124 [001] d..1. 439.921734: device_del:",
    "(device_del+0x0/0x3e0 <ffffffff8191a634>) dev=0xff10",
    "> (device_del) dev=0xff10",
    "sh-124 [001] 439.921735000: devres_log: x 0000000000000011 0xff11000000000010 a (8 bytes)",
    "sh-124 [001] 439.921736000: devres_log: x 0000000000000022 0xff11000000000010 a (8 bytes)",
    "sh-124 [001] 439.921737000: kernel_stack: <stack trace >",
    "=> add_dr (ffffffff81d59b7e)",
    "\tffffffff81d59a09 release_nodes+0xa9 ([kernel.kallsyms])",
    "{",
    "\t}",
    "a=b and c=",
    "one\rtwo",
];

fn check(input: &[u8]) {
    drop(any_text::read(input));
}

/// A change to a line.
#[derive(Debug, Clone)]
enum Mutation {
    Set(usize, u8),
    Insert(usize, u8),
    Cut(usize),
    Drop(usize, usize),
    Split(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = 0_usize..160;
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        place.clone().prop_map(Mutation::Cut),
        (place.clone(), place.clone()).prop_map(|(from, length)| Mutation::Drop(from, length)),
        place.prop_map(Mutation::Split),
    ]
}

fn mutate(line: &str, mutations: &[Mutation]) -> Vec<u8> {
    let mut line = line.as_bytes().to_vec();
    for mutation in mutations {
        let end = line.len();
        match *mutation {
            Mutation::Set(at, byte) if at < end => line[at] = byte,
            Mutation::Insert(at, byte) => line.insert(at.min(end), byte),
            Mutation::Split(at) => line.insert(at.min(end), b'\n'),
            Mutation::Cut(at) => line.truncate(at),
            Mutation::Drop(from, length) => {
                drop(line.drain(from.min(end)..from.saturating_add(length).min(end)));
            }
            Mutation::Set(..) => {}
        }
    }
    line.push(b'\n');
    line
}

proptest! {
    #[test]
    fn any_bytes_are_read(input in vec(any::<u8>(), 0..2000)) {
        check(&input);
    }

    #[test]
    fn mutated_lines_are_read(
        lines in vec((0..LINES.len(), vec(mutation(), 0..3)), 0..40),
    ) {
        let input: Vec<u8> = lines
            .iter()
            .flat_map(|(line, mutations)| mutate(LINES[*line], mutations))
            .collect();
        check(&input);
    }

    /// The lines of a whole story in any order, and any of them missing: whatever is concluded from the
    /// order must bear that.
    #[test]
    fn lines_in_any_order_are_judged(
        order in vec((0..LINES.len(), 0_u32..100), 0..120),
    ) {
        let input: String = order
            .iter()
            .map(|(line, time)| LINES[*line].replacen("[ 1.", &format!("[ {time}."), 1) + "\n")
            .collect();
        check(input.as_bytes());
    }

    /// Most of a log says nothing and is passed over at once: that must change nothing.
    #[test]
    fn events_among_lines_that_tell_nothing_are_found(
        lines in vec((0..LINES.len() + 1, prop::sample::select(DULL.to_vec()), 0..4_usize), 0..30),
    ) {
        let input: String = lines
            .iter()
            .map(|(line, dull, count)| {
                let dull = format!("{dull}\n").repeat(*count);
                LINES.get(*line).map_or(String::new(), |line| format!("{line}\n")) + &dull
            })
            .collect();
        check(input.as_bytes());
    }

    #[test]
    fn words_in_any_order_are_read(
        words in vec(prop::sample::select(vec![
            "DEVRES", "ADD", "REL", ":", ": (", "devres_log: ", "add_dr", "<- ", ")", "\n", " ", "x",
            "(8 bytes)", "grp<", "grp>", "m mm: DEVRES ", "0000000000000001 ", "[", "]", "=", "MESSAGE", "Call trace:",
            "WARNING: ", "drivers/base/devres.c:1", "a+0x1/0x2", "[<", ">]", " from ", "ODEBUG: free active",
            "object type: x", "/*", "\u{feff}", "\0", "1.0", "dev=", "\"", "0x10", "devres_release_all", "(null)", "> ",
        ]), 0..60),
    ) {
        check(words.concat().as_bytes());
    }
}

#[test]
fn endless_lines_and_zeros_are_read() {
    let event = "x y: DEVRES ADD 0000000000000001 a (8 bytes)\n";
    for byte in [b'\0', b'>', b'[', b' ', b'(', 0xff, 0x1b] {
        let mut input = vec![byte; 1 << 20];
        input.push(b'\n');
        input.extend_from_slice(event.as_bytes());
        let import = text::read(&input[..]).unwrap();
        assert_eq!(import.statistics().kernel_log, 1, "{byte}");
        assert_eq!(import.statistics().other_lines, 1, "{byte}");
    }
}
