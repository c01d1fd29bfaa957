//! Recordings of which one shows less than the other.

use devres_tracer::{diff::Sameness, event::Hook, history::Limits};

use super::{
    DEV, OTHER, Plan, Seen, kinds, seen,
    support::{Story, reduced, whole, without},
};

#[test]
fn a_device_of_only_one_recording_is_told() {
    let mut story = Plan::new().story();
    let mut second = Plan::new();
    (second.name, second.device, second.base) = ("alone", OTHER, 0x99_0000);
    second.history(&mut story);
    let (one, other) = (seen(&Plan::new().story()), seen(&story));
    let comparison = one.against(&other);
    assert_eq!(kinds(&comparison), ["new_probe"]);
    assert!(comparison.devices[0].good.is_empty());
}

#[test]
fn a_probe_that_is_missing_is_the_one_that_is_told() {
    let plan = Plan::new();
    let mut failing = Plan::new();
    failing.added.truncate(1);
    failing.released = vec![0];
    let mut three = Story::new();
    plan.history(&mut three);
    failing.binding(&mut three);
    plan.binding(&mut three);
    let mut two = Story::new();
    plan.history(&mut two);
    plan.binding(&mut two);
    let (one, other) = (seen(&three), seen(&two));
    let comparison = one.against(&other);
    assert_eq!(kinds(&comparison), ["no_probe"]);
    let binding = &comparison.devices[0].histories[0].bindings[0];
    let missing = binding.good.as_ref().unwrap().binding;
    assert_eq!(missing.number, 2);
}

#[test]
fn lost_events_and_blind_sources_are_never_the_same() {
    let story = Plan::new().story();
    let whole_seen = seen(&story);
    let mut lossy = story.clone();
    lossy.lose(1);
    let lossy = seen(&lossy);
    let blind = Seen::of(&story, without(whole(), &[Hook::PmDetach, Hook::PmAttach]));
    for (one, other, why) in [
        (&whole_seen, &lossy, "1 events were lost in BAD"),
        (&lossy, &whole_seen, "1 events were lost in GOOD"),
        (&lossy, &lossy, "1 events were lost in GOOD"),
    ] {
        let comparison = one.against(other);
        assert_eq!(comparison.sameness(false), Sameness::Inconclusive);
        assert_eq!(comparison.reasons[0], why);
    }
    // What the blind one can't show is not compared, and named.
    let comparison = whole_seen.against(&blind);
    assert_eq!(kinds(&comparison), Vec::<&str>::new());
    assert_eq!(comparison.sameness(false), Sameness::Inconclusive);
    assert!(
        comparison.reasons[0].contains("dev_pm_domain_detach"),
        "{:?}",
        comparison.reasons
    );
}

#[test]
fn what_was_not_kept_is_never_the_same() {
    let limits = Limits {
        steps_of_binding: 5,
        ..Limits::default()
    };
    let one = Seen::limited(&Plan::new().story(), whole(), limits);
    let comparison = one.against(&one);
    assert_eq!(comparison.sameness(false), Sameness::Inconclusive);
}

#[test]
fn kernels_that_dont_log_releases_are_compared_as_far_as_they_tell() {
    let mut story = Story::new();
    story
        .enter(DEV, Hook::Initialise)
        .named(DEV, "QEMU0001:00", "platform", "acme")
        .enter(DEV, Hook::Probe)
        .add(DEV, 0x100, "devm_kmalloc_release", 8)
        .enter(DEV, Hook::Bound)
        .returned(DEV, Hook::Probe, Some(1))
        .enter(DEV, Hook::Unbind)
        .enter(DEV, Hook::ReleaseAll)
        .returned(DEV, Hook::ReleaseAll, Some(1))
        .leave(DEV, Hook::Unbind);
    let one = Seen::of(&story, reduced());
    let mut story = Story::new();
    story
        .enter(DEV, Hook::Initialise)
        .named(DEV, "QEMU0001:00", "platform", "acme")
        .enter(DEV, Hook::Probe)
        .add(DEV, 0x100, "devm_kzalloc_release", 8)
        .bound(DEV)
        .begin_unbind(DEV)
        .rel(DEV, 0x100, "devm_kzalloc_release", 8)
        .end_unbind(DEV, 1);
    let other = Seen::of(&story, whole());
    for comparison in [one.against(&other), other.against(&one)] {
        assert_eq!(kinds(&comparison), Vec::<&str>::new());
        assert_eq!(comparison.sameness(false), Sameness::Inconclusive);
    }
}

#[test]
fn a_recording_that_ends_early_is_said_to_end() {
    let story = Plan::new().story();
    let unbind = story
        .events
        .iter()
        .position(|event| {
            matches!(&event.kind, devres_tracer::event::EventKind::Enter(call) if call.hook == Hook::Unbind)
        })
        .unwrap();
    let mut short = story.clone();
    short.events.truncate(unbind);
    let (one, other) = (seen(&story), seen(&short));
    assert_eq!(kinds(&one.against(&other)), ["shorter"]);
    assert_eq!(kinds(&other.against(&one)), ["longer"]);
}
