//! DR003 foreign-open-group-release: another driver's unbind or probe releases an open group of a bound
//! device, and with it what that device's own driver has added since.

mod group_release;
mod log_lines;
mod unopened;

use hashbrown::HashMap;

use self::log_lines::Lines;
use super::{
    Rule, blame,
    known::{self, Observed},
};
use crate::{
    event::{Function, Hook, StackDefinition, Text, Time},
    finding::{self, Cause, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{
        Change, Detail, Device, DeviceId, Entered, Frame, Left, Model, Node, NodeId, Origin, State,
    },
    number::plural,
};

pub(in crate::rules) static INFO: RuleInfo = RuleInfo {
    id: "DR003",
    name: "foreign-open-group-release",
    severities: &[Severity::Error, Severity::Warn, Severity::Info],
    description: "Another driver releases an open group of a bound device, including resources of the bound driver.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::OpenGroup],
        &[Hook::ReleaseGroup],
        &[Hook::Probe],
        &[Hook::Unbind],
    ],
    page: include_str!("../dr003.md"),
    ..RuleInfo::PLAIN
};

/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;

/// The rule. It keeps something only of devices of which a foreign task is releasing a group.
#[derive(Debug, Default)]
pub(super) struct ForeignGroupRelease {
    releases: HashMap<DeviceId, Release>,
    lines: Lines,
}

#[derive(Debug)]
struct Release {
    subject: Subject,
    tid: u32,
    /// Who opened the group; None where nobody knows, and the group was opened where it is released.
    opener: Option<Function>,
    by: By,
    cause: Cause,
    entered: Time,
    /// What the opener did not add.
    swallowed: Vec<finding::Resource>,
    swallowed_count: usize,
    /// What it did add.
    own: usize,
    /// What may have been added by either: no stack shows it.
    unknown: usize,
}

/// Who releases the group.
#[derive(Debug)]
enum By {
    /// The probe or unbind of another device.
    Frame {
        /// When that began.
        began: Time,
        /// Whether the group was opened in it too, so that what its task added since is its own.
        opened_in_it: bool,
    },
    /// Nobody's probe or unbind.
    Call {
        releaser: Function,
        /// The modules that the call came through: what they added is their own.
        modules: Vec<Text>,
    },
}

impl Rule for ForeignGroupRelease {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if log_lines::only_lines(model) {
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
        let (Some(device), Some(marker)) = (model.device_by_id(id), model.node(open)) else {
            return;
        };
        let its_own = blame::runs(model, Hook::Probe, id) || blame::runs(model, Hook::Unbind, id);
        if device.state() != State::Bound || its_own {
            return;
        }
        let started = match blame::foreign(model, id) {
            Some(frame) => start_in(frame, device, marker, model),
            None => match start_alone(device, marker, model) {
                Some(started) => started,
                None => return,
            },
        };
        match started {
            Ok(release) => {
                self.releases.insert(id, release);
            }
            Err(doubt) => {
                let subject = Subject::of(device);
                report.stay_silent(INFO.id, subject.key, doubt);
            }
        }
    }
}

fn opener(marker: &Node) -> Option<&Function> {
    blame::caller(marker.stack()?, "devres_open_group")
}

/// Another driver's probe or unbind releases the group.
fn start_in(
    frame: &Frame,
    device: Device<'_>,
    marker: &Node,
    model: &Model,
) -> Result<Release, Doubt> {
    if !device.is_whole() || !device.is_whole_since(marker.sequence()) {
        return Err(Doubt::ForeignReleaseAfterMiss);
    }
    let opened_in_it = marker.origin() == Origin::Seen
        && marker.sequence() > frame.sequence()
        && marker.task().tid == model.current_task().tid;
    let opener = opener(marker).cloned();
    if opener.is_none() && !opened_in_it {
        return Err(Doubt::OpenerUnknown);
    }
    let by = By::Frame {
        began: frame.entered(),
        opened_in_it,
    };
    let cause = blame::cause(model, frame).ok_or(Doubt::ReleaserUnknown)?;
    Ok(Release::new(device, opener, by, cause, model))
}

/// The group is released outside of any probe or unbind. That is no more than worth knowing, so that nothing
/// is left open where it can't be told who opened the group, or who releases it.
fn start_alone(device: Device<'_>, marker: &Node, model: &Model) -> Option<Result<Release, Doubt>> {
    let framed = model
        .frames(model.current_task())
        .iter()
        .any(|frame| matches!(frame.hook(), Hook::Probe | Hook::Unbind));
    if framed {
        return None;
    }
    let stack = model.current_stack()?;
    let releaser = blame::caller(stack, Hook::ReleaseGroup.symbol())?.clone();
    // What a module's initialisation did can't be told: its function is no more.
    let opener =
        opener(marker).filter(|opener| opener.name.as_deref() != Some("do_one_initcall"))?;
    let modules: Vec<Text> = modules(stack).cloned().collect();
    if opener
        .module
        .as_ref()
        .is_some_and(|module| modules.contains(module))
    {
        return None;
    }
    if !device.is_whole() || !device.is_whole_since(marker.sequence()) {
        return Some(Err(Doubt::LoneReleaseAfterMiss));
    }
    let cause = Subject::unknown().cause("a call", model.current_task(), Some(stack));
    let by = By::Call { releaser, modules };
    Some(Ok(Release::new(
        device,
        Some(opener.clone()),
        by,
        cause,
        model,
    )))
}

