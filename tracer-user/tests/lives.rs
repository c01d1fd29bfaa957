//! What is kept of a device's life.

mod support;

use std::sync::Arc;

use devres_tracer::{
    coverage::{Before, Coverage},
    event::{Hook, Time},
    lives::{Beginning, Life, LifeObserver, Limits, Lives, Outcome, What, Window},
    model::{Model, State},
};
use support::{Dev, Story, added, reduced, whole};

const DEV: Dev = Dev(0xff11_0000_0513_1010);
const OTHER: Dev = Dev(0xff11_0000_0513_2020);

fn observe(story: &Story, coverage: Coverage, limits: Limits, window: Window) -> Lives {
    let mut model = Model::new(Arc::new(coverage));
    let mut observer = LifeObserver::new(limits, window, false);
    for event in &story.events {
        for change in model.apply(event) {
            observer.observe(&change, &model);
        }
    }
    observer.finish(&model)
}

fn lives(story: &Story) -> Lives {
    observe(story, whole(), Limits::default(), Window::default())
}

/// The only life.
fn only(lives: &Lives) -> &Life {
    let [life] = &lives.lives[..] else {
        panic!("one life expected: {:#?}", lives.lives);
    };
    life
}

/// A chapter's steps as words: what, the resource, the phase, and the function in which it happened.
fn told(lives: &Lives, life: &Life, chapter: usize) -> Vec<String> {
    life.chapters[chapter]
        .steps
        .iter()
        .map(|step| {
            let mut text = step.what.name().to_owned();
            if let Some(item) = step.what.item() {
                text = format!("{text} {}", lives.names.text(item.label));
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
        .enter(DEV, Hook::Bound)
        .returned(DEV, Hook::Probe, Some(0));
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
        .returned(DEV, Hook::ReleaseAll, Some(2))
        .leave(DEV, Hook::Cleanup)
        .leave(DEV, Hook::Unbind);
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
        .enter(DEV, Hook::FinalPut)
        .leave(DEV, Hook::FinalPut);
    let lives = lives(&story);
    let life = only(&lives);
    assert_eq!(life.beginning, Beginning::Initialised);
    assert_eq!(life.driver.as_deref(), Some("pvpanic-mmio"));
    assert!(life.gone.is_some_and(|gone| gone.seen));
    assert_eq!((life.left.resources, life.doubts.len()), (0, 0));
    assert_eq!(told(&lives, life, 0), ["initialised (initialised)"]);
    assert_eq!(
        told(&lives, life, 1),
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
    let chapter = &life.chapters[1];
    assert_eq!((chapter.binding, chapter.outcome), (1, Outcome::Bound));
    assert_eq!(chapter.ended.map(|(_, left)| left), Some(0));
    let task = lives.names.task(chapter.task).unwrap();
    assert_eq!((task.comm.name().as_ref(), task.tid), ("modprobe", 7));
    let (_, bound) = chapter.bound.as_ref().unwrap();
    assert_eq!((bound.resources, bound.bytes), (2, 24));
    let label = lives.names.label(bound.held[0].label).unwrap();
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
        let lives = lives(&story);
        let chapter = &only(&lives).chapters[1];
        assert_eq!(chapter.outcome, outcome, "{value:?}");
        assert_eq!(chapter.outcome.is_deferred(), deferred, "{value:?}");
        assert!(chapter.bound.is_none());
        assert_eq!(
            told(&lives, only(&lives), 1)[1..],
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
    let never = lives(&story);
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
    let before = lives(&story);
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
        let lives = observe(&story, coverage, Limits::default(), Window::default());
        let steps = told(&lives, only(&lives), 0);
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
        .enter(DEV, Hook::Bound)
        .returned(DEV, Hook::Probe, Some(0));
    let lives = lives(&story);
    let chapter = &only(&lives).chapters[1];
    assert_eq!(chapter.outcome, Outcome::Bound);
    assert_eq!(chapter.ended, None);
}

#[test]
fn each_probe_is_a_chapter_and_equal_ones_resemble_each_other() {
    let mut story = Story::new();
    begin(&mut story);
    for _ in 0..3 {
        probe(&mut story);
        unbind(&mut story);
        story.wait(100);
    }
    probe(&mut story);
    let lives = lives(&story);
    let life = only(&lives);
    let bindings: Vec<_> = life
        .chapters
        .iter()
        .map(|chapter| chapter.binding)
        .collect();
    assert_eq!(bindings, [0, 1, 2, 3, 4]);
    assert!(life.chapters[1].resembles(&life.chapters[2]));
    assert!(life.chapters[2].resembles(&life.chapters[3]));
    assert!(!life.chapters[3].resembles(&life.chapters[4]));
    assert_eq!(life.state, State::Bound);
    assert_eq!(life.left.resources, 2);
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
        .enter(DEV, Hook::Bound)
        .returned(DEV, Hook::Probe, Some(0))
        .enter(DEV, Hook::Unbind)
        .enter(DEV, Hook::Remove)
        .release_group(DEV, 0x100)
        .rel(DEV, 0x100, "grp<", 0);
    let lives = lives(&story);
    let life = only(&lives);
    let (_, bound) = life.chapters[1].bound.as_ref().unwrap();
    let shown: Vec<_> = bound
        .held
        .iter()
        .map(|held| {
            let marker = held
                .marker
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
    let by = &lives.names.label(bound.held[1].label).unwrap().by;
    assert_eq!(by.as_deref(), Some("acme_probe+0x2b [acme]"));
    let released = life.chapters[1]
        .steps
        .iter()
        .find_map(|step| match step.what {
            What::GroupReleased(call) => Some(call),
            _ => None,
        })
        .unwrap();
    assert!(released.own && released.found, "{released:?}");
    let marker = life.chapters[1].steps.last().unwrap();
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
    let lives = lives(&story);
    let life = only(&lives);
    let last = life.chapters[1].steps.last().unwrap();
    assert_eq!(last.what.name(), "removed");
    assert_eq!(lives.names.text(last.by), "card0");
    let own = life.chapters[1].steps.first().unwrap();
    assert_eq!(lives.names.text(own.by), "");
}

#[test]
fn what_a_snapshot_found_is_what_was_there_before() {
    let mut story = Story::new();
    story
        .snapshot(DEV, "acme", &[added(0x100, "devm_kzalloc_release", 8)])
        .add(DEV, 0x200, "devm_clk_release", 8)
        .snapshot(OTHER, "", &[]);
    let lives = lives(&story);
    let life = only(&lives);
    assert_eq!(life.beginning, Beginning::Snapshot);
    assert_eq!(life.initial.resources, 1);
    assert_eq!(life.initial.held[0].added, None);
    assert_eq!(told(&lives, life, 0), ["added devm_clk_release (bound)"]);
    assert_eq!(lives.uneventful, 1, "the other one owned nothing");
}

#[test]
fn what_a_device_still_owned_at_its_end_is_kept() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .add(DEV, 0x100, "devm_kzalloc_release", 8)
        .enter(DEV, Hook::FinalPut)
        .leave(DEV, Hook::FinalPut)
        .enter(DEV, Hook::Initialise);
    let lives = lives(&story);
    let life = only(&lives);
    assert_eq!((life.left.resources, life.left.bytes), (1, 8));
    assert_eq!(lives.uneventful, 1, "what came to its address afterwards");
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
    let lives = observe(&story, reduced(), Limits::default(), Window::default());
    assert_eq!(
        told(&lives, only(&lives), 1),
        [
            "probe (probing)",
            "added devm_kmalloc_release (probing)",
            "bound (bound)",
            "unbind (removing)",
            "released devm_kmalloc_release (cleanup) devres_release_all",
        ]
    );
}

#[test]
fn losses_are_kept_with_their_times() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    story.lose(3);
    let lives = lives(&story);
    assert_eq!((lives.lost, lives.losses.len()), (3, 1));
    assert!(!only(&lives).doubts.is_empty());
}

#[test]
fn only_the_window_is_kept() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    let since = Time(story.events.last().unwrap().time.0 + 1);
    story.wait(1000);
    unbind(&mut story);
    let window = Window {
        since: Some(since),
        until: None,
    };
    let lives = observe(&story, whole(), Limits::default(), window);
    let life = only(&lives);
    let told = told(&lives, life, 1);
    assert_eq!(told.first().map(String::as_str), Some("unbind (bound)"));
    assert_eq!(told.len(), 6, "{told:?}");
    let late = Window {
        since: Some(Time(since.0 + 1_000_000_000)),
        until: None,
    };
    let lives = observe(&story, whole(), Limits::default(), late);
    assert!(lives.lives.is_empty());
}

#[test]
fn what_is_not_kept_is_counted() {
    let limits = Limits {
        steps_of_chapter: 4,
        chapters: 2,
        held: 1,
        lives: 1,
        steps: 1000,
    };
    let mut story = Story::new();
    begin(&mut story);
    for _ in 0..5 {
        probe(&mut story);
        unbind(&mut story);
    }
    story.enter(OTHER, Hook::Initialise);
    story.add(OTHER, 0x700, "devm_kzalloc_release", 8);
    let lives = observe(&story, whole(), limits, Window::default());
    let life = only(&lives);
    assert_eq!(lives.lives_hidden, 1);
    assert_eq!(life.chapters.len(), 3, "two probes and what was before");
    assert_eq!(life.chapters_hidden, 3);
    assert_eq!(life.chapters[1].steps.len(), 4);
    assert_eq!(life.chapters[1].steps_hidden, 7);
    let (_, bound) = life.chapters[1].bound.as_ref().unwrap();
    assert_eq!((bound.held.len(), bound.hidden, bound.resources), (1, 1, 2));
}

#[test]
fn devices_without_number_leave_nothing_behind() {
    let mut story = Story::new();
    for number in 0..2000 {
        let device = Dev(0xff11_0000_0000_0000 + 0x1000 * (number % 7 + 1));
        story
            .enter(device, Hook::Initialise)
            .enter(device, Hook::FinalPut)
            .leave(device, Hook::FinalPut);
    }
    let limits = Limits {
        lives: 10,
        ..Limits::default()
    };
    let lives = observe(&story, whole(), limits, Window::default());
    assert_eq!((lives.lives.len(), lives.uneventful), (0, 2000));
    assert_eq!(lives.lives_hidden, 0);
}
