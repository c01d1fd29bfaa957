//! What parts of the kernel complain of that keep books: interrupts, objects, references, locks, names, lists.

use super::forms::{Form, Header, begins, said, words};
use crate::{
    event::splat::SplatKind,
    source::text::{
        record::kernel_log,
        scan::{around, digits, word},
    },
};

/// What the detail of a data race begins with.
pub(super) const KCSAN: &str = "KCSAN";

pub(super) const FORMS: &[Form] = &[
    Form {
        words: "Trying to free already-free",
        read: |_, rest| freed_irq(rest),
        example: "Trying to free already-free IRQ 126",
        seen: "kernel/irq/manage.c: before or below its WARNING line",
    },
    Form {
        words: "already-free IRQ",
        read: |before, rest| {
            let before = kernel_log::beginning(before).1.trim_ascii();
            let is_rest = matches!(before, b"free" | b"to free") || begins(before);
            is_rest.then(|| freed_irq(&[b" IRQ", rest].concat()))?
        },
        example: "already-free IRQ 126",
        seen: "the same, wrapped in front of it",
    },
    Form {
        words: "non-empty directory",
        read: |_, rest| {
            let (_, number) = around(rest, b" 'irq/")?;
            Some(Header {
                number: digits(number).map(|(number, _)| number),
                ..Header::of(SplatKind::LiveIrq)
            })
        },
        example: "remove_proc_entry: removing non-empty directory 'irq/126', leaking at least 'demo'",
        seen: "fs/proc/generic.c, below unregister_irq_proc()",
    },
    Form {
        words: "ODEBUG: free active",
        read: freed_active,
        example: "ODEBUG: free active (active state 0) object: ffff88811b79fb00 object type: work_struct hint: demo_work+0x0/0x230",
        seen: "lib/debugobjects.c",
    },
    Form {
        words: "ODEBUG: ",
        read: |_, rest| {
            Some(Header::saying(
                SplatKind::Warning,
                around(rest, b" object").map_or(rest, |(sort, _)| sort),
            ))
        },
        example: "ODEBUG: init active (active state 0) object: ffff88811b79fb00 object type: work_struct hint: demo_work+0x0/0x230",
        seen: "lib/debugobjects.c",
    },
    Form {
        words: "refcount_t:",
        read: |_, rest| Some(Header::saying(SplatKind::Refcount, said(rest)?)),
        example: "refcount_t: underflow; use-after-free.",
        seen: "lib/refcount.c: before or below its WARNING line",
    },
    Form {
        words: "of_node_put() on ",
        read: |before, _| {
            let is_it = before.ends_with(b"bad ") || before.ends_with(b"Bad ");
            is_it.then(|| Header::saying(SplatKind::Refcount, b"bad of_node_put()"))
        },
        example: "OF: ERROR: of_node_release() detected bad of_node_put() on /soc/demo@1000/child",
        seen: "drivers/of/dynamic.c; before 6.11 \"OF: ERROR: Bad of_node_put() on\"",
    },
    Form {
        words: "UBSAN:",
        read: |_, rest| {
            let rest = said(rest)?;
            Some(match around(rest, b" in ") {
                Some((sort, place)) => Header {
                    place: words(place),
                    ..Header::saying(SplatKind::Ubsan, sort)
                },
                None => Header::saying(SplatKind::Ubsan, rest),
            })
        },
        example: "UBSAN: array-index-out-of-bounds in drivers/misc/demo.c:12:3",
        seen: "lib/ubsan.c",
    },
    Form {
        words: "list_del corruption",
        read: |_, _| Some(Header::saying(SplatKind::List, b"list_del")),
        example: "list_del corruption, ffff88811b79fb00->next is LIST_POISON1 (dead000000000100)",
        seen: "lib/list_debug.c",
    },
    Form {
        words: "list_add corruption",
        read: |_, _| Some(Header::saying(SplatKind::List, b"list_add")),
        example: "list_add corruption. prev->next should be next (ffff88811b79fb00), but was ffff88811b79fb10.",
        seen: "lib/list_debug.c",
    },
    Form {
        words: "list_add double add",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::List,
                b"list_add of what is on a list",
            ))
        },
        example: "list_add double add: new=ffff88811b79fb00, prev=ffff88811b79fb10, next=ffff88811b79fb00.",
        seen: "lib/list_debug.c",
    },
    Form {
        words: ": nobody cared",
        read: |before, _| {
            let (_, number) = around(before, b"irq ")?;
            let (number, rest) = digits(number)?;
            rest.is_empty().then(|| {
                let said = format!("nobody handles interrupt {number}");
                Header::saying(SplatKind::Warning, said.as_bytes())
            })
        },
        example: "irq 45: nobody cared (try booting with the \"irqpoll\" option)",
        seen: "kernel/irq/spurious.c",
    },
    Form {
        words: "iounmap: bad address",
        read: |_, _| {
            let said = b"iounmap() of what is not mapped";
            Some(Header::saying(SplatKind::Warning, said))
        },
        example: "iounmap: bad address 00000000f1b2c3d4",
        seen: "arch/x86/mm/ioremap.c",
    },
    Form {
        words: "cannot create duplicate",
        read: |_, rest| taken_name(rest.trim_ascii_start().strip_prefix(b"filename")?),
        example: "sysfs: cannot create duplicate filename '/devices/platform/demo.0/leds/demo'",
        seen: "fs/sysfs/dir.c",
    },
    Form {
        words: "duplicate filename",
        read: |before, rest| begins(before).then(|| taken_name(rest))?,
        example: "duplicate filename '/devices/platform/demo.0/leds/demo'",
        seen: "the same, wrapped in front of it",
    },
    Form {
        words: "kobject_add_internal failed for ",
        read: |_, rest| Some(Header::saying(SplatKind::Kobject, word(rest)?.0)),
        example: "kobject: kobject_add_internal failed for demo with -EEXIST, don't try to register things with the same name in the same directory.",
        seen: "lib/kobject.c",
    },
    Form {
        words: "is not initialized, yet kobject_",
        read: |_, _| Some(Header::saying(SplatKind::Kobject, b"not initialized")),
        example: "kobject: '(null)' (ffff88811b79fb00): is not initialized, yet kobject_put() is being called.",
        seen: "lib/kobject.c",
    },
    Form {
        words: "tried to init an initialized",
        read: |_, _| Some(Header::saying(SplatKind::Kobject, b"initialized twice")),
        example: "kobject (ffff88811b79fb00): tried to init an initialized object, something is seriously wrong.",
        seen: "lib/kobject.c",
    },
    Form {
        words: "tried to add an uninitialized object",
        read: |_, _| Some(Header::saying(SplatKind::Kobject, b"not initialized")),
        example: "kobject: 'demo' (ffff88811b79fb00): tried to add an uninitialized object, something is seriously wrong.",
        seen: "lib/kobject.c",
    },
    Form {
        words: "does not have a release() function",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::Kobject,
                b"a device has no release() function",
            ))
        },
        example: "Device 'demo' does not have a release() function, it is broken and must be fixed.",
        seen: "drivers/base/core.c",
    },
    Form {
        words: "WARNING: held lock freed!",
        read: |_, _| Some(Header::of(SplatKind::FreedLock)),
        example: "WARNING: held lock freed!",
        seen: "kernel/locking/lockdep.c",
    },
    Form {
        words: "WARNING: possible ",
        read: |_, rest| {
            Some(Header::saying(
                SplatKind::Lockdep,
                around(rest, b" detected").map_or(rest, |(sort, _)| sort),
            ))
        },
        example: "WARNING: possible circular locking dependency detected",
        seen: "kernel/locking/lockdep.c",
    },
    Form {
        words: "WARNING: bad unlock balance",
        read: |_, _| Some(Header::saying(SplatKind::Lockdep, b"bad unlock balance")),
        example: "WARNING: bad unlock balance detected!",
        seen: "kernel/locking/lockdep.c",
    },
    Form {
        words: "WARNING: inconsistent lock state",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::Lockdep,
                b"inconsistent lock state",
            ))
        },
        example: "WARNING: inconsistent lock state",
        seen: "kernel/locking/lockdep.c",
    },
    Form {
        words: "WARNING: suspicious RCU usage",
        read: |_, _| Some(Header::saying(SplatKind::Lockdep, b"suspicious RCU usage")),
        example: "WARNING: suspicious RCU usage",
        seen: "kernel/locking/lockdep.c",
    },
    Form {
        words: "INFO: trying to register non-static key",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::Lockdep,
                b"a lock was never initialized",
            ))
        },
        example: "INFO: trying to register non-static key.",
        seen: "kernel/locking/lockdep.c",
    },
    Form {
        words: "BUG: sleeping function called from",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::Lockdep,
                b"sleeping function called from invalid context",
            ))
        },
        example: "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:283",
        seen: "kernel/sched/core.c",
    },
    Form {
        words: "BUG: Invalid wait context",
        read: |_, _| Some(Header::saying(SplatKind::Lockdep, b"invalid wait context")),
        example: "[ BUG: Invalid wait context ]",
        seen: "kernel/locking/lockdep.c",
    },
    Form {
        words: "BUG: spinlock ",
        read: |_, rest| {
            let (sort, _) = around(rest, b" on CPU#")?;
            Some(Header::saying(
                SplatKind::Lockdep,
                &[b"spinlock ", sort].concat(),
            ))
        },
        example: "BUG: spinlock bad magic on CPU#1, rmmod/1517",
        seen: "kernel/locking/spinlock_debug.c",
    },
    Form {
        words: "BUG: using ",
        read: |_, rest| {
            let (what, _) = around(rest, b" in preemptible")?;
            Some(Header::saying(
                SplatKind::Lockdep,
                &[what, b" in preemptible context"].concat(),
            ))
        },
        example: "BUG: using smp_processor_id() in preemptible [00000000] code: rmmod/1517",
        seen: "lib/smp_processor_id.c",
    },
    Form {
        words: "BUG: KCSAN:",
        read: |_, rest| {
            let rest = said(rest)?;
            let sort = around(rest, b" in ").map_or(rest, |(sort, _)| sort);
            Some(Header::saying(
                SplatKind::Warning,
                &[KCSAN.as_bytes(), b": ", sort].concat(),
            ))
        },
        example: "BUG: KCSAN: data-race in demo_read / demo_detach",
        seen: "kernel/kcsan/report.c",
    },
    Form {
        words: "Flags mismatch irq ",
        read: |_, rest| {
            let (number, rest) = digits(rest)?;
            around(rest, b" vs. ")?;
            Some(Header::saying(
                SplatKind::Warning,
                format!("the flags of interrupt {number} differ from its other user's").as_bytes(),
            ))
        },
        example: "genirq: Flags mismatch irq 45. 00000080 (demo) vs. 00000000 (other)",
        seen: "kernel/irq/manage.c with CONFIG_DEBUG_SHIRQ",
    },
    Form {
        words: "FAULT_INJECTION: forcing a failure",
        read: |before, _| {
            begins(before)
                .then(|| Header::saying(SplatKind::Warning, b"fault injection makes a call fail"))
        },
        example: "FAULT_INJECTION: forcing a failure.",
        seen: "lib/fault-inject.c",
    },
    Form {
        words: "BUG: scheduling while atomic",
        read: |_, _| {
            Some(Header::saying(
                SplatKind::Lockdep,
                b"scheduling while atomic",
            ))
        },
        example: "BUG: scheduling while atomic: rmmod/1517/0x00000002",
        seen: "kernel/sched/core.c",
    },
];

