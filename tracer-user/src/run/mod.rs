//! A run: from a source's events through the engine, with an observer beside its rules, into a sink.

mod crash_watch;
mod wanted;

use std::{io, ops::ControlFlow, sync::Arc};

use hashbrown::{HashMap, HashSet};

use crate::{
    engine::{Engine, Observer, Summary},
    event::{Event, EventKind, StackId, Time},
    evidence::{CommandEnd, Coverage, SourceEnd, SourceInformation},
    finding::{Finding, Severity},
    model::Model,
    rules::RuleSet,
    sink::Sink,
    source::recording::Recording,
};

pub use crash_watch::CrashWatch;
pub use wanted::{Sighting, Wanted};

/// The engine, an observer beside it, what is wanted of what they say, and where that goes.
pub struct Run<'sink, O = ()> {
    engine: Engine,
    observer: O,
    wanted: Wanted,
    /// Stacks that no event that is wanted has referred to yet, where not every event is.
    stacks: HashMap<StackId, Event>,
    /// Events that are wanted.
    chosen: u64,
    purpose: Purpose,
    coverage: Arc<Coverage>,
    sink: &'sink mut dyn Sink,
    /// What keeps the source from being all there was, beside what it says itself.
    problems: Vec<String>,
    /// Why else nothing can be concluded from that nothing was found.
    doubts: Vec<String>,
    /// How the command ended that was traced, if it failed.
    command: Option<CommandEnd>,
    /// Why nothing can be written any more.
    broken: Option<io::Error>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To judge: findings of at least this severity count, and where nothing happened nothing can be said.
    Judge(Severity),
    /// To write it in another form, or to compare it.
    Transcribe,
}

/// What a run has come to.
pub struct Concluded<O> {
    /// What was said at the end.
    pub summary: Summary,
    /// What was found on what is wanted, in the order of first report.
    pub findings: Vec<Finding>,
    /// The engine, whose model is as it was at the end.
    pub engine: Engine,
    /// The observer, which has seen everything.
    pub observer: O,
    /// That nothing happened that could be judged, if that is so.
    pub idleness: Option<String>,
    /// Whether all of it could be written. A reader that has gone away is for the caller to judge.
    pub written: io::Result<()>,
    damage: Option<String>,
}

impl<O> Concluded<O> {
    /// Why the source could not be read to its end, for those that don't say it with the summary's problems.
    pub fn take_damage(&mut self) -> Option<String> {
        let damage = self.damage.take();
        self.summary
            .problems
            .retain(|problem| Some(problem) != damage.as_ref());
        damage
    }
}

impl<'sink, O: Observer> Run<'sink, O> {
    /// Begins a run on a source.
    pub fn begin(
        source: &SourceInformation,
        wanted: Wanted,
        (rules, observer): (RuleSet, O),
        purpose: Purpose,
        sink: &'sink mut dyn Sink,
    ) -> Self {
        let coverage = Arc::new(source.coverage.clone());
        let broken = sink.begin(&wanted.of_source(source)).err();
        Self {
            engine: Engine::new(Arc::clone(&coverage), rules),
            observer,
            wanted,
            stacks: HashMap::new(),
            chosen: 0,
            purpose,
            coverage,
            sink,
            problems: Vec::new(),
            doubts: Vec::new(),
            command: None,
            broken,
        }
    }

    /// Takes a recording in, whole, and ends the run.
    #[must_use]
    pub fn replay(mut self, recording: &mut Recording) -> Concluded<O> {
        let end = recording.replay(|event| {
            self.event(event);
            if self.is_unread() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        self.end(end)
    }

    /// Takes one event in.
    pub fn event(&mut self, event: &Event) {
        let Self {
            engine, observer, ..
        } = self;
        observer.event(event);
        let findings = engine
            .apply_with(event, |change, model| observer.observe(change, model))
            .to_vec();
        if self.broken.is_some() {
            return;
        }
        self.broken = self.show(event).err();
        self.tell(&findings);
    }

    /// Nothing has happened until `now`, by the clock of the source.
    pub fn pass(&mut self, now: Time) {
        let findings = self.engine.pass(now).to_vec();
        self.tell(&findings);
    }

    fn tell(&mut self, findings: &[Finding]) {
        for finding in findings {
            if self.broken.is_none() && self.wanted.finding(finding) {
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
    pub fn flush(&mut self) {
        if self.broken.is_none() {
            self.broken = self.sink.flush().err();
        }
    }

    /// Whether nobody reads any more what is written.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.broken.is_some()
    }

    /// What is wanted, and whether it was there.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The model, for views.
    #[must_use]
    pub fn model(&self) -> &Model {
        self.engine.model()
    }

    /// Something keeps the source from being all there was.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The run is not all that it was to be: that nothing was found says nothing.
    pub fn doubt(&mut self, reason: String) {
        self.doubts.push(reason);
    }

    /// The command that was traced has ended like this.
    pub fn command_ended(&mut self, end: CommandEnd) {
        self.command = Some(end).filter(|end| end.failure().is_some());
    }

    /// Ends the run: the rules say their last.
    #[must_use]
    pub fn end(mut self, end: SourceEnd) -> Concluded<O> {
        if let Some(until) = end.until {
            self.pass(until);
        }
        let reported: HashSet<String> = self
            .engine
            .findings()
            .iter()
            .map(|finding| finding.fingerprint.clone())
            .collect();
        let mut outcome = self.engine.conclude();
        outcome
            .findings
            .retain(|finding| self.wanted.finding(finding));
        let coverage = Coverage::clone(&self.coverage);
        let fail_on = match self.purpose {
            Purpose::Judge(severity) => severity,
            Purpose::Transcribe => Severity::Error,
        };
        let damage = end.damage.clone();
        let mut summary = Summary::new(&outcome, coverage, end, fail_on);
        summary.problems.splice(0..0, self.problems);
        summary.command = self.command;
        if !self.wanted.is_everything() {
            summary.chosen_events = Some(self.chosen);
        }
        self.observer.conclude(self.engine.model(), &mut summary);
        let judges = self.purpose != Purpose::Transcribe;
        let idleness = self.wanted.idleness();
        let idle = idleness.clone().filter(|_| judges);
        let gaps = self.wanted.gaps().into_iter().chain(idle);
        for gap in gaps.chain(self.doubts) {
            summary.doubt(gap);
        }
        let written = match self.broken {
            Some(error) => Err(error),
            None => outcome
                .findings
                .iter()
                .filter(|finding| !reported.contains(&finding.fingerprint))
                .try_for_each(|finding| self.sink.finding(finding))
                .and_then(|()| self.sink.end(&outcome.findings, &summary)),
        };
        Concluded {
            summary,
            findings: outcome.findings,
            engine: self.engine,
            observer: self.observer,
            idleness,
            written,
            damage,
        }
    }
}
