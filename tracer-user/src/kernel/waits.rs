//! Where a task waits in the kernel, by `/proc/TID/stack`: only root may read it.

use std::{fs, sync::Arc};

use crate::event::{Function, StackFrame, Text};

/// The functions that a task is in, innermost first; none where that can't be read, or the task runs.
#[must_use]
pub fn where_task_waits(tid: u32) -> Vec<StackFrame> {
    let text = fs::read_to_string(format!("/proc/{tid}/stack"));
    frames(&text.unwrap_or_default())
}

/// The frames of the file: `[<0>] msleep+0x2d/0x40 [module]`.
fn frames(text: &str) -> Vec<StackFrame> {
    let frame = |line: &str| {
        let (_, named) = line.split_once("] ")?;
        let (place, module) = match named.split_once(" [") {
            Some((place, module)) => (place, module.strip_suffix(']')),
            None => (named, None),
        };
        let (name, offsets) = place.split_once("+0x")?;
        let offset = offsets.split('/').next()?;
        Some(StackFrame {
            address: 0,
            function: Some(Arc::new(Function {
                address: 0,
                name: Some(Text::from(name)),
                module: module.map(Text::from),
            })),
            offset: u64::from_str_radix(offset, 16).ok()?,
            line: None,
        })
    };
    text.lines().filter_map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_the_kernel_writes_them() {
        let text =
            "[<0>] msleep+0x2d/0x40\n[<0>] slow_action+0x1a/0x30 [devres_test]\n[<0>] 0xffffffff\n";
        let words: Vec<String> = frames(text).iter().map(ToString::to_string).collect();
        assert_eq!(words, ["msleep+0x2d", "slow_action+0x1a [devres_test]"]);
        assert!(frames("").is_empty());
    }
}
