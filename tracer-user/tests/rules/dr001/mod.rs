//! DR001: what it accuses, and the nearest innocents.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod innocents;

use devres_tracer::{
    engine::{Reason, Verdict},
    event::{Event, EventKind, Hook, PmDomain},
    evidence::Coverage,
    finding::{Certainty, Doubt, Severity, text::Text},
};

use super::support::{DOMAIN, Dev, Story, added, only, recorded, whole, without};
use innocents::innocent;

const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
const OTHER: Dev = Dev(0xff11_0000_0600_0000);

fn begin(story: &mut Story, device: Dev, name: &str) {
    story
        .enter(device, Hook::Initialise)
        .named(device, name, "platform", "driver");
}

/// A probe that adds these after its PM domain was attached.
fn probe(story: &mut Story, device: Dev, names: &[&str]) {
    story.enter(device, Hook::Probe).attach(device);
    add_all(story, device, names);
    story.bound(device);
}

fn add_all(story: &mut Story, device: Dev, names: &[&str]) {
    for (name, number) in names.iter().zip(1..) {
        story.add(device, device.0 + 0x80 * number, name, 8);
    }
}

fn release_all(story: &mut Story, device: Dev, names: &[&str]) {
    story.enter(device, Hook::ReleaseAll);
    for (name, number) in names.iter().zip(1..).collect::<Vec<_>>().into_iter().rev() {
        story.rel(device, device.0 + 0x80 * number, name, 8);
    }
    let count = i64::try_from(names.len()).unwrap();
    story.returned(device, Hook::ReleaseAll, Some(count));
}

/// An unbind that detaches with `domain` and releases these then.
fn unbind(story: &mut Story, device: Dev, domain: PmDomain, names: &[&str]) {
    story
        .enter(device, Hook::Unbind)
        .enter(device, Hook::Remove)
        .pm(device, Hook::PmDetach, domain)
        .leave(device, Hook::PmDetach)
        .leave(device, Hook::Remove)
        .enter(device, Hook::Cleanup);
    release_all(story, device, names);
    story
        .leave(device, Hook::Cleanup)
        .leave(device, Hook::Unbind);
}

fn inverted(names: &[&str]) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, names);
    unbind(&mut story, DEVICE, DOMAIN, names);
    story
}

#[test]
fn what_is_released_decides_the_severity() {
    for (names, severity) in [
        (&["devm_kzalloc_release"][..], Severity::Info),
        (
            &["devm_kzalloc_release", "devm_ioremap_release"],
            Severity::Warn,
        ),
        (
            &["devm_ioremap_release", "devm_irq_release"],
            Severity::Error,
        ),
        (&["pm_runtime_disable_action"], Severity::Error),
        (&["devm_thermal_of_zone_release"], Severity::Error),
        (&["(void(*)(void *))put_device"], Severity::Warn),
    ] {
        let outcome = inverted(names).judge_by("DR001", whole());
        let finding = only(&outcome, severity);
        assert_eq!(finding.certainty, Certainty::Confirmed);
        assert_eq!(finding.resources.len(), names.len());
        assert_eq!(outcome.desyncs, 0);
    }
}

/// A probe that is deferred: until 6.16 the platform bus detaches inside `bus->probe`.
fn deferred(wrong: bool) -> Story {
    let names = ["devm_clk_release"];
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    for _ in 0..3 {
        story.enter(DEVICE, Hook::Probe).attach(DEVICE);
        add_all(&mut story, DEVICE, &names);
        if wrong {
            story.detach(DEVICE);
        }
        story.enter(DEVICE, Hook::Cleanup);
        release_all(&mut story, DEVICE, &names);
        if !wrong {
            story.detach(DEVICE);
        }
        story
            .leave(DEVICE, Hook::Cleanup)
            .returned(DEVICE, Hook::Probe, Some(517));
    }
    story
}

#[test]
fn a_failed_probe_shows_it_too_and_is_counted() {
    innocent(&deferred(false));
    let outcome = deferred(true).judge_by("DR001", whole());
    let finding = only(&outcome, Severity::Error);
    assert_eq!(finding.count, 3);
    assert_eq!(finding.order[0].what, "probe begins");
    assert!(finding.first < finding.last);
}

