//! What keys and the mouse do, and that nothing from the kernel steers the terminal.

use crossterm::event::{Event as Input, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use devres_tracer::{
    event::Hook,
    tui::{
        Sight,
        configuration::Configuration,
        keymap::{Action, Key},
        rows::Sort,
        state::{Effect, View},
        theme::{Ability, Colours},
    },
};
use ratatui::style::{Color, Modifier};

use crate::{
    screen::{buffer, demo, demo_on, of_events, style_of, text},
    support::{Dev, Story, whole},
};

fn device(number: u64) -> Dev {
    Dev(0xff11_0000_0000_0000 + number * 0x1000)
}

/// Devices of three drivers, each with one resource.
fn devices(count: u64) -> Story {
    let mut story = Story::new();
    for number in 0..count {
        let device = device(number);
        story
            .enter(device, Hook::Initialise)
            .named(
                device,
                &format!("dev{number:05}"),
                ["pci", "platform"][usize::try_from(number % 2).unwrap()],
                &format!("driver{}", number % 3),
            )
            .enter(device, Hook::Probe)
            .add(
                device,
                device.0 + 0x100,
                if number % 10 == 0 {
                    "devm_clk_release"
                } else {
                    "devm_kzalloc_release"
                },
                number,
            )
            .bound(device);
    }
    story
}

#[test]
fn filters_find_names_drivers_buses_states_and_resources() {
    let mut session = of_events(Sight::Live, whole(), &devices(100).events);
    text(&mut session, 80, 24);
    for (filter, found) in [
        ("", 100),
        ("dev0001", 10),
        ("DEV00011", 1),
        ("driver:driver1", 33),
        ("bus:pci", 50),
        ("bus:pci driver1", 16),
        ("resource:clk", 10),
        ("clk bus:pci", 10),
        ("state:bound", 100),
        ("state:probing", 0),
        ("name:clk", 0),
        ("finding:DR001", 0),
    ] {
        session.press("/ Ctrl-u").unwrap();
        session.input(&Input::Paste(filter.to_owned()));
        session.press("Enter").unwrap();
        text(&mut session, 80, 24);
        assert_eq!(session.playback().rows().shown().len(), found, "{filter:?}");
    }
    session.press("Esc").unwrap();
    text(&mut session, 80, 24);
    assert_eq!(
        session.playback().rows().shown().len(),
        100,
        "Esc drops the filter"
    );
}

#[test]
fn a_finding_is_found_by_its_rule() {
    let mut session = demo();
    for (filter, found) in [("finding:dr001", 1), ("pm-detach", 1), ("finding:dr002", 0)] {
        session.press("/ Ctrl-u").unwrap();
        session.input(&Input::Paste(filter.to_owned()));
        session.press("Enter").unwrap();
        text(&mut session, 80, 24);
        assert_eq!(session.playback().rows().shown().len(), found, "{filter}");
    }
    session.press("Esc a f").unwrap();
    text(&mut session, 80, 24);
    assert_eq!(
        session.playback().rows().shown().len(),
        1,
        "only that with findings"
    );
}

#[test]
fn the_selected_device_stays_selected_while_the_order_changes() {
    let mut session = of_events(Sight::Live, whole(), &devices(50).events);
    text(&mut session, 80, 24);
    session.press("Down Down Down").unwrap();
    let selected = session.state().device;
    for _ in Sort::ALL {
        session.press("s").unwrap();
        let screen = text(&mut session, 80, 24);
        assert_eq!(session.state().device, selected);
        let row = session.playback().rows().of(selected.unwrap()).unwrap();
        let line = screen.lines().find(|line| line.starts_with('>'));
        assert!(line.unwrap().contains(&row.name), "{screen}");
    }
}

#[test]
fn ten_thousand_devices_are_shown_and_gone_through() {
    let mut session = of_events(Sight::Live, whole(), &devices(10_000).events);
    let screen = text(&mut session, 80, 24);
    assert!(screen.contains("10,000 of 10,000 devices"), "{screen}");
    session.press("End").unwrap();
    let screen = text(&mut session, 80, 24);
    let selected = screen.lines().find(|line| line.starts_with('>')).unwrap();
    let words: Vec<&str> = selected.split_whitespace().take(4).collect();
    assert_eq!(words, [">", "platform", "driver0", "dev09999"], "{screen}");
    session.press("Home PageDown").unwrap();
    text(&mut session, 80, 24);
    assert!(session.state().devices.cursor > 3);
}

#[test]
fn keys_lead_through_the_views_and_back() {
    let mut session = demo();
    text(&mut session, 80, 24);
    for (keys, view) in [
        ("Enter", View::Stack),
        ("Esc", View::Devices),
        ("3", View::Findings),
        ("Enter", View::Finding),
        ("Enter", View::Stack),
        ("Esc", View::Finding),
        ("Esc", View::Findings),
        ("Tab", View::Timeline),
        ("Tab", View::Devices),
        ("BackTab", View::Timeline),
        ("?", View::Help),
        ("Esc", View::Timeline),
    ] {
        assert_eq!(session.press(keys).unwrap(), Effect::None);
        assert_eq!(session.state().view, view, "after {keys}");
        text(&mut session, 80, 24);
    }
    assert_eq!(session.press("q").unwrap(), Effect::Quit);
    assert_eq!(session.press("Ctrl-z").unwrap(), Effect::Suspend);
}

#[test]
fn an_unbound_key_says_where_help_is() {
    let mut session = demo();
    session.press("Z").unwrap();
    let screen = text(&mut session, 80, 24);
    assert!(
        screen.contains("Z does nothing here; ? shows the keys"),
        "{screen}"
    );
}

#[test]
fn help_shows_the_keys_as_they_are_bound() {
    let mut session = demo();
    text(&mut session, 80, 24);
    session.press("?").unwrap();
    let screen = text(&mut session, 100, 70);
    let map = Configuration::new(Ability::full()).keymap;
    assert!(
        screen.contains(&map.keys(Action::Quit).join("  ")),
        "{screen}"
    );
    for info in &devres_tracer::tui::keymap::ACTIONS {
        assert!(screen.contains(info.description), "{}: {screen}", info.name);
        for key in info.keys {
            assert!(Key::parse(key).is_ok());
        }
    }
}

fn mouse(kind: MouseEventKind, column: u16, row: u16) -> Input {
    Input::Mouse(MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    })
}

