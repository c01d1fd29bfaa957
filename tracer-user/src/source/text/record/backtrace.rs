//! Stacks that the kernel writes into its log.

mod debugger;

use std::sync::Arc;

use crate::{
    event::{Function, StackFrame, Text},
    source::text::scan::{around, decimal, hexadecimal, word},
};

/// What follows the addresses that some machines and debuggers write in front of a function: `[<ffffffffa0001014>] `,
/// `c008000001a30014] `, `c008000001a30014: `.
pub(in crate::source::text) fn behind_addresses(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let Some((first, behind)) = word(rest) {
        let is_of_digits = |byte: &u8| {
            matches!(byte, b'[' | b']' | b'<' | b'>' | b':') || byte.is_ascii_hexdigit()
        };
        if first.len() < 8 || !first.iter().all(is_of_digits) {
            break;
        }
        rest = behind;
    }
    rest.trim_ascii_start()
}

/// `devm_kfree+0x8c/0xfc`, `foo_remove+0x18/0x30 [foo]`, with an address in front or, on 32-bit ARM, with the
/// function that was called from there.
pub(in crate::source::text) fn frame(line: &[u8]) -> Option<StackFrame> {
    let line = match around(line, b" from ") {
        Some((_, caller)) => caller.trim_ascii(),
        None => line,
    };
    let line = match line.strip_prefix(b"[<") {
        Some(address) => around(address, b">]")?.1.trim_ascii_start(),
        None => line,
    };
    let (line, is_numbered) = match debugger::frame(line) {
        Some(line) => (line, true),
        None => (line.strip_prefix(b"(").unwrap_or(line), false),
    };
    let (place, rest) = word(line)?;
    let place = place.strip_suffix(b")").unwrap_or(place);
    let (name, offset, rest) = match around(place, b"+0x") {
        Some((name, offset)) => {
            let offset = offset.split(|byte| *byte == b'/').next()?;
            (name, hexadecimal(offset)?, rest)
        }
        None if rest.trim_ascii().is_empty() && in_decimal(place).is_some() => {
            let (name, offset) = in_decimal(place)?;
            (name, offset, rest)
        }
        None => (
            place,
            0,
            behind_source(rest)
                .or_else(|| behind_place(rest))
                .or_else(|| debugger::behind_function(rest).filter(|_| is_numbered))?,
        ),
    };
    if name.is_empty() || !name.iter().copied().all(is_of_symbol) {
        return None;
    }
    let module = module(rest);
    let text = |bytes: &[u8]| Text::from(String::from_utf8_lossy(bytes));
    Some(StackFrame {
        address: 0,
        function: Some(std::sync::Arc::new(Function {
            address: 0,
            name: Some(text(name)),
            module: module.map(text),
        })),
        offset,
        line: None,
    })
}

/// A function that has lost its offset, in parentheses as on 32-bit ARM: `[<c012df84>] (dput)`, `(release_nodes)`,
/// `(demo_off [demo])`. Without its address it must be spelt as no remark is.
pub(in crate::source::text) fn in_parentheses(line: &[u8]) -> Option<StackFrame> {
    let behind = behind_addresses(line);
    let inner = behind.strip_prefix(b"(")?.strip_suffix(b")")?;
    let (name, _) = word(inner)?;
    let begins = name
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let is_spelt = behind.len() < line.len() || name.contains(&b'_');
    // powerpc's doubt of the frame in front of it.
    let is_doubt = name == b"unreliable";
    let has_module = inner.len() == name.len() || inner.ends_with(b"]");
    // Written like a frame, so that names are read in one way.
    let written = [name, b"+0x0/0x0", inner.get(name.len()..)?].concat();
    (begins && is_spelt && has_module && !is_doubt).then(|| frame(&written))?
}

/// `release_nodes+62`, as bpftrace and crash write.
fn in_decimal(place: &[u8]) -> Option<(&[u8], u64)> {
    let (name, offset) = around(place, b"+")?;
    let offset = offset.strip_suffix(b"]").unwrap_or(offset);
    Some((name, decimal(offset)?))
}

/// What follows the place in the source that `decode_stacktrace.sh` writes instead of an offset:
/// ` (drivers/base/devres.c:1064 (discriminator 1))`.
fn behind_source(rest: &[u8]) -> Option<&[u8]> {
    let place = rest.strip_prefix(b" (")?;
    let end = place.iter().rposition(|byte| *byte == b')')?;
    let (place, behind) = place.split_at(end);
    let (file, line) = around(place, b":")?;
    let is_place =
        file.contains(&b'.') && line.first().is_some_and(u8::is_ascii_digit) || file == b"??";
    is_place.then(|| behind.get(1..).unwrap_or_default())
}

