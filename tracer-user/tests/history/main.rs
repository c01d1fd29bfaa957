//! What is kept of a device's life.

mod limits;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use devres_tracer::{
    event::Hook,
    evidence::{Before, Coverage},
    history::{
        Beginning, DeviceHistory, Histories, HistoryObserver, Limits, Outcome, StepKind, Window,
    },
    model::{Model, State},
};

use support::{Dev, Story, added, reduced, whole};

const DEV: Dev = Dev(0xff11_0000_0513_1010);
const OTHER: Dev = Dev(0xff11_0000_0513_2020);

fn observe(story: &Story, coverage: Coverage, limits: Limits, window: Window) -> Histories {
    let mut model = Model::new(Arc::new(coverage));
    let mut observer = HistoryObserver::new(limits, window, false);
    for event in &story.events {
        for change in model.apply(event) {
            observer.observe(&change, &model);
        }
    }
    observer.finish(&model)
}

fn histories(story: &Story) -> Histories {
    observe(story, whole(), Limits::default(), Window::default())
}

/// The only life.
fn only(histories: &Histories) -> &DeviceHistory {
    let [history] = &histories.devices[..] else {
        panic!("one life expected: {:#?}", histories.devices);
    };
    history
}

/// A binding's steps as words: what, the resource, the phase, and the function in which it happened.
fn told(histories: &Histories, history: &DeviceHistory, binding: usize) -> Vec<String> {
    history.bindings[binding]
        .steps
        .iter()
        .map(|step| {
            let mut text = step.kind.name().to_owned();
            if let Some(item) = step.kind.item() {
                text = format!("{text} {}", histories.names.text(item.label));
            }
            text = format!("{text} ({})", step.phase);
            if let Some(hook) = step.frame {
                text = format!("{text} {}", hook.symbol());
            }
            text
        })
        .collect()
}

fn begin(story: &mut Story) {
    story
        .enter(DEV, Hook::Initialise)
        .named(DEV, "QEMU0001:00", "platform", "")
        .named(DEV, "QEMU0001:00", "platform", "pvpanic-mmio");
}

fn probe(story: &mut Story) {
    story
        .task("modprobe", 7)
        .enter(DEV, Hook::Probe)
        .attach(DEV)
        .stack(&["devm_ioport_map", "acme_probe@acme"])
        .add(DEV, 0x100, "devm_ioport_map_release", 8)
        .add_action(DEV, 0x200, "acme_off@acme")
        .bound(DEV);
}

fn unbind(story: &mut Story) {
    story
        .task("rmmod", 9)
        .enter(DEV, Hook::Unbind)
        .enter(DEV, Hook::Remove)
        .detach(DEV)
        .leave(DEV, Hook::Remove)
        .enter(DEV, Hook::Cleanup)
        .enter(DEV, Hook::ReleaseAll)
        .rel(DEV, 0x200, "devm_action_release", 16)
        .rel(DEV, 0x100, "devm_ioport_map_release", 8)
        .end_unbind(DEV, 2);
}

#[test]
fn a_whole_life_is_told_in_order() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    unbind(&mut story);
    story
        .enter(DEV, Hook::Delete)
        .leave(DEV, Hook::Delete)
        .last_put(DEV);
    let histories = histories(&story);
    let history = only(&histories);
    assert_eq!(history.beginning, Beginning::Initialised);
    assert_eq!(history.driver.as_deref(), Some("pvpanic-mmio"));
    assert!(history.gone.is_some_and(|gone| gone.seen));
    assert_eq!((history.left.resources, history.doubts.len()), (0, 0));
    assert_eq!(told(&histories, history, 0), ["initialised (initialised)"]);
    assert_eq!(
        told(&histories, history, 1),
        [
            "probe (probing)",
            "pm_attached (probing)",
            "added devm_ioport_map_release (probing)",
            "added acme_off (probing)",
            "bound (bound)",
            "unbind (bound)",
            "remove (removing)",
            "pm_detached (removing)",
            "cleanup (cleanup)",
            "released acme_off (cleanup) devres_release_all",
            "released devm_ioport_map_release (cleanup) devres_release_all",
            "deleted (deleted)",
            "gone (dead)",
        ]
    );
    let binding = &history.bindings[1];
    assert_eq!((binding.number, binding.outcome), (1, Outcome::Bound));
    assert_eq!(binding.ended.map(|(_, left)| left), Some(0));
    let task = histories.names.task(binding.task).unwrap();
    assert_eq!((task.comm.name().as_ref(), task.tid), ("modprobe", 7));
    let (_, bound) = binding.bound.as_ref().unwrap();
    assert_eq!((bound.resources, bound.bytes), (2, 24));
    let label = histories.names.label(bound.held[0].item.label).unwrap();
    assert_eq!(label.by.as_deref(), Some("acme_probe+0x2b [acme]"));
}

