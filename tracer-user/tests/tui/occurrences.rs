//! A finding that is made more than once is marked each time, on each device, and what has gone stays in sight.

use devres_tracer::{
    event::{Hook, Time},
    tui::{Sight, state::View},
};

use crate::{
    screen::{of_events, text},
    support::{Dev, Story, whole},
};

const ONE: Dev = Dev(0xff11_0000_0010_1000);
const OTHER: Dev = Dev(0xff11_0000_0010_2000);

/// The driver's device is bound and unbound; its PM domain is detached before its resources are released.
fn binding(story: &mut Story, device: Dev) {
    story
        .enter(device, Hook::Probe)
        .attach(device)
        .stack(&["devm_clk_get", "early_probe@early", "really_probe"])
        .add(device, device.0 + 0x100, "devm_clk_release", 8)
        .bound(device)
        .enter(device, Hook::Unbind)
        .enter(device, Hook::Remove)
        .detach(device)
        .leave(device, Hook::Remove)
        .enter(device, Hook::Cleanup)
        .enter(device, Hook::ReleaseAll)
        .rel(device, device.0 + 0x100, "devm_clk_release", 8)
        .end_unbind(device, 1);
}

fn three_times() -> Story {
    let mut story = Story::new();
    for (device, name) in [(ONE, "one"), (OTHER, "other")] {
        story
            .enter(device, Hook::Initialise)
            .named(device, name, "platform", "early");
    }
    for device in [ONE, OTHER, ONE] {
        story.wait(10_000_000);
        binding(&mut story, device);
    }
    story
}

/// The line of the history, third from below.
fn history(screen: &str) -> String {
    let lines: Vec<&str> = screen.lines().collect();
    lines[lines.len() - 3].to_owned()
}

#[test]
fn each_time_has_its_mark_and_is_found_by_the_keys() {
    for sight in [Sight::Live, Sight::Recording("three".to_owned())] {
        let mut session = of_events(sight, whole(), &three_times().events);
        text(&mut session, 100, 40);
        let findings = session.playback().history().findings();
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].count, 3);
        session.press("2 t # 1 Enter").unwrap();
        let screen = text(&mut session, 100, 40);
        assert_eq!(history(&screen).matches('!').count(), 3, "{screen}");
        let mut seen = Vec::new();
        for device in [ONE, OTHER, ONE] {
            session.press("]").unwrap();
            let screen = text(&mut session, 100, 40);
            let selected = session.state().device.unwrap();
            assert_eq!(selected.address, device.address());
            assert!(screen.contains("✗"), "{screen}");
            assert!(screen.contains("DR001: dev_pm_domain_detach()"), "{screen}");
            assert!(screen.contains("! DR001 error"), "{screen}");
            seen.push(session.playback().position());
        }
        assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
        session.press("]").unwrap();
        assert!(text(&mut session, 100, 40).contains("no later finding"));
        session.press("[").unwrap();
        assert_eq!(session.playback().position(), seen[1]);
        session.press("[").unwrap();
        assert_eq!(session.playback().position(), seen[0]);
        session.press("[").unwrap();
        assert!(text(&mut session, 100, 40).contains("no earlier finding"));
    }
}

#[test]
fn the_table_and_the_filter_know_every_device_a_finding_is_on() {
    let sight = Sight::Recording("three".to_owned());
    let mut session = of_events(sight, whole(), &three_times().events);
    session.press("a f").unwrap();
    let screen = text(&mut session, 100, 40);
    assert_eq!(session.playback().rows().shown().len(), 2, "{screen}");
    session
        .press("f / f i n d i n g : d r 0 0 1 Enter")
        .unwrap();
    text(&mut session, 100, 40);
    assert_eq!(session.playback().rows().shown().len(), 2);
    // At a time when it had been found on one of them only.
    session.press("Esc 2 t # 1 Enter ] 1 f").unwrap();
    text(&mut session, 100, 40);
    assert_eq!(session.playback().rows().shown().len(), 1);
}

#[test]
fn the_timeline_shows_when_it_was_found() {
    let sight = Sight::Recording("three".to_owned());
    let mut session = of_events(sight, whole(), &three_times().events);
    session.press("4 d").unwrap();
    let screen = text(&mut session, 120, 40);
    // Without the view's name, the history's line and the events.
    let lanes: String = screen
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("Events"))
        .collect();
    assert_eq!(lanes.matches('!').count(), 3, "{screen}");
}

#[test]
fn the_story_names_every_device() {
    let sight = Sight::Recording("three".to_owned());
    let mut session = of_events(sight, whole(), &three_times().events);
    session.press("3 Enter").unwrap();
    let screen = text(&mut session, 120, 60);
    assert!(screen.contains("3 times"), "{screen}");
    assert!(screen.contains("on one, other"), "{screen}");
}

#[test]
fn what_is_forgotten_takes_its_marks_along() {
    let mut story = three_times();
    for _ in 0..3500 {
        binding(&mut story, ONE);
    }
    let mut session = crate::screen::short(story.events.iter());
    text(&mut session, 100, 40);
    let history = session.playback().history();
    let first = history.first();
    assert!(first > 0, "nothing was forgotten");
    let found = history.found();
    let early = found.before(first + 1);
    assert_eq!(early, None);
    assert!(found.after(first).is_some());
    let count = found.until(history.end());
    assert_eq!(count, history.findings()[0].count);
}

#[test]
fn the_stack_stays_on_its_device_when_that_is_gone() {
    let mut story = Story::new();
    for (device, name) in [(OTHER, "another"), (ONE, "going")] {
        story
            .enter(device, Hook::Initialise)
            .named(device, name, "platform", "right")
            .enter(device, Hook::Probe)
            .add(device, device.0 + 0x100, "devm_clk_release", 8)
            .bound(device);
    }
    let bound = story.events.len();
    story
        .enter(ONE, Hook::Unbind)
        .enter(ONE, Hook::Cleanup)
        .enter(ONE, Hook::ReleaseAll)
        .rel(ONE, ONE.0 + 0x100, "devm_clk_release", 8)
        .end_unbind(ONE, 1)
        .enter(ONE, Hook::Delete)
        .leave(ONE, Hook::Delete)
        .last_put(ONE);
    let (before, after) = story.events.split_at(bound);
    let mut session = of_events(Sight::Live, whole(), before);
    text(&mut session, 100, 40);
    session.press("Down 2").unwrap();
    let screen = text(&mut session, 100, 40);
    assert!(screen.contains("going  driver right"), "{screen}");
    for event in after {
        session.take(event.clone());
    }
    let end = after.last().unwrap().time;
    for minutes in [0, 1, 60] {
        session.tell_time(Time(end.0 + minutes * 60_000_000_000));
        let screen = text(&mut session, 100, 40);
        assert_eq!(session.state().view, View::Stack);
        assert_eq!(session.state().device.unwrap().address, ONE.address());
        assert!(screen.contains("going  "), "{screen}");
        assert!(screen.contains("gone"), "{screen}");
        assert!(screen.contains("✓ devm_clk_release"), "{screen}");
    }
    // In the table it has faded.
    session.press("1").unwrap();
    session.tell_time(Time(end.0 + 7_200_000_000_000));
    text(&mut session, 100, 40);
    let screen = text(&mut session, 100, 40);
    assert!(!screen.contains("going"), "{screen}");
}