/// What follows the place in the source that syzbot writes behind a function: ` drivers/base/devres.c:506 [inline]`.
fn behind_place(rest: &[u8]) -> Option<&[u8]> {
    let (place, behind) = word(rest)?;
    let (file, line) = around(place, b":")?;
    let is_place = file.contains(&b'/')
        && (file.ends_with(b".c") || file.ends_with(b".h"))
        && !line.is_empty()
        && line.iter().all(u8::is_ascii_digit);
    is_place.then_some(behind.strip_prefix(b" [inline]").unwrap_or(behind))
}

/// The module behind a frame: in brackets, or bare where a script has taken them off.
fn module(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii();
    let name = match rest.strip_prefix(b"[") {
        Some(inner) => inner.split(|byte| matches!(byte, b']' | b' ')).next()?,
        None if rest.iter().copied().all(is_of_symbol) => rest,
        None => return None,
    };
    // An address in brackets begins another frame.
    (!name.is_empty() && name.iter().copied().all(is_of_symbol)).then_some(name)
}

pub(in crate::source::text) fn is_of_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$')
}

/// The frame of a function that has just been entered.
pub(in crate::source::text) fn at_entry(function: &str) -> StackFrame {
    StackFrame {
        address: 0,
        function: Some(Arc::new(Function {
            address: 0,
            name: Some(Text::from(function)),
            module: None,
        })),
        offset: 0,
        line: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_architectures_are_read() {
        for (line, expected) in [
            ("[   35.027199]  devm_kfree+0x8c/0xfc", "devm_kfree+0x8c"),
            (
                "[   35.030520]  devm_drm_panel_bridge_release+0x54/0x64 [drm_kms_helper]",
                "devm_drm_panel_bridge_release+0x54 [drm_kms_helper]",
            ),
            ("\t component_unbind+0x156/0x380", "component_unbind+0x156"),
            (
                " [<ffffffff8134d5e8>] devm_kfree+0x48/0x50",
                "devm_kfree+0x48",
            ),
            (
                "[7.841542] devm_kfree (drivers/base/devres.c:1064)",
                "devm_kfree",
            ),
            (
                "icc_disable (drivers/interconnect/core.c:708 (discriminator 1)) icc",
                "icc_disable [icc]",
            ),
            (
                "spi_geni_runtime_suspend+0x3c/0x4c spi_geni_qcom",
                "spi_geni_runtime_suspend+0x3c [spi_geni_qcom]",
            ),
            (
                "21:52:21.0000  [   35.027199]  devm_kfree+0x8c/0xfc",
                "devm_kfree+0x8c",
            ),
            (
                " devm_kfree from foo_remove+0x18/0x30 [foo 0123abc]",
                "foo_remove+0x18 [foo]",
            ),
            (
                "[<c0123456>] (devm_kfree) from [<c0765432>] (foo_remove+0x18/0x30)",
                "foo_remove+0x18",
            ),
            // As syzbot writes.
            (
                "release_nodes drivers/base/devres.c:506 [inline]",
                "release_nodes",
            ),
            (
                "foo_remove+0x18/0x30 drivers/misc/foo.c:12",
                "foo_remove+0x18",
            ),
            ("    release_nodes+62", "release_nodes+0x3e"),
        ] {
            let (_, line) = crate::source::text::envelope::prefix::split(line.as_bytes());
            let line = std::str::from_utf8(line).unwrap();
            let Some(frame) = frame(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(frame.to_string(), expected, "{line}");
        }
    }

    #[test]
    fn a_function_in_parentheses_is_told_from_a_remark() {
        for (line, expected) in [
            ("[<c012df84>] (dput)", Some("dput")),
            ("(release_nodes)", Some("release_nodes")),
            ("(demo_off [demo])", Some("demo_off [demo]")),
            ("(...)", None),
            ("(snip)", None),
            ("(see dmesg_1.txt)", None),
            ("(unreliable)", None),
            ("[c0000000fac53400] c0000000fac53480 (unreliable)", None),
        ] {
            let found = in_parentheses(line.as_bytes()).map(|frame| frame.to_string());
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        for line in [
            "x29: ffff800083d1b9c0",
            "a + 0x1",
            "foo (see the mail)",
            "foo bar.c:12",
        ] {
            assert_eq!(frame(line.as_bytes()), None, "{line}");
        }
    }
}
