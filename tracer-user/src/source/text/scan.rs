//! Small steps through the bytes of a line.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem;

/// An automaton that needs one look-up for each byte.
pub(super) fn automaton<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .ok()
}

/// The first word and what follows it.
pub(super) fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.trim_ascii_start();
    if bytes.is_empty() {
        return None;
    }
    let end = bytes
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(bytes.len());
    Some(bytes.split_at(end))
}

/// What stands before the last word, and that word.
pub(super) fn last_word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.trim_ascii_end();
    if bytes.is_empty() {
        return None;
    }
    let start = bytes
        .iter()
        .rposition(u8::is_ascii_whitespace)
        .map_or(0, |blank| blank + 1);
    Some(bytes.split_at(start))
}

/// What stands before the first `needle`, and what follows it.
pub(super) fn around<'a>(bytes: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(bytes, needle)?;
    Some((bytes.get(..at)?, bytes.get(at + needle.len()..)?))
}

/// A number of decimal digits and nothing else.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A number of hexadecimal digits and nothing else.
pub(super) fn hexadecimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    bytes.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

/// Leading decimal digits, at least one, and what follows them.
pub(super) fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at(end);
    Some((decimal(digits)?, rest))
}

/// Seconds, perhaps with a fraction, as nanoseconds.
pub(super) fn seconds(bytes: &[u8]) -> Option<u64> {
    let (whole, rest) = digits(bytes)?;
    let whole = whole.checked_mul(1_000_000_000)?;
    let fraction = match rest {
        [] => 0,
        [b'.' | b',', fraction @ ..] => nanoseconds(fraction)?,
        _ => return None,
    };
    whole.checked_add(fraction)
}

/// The digits behind a decimal point, as nanoseconds.
pub(super) fn nanoseconds(fraction: &[u8]) -> Option<u64> {
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    Some(digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_from_both_ends() {
        assert_eq!(word(b"  a b "), Some((&b"a"[..], &b" b "[..])));
        assert_eq!(word(b" \t"), None);
        assert_eq!(last_word(b" a b "), Some((&b" a "[..], &b"b"[..])));
        assert_eq!(last_word(b"b"), Some((&b""[..], &b"b"[..])));
        assert_eq!(around(b"a -> b", b" -> "), Some((&b"a"[..], &b"b"[..])));
    }

    #[test]
    fn numbers_that_do_not_fit_are_none() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(decimal(b"1a"), None);
        assert_eq!(hexadecimal(b"00000000c79e61Af"), Some(0xc79e_61af));
        assert_eq!(hexadecimal(b"100000000c79e61af"), None);
    }

    #[test]
    fn seconds_become_nanoseconds() {
        assert_eq!(seconds(b"126.886032"), Some(126_886_032_000));
        assert_eq!(seconds(b"5"), Some(5_000_000_000));
        assert_eq!(seconds(b"5.0000000019"), Some(5_000_000_001));
        assert_eq!(seconds(b"5."), None);
        assert_eq!(seconds(b"99999999999999"), None);
    }
}
