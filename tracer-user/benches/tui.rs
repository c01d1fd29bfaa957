//! How fast the live view opens a recording of a million events, goes anywhere in it, and draws.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs::File,
    io::BufWriter,
    path::PathBuf,
    time::{Duration, Instant},
};

use devres_tracer::{
    event::{Event, EventKind, Hook},
    evidence::SourceInformation,
    model::Model,
    rules::RuleSet,
    sink::{Sink as _, json::JsonSink},
    trace_file::{End, EndedBy, Header, TraceFileWriter},
    tui::{Session, Sight, configuration::Configuration, source::Source, theme::Ability},
};
use ratatui::{buffer::Buffer, layout::Rect};
use support::{Dev, Story, added, whole};

/// Events of the recording.
const EVENTS: usize = 1_000_000;
/// Places that are gone to.
const SEEKS: u32 = 40;
/// Devices that live at the same time.
const DEVICES: u64 = 10_000;

fn main() {
    // `cargo test` runs benches as well, and wants to know only that this one works.
    let events = if std::env::args().any(|argument| argument == "--bench") {
        EVENTS
    } else {
        EVENTS / 20
    };
    let story = recording(events);
    println!("{} events on {DEVICES} devices", story.len());

    let began = Instant::now();
    let mut session = session();
    for event in &story {
        session.take(event.clone());
    }
    session.end();
    let mut buffer = Buffer::empty(Rect::new(0, 0, 120, 40));
    session.draw(&mut buffer);
    report(
        "open, from decoded events to the first screen",
        began.elapsed(),
    );

    let mut slowest = Duration::ZERO;
    let mut all = Duration::ZERO;
    for place in 0..SEEKS {
        // Back and forth, and never near a checkpoint twice in the same distance.
        let event = (u64::from(place) * 7_919_317) % story.len() as u64;
        let keys: String = event
            .to_string()
            .chars()
            .flat_map(|digit| [digit, ' '])
            .collect();
        let began = Instant::now();
        session
            .press(&format!("t # {keys} Enter"))
            .expect("these are keys");
        session.draw(&mut buffer);
        slowest = slowest.max(began.elapsed());
        all += began.elapsed();
    }
    report("seek and draw, slowest", slowest);
    report("seek and draw, on average", all / SEEKS);

    for (name, keys) in [
        ("devices", "1"),
        ("stack", "2"),
        ("timeline of a device", "4"),
        ("timeline of all", "4 d"),
        ("filter by a resource", "/ p i n c Enter"),
    ] {
        session.press(keys).expect("these are keys");
        let began = Instant::now();
        session.draw(&mut buffer);
        report(&format!("draw: {name}"), began.elapsed());
    }

    burst();
    files(&story);
}

/// 100,000 events that come at once while 10,000 devices are on the screen: how long the longest stretch is in
/// which no key would be answered, if events are taken in for 25 ms at a time as the loop does.
fn burst() {
    let mut session = session();
    let events = recording(2 * 100_000 + 60_000);
    let (first, rest) = events.split_at(events.len() - 100_000);
    for event in first {
        session.take(event.clone());
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, 120, 40));
    session.draw(&mut buffer);
    let mut longest = Duration::ZERO;
    let began = Instant::now();
    let mut frames = 0_u32;
    let mut rest = rest.iter().cloned();
    while rest.len() > 0 {
        let slice = Instant::now();
        while slice.elapsed() < Duration::from_millis(25) && rest.len() > 0 {
            for event in rest.by_ref().take(256) {
                session.take(event);
            }
        }
        session.draw(&mut buffer);
        frames += 1;
        longest = longest.max(slice.elapsed());
    }
    report("burst of 100,000 events", began.elapsed());
    report(&format!("  longest of its {frames} frames"), longest);
}

