//! Perfetto's traces, read again by the numbers of its published schema: what begins ends, on tracks that are declared, and
//! flows lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use devres_tracer::{escape::steers, event::Hook};
use prost::Message;

use crate::{
    forms::{FORMS, Material},
    inert,
    support::{Dev, Story},
};

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<Packet>,
}

#[derive(Clone, PartialEq, Message)]
struct Packet {
    #[prost(uint64, tag = "8")]
    timestamp: u64,
    #[prost(uint32, tag = "10")]
    sequence: u32,
    #[prost(message, optional, tag = "11")]
    event: Option<Event>,
    #[prost(message, optional, tag = "60")]
    track: Option<Track>,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(message, repeated, tag = "4")]
    told: Vec<Told>,
    #[prost(int32, tag = "9")]
    kind: i32,
    #[prost(uint64, tag = "11")]
    track: u64,
    #[prost(string, repeated, tag = "22")]
    categories: Vec<String>,
    #[prost(string, tag = "23")]
    name: String,
    #[prost(int64, optional, tag = "30")]
    value: Option<i64>,
    #[prost(fixed64, repeated, packed = "false", tag = "47")]
    flows: Vec<u64>,
    #[prost(fixed64, repeated, packed = "false", tag = "48")]
    ending_flows: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Track {
    #[prost(uint64, tag = "1")]
    uuid: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint64, optional, tag = "5")]
    parent: Option<u64>,
    #[prost(message, optional, tag = "8")]
    counter: Option<Counter>,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(int32, tag = "3")]
    unit: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(uint64, optional, tag = "3")]
    number: Option<u64>,
    #[prost(string, optional, tag = "6")]
    text: Option<String>,
    #[prost(string, tag = "10")]
    name: String,
}

const BEGIN: i32 = 1;
const END: i32 = 2;
const INSTANT: i32 = 3;
const COUNTER: i32 = 4;

/// Reads a trace; an error says what Perfetto would stumble over.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    let whole = Trace::decode(bytes).map_err(|error| error.to_string())?;
    let mut tracks: BTreeMap<u64, Track> = BTreeMap::new();
    let mut open: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let (mut leaving, mut arriving) = (BTreeSet::new(), BTreeSet::new());
    for packet in &whole.packet {
        if packet.sequence == 0 {
            return Err("a packet of no sequence".to_owned());
        }
        if let Some(track) = &packet.track {
            harmless(&track.name)?;
            if track
                .parent
                .is_some_and(|parent| !tracks.contains_key(&parent))
            {
                return Err(format!("{track:?} has an unknown parent"));
            }
            if tracks.insert(track.uuid, track.clone()).is_some() {
                return Err(format!("{track:?} is declared twice"));
            }
        }
        let Some(event) = &packet.event else { continue };
        let track = tracks
            .get(&event.track)
            .ok_or_else(|| format!("{event:?} is on no track"))?;
        let texts = event.told.iter().filter_map(|told| told.text.as_deref());
        for text in texts.chain([event.name.as_str()]) {
            harmless(text)?;
        }
        let stack = open.entry(event.track).or_default();
        match event.kind {
            BEGIN => stack.push(packet.timestamp),
            END => {
                let began = stack.pop().ok_or("an end without a beginning")?;
                if began > packet.timestamp {
                    return Err(format!("{event:?} ends before it began"));
                }
            }
            COUNTER => {
                let value = event.value.ok_or("a counter without a value")?;
                if track.counter.is_none() || value < 0 {
                    return Err(format!("{event:?} counts {value} on {track:?}"));
                }
            }
            INSTANT => {}
            kind => return Err(format!("an event of kind {kind}")),
        }
        leaving.extend(event.flows.iter().copied());
        arriving.extend(event.ending_flows.iter().copied());
    }
    if let Some((track, _)) = open.iter().find(|(_, stack)| !stack.is_empty()) {
        return Err(format!("{:?} has what does not end", tracks.get(track)));
    }
    if leaving != arriving {
        return Err(format!("flows that begin {leaving:?} and end {arriving:?}"));
    }
    Ok(())
}

fn harmless(text: &str) -> Result<(), String> {
    if text.chars().any(steers) {
        return Err(format!("a terminal obeys {text:?}"));
    }
    Ok(())
}