#[test]
fn probes_that_fail_say_with_what() {
    for (value, outcome, deferred) in [
        (Some(-517), Outcome::Failed(Some(-517)), true),
        (Some(-22), Outcome::Failed(Some(-22)), false),
        // What a driver's own probe returned comes out positive.
        (Some(517), Outcome::Failed(Some(-517)), true),
        (Some(16), Outcome::Failed(Some(-16)), false),
        // Before 5.18 the function doesn't return the error.
        (Some(0), Outcome::Failed(None), false),
        (None, Outcome::Failed(None), false),
    ] {
        let mut story = Story::new();
        begin(&mut story);
        story
            .enter(DEV, Hook::Probe)
            .add(DEV, 0x100, "devm_kzalloc_release", 8)
            .enter(DEV, Hook::Cleanup)
            .enter(DEV, Hook::ReleaseAll)
            .rel(DEV, 0x100, "devm_kzalloc_release", 8)
            .returned(DEV, Hook::ReleaseAll, Some(1))
            .leave(DEV, Hook::Cleanup)
            .returned(DEV, Hook::Probe, value);
        let histories = histories(&story);
        let binding = &only(&histories).bindings[1];
        assert_eq!(binding.outcome, outcome, "{value:?}");
        assert_eq!(binding.outcome.is_deferred(), deferred, "{value:?}");
        assert!(binding.bound.is_none());
        assert_eq!(
            told(&histories, only(&histories), 1)[1..],
            [
                "added devm_kzalloc_release (probing)",
                "cleanup (cleanup)",
                "released devm_kzalloc_release (cleanup) devres_release_all",
                "probe_failed (unbound)",
            ]
        );
    }
}

/// `device_del` of a device of a bus, which unbinds it in any case.
fn delete(story: &mut Story) {
    story
        .enter(DEV, Hook::Delete)
        .enter(DEV, Hook::Unbind)
        .leave(DEV, Hook::Unbind)
        .leave(DEV, Hook::Delete);
}

#[test]
fn no_unbind_is_told_where_there_was_no_driver() {
    // It never had one.
    let mut story = Story::new();
    story
        .named(DEV, "QEMU0001:00", "platform", "")
        .enter(DEV, Hook::Initialise)
        .add(DEV, 0x100, "devm_kzalloc_release", 8);
    delete(&mut story);
    let never = histories(&story);
    assert_eq!(
        told(&never, only(&never), 0),
        [
            "initialised (initialised)",
            "added devm_kzalloc_release (initialised)",
            "deleted (deleted)",
        ]
    );
    // It had one until then.
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    unbind(&mut story);
    story.named(DEV, "QEMU0001:00", "platform", "");
    delete(&mut story);
    let before = histories(&story);
    let steps = told(&before, only(&before), 1);
    let unbinds = steps.iter().filter(|step| step.starts_with("unbind"));
    assert_eq!(unbinds.count(), 1, "{steps:?}");
    assert_eq!(steps.last().unwrap(), "deleted (deleted)");
}

#[test]
fn an_unbind_of_a_device_first_seen_halfway_is_told_if_it_does_something() {
    for something in [true, false] {
        let mut story = Story::new();
        story
            .named(DEV, "QEMU0001:00", "platform", "")
            .enter(DEV, Hook::Unbind);
        if something {
            story.enter(DEV, Hook::Remove).leave(DEV, Hook::Remove);
        }
        story
            .leave(DEV, Hook::Unbind)
            .add(DEV, 0x100, "devm_kzalloc_release", 8);
        let mut coverage = whole();
        coverage.before = Before::Snapshot;
        let histories = observe(&story, coverage, Limits::default(), Window::default());
        let steps = told(&histories, only(&histories), 0);
        let unbinds = steps.iter().filter(|step| step.starts_with("unbind"));
        assert_eq!(unbinds.count(), usize::from(something), "{steps:?}");
    }
}

#[test]
fn what_the_first_try_of_a_probe_left_is_not_what_the_binding_left() {
    // CONFIG_DEBUG_TEST_DRIVER_REMOVE takes the driver off again and probes once more.
    let mut story = Story::new();
    begin(&mut story);
    story
        .enter(DEV, Hook::Probe)
        .enter(DEV, Hook::Remove)
        .leave(DEV, Hook::Remove)
        .enter(DEV, Hook::Cleanup)
        .leave(DEV, Hook::Cleanup)
        .bound(DEV);
    let histories = histories(&story);
    let binding = &only(&histories).bindings[1];
    assert_eq!(binding.outcome, Outcome::Bound);
    assert_eq!(binding.ended, None);
}

