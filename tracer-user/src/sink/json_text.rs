//! JSON that can be shown: what could steer a terminal or command who reads a log is written out as well.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter, PrettyFormatter},
};

use crate::escape::{commands, steers};

/// Writes a value in one line.
pub(crate) fn write(writer: impl Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(writer, Shown(CompactFormatter));
    Ok(value.serialize(&mut serializer)?)
}

/// Writes a value in many lines.
pub(crate) fn write_pretty(
    writer: impl Write,
    value: &(impl Serialize + ?Sized),
) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(writer, Shown(PrettyFormatter::new()));
    Ok(value.serialize(&mut serializer)?)
}

/// JSON itself wants only the first control characters escaped.
struct Shown<F>(F);

impl<F: Formatter> Formatter for Shown<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_plain = |byte: u8| byte < 0x7f && !matches!(byte, b'#' | b'<' | b':');
        if fragment.bytes().all(is_plain) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut written = 0;
        for (at, hidden) in fragment.char_indices() {
            if !steers(hidden) && !commands(fragment, at) {
                continue;
            }
            let shown = fragment.get(written..at).unwrap_or_default();
            writer.write_all(shown.as_bytes())?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + hidden.len_utf8();
        }
        let rest = fragment.get(written..).unwrap_or_default();
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_key(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "##[a] <LAVA a\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{e0001}Gerät";

    #[test]
    fn nothing_steers_a_terminal_and_the_meaning_stays() {
        let value = serde_json::json!({ NAME: [NAME, 1] });
        let (mut compact, mut pretty) = (Vec::new(), Vec::new());
        write(&mut compact, &value).unwrap();
        write_pretty(&mut pretty, &value).unwrap();
        for bytes in [compact, pretty] {
            let text = String::from_utf8(bytes).unwrap();
            assert!(
                !text.chars().any(|one| one != '\n' && steers(one)),
                "{text}"
            );
            assert!(text.contains("#\\u0023[a] \\u003cLAVA a"), "{text}");
            assert!(text.contains("\\u009b\\u202e\\udb40\\udc01Gerät"), "{text}");
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value[NAME][0], NAME);
        }
    }
}
