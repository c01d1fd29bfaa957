//! Any instant of the past can be looked at, and looks as it did.

use devres_tracer::{
    event::Hook,
    evidence::SourceInformation,
    rules::RuleSet,
    tui::{Session, Sight, configuration::Configuration, theme::Ability},
};
use proptest::prelude::*;

use crate::{
    screen::{demo, of_events, text},
    support::{Dev, Story, whole},
};

/// The lines between the top and the bottom, which report more than the instant.
fn body(session: &mut Session) -> String {
    let screen = text(session, 120, 40);
    let lines: Vec<&str> = screen.lines().collect();
    lines[1..37].join("\n")
}

fn goto(session: &mut Session, event: u64) {
    let digits: String = event
        .to_string()
        .chars()
        .flat_map(|digit| [digit, ' '])
        .collect();
    session.press(&format!("t # {digits} Enter")).unwrap();
}

#[test]
fn every_instant_of_the_demo_is_that_of_a_session_that_saw_no_more() {
    let whole_recording = demo();
    let events: Vec<_> = whole_recording
        .playback()
        .history()
        .events()
        .cloned()
        .collect();
    let coverage = whole_recording
        .playback()
        .history()
        .coverage()
        .as_ref()
        .clone();
    let mut session = demo();
    // Forwards and backwards, in large and small steps.
    for position in (1..=44).chain((1..=44).rev()).chain([5, 40, 12, 44, 1]) {
        goto(&mut session, position);
        assert_eq!(session.playback().position(), position);
        let cut = &events[..usize::try_from(position).unwrap()];
        let at_that_time = of_events(Sight::Recording("x".to_owned()), coverage.clone(), cut);
        let nodes = |device: devres_tracer::model::Device<'_>| -> Vec<_> {
            device
                .releasing()
                .chain(device.nodes())
                .map(|(_, node)| node.address())
                .collect()
        };
        let devices = |session: &Session| -> Vec<_> {
            let devices = session.playback().model().devices();
            devices
                .map(|device| (device.key(), device.state(), nodes(device)))
                .collect()
        };
        assert_eq!(devices(&at_that_time), devices(&session), "at {position}");
        assert_eq!(at_that_time.playback().now(), session.playback().now());
    }
}

#[test]
fn stepping_and_seeking_lead_to_the_same_screen() {
    let mut stepping = demo();
    text(&mut stepping, 120, 40);
    goto(&mut stepping, 20);
    for position in 21..=44 {
        stepping.press(".").unwrap();
        let mut seeking = demo();
        text(&mut seeking, 120, 40);
        goto(&mut seeking, position);
        assert_eq!(body(&mut stepping), body(&mut seeking), "at {position}");
    }
}

#[test]
fn findings_are_jumped_to() {
    let mut session = demo();
    text(&mut session, 80, 24);
    session.press("[").unwrap();
    let found = session.playback().position();
    assert_eq!(session.playback().history().found_until(found), 1);
    assert_eq!(session.playback().history().found_until(found - 1), 0);
    goto(&mut session, 3);
    session.press("]").unwrap();
    assert_eq!(session.playback().position(), found);
    session.press("]").unwrap();
    let screen = text(&mut session, 80, 24);
    assert!(screen.contains("no later finding"), "{screen}");
}

#[test]
fn a_time_can_be_typed() {
    let mut session = demo();
    text(&mut session, 80, 24);
    session.press("t 1 2 . 8 1 1 9 9 2 Enter").unwrap();
    assert_eq!(session.playback().now().to_string(), "12.811992");
    session.press("t x Enter").unwrap();
    let screen = text(&mut session, 80, 24);
    assert!(screen.contains("give a time in seconds"), "{screen}");
}

/// A device that is probed, gets resources and is unbound, again and again.
fn cycles(count: u64) -> Story {
    let mut story = Story::new();
    let dev = Dev(0xff11_0000_0000_1000);
    story
        .enter(dev, Hook::Initialise)
        .named(dev, "busy", "platform", "driver");
    for _ in 0..count {
        story.enter(dev, Hook::Probe);
        for node in 1..=4 {
            story.add(dev, node * 0x100, "devm_kzalloc_release", 8);
        }
        story
            .bound(dev)
            .enter(dev, Hook::Unbind)
            .enter(dev, Hook::ReleaseAll);
        for node in (1..=4).rev() {
            story.rel(dev, node * 0x100, "devm_kzalloc_release", 8);
        }
        story
            .returned(dev, Hook::ReleaseAll, Some(4))
            .leave(dev, Hook::Unbind);
    }
    story
}

