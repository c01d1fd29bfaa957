//! Lives as JSON lines. `docs/json.md` describes them.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, words};
use crate::{
    errno,
    event::{Hook, StackDefinition, StackId},
    finding::frames,
    history::{
        Beginning, Binding, DeviceHistory, Holdings, Item, LabelId, Names, Outcome, Step, StepKind,
        TaskId,
    },
    sink::{json::First, schema::Schemas},
};

/// Writes one object a line: the source, each life, each finding, the summary.
pub fn write_json(report: &Report<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let mut line = |object: &dyn erased::Line| -> io::Result<()> {
        object.write(&mut *writer)?;
        writer.write_all(b"\n")
    };
    line(&First::of(report.source))?;
    for history in &report.histories.devices {
        line(&DeviceLine::of(history, &report.histories.names))?;
    }
    for step in &report.histories.said {
        line(&SaidLine {
            kind: "said",
            step: StepLine::of(step, &report.histories.names),
        })?;
    }
    for finding in report.findings {
        line(finding)?;
    }
    line(&SummaryLine {
        summary: report.summary,
        uneventful: report.histories.uneventful,
        lives_hidden: report.histories.devices_hidden,
        damage: report.damage,
    })
}

/// Adds the schemas of the lines that only a report has.
pub(in crate::sink) fn add_schemas(schemas: &mut Schemas) {
    schemas.add::<DeviceLine>("life");
    schemas.add::<SaidLine>("said");
    schemas.add::<SummaryLine<'_>>("summary");
}

/// Objects of different kinds behind one reference.
mod erased {
    use std::io::{self, Write};

    use serde::Serialize;

    pub(super) trait Line {
        fn write(&self, writer: &mut dyn Write) -> io::Result<()>;
    }

