//! Sources that see less: no addresses, no functions, no tracepoint, no removals.

use std::sync::Arc;

use devres_tracer::{
    event::{CallDetail, EventKind, Function, Hook, NodeReference},
    evidence::{Addresses, Before, Coverage},
    model::{Change, Taint},
};

use super::{
    DEVICE, OTHER, began, quiet,
    support::{Story, added, desyncs, list, recorded, reduced, reference, whole, without},
    taints,
};

#[test]
fn a_source_without_node_addresses_goes_by_name_and_size() {
    let mut coverage = recorded();
    coverage.node_addresses = Addresses::Absent;
    coverage.before = Before::Nothing;
    let mut story = Story::new();
    story
        .add(DEVICE, 0, "devm_kzalloc_release", 40)
        .add(DEVICE, 0, "devm_kzalloc_release", 32)
        .add(DEVICE, 0, "devm_irq_release", 16)
        .rem(DEVICE, 0, "devm_kzalloc_release", 40)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0, "devm_irq_release", 16)
        .rel(DEVICE, 0, "devm_kzalloc_release", 32)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    let (_, model) = quiet(&story, coverage.clone());
    assert_eq!(model.device(DEVICE.address()).unwrap().node_count(), 0);
    assert_eq!(taints(&model, DEVICE), []);
    story.rem(DEVICE, 0, "devm_irq_release", 16);
    let (_, model) = quiet(&story, coverage);
    assert_eq!(taints(&model, DEVICE), [Taint::Indistinct]);
}

#[test]
fn a_kernel_log_has_nothing_but_nodes() {
    let mut coverage = recorded();
    coverage = without(coverage, &Hook::ALL[1..]);
    coverage.node_addresses = Addresses::Hashed;
    coverage.device_addresses = Addresses::Absent;
    let mut story = Story::new();
    for _ in 0..2 {
        story
            .add(DEVICE, 1, "devm_kzalloc_release", 40)
            .add(DEVICE, 2, "devm_irq_release", 16)
            .rel(DEVICE, 2, "devm_irq_release", 16)
            .rel(DEVICE, 1, "devm_kzalloc_release", 40)
            // Was there before the log began.
            .rel(DEVICE, 3, "devm_clk_release", 8);
    }
    let (changes, model) = quiet(&story, coverage);
    assert!(list(&model, DEVICE).is_empty());
    let released = changes
        .iter()
        .flatten()
        .filter(|change| matches!(change, Change::NodeReleased { .. }))
        .count();
    assert_eq!(released, 6);
    assert_eq!(taints(&model, DEVICE), [Taint::FirstSeenHalfway]);
}

#[test]
fn removals_on_5_10_are_told_by_function_or_pointer() {
    let mut story = began();
    let mut block = added(0x1000, "devm_kmalloc_release", 0);
    block.size = None;
    block.payload_address = 0x1018;
    let mut pages = added(0x2000, "devm_pages_release", 0);
    pages.payload = [0xff11_0000_7777_0000, 2, 0, 0];
    let mut action = added(0x3000, "devm_action_release", 0);
    action.action_data = 0x42;
    action.function = Some(Arc::new(Function {
        address: 0xffff_ffff_8100_0000,
        name: None,
        module: None,
    }));
    let mut newer = action.clone();
    newer.node.0 = 0x4000;
    for node in [block, pages, action, newer] {
        story.push(DEVICE, EventKind::Add(node));
    }
    let remove = EventKind::RemoveAction {
        function: 0xffff_ffff_8100_0000,
        data: 0x42,
    };
    story.push(DEVICE, remove);
    let (_, model) = quiet(&story, reduced());
    assert_eq!(list(&model, DEVICE), [0x1000, 0x2000, 0x3000]);
    story
        .call(DEVICE, Hook::Kfree, CallDetail::Pointer(0x1018))
        .call(
            DEVICE,
            Hook::FreePages,
            CallDetail::Pointer(0xff11_0000_7777_0000),
        );
    let (_, model) = quiet(&story, reduced());
    assert_eq!(list(&model, DEVICE), [0x3000]);
    story
        .enter(DEVICE, Hook::ReleaseAll)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    let (changes, _) = story.run(reduced());
    assert_eq!(
        desyncs(&changes),
        ["the kernel counted 2 releases, the model 1"]
    );
}

