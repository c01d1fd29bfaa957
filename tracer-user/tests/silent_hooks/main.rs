//! Hooks that are attached and deliver nothing: every sign of one, and everything that looks like one and is not.

mod no_sign;
#[path = "../support/mod.rs"]
mod support;

use devres_tracer::{
    engine::{Outcome, Verdict},
    event::{EventKind, Hook},
    evidence::{Before, Coverage},
    finding::Severity,
    model::Sign,
};

use support::{Dev, Story, added, recorded, whole};
use tracer_ebpf::{Point, Trait};

const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
const OTHER: Dev = Dev(0xff11_0000_0600_0000);
const BLOCK: &str = "devm_kzalloc_release";
const NODE: u64 = 0xff11_0000_0700_0000;

/// A whole life: begin, probe with two resources and a group, unbind, delete, last put; with stacks.
fn life(story: &mut Story) {
    begin(story);
    probe(story);
    unbind(story);
    delete(story);
}

fn begin(story: &mut Story) {
    // Who it is stands before the event that it came with.
    story
        .named(DEVICE, "dev0", "platform", "")
        .enter(DEVICE, Hook::Initialise);
}

fn probe(story: &mut Story) {
    story
        .named(DEVICE, "dev0", "platform", "drv")
        .enter(DEVICE, Hook::Probe)
        .attach(DEVICE)
        .stack(&["devm_kmalloc", "drv_probe@drv", "really_probe"])
        .add(DEVICE, NODE, BLOCK, 64)
        .enter(DEVICE, Hook::DevresAdd)
        .stack(&[
            "add_dr",
            "devres_add",
            "devm_ioremap",
            "drv_probe@drv",
            "really_probe",
        ])
        .add(DEVICE, NODE + 0x100, "devm_ioremap_release", 8)
        .open_group(DEVICE, 0, NODE + 0x200)
        .close_group(DEVICE, 0, NODE + 0x200)
        .krealloc(DEVICE, NODE, NODE + 0x300)
        .stack(&["driver_bound", "really_probe"])
        .bound(DEVICE);
}

fn unbind(story: &mut Story) {
    story
        .begin_unbind(DEVICE)
        .rel(DEVICE, NODE + 0x200, "grp<", 0)
        .rel(DEVICE, NODE + 0x100, "devm_ioremap_release", 8)
        .rel(DEVICE, NODE + 0x300, "devm_krealloc_release", 64)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    story
        .detach(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind)
        .named(DEVICE, "dev0", "platform", "");
}

fn delete(story: &mut Story) {
    story
        .enter(DEVICE, Hook::Delete)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Delete)
        .enter(DEVICE, Hook::FinalPut)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::FinalPut);
}

/// The story without what these hooks reported, from event `from` on: as if they had been attached and silent.
fn silenced(story: &Story, hooks: &[Hook], from: usize) -> Story {
    let mut silenced = Story::new();
    silenced.events = story
        .events
        .iter()
        .enumerate()
        .filter(|(place, event)| {
            let hook = match &event.kind {
                EventKind::Enter(call) => Some(call.hook),
                EventKind::Leave(left) => Some(left.hook),
                _ => None,
            };
            *place < from || hook.is_none_or(|hook| !hooks.contains(&hook))
        })
        .map(|(_, event)| event.clone())
        .collect();
    silenced
}

fn by_functions() -> Vec<Hook> {
    let told = |hook: &Hook| {
        let row = hook.description();
        row.point == Point::Function && !row.has(Trait::InMemory)
    };
    Hook::ALL.into_iter().filter(told).collect()
}

fn signs(outcome: &Outcome) -> Vec<Sign> {
    outcome.silent_hooks.iter().map(|one| one.sign).collect()
}

/// Nothing is silent, and everything could be decided.
#[track_caller]
fn healthy(story: &Story, coverage: Coverage) {
    let outcome = story.judge(coverage);
    assert_eq!(signs(&outcome), [], "{:#?}", outcome.silent_hooks);
}

/// The verdict is open, and the hook is named.
#[track_caller]
fn silent(story: &Story, coverage: Coverage, sign: Sign, symbol: &str) {
    let outcome = story.judge(coverage);
    assert!(
        signs(&outcome).contains(&sign),
        "{:#?}",
        outcome.silent_hooks
    );
    assert_eq!(
        outcome.verdict(Severity::Error),
        Verdict::Inconclusive,
        "{outcome:#?}"
    );
    assert_eq!(outcome.desync_details, [""; 0], "no fault of the tracer");
    let told = outcome.silent_hooks.iter().find(|one| one.sign == sign);
    let told = told.map(ToString::to_string).unwrap_or_default();
    assert!(told.contains(symbol), "{told}");
    assert!(told.contains("attached and silent"), "{told}");
}

