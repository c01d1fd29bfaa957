//! When the view draws, and how long it takes in events in between.

use std::time::{Duration, Instant};

/// The time from one picture to the next: sixty in a second.
const FRAME: Duration = Duration::from_micros(16_600);
/// The longest time without a look at the keyboard, where the terminal is slow.
const LONGEST: Duration = Duration::from_millis(25);

/// When the last picture was drawn.
#[derive(Debug, Default)]
pub struct Pace {
    last: Option<Picture>,
}

#[derive(Debug)]
struct Picture {
    began: Instant,
    took: Duration,
}

impl Pace {
    /// How long it is until the next picture.
    #[must_use]
    pub fn due_in(&self, now: Instant) -> Duration {
        self.last.as_ref().map_or(Duration::ZERO, |last| {
            (last.began + FRAME).saturating_duration_since(now)
        })
    }

    /// Until when events are taken in before the next picture: for at least as long as the last one took, so that a slow terminal
    /// doesn't make the view fall behind.
    #[must_use]
    pub fn take_in_until(&self, now: Instant) -> Instant {
        let Some(last) = &self.last else {
            return now;
        };
        now + self.due_in(now).max(last.took.min(LONGEST))
    }

    /// A picture was drawn.
    pub fn drew(&mut self, began: Instant, ended: Instant) {
        self.last = Some(Picture {
            began,
            took: ended.saturating_duration_since(began),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// The beginnings of a hundred pictures of which each takes `picture`, while events never end; and the longest time in
    /// which events were taken in.
    fn pictures(picture: Duration) -> (Vec<Duration>, Duration) {
        let start = Instant::now();
        let (mut now, mut pace) = (start, Pace::default());
        let (mut began, mut longest) = (Vec::new(), Duration::ZERO);
        for _ in 0..100 {
            let until = pace.take_in_until(now);
            longest = longest.max(until - now);
            now = until;
            now += pace.due_in(now);
            began.push(now - start);
            pace.drew(now, now + picture);
            now += picture;
        }
        (began, longest)
    }

    #[test]
    fn sixty_pictures_are_drawn_in_a_second_and_events_have_the_rest() {
        let (began, longest) = pictures(MS(2));
        assert!(began[60] < MS(1000), "{began:?}");
        assert!(longest > MS(12) && longest <= FRAME, "{longest:?}");
    }

    #[test]
    fn a_slow_terminal_leaves_events_half_of_the_time_and_keys_are_looked_at() {
        let (began, longest) = pictures(MS(20));
        assert_eq!(longest, MS(20));
        assert_eq!(began[11], began[1] + MS(400));
        let (_, longest) = pictures(MS(500));
        assert_eq!(longest, LONGEST);
    }
}
