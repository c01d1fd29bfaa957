//! Text that fits: cut and filled to columns, numbers and times in few characters.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// `text` in exactly `width` columns: filled with blanks, or cut with `cut` at its end.
#[must_use]
pub fn fit(text: &str, width: usize, cut: &str) -> String {
    let mut fitted = shorten(text, width, cut);
    let missing = width.saturating_sub(fitted.width());
    fitted.extend(std::iter::repeat_n(' ', missing));
    fitted
}

/// `text` in exactly `width` columns, with its end at the right.
#[must_use]
pub fn fit_right(text: &str, width: usize, cut: &str) -> String {
    let short = shorten(text, width, cut);
    let missing = width.saturating_sub(short.width());
    format!("{}{short}", " ".repeat(missing))
}

/// `text` in at most `width` columns.
#[must_use]
pub fn shorten(text: &str, width: usize, cut: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(cut.width());
    let mut short = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > room {
            break;
        }
        short.push(character);
    }
    if cut.width() <= width {
        short.push_str(cut);
    }
    short
}

/// The columns that `text` takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// A length of time in nanoseconds, in at most nine characters.
#[must_use]
pub fn duration(nanoseconds: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = nanoseconds / (unit / 10);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{} us", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{} ms", tenths(1_000_000)),
        1_000_000_000..60_000_000_000 => format!("{} s", tenths(1_000_000_000)),
        _ => {
            let seconds = nanoseconds / 1_000_000_000;
            match seconds {
                60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
                3_600..86_400 => format!("{} h {:02} m", seconds / 3_600, seconds / 60 % 60),
                _ => format!("{} d", seconds / 86_400),
            }
        }
    }
}

/// Milliseconds with three decimals.
#[must_use]
pub fn milliseconds(nanoseconds: u64) -> String {
    format!(
        "{}.{:03} ms",
        nanoseconds / 1_000_000,
        nanoseconds / 1_000 % 1_000
    )
}

/// A number of bytes, in at most six characters.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 10_000 {
        return bytes.to_string();
    }
    let mut unit = 0;
    let mut value = bytes / 102;
    while value >= 99_999 && unit < UNITS.len() - 1 {
        value /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if value >= 1_000 {
        format!("{}{name}", value / 10)
    } else {
        format!("{}.{}{name}", value / 10, value % 10)
    }
}

/// Cells of a line, one after the other.
#[derive(Debug, Default)]
pub struct Cells {
    spans: Vec<Span<'static>>,
    cut: &'static str,
}

impl Cells {
    /// No cells yet; text that is cut ends with `cut`.
    #[must_use]
    pub fn new(cut: &'static str) -> Self {
        Self {
            spans: Vec::new(),
            cut,
        }
    }

    /// Text as it is.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>, style: Style) -> Self {
        self.spans.push(Span::styled(text.into(), style));
        self
    }

    /// A cell of `width` columns and a blank.
    #[must_use]
    pub fn left(self, text: &str, width: usize, style: Style) -> Self {
        let fitted = fit(text, width, self.cut);
        self.text(fitted + " ", style)
    }

    /// Like [`left`](Self::left), or nothing where there is no room for it.
    #[must_use]
    pub fn column(self, text: &str, width: usize, style: Style) -> Self {
        if width == 0 {
            self
        } else {
            self.left(text, width, style)
        }
    }

    /// A cell of `width` columns with the text at the right, and a blank.
    #[must_use]
    pub fn right(self, text: &str, width: usize, style: Style) -> Self {
        let fitted = fit_right(text, width, self.cut);
        self.text(fitted + " ", style)
    }

    /// The columns taken so far.
    #[must_use]
    pub fn used(&self) -> usize {
        self.spans.iter().map(Span::width).sum()
    }

    /// A last cell that is cut where the line ends at `width`.
    #[must_use]
    pub fn rest(self, text: &str, width: usize, style: Style) -> Self {
        let room = width.saturating_sub(self.used());
        let short = shorten(text, room, self.cut);
        self.text(short, style)
    }

    /// The line.
    #[must_use]
    pub fn line(self) -> Line<'static> {
        Line::from(self.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_kept_whatever_the_text_is() {
        for text in [
            "",
            "a",
            "abcdefgh",
            "漢字漢字漢字",
            "e\u{301}e\u{301}e\u{301}abcdef",
            "a漢b字c",
        ] {
            for width in 0..10 {
                let fitted = fit(text, width, "…");
                assert_eq!(
                    super::width(&fitted),
                    width,
                    "{text} in {width}: {fitted:?}"
                );
                assert_eq!(super::width(&fit_right(text, width, "~")), width);
            }
        }
    }

    #[test]
    fn numbers_take_few_columns() {
        assert_eq!(bytes(9_999), "9999");
        assert_eq!(bytes(16_384), "16.0K");
        assert_eq!(duration(12_562_000), "12.5 ms");
        assert_eq!(duration(61_000_000_000), "1 m 01 s");
        for power in 0..20 {
            assert!(bytes(10_u64.pow(power)).len() <= 6);
            assert!(duration(10_u64.pow(power)).len() <= 9);
        }
    }
}