#[test]
fn the_mouse_selects_scrolls_and_scrubs() {
    let mut session = of_events(Sight::Live, whole(), &devices(100).events);
    text(&mut session, 80, 24);
    let click = MouseEventKind::Down(MouseButton::Left);
    session.input(&mouse(click, 10, 5));
    assert_eq!(session.state().devices.cursor, 2);
    session.input(&mouse(MouseEventKind::ScrollDown, 10, 5));
    text(&mut session, 80, 24);
    assert_eq!(session.state().devices.cursor, 5);
    let screen = text(&mut session, 80, 24);
    let tab = screen.find("2 Stack").unwrap();
    session.input(&mouse(click, u16::try_from(tab).unwrap(), 0));
    assert_eq!(session.state().view, View::Stack, "a click on its name");
    text(&mut session, 80, 24);
    // The bar of the history is the third line from below.
    session.input(&mouse(click, 60, 21));
    let position = session.playback().position();
    assert!(!session.playback().is_following());
    assert!(
        position > 100 && position < session.playback().history().end(),
        "{position}"
    );
}

#[test]
fn nothing_of_the_kernel_steers_the_terminal() {
    let evil = "\u{1b}[31mevil\u{7}\u{202e}\n\t\u{9b}2J";
    let mut story = Story::new();
    let dev = device(1);
    story
        .task("\u{1b}]0;x", 7)
        .enter(dev, Hook::Initialise)
        .named(dev, evil, evil, evil)
        .enter(dev, Hook::Probe)
        .stack(&[evil])
        .add(dev, 0x100, evil, 8)
        .enter(dev, Hook::Unbind)
        .enter(dev, Hook::ReleaseAll)
        .rel(dev, 0x100, evil, 8);
    let mut session = of_events(Sight::Recording(evil.to_owned()), whole(), &story.events);
    for keys in ["", "2", "3", "4", "4 d", "t # 7 Enter 2", "1 /"] {
        session.press(keys).unwrap();
        if keys.ends_with('/') {
            session.input(&Input::Paste(evil.to_owned()));
        }
        for (width, height) in [(80, 24), (200, 50), (30, 8)] {
            let screen = text(&mut session, width, height);
            let bad = |character: char| {
                (character.is_control() && character != '\n') || character == '\u{202e}'
            };
            assert!(!screen.contains(bad), "{keys}: {screen:?}");
        }
    }
}

