//! Logs in the HTML of a mail or a web page, whose lines end with a tag and not with a line's end.

use memchr::{memchr, memchr_iter};

/// The elements behind which a line is over: where they begin, or where they end.
pub(in crate::source::text) const LINE_ENDS: [&[u8]; 7] = [
    b"<br", b"<BR", b"</div", b"</p>", b"</li>", b"</pre", b"</tr",
];

/// The names of the elements that are left out of such a line. What else stands in angle brackets is the kernel's:
/// `<TASK>`, `<idle>`.
const ELEMENTS: [&[u8]; 22] = [
    b"a",
    b"b",
    b"blockquote",
    b"body",
    b"br",
    b"code",
    b"div",
    b"em",
    b"font",
    b"html",
    b"i",
    b"li",
    b"ol",
    b"p",
    b"pre",
    b"span",
    b"strong",
    b"table",
    b"td",
    b"tr",
    b"tt",
    b"ul",
];

/// Calls `each` with the lines that a line of HTML holds, or with the line itself. Each is a line of the input.
pub(in crate::source::text) fn lines(line: &[u8], count: u64, mut each: impl FnMut(&[u8], u64)) {
    if !memchr_iter(b'<', line).any(|at| begins_with_end(line.get(at..).unwrap_or_default())) {
        return each(line, count);
    }
    let (mut text, mut rest) = (Vec::with_capacity(line.len()), line);
    while let Some(at) = memchr(b'<', rest) {
        let (before, tag) = rest.split_at(at);
        text.extend_from_slice(before);
        let Some(behind) = behind_element(tag) else {
            text.push(b'<');
            rest = tag.get(1..).unwrap_or_default();
            continue;
        };
        if begins_with_end(tag) {
            each(text.trim_ascii_end(), count.min(1));
            text.clear();
        }
        rest = behind;
    }
    text.extend_from_slice(rest);
    if !text.trim_ascii().is_empty() {
        each(text.trim_ascii_end(), count.min(1));
    }
}

fn begins_with_end(tag: &[u8]) -> bool {
    LINE_ENDS.iter().any(|end| tag.starts_with(end)) && behind_element(tag).is_some()
}

/// What follows the tag of one of [`ELEMENTS`] that a text begins with.
fn behind_element(tag: &[u8]) -> Option<&[u8]> {
    let end = memchr(b'>', tag)?;
    let inner = tag.get(1..end)?;
    let inner = inner.strip_prefix(b"/").unwrap_or(inner);
    let name = inner.split(|byte| matches!(byte, b' ' | b'/')).next()?;
    ELEMENTS
        .iter()
        .any(|element| element.eq_ignore_ascii_case(name))
        .then(|| tag.get(end + 1..))
        .flatten()
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
    fn elements_end_lines() {
        for (line, expected) in [
            ("<div>a<br>b<br/>c<br />d</div>", &["a", "b", "c", "d"][..]),
            (
                "<p style=3D\"x\">a &lt;TASK&gt; <TASK></p><p>b",
                &["a &lt;TASK&gt; <TASK>", "b"],
            ),
            ("<PRE>a<BR>  <b>b</b> </PRE>", &["a", "  b"]),
            ("x<br>", &["x"]),
        ] {
            assert_eq!(apart(line), expected, "{line}");
        }
    }

    #[test]
    fn other_lines_stay_whole() {
        for line in [
            "<idle>-0 [000] 1.0: x",
            "<4>[ 1.0] a <b> c",
            "a <broken",
            "</TASK>",
            "",
        ] {
            assert_eq!(apart(line), [line]);
        }
    }
}
