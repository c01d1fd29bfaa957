//! A check from events to results: what the policy, expectations and assertions make of a run.

mod assertions;
mod cycles;
mod expectations;
mod failed_probes;
#[path = "../support/mod.rs"]
mod support;
mod verdicts;

use devres_tracer::{
    check::{Date, Examination, Policy, Results, RunEnd, Status},
    event::Hook,
    evidence::{Coverage, SourceInformation},
};

use support::{Dev, Story, whole};

const DEVICE: Dev = Dev(0xffff_8880_0310_4810);

const NODES: [(u64, &str, u64); 3] = [
    (0x10_0000, "devm_ioport_map_release", 8),
    (0x20_0000, "devm_kzalloc_release", 32),
    (0x30_0000, "pvpanic_remove", 16),
];
const TODAY: Date = Date::constant(2026, 3, 1);

const EXPECTED: &str = r#"
    [[expect]]
    fingerprint = "DR001/platform/pvpanic-mmio"
    reason = "known"
"#;

/// How a driver is unbound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unbind {
    /// As it should be.
    Right,
    /// The PM domain is detached first.
    Early,
    /// Something is added while it goes on, and stays.
    Leaving,
}

fn bind(story: &mut Story, nodes: &[(u64, &str, u64)]) {
    story
        .named(DEVICE, "QEMU0001:00", "platform", "pvpanic-mmio")
        .enter(DEVICE, Hook::Probe)
        .attach(DEVICE);
    for (node, name, size) in nodes {
        story.add(DEVICE, *node, name, *size);
    }
    story.bound(DEVICE);
}

fn unbind(story: &mut Story, nodes: &[(u64, &str, u64)], how: Unbind) {
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove);
    if how == Unbind::Early {
        story.detach(DEVICE);
    }
    story
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll);
    for (node, name, size) in nodes.iter().rev() {
        story.rel(DEVICE, *node, name, *size);
    }
    let count = i64::try_from(nodes.len()).expect("a few nodes");
    story.returned(DEVICE, Hook::ReleaseAll, Some(count));
    if how == Unbind::Leaving {
        story.add(DEVICE, 0x90_0000, "late", 4);
    }
    if how != Unbind::Early {
        story.detach(DEVICE);
    }
    story
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind);
}

/// One binding after the other, each unbound like this.
fn story(how: &[Unbind]) -> Story {
    let mut story = Story::new();
    story.enter(DEVICE, Hook::Initialise);
    for how in how {
        bind(&mut story, &NODES);
        unbind(&mut story, &NODES, *how);
    }
    story
}

fn begin(policy: &str, coverage: Coverage) -> (Examination, Policy) {
    let policy = Policy::read("policy.toml", policy).expect("the policy can be read");
    let information = SourceInformation {
        tool: "1".to_owned(),
        kernel: Some("6.1".to_owned()),
        machine: None,
        coverage,
        filters: Vec::new(),
    };
    (Examination::new(information, policy.clone()), policy)
}

fn check_with(story: &Story, policy: &str, coverage: Coverage) -> Results {
    let (mut examination, _) = begin(policy, coverage);
    for event in &story.events {
        examination.event(event);
    }
    examination.finish(RunEnd::on(TODAY))
}

fn check(story: &Story, policy: &str) -> Results {
    check_with(story, policy, whole())
}

#[track_caller]
fn test<'a>(results: &'a Results, group: &str, name: &str) -> (Status, &'a str) {
    let found = results
        .tests()
        .find(|(own, test)| own.name == group && test.name == name);
    let (_, test) = found.unwrap_or_else(|| panic!("no test {name:?} in {group:?}: {results:?}"));
    (test.status, &test.message)
}

#[track_caller]
fn dr001(results: &Results) -> (Status, &str) {
    test(results, "platform/QEMU0001:00", "DR001")
}
