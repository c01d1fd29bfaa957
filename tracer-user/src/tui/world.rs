//! What is looked at: the end of the history as it grows, or an instant of the past.

use std::sync::Arc;

use super::{
    history::History,
    rows::{Choice, Rows},
    traces::Traces,
};
use crate::{
    coverage::Coverage,
    event::{Event, Time},
    model::{Device, InstanceKey, Model},
    rules::RuleSet,
};

/// The history, and the instant of it that is looked at.
#[derive(Debug)]
pub struct World {
    history: History,
    /// The position that is looked at and the model there; without, the end is, as it grows.
    past: Option<(u64, Box<Model>)>,
    rows: Rows,
    traces: Traces,
    /// Findings that the rows know of.
    known_findings: usize,
    /// The time at the end, where the source has a clock that runs on without events.
    clock: Option<Time>,
    /// When the view was paused, for as long as it stands there.
    frozen: Option<Time>,
    /// Events were taken in of which rows and traces know nothing yet.
    behind: bool,
}

impl World {
    /// A world of which nothing is known yet. `most` as in [`History::new`].
    #[must_use]
    pub fn new(coverage: Arc<Coverage>, rules: RuleSet, most: Option<usize>) -> Self {
        Self {
            history: History::new(coverage, rules, most),
            past: None,
            rows: Rows::default(),
            traces: Traces::default(),
            known_findings: 0,
            clock: None,
            frozen: None,
            behind: false,
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
        self.history.pass(now);
    }

    /// Brings the rows up to date with what has happened. Call it before drawing.
    pub fn settle(&mut self) {
        let findings = match &self.past {
            Some((position, _)) => self.history.found_until(*position),
            None => self.history.findings().len(),
        };
        let now = self.now();
        let Self {
            history,
            past,
            rows,
            traces,
            known_findings,
            ..
        } = self;
        let model = past.as_ref().map_or(history.model(), |(_, model)| model);
        rows.update(model, traces);
        if *known_findings != findings {
            *known_findings = findings;
            let found = || history.findings().iter().take(findings);
            rows.set_findings(found().map(|finding| (finding.instance, finding.severity)));
            if !rows.choice().filter.is_empty() {
                let choice = rows.choice().clone();
                self.choose(choice);
                return self.settle();
            }
        }
        let faded = traces.fade(now, |key| rows.has_findings(key));
        rows.remove(&faded);
        rows.settle();
    }

    /// Chooses what the table shows.
    pub fn choose(&mut self, mut choice: Choice) {
        let rules = RuleSet::all();
        let found = self.history.findings().iter().take(self.known_findings);
        choice.filter.know_findings(
            found
                .map(|finding| {
                    let name = rules.find(finding.rule).map_or("", |info| info.name);
                    (
                        finding.instance,
                        format!("{} {name} {}", finding.rule, finding.severity.name()),
                    )
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
            known_findings,
            ..
        } = self;
        let model = past.as_ref().map_or(history.model(), |(_, model)| model);
        rows.rebuild(model, traces);
        *known_findings = usize::MAX;
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