#[test]
fn one_finding_per_bus_and_driver_shows_the_worst() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "mild");
    probe(&mut story, DEVICE, &["devm_kzalloc_release"]);
    unbind(&mut story, DEVICE, DOMAIN, &["devm_kzalloc_release"]);
    begin(&mut story, OTHER, "bad");
    probe(&mut story, OTHER, &["devm_irq_release"]);
    unbind(&mut story, OTHER, DOMAIN, &["devm_irq_release"]);
    let outcome = story.judge_by("DR001", whole());
    let finding = only(&outcome, Severity::Error);
    assert_eq!((finding.count, finding.device.as_str()), (2, "bad"));
    assert_eq!(finding.fingerprint, "DR001/platform/driver");
}

#[test]
fn releases_that_only_drop_a_reference_are_no_error() {
    for name in [
        "devm_spi_release_controller",
        "devm_input_device_release",
        "devm_mdiobus_free",
    ] {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, &[name]);
        unbind(&mut story, DEVICE, DOMAIN, &[name]);
        only(&story.judge_by("DR001", whole()), Severity::Warn);
    }
}

#[test]
fn an_end_before_the_release_is_likely_at_most() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, &["devm_irq_release"]);
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove)
        .detach(DEVICE);
    let outcome = story.judge_by("DR001", whole());
    let finding = only(&outcome, Severity::Info);
    assert_eq!(finding.certainty, Certainty::Likely);
    assert_eq!(finding.resources[0].released, None);
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Inconclusive);
}

#[test]
fn an_end_within_an_unbind_is_no_clean_one() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, &["devm_irq_release"]);
    assert_eq!(
        story.judge_by("DR001", whole()).verdict(Severity::Error),
        Verdict::Clean
    );
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove);
    assert_eq!(
        story.judge_by("DR001", whole()).verdict(Severity::Error),
        Verdict::Inconclusive
    );
}

#[test]
fn a_probe_that_was_seen_halfway_is_judged_from_the_attach_on() {
    let mut story = Story::new();
    story.named(DEVICE, "dev0", "platform", "driver");
    let mut coverage = whole();
    coverage.before = devres_tracer::evidence::Before::Unknown("nobody asked".to_owned());
    story.attach(DEVICE);
    add_all(&mut story, DEVICE, &["devm_irq_release"]);
    story.bound(DEVICE);
    unbind(&mut story, DEVICE, DOMAIN, &["devm_irq_release"]);
    let outcome = story.judge_by("DR001", coverage);
    let finding = only(&outcome, Severity::Error);
    assert_eq!(finding.certainty, Certainty::Confirmed);
}

#[test]
fn a_detach_whose_call_was_missed_decides_nothing() {
    let mut story = inverted(&["devm_irq_release"]);
    let detaches = |event: &Event| matches!(&event.kind, EventKind::Enter(call) if call.hook == Hook::PmDetach);
    story.events.retain(|event| !detaches(event));
    // A kretprobe does not have the device.
    for event in &mut story.events {
        if matches!(&event.kind, EventKind::Leave(returned) if returned.hook == Hook::PmDetach) {
            event.device = Dev(0).address();
        }
    }
    is_silent(&story, &whole(), Doubt::DetachMissed);
}

#[test]
fn a_probe_whose_begin_was_missed_decides_nothing() {
    let mut story = inverted(&["devm_irq_release"]);
    let probes =
        |event: &Event| matches!(&event.kind, EventKind::Enter(call) if call.hook == Hook::Probe);
    story.events.retain(|event| !probes(event));
    is_silent(&story, &recorded(), Doubt::DetachedAfterUnseenProbe);
}

fn is_silent(story: &Story, coverage: &Coverage, doubt: Doubt) {
    let outcome = story.judge_by("DR001", coverage.clone());
    assert_eq!(outcome.findings, []);
    let reasons: Vec<_> = outcome.undecided.iter().map(|one| &one.reason).collect();
    assert_eq!(reasons, [&Reason::Doubt(doubt)]);
}

#[test]
fn a_loss_silences_until_the_next_whole_binding() {
    let names = ["devm_irq_release"];
    // During the binding, and between the detach and the release.
    let during = {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, &names);
        story.lose(7);
        unbind(&mut story, DEVICE, DOMAIN, &names);
        story
    };
    let between = {
        let mut story = inverted(&names);
        let release = story
            .events
            .iter()
            .position(|event| matches!(event.kind, EventKind::Release(_)))
            .unwrap();
        let loss = Story::new().lose(7).events.pop().unwrap();
        story.events.insert(release, loss);
        story
    };
    for mut story in [during, between] {
        let outcome = story.judge_by("DR001", whole());
        assert_eq!(outcome.findings, []);
        assert_eq!(outcome.lost, 7);
        assert_eq!(outcome.undecided.len(), 1);
        assert_eq!(outcome.undecided[0].devices, 1);
        assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);

        probe(&mut story, DEVICE, &names);
        unbind(&mut story, DEVICE, DOMAIN, &names);
        let outcome = story.judge_by("DR001", whole());
        assert_eq!(only(&outcome, Severity::Error).count, 1);
        // A finding is real in spite of loss.
        assert_eq!(outcome.verdict(Severity::Error), Verdict::Findings);
    }
}

