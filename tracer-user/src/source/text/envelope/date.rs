//! Dates, as system logs and `dmesg -T` write them.

use jiff::{civil::Date, tz::Offset};

use crate::source::text::scan::{digits, nanoseconds, word};

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// A date and time of day at the beginning of `bytes`, in nanoseconds since 1970 (of the year 1970 where
/// none is given, and without regard to time zones), and what follows.
pub(in crate::source::text) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    if bytes.first()?.is_ascii_digit() {
        return numeric(bytes).or_else(|| without_year(bytes));
    }
    // `Fri 2023-03-10 21:52:21 CET`, as journalctl writes.
    if let Some((weekday, rest)) = word(bytes)
        && WEEKDAYS.contains(&weekday)
        && rest.trim_ascii_start().first()?.is_ascii_digit()
    {
        let (time, rest) = numeric(rest.trim_ascii_start())?;
        let zone = word(rest).filter(|(zone, _)| zone.iter().all(u8::is_ascii_uppercase));
        return Some((time, zone.map_or(rest, |(_, behind)| behind)));
    }
    named(bytes)
}

/// `03-10 21:52:21.123`, as Android's log has.
fn without_year(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (month, rest) = digits(bytes)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?)?;
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    Some((since_1970(1970, month, day)?.checked_add(time)?, rest))
}

/// `2023-03-10T21:52:21.123456+01:00`, `2023-03-10 21:52:21`, `2023/03/10 21:52:21`.
fn numeric(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (year, rest) = digits(bytes)?;
    let separator = rest.get(..1).filter(|byte| matches!(byte, [b'-' | b'/']))?;
    let (month, rest) = digits(rest.strip_prefix(separator)?)?;
    let (day, rest) = digits(rest.strip_prefix(separator)?)?;
    let rest = rest.strip_prefix(b"T").or(rest.strip_prefix(b" "))?;
    let (time, rest) = time_of_day(rest)?;
    // A time zone.
    let end = rest
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || *byte == b',');
    let (zone, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let is_zone = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b':' | b'Z');
    let rest = if zone.iter().all(is_zone) {
        rest
    } else {
        return None;
    };
    Some((since_1970(year, month, day)?.checked_add(time)?, rest))
}

/// `Mar 10 21:52:21`, `Fri Mar 10 21:52:21 2023`, `Mar10 21:52`.
fn named(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let bytes = match word(bytes)? {
        (weekday, rest) if WEEKDAYS.contains(&weekday) => rest.trim_ascii_start(),
        _ => bytes,
    };
    let (month, rest) = bytes.split_at_checked(3)?;
    let month = MONTHS.iter().position(|known| *known == month)?;
    let (day, rest) = digits(rest.trim_ascii_start())?;
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    let (year, rest) = match word(rest).map(|(year, behind)| (digits(year), behind)) {
        Some((Some((year @ 1970..=2200, [])), behind)) => (year, behind),
        _ => (1970, rest),
    };
    let days = since_1970(year, u64::try_from(month).ok()? + 1, day)?;
    Some((days.checked_add(time)?, rest))
}

/// The time of day where no date is, in nanoseconds, and what follows the blank behind it: `21:52:21 `, `21:52:21.123 `.
/// Numbers of buses and devices have other lengths.
pub(in crate::source::text) fn time_alone(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let [_, _, b':', _, _, b':', _, _, b' ' | b'.' | b',', ..] = bytes else {
        return None;
    };
    let (time, rest) = time_of_day(bytes)?;
    Some((time, rest.strip_prefix(b" ")?))
}

/// `21:52`, `21:52:21`, `21:52:21.123456`.
fn time_of_day(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (hours, rest) = digits(bytes)?;
    let (minutes, rest) = digits(rest.strip_prefix(b":")?)?;
    let (seconds, rest) = match rest.strip_prefix(b":") {
        Some(rest) => digits(rest)?,
        None => (0, rest),
    };
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let mut time = (hours * 3600 + minutes * 60 + seconds) * 1_000_000_000;
    let mut rest = rest;
    if let [b'.' | b',', fraction @ ..] = rest {
        let (_, behind) = digits(fraction)?;
        time += nanoseconds(fraction.get(..fraction.len() - behind.len())?)?;
        rest = behind;
    }
    Some((time, rest))
}

/// Nanoseconds from the beginning of 1970 to the beginning of a day. Where no year is reported, February may have 29 days.
fn since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=2200).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let month = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
    let month = Offset::UTC.to_timestamp(month.at(0, 0, 0, 0)).ok()?;
    let seconds = u64::try_from(month.as_second()).ok()? + (day - 1) * 86_400;
    seconds.checked_mul(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_their_forms() {
        let day = 86_400_000_000_000;
        for (text, time, rest) in [
            ("1970-01-01T00:00:00Z x", 0, " x"),
            ("2024-03-01 00:00:00 x", 19_783 * day, " x"),
            ("2024/03/01 00:00:00 x", 19_783 * day, " x"),
            (
                "Fri Mar 10 00:00:01 2023 x",
                19_426 * day + 1_000_000_000,
                " x",
            ),
            ("Feb  2 00:00:00.5 host", 32 * day + 500_000_000, " host"),
            ("Jan10 01:00", 9 * day + 3_600_000_000_000, ""),
            ("Fri 1970-01-02 00:00:01 CET x", day + 1_000_000_000, " x"),
            ("Fri 1970-01-02 00:00:01.5 x", day + 1_500_000_000, " x"),
            ("01-02 00:00:00.000 x", day, " x"),
            ("1970-01-02T00:00:00Z,x", day, ",x"),
            ("Feb 29 00:00:00 x", 59 * day, " x"),
            ("2024-02-29 00:00:00 x", 19_782 * day, " x"),
        ] {
            assert_eq!(
                read(text.as_bytes()),
                Some((time, rest.as_bytes())),
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_of_day_alone_is_no_number_of_a_bus() {
        let second = 1_000_000_000;
        for (text, time) in [
            ("00:00:01 x", Some(second)),
            ("00:01:00.5  x", Some(60 * second + second / 2)),
            ("00:00:01,250 x", Some(second + second / 4)),
            ("00:00:01: x", None),
            ("03:00.0 x", None),
            ("00:00:1f.3 x", None),
            ("0000:00:01.0 x", None),
            ("24:00:00 x", None),
        ] {
            let found = time_alone(text.as_bytes()).map(|(time, _)| time);
            assert_eq!(found, time, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "Mar 10",
            "2024-13-01T00:00:00",
            "2024-01-01T99:00:00",
            "may x",
            "",
            "0000:00:1f.3",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
