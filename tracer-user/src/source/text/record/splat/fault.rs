//! Accesses that the processor or the hardware refused, and panics.

use super::forms::{Form, Header, begins, words};
use crate::{
    event::splat::SplatKind,
    source::text::{
        record::{backtrace::frame, kernel_log},
        scan::{around, digits, hexadecimal, last_word, word},
    },
};

pub(super) const FORMS: &[Form] = &[
    Form {
        words: "Kernel panic - not syncing",
        read: |_, rest| Some(panic(rest)),
        example: "Kernel panic - not syncing: Oops: Fatal exception",
        seen: "kernel/panic.c",
    },
    Form {
        words: "synchronous external abort",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::Abort,
                b"synchronous external abort",
            ))
        },
        example: "Internal error: synchronous external abort: 0000000096000010 [#1] PREEMPT SMP",
        seen: "arch/arm64/mm/fault.c",
    },
    Form {
        words: "external abort on",
        read: |_, _| Some(Header::of(SplatKind::Abort)),
        example: "Unhandled fault: external abort on non-linefetch (0x1008) at 0xf0a5c000",
        seen: "arch/arm/mm/fsr-2level.c, fsr-3level.c",
    },
    Form {
        words: "imprecise external abort",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::Abort,
                b"imprecise external abort",
            ))
        },
        example: "Unhandled fault: imprecise external abort (0x1c06) at 0x00000000",
        seen: "arch/arm/mm/fsr-2level.c",
    },
    Form {
        words: "SError",
        read: |_, _| Some(Header::saying(SplatKind::Abort, b"SError")),
        example: "SError Interrupt on CPU0, code 0x00000000bf000002 -- SError",
        seen: "arch/arm64/kernel/traps.c",
    },
    Form {
        words: "Unable to handle kernel",
        read: |_, rest| Some(Header::saying(SplatKind::Oops, kind_of_fault(rest))),
        example: "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000028",
        seen: "arm64, arm, riscv, loongarch, mips",
    },
    Form {
        words: "unable to handle",
        read: |_, rest| Some(Header::saying(SplatKind::Oops, kind_of_fault(rest))),
        example: "BUG: unable to handle page fault for address: ffffc900058162a0",
        seen: "arch/x86/mm/fault.c",
    },
    Form {
        words: "BUG: kernel NULL pointer dereference",
        read: |_, _| Some(Header::saying(SplatKind::Oops, b"NULL pointer dereference")),
        example: "BUG: kernel NULL pointer dereference, address: 0000000000000028",
        seen: "arch/x86/mm/fault.c, from 5.1 on",
    },
    Form {
        words: "BUG: Kernel NULL pointer dereference",
        read: |_, _| Some(Header::saying(SplatKind::Oops, b"NULL pointer dereference")),
        example: "BUG: Kernel NULL pointer dereference on read at 0x00000028",
        seen: "arch/powerpc/mm/fault.c",
    },
    Form {
        words: "stack guard page was hit",
        read: |before, _| {
            around(before, b"BUG: ").map(|_| Header::saying(SplatKind::Oops, b"the stack is full"))
        },
        example: "BUG: TASK stack guard page was hit at 00000000a5b4c3d2 (stack is 00000000a5b4c3d3..00000000a5b4c3d4)",
        seen: "arch/x86/mm/fault.c, arch/x86/kernel/traps.c",
    },
    Form {
        words: "PANIC: double fault",
        read: |before, _| begins(before).then(|| Header::saying(SplatKind::Oops, b"double fault")),
        example: "traps: PANIC: double fault, error_code: 0x0",
        seen: "arch/x86/kernel/traps.c, above `double fault: 0000 [#1]`",
    },
    Form {
        words: "general protection fault",
        read: |_, _| Some(Header::saying(SplatKind::Oops, b"general protection fault")),
        example: "general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP",
        seen: "arch/x86/kernel/traps.c",
    },
    Form {
        words: "Unhandled fault: ",
        read: |_, rest| Some(Header::saying(SplatKind::Abort, until(rest, b" ("))),
        example: "Unhandled fault: ttbr address size fault (0x96000000) at 0xffff800011111000",
        seen: "arch/arm64 before 5.x, arch/arm",
    },
    Form {
        words: "Unhandled prefetch abort: ",
        read: |_, rest| Some(Header::saying(SplatKind::Oops, until(rest, b" ("))),
        example: "Unhandled prefetch abort: breakpoint debug exception (0x002) at 0x00000000",
        seen: "arch/arm/mm/fault.c",
    },
    Form {
        words: " bus error, epc == ",
        read: |before, _| {
            let (_, side) = last_word(before)?;
            let side = side.to_ascii_lowercase();
            let is_one = matches!(side.as_slice(), b"data" | b"instruction");
            is_one.then(|| Header::saying(SplatKind::Abort, &[&side, &b" bus error"[..]].concat()))
        },
        example: "Data bus error, epc == 80010000, ra == 80010010",
        seen: "arch/mips/kernel/traps.c",
    },
    Form {
        words: "Machine Check exception - caused by",
        read: |_, _| Some(Header::saying(SplatKind::Abort, b"machine check")),
        example: "Machine Check exception - caused by multiple matching entries in the TLB.",
        seen: "arch/mips/kernel/traps.c",
    },
    Form {
        words: "Kernel Fault: Code=",
        read: |_, rest| {
            let name = around(rest, b" (").and_then(|(_, name)| around(name, b")"));
            Some(Header {
                detail: name.and_then(|(name, _)| words(name)),
                ..Header::of(SplatKind::Oops)
            })
        },
        example: "Kernel Fault: Code=26 (Data memory access rights trap) at addr 0000000000000028",
        seen: "arch/parisc/kernel/traps.c",
    },
    Form {
        words: "Internal error: ",
        read: internal_error,
        example: "Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP",
        seen: "arm64, arm",
    },
    Form {
        words: "Oops: ",
        read: oops,
        example: "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        seen: "x86, s390, powerpc",
    },
    Form {
        words: "Oops [#",
        read: |before, _| begins(before).then(|| Header::of(SplatKind::Oops)),
        example: "Oops [#1]",
        seen: "riscv",
    },
    Form {
        words: "[#",
        read: trap,
        example: "divide error: 0000 [#1] PREEMPT SMP NOPTI",
        seen: "what a processor calls the exception: x86 before 6.10, s390, mips, riscv, loongarch",
    },
    Form {
        words: "CFI failure",
        read: |before, rest| {
            let target = around(rest, b"target: ").and_then(|(_, target)| frame(target));
            let target = target.and_then(|target| target.function);
            let to = target.map_or_else(String::new, |target| format!(", called {target}"));
            begins(before).then(|| Header {
                frame: rest.strip_prefix(b" at ").and_then(frame),
                ..Header::saying(SplatKind::Bug, format!("CFI failure{to}").as_bytes())
            })
        },
        example: "CFI failure at devm_action_release+0x10/0x18 (target: demo_off+0x0/0x40 [demo]; expected type: 0x1234abcd)",
        seen: "kernel/cfi.c: the function has another type than the pointer to it",
    },
    Form {
        words: ": Vector: ",
        read: xmon,
        example: "cpu 0x3: Vector: 300 (Data Access) at [c00000000f8e7830]",
        seen: "arch/powerpc/xmon/xmon.c",
    },
];

