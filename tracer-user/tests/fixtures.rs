//! What stock kernels did in QEMU, as events: the wrong order and its innocent neighbours.

mod support;

use devres_tracer::{
    engine::Verdict,
    event::Hook,
    finding::{Certainty, Severity, text::Text},
    model::State,
};
use support::{DOMAIN, Dev, NO_DOMAIN, Story, desyncs, list, only, recorded, reduced, whole};

const PVPANIC: Dev = Dev(0xff11_0000_0513_1010);
const WAKEUP: Dev = Dev(0xff11_0000_0609_5c00);

/// `insmod pvpanic-mmio` up to the bound device.
fn pvpanic_probe(story: &mut Story, action: impl Fn(&mut Story)) {
    story.task("insmod", 123);
    story
        .named(PVPANIC, "QEMU0001:00", "platform", "pvpanic-mmio")
        .enter(PVPANIC, Hook::Probe)
        .pinctrl(PVPANIC)
        .pm(PVPANIC, Hook::PmAttach, NO_DOMAIN)
        .enter(WAKEUP, Hook::Initialise)
        .leave(PVPANIC, Hook::PmAttach)
        .add(PVPANIC, 0x99_6880, "devm_ioport_map_release", 8)
        .add(PVPANIC, 0xa5_c960, "devm_kzalloc_release", 32)
        .stack(&[
            "__devm_add_action",
            "devm_pvpanic_probe@pvpanic",
            "pvpanic_mmio_probe@pvpanic_mmio",
            "platform_probe",
            "really_probe",
        ]);
    action(story);
    story.bound(PVPANIC);
}

/// What `dev_pm_domain_detach` does inside: it deletes the wakeup source's device.
fn detach_with_wakeup(story: &mut Story) {
    story
        .pm(PVPANIC, Hook::PmDetach, DOMAIN)
        .wait(14_000)
        .enter(WAKEUP, Hook::Delete)
        .release_nothing(WAKEUP)
        .leave(WAKEUP, Hook::Delete)
        .enter(WAKEUP, Hook::FinalPut)
        .release_nothing(WAKEUP)
        .leave(WAKEUP, Hook::FinalPut)
        .leave(PVPANIC, Hook::PmDetach);
}

fn pvpanic_release(story: &mut Story, action: &str) {
    story
        .enter(PVPANIC, Hook::ReleaseAll)
        .rel(PVPANIC, 0x2ff7_ffc0, action, 16)
        .rel(PVPANIC, 0xa5_c960, "devm_kzalloc_release", 32)
        .rel(PVPANIC, 0x99_6880, "devm_ioport_map_release", 8)
        .returned(PVPANIC, Hook::ReleaseAll, Some(3));
}

/// 6.1: `platform_remove` detaches before `device_unbind_cleanup` releases.
fn pvpanic_6_1() -> Story {
    let mut story = Story::new();
    pvpanic_probe(&mut story, |story| {
        story.add_action(PVPANIC, 0x2ff7_ffc0, "pvpanic_remove@pvpanic");
    });
    story.task("init", 1).wait(57_000);
    story
        .enter(PVPANIC, Hook::Unbind)
        .wait(2_000)
        .enter(PVPANIC, Hook::Remove);
    detach_with_wakeup(&mut story);
    story
        .leave(PVPANIC, Hook::Remove)
        .enter(PVPANIC, Hook::Cleanup);
    pvpanic_release(&mut story, "devm_action_release");
    story
        .leave(PVPANIC, Hook::Cleanup)
        .leave(PVPANIC, Hook::Unbind);
    story
}

/// 7.3: `device_unbind_cleanup` releases, then detaches.
fn pvpanic_7_3() -> Story {
    let mut story = Story::new();
    pvpanic_probe(&mut story, |story| {
        story.add(PVPANIC, 0x2ff7_ffc0, "pvpanic_remove", 64);
    });
    story.task("init", 1);
    story
        .enter(PVPANIC, Hook::Unbind)
        .enter(PVPANIC, Hook::Remove)
        .leave(PVPANIC, Hook::Remove)
        .enter(PVPANIC, Hook::Cleanup);
    pvpanic_release(&mut story, "pvpanic_remove");
    detach_with_wakeup(&mut story);
    story
        .leave(PVPANIC, Hook::Cleanup)
        .leave(PVPANIC, Hook::Unbind);
    story
}

