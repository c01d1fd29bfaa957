//! What goes wrong around the tracer: nothing is lost without being counted, nobody is accused, the model stays right, and
//! nothing is left in the kernel.

pub(super) mod machine;
pub(super) mod memory;
pub(super) mod removal;
pub(super) mod stopped;
pub(super) mod suspend;
pub(super) mod two;

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::{NodeEvent, Recording, number, text};
use super::{Session, Test, never, without_log};

/// A script of a session about faults.
macro_rules! with_functions {
    ($script:literal) => {
        concat!(include_str!("functions.sh"), $script)
    };
}
use with_functions;

/// The device that the scripts unbind and bind.
const DEVICE: &str = "devres-test.0";

/// Fails unless the kernel has what it had before anything was traced.
fn nothing_is_left(evidence: &Evidence, name: &str) -> Result<()> {
    let before = evidence.text("untraced.left")?;
    let after = evidence.text(&format!("{name}.left"))?;
    ensure!(
        before == after,
        "before {name} the kernel had\n{before}and after it\n{after}"
    );
    Ok(())
}

/// Fails if somebody is accused, or the model is wrong.
fn is_harmless(recording: &Recording) -> Result<()> {
    recording.ensure_nothing_wrong()?;
    ensure!(
        number(&recording.summary, "/desyncs")? == 0,
        "the model is wrong: {}",
        recording.summary_without_coverage()
    );
    Ok(())
}

/// Fails unless everything that is missing was reported where it is missing. Yields how much that is.
fn is_counted(recording: &Recording) -> Result<u64> {
    let lost = number(&recording.summary, "/lost")?;
    let mut told = 0;
    for loss in &recording.losses {
        told += number(loss, "/count")?;
    }
    ensure!(
        told == lost,
        "the stream reports {told} lost events, the summary {lost}"
    );
    Ok(lost)
}

/// Fails unless the device did the same in each of so many cycles, from one unbind to the next.
fn cycles_are_alike(recording: &Recording, cycles: usize) -> Result<()> {
    let events: Vec<NodeEvent> = recording
        .node_events()?
        .into_iter()
        .filter(|event| event.device == DEVICE)
        .collect();
    let what: Vec<_> = events
        .iter()
        .map(|event| (event.operation, event.name.as_str(), event.size))
        .collect();
    ensure!(
        !what.is_empty() && what.len().is_multiple_of(cycles),
        "{} events in {cycles} cycles",
        what.len()
    );
    let mut chunks = what.chunks(what.len() / cycles);
    let first = chunks.next().unwrap_or_default();
    ensure!(
        first.len() > 20,
        "only {} events in a cycle: {first:?}",
        first.len()
    );
    for (number, chunk) in chunks.enumerate() {
        ensure!(
            chunk == first,
            "cycle {} differs from the first: {chunk:?}\n{first:?}",
            number + 2
        );
    }
    Ok(())
}
