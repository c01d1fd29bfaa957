//! What devices are made to do, at random.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses its own part of it"
)]

use proptest::{collection::vec, prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::support::{
    Dev,
    devres::{Callback, Kernel},
};

/// The devices that it is done to.
pub(crate) const DEVICES: [Dev; 2] = [Dev(0xff11_0000_aaaa_0000), Dev(0xff11_0000_bbbb_0000)];

/// One thing that is done to a device.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Add(Callback),
    Remove(usize),
    Krealloc(usize),
    OpenGroup(u64),
    CloseGroup(usize),
    RemoveGroup(usize),
    ReleaseGroup(usize, usize, usize),
    ReleaseAll(usize, usize),
    Probe(usize),
    Unbind,
    Reincarnate,
}

fn operation() -> impl Strategy<Value = Operation> {
    let callback = prop_oneof![
        6 => Just(Callback::Nothing),
        1 => Just(Callback::Adds),
        1 => Just(Callback::AddsAndRemoves),
        1 => Just(Callback::OpensGroup),
        1 => Just(Callback::ReleasesGroup),
    ];
    prop_oneof![
        10 => callback.prop_map(Operation::Add),
        3 => any::<usize>().prop_map(Operation::Remove),
        2 => any::<usize>().prop_map(Operation::Krealloc),
        4 => prop_oneof![Just(0), 0x1000..0x1003_u64].prop_map(Operation::OpenGroup),
        3 => any::<usize>().prop_map(Operation::CloseGroup),
        1 => any::<usize>().prop_map(Operation::RemoveGroup),
        2 => (any::<usize>(), 0..2_usize, 0..2_usize)
            .prop_map(|(id, before, after)| Operation::ReleaseGroup(id, before, after)),
        1 => (0..3_usize, 0..3_usize)
            .prop_map(|(before, after)| Operation::ReleaseAll(before, after)),
        2 => (0..4_usize).prop_map(Operation::Probe),
        2 => Just(Operation::Unbind),
        1 => Just(Operation::Reincarnate),
    ]
}

/// Up to `most` things that are done, with the number of the device.
pub(crate) fn operations(most: usize) -> impl Strategy<Value = Vec<(usize, Operation)>> {
    vec((0..DEVICES.len(), operation()), 1..most)
}

/// Drivers that acquire in probe and while bound, give up by hand only what they acquired last, close the
/// groups that they open, and leave the rest to the unbind.
pub(crate) fn ordinary(operations: &[(usize, Operation)], logs: bool) -> Kernel {
    let mut kernel = Kernel::new(logs, false);
    let names = ["one", "two"];
    for (device, name) in DEVICES.into_iter().zip(names) {
        kernel.begin(device, name);
    }
    for ((index, operation), number) in operations.iter().zip(0_u64..) {
        let device = DEVICES[*index];
        match *operation {
            Operation::Probe(count) => kernel.probe(device, count),
            Operation::Unbind => kernel.unbind(device),
            Operation::Reincarnate => kernel.reincarnate(device, names[*index]),
            _ if !kernel.is_bound(device) => {}
            Operation::Add(_) | Operation::Krealloc(_) => {
                kernel.add(device, Callback::Nothing, true);
            }
            Operation::Remove(_) => kernel.remove_newest(device),
            Operation::OpenGroup(_) => {
                kernel.open_group(device, 0);
                kernel.add(device, Callback::Nothing, true);
                kernel.close_group(device, 0);
            }
            Operation::ReleaseGroup(..) => {
                let id = 0x5_0000 + number;
                kernel.open_group(device, id);
                kernel.add(device, Callback::Nothing, true);
                kernel.close_group(device, id);
            }
            Operation::RemoveGroup(_) => {
                let id = 0x5_0000 + number;
                kernel.open_group(device, id);
                kernel.add(device, Callback::Nothing, true);
                kernel.close_group(device, id);
                kernel.remove_group(device, id);
            }
            Operation::CloseGroup(_) | Operation::ReleaseAll(..) => {
                kernel.open_group(device, 0);
                kernel.add(device, Callback::Nothing, true);
                kernel.release_group(device, 0, 0, 0);
            }
        }
        kernel.check(device);
    }
    kernel
}

/// What two devices that are probed at once are made to do next.
pub(crate) fn busy(runner: &mut TestRunner) -> Vec<(usize, Operation)> {
    let mut busy = vec![(0, Operation::Probe(3)), (1, Operation::Probe(2))];
    busy.extend(operations(60).new_tree(runner).unwrap().current());
    busy
}
