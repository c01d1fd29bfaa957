//! Times as no clock would say them, keys in any order, and terminals of any size.

use devres_tracer::{
    event::{Event, Hook, Time},
    tui::Sight,
};
use proptest::{collection::vec, prelude::*};

use crate::{
    screen::{buffer, of_events, text},
    support::{Dev, Story, whole},
};

const KEYS: [&str; 39] = [
    "<",
    ">",
    ",",
    ".",
    "L",
    "1",
    "2",
    "3",
    "4",
    "?",
    "Esc",
    "Enter",
    "Tab",
    "BackTab",
    "Up",
    "Down",
    "PageUp",
    "PageDown",
    "Home",
    "End",
    "Left",
    "Right",
    "+",
    "-",
    "0",
    "d",
    "[",
    "]",
    "a",
    "f",
    "s",
    "Space",
    "{",
    "}",
    "t # 3 Enter",
    "t 1 8 4 4 6 7 4 4 0 7 3 Enter",
    "t 0 Enter",
    "/ x Enter",
    "Ctrl-l",
];

/// Devices that are bound and unbound, with functions that nest and some that never return.
fn events(rounds: usize) -> Vec<Event> {
    let mut story = Story::new();
    for round in 0..rounds {
        let device = Dev(0xff11_0000_0010_0000 + (round as u64 % 3) * 0x1000);
        story
            .task("task", u32::try_from(round % 2).unwrap())
            .enter(device, Hook::Initialise)
            .named(device, "device", "platform", "driver")
            .enter(device, Hook::Probe)
            .attach(device)
            .add(device, device.0 + 0x100, "devm_clk_release", 8)
            .open_group(device, 1, device.0 + 0x200)
            .bound(device)
            .enter(device, Hook::Unbind)
            .enter(device, Hook::Remove)
            .detach(device)
            .leave(device, Hook::Remove)
            .enter(device, Hook::ReleaseAll)
            .rel(device, device.0 + 0x100, "devm_clk_release", 8)
            .returned(device, Hook::ReleaseAll, Some(1));
        if round % 2 == 0 {
            story
                .leave(device, Hook::Unbind)
                .enter(device, Hook::Delete)
                .last_put(device);
        }
    }
    story.events
}

fn times() -> impl Strategy<Value = Vec<u64>> {
    let time = prop_oneof![
        3 => 0..2000_u64,
        2 => any::<u64>(),
        1 => Just(0),
        1 => Just(u64::MAX),
        1 => Just(1_000_000_000),
        1 => (0..1000_u64).prop_map(|less| u64::MAX - less),
    ];
    vec(time, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_times_keys_or_sizes_break_a_view(
        times in times(),
        live in any::<bool>(),
        rounds in 1..5_usize,
        keys in vec(prop::sample::select(&KEYS[..]), 1..25),
        sizes in vec((0..220_u16, 0..70_u16), 1..5),
        clock in any::<u64>(),
    ) {
        let mut events = events(rounds);
        for (event, time) in events.iter_mut().zip(times.iter().cycle()) {
            event.time = Time(*time);
        }
        let sight = if live { Sight::Live } else { Sight::Recording("times".to_owned()) };
        let mut session = of_events(sight, whole(), &events);
        if live {
            session.tell_time(Time(clock));
            session.pass(Time(clock));
        }
        for (key, (width, height)) in keys.iter().zip(sizes.iter().cycle()) {
            session.press(key).unwrap();
            buffer(&mut session, *width, *height);
        }
    }
}

#[test]
fn a_span_that_ends_before_it_begins_has_no_length() {
    let mut events = events(2);
    // Ten seconds into it, the clock says that it is two.
    for (event, number) in events.iter_mut().zip(0_u64..) {
        event.time = Time(if number % 5 == 4 {
            2_000_000
        } else {
            10_000_000 + number
        });
    }
    let mut session = of_events(Sight::Recording("backwards".to_owned()), whole(), &events);
    for keys in ["4", "d", "+ + +", "Left", "Right Right", "- - - -"] {
        session.press(keys).unwrap();
        let screen = text(&mut session, 80, 24);
        assert!(screen.contains("Timeline of"), "{screen}");
    }
    let timeline = session.playback().history().timeline();
    assert!(timeline.spans().count() > 4);
    for span in timeline.spans() {
        assert!(span.end.is_none_or(|end| end >= span.begin), "{span:?}");
    }
}

#[test]
fn no_terminal_is_too_small_or_too_large() {
    for (width, height) in [
        (0, 0),
        (0, 50),
        (50, 0),
        (1, 1),
        (24, 6),
        (24, 65_535 / 24),
        (9_000, 7),
        (2_000, 30),
        (30, 2_000),
        (5, 9_000),
    ] {
        let mut session = of_events(Sight::Live, whole(), &events(4));
        for keys in ["1", "2", "3", "Enter", "4", "d", "?", "1 /"] {
            session.press(keys).unwrap();
            buffer(&mut session, width, height);
        }
    }
}
