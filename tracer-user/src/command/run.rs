//! From a source's events through the judge into a sink: the same for every command that judges.

use std::{
    io::{self, ErrorKind},
    ops::ControlFlow,
    sync::Arc,
};

use super::Exit;
use crate::{
    coverage::Coverage,
    event::{Event, EventKind},
    filter::DeviceFilter,
    finding::{Finding, Severity},
    judge::Judge,
    model::Model,
    rules::RuleSet,
    sink::{LineCounts, LostBy, Sink, SourceInformation, Summary},
    source::recording::Recording,
};

/// A run: the judge, what is wanted of what it says, and where that goes.
pub(super) struct Run<'sink> {
    judge: Judge,
    filter: DeviceFilter,
    fail_on: Severity,
    coverage: Arc<Coverage>,
    sink: &'sink mut dyn Sink,
    lines: Option<LineCounts>,
    problems: Vec<String>,
    /// Why nothing can be written any more. A reader that has gone away is no error.
    broken: Option<io::Error>,
}

impl<'sink> Run<'sink> {
    /// Begins a run on a source.
    pub(super) fn begin(
        source: &SourceInformation,
        filter: DeviceFilter,
        rules: RuleSet,
        fail_on: Severity,
        sink: &'sink mut dyn Sink,
    ) -> Self {
        let coverage = Arc::new(source.coverage.clone());
        let broken = sink.begin(source).err();
        Self {
            judge: Judge::new(Arc::clone(&coverage), rules),
            filter,
            fail_on,
            coverage,
            sink,
            lines: None,
            problems: Vec::new(),
            broken,
        }
    }

    /// Takes one event in.
    pub(super) fn event(&mut self, event: &Event) {
        let findings = self.judge.apply(event).to_vec();
        if self.broken.is_some() {
            return;
        }
        let mut result = Ok(());
        if is_wanted(&self.filter, event, self.judge.model()) {
            result = self.sink.event(event, self.judge.model());
        }
        for finding in findings
            .iter()
            .filter(|finding| is_wanted_finding(&self.filter, finding))
        {
            result = result.and_then(|()| self.sink.finding(finding));
        }
        self.broken = result.err();
    }

    /// Shows what was written so far.
    pub(super) fn flush(&mut self) {
        if self.broken.is_none() {
            self.broken = self.sink.flush().err();
        }
    }

    /// Whether nobody reads any more what is written.
    pub(super) fn is_unread(&self) -> bool {
        self.broken.is_some()
    }

    /// The model, for views.
    pub(super) fn model(&self) -> &Model {
        self.judge.model()
    }

    /// Takes a recording in, whole, and ends the run.
    pub(super) fn replay(mut self, recording: &mut Recording) -> anyhow::Result<Exit> {
        recording.for_each(|event| {
            self.event(event);
            if self.is_unread() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        self.lines = recording.line_counts();
        self.problems = recording.problems();
        self.end(recording.lost_by())
    }

    /// Ends the run: the rules say their last, and the verdict becomes the exit code.
    pub(super) fn end(mut self, lost_by: Vec<LostBy>) -> anyhow::Result<Exit> {
        let reported = self.judge.findings().to_vec();
        let mut outcome = self.judge.finish();
        outcome
            .findings
            .retain(|finding| is_wanted_finding(&self.filter, finding));
        let mut summary = Summary::new(
            &outcome,
            Coverage::clone(&self.coverage),
            lost_by,
            self.fail_on,
        );
        summary.lines = self.lines;
        summary.problems = self.problems;
        if self.broken.is_none() {
            let mut result = Ok(());
            for finding in outcome
                .findings
                .iter()
                .filter(|finding| is_new(finding, &reported))
            {
                result = result.and_then(|()| self.sink.finding(finding));
            }
            self.broken = result
                .and_then(|()| self.sink.end(&outcome.findings, &summary))
                .err();
        }
        match self.broken {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(anyhow::Error::new(error).context("the output can't be written"))
            }
            _ => Ok(summary.verdict.into()),
        }
    }
}

/// Whether a finding was made only when nothing came any more.
fn is_new(finding: &Finding, reported: &[Finding]) -> bool {
    !reported
        .iter()
        .any(|earlier| earlier.fingerprint == finding.fingerprint)
}

fn is_wanted(filter: &DeviceFilter, event: &Event, model: &Model) -> bool {
    filter.is_empty()
        || match &event.kind {
            EventKind::Loss(_) | EventKind::Stack(_) => true,
            EventKind::Device(identity) => filter.wants(identity),
            EventKind::Snapshot(snapshot) => filter.wants(&snapshot.identity),
            _ => model
                .device(event.device)
                .is_some_and(|device| filter.wants(device.identity())),
        }
}

fn is_wanted_finding(filter: &DeviceFilter, finding: &Finding) -> bool {
    filter.is_empty()
        || filter.wants_names(
            &finding.device,
            finding.driver.as_deref(),
            finding.bus.as_deref(),
        )
        // Seen from the side of the one who did it.
        || finding.caused_by.as_ref().is_some_and(|cause| {
            filter.wants_names(&cause.device, cause.driver.as_deref(), None)
        })
}
