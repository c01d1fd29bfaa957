//! What a history keeps, and what it says of the rest.

use devres_tracer::{
    event::{Hook, Time},
    history::{Limits, Window},
};

use super::{
    DEV, OTHER, begin, histories, observe, only, probe,
    support::{Dev, Story, whole},
    told, unbind,
};

#[test]
fn what_a_device_still_owned_at_its_end_is_kept() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .add(DEV, 0x100, "devm_kzalloc_release", 8)
        .last_put(DEV)
        .enter(DEV, Hook::Initialise);
    let histories = histories(&story);
    let history = only(&histories);
    assert_eq!((history.left.resources, history.left.bytes), (1, 8));
    assert_eq!(
        histories.uneventful, 1,
        "what came to its address afterwards"
    );
}

#[test]
fn losses_are_kept_with_their_times() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    story.lose(3);
    let histories = histories(&story);
    assert_eq!((histories.lost, histories.losses.len()), (3, 1));
    assert!(!only(&histories).doubts.is_empty());
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
    let histories = observe(&story, whole(), Limits::default(), window);
    let history = only(&histories);
    let told = told(&histories, history, 1);
    assert_eq!(told.first().map(String::as_str), Some("unbind (bound)"));
    assert_eq!(told.len(), 6, "{told:?}");
    let late = Window {
        since: Some(Time(since.0 + 1_000_000_000)),
        until: None,
    };
    let histories = observe(&story, whole(), Limits::default(), late);
    assert!(histories.devices.is_empty());
}

#[test]
fn what_is_not_kept_is_counted() {
    let limits = Limits {
        steps_of_binding: 4,
        bindings: 2,
        held: 1,
        histories: 1,
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
    let histories = observe(&story, whole(), limits, Window::default());
    let history = only(&histories);
    assert_eq!(histories.devices_hidden, 1);
    assert_eq!(history.bindings.len(), 3, "two probes and what was before");
    assert_eq!(history.bindings_hidden, 3);
    assert_eq!(history.bindings[1].steps.len(), 4);
    assert_eq!(history.bindings[1].steps_hidden, 7);
    let (_, bound) = history.bindings[1].bound.as_ref().unwrap();
    assert_eq!((bound.held.len(), bound.hidden, bound.resources), (1, 1, 2));
}

#[test]
fn devices_without_number_leave_nothing_behind() {
    let mut story = Story::new();
    for number in 0..2000 {
        let device = Dev(0xff11_0000_0000_0000 + 0x1000 * (number % 7 + 1));
        story.enter(device, Hook::Initialise).last_put(device);
    }
    let limits = Limits {
        histories: 10,
        ..Limits::default()
    };
    let histories = observe(&story, whole(), limits, Window::default());
    assert_eq!((histories.devices.len(), histories.uneventful), (0, 2000));
    assert_eq!(histories.devices_hidden, 0);
}
