//! Stacks that tracing tools print behind an event, innermost first: `=> add_dr` behind `<stack trace>` by ftrace,
//! `=> add_dr (ffffffff81928390)` by trace-cmd, `ffffffff81928390 add_dr+0x50 ([kernel.kallsyms])` by perf.

use std::sync::Arc;

use crate::{
    event::{Function, StackFrame, Text},
    source::text::scan::{around, hexadecimal, word},
};

/// What stands in the line in front of a stack.
pub(in crate::source::text) const BEGINNING: &str = "<stack trace";

/// Digits that an address has at least.
const SHORTEST_ADDRESS: usize = 8;

/// Whether a line is a frame of a stack.
pub(in crate::source::text) fn is_frame(line: &[u8]) -> bool {
    let plain = line.trim_ascii_start();
    if plain.starts_with(b"=> ") {
        return true;
    }
    // perf's lines begin with blanks and the address.
    plain.len() < line.len()
        && word(plain).is_some_and(|(address, rest)| {
            address.len() >= SHORTEST_ADDRESS
                && hexadecimal(address).is_some()
                && rest.trim_ascii_end().ends_with(b")")
        })
}

/// Where a function whose return is probed seems to return to. Kernels before 5.14 see nothing behind it, newer ones
/// mostly do.
const RETURN_TRAMPOLINES: [&[u8]; 3] = [
    b"kretprobe_trampoline",
    b"__kretprobe_trampoline",
    b"arch_rethook_trampoline",
];

/// Reads frames, one a line, without those of the tracing itself.
pub(in crate::source::text) fn read(lines: &[u8]) -> Vec<StackFrame> {
    let mut frames = Vec::new();
    let mut tracing = false;
    for frame in lines.split(|byte| *byte == b'\n').filter_map(frame) {
        // What called it may be code that the kernel has made for it, without a name.
        tracing = is_tracing(&frame) || tracing && frame.function.is_none();
        if !tracing {
            frames.push(frame);
        }
    }
    frames
}

fn frame(line: &[u8]) -> Option<StackFrame> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"=> ").unwrap_or(line).trim_ascii();
    let (first, rest) = word(line)?;
    let (mut address, mut place, mut rest) = (0, first, rest);
    if first.len() >= SHORTEST_ADDRESS
        && let Some(number) = hexadecimal(first)
        && let Some((symbol, behind)) = word(rest)
    {
        (address, place, rest) = (number, symbol, behind);
    }
    // ftrace, where no function is.
    let nowhere = place.strip_prefix(b"0x").and_then(hexadecimal);
    address = nowhere.unwrap_or(address);
    let mut module = None;
    while let Some((note, behind)) = word(rest) {
        rest = behind;
        match note {
            [b'(' | b'<', digits @ .., b')' | b'>'] if hexadecimal(digits).is_some() => {
                address = hexadecimal(digits).unwrap_or_default();
            }
            [b'(', b'[', inner @ .., b']', b')'] | [b'[', inner @ .., b']'] if module.is_none() => {
                module = Some(inner);
            }
            _ => {}
        }
    }
    let module = module.filter(|module| !module.starts_with(b"kernel.") && !module.is_empty());
    let (name, offset) = match around(place, b"+0x") {
        Some((name, offset)) => {
            let offset = offset
                .split(|byte| *byte == b'/')
                .next()
                .unwrap_or_default();
            (name, hexadecimal(offset).unwrap_or_default())
        }
        None => (place, 0),
    };
    let text = |bytes: &[u8]| Text::from(String::from_utf8_lossy(bytes));
    // Also `[unknown/kretprobe'd]`.
    let known = !name.is_empty()
        && nowhere.is_none()
        && !name.starts_with(b"[unknown")
        && !RETURN_TRAMPOLINES.contains(&name);
    Some(StackFrame {
        address,
        function: known.then(|| {
            Arc::new(Function {
                address: 0,
                name: Some(text(name)),
                module: module.map(text),
            })
        }),
        offset,
        line: None,
    })
}

/// Whether the frame is of the machinery that took the stack.
fn is_tracing(frame: &StackFrame) -> bool {
    let name = frame
        .function
        .as_ref()
        .and_then(|function| function.name.as_deref())
        .unwrap_or_default();
    let beginnings = [
        "trace_event_",
        "__traceiter_",
        "perf_trace_",
        "ftrace_",
        "kprobe_",
        "aggr_pre_handler",
        "optimized_callback",
    ];
    name == "devres_log"
        || beginnings
            .iter()
            .any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_tools_are_read() {
        for (line, expected) in [
            (" => devm_kmalloc", "devm_kmalloc"),
            (" => foo_probe [foo]", "foo_probe [foo]"),
            (" => foo_probe+0x2b/0x90 [foo]", "foo_probe+0x2b [foo]"),
            ("=> add_dr (ffffffff81928390)", "add_dr"),
            (" => add_dr+0xa0/0xc0 <ffffffff81928390>", "add_dr+0xa0"),
            (
                "\tffffffff81928390 add_dr+0xa0 ([kernel.kallsyms])",
                "add_dr+0xa0",
            ),
            (
                "    ffffffffc0000010 foo_probe+0x10 ([foo])",
                "foo_probe+0x10 [foo]",
            ),
            (
                "\tffffffff81928390 [unknown] ([unknown])",
                "0xffffffff81928390",
            ),
        ] {
            assert!(is_frame(line.as_bytes()), "{line}");
            let frames = read(line.as_bytes());
            assert_eq!(frames.len(), 1, "{line}");
            assert_eq!(frames[0].to_string(), expected, "{line}");
        }
        for line in [
            "",
            "add_dr",
            "ffffffff81928390 x",
            " sh-1 [000] 1.0: x: (y)",
        ] {
            assert!(!is_frame(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn frames_of_the_tracing_itself_are_left_out() {
        let stack = b"=> trace_event_raw_event_devres_log\n=> __traceiter_devres_log\n=> add_dr\n";
        let frames: Vec<_> = read(stack).iter().map(ToString::to_string).collect();
        assert_eq!(frames, ["add_dr"]);
        let stack = b"=> kprobe_dispatcher\n=> ftrace_ops_assist_func\n=> 0xffffffffc01eb0c8\n=> add_dr\n=> 0xffffffffc0000010\n";
        let frames: Vec<_> = read(stack).iter().map(ToString::to_string).collect();
        assert_eq!(frames[0], "add_dr");
        assert_eq!(frames.len(), 2);
        for frame in ["[unknown/kretprobe'd]", "kretprobe_trampoline+0x0/0x20"] {
            let frames = read(format!("=> devres_open_group+0x1/0x9\n=> {frame}\n").as_bytes());
            assert_eq!(frames[1].function, None, "{frame:?}");
        }
    }
}