#[test]
fn a_paused_view_stands_still_while_the_recording_goes_on() {
    let story = cycles(40);
    let (first, rest) = story.events.split_at(200);
    let mut session = of_events(Sight::Live, whole(), first);
    text(&mut session, 120, 40);
    session.press("2 Space").unwrap();
    let before = body(&mut session);
    for event in rest {
        session.take(event.clone());
    }
    assert_eq!(body(&mut session), before);
    let screen = text(&mut session, 120, 40);
    let behind = format!("PAUSED -{}", rest.len());
    assert!(screen.contains(&behind), "{screen}");
    session.press("Space").unwrap();
    let screen = text(&mut session, 120, 40);
    assert!(screen.contains("LIVE"), "{screen}");
    assert_eq!(session.playback().position(), story.events.len() as u64);
    let mut straight = of_events(Sight::Live, whole(), &story.events);
    text(&mut straight, 120, 40);
    straight.press("2").unwrap();
    assert_eq!(body(&mut session), body(&mut straight));
}

#[test]
fn what_has_faded_does_not_come_back_with_a_pause() {
    let story = cycles(1);
    let mut session = of_events(Sight::Live, whole(), &story.events);
    let last = story.events.last().unwrap().time;
    session.tell_time(last);
    let screen = text(&mut session, 80, 24);
    assert!(screen.contains("released"), "{screen}");
    session.tell_time(devres_tracer::event::Time(last.0 + 6_000_000_000));
    let faded = text(&mut session, 80, 24);
    assert!(!faded.contains("released"), "{faded}");
    session.press("Space").unwrap();
    let paused = text(&mut session, 80, 24);
    assert!(paused.contains("PAUSED"), "{paused}");
    assert!(!paused.contains("released"), "{paused}");
    session.press(",").unwrap();
    let earlier = text(&mut session, 80, 24);
    assert!(earlier.contains("released"), "{earlier}");
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_said() {
    let story = cycles(4_000);
    let mut configuration = Configuration::new(Ability::full());
    configuration.history = 20_000;
    let mut session = Session::new(
        Sight::Live,
        SourceInformation {
            tool: "test".to_owned(),
            kernel: None,
            machine: None,
            coverage: whole(),
            filters: Vec::new(),
        },
        RuleSet::checked(),
        configuration,
    );
    for event in &story.events {
        session.take(event.clone());
    }
    let history = session.playback().history();
    let held = history.end() - history.first();
    assert_eq!(history.end(), story.events.len() as u64);
    assert!((1..=20_000 + 2 * 16_384).contains(&held), "{held}");
    assert!(history.timeline().all_marks().count() as u64 <= held);
    let first = history.first();
    text(&mut session, 80, 24);
    goto(&mut session, 10);
    assert_eq!(session.playback().position(), first);
    let screen = text(&mut session, 80, 24);
    assert!(screen.contains("are no longer held"), "{screen}");
    session.press(".").unwrap();
    let screen = text(&mut session, 80, 24);
    assert!(screen.contains("held from"), "{screen}");
}

#[test]
fn a_long_history_is_the_same_from_every_checkpoint() {
    let story = cycles(4_000);
    let mut session = of_events(Sight::Recording("x".to_owned()), whole(), &story.events);
    session.end();
    text(&mut session, 120, 40);
    session.press("2").unwrap();
    for position in [1, 16_383, 16_384, 16_385, 33_000, 50_001, 48_000, 100] {
        goto(&mut session, position);
        let there = body(&mut session);
        let cut = usize::try_from(position).unwrap();
        let mut straight = of_events(
            Sight::Recording("x".to_owned()),
            whole(),
            &story.events[..cut],
        );
        text(&mut straight, 120, 40);
        straight.press("2").unwrap();
        // What has just gone reaches back only so far.
        let stack = |screen: &str| -> Vec<String> {
            screen
                .lines()
                .filter(|line| line.contains("probing"))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(stack(&there), stack(&body(&mut straight)), "at {position}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is pressed, in whatever order and on whatever screen, nothing panics and the position is one
    /// that is held.
    #[test]
    fn any_keys_do(
        keys in prop::collection::vec(
            prop::sample::select(
                devres_tracer::tui::keymap::ACTIONS
                    .iter()
                    .filter(|info| !["save-finding", "save-trace", "quit"].contains(&info.name))
                    .flat_map(|info| info.keys)
                    .copied()
                    .collect::<Vec<_>>(),
            ),
            0..60,
        ),
        width in 1_u16..200,
        height in 1_u16..60,
    ) {
        let mut session = demo();
        for key in keys {
            session.press(key).unwrap();
            text(&mut session, width, height);
            let history = session.playback().history();
            prop_assert!(session.playback().position() <= history.end());
            prop_assert!(session.playback().position() >= history.first());
        }
    }
}