#[test]
fn each_probe_is_a_binding_and_equal_ones_resemble_each_other() {
    let mut story = Story::new();
    begin(&mut story);
    for _ in 0..3 {
        probe(&mut story);
        unbind(&mut story);
        story.wait(100);
    }
    probe(&mut story);
    let histories = histories(&story);
    let history = only(&histories);
    let bindings: Vec<_> = history
        .bindings
        .iter()
        .map(|binding| binding.number)
        .collect();
    assert_eq!(bindings, [0, 1, 2, 3, 4]);
    assert!(history.bindings[1].resembles(&history.bindings[2]));
    assert!(history.bindings[2].resembles(&history.bindings[3]));
    assert!(!history.bindings[3].resembles(&history.bindings[4]));
    assert_eq!(history.state, State::Bound);
    assert_eq!(history.left.resources, 2);
}

#[test]
fn groups_tell_their_id_their_depth_and_whether_they_are_open() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .enter(DEV, Hook::Probe)
        .add(DEV, 0x900, "devm_kzalloc_release", 8)
        .stack(&["acme_probe@acme"])
        .open_group(DEV, 0, 0x100)
        .add(DEV, 0x200, "devm_clk_release", 8)
        .open_group(DEV, 0xabc, 0x300)
        .add(DEV, 0x400, "devm_irq_release", 16)
        .close_group(DEV, 0xabc, 0x300)
        .add(DEV, 0x500, "devm_hwmon_release", 8)
        .bound(DEV)
        .enter(DEV, Hook::Unbind)
        .enter(DEV, Hook::Remove)
        .release_group(DEV, 0x100)
        .rel(DEV, 0x100, "grp<", 0);
    let histories = histories(&story);
    let history = only(&histories);
    let (_, bound) = history.bindings[1].bound.as_ref().unwrap();
    let shown: Vec<_> = bound
        .held
        .iter()
        .map(|held| {
            let marker = held
                .item
                .marker()
                .map(|marker| (marker.opens, marker.open, marker.id));
            (held.depth, marker)
        })
        .collect();
    assert_eq!(
        shown,
        [
            (0, None),
            (0, Some((true, true, None))),
            (1, None),
            (1, Some((true, false, Some(0xabc)))),
            (2, None),
            (1, Some((false, false, Some(0xabc)))),
            (1, None),
        ]
    );
    assert_eq!((bound.resources, bound.bytes), (4, 40));
    let by = &histories.names.label(bound.held[1].item.label).unwrap().by;
    assert_eq!(by.as_deref(), Some("acme_probe+0x2b [acme]"));
    let released = history.bindings[1]
        .steps
        .iter()
        .find_map(|step| match step.kind {
            StepKind::GroupReleased(call) => Some(call),
            _ => None,
        })
        .unwrap();
    assert!(released.own && released.found, "{released:?}");
    let marker = history.bindings[1].steps.last().unwrap();
    assert_eq!(marker.depth, 1);
    assert_eq!(marker.frame, Some(Hook::ReleaseGroup));
}

#[test]
fn another_devices_doing_is_told() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    story
        .named(OTHER, "card0", "drm", "i915")
        .enter(OTHER, Hook::Unbind)
        .release_group(DEV, 0)
        .enter(OTHER, Hook::Remove)
        .rem(DEV, 0x200, "devm_action_release", 16);
    let histories = histories(&story);
    let history = only(&histories);
    let last = history.bindings[1].steps.last().unwrap();
    assert_eq!(last.kind.name(), "removed");
    assert_eq!(histories.names.text(last.by), "card0");
    let own = history.bindings[1].steps.first().unwrap();
    assert_eq!(histories.names.text(own.by), "");
}

#[test]
fn what_a_snapshot_found_is_what_was_there_before() {
    let mut story = Story::new();
    story
        .snapshot(DEV, "acme", &[added(0x100, "devm_kzalloc_release", 8)])
        .add(DEV, 0x200, "devm_clk_release", 8)
        .snapshot(OTHER, "", &[]);
    let histories = histories(&story);
    let history = only(&histories);
    assert_eq!(history.beginning, Beginning::Snapshot);
    assert_eq!(history.initial.resources, 1);
    assert_eq!(history.initial.held[0].added, None);
    assert_eq!(
        told(&histories, history, 0),
        ["added devm_clk_release (bound)"]
    );
    assert_eq!(histories.uneventful, 1, "the other one owned nothing");
}

#[test]
fn where_releases_are_concluded_they_are_told_all_the_same() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .enter(DEV, Hook::Probe)
        .add(DEV, 0x100, "devm_kmalloc_release", 8)
        .enter(DEV, Hook::Bound)
        .returned(DEV, Hook::Probe, Some(1))
        .enter(DEV, Hook::Unbind)
        .enter(DEV, Hook::ReleaseAll)
        .returned(DEV, Hook::ReleaseAll, Some(1))
        .leave(DEV, Hook::Unbind);
    let histories = observe(&story, reduced(), Limits::default(), Window::default());
    assert_eq!(
        told(&histories, only(&histories), 1),
        [
            "probe (probing)",
            "added devm_kmalloc_release (probing)",
            "bound (bound)",
            "unbind (removing)",
            "released devm_kmalloc_release (cleanup) devres_release_all",
        ]
    );
}
