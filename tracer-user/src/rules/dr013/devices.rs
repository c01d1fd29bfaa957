//! DR013 for devices that lie in managed memory: the block goes, and its `struct device` has not been put for the
//! last time.

use std::collections::BTreeMap;

use super::{End, INFO, open::Within};
use crate::{
    event::{Hook, Time},
    evidence::Addresses,
    finding::{self, Doubt, Finding, Report, Severity, Step, Subject},
    model::{Change, DeviceId, Model, Node, Origin, State},
    rules::blame,
};

/// The devices that were seen to begin, by their addresses.
#[derive(Debug, Default)]
pub(super) struct Devices {
    living: BTreeMap<u64, Lifetime>,
    /// Blocks that went with a release of which only the end shows what it has left.
    unordered: Vec<Unordered>,
}

#[derive(Debug)]
struct Unordered {
    block: Node,
    how: &'static str,
    within: Within,
    /// The place of its going in the order of everything seen.
    sequence: u64,
}

#[derive(Debug)]
struct Lifetime {
    device: DeviceId,
    /// The place of its begin in the order of everything seen.
    sequence: u64,
    began: Time,
    deleted: Option<Time>,
}

impl Devices {
    /// Keeps track of when devices begin, are deleted and end.
    pub(super) fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        while let Some(index) = self
            .unordered
            .iter()
            .position(|block| block.within.is_over(model))
        {
            let Unordered {
                block,
                how,
                sequence,
                ..
            } = self.unordered.swap_remove(index);
            self.in_block(&block, how, sequence, model, report);
        }
        match change {
            Change::DeviceBegan(id) if is_exact(model) => {
                if let Some(device) = model.device_by_id(*id) {
                    let lifetime = Lifetime {
                        device: *id,
                        sequence: model.sequence(),
                        began: model.now(),
                        deleted: None,
                    };
                    self.living.insert(device.address().0, lifetime);
                }
            }
            Change::DeviceDeleted(id) => {
                if let Some(lifetime) = self.lifetime(*id, model) {
                    lifetime.deleted = Some(model.now());
                }
            }
            Change::DeviceGone { device: id, .. } => {
                if self.lifetime(*id, model).is_some()
                    && let Some(device) = model.device_by_id(*id)
                {
                    self.living.remove(&device.address().0);
                }
            }
            _ => {}
        }
    }

    fn lifetime(&mut self, id: DeviceId, model: &Model) -> Option<&mut Lifetime> {
        let address = model.device_by_id(id)?.address().0;
        self.living
            .get_mut(&address)
            .filter(|lifetime| lifetime.device == id)
    }

    /// A block goes: is there a device in it?
    pub(super) fn ended(&mut self, end: &End<'_>, model: &Model, report: &mut Report) {
        let sequence = model.sequence();
        if self.inside(end.block).next().is_none() {
            return;
        }
        if let Some(within) = end.unordered {
            self.unordered.push(Unordered {
                block: end.block.outline(),
                how: end.how,
                within,
                sequence,
            });
        } else {
            self.in_block(end.block, end.how, sequence, model, report);
        }
    }

    fn in_block(&self, block: &Node, how: &str, sequence: u64, model: &Model, report: &mut Report) {
        let inside = self.inside(block);
        for lifetime in inside.filter(|lifetime| lifetime.sequence <= sequence) {
            outlived(lifetime, block, how, model, report);
        }
    }

    fn inside(&self, block: &Node) -> impl Iterator<Item = &Lifetime> {
        let start = block.payload_address();
        // Where the kernel keeps no size only a device at the beginning is certain to be in the block.
        let behind = start.saturating_add(block.size().unwrap_or(1).max(1));
        self.living
            .range(start..behind)
            .map(|(_, lifetime)| lifetime)
    }
}

/// Whether addresses are what they are in the kernel, and ends of devices are seen.
fn is_exact(model: &Model) -> bool {
    let coverage = model.coverage();
    coverage.device_addresses == Addresses::Real
        && coverage.node_addresses == Addresses::Real
        && coverage.sees(Hook::FinalPut)
}

fn outlived(lifetime: &Lifetime, block: &Node, how: &str, model: &Model, report: &mut Report) {
    let (Some(device), Some(owner)) = (model.device_by_id(lifetime.device), model.owner(block))
    else {
        return;
    };
    // What lay there before the block was allocated was forgotten without a put.
    if lifetime.sequence < block.sequence() || block.origin() != Origin::Seen {
        return;
    }
    // A device that was never registered may be freed without a put, and its registration is not seen: only that
    // it was probed or deleted. The last put itself may free what it is in.
    let was_registered = lifetime.deleted.is_some() || device.binding() > 0;
    if !was_registered || device.state() == State::Dead || device.id() == owner.id() {
        return;
    }
    let subject = Subject::of(owner);
    if !device.is_whole() || !owner.is_whole_since(block.sequence()) {
        report.stay_silent(INFO.id, subject.key, Doubt::DeviceInFreedMemoryAfterMiss);
        return;
    }
    let name = Subject::of(device).name().to_owned();
    let mut order = vec![
        Step::at(
            block.added(),
            format!("the memory is added to {}", subject.name()),
        ),
        Step::at(lifetime.began, format!("{name} is initialized in it")),
    ];
    if let Some(deleted) = lifetime.deleted {
        order.push(Step::at(deleted, format!("{name} is deleted")));
    }
    order.push(Step::at(
        model.now(),
        format!("the memory is {how}; a reference to {name} is still held"),
    ));
    report.submit(Finding {
        summary: format!(
            "Memory of {} was {how} while somebody still holds a reference to the device {name} in it.",
            subject.name()
        ),
        meaning: "The holder of the reference, an open file for example, uses freed memory, and so does the last put. \
                  A device must be in memory that its own release function frees."
            .to_owned(),
        order,
        expected: vec![
            format!("the last reference to {name} is put"),
            "its release function frees the memory it is in".to_owned(),
        ],
        resources: vec![finding::resource(block, Some(model.now()), model.now())],
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(
            &INFO,
            Severity::Error,
            &format!("device/{}", finding::mark(block)),
            model.now(),
        )
    });
}
