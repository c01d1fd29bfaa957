//! DR019 slow-release: the release of one resource takes long.

use std::time::Duration;

use hashbrown::HashMap;

use super::{
    Rule, RuleInfo, blame,
    splat::{self, Proof},
};
use crate::{
    event::{Hook, Message, Time},
    finding::{self, Finding, Report, Severity, Step, Subject},
    model::{Change, DeviceId, Left, Model, Node, NodeId},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR019",
    name: "slow-release",
    severities: &[Severity::Warn],
    description: "The release of one resource takes long.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::ReleaseAll],
        &[Hook::ReleaseGroup],
    ],
    details: &[],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr019.md"),
};

/// A release that takes longer is slow: nanoseconds.
const SLOW: u64 = 100_000_000;

/// The rule. It keeps something only of tasks that are releasing.
#[derive(Debug)]
pub struct SlowRelease {
    tasks: HashMap<u32, Vec<Batch>>,
    /// Nanoseconds.
    limit: u64,
}

impl Default for SlowRelease {
    fn default() -> Self {
        Self {
            tasks: HashMap::new(),
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
    /// How many are released at once, where the kernel does not tell one by one.
    count: u32,
    at: Time,
    /// Nanoseconds that this release spent in other releases.
    nested: u64,
}

impl Rule for SlowRelease {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
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
            Change::Told { device, message } => {
                if let Message::Splat(splat) = &**message
                    && splat::proof(splat) == Proof::Slow
                {
                    let subject = blame::told_of(*device, model);
                    report.submit(splat::slow(&INFO, splat, &subject, model));
                }
            }
            _ => {}
        }
    }
}

impl SlowRelease {
    /// The rule with another limit than its own.
    #[must_use]
    pub fn with_limit(limit: Duration) -> Self {
        Self {
            limit: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
            ..Self::default()
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
        let Some(device) = model.device_by_id(self.device) else {
            return;
        };
        let subject = Subject::of(device);
        if !device.is_whole_since(self.sequence) {
            report.stay_silent(
                INFO.id,
                subject.key,
                subject.name(),
                "a release seemed to take long, and something was missed meanwhile",
            );
            return;
        }
        let what = finding::label(&self.node);
        let locked = [Hook::Unbind, Hook::Probe]
            .into_iter()
            .any(|hook| blame::runs(model, hook, self.device));
        let meaning = if locked {
            "The device's lock is held meanwhile: whoever unbinds the driver or removes the device waits, and so does \
             everybody else who wants that lock."
        } else {
            "Whoever released it waits meanwhile, by putting the last reference to the device, say, or by deleting it."
        };
        let of_all = match self.count {
            1 => String::new(),
            count => format!(" and {} others", count - 1),
        };
        report.submit(Finding {
            summary: format!(
                "Releasing {what}{of_all} of {} took {}.",
                subject.name(),
                length(took)
            ),
            meaning: meaning.to_owned(),
            order: vec![
                Step {
                    time: self.at,
                    what: format!("{what} is released"),
                },
                Step {
                    time: model.now(),
                    what: "that is over".to_owned(),
                },
            ],
            expected: vec![
                "what a release waits for is told to stop before, and waited for no longer than needed"
                    .to_owned(),
            ],
            resources: vec![finding::live_resource(&self.node)],
            // Who asked for it is left out: of what was there before the trace began nobody knows, and the next
            // binding's is the same.
            ..subject.finding(&INFO, Severity::Warn, finding::label(&self.node), model.now())
        });
    }
}

/// A length of time given in nanoseconds, in words.
fn length(nanoseconds: u64) -> String {
    match nanoseconds {
        short @ ..1_000_000 => format!("{} us", short / 1_000),
        long => format!("{} ms", long / 1_000_000),
    }
}
