//! The nearest innocents of DR001.

use devres_tracer::{
    engine::Verdict,
    event::{Hook, PmDomain},
    finding::Severity,
};

use super::{DEVICE, OTHER, add_all, begin, probe, release_all, unbind};
use crate::support::{DOMAIN, NO_DOMAIN, Story, only, whole};

#[track_caller]
pub(super) fn innocent(story: &Story) {
    let outcome = story.judge_by("DR001", whole());
    assert_eq!(outcome.findings, []);
    assert_eq!(
        outcome.verdict(Severity::Info),
        Verdict::Clean,
        "{outcome:?}"
    );
}

#[test]
fn a_detach_that_detaches_nothing_is_innocent() {
    let no_callback = PmDomain {
        domain: DOMAIN.domain,
        detach: 0,
    };
    for domain in [NO_DOMAIN, no_callback] {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, &["devm_irq_release"]);
        unbind(&mut story, DEVICE, domain, &["devm_irq_release"]);
        innocent(&story);
    }
}

#[test]
fn a_virtual_domain_device_is_innocent() {
    let mut story = Story::new();
    story
        .enter(DEVICE, Hook::Initialise)
        .named(DEVICE, "genpd:0:soc", "genpd", "driver");
    probe(&mut story, DEVICE, &["devm_irq_release"]);
    unbind(&mut story, DEVICE, DOMAIN, &["devm_irq_release"]);
    innocent(&story);
}

#[test]
fn a_device_that_was_never_probed_is_innocent() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.attach(DEVICE);
    add_all(&mut story, DEVICE, &["devm_irq_release"]);
    story.detach(DEVICE).enter(DEVICE, Hook::Delete);
    release_all(&mut story, DEVICE, &["devm_irq_release"]);
    story.leave(DEVICE, Hook::Delete);
    innocent(&story);
}

#[test]
fn what_was_there_before_the_attach_is_innocent() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    let names = ["devm_kzalloc_release", "devm_pinctrl_release"];
    story.enter(DEVICE, Hook::Probe);
    add_all(&mut story, DEVICE, &names);
    story.attach(DEVICE).bound(DEVICE);
    unbind(&mut story, DEVICE, DOMAIN, &names);
    innocent(&story);
}

#[test]
fn what_is_freed_before_the_release_is_innocent() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, &["devm_irq_release"]);
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove)
        .rem(DEVICE, DEVICE.0 + 0x80, "devm_irq_release", 8)
        .detach(DEVICE)
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind);
    innocent(&story);
}

#[test]
fn a_detach_in_a_probe_that_succeeds_or_attaches_again_is_innocent() {
    let names = ["devm_irq_release"];
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.enter(DEVICE, Hook::Probe).attach(DEVICE);
    add_all(&mut story, DEVICE, &names);
    story.detach(DEVICE).bound(DEVICE);
    unbind(&mut story, DEVICE, NO_DOMAIN, &names);
    innocent(&story);

    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.enter(DEVICE, Hook::Probe).attach(DEVICE);
    add_all(&mut story, DEVICE, &names);
    story
        .detach(DEVICE)
        .attach(DEVICE)
        .enter(DEVICE, Hook::Cleanup);
    release_all(&mut story, DEVICE, &names);
    story
        .detach(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(5));
    innocent(&story);
}

#[test]
fn what_a_release_leaves_over_is_innocent() {
    // In the right order, and the trace ends right after the detach.
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, &["devm_irq_release"]);
    story
        .begin_unbind(DEVICE)
        .rel(DEVICE, DEVICE.0 + 0x80, "devm_irq_release", 8)
        .add(DEVICE, DEVICE.0 + 0x200, "devm_kzalloc_release", 8)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .detach(DEVICE);
    innocent(&story);
}

#[test]
fn another_devices_detach_inside_an_unbind_is_its_own() {
    let mut story = Story::new();
    for (device, name) in [(DEVICE, "dev0"), (OTHER, "dev1")] {
        begin(&mut story, device, name);
        probe(&mut story, device, &["devm_irq_release"]);
    }
    // The bound neighbour is detached while the other is being removed.
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove)
        .detach(OTHER)
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup);
    release_all(&mut story, DEVICE, &["devm_irq_release"]);
    story
        .detach(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind);
    innocent(&story);

    // A consumer that is unbound inside the supplier's unbind in the wrong order is accused, alone.
    let mut story = Story::new();
    begin(&mut story, DEVICE, "supplier");
    probe(&mut story, DEVICE, &["devm_irq_release"]);
    begin(&mut story, OTHER, "consumer");
    probe(&mut story, OTHER, &["devm_irq_release"]);
    story.enter(DEVICE, Hook::Unbind);
    unbind(&mut story, OTHER, DOMAIN, &["devm_irq_release"]);
    story
        .enter(DEVICE, Hook::Remove)
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup);
    release_all(&mut story, DEVICE, &["devm_irq_release"]);
    story
        .detach(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind);
    assert_eq!(
        only(&story.judge_by("DR001", whole()), Severity::Error).device,
        "consumer"
    );
}