#[test]
fn a_device_seen_halfway_silences_only_where_it_matters() {
    let mut coverage = whole();
    coverage.before = devres_tracer::evidence::Before::Unknown("the trace began late".to_owned());
    let mut story = Story::new();
    story.named(DEVICE, "dev0", "platform", "driver");
    story.release_nothing(OTHER);
    let idle = story.judge_by("DR001", coverage.clone());
    assert_eq!(idle.verdict(Severity::Info), Verdict::Clean, "{idle:?}");

    let early = story.clone();
    for memory in ["devm_kzalloc_release", "devm_pinctrl_release"] {
        let mut story = early.clone();
        unbind(&mut story, DEVICE, DOMAIN, &[memory]);
        let outcome = story.judge_by("DR001", coverage.clone());
        assert_eq!(outcome.findings, []);
        assert_eq!(outcome.undecided.len(), 1, "{outcome:?}");
        assert_eq!(outcome.verdict(Severity::Info), Verdict::Inconclusive);
        assert_eq!(outcome.desyncs, 0);
    }
}

#[test]
fn what_is_released_after_the_detach_and_was_not_added_since_was_there() {
    let mut coverage = whole();
    coverage.before = devres_tracer::evidence::Before::Unknown("the trace began late".to_owned());
    let mut story = Story::new();
    story.named(DEVICE, "dev0", "platform", "driver");
    unbind(&mut story, DEVICE, DOMAIN, &["devm_irq_release"]);
    let outcome = story.judge_by("DR001", coverage.clone());
    let finding = only(&outcome, Severity::Error);
    assert_eq!(finding.resources[0].name, "devm_irq_release");
    assert_eq!(outcome.undecided.len(), 1, "{outcome:?}");
    assert_eq!(outcome.desyncs, 0);

    // What was lost in between may have been its addition.
    let release = story
        .events
        .iter()
        .position(|event| matches!(event.kind, EventKind::Release(_)))
        .unwrap();
    let loss = Story::new().lose(1).events.pop().unwrap();
    story.events.insert(release, loss);
    assert_eq!(story.judge_by("DR001", coverage).findings, []);
}

#[test]
fn what_a_snapshot_found_is_judged() {
    let mut coverage = whole();
    coverage.before = devres_tracer::evidence::Before::Snapshot;
    let pinctrl = [
        added(DEVICE.0 + 0x80, "devm_kzalloc_release", 8),
        added(DEVICE.0 + 0x100, "devm_pinctrl_release", 8),
    ];
    let names = ["devm_kzalloc_release", "devm_pinctrl_release"];
    let mut story = Story::new();
    story.snapshot(DEVICE, "driver", &pinctrl);
    unbind(&mut story, DEVICE, DOMAIN, &names);
    let outcome = story.judge_by("DR001", coverage.clone());
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.verdict(Severity::Info), Verdict::Clean);

    let mut with_irq = pinctrl.to_vec();
    with_irq.push(added(DEVICE.0 + 0x180, "devm_irq_release", 8));
    let names = [names[0], names[1], "devm_irq_release"];
    let mut story = Story::new();
    story.snapshot(DEVICE, "driver", &with_irq);
    unbind(&mut story, DEVICE, DOMAIN, &names);
    let outcome = story.judge_by("DR001", coverage);
    let finding = only(&outcome, Severity::Error);
    assert_eq!(finding.resources.len(), 1);
    assert_eq!(finding.resources[0].added.time, None);
    assert!(
        Text(finding)
            .to_string()
            .contains("added before the trace began")
    );
}

#[test]
fn without_its_hooks_the_rule_cannot_decide() {
    let story = inverted(&[]);
    let outcome = story.judge_by("DR001", without(whole(), &[Hook::PmDetach]));
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
    assert_eq!(
        outcome.undecided[0].reason.to_string(),
        "dev_pm_domain_detach is not seen: not on this kernel"
    );
    // One of two is enough.
    let outcome = story.judge_by("DR001", without(whole(), &[Hook::AddDr]));
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Clean);
}

