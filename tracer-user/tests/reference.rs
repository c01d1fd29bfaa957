//! The model against a plain implementation of drivers/base/devres.c.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod operations;
mod support;

use std::{collections::BTreeSet, sync::Arc};

use devres_tracer::{
    engine::{Engine, Outcome, Verdict},
    event::{DeviceAddress, Event, EventKind, Loss, LossCause},
    evidence::Coverage,
    finding::Severity,
    model::{Change, Model},
    rules::RuleSet,
    source::redaction::Redaction,
};
use operations::{DEVICES, Operation, operations, ordinary};
use proptest::{collection::vec, prelude::*};
use support::{
    Dev,
    devres::{Checkpoint, Kernel},
    reduced, whole,
};

fn kernel(operations: &[(usize, Operation)], logs: bool, inverted: bool) -> Kernel {
    let mut kernel = Kernel::new(logs, inverted);
    let names = ["one", "two"];
    for (device, name) in DEVICES.into_iter().zip(names) {
        kernel.begin(device, name);
    }
    for (index, operation) in operations {
        let device = DEVICES[*index];
        match *operation {
            Operation::Add(callback) => {
                kernel.add(device, callback, false);
            }
            Operation::Remove(choice) => kernel.remove(device, choice),
            Operation::Krealloc(choice) => kernel.krealloc(device, choice),
            Operation::OpenGroup(id) => kernel.open_group(device, id),
            Operation::CloseGroup(choice) => {
                let id = kernel.group_id(device, choice);
                kernel.close_group(device, id);
            }
            Operation::RemoveGroup(choice) => {
                let id = kernel.group_id(device, choice);
                kernel.remove_group(device, id);
            }
            Operation::ReleaseGroup(choice, before, after) => {
                let id = kernel.group_id(device, choice);
                kernel.release_group(device, id, before, after);
            }
            Operation::ReleaseAll(before, after) => kernel.release_all(device, before, after),
            Operation::Probe(count) => kernel.probe(device, count),
            Operation::Unbind => kernel.unbind(device),
            Operation::Reincarnate => kernel.reincarnate(device, names[*index]),
        }
        kernel.check(device);
    }
    kernel
}

fn state(model: &Model, device: Dev, events: usize) -> Checkpoint {
    let found = model.device(device.address()).unwrap();
    Checkpoint {
        events,
        device,
        list: found.nodes().map(|(_, node)| node.address().0).collect(),
        groups: found
            .groups()
            .map(|(id, _, close)| (id.0, close.is_some()))
            .collect(),
    }
}

fn follow(kernel: &Kernel, coverage: Coverage) -> Result<(), TestCaseError> {
    let mut model = Model::new(Arc::new(coverage));
    let mut checkpoints = kernel.checkpoints.iter().peekable();
    for (event, number) in kernel.story.events.iter().zip(1..) {
        for change in model.apply(event) {
            prop_assert!(
                !matches!(change, Change::Desynced(_) | Change::Tainted { .. }),
                "{change:?} at {event:?}"
            );
        }
        while let Some(expected) = checkpoints.next_if(|checkpoint| checkpoint.events == number) {
            prop_assert_eq!(&state(&model, expected.device, number), expected);
        }
    }
    prop_assert!(checkpoints.next().is_none());
    Ok(())
}

/// The events without those that `dropped` says, and a loss in the place of each gap.
fn with_losses(events: &[Event], dropped: &[bool]) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::new();
    for (event, dropped) in events.iter().zip(dropped.iter().cycle()) {
        if !dropped {
            kept.push(event.clone());
            continue;
        }
        if let Some(Event {
            kind: EventKind::Loss(loss),
            ..
        }) = kept.last_mut()
        {
            loss.count += 1;
            continue;
        }
        kept.push(Event {
            kind: EventKind::Loss(Loss {
                count: 1,
                cause: LossCause::RingFull,
            }),
            ..event.clone()
        });
    }
    kept
}

/// What is worse than worth knowing: on which device, by which rule, and what. Bus and driver may be among
/// what was lost.
fn accusations(outcome: &Outcome) -> BTreeSet<(DeviceAddress, &'static str, String)> {
    outcome
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Info)
        .map(|finding| {
            let what = finding
                .fingerprint
                .splitn(4, '/')
                .nth(3)
                .unwrap_or_default();
            (finding.instance.address, finding.rule, what.to_owned())
        })
        .collect()
}

fn judge_with(events: &[Event], coverage: Coverage) -> Outcome {
    let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
    for event in events {
        engine.apply(event);
    }
    engine.finish()
}

/// What was found, on which device and how often.
fn findings(outcome: &Outcome) -> Vec<(&str, &str, Severity, u64)> {
    let found = outcome.findings.iter();
    let found = found.map(|one| (&*one.fingerprint, &*one.device, one.severity, one.count));
    found.collect()
}

