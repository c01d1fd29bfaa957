//! Strings from the kernel or a file, made safe to show.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// Shows a string with everything in it that could steer a terminal, break a line or command who reads a log written
/// out.
///
/// Control characters, bidirectional overrides and other invisible format characters become `\x1b`-like
/// escapes, and so does what makes a command of a line in a log (see [`commands`]); a backslash becomes two, so that
/// the escaped form is unambiguous.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.char_indices() {
            match character {
                '\\' => formatter.write_str("\\\\")?,
                '\n' => formatter.write_str("\\n")?,
                '\t' => formatter.write_str("\\t")?,
                '\r' => formatter.write_str("\\r")?,
                hidden if steers(hidden) || commands(self.0, at) => {
                    let code = u32::from(hidden);
                    if code <= 0xff {
                        write!(formatter, "\\x{code:02x}")?;
                    } else {
                        write!(formatter, "\\u{{{code:x}}}")?;
                    }
                }
                plain => formatter.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// `text` as [`Escaped`] shows it.
#[must_use]
pub fn escape(text: &str) -> String {
    Escaped(text).to_string()
}

/// Shows a line with everything in it that could steer a terminal written out, as [`Escaped`] does, and
/// leaves alone what is escaped already: for lines that are put together of several parts.
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(['\\', '\n']) {
            let end = piece.len() - usize::from(piece.ends_with(['\\', '\n']));
            let (text, kept) = piece.split_at(end);
            write!(formatter, "{}{kept}", Escaped(text))?;
        }
        Ok(())
    }
}

/// Whether the character at `at` must be written out so that no reader of a log takes what follows for a command:
///
/// - GitHub's `::error::`, at the beginning of a line and behind blanks;
/// - GitHub's `##[error]`, Azure's `##vso[…]` and `TeamCity`'s `##teamcity[…]`, anywhere in a line;
/// - `<LAVA_SIGNAL_…>` on LAVA's serial consoles, anywhere in a line.
#[must_use]
pub fn commands(text: &str, at: usize) -> bool {
    let Some((before, rest)) = text.split_at_checked(at) else {
        return false;
    };
    match rest.as_bytes() {
        [b':', b':', ..] => before.chars().next_back().is_none_or(char::is_whitespace),
        [b'#', ..] => before.ends_with('#'),
        [b'<', name @ ..] => name
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"LAVA")),
        _ => false,
    }
}

/// A line of which a part was broken off: what stands at its beginning now is no command either.
#[must_use]
pub fn begun(line: &str) -> Cow<'_, str> {
    let blank = line.len() - line.trim_start().len();
    match line.split_at_checked(blank) {
        Some((blank, rest)) if rest.starts_with("::") => {
            let rest = rest.get(1..).unwrap_or_default();
            Cow::Owned(format!("{blank}\\x3a{rest}"))
        }
        _ => Cow::Borrowed(line),
    }
}

/// Characters that a terminal obeys or hides instead of showing.
#[must_use]
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::{Visible, begun, escape};

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(escape("a\u{1b}[31mb\nc\u{7f}"), "a\\x1b[31mb\\nc\\x7f");
        assert_eq!(escape("\u{9b}31m\u{202e}gpj"), "\\x9b31m\\u{202e}gpj");
    }

    #[test]
    fn no_reader_of_a_log_finds_a_command() {
        for (text, shown) in [
            ("::error::x", "\\x3a:error::x"),
            ("a  ::error::x", "a  \\x3a:error::x"),
            (":::", "\\x3a::"),
            ("input3::capslock", "input3::capslock"),
            ("##[error]x", "#\\x23[error]x"),
            ("a ##vso[task]", "a #\\x23vso[task]"),
            ("###", "#\\x23\\x23"),
            ("a#b #c", "a#b #c"),
            ("a<LAVA_SIGNAL_X>", "a\\x3cLAVA_SIGNAL_X>"),
            ("grp< <la <LAV", "grp< <la <LAV"),
        ] {
            assert_eq!(escape(text), shown, "{text}");
        }
        for (line, shown) in [
            ("  ::error::x", "  \\x3a:error::x"),
            ("::", "\\x3a:"),
            ("a::b", "a::b"),
            ("", ""),
            ("  ", "  "),
        ] {
            assert_eq!(begun(line), shown, "{line:?}");
        }
    }

    #[test]
    fn what_is_escaped_already_stays_as_it_is() {
        for text in [
            "a\u{1b}[31mb\u{202e}",
            "a\\x1b[31m",
            "one\ntwo\n",
            "",
            "::a ##[b] \\::c <LAVA",
        ] {
            let once = Visible(text).to_string();
            assert_eq!(Visible(&once).to_string(), once, "{text:?}");
            assert!(!once.contains('\u{1b}'), "{once}");
        }
        assert_eq!(Visible("a\\x1b\u{1b}\n").to_string(), "a\\x1b\\x1b\n");
    }

    #[test]
    fn the_escaped_form_is_unambiguous() {
        assert_ne!(escape("\\n"), escape("\n"));
        assert_eq!(escape("&rmi_irq_teardown"), "&rmi_irq_teardown");
        assert_eq!(escape("Gerät"), "Gerät");
    }
}
