//! Events as no kernel would send them: the model stays whole, and every rule judges.

use std::sync::Arc;

use devres_tracer::{
    engine::Engine,
    event::Time,
    finding::Severity,
    model::{Device, Model},
    rules::RuleSet,
};

use super::{Bound, Target, script};
use crate::support::{recorded, reduced, whole};

pub(super) const TARGET: Target = Target {
    name: "model",
    run,
    size: <[u8]>::len,
    held: Bound::new(1 << 20, 250),
    asked_for: Bound::new(1 << 20, 500),
};

/// Of longer stories the model is looked at in between only now and then, lest that take longer than all else.
const MOST_LOOKS: usize = 200;

fn run(input: &[u8]) -> String {
    let (coverage, story) = input.split_first().unwrap_or((&0, &[]));
    let coverage = match coverage % 3 {
        0 => whole(),
        1 => reduced(),
        _ => recorded(),
    };
    let events = script::events(story);
    let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
    for (number, event) in events.iter().enumerate() {
        engine.apply(event);
        if number.is_multiple_of(events.len() / MOST_LOOKS + 1) {
            is_whole(engine.model());
        }
    }
    is_whole(engine.model());
    let last = engine.model().now();
    engine.pass(Time(last.0.saturating_add(60_000_000_000)));
    let outcome = engine.finish();
    assert_eq!(outcome.events, events.len() as u64);
    format!("{:?} {outcome:?}", outcome.verdict(Severity::Error))
}

fn is_whole(model: &Model) {
    for device in model.devices() {
        let listed = device.nodes().count();
        let releasing = device.releasing().count();
        assert_eq!(listed, device.nodes().rev().count());
        assert_eq!(releasing, device.releasing().rev().count());
        assert_eq!(listed + releasing, device.node_count());
        for (_, node) in device.nodes().chain(device.releasing()) {
            let owner = model.owner(node).map(Device::key);
            assert_eq!(owner, Some(device.key()));
        }
        for (_, open, close) in device.groups() {
            for marker in [Some(open), close].into_iter().flatten() {
                assert!(device.nodes().any(|(id, _)| id == marker));
            }
        }
    }
}
