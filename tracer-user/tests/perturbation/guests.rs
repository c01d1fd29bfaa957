//! What guests have recorded of the test module: each scenario by itself.
//!
//! `cargo xtask test` runs this behind the guests, on what they have left.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use devres_tracer::{
    event::{DeviceAddress, Event, EventKind, Time},
    evidence::Coverage,
};

use crate::{Judgement, Tally, events::stream, judge_events, perturb};

/// So many places of each scenario are tried, for the time it takes. `EVERY_PLACE` in the environment has all of them tried.
const MOST_PLACES: usize = 10;

/// A scenario.
struct Scene {
    name: String,
    /// What is known of its devices from before.
    before: Vec<Event>,
    /// What happened in it.
    events: Vec<Event>,
}

impl Scene {
    fn judge(&self, events: &[Event], coverage: &Coverage) -> Judgement {
        judge_events(self.before.iter().chain(events), coverage)
    }
}

/// The directories with a guest's recordings of scenarios, each with its kernel's release.
fn directories() -> Vec<(String, PathBuf)> {
    let guests = env::var_os("DEVRES_TRACER_GUEST_TESTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/guest-tests"),
        PathBuf::from,
    );
    let mut directories: Vec<_> = fs::read_dir(guests)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let release = entry.file_name().to_string_lossy().into_owned();
            (release, entry.path().join("scenarios"))
        })
        .filter(|(_, path)| path.is_dir())
        .collect();
    directories.sort();
    directories
}

/// When each scenario of a round began, by the kernel's monotonic clock.
fn marks(path: &Path) -> Vec<(Time, String)> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| {
            let (uptime, name) = line.split_once(' ').unwrap();
            let hundredths: u64 = uptime.replace('.', "").parse().unwrap();
            (Time(hundredths * 10_000_000), name.to_owned())
        })
        .collect()
}

/// The scenarios of a round, with the part of what was before that is about their devices: as a filter would have it.
fn scenes(events: &[Event], marks: &[(Time, String)]) -> Vec<Scene> {
    let known: BTreeSet<DeviceAddress> = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Snapshot(_)))
        .map(|event| event.device)
        .collect();
    let place = |time: Time| events.partition_point(|event| event.time < time);
    let ends = marks.iter().skip(1).map(|(time, _)| place(*time));
    let ends = ends.chain([events.len()]);
    marks
        .iter()
        .zip(ends)
        .map(|((begun, name), end)| {
            let begin = place(*begun);
            let (earlier, within) = (&events[..begin], &events[begin..end]);
            let devices: BTreeSet<_> = within.iter().map(|event| event.device).collect();
            let mut before: Vec<Event> = earlier
                .iter()
                .filter(|event| devices.contains(&event.device) && known.contains(&event.device))
                .cloned()
                .collect();
            let used: BTreeSet<_> = before
                .iter()
                .chain(within)
                .filter_map(|event| event.stack)
                .collect();
            let stacks = earlier.iter().filter_map(|event| match &event.kind {
                EventKind::Stack(definition) if used.contains(&definition.id) => {
                    Some((definition.id, event.clone()))
                }
                _ => None,
            });
            let stacks: BTreeMap<_, _> = stacks.collect();
            before.splice(0..0, stacks.into_values());
            Scene {
                name: name.clone(),
                before,
                events: within.to_vec(),
            }
        })
        .collect()
}

fn try_scene(
    scene: &Scene,
    intact: &Judgement,
    coverage: &Coverage,
    name: &str,
    tally: &mut Tally,
) {
    let stride = if env::var_os("EVERY_PLACE").is_some() {
        1
    } else {
        scene.events.len() / MOST_PLACES + 1
    };
    perturb::events(&scene.events, stride, |kind, at, events| {
        let after = scene.judge(&events, coverage);
        tally.compare((name, kind, at), intact, &after);
    });
}

/// Of a scenario that is wrong by itself, damage can take the one event that shows it, and leave another that looks like
/// another mistake: only those are held to the rule in which nothing is wrong.
#[test]
#[ignore = "reads what the guests of `cargo xtask test` have recorded"]
fn recordings_of_guests_accuse_nobody_more() {
    let directories = directories();
    assert!(!directories.is_empty(), "no guest has left a recording");
    // Where several events go, all of an operation may go, and what follows looks wrong: that is counted.
    let mut tally = Tally {
        tolerated: Some(BTreeMap::new()),
        ..Tally::default()
    };
    for (release, directory) in directories {
        let (mut scenarios, mut innocent) = (0, 0);
        for round in 0.. {
            let file = directory.join(format!("round.{round}.dvrt"));
            let Ok(content) = fs::read(file) else { break };
            let (events, coverage) = stream(content);
            let marks = marks(&directory.join(format!("marks.{round}")));
            for scene in scenes(&events, &marks) {
                let name = format!("{release}: {}", scene.name);
                let intact = scene.judge(&scene.events, &coverage);
                scenarios += 1;
                if intact.is_innocent() {
                    innocent += 1;
                    try_scene(&scene, &intact, &coverage, &name, &mut tally);
                } else {
                    assert!(round > 0, "{name} is guilty by itself: {intact:?}");
                }
            }
        }
        println!("{release}: {scenarios} scenarios, nothing is wrong in {innocent} of them");
        assert!(
            innocent * 2 > scenarios,
            "too few in which nothing is wrong"
        );
    }
    println!("{}", tally.table());
    tally.check();
}