const FIRST: Dev = Dev(0xff11_0000_0500_0000);

/// A driver that holds two resources.
fn material() -> Material {
    let mut story = Story::new();
    story
        .task("probe", 7)
        .enter(FIRST, Hook::Initialise)
        .named(FIRST, "acme.0", "platform", "acme")
        .enter(FIRST, Hook::Probe)
        .add(FIRST, 0x10, "devm_clk_release", 16)
        .add(FIRST, 0x20, "devm_kzalloc_release", 100)
        .bound(FIRST);
    Material {
        events: story.events,
        ..inert::material("acme")
    }
}

fn write(material: &Material) -> Vec<u8> {
    let perfetto = FORMS.iter().find(|form| form.name == "perfetto").unwrap();
    let bytes = (perfetto.write)(material);
    check(&bytes).unwrap();
    bytes
}

#[test]
fn a_flow_leads_to_a_finding() {
    let bytes = write(&inert::material("harmless"));
    let trace = Trace::decode(bytes.as_slice()).unwrap();
    let events = trace.packet.iter().filter_map(|one| one.event.as_ref());
    let found: Vec<&Event> = events
        .filter(|event| !event.ending_flows.is_empty())
        .collect();
    assert!(!found.is_empty());
    for event in found {
        assert_eq!(event.categories, ["finding"]);
        let told: Vec<&str> = event.told.iter().map(|told| told.name.as_str()).collect();
        assert!(told.contains(&"fingerprint"), "{told:?}");
    }
}

#[test]
fn a_device_is_a_track_with_what_it_holds() {
    let bytes = write(&material());
    let trace = Trace::decode(bytes.as_slice()).unwrap();
    let tracks: Vec<&Track> = trace
        .packet
        .iter()
        .filter_map(|one| one.track.as_ref())
        .collect();
    let device = tracks
        .iter()
        .find(|track| track.name == "acme.0  acme")
        .unwrap();
    let below = |name: &str| {
        let below = |track: &&&Track| track.parent == Some(device.uuid) && track.name == name;
        tracks
            .iter()
            .filter(below)
            .map(|track| track.uuid)
            .collect::<Vec<_>>()
    };
    let on = |uuid: u64| {
        let events = trace.packet.iter().filter_map(|one| one.event.as_ref());
        events
            .filter(|event| event.track == uuid)
            .collect::<Vec<_>>()
    };
    let phases: Vec<&str> = on(device.uuid)
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    assert_eq!(phases, ["probe", "", "bound", ""]);
    let rows = below("resources");
    assert_eq!(rows.len(), 2);
    let first: Vec<&str> = on(rows[0])
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    assert_eq!(first, ["devm_clk_release", ""]);
    let values = |name: &str| {
        let events = on(below(name)[0]);
        events
            .iter()
            .filter_map(|event| event.value)
            .collect::<Vec<_>>()
    };
    assert_eq!(values("resources held"), [1, 2]);
    assert_eq!(values("bytes held"), [16, 116]);
}

#[test]
fn what_perfetto_would_stumble_over_is_noticed() {
    let packet = |event: Event| Packet {
        timestamp: 5,
        sequence: 1,
        event: Some(event),
        track: None,
    };
    let track = Packet {
        sequence: 1,
        track: Some(Track {
            uuid: 3,
            name: "a".to_owned(),
            ..Track::default()
        }),
        ..Packet::default()
    };
    let on_it = |kind: i32| Event {
        kind,
        track: 3,
        ..Event::default()
    };
    let wrong = [
        on_it(BEGIN),
        on_it(END),
        on_it(9),
        on_it(COUNTER),
        Event {
            track: 4,
            ..on_it(INSTANT)
        },
        Event {
            flows: vec![1],
            ..on_it(INSTANT)
        },
        Event {
            name: "\u{1b}".to_owned(),
            ..on_it(INSTANT)
        },
    ];
    for event in wrong {
        let whole = Trace {
            packet: vec![track.clone(), packet(event.clone())],
        };
        assert!(check(&whole.encode_to_vec()).is_err(), "{event:?}");
    }
    assert!(check(b"no trace").is_err());
}
