//! Calendar days, for expectations that end.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// A calendar day, in the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Such as 2026.
    pub year: u16,
    /// From 1 on.
    pub month: u8,
    /// From 1 on.
    pub day: u8,
}

impl Date {
    /// The day, in UTC, of a moment.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        let seconds = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self::since_1970(seconds / 86_400)
    }

    /// The day that comes so many days after the first of January 1970.
    fn since_1970(days: u64) -> Self {
        let (mut year, mut left) = (1970_u16, days);
        while left >= days_in(year) {
            left -= days_in(year);
            year = year.saturating_add(1);
        }
        let mut month = 1;
        for length in month_lengths(year) {
            if left < u64::from(length) {
                break;
            }
            left -= u64::from(length);
            month += 1;
        }
        Self {
            year,
            month,
            day: u8::try_from(left + 1).unwrap_or(31),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04}-{:02}-{:02}",
            self.year, self.month, self.day
        )
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn month_lengths(year: u16) -> [u8; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn days_are_counted_through_leap_years() {
        for (days, date) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
        ] {
            assert_eq!(Date::since_1970(days).to_string(), date);
        }
    }
}
