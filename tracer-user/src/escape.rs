//! Strings from the kernel or a file, made safe to show.

use std::fmt::{self, Write as _};

/// Shows a string with everything in it that could steer a terminal or break a line written out.
///
/// Control characters, bidirectional overrides and other invisible format characters become `\x1b`-like
/// escapes; a backslash becomes two, so that the escaped form is unambiguous.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => formatter.write_str("\\\\")?,
                '\n' => formatter.write_str("\\n")?,
                '\t' => formatter.write_str("\\t")?,
                '\r' => formatter.write_str("\\r")?,
                hidden if steers(hidden) => {
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
    use super::{Visible, escape};

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(escape("a\u{1b}[31mb\nc\u{7f}"), "a\\x1b[31mb\\nc\\x7f");
        assert_eq!(escape("\u{9b}31m\u{202e}gpj"), "\\x9b31m\\u{202e}gpj");
    }

    #[test]
    fn what_is_escaped_already_stays_as_it_is() {
        for text in ["a\u{1b}[31mb\u{202e}", "a\\x1b[31m", "one\ntwo\n", ""] {
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