/// The modules whose functions are on a stack.
fn modules(stack: &StackDefinition) -> impl Iterator<Item = &Text> {
    stack
        .frames
        .iter()
        .filter_map(|frame| frame.function.as_deref()?.module.as_ref())
}

impl Release {
    fn new(
        device: Device<'_>,
        opener: Option<Function>,
        by: By,
        cause: Cause,
        model: &Model,
    ) -> Self {
        Self {
            subject: Subject::of(device),
            tid: model.current_task().tid,
            opener,
            by,
            cause,
            entered: model.now(),
            swallowed: Vec::new(),
            swallowed_count: 0,
            own: 0,
            unknown: 0,
        }
    }

    fn take(&mut self, node: &Node, now: Time) {
        if node.kind().is_marker() {
            return;
        }
        // Of what was there before the trace began nobody knows who added it: give it the benefit.
        let is_openers = self.opener.as_ref().is_some_and(|opener| {
            node.stack().map_or(node.origin() != Origin::Seen, |stack| {
                blame::passes_through(stack, opener)
            })
        });
        let is_releasers = match &self.by {
            By::Frame { opened_in_it, .. } => *opened_in_it && node.task().tid == self.tid,
            By::Call { modules: known, .. } => node
                .stack()
                .is_some_and(|stack| modules(stack).any(|module| known.contains(module))),
        };
        if is_openers || is_releasers {
            self.own += 1;
            return;
        }
        if self.opener.is_none() || node.stack().is_none() {
            self.unknown += 1;
            return;
        }
        self.swallowed_count += 1;
        if self.swallowed.len() < MOST_RESOURCES {
            self.swallowed
                .push(finding::resource(node, Some(now), self.entered));
        }
    }

    fn report(self, now: Time, report: &mut Report) {
        if self.unknown > 0 {
            report.stay_silent(INFO.id, self.subject.key, Doubt::OpenerUnknown);
            return;
        }
        let may_be_empty = matches!(
            self.by,
            By::Frame {
                opened_in_it: false,
                ..
            }
        );
        if self.swallowed_count == 0 && !may_be_empty {
            return;
        }
        let severity = match self.by {
            By::Frame { .. } if self.swallowed_count > 0 => Severity::Error,
            _ => Severity::Info,
        };
        let what = self
            .swallowed
            .first()
            .map_or("", finding::Resource::label)
            .to_owned();
        let known = known::of(
            INFO.id,
            Observed::function(self.opener.as_ref().and_then(Function::base_name)),
        );
        report.submit(Finding {
            summary: self.summary(),
            meaning: self.meaning().to_owned(),
            order: self.order(now),
            expected: vec![
                format!(
                    "{} closes the group after adding its resources",
                    self.opener()
                ),
                "devres_release_group() with the group's identifier releases only that group"
                    .to_owned(),
            ],
            resources: self.swallowed,
            delay_since: "the call",
            caused_by: Some(self.cause),
            known,
            ..self.subject.finding(&INFO, severity, &what, now)
        });
    }

    fn opener(&self) -> String {
        self.opener
            .as_ref()
            .map_or_else(|| "the opener".to_owned(), ToString::to_string)
    }

    /// Who releases the group, for a sentence.
    fn culprit(&self) -> String {
        match &self.by {
            By::Call { releaser, .. } => format!("Outside of any probe or unbind {releaser}"),
            By::Frame { .. } => format!("The {} of {}", self.cause.frame, self.cause.device),
        }
    }

    fn summary(&self) -> String {
        let (victim, culprit, opener) = (self.subject.name(), self.culprit(), self.opener());
        match self.swallowed_count {
            0 => format!(
                "{culprit} released an open group of {victim}, which is bound; {opener}, which opened it, had added all \
                 of its resources."
            ),
            count => format!(
                "{culprit} released an open group of {victim}, which is bound, including {count} {} that {opener}, which \
                 opened it, had not added.",
                plural(count, "resource", "resources"),
            ),
        }
    }

    fn meaning(&self) -> &'static str {
        match self.by {
            By::Frame { .. } if self.swallowed_count > 0 => {
                "An open group takes in everything added later. The driver is still bound and keeps using the released \
                 resources: mappings, interrupts, memory."
            }
            By::Frame { .. } => {
                "The group was still open: anything added later would have been released with it. Nothing was."
            }
            By::Call { .. } => {
                "An open group takes in everything added later. If the bound driver still uses the released resources, \
                 that is a use after free. No other driver's unbind was running, so it may be intended."
            }
        }
    }

    fn order(&self, now: Time) -> Vec<Step> {
        let mut order = Vec::new();
        if let By::Frame { began, .. } = self.by {
            order.push(Step::at(
                began,
                format!("{} of {} begins", self.cause.frame, self.cause.device),
            ));
        }
        order.push(Step::at(
            self.entered,
            format!(
                "devres_release_group() selects an open group of {}",
                self.subject.name()
            ),
        ));
        let count = self.own + self.swallowed_count;
        order.push(Step::at(
            now,
            format!(
                "{count} {} released",
                plural(count, "resource is", "resources are")
            ),
        ));
        order
    }
}