#[test]
fn pvpanic_on_6_1_is_an_error() {
    let story = pvpanic_6_1();
    let (changes, model) = story.run(whole());
    assert_eq!(desyncs(&changes), Vec::<String>::new());
    let device = model.device(PVPANIC.address()).unwrap();
    assert_eq!(device.state(), State::Unbound);
    assert_eq!(device.node_count(), 0);

    let outcome = story.judge(whole());
    let finding = only(&outcome, Severity::Error);
    assert_eq!(finding.rule, "DR001");
    assert_eq!(finding.certainty, Certainty::Confirmed);
    assert_eq!(finding.fingerprint, "DR001/platform/pvpanic-mmio");
    assert_eq!(finding.device, "QEMU0001:00");
    let labels: Vec<_> = finding
        .resources
        .iter()
        .map(|resource| (resource.label(), resource.touches_hardware))
        .collect();
    assert_eq!(
        labels,
        [
            ("pvpanic_remove", true),
            ("devm_kzalloc_release", false),
            ("devm_ioport_map_release", false)
        ]
    );
    assert_eq!(finding.resources[0].added.task.as_deref(), Some("insmod"));
    assert!(finding.resources[0].delay.unwrap() > 14_000_000);
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Findings);
}

#[test]
fn pvpanic_on_6_1_without_recorded_returns_is_the_same_error() {
    let mut story = pvpanic_6_1();
    // The recording begins with the probe and has no returns of these.
    story.events.retain(|event| {
        !matches!(
            &event.kind,
            devres_tracer::event::EventKind::Leave(returned)
                if matches!(returned.hook, Hook::Unbind | Hook::Delete | Hook::FinalPut)
        )
    });
    let mut later = story.events.clone();
    for event in &mut later {
        event.time.0 += 10_000_000_000;
    }
    story.events.extend(later);
    let (changes, model) = story.run(recorded());
    assert_eq!(desyncs(&changes), Vec::<String>::new());
    assert!(model.device(WAKEUP.address()).is_none());
    assert!(model.frames(model.current_task()).is_empty());
    let outcome = story.judge(recorded());
    assert_eq!(only(&outcome, Severity::Error).count, 2);
}

#[test]
fn pvpanic_on_7_3_is_innocent() {
    let story = pvpanic_7_3();
    let (changes, _) = story.run(whole());
    assert_eq!(desyncs(&changes), Vec::<String>::new());
    let outcome = story.judge(whole());
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.verdict(Severity::Info), Verdict::Clean);
}

const LM75: Dev = Dev(0xff11_0000_05f6_f020);
const HWMON: Dev = Dev(0xff11_0000_05f6_fc10);

/// i2c: the group is released before the detach, on every kernel since 5.13.
fn lm75() -> Story {
    let mut story = Story::new();
    let group = 0x05c6_bb00;
    story
        .enter(LM75, Hook::Initialise)
        .named(LM75, "0-0048", "i2c", "lm75")
        .enter(LM75, Hook::Probe)
        .pinctrl(LM75)
        .attach(LM75)
        .open_group(LM75, 0, group)
        // The address that pin control's node had.
        .add(LM75, 0x99_6880, "dev_get_regmap_release", 8)
        .add(LM75, 0x06f2_f040, "devm_regmap_release", 64)
        .add(LM75, 0x05c6_be80, "devm_kzalloc_release", 48)
        .add(LM75, 0x06f2_f3c0, "devm_regulator_release", 8)
        .add(LM75, 0x06f2_f440, "&regulator_action_disable", 64)
        .add(LM75, 0x06f2_f680, "lm75_remove", 64)
        .enter(HWMON, Hook::Initialise)
        .add(LM75, 0x06f2_f500, "devm_hwmon_release", 8)
        .bound(LM75)
        .enter(LM75, Hook::Unbind)
        .enter(LM75, Hook::Remove)
        .release_group(LM75, group)
        .rel(LM75, group, "grp<", 0)
        .rel(LM75, 0x06f2_f500, "devm_hwmon_release", 8)
        .enter(HWMON, Hook::Delete)
        .release_nothing(HWMON)
        .leave(HWMON, Hook::Delete)
        .enter(HWMON, Hook::FinalPut)
        .release_nothing(HWMON)
        .leave(HWMON, Hook::FinalPut)
        .rel(LM75, 0x06f2_f680, "lm75_remove", 64)
        .rel(LM75, 0x06f2_f440, "&regulator_action_disable", 64)
        .rel(LM75, 0x06f2_f3c0, "devm_regulator_release", 8)
        .rel(LM75, 0x05c6_be80, "devm_kzalloc_release", 48)
        .rel(LM75, 0x06f2_f040, "devm_regmap_release", 64)
        .rel(LM75, 0x99_6880, "dev_get_regmap_release", 8)
        .returned(LM75, Hook::ReleaseGroup, Some(7))
        .detach(LM75)
        .leave(LM75, Hook::Remove)
        .enter(LM75, Hook::Cleanup)
        .release_nothing(LM75)
        .leave(LM75, Hook::Cleanup)
        .leave(LM75, Hook::Unbind);
    story
}

