//! Times on the command line.

use std::{path::Path, str::FromStr};

use super::{reading, usage::UsageError};
use crate::{
    duration,
    event::{EventKind, Time},
    history::Window,
};
use std::ops::ControlFlow;

/// A time as it is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeArgument {
    /// The kernel's own time, `12.808`; the number of an event where the input has no times.
    At(u64),
    /// So many nanoseconds after the first thing that happened, `+1.5s`.
    After(u64),
    /// So many nanoseconds before the last, `-10s`.
    Before(u64),
}

/// How times are given, for the help.
pub(super) const HOW: &str = "Times: 12.808 is kernel time in seconds, +1.5s is after the first event, -10s before the last; \
units are s, ms, us, ns, m and h. If the input has no times, 12 is the twelfth event.";

impl FromStr for TimeArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "give a kernel time in seconds such as 12.808, or +1.5s after the first event, or -10s \
             before the last"
                .to_owned()
        };
        let (make, length): (fn(u64) -> Self, &str) = match text.as_bytes().first() {
            Some(b'+') => (Self::After, &text[1..]),
            Some(b'-') => (Self::Before, &text[1..]),
            _ => (Self::At, text),
        };
        nanoseconds(length).map(make).ok_or_else(wrong)
    }
}

/// A length of time, in seconds if it has no unit.
fn nanoseconds(text: &str) -> Option<u64> {
    let length = duration::parse_with_seconds(text).ok()?;
    u64::try_from(length.as_nanos()).ok()
}

/// From when to when a recording lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// The time of the first thing in it, which may be what was there before.
    pub(super) earliest: Time,
    /// The time of the first thing that happened.
    pub(super) first: Time,
    /// The time of the last.
    pub(super) last: Time,
    /// Whether the times are real; else events are numbered.
    pub(super) times: bool,
}

impl Extent {
    /// Reads a recording to its end.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let mut recording = reading::open(path)?;
        let times = recording.information().coverage.times;
        let mut extent: Option<Self> = None;
        let mut happened = false;
        let read = recording.for_each(|event| {
            let time = event.time;
            let found = extent.get_or_insert(Self {
                earliest: time,
                first: time,
                last: time,
                times,
            });
            found.earliest = found.earliest.min(time);
            found.last = found.last.max(time);
            let told = matches!(
                event.kind,
                EventKind::Device(_)
                    | EventKind::Stack(_)
                    | EventKind::Snapshot(_)
                    | EventKind::Loss(_)
            );
            if !told && !happened {
                happened = true;
                found.first = time;
            }
            ControlFlow::Continue(())
        });
        // A damaged file lasts until the damage, which whoever reads its events reports.
        if let Some(extent) = extent {
            return Ok(extent);
        }
        read?;
        Err(UsageError::new("the recording is empty").into())
    }

    /// The kernel's time of a moment.
    pub(super) fn resolve(&self, moment: TimeArgument) -> Time {
        /// What stands for one event where there are no times.
        const SECOND: u64 = 1_000_000_000;
        match moment {
            TimeArgument::At(time) if self.times => Time(time),
            TimeArgument::At(time) => Time(time / SECOND),
            TimeArgument::After(length) if self.times => Time(self.first.0.saturating_add(length)),
            TimeArgument::After(length) => Time(self.first.0.saturating_add(length / SECOND)),
            TimeArgument::Before(length) if self.times => Time(self.last.0.saturating_sub(length)),
            TimeArgument::Before(length) => Time(self.last.0.saturating_sub(length / SECOND)),
        }
    }

    /// The kernel's time of a moment that must lie in the recording.
    pub(super) fn find(&self, moment: TimeArgument) -> Result<Time, UsageError> {
        let time = self.resolve(moment);
        if (self.earliest..=self.last).contains(&time) {
            return Ok(time);
        }
        let show = |time: Time| {
            if self.times {
                time.to_string()
            } else {
                time.as_event()
            }
        };
        Err(UsageError::new(format!(
            "{} is not in this recording, which covers {} to {}",
            show(time),
            show(self.earliest),
            show(self.last)
        )))
    }
}

/// The window that two moments bound. Where the recording must be read for it, that is done first.
pub(super) fn window(
    since: Option<TimeArgument>,
    until: Option<TimeArgument>,
    path: &Path,
) -> anyhow::Result<Window> {
    if since.is_none() && until.is_none() {
        return Ok(Window::default());
    }
    reading::can_be_read_twice(path)?;
    let extent = Extent::of(path)?;
    let window = Window {
        since: since.map(|moment| extent.resolve(moment)),
        until: until.map(|moment| extent.resolve(moment)),
    };
    if window.overlaps(extent.earliest, extent.last) {
        return Ok(window);
    }
    let error = UsageError::new(format!(
        "nothing was recorded then: the recording covers {} to {}",
        extent.earliest, extent.last
    ));
    Err(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_exactly() {
        for (text, moment) in [
            ("12.808", TimeArgument::At(12_808_000_000)),
            ("12.808882966", TimeArgument::At(12_808_882_966)),
            ("7", TimeArgument::At(7_000_000_000)),
            ("+1.5s", TimeArgument::After(1_500_000_000)),
            ("+500ms", TimeArgument::After(500_000_000)),
            ("+0", TimeArgument::After(0)),
            ("-10s", TimeArgument::Before(10_000_000_000)),
            ("-250us", TimeArgument::Before(250_000)),
            ("-2m", TimeArgument::Before(120_000_000_000)),
            ("+1h", TimeArgument::After(3_600_000_000_000)),
        ] {
            assert_eq!(text.parse(), Ok(moment), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "+",
            "-",
            ".",
            "1.",
            ".5",
            "1.2.3",
            "ten",
            "1 month",
            "1e9",
            "--1",
            "+-1",
            "99999999999999999999",
        ] {
            assert!(text.parse::<TimeArgument>().is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_resolved_within_the_recording() {
        let mut extent = Extent {
            earliest: Time(1_000_000_000),
            first: Time(2_000_000_000),
            last: Time(9_000_000_000),
            times: true,
        };
        assert_eq!(
            extent.find(TimeArgument::After(500)).ok(),
            Some(Time(2_000_000_500))
        );
        assert_eq!(
            extent.find(TimeArgument::Before(0)).ok(),
            Some(Time(9_000_000_000))
        );
        assert!(extent.find(TimeArgument::At(9_000_000_001)).is_err());
        assert!(extent.find(TimeArgument::At(999_999_999)).is_err());
        extent = Extent {
            earliest: Time(0),
            first: Time(0),
            last: Time(8),
            times: false,
        };
        assert_eq!(
            extent.find(TimeArgument::At(7_000_000_000)).ok(),
            Some(Time(7))
        );
        assert!(extent.find(TimeArgument::At(9_000_000_000)).is_err());
    }
}
