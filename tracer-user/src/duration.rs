//! Lengths of time that people write, on the command line and in policies.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Why a text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// It has no number, no unit, or one that is not known.
    #[error("give a number with a unit, such as 100ms, 10s, 2m or 1h")]
    Malformed,
    /// It is less than nothing.
    #[error("a time can't be negative")]
    Negative,
}

/// Reads a length of time such as `100ms`, `1.5s` or `1h 30m`. A day has 24 hours.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    if text.starts_with('-') {
        return Err(BadDuration::Negative);
    }
    if !text.starts_with(|character: char| character.is_ascii_digit()) {
        return Err(BadDuration::Malformed);
    }
    let span: Span = text.parse().map_err(|_| BadDuration::Malformed)?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| BadDuration::Malformed)?;
    // `10s ago` is one as well.
    Duration::try_from(duration).map_err(|_| BadDuration::Negative)
}

/// Like [`parse`]; a number without a unit is seconds.
pub fn parse_with_seconds(text: &str) -> Result<Duration, BadDuration> {
    if text.ends_with(|character: char| character.is_ascii_digit()) {
        parse(&format!("{text}s"))
    } else {
        parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_time_have_units() {
        for (text, nanoseconds) in [
            ("100ms", 100_000_000),
            ("1us", 1_000),
            ("250µs", 250_000),
            ("0s", 0),
            ("1.5s", 1_500_000_000),
            ("2m", 120_000_000_000),
            ("2min", 120_000_000_000),
            ("1h 30m", 5_400_000_000_000),
            ("1day", 86_400_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in [
            "",
            "10",
            "ms",
            "1month",
            "1 parsec",
            "99999999999999999999h",
        ] {
            assert_eq!(parse(text), Err(BadDuration::Malformed), "{text}");
        }
        for text in ["-1s", "1s ago"] {
            assert_eq!(parse(text), Err(BadDuration::Negative), "{text}");
        }
    }

    #[test]
    fn a_number_alone_is_seconds() {
        assert_eq!(parse_with_seconds("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_with_seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_with_seconds("-1"), Err(BadDuration::Negative));
        for text in [".", "1.2.3", "ten", "1e9", "99999999999999999999999"] {
            assert_eq!(
                parse_with_seconds(text),
                Err(BadDuration::Malformed),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r"[0-9.,:+\-a-zPTµ ]{0,24}") {
            let _ = parse_with_seconds(&text);
        }
    }
}
