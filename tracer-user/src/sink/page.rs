//! Lines for a terminal of eighty columns.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::escape::begun;

/// The widest line.
pub const WIDTH: usize = 80;

/// What a line is, for those who see colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// A heading.
    Heading,
    /// Of less interest than what is around it.
    Faint,
    /// Only in the second of two recordings.
    Inserted,
    /// Only in the first of two recordings.
    Deleted,
    /// Something is wrong.
    Bad,
    /// Something may be wrong, or is not known.
    Doubtful,
    /// Nothing is wrong.
    Good,
}

impl Tone {
    pub(super) const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Inserted | Self::Good => AnsiColor::Green.on_default(),
            Self::Deleted => AnsiColor::Red.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Doubtful => AnsiColor::Yellow.on_default(),
        }
    }
}

/// Wraps lines and colours them.
pub struct Page<'w> {
    writer: &'w mut dyn Write,
    colours: bool,
}

impl<'w> Page<'w> {
    /// Writes to `writer`, with colours or without.
    pub fn new(writer: &'w mut dyn Write, colours: bool) -> Self {
        Self { writer, colours }
    }

    /// Writes a line; what doesn't fit goes on in further lines, `indent` columns from the left.
    pub fn line(&mut self, tone: Tone, text: &str, indent: usize) -> io::Result<()> {
        let blank = " ".repeat(indent);
        let options = textwrap::Options::new(WIDTH)
            .subsequent_indent(&blank)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        for line in textwrap::wrap(text, options) {
            let line = begun(line.trim_end());
            if self.colours && tone != Tone::Plain {
                let style = tone.style();
                writeln!(self.writer, "{style}{line}{style:#}")?;
            } else {
                writeln!(self.writer, "{line}")?;
            }
        }
        Ok(())
    }

    /// Writes a line that is nothing in particular.
    pub fn plain(&mut self, text: &str, indent: usize) -> io::Result<()> {
        self.line(Tone::Plain, text, indent)
    }

    /// Writes an empty line.
    pub fn gap(&mut self) -> io::Result<()> {
        writeln!(self.writer)
    }

    /// Writes what was laid out for wider lines.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            if line.is_empty() {
                self.gap()?;
            } else {
                self.plain(line, indent + 2)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_and_coloured_only_if_wanted() {
        let mut plain = Vec::new();
        let long = format!("  {}end", "word ".repeat(20));
        Page::new(&mut plain, false)
            .line(Tone::Bad, &long, 4)
            .unwrap();
        let plain = String::from_utf8(plain).unwrap();
        assert!(plain.lines().count() == 2, "{plain}");
        assert!(plain.lines().all(|line| line.len() <= WIDTH), "{plain}");
        assert!(
            plain.ends_with("    word word word word word end\n"),
            "{plain}"
        );
        let mut coloured = Vec::new();
        Page::new(&mut coloured, true)
            .line(Tone::Bad, "wrong", 0)
            .unwrap();
        assert!(coloured.starts_with(b"\x1b["));
    }
}
