//! What steps have in common, kept once.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Frames;
use crate::{
    event::{Function, Task, Text, Time},
    finding::{label, text::telling},
    model::{Kind, Node, SiteId, kind::plain_name},
};

/// Tasks that are distinguished; beyond that they have no name.
const MOST_TASKS: usize = 1 << 16;

/// Sites that are found without looking at what they are.
const MOST_SITES: usize = 1 << 16;

/// Stands for a [`Label`]; [`LabelId::NONE`] for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelId(u32);

impl LabelId {
    /// No label.
    pub const NONE: Self = Self(u32::MAX);
}

/// Stands for a task; [`TaskId::NONE`] for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId(u32);

impl TaskId {
    /// No task.
    pub const NONE: Self = Self(u32::MAX);
}

impl Default for TaskId {
    fn default() -> Self {
        Self::NONE
    }
}

/// What a resource is and where it was added; or a text, such as the name of a device.
#[derive(Debug, Clone)]
pub struct Label {
    /// What to call it: the logged name, or the function where the kernel names all actions alike.
    pub text: Text,
    /// The name that the kernel logs, as it stands.
    pub name: Option<Text>,
    /// What runs on its release.
    pub function: Option<Arc<Function>>,
    /// What it is.
    pub kind: Option<Kind>,
    /// The kernel stack of its addition.
    pub frames: Option<Frames>,
    /// The frame of it that shows who it was.
    pub by: Option<Text>,
}

/// Everything that steps refer to by number.
#[derive(Debug, Default)]
pub struct Names {
    labels: Vec<Label>,
    tasks: Vec<Task>,
    sites: HashMap<SiteId, LabelId>,
    by_content: HashMap<Content, LabelId>,
    by_name: HashMap<Text, LabelId>,
    by_task: HashMap<Task, TaskId>,
    /// Whether the source has no times, and counts its events instead.
    pub(super) numbered: bool,
}

/// What makes two labels the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Content {
    name: Option<Text>,
    function: Option<Arc<Function>>,
    kind: Kind,
    frames: Vec<u64>,
    by: Option<Text>,
}

impl Names {
    /// The label with this number.
    #[must_use]
    pub fn label(&self, id: LabelId) -> Option<&Label> {
        self.labels.get(id.0 as usize)
    }

    /// What to call what has this number.
    #[must_use]
    pub fn text(&self, id: LabelId) -> &str {
        self.label(id).map_or("", |label| &label.text)
    }

    /// The task with this number.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(id.0 as usize)
    }

    /// A time as it is shown: the number of the event where the source has no times.
    #[must_use]
    pub fn moment(&self, time: Time) -> String {
        if self.numbered {
            time.as_event()
        } else {
            time.to_string()
        }
    }

    /// Whether the source has no times, and [`Self::moment`] counts events.
    #[must_use]
    pub const fn are_numbered(&self) -> bool {
        self.numbered
    }

    /// The number of a node's label.
    pub(super) fn of_node(&mut self, node: &Node) -> LabelId {
        let site = node.site();
        if let Some(id) = self.sites.get(&site)
            && self
                .labels
                .get(id.0 as usize)
                .is_some_and(|label| label.is_of(node))
        {
            return *id;
        }
        let frames = node.stack().map(|stack| Arc::clone(&stack.frames));
        let by = frames.as_deref().and_then(|frames| {
            let frames: Vec<String> = frames.iter().map(ToString::to_string).collect();
            let first = telling(&frames).first().or(frames.first());
            first.map(|frame| Text::from(frame.as_str()))
        });
        let content = Content {
            name: node.name().cloned(),
            function: node.function().cloned(),
            kind: node.kind(),
            frames: frames
                .iter()
                .flat_map(|frames| frames.iter().map(|frame| frame.address ^ frame.offset))
                .collect(),
            by: by.clone(),
        };
        let id = if let Some(id) = self.by_content.get(&content) {
            *id
        } else {
            let id = self.push(Label {
                text: Text::from(label(node)),
                name: node.name().cloned(),
                function: node.function().cloned(),
                kind: Some(node.kind()),
                frames,
                by,
            });
            self.by_content.insert(content, id);
            id
        };
        if self.sites.len() >= MOST_SITES {
            self.sites.clear();
        }
        self.sites.insert(site, id);
        id
    }

    /// The number of a text, such as a device's name.
    pub(super) fn of_text(&mut self, name: &Text) -> LabelId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = self.push(Label {
            text: Arc::clone(name),
            name: None,
            function: None,
            kind: None,
            frames: None,
            by: None,
        });
        self.by_name.insert(Arc::clone(name), id);
        id
    }

    /// The number of a task.
    pub(super) fn of_task(&mut self, task: &Task) -> TaskId {
        if let Some(id) = self.by_task.get(task) {
            return *id;
        }
        if self.tasks.len() >= MOST_TASKS {
            return TaskId::NONE;
        }
        let id = TaskId(u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
        self.tasks.push(*task);
        self.by_task.insert(*task, id);
        id
    }

    fn push(&mut self, label: Label) -> LabelId {
        let id = LabelId(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        self.labels.push(label);
        id
    }
}

impl Label {
    /// Whether it is certainly the node's: what it holds on to can't have been replaced at its place.
    fn is_of(&self, node: &Node) -> bool {
        let frames = node.stack().map(|stack| &stack.frames);
        same(self.name.as_ref(), node.name())
            && same(self.function.as_ref(), node.function())
            && same(self.frames.as_ref(), frames)
            && self.kind == Some(node.kind())
    }

    /// Whether the source doesn't say which action it is.
    #[must_use]
    pub fn is_unnamed_action(&self) -> bool {
        let name = plain_name(&self.text);
        matches!(self.kind, Some(Kind::Action(_)))
            && matches!(name, "devm_action_release" | "action" | "unnamed")
    }
}

fn same<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}