#[test]
fn a_healthy_life_shows_no_sign() {
    let mut story = Story::new();
    life(&mut story);
    life(&mut story);
    let outcome = story.judge(whole());
    assert_eq!(signs(&outcome), []);
    assert_eq!(
        outcome.verdict(Severity::Error),
        Verdict::Clean,
        "{outcome:#?}"
    );
    healthy(&story, recorded());
    let mut snapped = Story::new();
    snapped.snapshot(OTHER, "", &[]);
    life(&mut snapped);
    let mut coverage = whole();
    coverage.before = Before::Snapshot;
    healthy(&snapped, coverage);
}

/// Which hook falls silent, from which event of the second life on, and what shows it.
#[test]
fn each_sign_shows_a_silent_hook() {
    let skipped = |inner, outer| Sign::Skipped { inner, outer };
    let cases: [(&[Hook], Sign, &str); 10] = [
        (
            &[Hook::ReleaseAll],
            Sign::ReleaseOutsideCall,
            "devres_release_all",
        ),
        (
            &[Hook::ReleaseAll],
            skipped(Hook::ReleaseAll, Hook::Cleanup),
            "devres_release_all",
        ),
        (
            &[Hook::Remove],
            skipped(Hook::Remove, Hook::Unbind),
            "device_remove",
        ),
        (
            &[Hook::Cleanup],
            skipped(Hook::Cleanup, Hook::Unbind),
            "device_unbind_cleanup",
        ),
        (
            &[Hook::Bound],
            skipped(Hook::Bound, Hook::Probe),
            "driver_bound",
        ),
        (
            &[Hook::Unbind],
            Sign::WithoutCaller(Hook::Remove),
            "device_release_driver_internal",
        ),
        (&[Hook::Probe], Sign::OnStack(Hook::Probe), "really_probe"),
        (
            &[Hook::DevresAdd],
            Sign::EffectWithoutCall(Hook::DevresAdd),
            "devres_add",
        ),
        (
            &[Hook::OpenGroup],
            Sign::EffectWithoutCall(Hook::OpenGroup),
            "devres_open_group",
        ),
        (
            &[Hook::CloseGroup],
            Sign::EffectWithoutCall(Hook::CloseGroup),
            "devres_close_group",
        ),
    ];
    for (hooks, sign, symbol) in cases {
        let mut story = Story::new();
        life(&mut story);
        let second = story.events.len();
        life(&mut story);
        for from in [0, second] {
            silent(&silenced(&story, hooks, from), whole(), sign, symbol);
        }
    }
    let mut story = Story::new();
    life(&mut story);
    let krealloc = silenced(&story, &[Hook::Krealloc], 0);
    silent(
        &krealloc,
        whole(),
        Sign::EffectWithoutCall(Hook::Krealloc),
        "devm_krealloc",
    );
}

#[test]
fn a_domain_that_goes_by_itself_shows_a_silent_detach() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    unbind(&mut story);
    story
        .pm(DEVICE, Hook::Probe, support::NO_DOMAIN)
        .returned(DEVICE, Hook::Probe, Some(-19));
    healthy(&story, whole());
    let sign = Sign::EffectWithoutCall(Hook::PmDetach);
    silent(
        &silenced(&story, &[Hook::PmDetach], 0),
        whole(),
        sign,
        "dev_pm_domain_detach",
    );
}

#[test]
fn a_return_that_its_caller_outran_shows_a_silent_return() {
    let mut story = Story::new();
    life(&mut story);
    story.events.retain(
        |event| !matches!(&event.kind, EventKind::Leave(left) if left.hook == Hook::Remove),
    );
    let mut at_cleanup = Story::new();
    at_cleanup.events.clone_from(&story.events);
    silent(
        &at_cleanup,
        whole(),
        Sign::NotReturned(Hook::Remove),
        "device_remove",
    );
}

#[test]
fn all_functions_at_once_fall_silent_before_and_during_a_trace() {
    let mut story = Story::new();
    life(&mut story);
    let second = story.events.len();
    life(&mut story);
    for from in [0, second] {
        let outcome = silenced(&story, &by_functions(), from).judge(whole());
        assert_ne!(signs(&outcome), []);
        assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
        assert_eq!(outcome.findings, [], "ignorance is no accusation");
        assert_eq!(outcome.desync_details, [""; 0]);
    }
    // Of a device that was bound before, only what it releases is seen.
    let mut bound = Story::new();
    bound.snapshot(DEVICE, "drv", &[added(NODE, BLOCK, 64)]);
    bound.rel(DEVICE, NODE, BLOCK, 64);
    let mut coverage = whole();
    coverage.before = Before::Snapshot;
    silent(
        &bound,
        coverage,
        Sign::ReleaseOutsideCall,
        "devres_release_all",
    );
}

#[test]
fn a_driver_that_came_by_itself_is_told_at_the_end_where_there_are_no_stacks() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .named(DEVICE, "dev0", "platform", "drv")
        .add(DEVICE, NODE, BLOCK, 64);
    silent(
        &story,
        whole(),
        Sign::DriverWithoutProbe,
        "really_probe or driver_bound",
    );
    // device_bind_driver() probes nothing, and says that it has bound.
    story.enter(DEVICE, Hook::Bound);
    healthy(&story, whole());
}
