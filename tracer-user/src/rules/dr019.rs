//! DR019 slow-release: the release of one resource takes long, or does not end.

use std::{fmt::Write as _, time::Duration};

use hashbrown::HashMap;

use super::{
    Rule, blame,
    splat::{self, Proof},
};
use crate::{
    event::{Hook, Message, Task, Time},
    finding::{self, Cause, Certainty, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, DeviceId, Kind, Left, Model, Node, NodeId},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR019",
    name: "slow-release",
    severities: &[Severity::Warn, Severity::Info],
    description: "A release takes long, or does not end.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::ReleaseAll],
        &[Hook::ReleaseGroup],
    ],
    page: include_str!("dr019.md"),
    ..RuleInfo::PLAIN
};

/// A release that takes longer is slow: nanoseconds.
const SLOW: u64 = 100_000_000;

/// A release that has not ended after this, with nothing else heard of its task, is reported before it ends:
/// nanoseconds.
const HANGS: u64 = 5_000_000_000;

/// The rule. It keeps something only of tasks that are releasing.
#[derive(Debug)]
pub(super) struct SlowRelease {
    tasks: HashMap<u32, Vec<Batch>>,
    /// When the first of them may hang, if nothing else is heard of it.
    due: Time,
    /// Nanoseconds.
    limit: u64,
}

const NEVER: Time = Time(u64::MAX);

impl Default for SlowRelease {
    fn default() -> Self {
        Self {
            tasks: HashMap::new(),
            due: NEVER,
            limit: SLOW,
        }
    }
}

/// One run of releases.
#[derive(Debug)]
struct Batch {
    device: DeviceId,
    /// The place of its function's entry in the order of everything seen.
    sequence: u64,
    /// What is being released: a copy, as the node has gone.
    node: Node,
    /// How many are released at once, where the kernel does not give one by one.
    count: u32,
    at: Time,
    /// Nanoseconds that this release spent in other releases.
    nested: u64,
    /// Who releases.
    task: Task,
    /// The function that does.
    hook: Hook,
    /// When something was last heard of the task.
    heard: Time,
    /// It was reported while it was under way.
    told: bool,
    /// Where the task waits, if that was looked up.
    waits: Vec<String>,
}

impl Rule for SlowRelease {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if let Change::KernelMessage { message, .. } = change
            && matches!(**message, Message::Waits)
        {
            self.waits(model);
        } else if !self.tasks.is_empty() {
            self.hear(model);
            self.pass(model.now(), model, report);
        }
        match change {
            Change::NodeReleased { node, concluded } if model.coverage().times => {
                self.released(*node, *concluded, model, report);
            }
            Change::Left(
                left @ Left {
                    hook: Hook::ReleaseAll | Hook::ReleaseGroup,
                    ..
                },
            ) if !self.tasks.is_empty() => self.left(left, model, report),
            Change::Lost(_) => self.tasks.clear(),
            Change::KernelMessage { device, message } => {
                splat::judge(&INFO, Proof::Slow, *device, message, model, report);
            }
            _ => {}
        }
    }

    fn pass(&mut self, now: Time, model: &Model, report: &mut Report) {
        if self.tasks.is_empty() || now < self.due {
            return;
        }
        let limit = self.limit.max(HANGS);
        let mut due = NEVER;
        let mut innermost: Vec<&mut Batch> = self
            .tasks
            .values_mut()
            .filter_map(|batches| batches.last_mut())
            .collect();
        innermost.sort_by_key(|batch| batch.sequence);
        for batch in innermost.into_iter().filter(|batch| !batch.told) {
            if now.since(batch.heard) > limit {
                batch.told = true;
                batch.hangs(now, model, report);
            } else {
                due = due.min(Time(batch.heard.0.saturating_add(limit)));
            }
        }
        self.due = due;
    }
}