#[test]
fn verdicts_count_from_the_severity_asked_for() {
    let outcome = inverted(&["devm_ioremap_release"]).judge_by("DR001", whole());
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Clean);
    assert_eq!(outcome.verdict(Severity::Warn), Verdict::Findings);
    assert_eq!(outcome.verdict(Severity::Info), Verdict::Findings);
}

#[test]
fn names_cannot_steer_a_terminal() {
    let mut story = Story::new();
    story.enter(DEVICE, Hook::Initialise).named(
        DEVICE,
        "dev\u{1b}]0;pwned\u{7}",
        "plat\nform",
        "drv\u{202e}",
    );
    let names = ["evil\u{1b}[2J"];
    probe(&mut story, DEVICE, &names);
    unbind(&mut story, DEVICE, DOMAIN, &names);
    let outcome = story.judge_by("DR001", whole());
    let text = Text(only(&outcome, Severity::Error)).to_string();
    assert!(text.contains("evil\\x1b[2J"), "{text}");
    assert!(text.contains("plat\\nform"), "{text}");
    assert!(
        !text
            .chars()
            .any(|character| character != '\n'
                && (character.is_control() || character == '\u{202e}')),
        "{text:?}"
    );
}

#[test]
fn the_json_has_its_shape() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .enter(DEVICE, Hook::Probe)
        .attach(DEVICE)
        .stack(&["devres_add", "driver_probe@driver"]);
    story
        .add(DEVICE, DEVICE.0 + 0x80, "devm_irq_release", 8)
        .bound(DEVICE);
    unbind(&mut story, DEVICE, DOMAIN, &["devm_irq_release"]);
    let outcome = story.judge_by("DR001", whole());
    let json = serde_json::to_value(only(&outcome, Severity::Error)).unwrap();
    for (key, value) in [
        ("type", "finding"),
        ("rule", "DR001"),
        ("severity", "error"),
        ("certainty", "confirmed"),
        ("device", "dev0"),
        ("driver", "driver"),
        ("bus", "platform"),
        ("address", "0xff11000005000000"),
        ("fingerprint", "DR001/platform/driver"),
    ] {
        assert_eq!(json[key], value, "{key} in {json}");
    }
    assert_eq!(json["generation"], 1);
    assert_eq!(json["count"], 1);
    assert!(json["summary"].is_string());
    let resource = &json["resources"][0];
    assert_eq!(resource["name"], "devm_irq_release");
    assert_eq!(resource["added"]["phase"], "probing");
    assert_eq!(
        resource["added"]["stack"],
        serde_json::json!(["devres_add+0x2b", "driver_probe+0x2b [driver]"])
    );
    assert_eq!(
        resource["released"].as_u64().unwrap() - json["order"][1]["time"].as_u64().unwrap(),
        resource["delay"].as_u64().unwrap()
    );
    assert_eq!(json["expected"].as_array().unwrap().len(), 2);
}

#[test]
fn what_fixed_the_bus_is_told_only_where_the_bus_detached() {
    for (frames, fix) in [
        (
            &["platform_remove", "device_remove"][..],
            Some("f99508074e78"),
        ),
        (&["device_remove", "unbind_store"], Some("f99508074e78")),
        (&["driver_remove", "platform_remove"], None),
        (&[], None),
    ] {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, &["devm_irq_release"]);
        story
            .enter(DEVICE, Hook::Unbind)
            .enter(DEVICE, Hook::Remove);
        if !frames.is_empty() {
            story.stack(frames);
        }
        story
            .pm(DEVICE, Hook::PmDetach, DOMAIN)
            .leave(DEVICE, Hook::PmDetach)
            .leave(DEVICE, Hook::Remove)
            .enter(DEVICE, Hook::Cleanup);
        release_all(&mut story, DEVICE, &["devm_irq_release"]);
        story
            .leave(DEVICE, Hook::Cleanup)
            .leave(DEVICE, Hook::Unbind);
        let outcome = story.judge_by("DR001", whole());
        let finding = only(&outcome, Severity::Error);
        let told = finding.known.and_then(|known| known.fixes.first()?.commit);
        assert_eq!(told, fix, "{frames:?}");
        assert_eq!(outcome.verdict(Severity::Error), Verdict::Findings);
    }
}
