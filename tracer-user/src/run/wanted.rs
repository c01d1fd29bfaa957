//! The devices that are wanted of a source, and whether there was one.

use crate::{
    event::{DeviceIdentity, Event, EventKind, Hook},
    evidence::{FilterTexts, SourceInformation},
    filter::DeviceFilter,
    finding::Finding,
    history::Window,
    model::Model,
    source::recording::Recording,
};

/// The devices that are wanted of a source.
#[derive(Debug, Default)]
pub struct Wanted {
    filter: DeviceFilter,
    /// The devices that the source was narrowed to before.
    recorded: Vec<FilterTexts>,
    /// There was one that is wanted.
    seen: bool,
    /// Something happened to one that is wanted.
    active: bool,
    /// When findings must have been made.
    window: Window,
}

impl Wanted {
    /// Those that the filter wants, of a source that has all.
    #[must_use]
    pub fn new(filter: DeviceFilter) -> Self {
        Self {
            filter,
            recorded: Vec::new(),
            seen: false,
            active: false,
            window: Window::default(),
        }
    }

    /// Only findings that were made in this window.
    #[must_use]
    pub fn within(self, window: Window) -> Self {
        Self { window, ..self }
    }

    /// Those that the filter wants of a recording, which may have only some.
    #[must_use]
    pub fn of_recording(filter: DeviceFilter, recording: &Recording) -> Self {
        Self {
            recorded: recording.information().filters.clone(),
            ..Self::new(filter)
        }
    }

    /// Whether every device of the source is wanted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.filter.is_empty()
    }

    /// What is said of a source of which only these are reported.
    #[must_use]
    pub fn of_source(&self, source: &SourceInformation) -> SourceInformation {
        let mut source = source.clone();
        let own = self.filter.texts();
        if !self.filter.is_empty() && !source.filters.contains(&own) {
            source.filters.push(own);
        }
        source
    }

    /// Whether an event, which the model has taken in, is wanted. What belongs to no device is wanted only if every
    /// device is, except that something was lost.
    pub fn event(&mut self, event: &Event, model: &Model) -> bool {
        if self.filter.is_empty() {
            self.active = self.active || is_activity(event);
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
        self.active |= wanted && is_activity(event);
        wanted
    }

    /// That no device matches so far, if that is so.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let missing = !self.filter.is_empty() && !self.seen;
        missing.then(|| format!("no device matches {}", self.filter.texts()))
    }

    /// That nothing happened that could be judged, if that is so: what was only there says nothing about order.
    #[must_use]
    pub fn idleness(&self) -> Option<String> {
        let known = self.filter.is_empty() || self.seen;
        let whose = if self.filter.is_empty() {
            String::new()
        } else {
            format!(" that matches {}", self.filter.texts())
        };
        (known && !self.active).then(|| format!("no device{whose} gained or lost a resource"))
    }

    /// Whether a device is wanted.
    #[must_use]
    pub fn device(&self, identity: &DeviceIdentity) -> bool {
        self.filter.wants(identity)
    }

    /// Whether a finding is wanted: of the one whom it was done to, or of the one who did it.
    #[must_use]
    pub fn finding(&self, finding: &Finding) -> bool {
        self.filter.wants_finding(finding) && self.is_in_window(finding)
    }

    /// Whether a finding was made in the window. Of those occurrences that are not kept nothing is known but the time
    /// between the first and the last.
    fn is_in_window(&self, finding: &Finding) -> bool {
        let window = self.window;
        let mut occurrences = finding.occurrences.iter();
        window == Window::default()
            || occurrences.any(|one| window.overlaps(one.began(), one.time))
            || (finding.occurrences.hidden() > 0 && window.overlaps(finding.first, finding.last))
    }

    /// Why nothing can be said of the devices that are wanted, when everything was read; one sentence each.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if let Some(narrowed) = self.narrowed() {
            gaps.push(narrowed);
        }
        gaps.extend(self.missing());
        gaps
    }

    /// Why the recording may not have every device that is wanted, if so.
    #[must_use]
    pub fn narrowed(&self) -> Option<String> {
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

/// Whether something happens in this event that rules could judge: a resource comes or goes, a driver is bound or unbound,
/// or the kernel complains. What was there before, and devices without resources that come and go, are none of this.
fn is_activity(event: &Event) -> bool {
    match &event.kind {
        EventKind::Add(_)
        | EventKind::Remove(_)
        | EventKind::Release(_)
        | EventKind::Replace(_)
        | EventKind::RemoveAction { .. }
        | EventKind::Message(_) => true,
        EventKind::Enter(call) => !matches!(
            call.hook,
            Hook::Initialise | Hook::Delete | Hook::FinalPut | Hook::ModuleLoad | Hook::ModuleFree
        ),
        EventKind::Device(_)
        | EventKind::Stack(_)
        | EventKind::Snapshot(_)
        | EventKind::ModuleFree { .. }
        | EventKind::Leave(_)
        | EventKind::Loss(_) => false,
    }
}

/// Whether a device is wanted by its name alone, for those who take in events without a model.
#[derive(Debug)]
pub struct Sighting {
    wanted: Wanted,
}

impl Sighting {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(filter: DeviceFilter) -> Self {
        Self {
            wanted: Wanted::new(filter),
        }
    }

    /// Takes an event in.
    pub fn event(&mut self, event: &Event) {
        let wanted = &mut self.wanted;
        wanted.seen |= match &event.kind {
            EventKind::Device(identity) => wanted.filter.wants(identity),
            EventKind::Snapshot(snapshot) => wanted.filter.wants(&snapshot.identity),
            _ => false,
        };
    }

    /// That no device matches so far, if that is so.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        self.wanted.missing()
    }
}