impl SlowRelease {
    /// The rule with another limit than its own.
    #[must_use]
    pub(super) fn with_limit(limit: Duration) -> Self {
        Self {
            limit: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }

    /// Something is heard of the current task: what it releases goes on.
    fn hear(&mut self, model: &Model) {
        let batches = self.tasks.get_mut(&model.current_task().tid);
        if let Some(batch) = batches.and_then(|batches| batches.last_mut()) {
            batch.heard = model.now();
        }
    }

    /// It was looked up where the current task waits: that is no sign of life.
    fn waits(&mut self, model: &Model) {
        let batches = self.tasks.get_mut(&model.current_task().tid);
        if let (Some(batch), Some(stack)) = (
            batches.and_then(|batches| batches.last_mut()),
            model.current_stack(),
        ) {
            batch.waits = finding::frames(stack);
        }
    }

    fn released(&mut self, id: NodeId, concluded: bool, model: &Model, report: &mut Report) {
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        let task = model.current_task();
        let around = model.frames(task).iter().rfind(|frame| {
            matches!(frame.hook(), Hook::ReleaseAll | Hook::ReleaseGroup)
                && frame.device() == Some(device.id())
        });
        let Some(frame) = around else { return };
        self.due = self.due.min(Time(model.now().0.saturating_add(HANGS)));
        let batches = self.tasks.entry(task.tid).or_default();
        // What was begun inside of this one and is over, although its end was not seen.
        batches.retain(|batch| batch.sequence <= frame.sequence());
        let batch = Batch {
            device: device.id(),
            sequence: frame.sequence(),
            node: node.outline(),
            count: 1,
            at: model.now(),
            nested: 0,
            task: *task,
            hook: frame.hook(),
            heard: model.now(),
            told: false,
            waits: Vec::new(),
        };
        match batches.last_mut() {
            // All at the time at which the first one went.
            Some(running) if running.sequence == frame.sequence() && concluded => {
                running.count += 1;
            }
            Some(running) if running.sequence == frame.sequence() => {
                std::mem::replace(running, batch).ended(self.limit, model, report);
            }
            _ => batches.push(batch),
        }
    }

    fn left(&mut self, left: &Left, model: &Model, report: &mut Report) {
        let tid = model.current_task().tid;
        let Some(batches) = self.tasks.get_mut(&tid) else {
            return;
        };
        if let Some(batch) = batches.pop_if(|batch| batch.sequence == left.sequence)
            && !left.inferred
        {
            batch.ended(self.limit, model, report);
        }
        if let Some(outer) = batches.last_mut() {
            outer.nested = outer.nested.saturating_add(model.now().since(left.entered));
        } else {
            self.tasks.remove(&tid);
        }
    }
}

impl Batch {
    /// What was being released has been.
    fn ended(self, limit: u64, model: &Model, report: &mut Report) {
        let took = model.now().since(self.at).saturating_sub(self.nested);
        if took <= limit {
            return;
        }
        let Some(subject) = self.subject(model, report) else {
            return;
        };
        let what = finding::label(&self.node);
        let locked = [Hook::Unbind, Hook::Probe]
            .into_iter()
            .any(|hook| blame::runs(model, hook, self.device));
        let summary = format!(
            "Releasing {what}{} of {} took {}.",
            self.others(),
            subject.name(),
            length(took)
        );
        let finding = Finding {
            summary,
            meaning: meaning(locked).to_owned(),
            order: self.order(model.now(), "the release ends".to_owned()),
            ..self.finding(&subject, Severity::Warn, model.now())
        };
        if self.told {
            report.update(finding);
        } else {
            report.submit(finding);
        }
    }

