//! Lines of `perf trace`: `0.010 kworker/u8:3/171 dev:devres_log(devname: "x", op: "ADD", node: 0xaaaa0001, name:
//! "devm_kzalloc_release", size: 40)`.

use super::{
    super::{
        operation_word::OperationWord,
        resource::{Pointer, Resource},
    },
    TraceLine,
};
use crate::source::text::{
    Parsed,
    envelope::trace_head,
    scan::{around, decimal, hexadecimal},
};

/// Reads what stands before the event's name, and what follows its opening parenthesis.
pub(in crate::source::text) fn read<'a>(
    before: &'a [u8],
    fields: &'a [u8],
) -> Parsed<TraceLine<'a>> {
    match event(before, fields) {
        Some(line) => Parsed::Event(line),
        None => Parsed::Other,
    }
}

fn event<'a>(before: &'a [u8], fields: &'a [u8]) -> Option<TraceLine<'a>> {
    let operation = OperationWord::read(field(fields, b"op: ")?)?;
    let node = field(fields, b"node: ")?;
    let node = hexadecimal(node.strip_prefix(b"0x").unwrap_or(node))?;
    // Kernels that have no text there have an address.
    let name = field(fields, b" name: ");
    let name = name.filter(|name| !name.first().is_some_and(u8::is_ascii_digit));
    Some(TraceLine {
        head: trace_head::of_perf_trace(before).unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::text::record::resource::Operation;

    #[test]
    fn fields_are_read_by_their_names() {
        let fields = br#"devname: "x y", op: "ADD", node: 0xaaaa0001, name: "a", size: 40)"#;
        let found = event(b"  1.010 (         ): sh/171 dev:", fields).unwrap();
        assert_eq!(found.head.time, Some(1_010_000));
        assert_eq!(found.head.task.tid, 171);
        assert_eq!(found.device, Some(&b"x y"[..]));
        assert_eq!(found.operation, OperationWord::Named(Operation::Add));
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
