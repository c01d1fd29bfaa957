//! From the model's nodes to what a finding keeps of them.

use super::{Added, Cause, Resource, subject::Subject, text};
use crate::{
    event::{Function, SourceLine, StackDefinition, StackFrame, Task, Time},
    model::{Hazard, Node, Origin, kind::plain_name},
};

/// A stack's frames as strings, innermost first.
#[must_use]
pub fn frames(stack: &StackDefinition) -> Vec<String> {
    stack.frames.iter().map(ToString::to_string).collect()
}

impl Subject {
    /// Its driver as the culprit: what ran for it, on which task, and the call stack where one was taken.
    #[must_use]
    pub fn cause(
        &self,
        frame: &'static str,
        task: &Task,
        stack: Option<&StackDefinition>,
    ) -> Cause {
        Cause {
            device: self.name().to_owned(),
            instance: self.key,
            driver: self.driver().map(str::to_owned),
            frame,
            task: task.comm.name().into_owned(),
            tid: task.tid,
            stack: stack.map(frames).unwrap_or_default(),
            line: stack.and_then(call_site),
        }
    }
}

/// Who added a node.
#[must_use]
pub fn added_by(node: &Node) -> Added {
    let seen = node.origin() == Origin::Seen;
    Added {
        time: seen.then(|| node.added()),
        task: seen.then(|| node.task().comm.name().into_owned()),
        tid: seen.then(|| node.task().tid),
        phase: node.phase().name(),
        stack_id: node.stack().map(|stack| stack.id.0),
        by: node.stack().and_then(asked_by).map(ToString::to_string),
        line: node.stack().and_then(call_site),
        stack: node.stack().map(frames).unwrap_or_default(),
    }
}

/// The innermost function on an addition's stack that is none of devres itself.
fn asked_by(stack: &StackDefinition) -> Option<&Function> {
    asking(&stack.frames)?.function.as_deref()
}

/// The line of the innermost call on a stack that is not in devres itself, where debug info was looked up.
#[must_use]
pub fn call_site(stack: &StackDefinition) -> Option<SourceLine> {
    asking(&stack.frames)?.line.as_deref().cloned()
}

fn asking(frames: &[StackFrame]) -> Option<&StackFrame> {
    let outside = frames.iter().find(|frame| {
        frame
            .function
            .as_deref()
            .is_none_or(|function| !text::is_of_devres(function))
    });
    // A release whose last call is the addition leaves no frame: then it stands right above what runs all releases.
    outside.filter(|frame| {
        frame
            .function
            .as_deref()
            .is_none_or(|function| !text::runs_releases(function))
    })
}

/// The name of the function that asked for a node, as far as it is the same in every run. None where nobody knows.
#[must_use]
pub fn asker(node: &Node) -> Option<&str> {
    let stack = node.stack()?;
    stack.lasting_name(asked_by(stack)?)
}

/// What distinguishes a node in fingerprints: its label, and who asked for it if that is known.
#[must_use]
pub fn mark(node: &Node) -> String {
    let label = label(node);
    asker(node).map_or_else(|| label.to_owned(), |asker| format!("{label}/{asker}"))
}

/// A node as a finding keeps it, released at `released` when something had come too early at `early`.
#[must_use]
pub fn resource(node: &Node, released: Option<Time>, early: Time) -> Resource {
    Resource {
        name: node.name().map_or_else(
            || node.address().to_string(),
            |name| name.as_ref().to_owned(),
        ),
        kind: node.kind().name(),
        touches_hardware: node.kind().hazard().is_some_and(Hazard::touches_hardware),
        size: node.size(),
        function: node.function().map(ToString::to_string),
        added: added_by(node),
        released,
        delay: released.map(|released| released.since(early)),
    }
}

/// A node as a finding keeps it, while it lives or where it does not matter when it went.
#[must_use]
pub fn live_resource(node: &Node) -> Resource {
    resource(node, None, Time::default())
}

/// What to call a node in sentences and fingerprints: the name without casts, or the function where the
/// kernel names all actions alike. Never an address.
#[must_use]
pub fn label(node: &Node) -> &str {
    let name = node.name().map_or("", |name| plain_name(name));
    if !is_nameless(name) {
        return name;
    }
    let function = node.function().and_then(|function| function.base_name());
    function.unwrap_or(if name.is_empty() { UNNAMED } else { name })
}

/// What a resource without any name is called.
const UNNAMED: &str = "unnamed";

/// Whether a label distinguishes resources no better than "a resource" or "an action" would.
#[must_use]
pub fn is_nameless(label: &str) -> bool {
    matches!(label, "" | "action" | "devm_action_release" | UNNAMED)
}
