//! Lines of `perf trace`: `0.010 kworker/u8:3/171 dev:devres_log(devname: "x", op: "ADD", node: 0xaaaa0001, name:
//! "devm_kzalloc_release", size: 40)`.

use super::{
    Parsed,
    resource::{Operation, Pointer, Resource},
    scan::{around, decimal, digits, hexadecimal, last_word, nanoseconds, word},
    trace_head::Head,
    trace_line::TraceLine,
};
use crate::event::{Comm, Task};

/// Reads what stands before the event's name, and what follows its opening parenthesis.
pub(super) fn read<'a>(before: &'a [u8], fields: &'a [u8]) -> Parsed<TraceLine<'a>> {
    match event(before, fields) {
        Some(line) => Parsed::Event(line),
        None => Parsed::Other,
    }
}

fn event<'a>(before: &'a [u8], fields: &'a [u8]) -> Option<TraceLine<'a>> {
    let operation = Operation::named(field(fields, b"op: ")?)?;
    let node = field(fields, b"node: ")?;
    let node = hexadecimal(node.strip_prefix(b"0x").unwrap_or(node))?;
    // Kernels that have no text there have an address.
    let name = field(fields, b" name: ");
    let name = name.filter(|name| !name.first().is_some_and(u8::is_ascii_digit));
    Some(TraceLine {
        head: head(before).unwrap_or_default(),
        device: field(fields, b"devname: "),
        operation,
        resource: Resource {
            node: Pointer::Long(node),
            name,
            size: decimal(field(fields, b"size: ")?)?,
        },
    })
}

/// The value of a field, without its quotation marks.
fn field<'a>(fields: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (_, value) = around(fields, name)?;
    let (value, end): (_, &[u8]) = match value.strip_prefix(b"\"") {
        Some(value) => (value, b"\""),
        None => (value, b",)"),
    };
    let end = value.iter().position(|byte| end.contains(byte))?;
    value.get(..end)
}

/// `0.010 kworker/u8:3/171 dev:`: milliseconds, which no colon follows, and the task.
pub(super) fn head(before: &[u8]) -> Option<Head> {
    let (time, rest) = word(before)?;
    let (milliseconds, fraction) = digits(time)?;
    let fraction = nanoseconds(fraction.strip_prefix(b".")?)? / 1_000;
    let time = milliseconds.checked_mul(1_000_000)?.checked_add(fraction)?;
    let rest = rest.trim_ascii();
    // How long a system call took, which an event has not.
    let rest = match rest.strip_prefix(b"(") {
        Some(duration) => around(duration, b"):")?.1.trim_ascii(),
        None => rest,
    };
    // The trace system, where it was not taken off.
    let rest = match last_word(rest) {
        Some((before, system)) if system.ends_with(b":") => before.trim_ascii_end(),
        _ => rest,
    };
    let slash = rest.iter().rposition(|byte| *byte == b'/')?;
    let (comm, thread) = rest.split_at(slash);
    let tid = u32::try_from(decimal(thread.get(1..)?)?).ok()?;
    Some(Head {
        time: Some(time),
        cpu: 0,
        task: Task {
            tid,
            tgid: tid,
            comm: Comm::new(&String::from_utf8_lossy(comm)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_names() {
        let fields = br#"devname: "x y", op: "ADD", node: 0xaaaa0001, name: "a", size: 40)"#;
        let found = event(b"  1.010 (         ): sh/171 dev:", fields).unwrap();
        assert_eq!(found.head.time, Some(1_010_000));
        assert_eq!(found.head.task.tid, 171);
        assert_eq!(found.device, Some(&b"x y"[..]));
        assert_eq!(found.operation, Operation::Add);
        let resource = Resource {
            node: Pointer::Long(0xaaaa_0001),
            name: Some(b"a"),
            size: 40,
        };
        assert_eq!(found.resource, resource);
    }

    #[test]
    fn other_parentheses_are_no_event() {
        for fields in ["", "x)", "op: \"ADD\")", "op: \"X\", node: 0x1, size: 1)"] {
            assert_eq!(event(b"", fields.as_bytes()), None, "{fields}");
        }
    }
}
