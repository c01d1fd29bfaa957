//! Whole logs in one string of JSON: the text of an issue or a comment, as the interfaces of forges write it.

use std::borrow::Cow;

use memchr::memmem;

/// What ends a line within a string.
pub(in crate::source::text) const LINE_END: &[u8] = b"\\n";

/// Calls `each` with the lines of a log that are within one of JSON, or with the line itself. Each is a line of the
/// input.
pub(in crate::source::text) fn lines(line: &[u8], count: u64, mut each: impl FnMut(&[u8], u64)) {
    if !begins(line) || memmem::find(line, LINE_END).is_none() {
        return each(line, count);
    }
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (first, behind) = first(text);
        each(&first, count.min(1));
        rest = behind;
    }
}

/// Whether a line begins an object, a list or a string, and not with a time in brackets.
fn begins(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    match text.split_first() {
        Some((b'"', _)) => true,
        Some((b'{' | b'[', inner)) => {
            matches!(inner.trim_ascii_start().first(), Some(b'"' | b'{' | b'['))
        }
        _ => false,
    }
}

/// The text up to the end of its first line, without escapes, and what follows.
fn first(text: &[u8]) -> (Cow<'_, [u8]>, Option<&[u8]>) {
    let mut line = Cow::Borrowed(b"".as_slice());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        line.to_mut().extend_from_slice(before);
        rest = escape.get(2..).unwrap_or_default();
        match escape.get(1) {
            Some(b'n') => return (line, Some(rest)),
            Some(b'r') => {}
            Some(b't') => line.to_mut().push(b' '),
            Some(byte @ (b'"' | b'\\' | b'/')) => line.to_mut().push(*byte),
            _ => line
                .to_mut()
                .extend_from_slice(escape.get(..2).unwrap_or(escape)),
        }
    }
    if line.is_empty() {
        return (Cow::Borrowed(rest), None);
    }
    line.to_mut().extend_from_slice(rest);
    (line, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        lines(line.as_bytes(), 1, |line, count| {
            assert_eq!(count, 1);
            found.push(String::from_utf8_lossy(line).into_owned());
        });
        found
    }

    #[test]
    fn the_lines_of_a_string_are_lines() {
        for (line, expected) in [
            (
                r#"{"id": 1, "body": "see\r\n```\r\n[ 1.0] a \"b\"\t[x]\r\nC:\\new"}"#,
                &[
                    r#"{"id": 1, "body": "see"#,
                    "```",
                    r#"[ 1.0] a "b" [x]"#,
                    r#"C:\new"}"#,
                ][..],
            ),
            (r#"  "body": "a\nb","#, &[r#"  "body": "a"#, r#"b","#]),
            (r#"["a\nb"]"#, &[r#"["a"#, r#"b"]"#]),
        ] {
            assert_eq!(apart(line), expected, "{line}");
        }
    }

    #[test]
    fn other_lines_stay_whole() {
        for line in [
            r#"[    1.0] foo: printed "a\nb""#,
            r#"{"body": "a"}"#,
            r"printf a\nb",
            "",
        ] {
            assert_eq!(apart(line), [line]);
        }
    }
}