#[test]
fn wide_and_combining_characters_keep_the_columns() {
    let mut story = Story::new();
    for (number, name) in ["漢字漢字漢字漢字漢字", "e\u{301}e\u{301}", "plain"]
        .iter()
        .enumerate()
    {
        let dev = device(number as u64);
        story
            .enter(dev, Hook::Initialise)
            .named(dev, name, "bus", "driver")
            .enter(dev, Hook::Probe)
            .add(dev, dev.0 + 0x100, name, 8)
            .enter(dev, Hook::Bound);
    }
    let mut session = of_events(Sight::Live, whole(), &story.events);
    let buffer = buffer(&mut session, 80, 24);
    let state_column = |y: u16| {
        (0..79).find(|x| buffer[(*x, y)].symbol() == "b" && buffer[(*x + 1, y)].symbol() == "o")
    };
    let columns: Vec<_> = (3..6).map(state_column).collect();
    assert!(columns[0].is_some());
    assert!(
        columns.iter().all(|column| *column == columns[0]),
        "{columns:?}"
    );
}

#[test]
fn no_size_breaks_any_view() {
    for keys in [
        "1",
        "2",
        "3",
        "3 Enter",
        "4",
        "4 d",
        "?",
        "1 /",
        "t # 3 8 Enter 2",
    ] {
        for (width, height) in [
            (1, 1),
            (2, 3),
            (5, 5),
            (24, 5),
            (24, 6),
            (25, 7),
            (33, 9),
            (79, 23),
            (80, 24),
            (81, 200),
            (400, 12),
        ] {
            let mut session = demo();
            text(&mut session, width, height);
            session.press(keys).unwrap();
            text(&mut session, width, height);
            session
                .press("Down PageDown End Home + + - Left Right")
                .unwrap();
            text(&mut session, width, height);
        }
    }
}

#[test]
fn a_terminal_without_colours_or_signs_gets_neither() {
    let serial = Ability {
        colours: Colours::None,
        signs: false,
        screens: false,
    };
    for keys in ["", "a", "2", "3", "3 Enter", "4", "?", "t # 3 8 Enter 2"] {
        let mut session = demo_on(serial);
        text(&mut session, 80, 24);
        session.press(keys).unwrap();
        let buffer = buffer(&mut session, 80, 24);
        for cell in buffer.content() {
            assert!(cell.symbol().is_ascii(), "{keys}: {:?}", cell.symbol());
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{keys}");
        }
    }
}

#[test]
fn findings_taint_and_loss_stand_out() {
    let mut session = demo();
    let screen = buffer(&mut session, 80, 24);
    assert_eq!(style_of(&screen, "! DR001").unwrap().fg, Some(Color::Red));
    let mut story = devices(3);
    story.lose(17);
    let mut session = of_events(Sight::Live, whole(), &story.events);
    let screen = buffer(&mut session, 80, 24);
    assert_eq!(style_of(&screen, "lost 17").unwrap().fg, Some(Color::Red));
    assert_eq!(style_of(&screen, "bound?").unwrap().fg, Some(Color::Yellow));
    let text = text(&mut session, 80, 24);
    assert!(text.contains("3 devices not certain"), "{text}");
    assert!(
        text.contains("~ uncertain: events were lost: the ring buffer was full"),
        "{text}"
    );
}

