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
    tui::{
        Session, Sight, configuration::Configuration, pace::Pace, source::Source, theme::Ability,
    },
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

    burst(events);
    files(&story);
}

/// A million events in a second while 10,000 devices are on the screen: how many pictures there are in it, and how long the
/// longest stretch is in which no key would be answered.
fn burst(events: usize) {
    let mut session = session();
    let story = recording(events + 60_000);
    let (first, rest) = story.split_at(story.len() - events);
    for event in first {
        session.take(event.clone());
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, 120, 40));
    let mut pace = Pace::default();
    let (mut longest, mut frames) = (Duration::ZERO, 0_u32);
    let mut taken = 0;
    let began = Instant::now();
    while taken < rest.len() {
        let slice = Instant::now();
        let until = pace.take_in_until(slice);
        while Instant::now() < until {
            // An event each microsecond.
            let come = usize::try_from(began.elapsed().as_micros()).unwrap_or(usize::MAX);
            let batch = rest.get(taken..come.min(rest.len()).min(taken + 256));
            for event in batch.unwrap_or_default() {
                session.take(event.clone());
                taken += 1;
            }
        }
        let picture = Instant::now();
        session.draw(&mut buffer);
        pace.drew(picture, Instant::now());
        frames += 1;
        longest = longest.max(slice.elapsed());
    }
    let took = began.elapsed();
    report(&format!("burst of {} events", rest.len()), took);
    report(&format!("  longest of its {frames} frames"), longest);
    println!(
        "{:<50} {:>9.1}",
        "  frames in a second",
        f64::from(frames) / took.as_secs_f64()
    );
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
    story.bound(device);
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
