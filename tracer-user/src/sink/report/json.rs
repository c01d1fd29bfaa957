//! Lives as JSON lines. `docs/json.md` describes them.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, words};
use crate::{
    errno,
    event::{Hook, StackDefinition, StackId},
    finding::frames,
    lives::{
        Beginning, Chapter, Holdings, Item, LabelId, Life, Names, Outcome, Step, TaskId, What,
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
    for life in &report.lives.lives {
        line(&LifeLine::of(life, &report.lives.names))?;
    }
    for step in &report.lives.said {
        line(&SaidLine {
            kind: "said",
            step: StepLine::of(step, &report.lives.names),
        })?;
    }
    for finding in report.findings {
        line(finding)?;
    }
    line(&SummaryLine {
        summary: report.summary,
        uneventful: report.lives.uneventful,
        lives_hidden: report.lives.lives_hidden,
        damage: report.damage,
    })
}

/// Adds the schemas of the lines that only a report has.
pub(in crate::sink) fn add_schemas(schemas: &mut Schemas) {
    schemas.add::<LifeLine>();
    schemas.add::<SaidLine>();
    schemas.add::<SummaryLine<'_>>();
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
    #[schemars(extend("const" = "said"))]
    kind: &'static str,
    #[serde(flatten)]
    step: StepLine,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename = "life")]
struct LifeLine {
    device: String,
    driver: Option<String>,
    bus: Option<String>,
    address: String,
    generation: u32,
    beginning: &'static str,
    began: u64,
    initial: HoldingsLine,
    chapters: Vec<ChapterLine>,
    chapters_hidden: u64,
    state: &'static str,
    gone: Option<u64>,
    gone_seen: Option<bool>,
    left: HoldingsLine,
    doubts: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct ChapterLine {
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

impl LifeLine {
    fn of(life: &Life, names: &Names) -> Self {
        Self {
            device: life.name.as_deref().unwrap_or_default().to_owned(),
            driver: life.driver.as_deref().map(str::to_owned),
            bus: life.bus.as_deref().map(str::to_owned),
            address: life.key.address.to_string(),
            generation: life.key.generation,
            beginning: match life.beginning {
                Beginning::Initialised => "initialised",
                Beginning::Snapshot => "snapshot",
                Beginning::Halfway => "halfway",
            },
            began: life.began.0,
            initial: HoldingsLine::of(&life.initial, names),
            chapters: life
                .chapters
                .iter()
                .filter(|chapter| chapter.binding > 0 || !chapter.steps.is_empty())
                .map(|chapter| ChapterLine::of(chapter, names))
                .collect(),
            chapters_hidden: life.chapters_hidden,
            state: life.state.name(),
            gone: life.gone.map(|gone| gone.time.0),
            gone_seen: life.gone.map(|gone| gone.seen),
            left: HoldingsLine::of(&life.left, names),
            doubts: life.doubts.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ChapterLine {
    fn of(chapter: &Chapter, names: &Names) -> Self {
        let (task, tid) = task(chapter.task, names);
        let value = match chapter.outcome {
            Outcome::Failed(value) => value,
            Outcome::Open | Outcome::Bound => None,
        };
        Self {
            binding: chapter.binding,
            driver: chapter.driver.as_deref().map(str::to_owned),
            began: chapter.began.0,
            task,
            tid,
            outcome: match chapter.outcome {
                Outcome::Open => None,
                Outcome::Bound => Some("bound"),
                outcome if outcome.is_deferred() => Some("deferred"),
                Outcome::Failed(_) => Some("failed"),
            },
            error: value,
            error_name: value.map(errno::name),
            bound: chapter.bound.as_ref().map(|(time, _)| time.0),
            owned: chapter
                .bound
                .as_ref()
                .map(|(_, holdings)| HoldingsLine::of(holdings, names)),
            ended: chapter.ended.map(|(time, _)| time.0),
            left: chapter.ended.map(|(_, left)| left),
            steps: chapter
                .steps
                .iter()
                .map(|step| StepLine::of(step, names))
                .collect(),
            steps_hidden: chapter.steps_hidden,
        }
    }
}

impl HoldingsLine {
    fn of(holdings: &Holdings, names: &Names) -> Self {
        let stack = holdings.held.iter().map(|held| {
            let (task, tid) = task(held.task, names);
            let label = names.label(held.label);
            HeldLine {
                name: label
                    .and_then(|label| label.name.as_deref())
                    .unwrap_or_default()
                    .to_owned(),
                label: names.text(held.label).to_owned(),
                size: held.size,
                function: label
                    .and_then(|label| label.function.as_ref())
                    .map(ToString::to_string),
                added: held.added.map(|time| time.0),
                task,
                tid,
                depth: held.depth,
                group: held.marker.map(GroupLine::of),
                added_by: added_by(held.label, names),
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
    fn of(marker: crate::lives::Marker) -> Self {
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
        let item: Option<&Item> = step.what.item();
        let group = item.and_then(|item| item.marker).map(GroupLine::of);
        Self {
            time: step.time.0,
            what: step.what.name(),
            phase: step.phase.name(),
            frame: step.frame.map(Hook::symbol),
            by_device: (step.by != LabelId::NONE).then(|| names.text(step.by).to_owned()),
            task,
            tid,
            label: item.map(|item| names.text(item.label).to_owned()),
            size: item.and_then(|item| item.size),
            group: group.or(match step.what {
                What::GroupReleased(call) => Some(GroupLine {
                    id: call.id.map(|id| format!("{id:#x}")),
                    opens: false,
                    open: false,
                }),
                _ => None,
            }),
            error: match step.what {
                What::ProbeFailed(value) => value,
                _ => None,
            },
            effective: match step.what {
                What::PmAttached(known) => known,
                What::PmDetached(effective) => Some(effective),
                What::GroupReleased(call) => Some(call.found),
                _ => None,
            },
            reason: match step.what {
                What::Doubtful(taint) => Some(taint.to_string()),
                What::Warned(..) | What::FreedActive(_) | What::Splat(_) => {
                    Some(words::step(step, names))
                }
                _ => None,
            },
            added_by: match step.what {
                What::Added(item) => added_by(item.label, names),
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
