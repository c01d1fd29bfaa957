//! From a source's events through the engine into a sink: the same for every command that judges.

use std::{
    io::{self, ErrorKind},
    ops::ControlFlow,
    sync::Arc,
};

use hashbrown::{HashMap, HashSet};

use super::{
    Exit,
    say::say,
    wanted::{Wanted, say_if_missing},
};
use crate::{
    crash::{LastMoments, Messages},
    engine::{Engine, Summary},
    event::{Death, Event, EventKind, StackId, Time},
    evidence::{CommandEnd, Coverage, LineCounts, LostBy, SourceInformation},
    finding::{Finding, Severity},
    model::Model,
    rules::RuleSet,
    sink::Sink,
    source::recording::Recording,
};

/// A run: the engine, what is wanted of what it says, and where that goes.
pub(super) struct Run<'sink> {
    engine: Engine,
    wanted: Wanted,
    /// Stacks that no event that is wanted has referred to yet, where not every event is.
    stacks: HashMap<StackId, Event>,
    /// Events that are wanted.
    chosen: u64,
    fail_on: Severity,
    coverage: Arc<Coverage>,
    sink: &'sink mut dyn Sink,
    lines: Option<LineCounts>,
    problems: Vec<String>,
    /// Why else nothing can be concluded from that nothing was found.
    doubts: Vec<String>,
    /// How the command ended that was traced, if it failed.
    command: Option<CommandEnd>,
    /// Watches for what was under way, where the machine died, and how it did.
    crash: Option<(LastMoments, Option<Death>)>,
    /// Keeps what is under way where it outlives a crash.
    messages: Option<Messages>,
    /// It is not known what came behind.
    cut_short: bool,
    /// Why nothing can be written any more. A reader that has gone away is no error.
    broken: Option<io::Error>,
}

impl<'sink> Run<'sink> {
    /// Begins a run on a source.
    pub(super) fn begin(
        source: &SourceInformation,
        wanted: Wanted,
        rules: RuleSet,
        fail_on: Severity,
        sink: &'sink mut dyn Sink,
    ) -> Self {
        let coverage = Arc::new(source.coverage.clone());
        let broken = sink.begin(&wanted.of_source(source)).err();
        Self {
            engine: Engine::new(Arc::clone(&coverage), rules),
            wanted,
            stacks: HashMap::new(),
            chosen: 0,
            fail_on,
            coverage,
            sink,
            lines: None,
            problems: Vec::new(),
            doubts: Vec::new(),
            command: None,
            crash: None,
            messages: None,
            cut_short: false,
            broken,
        }
    }

    /// Takes one event in.
    pub(super) fn event(&mut self, event: &Event) {
        let findings = match &mut self.crash {
            Some((moments, _)) => self
                .engine
                .apply_with(event, |change, model| moments.observe(change, model)),
            None => self.engine.apply(event),
        }
        .to_vec();
        if let Some(messages) = &mut self.messages {
            messages.event(event, self.engine.model());
        }
        if self.broken.is_some() {
            return;
        }
        self.broken = self.show(event).err();
        self.tell(&findings);
    }

    /// Nothing has happened until `now`, by the clock of the source.
    pub(super) fn pass(&mut self, now: Time) {
        let findings = self.engine.pass(now).to_vec();
        self.tell(&findings);
    }

    fn tell(&mut self, findings: &[Finding]) {
        for finding in findings
            .iter()
            .filter(|finding| self.wanted.finding(finding))
        {
            if self.broken.is_none() {
                self.broken = self.sink.finding(finding).err();
            }
        }
    }

