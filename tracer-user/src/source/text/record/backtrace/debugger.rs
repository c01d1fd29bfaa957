//! Frames as debuggers write them: xmon, crash, gdb and drgn.

use super::behind_addresses;
use crate::source::text::scan::{around, digits, hexadecimal, word};

/// The rest of a frame from its function on, behind what a debugger has in front: a number, addresses.
pub(super) fn frame(line: &[u8]) -> Option<&[u8]> {
    let Some(numbered) = line.strip_prefix(b"#") else {
        return behind_address(line);
    };
    let (_, rest) = digits(numbered)?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    if let Some((address, behind)) = around(rest, b" in ")
        && address.strip_prefix(b"0x").and_then(hexadecimal).is_some()
    {
        return Some(behind);
    }
    Some(behind_addresses(rest))
}

/// `c0000000009a2345 release_nodes+0x74/0x130`, as xmon writes, perhaps with `(unreliable)` behind it. What perf writes has
/// the file behind it that the function is in.
fn behind_address(line: &[u8]) -> Option<&[u8]> {
    let rest = behind_addresses(line);
    let (place, behind) = word(rest).filter(|_| rest.len() < line.len())?;
    let behind = behind.trim_ascii();
    let is_file = behind.starts_with(b"(") && behind != b"(unreliable)";
    (around(place, b"+0x").is_some() && !is_file).then_some(rest)
}

/// What follows a function without an offset: ` at ffffffff8171f6be [demo]` in crash, ` (data=0x0) at demo.c:42` in gdb.
pub(super) fn behind_function(rest: &[u8]) -> Option<&[u8]> {
    if let Some((address, module)) = rest.strip_prefix(b" at ").and_then(word) {
        return (address.len() >= 8 && hexadecimal(address).is_some()).then_some(module);
    }
    let arguments = rest.strip_prefix(b" (")?;
    let end = memchr::memrchr(b')', arguments)?;
    arguments
        .get(end + 1..)
        .filter(|behind| behind.is_empty() || behind.starts_with(b" at "))?;
    Some(&[])
}

#[cfg(test)]
mod tests {
    use super::super::frame;

    #[test]
    fn frames_of_every_debugger_are_read() {
        for (line, expected) in [
            (
                "c0000000009a2345 release_nodes+0x74/0x130",
                "release_nodes+0x74",
            ),
            (
                "c0000000009a1234 devm_action_release+0x24/0x40 (unreliable)",
                "devm_action_release+0x24",
            ),
            (
                "[c00000000f8e7ad0] [c0000000009a1234] demo_off+0x24/0x40 [demo]",
                "demo_off+0x24 [demo]",
            ),
            (
                " #8 [ffffc900008dfd80] release_nodes at ffffffff8171f6be",
                "release_nodes",
            ),
            (
                "#12 [ffffc900008dfd80] demo_off at ffffffffc0345014 [demo]",
                "demo_off [demo]",
            ),
            (
                "#0  demo_off (data=0xffff888103b2c000) at drivers/misc/demo.c:42",
                "demo_off",
            ),
            (
                "#1  0xffffffff8171f2c2 in release_nodes (dev=0x1, todo=0x2) at drivers/base/devres.c:703",
                "release_nodes",
            ),
            (
                "#1  devm_action_release (drivers/base/devres.c:703:2)",
                "devm_action_release",
            ),
            ("#1  demo_off+0x14/0x60 [demo]", "demo_off+0x14 [demo]"),
        ] {
            let found = frame(line.trim_start().as_bytes()).map(|frame| frame.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_other_tools_write_is_no_frame_of_a_debugger() {
        for line in [
            "ffffffff8171f6be release_nodes+0x3e ([kernel.kallsyms])",
            "ffffffff8171f6be release_nodes ([kernel.kallsyms])",
            "#12 is a pull request",
            "release_nodes at ffffffff8171f6be",
            "00000000deadbeef",
        ] {
            assert_eq!(frame(line.as_bytes()), None, "{line}");
        }
    }
}
