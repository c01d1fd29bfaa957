//! A recording, read and judged whole: what every form of a report is made of.

use std::path::Path;

use super::{
    debug_options::{DebugOptions, tell_remarks},
    reading,
};
use crate::{
    engine::{Observer, Summary},
    evidence::SourceInformation,
    filter::DeviceFilter,
    finding::{Finding, Severity},
    history::{Histories, HistoryObserver, Limits, Window},
    kernel::Machine,
    model::{Change, Model},
    rules::RuleSet,
    run::{Purpose, Run, Wanted},
    sink::{Nowhere, report::Report},
    trace_file::Header,
};

/// What is wanted of a recording.
#[derive(Debug)]
pub(super) struct ReportOptions {
    pub(super) filter: DeviceFilter,
    /// Of what is kept, and which findings count.
    pub(super) window: Window,
    pub(super) fail_on: Severity,
    pub(super) limits: Limits,
    /// Whether devices are kept that never held anything.
    pub(super) all: bool,
    /// Whether tokens stand for addresses and serials.
    pub(super) redact: bool,
    pub(super) debug: DebugOptions,
}

/// A recording's lives, findings and verdict.
pub(super) struct Judged {
    name: String,
    pub(super) header: Option<Header>,
    /// What a text says of its machine.
    pub(super) machine: Option<Machine>,
    information: SourceInformation,
    histories: Histories,
    findings: Vec<Finding>,
    pub(super) summary: Summary,
    damage: Option<String>,
}

impl Judged {
    /// Reads a recording to its end, or as far as it can be read.
    pub(super) fn read(
        file: &Path,
        rules: RuleSet,
        options: &ReportOptions,
    ) -> anyhow::Result<Self> {
        Self::read_beside(file, rules, options, ()).map(|(judged, ())| judged)
    }

    /// The same, with another observer.
    pub(super) fn read_beside<O: Observer>(
        file: &Path,
        rules: RuleSet,
        options: &ReportOptions,
        beside: O,
    ) -> anyhow::Result<(Self, O)> {
        let mut recording = reading::open(file)?;
        options.debug.attach(&mut recording)?;
        let name = if options.redact {
            recording.redact()
        } else {
            file.display().to_string()
        };
        let information = recording.information().clone();
        let wanted =
            Wanted::of_recording(options.filter.clone(), &recording).within(options.window);
        let histories = HistoryObserver::new(options.limits, options.window, options.all);
        let observers = (rules, Both(histories, beside));
        let purpose = Purpose::Judge(options.fail_on);
        let mut nowhere = Nowhere;
        let run = Run::begin(&information, wanted, observers, purpose, &mut nowhere);
        let mut concluded = run.replay(&mut recording);
        tell_remarks(&recording);
        let damage = concluded.take_damage();
        let Both(histories, beside) = concluded.observer;
        let mut histories = histories.finish(concluded.engine.model());
        keep_wanted(&mut histories, &options.filter);
        let mut summary = concluded.summary;
        // It lists no events: how many were wanted says nothing here.
        summary.chosen_events = None;
        if options.window != Window::default() && histories.devices.is_empty() {
            summary.doubt("nothing happened between --since and --until".to_owned());
        }
        let judged = Self {
            name,
            header: recording.header().cloned(),
            machine: recording.machine().filter(|_| !options.redact).cloned(),
            information,
            histories,
            findings: concluded.findings,
            summary,
            damage,
        };
        Ok((judged, beside))
    }

    /// As reports take it.
    pub(super) fn report(&self) -> Report<'_> {
        Report {
            name: &self.name,
            source: &self.information,
            histories: &self.histories,
            findings: &self.findings,
            summary: &self.summary,
            damage: self.damage.as_deref(),
        }
    }
}

/// Two observers of one run.
struct Both<O>(HistoryObserver, O);

impl<O: Observer> Observer for Both<O> {
    fn observe(&mut self, change: &Change, model: &Model) {
        self.0.observe(change, model);
        self.1.observe(change, model);
    }
}

/// Keeps the lives that the filter wants.
pub(super) fn keep_wanted(histories: &mut Histories, filter: &DeviceFilter) {
    if filter.is_empty() {
        return;
    }
    histories.uneventful = 0;
    histories.devices.retain(|history| {
        let name = history.name.as_deref().unwrap_or_default();
        filter.wants_names(name, history.driver.as_deref(), history.bus.as_deref())
    });
}
