//! Stacks that the kernel writes into its log.

use super::{
    prefix,
    scan::{around, hexadecimal, word},
};
use crate::event::{Function, StackFrame, Text};

/// A line behind a report of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `Call trace:`
    Begin,
    /// A frame; `None` for one that the kernel itself doubts.
    Frame(Option<StackFrame>),
    /// `CPU: 1 PID: 0 Comm: swapper/1`: the task's name.
    Comm(&'a [u8]),
    /// What stands between frames: `<TASK>`, `...`.
    Filling,
    /// `---[ end trace 0000000000000000 ]---`
    End,
    /// Anything else.
    Other,
}

/// Reads a line behind a report of the kernel.
pub(super) fn read(line: &[u8]) -> Line<'_> {
    let (_, line) = prefix::split(line);
    let line = line.trim_ascii();
    if line.eq_ignore_ascii_case(b"call trace:") || line.eq_ignore_ascii_case(b"backtrace:") {
        return Line::Begin;
    }
    if line.starts_with(b"---[ end trace") || line.starts_with(b"------------[ cut here") {
        return Line::End;
    }
    if let Some((_, comm)) = around(line, b" Comm: ") {
        return word(comm).map_or(Line::Other, |(comm, _)| Line::Comm(comm));
    }
    let is_filling = matches!(
        line,
        b"" | b"..." | b"TASK>" | b"/TASK>" | b"IRQ>" | b"/IRQ>"
    ) || line.starts_with(b"<") && line.ends_with(b">");
    if is_filling {
        return Line::Filling;
    }
    if line.starts_with(b"? ") {
        return Line::Frame(None);
    }
    frame(line).map_or(Line::Other, |frame| Line::Frame(Some(frame)))
}

/// `devm_kfree+0x8c/0xfc`, `foo_remove+0x18/0x30 [foo]`, with an address in front or, on 32-bit ARM, with the
/// function that was called from there.
pub(super) fn frame(line: &[u8]) -> Option<StackFrame> {
    let line = match around(line, b" from ") {
        Some((_, caller)) => caller.trim_ascii(),
        None => line,
    };
    let line = match line.strip_prefix(b"[<") {
        Some(address) => around(address, b">]")?.1.trim_ascii_start(),
        None => line,
    };
    let line = line.strip_prefix(b"(").unwrap_or(line);
    let (place, rest) = word(line)?;
    let place = place.strip_suffix(b")").unwrap_or(place);
    let (name, offset, rest) = match around(place, b"+0x") {
        Some((name, offset)) => {
            let offset = offset.split(|byte| *byte == b'/').next()?;
            (name, hexadecimal(offset)?, rest)
        }
        None => (place, 0, behind_source(rest)?),
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
    })
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

/// The module behind a frame: in brackets, or bare where a script has taken them off.
fn module(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii();
    let name = match rest.strip_prefix(b"[") {
        Some(inner) => inner.split(|byte| matches!(byte, b']' | b' ')).next()?,
        None if rest.iter().copied().all(is_of_symbol) => rest,
        None => return None,
    };
    (!name.is_empty()).then_some(name)
}

pub(super) fn is_of_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$')
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
                "devm_kfree+0x0",
            ),
            (
                "icc_disable (drivers/interconnect/core.c:708 (discriminator 1)) icc",
                "icc_disable+0x0 [icc]",
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
        ] {
            let Line::Frame(Some(frame)) = read(line.as_bytes()) else {
                panic!("{line}: {:?}", read(line.as_bytes()));
            };
            assert_eq!(frame.to_string(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        for (line, expected) in [
            ("[ 1.0] Call Trace:", Line::Begin),
            ("[ 1.0]  <TASK>", Line::Filling),
            ("...", Line::Filling),
            ("[ 1.0]  ? foo+0x1/0x2", Line::Frame(None)),
            ("[ 1.0] ---[ end trace 1234 ]---", Line::End),
            (
                "[ 1.0] CPU: 1 PID: 0 Comm: swapper/1 Tainted: G           O       6.5.0-rc4+ #1",
                Line::Comm(b"swapper/1"),
            ),
            ("[ 1.0] x29: ffff800083d1b9c0", Line::Other),
            ("a + 0x1", Line::Other),
            ("foo (see the mail)", Line::Other),
        ] {
            assert_eq!(read(line.as_bytes()), expected, "{line}");
        }
    }
}