/// `300 (Data Access) at [c00000000f8e7830]` behind `cpu 0x3`.
fn xmon(before: &[u8], rest: &[u8]) -> Option<Header> {
    let (_, cpu) = around(before, b"cpu 0x")?;
    let (vector, _) = word(rest)?;
    let kind = match vector {
        b"700" => SplatKind::Bug,
        b"200" => SplatKind::Abort,
        _ => SplatKind::Oops,
    };
    Some(Header {
        cpu: hexadecimal(cpu).and_then(|cpu| u16::try_from(cpu).ok()),
        ..Header::of(kind)
    })
}

fn panic(rest: &[u8]) -> Header {
    let is_abort = [&b"SError"[..], b"external abort"]
        .iter()
        .any(|words| around(rest, words).is_some());
    let kind = if is_abort {
        SplatKind::Abort
    } else if around(rest, b"Oops").is_some() || around(rest, b"Fatal exception").is_some() {
        SplatKind::Oops
    } else {
        SplatKind::Panic
    };
    Header {
        fatal: true,
        detail: if kind == SplatKind::Panic {
            words(rest.strip_prefix(b": ").unwrap_or(rest))
        } else {
            None
        },
        ..Header::of(kind)
    }
}

fn internal_error(_: &[u8], rest: &[u8]) -> Option<Header> {
    // A BUG() of arm and arm64 is one, too.
    let kind = if around(rest, b"BUG").is_some() {
        SplatKind::Bug
    } else if around(rest, b"external abort").is_some() || rest.starts_with(b": ") {
        SplatKind::Abort
    } else {
        SplatKind::Oops
    };
    rest.contains(&b'[').then(|| Header::of(kind))
}