    impl<T: Serialize> Line for T {
        fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
            crate::sink::json_text::write(writer, self)
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct SummaryLine<'a> {
    #[serde(flatten)]
    summary: &'a super::super::Summary,
    uneventful: u64,
    lives_hidden: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct SaidLine {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    step: StepLine,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename = "life")]
struct DeviceLine {
    device: String,
    driver: Option<String>,
    bus: Option<String>,
    address: String,
    generation: u32,
    beginning: &'static str,
    began: u64,
    initial: HoldingsLine,
    chapters: Vec<BindingLine>,
    chapters_hidden: u64,
    state: &'static str,
    gone: Option<u64>,
    gone_seen: Option<bool>,
    left: HoldingsLine,
    doubts: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct BindingLine {
    binding: u32,
    driver: Option<String>,
    began: u64,
    task: Option<String>,
    tid: Option<u32>,
    outcome: Option<&'static str>,
    error: Option<i64>,
    error_name: Option<String>,
    bound: Option<u64>,
    owned: Option<HoldingsLine>,
    ended: Option<u64>,
    left: Option<u64>,
    steps: Vec<StepLine>,
    steps_hidden: u64,
}

/// What a device owned at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HoldingsLine {
    resources: u64,
    bytes: u64,
    hidden: u64,
    stack: Vec<HeldLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct HeldLine {
    name: String,
    label: String,
    size: Option<u64>,
    function: Option<String>,
    added: Option<u64>,
    task: Option<String>,
    tid: Option<u32>,
    depth: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupLine>,
    added_by: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct GroupLine {
    id: Option<String>,
    opens: bool,
    open: bool,
}

/// One thing that happened in a life.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StepLine {
    time: u64,
    what: &'static str,
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_device: Option<String>,
    task: Option<String>,
    tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added_by: Vec<String>,
}

impl DeviceLine {
    fn of(history: &DeviceHistory, names: &Names) -> Self {
        Self {
            device: history.name.as_deref().unwrap_or_default().to_owned(),
            driver: history.driver.as_deref().map(str::to_owned),
            bus: history.bus.as_deref().map(str::to_owned),
            address: history.key.address.to_string(),
            generation: history.key.generation,
            beginning: match history.beginning {
                Beginning::Initialised => "initialised",
                Beginning::Snapshot => "snapshot",
                Beginning::Halfway => "halfway",
            },
            began: history.began.0,
            initial: HoldingsLine::of(&history.initial, names),
            chapters: history
                .bindings
                .iter()
                .filter(|binding| binding.number > 0 || !binding.steps.is_empty())
                .map(|binding| BindingLine::of(binding, names))
                .collect(),
            chapters_hidden: history.bindings_hidden,
            state: history.state.name(),
            gone: history.gone.map(|gone| gone.time.0),
            gone_seen: history.gone.map(|gone| gone.seen),
            left: HoldingsLine::of(&history.left, names),
            doubts: history.doubts.iter().map(ToString::to_string).collect(),
        }
    }
}

impl BindingLine {
    fn of(binding: &Binding, names: &Names) -> Self {
        let (task, tid) = task(binding.task, names);
        let value = match binding.outcome {
            Outcome::Failed(value) => value,
            Outcome::Open | Outcome::Bound => None,
        };
        Self {
            binding: binding.number,
            driver: binding.driver.as_deref().map(str::to_owned),
            began: binding.began.0,
            task,
            tid,
            outcome: match binding.outcome {
                Outcome::Open => None,
                Outcome::Bound => Some("bound"),
                outcome if outcome.is_deferred() => Some("deferred"),
                Outcome::Failed(_) => Some("failed"),
            },
            error: value,
            error_name: value.map(errno::name),
            bound: binding.bound.as_ref().map(|(time, _)| time.0),
            owned: binding
                .bound
                .as_ref()
                .map(|(_, holdings)| HoldingsLine::of(holdings, names)),
            ended: binding.ended.map(|(time, _)| time.0),
            left: binding.ended.map(|(_, left)| left),
            steps: binding
                .steps
                .iter()
                .map(|step| StepLine::of(step, names))
                .collect(),
            steps_hidden: binding.steps_hidden,
        }
    }
}

impl HoldingsLine {
    fn of(holdings: &Holdings, names: &Names) -> Self {
        let stack = holdings.held.iter().map(|held| {
            let (task, tid) = task(held.task, names);
            let label = names.label(held.item.label);
            HeldLine {
                name: label
                    .and_then(|label| label.name.as_deref())
                    .unwrap_or_default()
                    .to_owned(),
                label: names.text(held.item.label).to_owned(),
                size: held.item.size(),
                function: label
                    .and_then(|label| label.function.as_ref())
                    .map(ToString::to_string),
                added: held.added.map(|time| time.0),
                task,
                tid,
                depth: held.depth,
                group: held.item.marker().map(GroupLine::of),
                added_by: added_by(held.item.label, names),
            }
        });
        Self {
            resources: holdings.resources,
            bytes: holdings.bytes,
            hidden: holdings.hidden,
            stack: stack.collect(),
        }
    }
}

impl GroupLine {
    fn of(marker: crate::history::Marker) -> Self {
        Self {
            id: marker.id.map(|id| format!("{id:#x}")),
            opens: marker.opens,
            open: marker.open,
        }
    }
}

impl StepLine {
    /// A step with the names that its numbers stand for.
    #[must_use]
    pub fn of(step: &Step, names: &Names) -> Self {
        let (task, tid) = task(step.task, names);
        let item: Option<&Item> = step.kind.item();
        let group = item.and_then(Item::marker).map(GroupLine::of);
        Self {
            time: step.time.0,
            what: step.kind.name(),
            phase: step.phase.name(),
            frame: step.frame.map(Hook::symbol),
            by_device: (step.by != LabelId::NONE).then(|| names.text(step.by).to_owned()),
            task,
            tid,
            label: item.map(|item| names.text(item.label).to_owned()),
            size: item.and_then(Item::size),
            group: group.or(match step.kind {
                StepKind::GroupReleased(call) => Some(GroupLine {
                    id: call.id.map(|id| format!("{id:#x}")),
                    opens: false,
                    open: false,
                }),
                _ => None,
            }),
            error: match step.kind {
                StepKind::ProbeFailed(value) => value,
                _ => None,
            },
            effective: match step.kind {
                StepKind::PmAttached(known) => known,
                StepKind::PmDetached(effective) => Some(effective),
                StepKind::GroupReleased(call) => Some(call.found),
                _ => None,
            },
            reason: match step.kind {
                StepKind::Doubtful(taint) => Some(taint.to_string()),
                StepKind::Warned(..)
                | StepKind::FreedActive(_)
                | StepKind::Splat(_)
                | StepKind::Switched(..) => Some(words::step(step, names)),
                _ => None,
            },
            added_by: match step.kind {
                StepKind::Added(item) => added_by(item.label, names),
                _ => Vec::new(),
            },
        }
    }
}

fn task(id: TaskId, names: &Names) -> (Option<String>, Option<u32>) {
    let task = names
        .task(id)
        .filter(|task| task.comm.0[0] != 0 || task.tid != 0);
    (
        task.map(|task| task.comm.name().into_owned()),
        task.map(|task| task.tid),
    )
}

fn added_by(label: LabelId, names: &Names) -> Vec<String> {
    names
        .label(label)
        .and_then(|label| label.frames.clone())
        .map(|stack| {
            frames(&StackDefinition {
                id: StackId(0),
                frames: stack,
            })
        })
        .unwrap_or_default()
}
