//! How much the lives of devices take.

mod support;

use std::sync::Arc;

use devres_tracer::{
    event::Hook,
    history::{HistoryObserver, Limits, Window},
    model::Model,
};
use peak_alloc::PeakAlloc;
use support::{Dev, Story, whole};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// A recording of any length takes no more than the limits allow: what is beyond them is counted.
#[test]
fn memory_is_bounded_by_what_is_kept() {
    let mut story = Story::new();
    for number in 0..8 {
        let device = Dev(0xff11_0000_0500_0000 + number * 0x1000);
        story.enter(device, Hook::Initialise).named(
            device,
            &format!("dev{number}"),
            "platform",
            "acme",
        );
        for _ in 0..4 {
            story.enter(device, Hook::Probe);
            for node in 0..16 {
                let node = device.0 + 0x10 * node;
                story.add(device, node, "devm_kzalloc_release", 64);
            }
            story.bound(device).begin_unbind(device);
            for node in (0..16).rev() {
                let node = device.0 + 0x10 * node;
                story.rel(device, node, "devm_kzalloc_release", 64);
            }
            story.end_unbind(device, 16);
        }
        story.last_put(device);
    }
    let limits = Limits {
        steps_of_binding: 20,
        bindings: 2,
        held: 8,
        histories: 100,
        steps: 2_000,
    };
    let mut model = Model::new(Arc::new(whole()));
    let mut observer = HistoryObserver::new(limits, Window::default(), false);
    let mut round = || {
        for event in &story.events {
            for change in model.apply(event) {
                observer.observe(&change, &model);
            }
        }
        ALLOCATED.current_usage()
    };
    let early = (0..50).map(|_| round()).max();
    let late = (0..150).map(|_| round()).max();
    let (Some(early), Some(late)) = (early, late) else {
        panic!("nothing was measured");
    };
    assert!(late < early + 4096, "{} bytes more", late - early);
    let histories = observer.finish(&model);
    assert_eq!(histories.devices.len(), 100);
    assert_eq!(histories.devices_hidden, 200 * 8 - 100);
}
