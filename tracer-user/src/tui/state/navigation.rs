//! Which moment is shown, and which part of the time line.

use super::{Scroll, State, Window};
use crate::{
    event::Time,
    finding::Severity,
    model::InstanceKey,
    tui::{
        playback::Playback,
        timeline::{Mark, MarkKind},
    },
};

impl State {
    pub(super) fn pause(&mut self, playback: &mut Playback) {
        if !playback.is_following() {
            playback.follow();
        } else if self.growing {
            playback.pause();
        } else {
            self.tell(
                Severity::Info,
                "this is the end of the recording; step back from here",
            );
        }
    }

    pub(super) fn seek(&mut self, position: u64, playback: &mut Playback) {
        let first = playback.history().first();
        if position < first {
            self.tell(
                Severity::Warn,
                format!(
                    "events before {} s are no longer held",
                    playback.history().time(first)
                ),
            );
        }
        playback.seek(position);
    }

    pub(super) fn step(&mut self, events: u64, playback: &mut Playback) {
        if playback.position() >= playback.history().end() {
            self.tell(Severity::Info, "no later event yet");
        }
        playback.pause();
        playback.step(events);
    }

    pub(super) fn device_step(&mut self, forward: bool, playback: &mut Playback) {
        let Some(device) = self.device else {
            self.tell(Severity::Info, "no device is selected");
            return;
        };
        let history = playback.history();
        let here = playback.position();
        let is_its = |position: &u64| {
            history
                .event(*position)
                .is_some_and(|event| event.device == device.address)
        };
        let found = if forward {
            (here + 1..=history.end()).find(is_its)
        } else {
            (history.first() + 1..here).rev().find(is_its)
        };
        match found {
            Some(position) => self.seek(position, playback),
            None => self.tell(
                Severity::Info,
                if forward {
                    "no later event of this device"
                } else {
                    "no earlier event of this device"
                },
            ),
        }
    }

    pub(super) fn jump(&mut self, forward: bool, playback: &mut Playback) {
        let history = playback.history();
        let here = playback.position();
        let found = if forward {
            history.found().after(here)
        } else {
            history.found().before(here)
        };
        if let Some(found) = found {
            self.findings.cursor = found.finding;
            self.finding = Scroll::default();
            self.select_device(found.device);
            self.seek(found.at, playback);
            return;
        }
        let text = if history.findings().is_empty() {
            "no findings"
        } else if forward {
            "no later finding"
        } else if history.first() > 0 {
            "no earlier finding is held"
        } else {
            "no earlier finding"
        };
        self.tell(Severity::Info, text);
    }

    /// The part of time that the timeline shows: its begin and end.
    #[must_use]
    pub fn shown_time(&self, playback: &Playback) -> (Time, Time) {
        let history = playback.history();
        let first = history.time(history.first() + 1);
        let last = history.time(history.end()).max(playback.now());
        let (begin, end) = match self.window {
            Window::All if !self.all_devices => self
                .device
                .and_then(|device| life(device, playback))
                .unwrap_or((first, last)),
            Window::All => (first, last),
            Window::Last(length) => (Time(last.0.saturating_sub(length)), last),
            Window::Fixed(begin, end) => (begin, end),
        };
        (begin, end.max(Time(begin.0.saturating_add(1))))
    }

    pub(super) fn zoom(&mut self, into: bool, playback: &Playback) {
        let (begin, end) = self.shown_time(playback);
        let length = end.since(begin);
        let length = if into {
            (length / 2).max(100)
        } else {
            length.saturating_mul(2)
        };
        let whole = Self {
            window: Window::All,
            all_devices: true,
            ..Self::default()
        };
        let (first, last) = whole.shown_time(playback);
        self.window = if length >= last.since(first) {
            Window::All
        } else if playback.is_following() && self.growing {
            Window::Last(length)
        } else {
            let now = playback.now();
            let centre = if now >= begin && now <= end {
                now
            } else {
                Time(begin.0 + end.since(begin) / 2)
            };
            let begin = centre
                .0
                .saturating_sub(length / 2)
                .clamp(first.0, last.0.saturating_sub(length).max(first.0));
            Window::Fixed(Time(begin), Time(begin.saturating_add(length)))
        };
    }

    pub(super) fn pan(&mut self, later: bool, playback: &Playback) {
        let (begin, end) = self.shown_time(playback);
        let by = (end.since(begin) / 4).max(1);
        self.window = if later {
            let by = by.min(u64::MAX - end.0);
            Window::Fixed(Time(begin.0 + by), Time(end.0 + by))
        } else {
            let by = by.min(begin.0);
            Window::Fixed(Time(begin.0 - by), Time(end.0 - by))
        };
    }
}

/// The time from a device's first to its last activity that is held, with a little around it.
fn life(device: InstanceKey, playback: &Playback) -> Option<(Time, Time)> {
    let timeline = playback.history().timeline();
    let is_its = |of: InstanceKey| of == device;
    let span = timeline.spans().find(|span| is_its(span.device));
    // What is found may be reported only when the recording ends.
    let is_activity =
        |mark: &&Mark| is_its(mark.device) && !matches!(mark.kind, MarkKind::Found(_));
    let mark = timeline.all_marks().find(is_activity);
    let begin = match (span, mark) {
        (Some(span), Some(mark)) => span.begin.min(mark.time),
        (Some(span), None) => span.begin,
        (None, Some(mark)) => mark.time,
        (None, None) => return None,
    };
    let ends = timeline
        .spans()
        .rev()
        .filter(|span| is_its(span.device))
        .take(100)
        .map(|span| span.end.unwrap_or_else(|| playback.now()));
    let mark = timeline.all_marks().rev().find(is_activity);
    let end = ends.chain(mark.map(|mark| mark.time)).max()?;
    let around = end.since(begin) / 50;
    Some((
        Time(begin.0.saturating_sub(around)),
        Time(end.0.saturating_add(around)),
    ))
}

/// `length * part / whole`, without overflow.
pub(super) fn scaled(length: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(length) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(product).unwrap_or(u64::MAX)
}
