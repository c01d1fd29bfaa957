//! Each rule: what it accuses, what it lets pass, and the nearest innocents, as tables of events.

mod dr001;
mod dr002;
mod dr003;
mod dr004;
mod dr005;
mod dr006;
mod dr007;
mod dr008;
mod dr009;
mod dr010;
mod dr011;
mod dr012;
mod dr013;
mod dr014;
mod dr015;
mod dr016;
mod dr017;
mod dr018;
mod dr019;
mod dr020;
mod dr021;
mod dr023;
mod dr024;
mod dr025;
mod dr026;
mod scenes;
mod several;
#[path = "../support/mod.rs"]
mod support;

use devres_tracer::{
    engine::Outcome,
    event::{CallDetail, EventKind, Hook},
    finding::{Finding, Severity},
    rules::RuleSet,
};
use support::{Dev, Story, added, whole};

const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
const OTHER: Dev = Dev(0xff11_0000_0600_0000);
const BLOCK: &str = "devm_kzalloc_release";
const IRQ: &str = "devm_irq_release";

/// A device that begins, on the platform bus, with this driver once it is probed.
fn begin(story: &mut Story, device: Dev, name: &str) {
    story
        .enter(device, Hook::Initialise)
        .named(device, name, "platform", "");
}

/// A probe that succeeds, in which `body` happens.
fn probe(story: &mut Story, device: Dev, driver: &str, body: impl FnOnce(&mut Story)) {
    story
        .named(device, &format!("{driver}-dev"), "platform", driver)
        .enter(device, Hook::Probe);
    body(story);
    story.bound(device);
}

/// An unbind, with `remove` in its driver's remove and `releases` when the resources are released.
fn unbind(
    story: &mut Story,
    device: Dev,
    remove: impl FnOnce(&mut Story),
    releases: impl FnOnce(&mut Story) -> i64,
) {
    story
        .enter(device, Hook::Unbind)
        .enter(device, Hook::Remove);
    remove(story);
    story
        .leave(device, Hook::Remove)
        .enter(device, Hook::Cleanup)
        .enter(device, Hook::ReleaseAll);
    let count = releases(story);
    story.end_unbind(device, count);
}

/// `device_del` and the last put, neither of which has anything to release.
fn delete(story: &mut Story, device: Dev) {
    story
        .enter(device, Hook::Delete)
        .release_nothing(device)
        .leave(device, Hook::Delete)
        .enter(device, Hook::FinalPut)
        .release_nothing(device)
        .leave(device, Hook::FinalPut);
}

fn nothing(_story: &mut Story) {}

fn no_release(_story: &mut Story) -> i64 {
    0
}

/// Adds an action with this argument.
fn add_action_on(story: &mut Story, device: Dev, node: u64, name: &str, data: u64) {
    let mut action = added(node, name, 64);
    action.action_data = data;
    story.push(device, EventKind::Add(action));
}

/// Adds a block of memory whose payload begins 40 bytes behind its node, as on 6.1.
fn add_block(story: &mut Story, device: Dev, node: u64, size: u64) {
    let mut block = added(node, BLOCK, size);
    block.payload_address = node + 40;
    story.push(device, EventKind::Add(block));
}

/// Adds an interrupt.
fn add_irq(story: &mut Story, device: Dev, node: u64, number: u64, dev_id: u64) {
    let mut irq = added(node, IRQ, 16);
    irq.payload = [number, dev_id, 0, 0];
    story.push(device, EventKind::Add(irq));
}

fn call_irq(story: &mut Story, hook: Hook, number: u32, dev_id: u64) {
    story.call(Dev(0), hook, CallDetail::Irq { number, dev_id });
}

/// What one rule finds, in the order of finding.
fn found(story: &Story, rule: &str) -> Vec<(Severity, String)> {
    outcome(story, rule)
        .findings
        .iter()
        .map(|finding| (finding.severity, finding.fingerprint.clone()))
        .collect()
}

/// What one rule has to say of a story in which the model must not go astray.
fn outcome(story: &Story, rule: &str) -> Outcome {
    let outcome = story.judge_by(rule, whole());
    assert_eq!(outcome.desync_details, Vec::<String>::new());
    outcome
}

/// The only finding of a rule, which must be this one.
#[track_caller]
fn accused(story: &Story, rule: &str, severity: Severity, fingerprint: &str) -> Finding {
    assert_eq!(found(story, rule), [(severity, fingerprint.to_owned())]);
    outcome(story, rule).findings.remove(0)
}

/// The rule finds nothing, and nothing that it could not decide.
#[track_caller]
fn innocent(story: &Story, rule: &str) {
    let outcome = outcome(story, rule);
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.undecided, []);
}

/// The rule finds nothing, and could not decide.
#[track_caller]
fn silent(story: &Story, rule: &str) {
    let outcome = outcome(story, rule);
    assert_eq!(outcome.findings, []);
    let undecided: Vec<_> = outcome.undecided.iter().map(|one| one.rule).collect();
    assert_eq!(undecided, [rule]);
}

/// The same story with events lost after `kept` of them: nothing is found, and the rule says that it could not
/// decide.
#[track_caller]
fn silent_after_loss(story: &Story, kept: usize, rule: &str) {
    let mut lossy = Story::new();
    lossy.lose(1);
    let loss = lossy.events.remove(0);
    let mut events = story.events.clone();
    events.insert(kept, loss);
    lossy.events = events;
    let outcome = lossy.judge_by(rule, whole());
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.undecided.len(), 1, "{:?}", outcome.undecided);
}

#[test]
fn every_rule_has_a_page_that_says_what_to_do() {
    let rules = RuleSet::all();
    assert_eq!(rules.infos().count(), 26);
    for info in rules.infos() {
        let title = format!("# {} {}\n", info.id, info.name);
        assert!(info.page.starts_with(&title), "{}", info.id);
        for part in [
            "## What it means",
            "## How it looks",
            "docs/recordings/",
            "## A case",
            "## How to fix it",
            "## When it is a false alarm",
        ] {
            assert!(info.page.contains(part), "{} lacks {part}", info.id);
        }
        assert!(
            info.page.lines().all(|line| line.len() <= 100),
            "{}",
            info.id
        );
    }
}

#[test]
fn fingerprints_tell_no_addresses() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    let mut nameless = added(0x1234_5678, "", 8);
    nameless.name = None;
    story.push(DEVICE, EventKind::Add(nameless));
    accused(&story, "DR011", Severity::Info, "DR011/platform/?/unnamed");
}
