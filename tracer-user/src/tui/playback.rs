//! What is looked at: the end of the history as it grows, or an instant of the past.

use std::sync::Arc;

use super::{
    found::OnDevice,
    history::History,
    rows::{Choice, Rows},
    traces::Traces,
};
use crate::{
    event::{Event, Time},
    evidence::Coverage,
    model::{Device, InstanceKey, Model},
    rules::RuleSet,
};

/// The history, and the instant of it that is looked at.
#[derive(Debug)]
pub struct Playback {
    history: History,
    /// The position that is looked at and the model there; without, the end is, as it grows.
    past: Option<(u64, Box<Model>)>,
    rows: Rows,
    traces: Traces,
    /// Up to where the rows know what was found; none where they know nothing.
    known: Option<Known>,
    /// The time at the end, where the source has a clock that runs on without events.
    clock: Option<Time>,
    /// When the view was paused, for as long as it stands there.
    frozen: Option<Time>,
    /// Events were taken in of which rows and traces know nothing yet.
    behind: bool,
    /// A device that is looked at: it doesn't fade.
    pinned: Option<InstanceKey>,
}

/// Up to where something knows what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// So many times, up to a position of the past.
    At(u64),
    /// All of it, when it had changed so often.
    Following(u64),
}

impl Playback {
    /// A playback of which nothing is known yet. `most` as in [`History::new`].
    #[must_use]
    pub fn new(coverage: Arc<Coverage>, rules: RuleSet, most: Option<usize>) -> Self {
        Self {
            history: History::new(coverage, rules, most),
            past: None,
            rows: Rows::default(),
            traces: Traces::default(),
            known: None,
            clock: None,
            frozen: None,
            behind: false,
            pinned: None,
        }
    }

    /// Takes one event in.
    pub fn take(&mut self, event: Event) {
        let Self {
            history,
            traces,
            past,
            ..
        } = self;
        let following = past.is_none();
        history.push(event, |change, model| {
            if following {
                traces.observe(change, model);
            }
        });
    }

    /// Takes one of many events in: what is looked at follows with [`catch_up`](Self::catch_up).
    pub fn take_quickly(&mut self, event: Event) {
        self.behind |= self.past.is_none();
        self.history.push(event, |_, _| {});
    }

    /// Brings what is looked at to where [`take_quickly`](Self::take_quickly) has led.
    pub fn catch_up(&mut self) {
        if std::mem::take(&mut self.behind) && self.past.is_none() {
            let mut traces = Traces::default();
            self.history.model_at(self.history.end(), |change, model| {
                traces.observe(change, model);
            });
            self.traces = traces;
            self.look_anew();
        }
    }

    /// Nothing comes any more.
    pub fn conclude(&mut self) {
        self.history.conclude();
    }

    /// What time it is for a source whose clock runs on without events.
    pub fn tell_time(&mut self, now: Time) {
        self.clock = Some(now);
    }

    /// Nothing has happened until then that was not taken in.
    pub fn pass(&mut self, until: Time) {
        self.history.pass(until);
    }

    /// This device doesn't fade until another is pinned.
    pub fn pin(&mut self, device: Option<InstanceKey>) {
        self.pinned = device;
    }

    /// Brings the rows up to date with what has happened. Call it before drawing.
    pub fn settle(&mut self) {
        let position = self.position();
        let known = match &self.past {
            Some(_) => Known::At(self.history.found().until(position)),
            None => Known::Following(self.history.found().changes()),
        };
        let now = self.now();
        let Self {
            history,
            past,
            rows,
            traces,
            known: known_before,
            pinned,
            ..
        } = self;
        let model = past.as_ref().map_or(history.model(), |(_, model)| model);
        rows.update(model, traces);
        if known_before.replace(known) != Some(known) {
            let found = history.found().everywhere();
            let found = found.filter(|(_, on)| on.first <= position);
            rows.set_findings(found.map(|(key, on)| (key, on.severity)));
            if !rows.choice().filter.is_empty() {
                self.choose(|_| {});
                return self.settle();
            }
        }
        let faded = traces.fade(now, |key| rows.has_findings(key) || *pinned == Some(key));
        rows.remove(&faded);
        rows.settle();
    }

