//! Reports of what watches memory: KASAN, KFENCE, the slab allocator.

use super::forms::{Form, Header, function, words};
use crate::{event::splat::SplatKind, source::text::scan::around};

pub(super) const FORMS: &[Form] = &[
    Form {
        words: "BUG: KASAN: ",
        read: |_, rest| Some(sort_and_function(SplatKind::Kasan, rest)),
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
        words: "BUG: KMSAN: ",
        read: |_, rest| {
            let sort = around(rest, b" in ").map_or(rest, |(sort, _)| sort);
            let place = around(rest, b" in ").map_or(rest, |(_, place)| place);
            Some(Header {
                function: function(place),
                ..Header::saying(SplatKind::Bug, &[b"KMSAN: ", sort].concat())
            })
        },
        example: "BUG: KMSAN: uninit-value in demo_detach+0x58/0x220 [demo]",
        seen: "mm/kmsan/report.c",
    },
    Form {
        words: "BUG: KFENCE: ",
        read: |_, rest| Some(sort_and_function(SplatKind::Kfence, rest)),
        example: "BUG: KFENCE: use-after-free read in demo_detach+0x58/0x220",
        seen: "mm/kfence/report.c",
    },
    Form {
        words: "BUG kmalloc",
        read: slab,
        example: "BUG kmalloc-1k (Not tainted): Object already free",
        seen: "mm/slub.c with slub_debug",
    },
];

/// `slab-use-after-free in demo_detach+0x58/0x220 [demo]`.
fn sort_and_function(kind: SplatKind, rest: &[u8]) -> Header {
    match around(rest, b" in ") {
        Some((sort, place)) => Header {
            function: function(place),
            ..Header::saying(kind, sort)
        },
        None => Header::saying(kind, rest),
    }
}

/// `-1k (Not tainted): Object already free`.
fn slab(_: &[u8], rest: &[u8]) -> Option<Header> {
    let (_, sort) = around(rest, b"): ")?;
    Some(Header {
        detail: words(sort),
        ..Header::of(SplatKind::Slab)
    })
}
