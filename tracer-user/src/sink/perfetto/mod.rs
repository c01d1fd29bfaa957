//! Perfetto's own trace format, for ui.perfetto.dev and its trace processor.
//!
//! Each life of a device is a track with its phases (probe, bound, unbind, remove, cleanup). Below it lie its resources, in
//! as many rows as it takes for none to cover another, its findings, and counters of what it holds. A flow leads from where
//! a finding began, or from the device whose driver caused it, to where it was made. Losses have a track.

mod messages;

use std::io::{self, Write};

use hashbrown::HashMap;
use prost::Message as _;

use self::messages::{
    BY_RANK, CounterDescriptor, DebugAnnotation, Trace, TracePacket, TrackDescriptor, TrackEvent,
    kind, unit,
};
use super::{
    report::{Report, words},
    tracks::{DeviceTrack, Phase, ResourceSpan},
};
use crate::{
    escape::escape,
    event::Time,
    finding::{Finding, Occurrence},
    history::Names,
    model::InstanceKey,
};

/// All packets are of one writer.
const SEQUENCE: u32 = 1;
/// The track of what concerns the whole recording.
const RECORDING: u64 = 1;
/// The track of losses.
const LOSSES: u64 = 2;
/// Below a device's own track: its findings, how many resources it holds and how many bytes, then rows of resources.
const FINDINGS: u64 = 1;
const COUNT: u64 = 2;
const BYTES: u64 = 3;
const ROWS: u64 = 4;

/// Writes the trace.
pub fn write_perfetto(report: &Report<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let mut out = Out { writer };
    write_recording(report, &mut out)?;
    let mut bases: HashMap<InstanceKey, u64> = HashMap::new();
    for (history, number) in report.histories.devices.iter().zip(1_u64..) {
        let base = number << 32;
        bases.insert(history.key, base);
        let track = DeviceTrack::of(history, report.histories);
        write_device(&track, base, &report.histories.names, &mut out)?;
    }
    let mut flow = 0;
    for finding in report.findings {
        for occurrence in finding.occurrences.iter() {
            flow += 1;
            write_occurrence(finding, occurrence, flow, &bases, &mut out)?;
        }
    }
    Ok(())
}

/// Writes packets, each as a trace of its own: a trace is whatever follows another.
struct Out<'w> {
    writer: &'w mut dyn Write,
}

impl Out<'_> {
    fn packet(&mut self, packet: TracePacket) -> io::Result<()> {
        let trace = Trace {
            packet: vec![TracePacket {
                trusted_packet_sequence_id: Some(SEQUENCE),
                ..packet
            }],
        };
        self.writer.write_all(&trace.encode_to_vec())
    }

    fn track(&mut self, track: TrackDescriptor) -> io::Result<()> {
        self.packet(TracePacket {
            track_descriptor: Some(track),
            ..TracePacket::default()
        })
    }

    fn event(&mut self, time: Time, track: u64, kind: i32, event: TrackEvent) -> io::Result<()> {
        self.packet(TracePacket {
            timestamp: Some(time.0),
            track_event: Some(TrackEvent {
                r#type: Some(kind),
                track_uuid: Some(track),
                ..event
            }),
            ..TracePacket::default()
        })
    }

    fn count(&mut self, time: Time, track: u64, value: u64) -> io::Result<()> {
        let event = TrackEvent {
            counter_value: Some(i64::try_from(value).unwrap_or(i64::MAX)),
            ..TrackEvent::default()
        };
        self.event(time, track, kind::COUNTER, event)
    }
}

/// A track of this name, below another.
fn named(uuid: u64, name: impl Into<String>, parent: Option<u64>) -> TrackDescriptor {
    TrackDescriptor {
        uuid: Some(uuid),
        name: Some(name.into()),
        parent_uuid: parent,
        ..TrackDescriptor::default()
    }
}

fn text(name: &str, value: impl Into<String>) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        string_value: Some(value.into()),
        uint_value: None,
    }
}

fn number(name: &str, value: u64) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        uint_value: Some(value),
        string_value: None,
    }
}

/// What was recorded, by what, and what is missing.
fn write_recording(report: &Report<'_>, out: &mut Out<'_>) -> io::Result<()> {
    let (begin, _) = report.histories.extent.unwrap_or_default();
    let source = report.source;
    out.track(named(RECORDING, "recording", None))?;
    let mut told = vec![
        text("name", escape(report.name)),
        text("tool", format!("devres-tracer {}", escape(&source.tool))),
    ];
    let facts = [("kernel", &source.kernel), ("machine", &source.machine)];
    for (name, fact) in facts {
        told.extend(fact.as_deref().map(|fact| text(name, escape(fact))));
    }
    let filters = source.filters.iter();
    told.extend(filters.map(|filter| text("only", filter.to_string())));
    let gaps = report
        .summary
        .problems
        .iter()
        .chain(&report.summary.reasons);
    let gaps = gaps.map(String::as_str).chain(report.damage);
    told.extend(gaps.map(|gap| text("incomplete", escape(gap))));
    let event = TrackEvent {
        name: Some("recording".to_owned()),
        debug_annotations: told,
        ..TrackEvent::default()
    };
    out.event(begin, RECORDING, kind::INSTANT, event)?;
    out.track(named(LOSSES, "events lost", None))?;
    for (time, count, cause) in &report.histories.losses {
        let mut told = vec![number("count", *count)];
        let cause = serde_json::to_value(cause).unwrap_or_default();
        told.extend(cause.as_str().map(|cause| text("cause", cause)));
        let event = TrackEvent {
            name: Some("events were lost".to_owned()),
            debug_annotations: told,
            ..TrackEvent::default()
        };
        out.event(*time, LOSSES, kind::INSTANT, event)?;
    }
    Ok(())
}