    /// Changes what the table shows.
    pub fn choose(&mut self, change: impl FnOnce(&mut Choice)) {
        let mut choice = self.rows.choice().clone();
        change(&mut choice);
        let rules = RuleSet::all();
        let findings = self.history.findings();
        let mut found: Vec<(InstanceKey, &OnDevice)> = self
            .history
            .found()
            .everywhere()
            .filter(|(_, on)| on.first <= self.position())
            .collect();
        found.sort_unstable_by_key(|(key, on)| (on.finding, *key));
        choice.filter.know_findings(
            found
                .into_iter()
                .filter_map(|(key, on)| {
                    let finding = findings.get(on.finding)?;
                    let name = rules.find(finding.rule).map_or("", |info| info.name);
                    let text = format!("{} {name} {}", finding.rule, on.severity.name());
                    Some((key, text))
                })
                .collect(),
        );
        let model = self
            .past
            .as_ref()
            .map_or(self.history.model(), |(_, model)| model);
        self.rows.choose(choice, model);
    }

    /// Looks at a position, or at the nearest one that is held.
    pub fn seek(&mut self, position: u64) {
        let mut traces = Traces::default();
        let (position, model) = self
            .history
            .model_at(position, |change, model| traces.observe(change, model));
        let Some(model) = model else { return };
        self.frozen = None;
        self.traces = traces;
        self.past = Some((position, Box::new(model)));
        self.look_anew();
    }

    /// Goes `events` on from the position that is looked at.
    pub fn step(&mut self, events: u64) {
        let end = self.history.end();
        let Self {
            history,
            past,
            traces,
            ..
        } = self;
        let Some((position, model)) = past else {
            return;
        };
        for _ in 0..events {
            let Some(event) = history.event(*position + 1).filter(|_| *position < end) else {
                break;
            };
            self.frozen = None;
            for change in model.apply(event) {
                traces.observe(&change, model);
            }
            *position += 1;
        }
    }

    /// Stops looking at the end. The history goes on underneath.
    pub fn pause(&mut self) {
        if self.past.is_none() {
            // What has faded by now stays so.
            self.frozen = Some(self.now());
            let model = Box::new(self.history.model().clone());
            self.past = Some((self.history.end(), model));
        }
    }

    /// Looks at the end again, as it grows.
    pub fn follow(&mut self) {
        if self.past.is_some() {
            self.seek(self.history.end());
            self.past = None;
            self.look_anew();
        }
    }

    fn look_anew(&mut self) {
        let Self {
            history,
            past,
            rows,
            traces,
            known,
            ..
        } = self;
        let model = past.as_ref().map_or(history.model(), |(_, model)| model);
        rows.rebuild(model, traces);
        *known = None;
    }

    /// Whether the end is looked at, as it grows.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.past.is_none()
    }

    /// The position that is looked at.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.past
            .as_ref()
            .map_or(self.history.end(), |(position, _)| *position)
    }

    /// The time that is looked at.
    #[must_use]
    pub fn now(&self) -> Time {
        let now = self.history.time(self.position());
        match (self.clock, self.frozen) {
            (_, Some(frozen)) => frozen,
            (Some(clock), None) if self.is_following() => clock.max(now),
            _ => now,
        }
    }

    /// The model at the instant that is looked at.
    #[must_use]
    pub fn model(&self) -> &Model {
        self.past
            .as_ref()
            .map_or(self.history.model(), |(_, model)| model)
    }

    /// A device at the instant that is looked at.
    #[must_use]
    pub fn device(&self, key: InstanceKey) -> Option<Device<'_>> {
        self.model()
            .device(key.address)
            .filter(|device| device.key() == key)
    }

    /// Everything that happened.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The table's rows.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// What devices left behind.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        &self.traces
    }
}