    /// It is still being released.
    fn hangs(&self, now: Time, model: &Model, report: &mut Report) {
        // Memory is given back at once.
        if self.node.kind() == Kind::Memory {
            return;
        }
        let returns = model.sees_return(self.hook);
        // Without returns only what comes next on the task shows that it goes on, and it did.
        if !returns && self.heard > self.at {
            return;
        }
        let Some(subject) = self.subject(model, report) else {
            return;
        };
        let what = finding::label(&self.node);
        let waits = now.since(self.at);
        let summary = format!(
            "Releasing {what}{} of {} has not ended after {}{}.",
            self.others(),
            subject.name(),
            length(waits),
            if returns {
                ""
            } else {
                ", as far as the recording shows"
            }
        );
        let locked = model.frames(&self.task).iter().any(|frame| {
            matches!(frame.hook(), Hook::Unbind | Hook::Probe)
                && frame.device() == Some(self.device)
        });
        let unseen = if returns {
            String::new()
        } else {
            format!(
                " The return of {}() was not recorded: the release may have ended, and the task has been idle since.",
                self.hook.symbol()
            )
        };
        let (severity, certainty) = match (returns, model.is_recorded(self.hook)) {
            (false, _) => (Severity::Info, Certainty::Likely),
            (true, true) => (Severity::Warn, Certainty::Likely),
            (true, false) => (Severity::Warn, Certainty::Confirmed),
        };
        let step = format!("it has not ended; {} waits for it", self.waiting(model));
        report.submit(Finding {
            certainty,
            summary,
            meaning: format!("{}{unseen}", meaning(locked)),
            order: self.order(now, step),
            ..self.finding(&subject, severity, now)
        });
    }

    /// The releasing device, unless something was missed of it meanwhile.
    fn subject(&self, model: &Model, report: &mut Report) -> Option<Subject> {
        let device = model.device_by_id(self.device)?;
        let subject = Subject::of(device);
        if device.is_whole_since(self.sequence) {
            return Some(subject);
        }
        report.stay_silent(INFO.id, subject.key, Doubt::SlowAfterMiss);
        None
    }

    fn others(&self) -> String {
        match self.count {
            1 => String::new(),
            count => format!(" and {} others", count - 1),
        }
    }

    /// Who waits: the task that releases, in what, and those that want the device meanwhile.
    fn waiting(&self, model: &Model) -> String {
        let task = |task: &Task| format!("{} ({})", task.comm.name(), task.tid);
        let outermost = model.frames(&self.task).first();
        let mut waiting = match outermost {
            Some(frame) => format!("{} in {}()", task(&self.task), frame.hook().symbol()),
            None => task(&self.task),
        };
        let others = model.running().filter(|(other, frame)| {
            other.tid != self.task.tid
                && frame.device() == Some(self.device)
                && frame.sequence() > self.sequence
                && matches!(frame.hook(), Hook::Unbind | Hook::Probe | Hook::Delete)
        });
        let mut others: Vec<_> = others
            .map(|(other, frame)| (frame.sequence(), task(&other), frame.hook().symbol()))
            .collect();
        others.sort_unstable();
        for (_, other, function) in others {
            let _ = write!(waiting, ", {other} in {function}()");
        }
        waiting
    }

    fn order(&self, now: Time, last: String) -> Vec<Step> {
        let what = finding::label(&self.node);
        vec![
            Step::at(self.at, format!("{what} is released")),
            Step::at(now, last),
        ]
    }

    fn finding(&self, subject: &Subject, severity: Severity, now: Time) -> Finding {
        Finding {
            expected: vec![
                "whatever a release waits for is stopped first, and the wait has a timeout"
                    .to_owned(),
            ],
            resources: vec![finding::live_resource(&self.node)],
            caused_by: (!self.waits.is_empty()).then(|| Cause {
                stack: self.waits.clone(),
                ..subject.cause("a release", &self.task, None)
            }),
            // Who asked for it is left out: of what was there before the trace began nobody knows, and the next
            // binding's is the same.
            ..subject.finding(&INFO, severity, finding::label(&self.node), now)
        }
    }
}

fn meaning(locked: bool) -> &'static str {
    if locked {
        "The device lock is held meanwhile: the unbind or removal waits, and so does every other task that takes \
         the lock."
    } else {
        "The task that triggered the release waits meanwhile, for example in device_del() or in the last put."
    }
}

/// A length of time given in nanoseconds, in words.
fn length(nanoseconds: u64) -> String {
    match nanoseconds {
        short @ ..1_000_000 => format!("{} us", short / 1_000),
        long @ ..10_000_000_000 => format!("{} ms", long / 1_000_000),
        longer => format!("{} s", longer / 1_000_000_000),
    }
}