/// ` '/devices/platform/demo.0/leds/demo'`.
fn taken_name(rest: &[u8]) -> Option<Header> {
    let quote = |byte: &u8| matches!(byte, b'\'' | b'"');
    let name = rest.split(quote).nth(1)?;
    Some(Header::saying(SplatKind::DuplicateName, name))
}

/// ` IRQ 126`, if that much of it is there.
fn freed_irq(rest: &[u8]) -> Option<Header> {
    let number = rest.trim_ascii_start().strip_prefix(b"IRQ")?;
    Some(Header {
        number: Some(digits(number.trim_ascii_start())?.0),
        ..Header::of(SplatKind::FreedIrq)
    })
}

/// ` (active state 0) object: … object type: work_struct hint: demo_work+0x0/0x230`.
fn freed_active(_: &[u8], rest: &[u8]) -> Option<Header> {
    let (_, object) = around(rest, b"object type: ")?;
    let (object, rest) = word(object)?;
    let hint = around(rest, b"hint:").map(|(_, hint)| hint.trim_ascii());
    let name = hint
        .and_then(word)
        .and_then(|(hint, _)| hint.split(|byte| *byte == b'+').next())
        .filter(|hint| !hint.starts_with(b"0x"));
    Some(Header {
        hint: name.and_then(words),
        ..Header::saying(SplatKind::FreedActive, object)
    })
}