#[test]
fn what_came_from_the_snapshot_is_marked() {
    let mut story = Story::new();
    let dev = device(1);
    let old = crate::support::added(0x100, "devm_clk_release", 8);
    story
        .snapshot(dev, "driver", &[old])
        .add(dev, 0x200, "devm_kzalloc_release", 8);
    let mut session = of_events(Sight::Live, whole(), &story.events);
    let screen = text(&mut session, 100, 30);
    assert!(screen.contains("1 from the snapshot (s)"), "{screen}");
    let line = screen
        .lines()
        .find(|line| line.contains("devm_clk_release"));
    assert!(line.unwrap().starts_with(" s "), "{screen}");
    assert!(
        line.unwrap().contains("unknown: from before the trace"),
        "{screen}"
    );
    let line = screen
        .lines()
        .find(|line| line.contains("devm_kzalloc_release"));
    assert!(line.unwrap().starts_with("   "), "{screen}");
    let cursor = style_of(&buffer(&mut session, 100, 30), ">").unwrap();
    assert!(cursor.add_modifier.contains(Modifier::REVERSED));
}

#[test]
fn groups_are_nested_brackets_with_who_opened_them() {
    let mut story = Story::new();
    let dev = device(1);
    story
        .enter(dev, Hook::Initialise)
        .named(dev, "grouped", "platform", "driver")
        .enter(dev, Hook::Probe)
        .stack(&["devres_open_group", "outer_probe@module", "really_probe"])
        .open_group(dev, 0x10, 0xb000)
        .add(dev, 0xb100, "devm_clk_release", 8)
        .stack(&["devres_open_group", "inner_setup@module", "really_probe"])
        .open_group(dev, 0x20, 0xb200)
        .add(dev, 0xb300, "devm_kzalloc_release", 8)
        .close_group(dev, 0x20, 0xb200)
        .add(dev, 0xb400, "devm_ioremap_release", 8);
    let mut session = of_events(Sight::Live, whole(), &story.events);
    let screen = text(&mut session, 100, 30);
    let stack: Vec<&str> = screen
        .lines()
        .skip_while(|line| !line.contains("RESOURCE"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .collect();
    let begins = [
        "   ┌ group 0x10 is open: new resources belong to it",
        "   │ devm_ioremap_release",
        "   │ ┌ group 0x20, closed",
        "   │ │ devm_kzalloc_release",
        "   │ └ group 0x20 closed, opened",
        "   │ devm_clk_release",
        "   └ group 0x10 open, opened",
    ];
    assert_eq!(stack.len(), begins.len(), "{screen}");
    for (line, begin) in stack.iter().zip(begins) {
        assert!(line.starts_with(begin), "{begin}:\n{screen}");
    }
    assert!(screen.contains("by inner_setup+0x2b [module]"), "{screen}");
    assert!(screen.contains("by outer_probe+0x2b [module]"), "{screen}");
    assert!(
        screen.contains("2+"),
        "two groups, not all of them closed: {screen}"
    );
}

#[test]
fn findings_and_traces_are_saved_and_can_be_read_again() {
    let directory = std::env::temp_dir().join(format!("devres-tracer-tui-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let save = |session: &mut devres_tracer::tui::Session, key: &str, name: &str| {
        let path = directory.join(name);
        session.press(key).unwrap();
        session.press("Ctrl-u").unwrap();
        session.input(&Input::Paste(path.display().to_string()));
        session.press("Enter").unwrap();
        path
    };
    let mut session = demo();
    text(&mut session, 80, 24);
    let path = save(&mut session, "w", "finding.txt");
    let saved = std::fs::read_to_string(&path).unwrap();
    assert!(
        saved.starts_with("DR001 error: driver pvpanic-mmio"),
        "{saved}"
    );
    let screen = text(&mut session, 200, 24);
    assert!(screen.contains("DR001 saved as"), "{screen}");
    save(&mut session, "w", "finding.txt");
    let screen = text(&mut session, 200, 24);
    assert!(
        screen.contains("can't be written"),
        "what is there is not overwritten: {screen}"
    );

    for name in ["trace.jsonl", "trace.dvrt"] {
        let path = save(&mut session, "W", name);
        let mut recording = devres_tracer::source::recording::Recording::open(&path).unwrap();
        let mut events = Vec::new();
        recording
            .for_each(|event| {
                events.push(event.clone());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(recording.problems(), Vec::<String>::new());
        let held: Vec<_> = session.playback().history().events().cloned().collect();
        assert_eq!(events, held, "{name}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
