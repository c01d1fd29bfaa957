//! A recording, read and judged whole: what every form of a report is made of.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use super::{reading, wanted::Wanted};
use crate::{
    engine::{Engine, Summary},
    evidence::{Coverage, SourceInformation},
    filter::DeviceFilter,
    finding::{Finding, Severity},
    history::{Histories, HistoryObserver, Limits, Window},
    rules::RuleSet,
    sink::report::Report,
    trace_file::Header,
};

/// What is wanted of a recording.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) filter: DeviceFilter,
    /// Of what is kept and which findings count.
    pub(super) window: Window,
    pub(super) fail_on: Severity,
    pub(super) limits: Limits,
    /// Whether devices are kept that never held anything.
    pub(super) all: bool,
}

/// A recording's lives, findings and verdict.
pub(super) struct Judged {
    name: String,
    pub(super) header: Option<Header>,
    pub(super) information: SourceInformation,
    pub(super) histories: Histories,
    pub(super) findings: Vec<Finding>,
    pub(super) summary: Summary,
    damage: Option<String>,
}

impl Judged {
    /// Reads a recording to its end, or as far as it can be read.
    pub(super) fn read(file: &Path, rules: RuleSet, wishes: &Wishes) -> anyhow::Result<Self> {
        let mut recording = reading::open(file)?;
        let information = recording.information().clone();
        let mut wanted = Wanted::of_recording(wishes.filter.clone(), &recording);
        let mut engine = Engine::new(Arc::new(information.coverage.clone()), rules);
        let mut observer = HistoryObserver::new(wishes.limits, wishes.window, wishes.all);
        let damage = recording
            .for_each(|event| {
                engine.apply_with(event, |change, model| observer.observe(change, model));
                wanted.event(event, engine.model());
                ControlFlow::Continue(())
            })
            .err()
            .map(|error| format!("{:#}", anyhow::Error::new(error)));
        if let Some(until) = recording.until() {
            engine.pass(until);
        }
        let mut histories = observer.finish(engine.model());
        keep_wanted(&mut histories, &wishes.filter);
        let mut outcome = engine.finish();
        outcome
            .findings
            .retain(|finding| wanted.finding(finding) && is_in(wishes.window, finding));
        let mut summary = Summary::new(
            &outcome,
            Coverage::clone(&information.coverage),
            recording.lost_by(),
            wishes.fail_on,
        );
        summary.lines = recording.line_counts();
        summary.problems = recording.problems();
        // What comes behind the damage may be worse than what comes before.
        if damage.is_some() {
            summary.leave_open();
        }
        for gap in wanted.gaps().into_iter().chain(wanted.idleness()) {
            summary.doubt(gap);
        }
        Ok(Self {
            name: file.display().to_string(),
            header: recording.header().cloned(),
            information,
            histories,
            findings: outcome.findings,
            summary,
            damage,
        })
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

/// Whether a finding was made in the window. Of those occurrences that are not kept nothing is known but the time
/// between the first and the last.
fn is_in(window: Window, finding: &Finding) -> bool {
    let mut occurrences = finding.occurrences.iter();
    occurrences.any(|one| window.overlaps(one.began(), one.time))
        || (finding.occurrences.hidden() > 0 && window.overlaps(finding.first, finding.last))
}