#[test]
fn lm75_on_i2c_is_innocent() {
    let story = lm75();
    let (changes, model) = story.run(whole());
    assert_eq!(desyncs(&changes), Vec::<String>::new());
    assert!(model.device(HWMON.address()).is_none());
    assert!(list(&model, LM75).is_empty());
    let outcome = story.judge(whole());
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.verdict(Severity::Info), Verdict::Clean);
}

#[test]
fn lm75_on_5_10_is_concluded() {
    let mut story = Story::new();
    story
        .enter(LM75, Hook::Initialise)
        .named(LM75, "0-0048", "i2c", "lm75")
        .enter(LM75, Hook::Probe)
        .attach(LM75)
        .add(LM75, 0x10, "devm_kmalloc_release", 48)
        .add(LM75, 0x20, "devm_regulator_release", 8)
        .add_action(LM75, 0x30, "regulator_action_disable")
        .enter(LM75, Hook::Bound)
        .returned(LM75, Hook::Probe, Some(1))
        .enter(LM75, Hook::Unbind)
        .detach(LM75)
        .enter(LM75, Hook::ReleaseAll)
        .returned(LM75, Hook::ReleaseAll, Some(3))
        .leave(LM75, Hook::Unbind);
    let outcome = story.judge(reduced());
    let finding = only(&outcome, Severity::Error);
    assert_eq!(finding.resources.len(), 3);
    assert_eq!(outcome.desyncs, 0);
    assert_eq!(outcome.undecided, []);
}

#[test]
fn vgem_on_6_1_is_innocent() {
    let vgem = Dev(0xff11_0000_0605_1c10);
    let card = Dev(0xff11_0000_0605_0800);
    let mut story = Story::new();
    story
        .enter(vgem, Hook::Initialise)
        .named(vgem, "vgem", "platform", "")
        .open_group(vgem, 0, 0xa5_c960)
        .enter(card, Hook::Initialise)
        .add_action(vgem, 0xa6_5880, "devm_drm_dev_init_release@drm")
        .task("rmmod", 137)
        .enter(card, Hook::Delete)
        .release_nothing(card)
        .leave(card, Hook::Delete)
        .release_group(vgem, 0)
        .rel(vgem, 0xa5_c960, "grp<", 0)
        .rel(vgem, 0xa6_5880, "devm_action_release", 16)
        .enter(card, Hook::FinalPut)
        .release_nothing(card)
        .leave(card, Hook::FinalPut)
        .returned(vgem, Hook::ReleaseGroup, Some(1))
        .enter(vgem, Hook::Delete)
        .enter(vgem, Hook::Unbind)
        .leave(vgem, Hook::Unbind)
        .release_nothing(vgem)
        .leave(vgem, Hook::Delete)
        .enter(vgem, Hook::FinalPut)
        .release_nothing(vgem)
        .leave(vgem, Hook::FinalPut);
    let (changes, model) = story.run(whole());
    assert_eq!(desyncs(&changes), Vec::<String>::new());
    assert_eq!(model.devices().count(), 0);
    let outcome = story.judge(whole());
    // It has no driver, and releases by hand what it was given, before it goes.
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.verdict(Severity::Info), Verdict::Clean);
}

#[test]
fn the_text_tells_the_story_within_the_width() {
    let outcome = pvpanic_6_1().judge(whole());
    let text = Text(only(&outcome, Severity::Error)).to_string();
    for part in [
        "DR001 error: driver pvpanic-mmio, platform device QEMU0001:00",
        "dev_pm_domain_detach() detaches the PM domain",
        "pvpanic_remove is released",
        "pvpanic_remove (16 bytes, driver code), may touch hardware, released 14.0",
        "added by insmod[123] at 1.00",
        "devm_pvpanic_probe+0x2b [pvpanic]",
        "pvpanic_mmio_probe+0x2b [pvpanic_mmio]",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(!text.contains("__devm_add_action"), "{text}");
    assert!(!text.contains("really_probe"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
