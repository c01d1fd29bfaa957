//! Reports of what watches memory: KASAN, KFENCE, the slab allocator.

use super::forms::{Form, Header, begins, said, words};
use crate::{
    event::splat::SplatKind,
    source::text::{
        record::backtrace::frame,
        scan::{around, digits},
    },
};

pub(super) const FORMS: &[Form] = &[
    Form {
        words: "BUG: KASAN:",
        read: |_, rest| sort_and_function(SplatKind::Kasan, rest),
        example: "BUG: KASAN: slab-use-after-free in demo_detach+0x58/0x220 [demo]",
        seen: "mm/kasan/report.c",
    },
    Form {
        words: "KASAN: null-ptr-deref in range",
        read: |_, _| Some(Header::saying(SplatKind::Oops, b"NULL pointer dereference")),
        example: "KASAN: null-ptr-deref in range [0x0000000000000028-0x000000000000002f]",
        seen: "mm/kasan/report.c, within an oops",
    },
    Form {
        words: "KASAN: maybe wild-memory-access in range",
        read: |_, _| Some(Header::saying(SplatKind::Oops, b"wild memory access")),
        example: "KASAN: maybe wild-memory-access in range [0xdead000000000100-0xdead000000000107]",
        seen: "mm/kasan/report.c, within an oops",
    },
    Form {
        words: "BUG: KMSAN:",
        read: |_, rest| {
            let rest = said(rest)?;
            let sort = around(rest, b" in ").map_or(rest, |(sort, _)| sort);
            let place = around(rest, b" in ").map_or(rest, |(_, place)| place);
            Some(Header {
                frame: frame(place),
                ..Header::saying(SplatKind::Bug, &[b"KMSAN: ", sort].concat())
            })
        },
        example: "BUG: KMSAN: uninit-value in demo_detach+0x58/0x220 [demo]",
        seen: "mm/kmsan/report.c",
    },
    Form {
        words: "BUG: KFENCE:",
        read: |_, rest| sort_and_function(SplatKind::Kfence, rest),
        example: "BUG: KFENCE: use-after-free read in demo_detach+0x58/0x220",
        seen: "mm/kfence/report.c",
    },
    Form {
        words: "page allocation failure",
        read: |_, rest| {
            let (_, order) = around(rest, b"order:")?;
            let (order, rest) = digits(order)?;
            around(rest, b"mode:")?;
            Some(Header::saying(
                SplatKind::Warning,
                format!("page allocation failure, order {order}").as_bytes(),
            ))
        },
        example: "modprobe: page allocation failure: order:10, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null)",
        seen: "mm/page_alloc.c",
    },
    Form {
        words: "BUG: Bad page state in process",
        read: |_, _| Some(Header::saying(SplatKind::Warning, b"bad page state")),
        example: "BUG: Bad page state in process rmmod  pfn:10d3c2",
        seen: "mm/page_alloc.c",
    },
    Form {
        words: "unreferenced object 0x",
        read: |before, rest| {
            let (_, size) = around(rest, b" (size ")?;
            let (size, _) = digits(size)?;
            begins(before).then(|| {
                Header::saying(
                    SplatKind::Warning,
                    format!("kmemleak: an unreferenced object of {size} bytes").as_bytes(),
                )
            })
        },
        example: "unreferenced object 0xffff88811b79fb00 (size 192):",
        seen: "mm/kmemleak.c, in the log or in /sys/kernel/debug/kmemleak",
    },
    Form {
        words: "slab error in ",
        read: |before, rest| {
            let (_, sort) = around(rest, b"': ")?;
            begins(before).then(|| Header::saying(SplatKind::Slab, sort))
        },
        example: "slab error in verify_redzone_free(): cache `kmalloc-64': double free detected",
        seen: "mm/slab.c, before 6.8",
    },
    Form {
        words: "BUG ",
        read: slab,
        example: "BUG kmalloc-1k (Not tainted): Object already free",
        seen: "mm/slub.c with slub_debug",
    },
];

/// `slab-use-after-free in demo_detach+0x58/0x220 [demo]`.
fn sort_and_function(kind: SplatKind, rest: &[u8]) -> Option<Header> {
    said(rest)?;
    Some(match around(rest, b" in ") {
        Some((sort, place)) => Header {
            frame: frame(place),
            ..Header::saying(kind, sort)
        },
        None => Header::saying(kind, rest),
    })
}

/// `kmalloc-1k (Not tainted): Object already free`.
fn slab(_: &[u8], rest: &[u8]) -> Option<Header> {
    let (before, sort) = around(rest, b"): ")?;
    let is_one = rest.starts_with(b"kmalloc")
        || around(before, b" (Not tainted").is_some()
        || around(before, b" (Tainted: ").is_some();
    is_one.then(|| Header {
        detail: words(sort),
        ..Header::of(SplatKind::Slab)
    })
}
