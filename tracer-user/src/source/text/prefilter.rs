//! The prefilter: finds in the raw bytes of a text, before any stage works on them, the lines that say nothing.
//!
//! It knows no line's meaning, only what must stand in a line that any stage has to see. Most lines of most logs have
//! nothing of it, and are only counted.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::{memchr, memchr_iter, memrchr};

use super::{
    record::{kernel_log, message, trace_line},
    scan::automaton,
    telling,
    transport::{html, lines::is_text, strings},
};
use crate::event::Hook;

/// What makes `transport` change a line, or the next ones: bytes that are no text, what mails, web pages and JSON write
/// for others, the beginning of a JSON object or a journal's field, the end of a line that a mail has broken.
const CHANGED: [&[u8]; 37] = [
    b"\0",
    b"\x1b",
    b"\x1e",
    b"\t",
    b"\xc2\xa0",
    b"\xef\xbb\xbf",
    b"&lt;",
    b"&gt;",
    b"&amp;",
    b"&quot;",
    b"&#",
    b"&apos;",
    b"&nbsp;",
    b"\\u00",
    strings::LINE_END,
    b"=3D",
    b"=3C",
    b"=3E",
    b"=1B",
    b"=C2",
    b"=20",
    b"=09",
    b"=\n",
    b"=\r",
    b"= \n",
    b"= \r",
    b"=  ",
    b"ransfer-",
    b"RANSFER-",
    b"\n{",
    b"\r{",
    b" {",
    b">{",
    b"\n_",
    b"\r_",
    b" _",
    b">_",
];

/// What stands in function events, at the beginning of a line that goes on with one, and in frames.
const FUNCTIONS: [&[u8]; 7] = [
    b": (", b"  (", b"+0x", b"(ffff", b"(0xffff", b"\n#", b"\n #",
];

static SEEN: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let mut words: Vec<Vec<u8>> = telling::words(true).map(<[u8]>::to_vec).collect();
    let changed = CHANGED.iter().chain(&html::LINE_ENDS).chain(&FUNCTIONS);
    words.extend(changed.map(|word| word.to_vec()));
    words.extend(
        [
            kernel_log::WORD,
            trace_line::EVENT,
            message::SOURCE.as_bytes(),
        ]
        .map(<[u8]>::to_vec),
    );
    words.extend(Hook::ALL.map(|hook| format!("({}", hook.symbol()).into_bytes()));
    automaton(words)
});

/// How many bytes at the beginning of a text are whole lines that say nothing, and how many lines these are. The line
/// in front of one that may say something is none of them: that one may go on with it.
pub(super) fn skip(text: &[u8]) -> (usize, u64) {
    let Some(seen) = &*SEEN else {
        return (0, 0);
    };
    // As in the words that begin with the end of the line before.
    if matches!(text.first(), Some(b'{' | b'_')) {
        return (0, 0);
    }
    let beginning = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        memrchr(b'\n', before).map_or(0, |end| end + 1)
    };
    let whole = text.get(..beginning(text.len())).unwrap_or_default();
    let line = match seen.find(whole) {
        // A word may begin with the end of the line before.
        Some(found) => beginning(found.end() - 1),
        None => whole.len(),
    };
    let bytes = beginning(line.saturating_sub(1));
    let skipped = text.get(..bytes).unwrap_or_default();
    (bytes, count(skipped))
}

/// How many lines there are, as [`lines::for_each`](super::lines::for_each) has them.
fn count(text: &[u8]) -> u64 {
    let mut count = memchr_iter(b'\n', text).count();
    if memchr(b'\r', text).is_some() {
        let returns = memchr_iter(b'\r', text);
        count += returns.filter(|at| is_text(text.get(at + 1))).count();
    }
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::text::transport::lines::{Lines, for_each};

    struct Counter(u64);
    impl Lines for Counter {
        fn line(&mut self, _: &[u8]) {
            self.0 += 1;
        }
    }

    #[test]
    fn lines_are_skipped_up_to_the_one_before_what_tells() {
        let dull = "[    1.000000] usb 1-1: new device\n";
        let telling = "[    1.000000] a b: DEVRES ADD 0000000000000001 x (8 bytes)\n";
        for (text, lines) in [
            (String::new(), 0),
            (dull.repeat(3), 2),
            (format!("{}{telling}{}", dull.repeat(5), dull.repeat(9)), 4),
            (format!("{telling}{dull}"), 0),
            (format!("{dull}{telling}"), 0),
            // The end may be still to come.
            (format!("{}[    1.0] a b: DEV", dull.repeat(2)), 1),
            (format!("{}{{\n{dull}", dull.repeat(4)), 3),
            (format!("a\rb\r\nc\r\r\n{}", dull.repeat(2)), 4),
        ] {
            let (bytes, count) = skip(text.as_bytes());
            assert_eq!(count, lines, "{text}");
            assert!(bytes == 0 || text.as_bytes()[bytes - 1] == b'\n', "{text}");
            let mut counter = Counter(0);
            for_each(&text.as_bytes()[..bytes], &mut counter).unwrap();
            assert_eq!(counter.0, lines, "{text}");
        }
    }
}