/// `divide error: 0000 [#1] PREEMPT SMP`, from 6.10 on x86 with another `Oops: ` in front;
/// `Kernel access of bad area, sig: 11 [#1]` on powerpc.
fn oops(before: &[u8], rest: &[u8]) -> Option<Header> {
    let (what, _) = around(rest, b"[")?;
    begins(before).then(|| exception(what))
}

/// `divide error: 0000 ` in front of `[#1]`, `Oops - load page fault `, `Kernel bug detected`.
fn trap(before: &[u8], rest: &[u8]) -> Option<Header> {
    let (_, behind) = digits(rest)?;
    let text = kernel_log::beginning(before).1.trim_ascii();
    let named = text
        .strip_prefix(b"Oops")
        .map(|text| text.strip_prefix(b" - ").unwrap_or(text));
    // Sparc puts the task in front: `rmmod(412): `.
    let what = named.unwrap_or(text);
    let what = around(what, b"): ").map_or(what, |(_, behind)| behind);
    let is_name = what.len() < LONGEST_NAME
        && what
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b" -():#".contains(byte));
    // What has no code in front is prose, unless it is one of few names and ends the line.
    let ends = matches!(behind.trim_ascii(), b"]" | b"]:");
    let is_known = what.starts_with(b"Kernel ")
        || what.starts_with(b"Unhandled kernel ")
        || what.ends_with(b" in kernel code")
        || named.is_some();
    let says = code_of(what).is_some() || ends && is_known;
    (behind.starts_with(b"]") && is_name && says).then(|| exception(what))
}

/// Longest name of an exception.
const LONGEST_NAME: usize = 64;

/// The name in `divide error: 0000`, `specification exception: 0006 ilc:2`.
fn code_of(what: &[u8]) -> Option<&[u8]> {
    let (name, code) = around(what, b": ")?;
    let (code, _) = word(code)?;
    let is_code = code.len() == 4 && code.iter().all(u8::is_ascii_hexdigit);
    (is_code && !name.is_empty()).then_some(name)
}

/// Of which kind an exception is, by its name.
fn exception(what: &[u8]) -> Header {
    let what = what.trim_ascii();
    let what = what.strip_prefix(b"Oops: ").unwrap_or(what);
    let lower = what.to_ascii_lowercase();
    let says = |words: &[&str]| {
        words
            .iter()
            .any(|words| memchr::memmem::find(&lower, words.as_bytes()).is_some())
    };
    // The instruction of a BUG().
    if says(&[
        "invalid opcode",
        "illegal operation",
        "monitor event",
        "kernel bug",
        "break instruction",
        "sig: 5",
    ]) {
        return Header::of(SplatKind::Bug);
    }
    let kind = if says(&["access fault", "bus error", "machine check"]) {
        SplatKind::Abort
    } else {
        SplatKind::Oops
    };
    // On powerpc and x86 a line before says more than its signal or a code alone.
    let is_code = what.iter().all(u8::is_ascii_hexdigit);
    let name = code_of(what).unwrap_or(what);
    let is_named = !is_code && !says(&[", sig: ", "ilc:"]) || code_of(what).is_some();
    Header {
        detail: is_named.then(|| words(name)).flatten(),
        ..Header::of(kind)
    }
}

/// `NULL pointer dereference`, `page fault`, `paging request`.
fn kind_of_fault(rest: &[u8]) -> &[u8] {
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b"kernel ").unwrap_or(rest);
    until(until(rest, b" at "), b" for ")
}

fn until<'a>(text: &'a [u8], end: &[u8]) -> &'a [u8] {
    around(text, end).map_or(text, |(before, _)| before)
}
