//! Accesses that the processor or the hardware refused, and panics.

use super::forms::{Form, Header, begins, words};
use crate::{
    event::splat::SplatKind,
    source::text::scan::{around, hexadecimal, word},
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
        words: "invalid opcode: 0000 [#",
        read: |_, _| Some(Header::of(SplatKind::Bug)),
        example: "invalid opcode: 0000 [#1] SMP",
        seen: "arch/x86/kernel/traps.c, below `kernel BUG at`",
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
    let kind = if around(rest, b"SError").is_some() {
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

fn oops(before: &[u8], rest: &[u8]) -> Option<Header> {
    if !begins(before) || !rest.contains(&b'[') {
        return None;
    }
    // From 6.10 on x86 writes `Oops: general protection fault, …` and `Oops: invalid opcode`.
    Some(if around(rest, b"invalid opcode").is_some() {
        Header::of(SplatKind::Bug)
    } else {
        Header::of(SplatKind::Oops)
    })
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