    /// Shows an event if it is wanted, and before it the stack that it refers to.
    fn show(&mut self, event: &Event) -> io::Result<()> {
        if !self.wanted.event(event, self.engine.model()) {
            if let EventKind::Stack(definition) = &event.kind {
                self.stacks.insert(definition.id, event.clone());
            }
            return Ok(());
        }
        let stack = event.stack.and_then(|id| self.stacks.remove(&id));
        for event in stack.iter().chain([event]) {
            self.chosen += 1;
            self.sink.event(event, self.engine.model())?;
        }
        Ok(())
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

    /// Says that no device matches so far, if that is so.
    pub(super) fn say_if_nothing_matches(&self) {
        say_if_missing(self.wanted.missing());
    }

    /// The model, for views.
    pub(super) fn model(&self) -> &Model {
        self.engine.model()
    }

    /// The source ends with the machine's death: what was under way is told at the end.
    pub(super) fn watch_for_crash(&mut self, death: Option<Death>) {
        self.crash = Some((LastMoments::default(), death));
    }

    /// From here on what is under way is kept where it outlives a crash.
    pub(super) fn keep_what_is_under_way(&mut self, messages: Messages) {
        self.messages = Some(messages);
    }

    /// Something keeps the source from being all there was.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The run is not all that it was to be: that nothing was found says nothing.
    pub(super) fn doubt(&mut self, reason: String) {
        self.doubts.push(reason);
    }

    /// Takes a recording in, whole, and ends the run.
    pub(super) fn replay(mut self, recording: &mut Recording) -> anyhow::Result<Exit> {
        self.read(recording);
        self.end(recording.lost_by())
    }

    /// Takes a recording in, whole, ends the run and yields what was said of it. It is only written in another form: that
    /// nothing happened in it is no gap.
    pub(super) fn transcribe(mut self, recording: &mut Recording) -> anyhow::Result<Summary> {
        self.read(recording);
        self.conclude(recording.lost_by(), None)
    }

    fn read(&mut self, recording: &mut Recording) {
        let read = recording.for_each(|event| {
            self.event(event);
            if self.is_unread() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if let Some(until) = recording.until() {
            self.pass(until);
        }
        self.lines = recording.line_counts();
        self.problems.extend(recording.problems());
        if let Err(error) = read {
            // What was read still counts.
            self.problems
                .push(format!("{:#}", anyhow::Error::new(error)));
            self.cut_short = true;
        }
    }

    /// The command that was traced has ended like this.
    pub(super) fn command_ended(&mut self, end: CommandEnd) {
        self.command = Some(end).filter(|end| end.failure().is_some());
    }

    /// Ends the run: the rules say their last, and the verdict becomes the exit code.
    pub(super) fn end(self, lost_by: Vec<LostBy>) -> anyhow::Result<Exit> {
        let idleness = self.wanted.idleness();
        Ok(self.conclude(lost_by, idleness)?.verdict.into())
    }

    fn conclude(
        mut self,
        lost_by: Vec<LostBy>,
        idleness: Option<String>,
    ) -> anyhow::Result<Summary> {
        let reported: HashSet<String> = self
            .engine
            .findings()
            .iter()
            .map(|finding| finding.fingerprint.clone())
            .collect();
        if let Some(Err(error)) = self.messages.map(Messages::finish) {
            say(format_args!("not everything was kept in pstore: {error}"));
        }
        let crash = self
            .crash
            .map(|(moments, death)| moments.finish(self.engine.model(), death));
        let mut outcome = self.engine.finish();
        outcome
            .findings
            .retain(|finding| self.wanted.finding(finding));
        let mut summary = Summary::new(
            &outcome,
            Coverage::clone(&self.coverage),
            lost_by,
            self.fail_on,
        );
        summary.lines = self.lines;
        summary.problems = self.problems;
        summary.command = self.command;
        if !self.wanted.is_everything() {
            summary.chosen_events = Some(self.chosen);
        }
        if self.cut_short || crash.is_some() {
            summary.leave_open();
        }
        summary.crash = crash;
        let gaps = self.wanted.gaps().into_iter().chain(idleness);
        for gap in gaps.chain(self.doubts) {
            summary.doubt(gap);
        }
        if self.broken.is_none() {
            let mut result = Ok(());
            for finding in outcome
                .findings
                .iter()
                .filter(|finding| !reported.contains(&finding.fingerprint))
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
            _ => Ok(summary),
        }
    }
}
