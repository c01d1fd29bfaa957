//! What happened, kept so that any instant of it can be looked at again: the events in segments, with a
//! checkpoint of the model at the beginning of some of them.

use std::{collections::VecDeque, sync::Arc};

use super::{found::FoundTimes, timeline::Timeline};
use crate::{
    engine::{Engine, Outcome},
    event::{Event, Time},
    evidence::Coverage,
    finding::Finding,
    model::{Change, Model},
    rules::RuleSet,
};

/// Events of one segment.
const SEGMENT: usize = 1 << 14;
/// Events that are replayed before the instant that is wanted, so that what has just gone is known there.
const RUN_UP: u64 = 2048;
/// Devices and nodes in all checkpoints together. Beyond it every other checkpoint is dropped.
const MOST_IN_CHECKPOINTS: usize = 2_000_000;
/// Checkpoints. Beyond it every other one is dropped.
const MOST_CHECKPOINTS: usize = 128;

/// Events, what the engine made of them, and a way back to any instant.
///
/// A position is a number of events: the state at position *p* is that after the first *p* events.
#[derive(Debug)]
pub struct History {
    engine: Engine,
    segments: VecDeque<Segment>,
    /// Events held.
    held: usize,
    /// How many events are held at most; without, all of them.
    most: Option<usize>,
    /// The position behind the last event.
    end: u64,
    /// One segment in so many begins with a checkpoint.
    spacing: usize,
    /// The position of the last checkpoint.
    checkpointed: u64,
    /// Segments begun so far.
    begun: usize,
    /// Where findings were made.
    found: FoundTimes,
    timeline: Timeline,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Segment {
    /// The position before its first event.
    start: u64,
    checkpoint: Option<Checkpoint>,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Checkpoint {
    model: Box<Model>,
    /// Devices and nodes in it.
    weight: usize,
}

impl History {
    /// A history of a source with this coverage. With `most`, the oldest events are forgotten when there
    /// are more than that.
    #[must_use]
    pub fn new(coverage: Arc<Coverage>, rules: RuleSet, most: Option<usize>) -> Self {
        Self {
            engine: Engine::new(coverage, rules),
            segments: VecDeque::new(),
            held: 0,
            most,
            end: 0,
            spacing: 1,
            checkpointed: 0,
            begun: 0,
            found: FoundTimes::default(),
            timeline: Timeline::default(),
            outcome: None,
        }
    }

    /// Takes one event in, and shows `watch` what it changed.
    pub fn push(&mut self, event: Event, mut watch: impl FnMut(&Change, &Model)) {
        if self
            .segments
            .back()
            .is_none_or(|segment| segment.events.len() >= SEGMENT)
        {
            self.begin_segment();
        }
        let position = self.end + 1;
        let Self {
            engine, timeline, ..
        } = self;
        engine.apply_with(&event, |change, model| {
            timeline.observe(position, change, model);
            watch(change, model);
        });
        self.end = position;
        self.held += 1;
        if let Some(segment) = self.segments.back_mut() {
            segment.events.push(event);
        }
        self.note_findings();
    }

    /// Nothing has happened until `now`, by the source's clock.
    pub fn pass(&mut self, now: Time) {
        if self.outcome.is_none() {
            self.engine.pass(now);
            self.note_findings();
        }
    }

    /// Nothing comes any more: the rules say their last.
    pub fn conclude(&mut self) {
        if self.outcome.is_none() {
            self.outcome = Some(self.engine.conclude());
            self.note_findings();
        }
    }

    fn note_findings(&mut self) {
        let now = self.engine.model().now();
        for (finding, occurrence) in self.engine.occurred() {
            self.found.push(self.end, *finding, occurrence);
            self.timeline
                .mark_found(self.end, occurrence.instance, now, occurrence.severity);
        }
    }

    fn begin_segment(&mut self) {
        // Copying a large model must not take longer than the events between two copies.
        let weight = || {
            let devices = self.engine.model().devices();
            devices.map(|device| 1 + device.node_count()).sum::<usize>()
        };
        let due = self.begun.is_multiple_of(self.spacing);
        let weight = if due { weight() } else { 0 };
        let since = usize::try_from(self.end - self.checkpointed).unwrap_or(usize::MAX);
        let checkpoint = (due && (self.segments.is_empty() || since >= weight)).then(|| {
            self.checkpointed = self.end;
            Checkpoint {
                model: Box::new(self.engine.model().clone()),
                weight,
            }
        });
        self.begun += 1;
        self.segments.push_back(Segment {
            start: self.end,
            checkpoint,
            events: Vec::with_capacity(SEGMENT),
        });
        self.thin();
        self.forget();
    }

    /// Drops every other checkpoint where there are too many. The first stays.
    fn thin(&mut self) {
        let checkpoints = || {
            self.segments
                .iter()
                .filter_map(|segment| segment.checkpoint.as_ref())
        };
        let weight: usize = checkpoints().map(|checkpoint| checkpoint.weight).sum();
        if checkpoints().count() <= 2
            || (weight <= MOST_IN_CHECKPOINTS && checkpoints().count() <= MOST_CHECKPOINTS)
        {
            return;
        }
        self.spacing = self.spacing.saturating_mul(2);
        let mut keep = false;
        for segment in &mut self.segments {
            if segment.checkpoint.is_some() {
                keep = !keep;
                if !keep {
                    segment.checkpoint = None;
                }
            }
        }
    }

    /// Forgets the oldest segments where more is held than wanted.
    fn forget(&mut self) {
        let Some(most) = self.most else { return };
        while self.held > most {
            // What is left must begin with a checkpoint.
            let Some(next) = self
                .segments
                .iter()
                .skip(1)
                .position(|segment| segment.checkpoint.is_some())
            else {
                return;
            };
            for segment in self.segments.drain(..=next) {
                self.held -= segment.events.len();
            }
            let first = self.first();
            self.timeline.forget_before(first);
            self.found.forget_before(first, self.engine.model());
        }
    }

    /// The oldest position that can still be looked at.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.segments.front().map_or(0, |segment| segment.start)
    }

    /// The position behind the last event.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The event that leads to this position.
    #[must_use]
    pub fn event(&self, position: u64) -> Option<&Event> {
        let index = position.checked_sub(1)?;
        let segment = self
            .segments
            .partition_point(|segment| segment.start <= index)
            .checked_sub(1)?;
        let segment = self.segments.get(segment)?;
        segment
            .events
            .get(usize::try_from(index - segment.start).ok()?)
    }

    /// The time of the event that leads to this position, or of the first one that is held.
    #[must_use]
    pub fn time(&self, position: u64) -> Time {
        self.event(position)
            .or_else(|| self.event(self.first() + 1))
            .map(|event| event.time)
            .unwrap_or_default()
    }

    /// The position of the last event that is not later than `time`.
    #[must_use]
    pub fn position_at(&self, time: Time) -> u64 {
        let (mut low, mut high) = (self.first(), self.end);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.time(middle) <= time {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Every event that is held, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.segments.iter().flat_map(|segment| &segment.events)
    }

    /// The model as it was when the oldest event that is held had not happened yet.
    #[must_use]
    pub fn beginning(&self) -> Option<&Model> {
        let checkpoint = self.segments.front()?.checkpoint.as_ref()?;
        Some(&checkpoint.model)
    }

    /// The model at a position, or at the nearest one that is held, and which that is. `watch` is shown what
    /// changed shortly before.
    pub fn model_at(
        &self,
        position: u64,
        mut watch: impl FnMut(&Change, &Model),
    ) -> (u64, Option<Model>) {
        let position = position.clamp(self.first(), self.end);
        let wanted = position.saturating_sub(RUN_UP).max(self.first());
        let index = self
            .segments
            .iter()
            .rposition(|segment| segment.start <= wanted && segment.checkpoint.is_some());
        let Some((index, checkpoint)) = index.and_then(|index| {
            let checkpoint = self.segments.get(index)?.checkpoint.as_ref()?;
            Some((index, checkpoint))
        }) else {
            return (position, None);
        };
        let mut model = Model::clone(&checkpoint.model);
        for segment in self.segments.range(index..) {
            let Ok(wanted) = usize::try_from(position.saturating_sub(segment.start)) else {
                break;
            };
            for event in segment.events.iter().take(wanted) {
                for change in model.apply(event) {
                    watch(&change, &model);
                }
            }
        }
        (position, Some(model))
    }

    /// The model at the end.
    #[must_use]
    pub fn model(&self) -> &Model {
        self.engine.model()
    }

    /// What was found, in the order of first report.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.engine.findings()
    }

    /// How many findings had been reported at a position.
    #[must_use]
    pub fn found_until(&self, position: u64) -> usize {
        self.found.findings_until(position)
    }

    /// Each time that a finding was made.
    #[must_use]
    pub fn found(&self) -> &FoundTimes {
        &self.found
    }

    /// What ran, and what came and went.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// What was said at the end, once the source has ended.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What the source can see.
    #[must_use]
    pub fn coverage(&self) -> &Arc<Coverage> {
        self.engine.model().coverage()
    }
}
