//! Trace files for measuring.

use std::path::Path;

use devres_tracer::{
    event::{DeviceAddress, Event, EventKind, NodeAddress},
    evidence::SourceInformation,
    trace_file::{Header, Recorded, Recorder, RecorderOptions},
};

use crate::support::whole;

/// Writes as many events of `cycle`, again and again; each round has addresses and times of its own.
pub(crate) fn write(path: &Path, cycle: &[Event], events: usize) -> Recorded {
    let header = Header::of_recording(SourceInformation {
        tool: "bench".to_owned(),
        kernel: None,
        machine: None,
        coverage: whole(),
        filters: Vec::new(),
    });
    let options = RecorderOptions {
        overwrite: true,
        ..RecorderOptions::default()
    };
    let mut recorder = Recorder::start(path, header, options).expect("there is room");
    for number in 0..events {
        let (round, position) = (number / cycle.len(), number % cycle.len());
        let mut event = cycle[position].clone();
        // As if by chance: real times and addresses don't repeat.
        let chance = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        let shift = (round as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44 << 12;
        event.time.0 += round as u64 * 1_000_000_000 + chance;
        event.device = DeviceAddress(event.device.0 + shift);
        match &mut event.kind {
            EventKind::Add(node) => node.node = NodeAddress(node.node.0 + shift),
            EventKind::Release(node) | EventKind::Remove(node) => {
                node.node = NodeAddress(node.node.0 + shift);
            }
            _ => {}
        }
        recorder.event(&event);
    }
    recorder.finish(Vec::new()).expect("there is room")
}
