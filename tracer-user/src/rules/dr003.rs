//! DR003 foreign-open-group-release: another driver's unbind or probe releases an open group of a bound
//! device, and with it what that device's own driver has added since.

use hashbrown::HashMap;

use super::{
    Rule, RuleInfo, blame,
    dr003_lines::{self, Lines},
};
use crate::{
    event::{Function, Hook, Time},
    finding::{self, Cause, Finding, Report, Severity, Step, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Frame, Left, Model, Node, NodeId, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR003",
    name: "foreign-open-group-release",
    severities: &[Severity::Error, Severity::Warn, Severity::Info],
    description: "Another driver releases an open group of a bound device, with that driver's own resources.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::OpenGroup],
        &[Hook::ReleaseGroup],
        &[Hook::Probe],
        &[Hook::Unbind],
    ],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr003.md"),
};

/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;

/// The rule. It keeps something only of devices of which a foreign task is releasing a group.
#[derive(Debug, Default)]
pub struct ForeignGroupRelease {
    releases: HashMap<DeviceId, Release>,
    lines: Lines,
}

#[derive(Debug)]
struct Release {
    subject: Subject,
    tid: u32,
    opener: Function,
    cause: Cause,
    entered: Time,
    began: Time,
    /// What the opener did not add.
    swallowed: Vec<finding::Resource>,
    swallowed_count: usize,
    /// What it did add.
    own: usize,
}

impl Rule for ForeignGroupRelease {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if dr003_lines::only_lines(model) {
            self.lines.observe(change, model, report);
            return;
        }
        match change {
            Change::Entered(Entered {
                hook: Hook::ReleaseGroup,
                device: Some(id),
                detail:
                    Detail::Group {
                        selected: Some(open),
                        closed: false,
                        ..
                    },
            }) => self.begin(*id, *open, model, report),
            Change::NodeReleased { node, .. } if !self.releases.is_empty() => {
                if let Some(node) = model.node(*node)
                    && let Some(device) = model.owner(node)
                    && let Some(release) = self.releases.get_mut(&device.id())
                    && release.tid == model.current_task().tid
                {
                    release.take(node, model.now());
                }
            }
            Change::Left(Left {
                hook: Hook::ReleaseGroup,
                device: Some(id),
                inferred,
                ..
            }) => {
                // What the kernel does not log is concluded after the function was left.
                if let Some(release) = self.releases.remove(id)
                    && !inferred
                {
                    release.report(model.now(), report);
                }
            }
            Change::Tainted { device, .. } | Change::DeviceGone { device, .. } => {
                self.releases.remove(device);
            }
            Change::Lost(_) => self.releases.clear(),
            _ => {}
        }
    }

    fn finish(&mut self, model: &Model, report: &mut Report) {
        self.lines.finish(model, report);
    }
}

impl ForeignGroupRelease {
    fn begin(&mut self, id: DeviceId, open: NodeId, model: &Model, report: &mut Report) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let Some(frame) = blame::foreign(model, id) else {
            return;
        };
        let its_own = blame::runs(model, Hook::Probe, id) || blame::runs(model, Hook::Unbind, id);
        if device.state() != State::Bound || its_own {
            return;
        }
        let silence = match self.start(device, open, frame, model) {
            Ok(()) => return,
            Err(reason) => reason,
        };
        let subject = Subject::of(device);
        report.stay_silent(INFO.id, subject.key, subject.name(), silence);
    }

    fn start(
        &mut self,
        device: Device<'_>,
        open: NodeId,
        frame: &Frame,
        model: &Model,
    ) -> Result<(), &'static str> {
        let marker = model.node(open).ok_or("a group is not known")?;
        if !device.is_whole() || !device.is_whole_since(marker.sequence()) {
            return Err(
                "a group was released by another driver on a device of which something was missed",
            );
        }
        let opener = marker
            .stack()
            .and_then(|stack| blame::caller(stack, "devres_open_group"))
            .ok_or(
                "a group was released by another driver, and no kernel stack tells who opened it",
            )?;
        let cause = blame::cause(model, frame).ok_or("the other driver's device is not known")?;
        let release = Release {
            subject: Subject::of(device),
            tid: model.current_task().tid,
            opener: opener.clone(),
            cause,
            entered: model.now(),
            began: frame.entered(),
            swallowed: Vec::new(),
            swallowed_count: 0,
            own: 0,
        };
        self.releases.insert(device.id(), release);
        Ok(())
    }
}

impl Release {
    fn take(&mut self, node: &Node, now: Time) {
        if node.kind().is_marker() {
            return;
        }
        // Of what was there before the trace began nobody knows who added it: give it the benefit.
        let own = node
            .stack()
            .is_none_or(|stack| blame::passes_through(stack, &self.opener));
        if own {
            self.own += 1;
            return;
        }
        self.swallowed_count += 1;
        if self.swallowed.len() < MOST_RESOURCES {
            self.swallowed
                .push(finding::resource(node, Some(now), self.entered));
        }
    }

    fn report(self, now: Time, report: &mut Report) {
        let severity = if self.swallowed_count > 0 {
            Severity::Error
        } else {
            Severity::Info
        };
        let what = self
            .swallowed
            .first()
            .map_or("", finding::Resource::label)
            .to_owned();
        let (victim, culprit) = (self.subject.name(), &self.cause.device);
        let summary = match self.swallowed_count {
            0 => format!(
                "The {} of {culprit} released an open group of {victim}, which is bound; all of it was added by \
                 {}, which had opened it.",
                self.cause.frame, self.opener
            ),
            count => format!(
                "The {} of {culprit} released an open group of {victim}, which is bound, and with it {count} \
                 resources that {} had not added.",
                self.cause.frame, self.opener
            ),
        };
        let meaning = if severity == Severity::Error {
            "An open group holds everything that is added after it. The driver that is still bound goes on using \
             what is gone now: mappings, interrupts, memory."
        } else {
            "The group was still open, so anything added later would have gone with it. Nothing was."
        };
        let order = vec![
            Step {
                time: self.began,
                what: format!("{} of {culprit} begins", self.cause.frame),
            },
            Step {
                time: self.entered,
                what: format!("devres_release_group() selects an open group of {victim}"),
            },
            Step {
                time: now,
                what: format!("{} resources are released", self.own + self.swallowed_count),
            },
        ];
        report.submit(Finding {
            summary,
            meaning: meaning.to_owned(),
            order,
            expected: vec![
                format!(
                    "{} closes the group when it has added what belongs to it",
                    self.opener
                ),
                "devres_release_group() by the group's own identifier releases only that"
                    .to_owned(),
            ],
            resources: self.swallowed,
            delay_since: "the call",
            caused_by: Some(self.cause),
            ..self.subject.finding(&INFO, severity, &what, now)
        });
    }
}
