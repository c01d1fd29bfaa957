//! The devices that are wanted of a source, and whether there was one.

use crate::{
    event::{DeviceIdentity, Event, EventKind},
    filter::{DeviceFilter, FilterTexts},
    finding::Finding,
    model::Model,
    sink::SourceInformation,
    source::recording::Recording,
};

/// The devices that are wanted of a source.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    filter: DeviceFilter,
    /// The devices that the source was narrowed to before.
    recorded: Vec<FilterTexts>,
    /// There was one that is wanted.
    seen: bool,
}

impl Wanted {
    /// Those that the filter wants, of a source that has all.
    pub(super) fn new(filter: DeviceFilter) -> Self {
        Self {
            filter,
            recorded: Vec::new(),
            seen: false,
        }
    }

    /// Those that the filter wants of a recording, which may have only some.
    pub(super) fn of_recording(filter: DeviceFilter, recording: &Recording) -> Self {
        Self {
            recorded: recording.information().filters.clone(),
            ..Self::new(filter)
        }
    }

    /// Whether every device of the source is wanted.
    pub(super) fn is_everything(&self) -> bool {
        self.filter.is_empty()
    }

    /// What is said of a source of which only these are told.
    pub(super) fn of_source(&self, source: &SourceInformation) -> SourceInformation {
        let mut source = source.clone();
        let own = self.filter.texts();
        if !self.filter.is_empty() && !source.filters.contains(&own) {
            source.filters.push(own);
        }
        source
    }

    /// Whether an event, which the model has taken in, is wanted. What belongs to no device is wanted only if every
    /// device is, except that something was lost.
    pub(super) fn event(&mut self, event: &Event, model: &Model) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let wanted = match &event.kind {
            EventKind::Loss(_) => return true,
            EventKind::Stack(_) => return false,
            EventKind::Device(identity) => self.filter.wants(identity),
            EventKind::Snapshot(snapshot) => self.filter.wants(&snapshot.identity),
            _ => model
                .device(event.device)
                .is_some_and(|device| self.filter.wants(device.identity())),
        };
        self.seen |= wanted;
        wanted
    }

    /// Whether a device is wanted.
    pub(super) fn device(&self, identity: &DeviceIdentity) -> bool {
        self.filter.wants(identity)
    }

    /// Whether a finding is wanted: of the one whom it was done to, or of the one who did it.
    pub(super) fn finding(&self, finding: &Finding) -> bool {
        self.filter.wants_finding(finding)
    }

    /// Why nothing can be said of the devices that are wanted, when everything was read; one sentence each.
    pub(super) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if let Some(narrowed) = self.narrowed() {
            gaps.push(narrowed);
        }
        if !self.filter.is_empty() && !self.seen {
            gaps.push(format!("no device matches {}", self.filter.texts()));
        }
        gaps
    }

    /// Why the recording may not have every device that is wanted, if so.
    pub(super) fn narrowed(&self) -> Option<String> {
        let own = self.filter.texts();
        if self.recorded.is_empty() || self.recorded == [own] {
            return None;
        }
        let filters: Vec<String> = self.recorded.iter().map(ToString::to_string).collect();
        Some(format!(
            "only devices that match {} are in the recording",
            filters.join(" and ")
        ))
    }
}
