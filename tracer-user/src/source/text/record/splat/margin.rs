//! What a program that no table knows writes in front of each line: it is learned from lines of which the kernel's
//! part is known, and taken off the others.

use crate::source::text::scan::digits;

/// Longest margin.
const LONGEST: usize = 96;

/// How the kernel's own part of a line begins that has a margin.
const BEGINNINGS: [&str; 9] = [
    "Modules linked in:",
    "Call Trace:",
    "Call trace:",
    "Hardware name:",
    "WARNING: ",
    "BUG: ",
    "INFO: task ",
    "CPU: ",
    "------------[ cut here",
];

/// The margin of the lines before.
#[derive(Debug, Default)]
pub(super) struct Margin {
    /// With one digit in place of each number, and one blank in place of several.
    shape: Vec<u8>,
}

impl Margin {
    /// Takes the margin off a line, whose known prefix is off already. A line that shows another one is learned from.
    pub(super) fn off<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        if let Some(rest) = self.behind(text) {
            return rest;
        }
        match beginning(text) {
            Some(at) if at > 0 => {
                let (margin, rest) = text.split_at_checked(at).unwrap_or((&[], text));
                self.learn(margin);
                rest
            }
            _ => text,
        }
    }

    fn learn(&mut self, margin: &[u8]) {
        self.shape.clear();
        self.shape.extend(margin.iter().copied().map(shape));
        self.shape
            .dedup_by(|next, byte| next == byte && matches!(byte, b'0' | b' '));
    }

    /// What follows the margin, if the line has it.
    fn behind<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        if self.shape.is_empty() {
            return None;
        }
        let mut rest = text;
        for byte in &self.shape {
            rest = match byte {
                b'0' => digits(rest)?.1,
                b' ' => rest.strip_prefix(b" ")?.trim_ascii_start(),
                other => rest.strip_prefix(&[*other])?,
            };
        }
        Some(rest.trim_ascii_start())
    }
}

/// Where the kernel's own part of a line begins, if that is known and what stands before it can be a margin.
fn beginning(text: &[u8]) -> Option<usize> {
    let near = text.get(..text.len().min(LONGEST + 32))?;
    let at = BEGINNINGS
        .iter()
        .filter_map(|words| memchr::memmem::find(near, words.as_bytes()))
        .min()?;
    let before = near.get(..at)?;
    // What the kernel itself puts in front ends with a colon: `rcu: INFO: task`; so does its name in other logs.
    let last = before.trim_ascii_end();
    let is_own =
        matches!(last, [.., b'a'..=b'z' | b'A'..=b'Z', b':']) && !last.ends_with(b" kernel:");
    (at <= LONGEST && !is_own).then_some(at)
}

const fn shape(byte: u8) -> u8 {
    if byte.is_ascii_digit() { b'0' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_learned_and_taken_off() {
        for margin in [
            "serial| ",
            "12:31 board-7 <- ",
            "boot-test qemu ",
            ",pc,kernel,warning,\"",
            "app-1  | Mar 10 21:52:21 pc kernel: ",
            "12: ",
        ] {
            let mut own = Margin::default();
            let number = |line: &str| if line.starts_with("Call") { "7" } else { "107" };
            for (line, expected) in [
                ("release_nodes+0x3e/0xb0", None),
                ("Call Trace:", Some("Call Trace:")),
                ("release_nodes+0x3e/0xb0", Some("release_nodes+0x3e/0xb0")),
                ("Modules linked in: a", Some("Modules linked in: a")),
            ] {
                let line = format!("{margin}{line}");
                let line = line.replace("12", expected.map_or("12", number));
                let expected = expected.unwrap_or(&line);
                assert_eq!(own.off(line.as_bytes()), expected.as_bytes(), "{line}");
            }
            let other = "another line: release_nodes+0x3e/0xb0";
            assert_eq!(own.off(other.as_bytes()), other.as_bytes());
        }
    }

    #[test]
    fn what_the_kernel_puts_in_front_is_no_margin() {
        let mut margin = Margin::default();
        for line in [
            "watchdog: BUG: soft lockup",
            "rcu: INFO: task x",
            "WARNING: CPU: 1 PID: 2 at x",
            "release_nodes+0x3e/0xb0",
        ] {
            assert_eq!(margin.off(line.as_bytes()), line.as_bytes());
        }
    }
}