fn write_device(
    track: &DeviceTrack,
    base: u64,
    names: &Names,
    out: &mut Out<'_>,
) -> io::Result<()> {
    out.track(TrackDescriptor {
        child_ordering: Some(BY_RANK),
        ..named(base, track.heading.as_str(), None)
    })?;
    let child = |number: u64, name: &str| TrackDescriptor {
        sibling_order_rank: Some(i32::try_from(number).unwrap_or(i32::MAX)),
        ..named(base + number, name, Some(base))
    };
    let counter = |unit| Some(CounterDescriptor { unit: Some(unit) });
    out.track(child(FINDINGS, "findings"))?;
    out.track(TrackDescriptor {
        counter: counter(unit::COUNT),
        ..child(COUNT, "resources held")
    })?;
    out.track(TrackDescriptor {
        counter: counter(unit::BYTES),
        ..child(BYTES, "bytes held")
    })?;
    for row in 0..track.rows as u64 {
        out.track(child(ROWS + row, "resources"))?;
    }
    write_phases(&track.phases, base, out)?;
    for resource in &track.resources {
        write_resource(resource, base, names, out)?;
    }
    for (time, resources, bytes) in track.held() {
        out.count(time, base + COUNT, resources)?;
        out.count(time, base + BYTES, bytes)?;
    }
    Ok(())
}

/// Phases of which one is within another: the outer begins first and ends last.
fn write_phases(phases: &[Phase], base: u64, out: &mut Out<'_>) -> io::Result<()> {
    let mut open: Vec<Time> = Vec::new();
    for phase in phases {
        while let Some(end) = open.pop_if(|end| *end <= phase.begin) {
            out.event(end, base, kind::END, TrackEvent::default())?;
        }
        let event = TrackEvent {
            name: Some(phase.name.clone()),
            categories: vec!["phase".to_owned()],
            ..TrackEvent::default()
        };
        out.event(phase.begin, base, kind::BEGIN, event)?;
        open.push(phase.end);
    }
    while let Some(end) = open.pop() {
        out.event(end, base, kind::END, TrackEvent::default())?;
    }
    Ok(())
}

fn write_resource(
    resource: &ResourceSpan,
    base: u64,
    names: &Names,
    out: &mut Out<'_>,
) -> io::Result<()> {
    let row = base + ROWS + resource.row as u64;
    let mut told = Vec::new();
    told.extend(resource.size.map(|size| number("size", size)));
    told.push(text("end", resource.how));
    let task = words::task(resource.task, names);
    if !task.is_empty() {
        told.push(text("added by", task));
    }
    let label = names.label(resource.label);
    let frames = label.and_then(|label| label.frames.as_deref());
    if let Some(frames) = frames {
        let frames: Vec<String> = frames
            .iter()
            .map(|frame| escape(&frame.to_string()))
            .collect();
        told.push(text("stack", frames.join(" < ")));
    }
    let category = if resource.is_marker {
        "group"
    } else {
        "resource"
    };
    let event = TrackEvent {
        name: Some(words::resource(resource.label, names)),
        categories: vec![category.to_owned()],
        debug_annotations: told,
        ..TrackEvent::default()
    };
    if resource.begin == resource.end {
        return out.event(resource.begin, row, kind::INSTANT, event);
    }
    out.event(resource.begin, row, kind::BEGIN, event)?;
    out.event(resource.end, row, kind::END, TrackEvent::default())
}

/// A finding where it was made, and a flow that leads there from where it began.
fn write_occurrence(
    finding: &Finding,
    occurrence: &Occurrence,
    flow: u64,
    bases: &HashMap<InstanceKey, u64>,
    out: &mut Out<'_>,
) -> io::Result<()> {
    let Some(base) = bases.get(&occurrence.instance) else {
        return Ok(());
    };
    let is_shown = occurrence.instance == finding.instance;
    let cause = occurrence.cause.or_else(|| {
        let cause = finding.caused_by.as_ref().filter(|_| is_shown);
        cause.map(|cause| cause.instance)
    });
    let from = cause.and_then(|cause| bases.get(&cause)).unwrap_or(base);
    let began = TrackEvent {
        name: Some(format!("{} begins", finding.rule)),
        categories: vec!["cause".to_owned()],
        flow_ids: vec![flow],
        ..TrackEvent::default()
    };
    out.event(occurrence.began(), from + FINDINGS, kind::INSTANT, began)?;
    let mut told = vec![
        text("severity", occurrence.severity.name()),
        text("fingerprint", escape(&finding.fingerprint)),
    ];
    // The summary names the device of the one that is shown.
    if is_shown {
        told.push(text("summary", escape(&finding.summary)));
    }
    let found = TrackEvent {
        name: Some(finding.rule.to_owned()),
        categories: vec!["finding".to_owned()],
        debug_annotations: told,
        terminating_flow_ids: vec![flow],
        ..TrackEvent::default()
    };
    out.event(occurrence.time, base + FINDINGS, kind::INSTANT, found)
}