/// The events with their small addresses where a kernel has its memory.
fn lifted(events: &[Event]) -> Vec<Event> {
    fn lift(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                let digits = text.strip_prefix("0x");
                let word = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                if let Some(word) = word.filter(|word| (0x100..1 << 32).contains(word)) {
                    *text = format!("{:#x}", word + 0xffff_8880_0000_0000);
                }
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(lift),
            serde_json::Value::Object(members) => members.values_mut().for_each(lift),
            _ => {}
        }
    }
    let lifted = |event: &Event| {
        let mut value = serde_json::to_value(event).unwrap();
        lift(&mut value);
        serde_json::from_value(value).unwrap()
    };
    events.iter().map(lifted).collect()
}

fn judge(events: &[Event]) -> Outcome {
    judge_with(events, whole())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_model_is_what_the_kernel_has(operations in operations(60)) {
        follow(&kernel(&operations, true, false), whole())?;
    }

    #[test]
    fn the_model_concludes_what_the_kernel_does_not_log(operations in operations(60)) {
        follow(&kernel(&operations, false, false), reduced())?;
    }

    #[test]
    fn what_is_redacted_is_judged_the_same(operations in operations(60), logs: bool) {
        let events = lifted(&kernel(&operations, logs, true).story.events);
        let coverage = if logs { whole() } else { reduced() };
        let mut redaction = Redaction::new();
        let redacted: Vec<Event> = events.iter().map(|event| redaction.event(event)).collect();
        let (plain, redacted) = (judge_with(&events, coverage.clone()), judge_with(&redacted, coverage));
        prop_assert_eq!(findings(&redacted), findings(&plain));
        prop_assert_eq!(redacted.verdict(Severity::Warn), plain.verdict(Severity::Warn));
        prop_assert_eq!(redacted.desync_details.len(), plain.desync_details.len());
        prop_assert_eq!(redacted.undecided.len(), plain.undecided.len());
    }

    #[test]
    fn losses_taint_and_never_accuse(
        operations in operations(40),
        dropped in prop_oneof![
            vec(proptest::bool::weighted(0.02), 1..400),
            vec(proptest::bool::weighted(0.3), 1..200),
        ],
    ) {
        let whole_story = kernel(&operations, true, true).story.events;
        let events = with_losses(&whole_story, &dropped);
        let lost = events.iter().any(|event| matches!(event.kind, EventKind::Loss(_)));
        let outcome = judge(&events);
        prop_assert_eq!(&outcome.desync_details, &Vec::<String>::new());
        let known = accusations(&judge(&whole_story));
        for accusation in accusations(&outcome) {
            prop_assert!(known.contains(&accusation), "{:?} for want of events", accusation);
        }
        let verdict = outcome.verdict(Severity::Error);
        prop_assert!(!lost || verdict != Verdict::Clean);
    }

    #[test]
    fn ordinary_drivers_are_innocent(
        operations in operations(60),
        dropped in vec(proptest::bool::weighted(0.05), 1..400),
        logs: bool,
    ) {
        let story = ordinary(&operations, logs);
        let coverage = || if logs { whole() } else { reduced() };
        let outcome = story.story.judge(coverage());
        prop_assert_eq!(&outcome.desync_details, &Vec::<String>::new());
        prop_assert_eq!(accusations(&outcome), BTreeSet::new());
        prop_assert_eq!(outcome.verdict(Severity::Error), Verdict::Clean);
        let events = with_losses(&story.story.events, &dropped);
        prop_assert_eq!(accusations(&judge_with(&events, coverage())), BTreeSet::new());
    }

    #[test]
    fn losses_on_a_kernel_in_the_wrong_order_are_no_desync(
        operations in operations(40),
        dropped in vec(proptest::bool::weighted(0.05), 1..400),
    ) {
        let events = with_losses(&kernel(&operations, true, true).story.events, &dropped);
        let mut engine = Engine::new(Arc::new(whole()), RuleSet::all());
        for event in &events {
            engine.apply(event);
        }
        prop_assert_eq!(engine.finish().desync_details, Vec::<String>::new());
    }

    #[test]
    fn a_kernel_in_the_wrong_order_is_accused_and_no_other(
        operations in operations(40),
        inverted: bool,
    ) {
        let kernel = kernel(&operations, true, inverted);
        let outcome = kernel.story.judge_by("DR001", whole());
        let found: u64 = outcome.findings.iter().map(|finding| finding.count).sum();
        prop_assert!(found >= kernel.inversions as u64);
        if !inverted {
            prop_assert_eq!(outcome.verdict(Severity::Info), Verdict::Clean);
        }
    }
}