/// The same recording from files, as `live FILE` reads them: on a thread of its own.
fn files(story: &[Event]) {
    let directory =
        std::env::temp_dir().join(format!("devres-tracer-bench-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("there is room for a directory");
    let create = |name: &str| {
        let path = directory.join(name);
        let file = File::create_new(&path).expect("there is room for a file");
        (path, BufWriter::new(file))
    };
    let information = information();

    let (path, file) = create("bench.dvrt");
    let header = Header::of_recording(information.clone());
    let mut writer = TraceFileWriter::begin(file, &header).expect("the file can be written");
    for event in story {
        writer.event(event).expect("the file can be written");
    }
    let end = End {
        ended: Some(EndedBy::Run),
        ..End::default()
    };
    writer.finish(end).expect("the file can be written");
    open(path, "open a trace file");

    let (path, file) = create("bench.jsonl");
    let mut sink = JsonSink::new(file, true);
    sink.begin(&information).expect("the file can be written");
    let mut model = Model::new(information.coverage.into());
    for event in story {
        model.apply(event);
        sink.event(event, &model).expect("the file can be written");
    }
    sink.flush().expect("the file can be written");
    open(path, "open JSON lines");
    std::fs::remove_dir_all(&directory).expect("it was made just now");
}

fn open(path: PathBuf, what: &str) {
    let began = Instant::now();
    let source = Source::recording(path).expect("it was written just now");
    let mut session = session();
    let mut buffer = Buffer::empty(Rect::new(0, 0, 120, 40));
    session.draw(&mut buffer);
    report(&format!("{what}: first screen"), began.elapsed());
    while source.ended().is_none() {
        match source.take() {
            Some(batch) => {
                for event in batch {
                    session.take(event);
                }
            }
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    }
    session.end();
    session.draw(&mut buffer);
    report(&format!("{what}: all of it"), began.elapsed());
}

fn report(what: &str, time: Duration) {
    println!("{what:<50} {:>9.1} ms", time.as_secs_f64() * 1e3);
}

fn information() -> SourceInformation {
    SourceInformation {
        tool: "bench".to_owned(),
        kernel: None,
        machine: None,
        coverage: whole(),
        filters: Vec::new(),
    }
}

fn session() -> Session {
    Session::new(
        Sight::Recording("bench".to_owned()),
        information(),
        RuleSet::checked(),
        Configuration::new(Ability::full()),
    )
}

/// Ten thousand devices that are probed, and then unbound and probed again, in turn.
fn recording(events: usize) -> Vec<Event> {
    let mut story = Story::new();
    let mut bound = false;
    while story.events.len() < events {
        for number in 0..DEVICES {
            let device = Dev(0xff11_0000_0500_0000 + number * 0x800);
            story.task(
                "kworker/0:1",
                40 + u32::try_from(number % 4).expect("it is small"),
            );
            if bound {
                unbind(&mut story, device);
            } else {
                story.enter(device, Hook::Initialise);
                story.named(device, &format!("dev{number}"), "platform", "driver");
            }
            probe(&mut story, device);
            if story.events.len() >= events && bound {
                break;
            }
        }
        bound = true;
    }
    story.events.truncate(events);
    story.events
}

const RESOURCES: u64 = 6;

fn probe(story: &mut Story, device: Dev) {
    story.enter(device, Hook::Probe);
    for number in 0..RESOURCES {
        let name = if number % 2 == 0 {
            "devm_kzalloc_release"
        } else {
            "devm_clk_release"
        };
        let node = added(device.0 + 0x40 * (number + 1), name, 64);
        story.push(device, EventKind::Add(node));
    }
    story
        .enter(device, Hook::Bound)
        .returned(device, Hook::Probe, Some(0));
}

fn unbind(story: &mut Story, device: Dev) {
    story
        .enter(device, Hook::Unbind)
        .enter(device, Hook::ReleaseAll);
    for number in (0..RESOURCES).rev() {
        let name = if number % 2 == 0 {
            "devm_kzalloc_release"
        } else {
            "devm_clk_release"
        };
        story.rel(device, device.0 + 0x40 * (number + 1), name, 64);
    }
    story
        .returned(
            device,
            Hook::ReleaseAll,
            Some(i64::try_from(RESOURCES).expect("it is small")),
        )
        .returned(device, Hook::Unbind, None);
}