#[test]
fn memory_of_each_cpu_on_5_10_goes_once_however_it_is_told() {
    let percpu = || {
        let mut story = began();
        let mut node = added(0x2000, "devm_percpu_release", 0);
        node.payload = [0x607f_0000_0108, 0, 0, 0];
        story.push(DEVICE, EventKind::Add(node)).call(
            DEVICE,
            Hook::FreePercpu,
            CallDetail::Pointer(0x607f_0000_0108),
        );
        story
    };
    let (_, model) = quiet(&percpu(), reduced());
    assert_eq!(list(&model, DEVICE), [0_u64; 0]);
    let mut story = percpu();
    let removed = |address| EventKind::Remove(reference(address, "devm_percpu_release", 0));
    story.push(DEVICE, removed(0x2000));
    quiet(&story, reduced());
    // Once, and of that node.
    story.push(DEVICE, removed(0x2000));
    let (changes, _) = story.run(reduced());
    assert_eq!(desyncs(&changes).len(), 1);
}

#[test]
fn an_unnamed_release_is_found_by_its_place() {
    // Before 6.1.175 a moved block has neither name nor size.
    let mut story = began();
    story
        .add(DEVICE, 0x1000, "devm_kzalloc_release", 40)
        .call(DEVICE, Hook::Krealloc, CallDetail::Pointer(0x1028))
        .push(
            DEVICE,
            EventKind::Replace(reference(0x1000, "devm_kzalloc_release", 40)),
        )
        .enter(DEVICE, Hook::ReleaseAll)
        .push(
            DEVICE,
            EventKind::Release(NodeReference {
                node: devres_tracer::event::NodeAddress(0x5000),
                name: None,
                size: Some(0),
            }),
        )
        .returned(DEVICE, Hook::ReleaseAll, Some(1));
    quiet(&story, whole());
}

/// Kernel 5.10, of which additions and releases were recorded and nothing that removes.
fn without_removals() -> Coverage {
    without(reduced(), &[Hook::DevresRemove])
}

#[test]
fn an_address_that_is_added_again_was_removed() {
    let mut story = began();
    story
        .enter(OTHER, Hook::Initialise)
        .add(DEVICE, 0x1000, "devm_kzalloc_release", 40)
        .add(DEVICE, 0x2000, "devm_pinctrl_release", 8)
        .add(DEVICE, 0x3000, "devm_clk_release", 8);
    let mut elsewhere = story.clone();
    elsewhere.add(OTHER, 0x2000, "devm_clk_release", 8);
    let (_, model) = quiet(&elsewhere, without_removals());
    assert_eq!(list(&model, DEVICE), [0x3000]);
    assert_eq!(list(&model, OTHER), [0x2000]);
    assert_eq!(taints(&model, DEVICE), []);
    // Where removals are seen, none was missed that nothing reports.
    let (_, model) = elsewhere.run(reduced());
    assert_eq!(list(&model, DEVICE), [0x1000, 0x2000, 0x3000]);

    story.add(DEVICE, 0x3000, "devm_clk_release", 8);
    let (_, model) = quiet(&story, without_removals());
    assert_eq!(list(&model, DEVICE), [0x1000, 0x2000, 0x3000]);
    assert_eq!(taints(&model, DEVICE), []);
}

#[test]
fn what_lies_there_beyond_what_is_released_was_removed_unseen() {
    for (coverage, count, lost) in [
        (without(reduced(), &[Hook::DevresRemove]), 2, 0),
        (without(reduced(), &[Hook::DevresRemove]), 1, 1),
        (without(reduced(), &[Hook::DevresRemove]), 0, 2),
        (reduced(), 0, 0),
    ] {
        let mut story = began();
        story
            .open_group(DEVICE, 1, 0x10)
            .add(DEVICE, 0x20, "devm_clk_release", 8)
            .add(DEVICE, 0x30, "devm_clk_release", 8)
            .call(DEVICE, Hook::ReleaseAll, CallDetail::Releases(count));
        let (_, model) = story.run(coverage);
        assert_eq!(model.tally().lost, lost, "{count}");
    }
}
