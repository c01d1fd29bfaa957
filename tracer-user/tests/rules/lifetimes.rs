//! DR011 to DR013 and DR020: resources that outlive what they use, or whom they serve.

use devres_tracer::{
    engine::Verdict,
    event::{EventKind, Hook, Text},
    evidence::Addresses,
    finding::{Certainty, Severity},
};

use super::support::{Dev, Story, added, whole};
use super::{
    BLOCK, DEVICE, OTHER, accused, add_action_on, add_block, add_irq, begin, delete, found,
    innocent, no_release, nothing, outcome, probe, silent_after_loss, unbind,
};

/// A device without a driver gets an action, is deleted, and its last reference is put that much later. The
/// action is released by `device_del`, by the last put, or not at all.
fn without_driver(by: Option<Hook>, microseconds: u64, data: u64) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "vgem");
    add_action_on(&mut story, DEVICE, 0x100, "drm_dev_put", data);
    let release = |story: &mut Story, here: bool| {
        if here {
            story
                .enter(DEVICE, Hook::ReleaseAll)
                .rel(DEVICE, 0x100, "drm_dev_put", 64)
                .returned(DEVICE, Hook::ReleaseAll, Some(1));
        }
    };
    story.enter(DEVICE, Hook::Delete);
    release(&mut story, by == Some(Hook::Delete));
    story.leave(DEVICE, Hook::Delete).wait(microseconds);
    if by.is_some() {
        story.enter(DEVICE, Hook::FinalPut);
        release(&mut story, by == Some(Hook::FinalPut));
        story.leave(DEVICE, Hook::FinalPut);
    } else {
        story.enter(OTHER, Hook::Initialise);
    }
    story
}

#[test]
fn what_an_unbound_device_owns_is_graded_by_its_end() {
    let fingerprint = "DR011/platform/?/drm_dev_put";
    for (story, severity) in [
        (
            without_driver(Some(Hook::Delete), 200_000, 0),
            Severity::Info,
        ),
        (
            without_driver(Some(Hook::FinalPut), 10_000, 0),
            Severity::Info,
        ),
        (
            without_driver(Some(Hook::FinalPut), 200_000, 0),
            Severity::Warn,
        ),
        (without_driver(None, 200_000, 0), Severity::Warn),
        (without_driver(None, 10_000, DEVICE.0), Severity::Info),
        // The action is called with the device itself.
        (without_driver(None, 200_000, DEVICE.0), Severity::Error),
    ] {
        let finding = accused(&story, "DR011", severity, fingerprint);
        // One device, one resource: what becomes of it is no other finding.
        assert_eq!(finding.count, 1);
    }
}

#[test]
fn many_unbound_devices_are_one_word_of_information() {
    let mut story = Story::new();
    for device in [DEVICE, OTHER] {
        begin(&mut story, device, "hwmon");
        for number in 1..50 {
            story.add(device, device.0 + number * 0x80, BLOCK, 8);
        }
    }
    let finding = accused(
        &story,
        "DR011",
        Severity::Info,
        "DR011/platform/?/devm_kzalloc_release",
    );
    assert_eq!(finding.device, "hwmon");
}

#[test]
fn a_device_that_is_probed_or_was_bound_is_not_unbound() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        story.add(DEVICE, 0x100, BLOCK, 8);
    });
    story.add(DEVICE, 0x200, BLOCK, 8);
    innocent(&story, "DR011");
    unbind(&mut story, DEVICE, nothing, |story| {
        story
            .rel(DEVICE, 0x200, BLOCK, 8)
            .rel(DEVICE, 0x100, BLOCK, 8);
        2
    });
    story.add(DEVICE, 0x300, BLOCK, 8);
    innocent(&story, "DR011");
}

/// A USB interface whose probe adds `name` to its USB device, and whose driver is unbound.
fn on_the_parent(name: &'static str, remove: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    begin(&mut story, OTHER, "usb-device");
    probe(&mut story, OTHER, "usb", nothing);
    begin(&mut story, DEVICE, "interface");
    probe(&mut story, DEVICE, "ucan", |story| {
        story.stack(&IN_UCAN).add(OTHER, 0x100, name, 8);
    });
    unbind(&mut story, DEVICE, remove, no_release);
    story
}

/// A driver's probe adds something itself.
const IN_UCAN: [&str; 5] = [
    "devres_add",
    "devm_add_action",
    "ucan_probe@ucan",
    "usb_probe_interface",
    "really_probe",
];

#[test]
fn what_a_probe_leaves_on_another_device_outlives_its_driver() {
    let action = accused(
        &on_the_parent("ucan_disconnect", nothing),
        "DR012",
        Severity::Error,
        "DR012/platform/usb/ucan/ucan_disconnect",
    );
    assert_eq!(action.device, "usb-dev");
    assert_eq!(
        action
            .caused_by
            .expect("there is a culprit")
            .driver
            .as_deref(),
        Some("ucan")
    );
    accused(
        &on_the_parent(BLOCK, nothing),
        "DR012",
        Severity::Warn,
        "DR012/platform/usb/ucan/devm_kzalloc_release",
    );
    silent_after_loss(&on_the_parent(BLOCK, nothing), 12, "DR012");
    let taken_off = on_the_parent(BLOCK, |story| {
        story.rem(OTHER, 0x100, BLOCK, 8);
    });
    innocent(&taken_off, "DR012");
}

#[test]
fn a_failed_probe_leaves_the_same() {
    let mut story = Story::new();
    begin(&mut story, OTHER, "usb-device");
    probe(&mut story, OTHER, "usb", nothing);
    begin(&mut story, DEVICE, "interface");
    story
        .named(DEVICE, "interface", "usb", "ucan")
        .enter(DEVICE, Hook::Probe)
        .stack(&IN_UCAN)
        .add(OTHER, 0x100, "ucan_disconnect", 8)
        .enter(DEVICE, Hook::Cleanup)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(5));
    accused(
        &story,
        "DR012",
        Severity::Error,
        "DR012/platform/usb/ucan/ucan_disconnect",
    );
}

/// The probe of `driver` adds an action to its parent, whose driver is virtio-pci, with this stack.
fn added_on_virtio_pci(driver: &'static str, stack: &[&str]) -> Story {
    let mut story = Story::new();
    begin(&mut story, OTHER, "0000:00:06.0");
    probe(&mut story, OTHER, "virtio-pci", nothing);
    begin(&mut story, DEVICE, "virtio2");
    probe(&mut story, DEVICE, driver, |story| {
        if !stack.is_empty() {
            story.stack(stack);
        }
        story.add(OTHER, 0x100, "devm_attr_group_remove", 8);
    });
    unbind(&mut story, DEVICE, nothing, no_release);
    story
}

#[test]
fn what_the_kernel_adds_to_a_device_for_its_own_ends_is_not_the_childs() {
    let innocents: [&[&str]; 3] = [
        // The PCI core sets up the interrupts for which the child has asked.
        &[
            "devres_add",
            "devm_device_add_group",
            "msi_setup_device_data",
            "vp_find_vqs",
            "probe_common@virtio_rng",
            "virtio_dev_probe",
            "really_probe",
        ],
        // All of it is built in.
        &[
            "devres_add",
            "msi_setup_device_data",
            "vp_find_vqs",
            "virtrng_probe",
            "virtio_dev_probe",
            "really_probe",
        ],
        // The device's own driver does it.
        &[
            "devm_kmalloc",
            "vp_find_vqs@virtio_pci",
            "probe_common@virtio_rng",
            "virtio_dev_probe",
            "really_probe",
        ],
    ];
    for stack in innocents {
        innocent(&added_on_virtio_pci("virtio_rng", stack), "DR012");
    }
    let guilty: [(&str, &[&str]); 3] = [
        // A library of the driver's.
        (
            "rt2800usb",
            &[
                "devm_kmalloc",
                "rt2x00usb_probe@rt2x00usb",
                "rt2800usb_probe@rt2800usb",
                "really_probe",
            ],
        ),
        // Built in, and called like its driver.
        (
            "vmgenid",
            &[
                "devres_add",
                "devm_memremap",
                "vmgenid_add",
                "platform_probe",
                "really_probe",
            ],
        ),
        (
            "child",
            &[
                "devres_add",
                "pcim_enable_device",
                "child_probe@child",
                "really_probe",
            ],
        ),
    ];
    for (driver, stack) in guilty {
        accused(
            &added_on_virtio_pci(driver, stack),
            "DR012",
            Severity::Error,
            &format!("DR012/platform/virtio-pci/{driver}/devm_attr_group_remove"),
        );
    }
    // Who asked for it is not known.
    let outcome = outcome(&added_on_virtio_pci("virtio_rng", &[]), "DR012");
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.undecided.len(), 1, "{:?}", outcome.undecided);
}

/// A card's probe, in which its codec's driver adds an action to the codec. In its own probe the codec had added
/// something with the stack `own`.
fn added_by_a_codec(codec: &str, own: &[&str], caller: &str) -> Story {
    let mut story = Story::new();
    begin(&mut story, OTHER, "codec");
    probe(&mut story, OTHER, codec, |story| {
        if !own.is_empty() {
            story.stack(own).add(OTHER, 0x80, BLOCK, 8);
        }
    });
    begin(&mut story, DEVICE, "card");
    story
        .named(DEVICE, "card", "platform", "bytcr_rt5640")
        .enter(DEVICE, Hook::Probe)
        .stack(&[
            "devm_clk_get",
            caller,
            "snd_soc_component_probe@snd_soc_core",
            "snd_byt_rt5640_mc_probe@snd_soc_sst_bytcr_rt5640",
            "platform_probe",
            "really_probe",
        ])
        .add(OTHER, 0x100, "devm_clk_release", 8)
        .enter(DEVICE, Hook::Cleanup)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(517));
    story
}

#[test]
fn what_the_other_devices_driver_adds_in_anothers_probe_is_its_own() {
    // Its module is called like it.
    innocent(
        &added_by_a_codec("rt5640", &[], "rt5640_probe@snd_soc_rt5640"),
        "DR012",
    );
    innocent(
        &added_by_a_codec(
            "ti_sn65dsi86.bridge",
            &[],
            "ti_sn_bridge_attach@ti_sn65dsi86",
        ),
        "DR012",
    );
    // It was seen in that driver's own probe.
    let own = [
        "devm_kmalloc",
        "cs42l42_i2c_probe@cs42l42_i2c",
        "i2c_device_probe",
        "really_probe",
    ];
    innocent(
        &added_by_a_codec("cs42l83", &own, "cs42l42_component_probe@cs42l42_i2c"),
        "DR012",
    );
    // Neither: it is a library of the card's.
    accused(
        &added_by_a_codec("cs42l83", &own, "byt_init@snd_soc_byt_common"),
        "DR012",
        Severity::Error,
        "DR012/platform/cs42l83/bytcr_rt5640/devm_clk_release",
    );
}

#[test]
fn what_the_core_of_a_bus_adds_to_a_device_on_it_is_its_own() {
    let mut story = Story::new();
    begin(&mut story, OTHER, "port1");
    story
        .named(OTHER, "port1", "cxl", "cxl_port")
        .enter(OTHER, Hook::Probe)
        .enter(OTHER, Hook::Bound)
        .returned(OTHER, Hook::Probe, Some(0));
    story
        .enter(DEVICE, Hook::Initialise)
        .named(DEVICE, "mem0", "cxl", "cxl_mem")
        .enter(DEVICE, Hook::Probe)
        .stack(&[
            "devm_add_action",
            "add_port_attach_ep@cxl_core",
            "cxl_mem_probe@cxl_mem",
            "cxl_bus_probe@cxl_core",
            "really_probe",
        ])
        .add(OTHER, 0x100, "unregister_port", 8)
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(0));
    unbind(&mut story, DEVICE, nothing, no_release);
    innocent(&story, "DR012");
}

#[test]
fn where_all_is_built_in_the_function_that_the_bus_calls_is_the_drivers() {
    for caller in ["gfar_probe", "gfar_of_init"] {
        let mut stack = vec!["devres_add", "devm_add_action"];
        if caller != "gfar_probe" {
            stack.push(caller);
        }
        stack.extend(["gfar_probe", "platform_probe", "really_probe"]);
        accused(
            &added_on_virtio_pci("fsl-gianfar", &stack),
            "DR012",
            Severity::Error,
            "DR012/platform/virtio-pci/fsl-gianfar/devm_attr_group_remove",
        );
    }
}

#[test]
fn of_a_device_that_was_bound_before_a_module_is_likely_the_others() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "interface");
    story.snapshot(OTHER, "usb", &[added(0x80, BLOCK, 8)]);
    probe(&mut story, DEVICE, "ucan", |story| {
        story
            .stack(&[
                "devres_add",
                "can_setup@can_dev",
                "ucan_probe@ucan",
                "really_probe",
            ])
            .add(OTHER, 0x100, "ucan_disconnect", 8);
    });
    unbind(&mut story, DEVICE, nothing, no_release);
    accused(
        &story,
        "DR012",
        Severity::Warn,
        "DR012/platform/usb/ucan/ucan_disconnect",
    );
}

#[test]
fn groups_children_and_devices_that_go_too_are_innocent() {
    // In a group that the same probe opened: its remove may release it, or has.
    let mut story = Story::new();
    begin(&mut story, OTHER, "parent");
    probe(&mut story, OTHER, "parent", nothing);
    begin(&mut story, DEVICE, "child");
    probe(&mut story, DEVICE, "child", |story| {
        story
            .open_group(OTHER, 1, 0x100)
            .add(OTHER, 0x200, "irq_action", 8)
            .close_group(OTHER, 1, 0x100);
    });
    unbind(&mut story, DEVICE, nothing, no_release);
    innocent(&story, "DR012");

    // A class device that the probe creates.
    let mut story = Story::new();
    begin(&mut story, DEVICE, "parent");
    probe(&mut story, DEVICE, "parent", |story| {
        begin(story, OTHER, "class-device");
        story.add(OTHER, 0x200, "irq_action", 8);
    });
    unbind(&mut story, DEVICE, nothing, no_release);
    innocent(&story, "DR012");

    // The parent's remove takes the child down.
    let mut story = Story::new();
    begin(&mut story, OTHER, "parent");
    probe(&mut story, OTHER, "parent", nothing);
    begin(&mut story, DEVICE, "child");
    probe(&mut story, DEVICE, "child", |story| {
        story.add(OTHER, 0x200, "irq_action", 8);
    });
    let remove = |story: &mut Story| unbind(story, DEVICE, nothing, no_release);
    unbind(&mut story, OTHER, remove, |story| {
        story.rel(OTHER, 0x200, "irq_action", 8);
        1
    });
    innocent(&story, "DR012");

    // component.c binds the parent's components in the child's probe.
    let mut story = Story::new();
    begin(&mut story, OTHER, "master");
    probe(&mut story, OTHER, "master", nothing);
    begin(&mut story, DEVICE, "component");
    probe(&mut story, DEVICE, "component", |story| {
        story
            .stack(&[
                "devm_kmalloc",
                "master_bind@gpu",
                "try_to_bring_up_aggregate_device",
                "component_add",
            ])
            .add(OTHER, 0x200, "irq_action", 8);
    });
    unbind(&mut story, DEVICE, nothing, no_release);
    innocent(&story, "DR012");
}

/// A device with a block of 64 bytes at 0x1028, on which an action or interrupt of another device points.
fn pointed_at(pointer: u64, irq: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "owner");
    begin(&mut story, OTHER, "user");
    probe(&mut story, DEVICE, "owner", |story| {
        add_block(story, DEVICE, 0x0010_1000, 64);
    });
    probe(&mut story, OTHER, "user", |story| {
        if irq {
            add_irq(story, OTHER, 0x0020_1000, 17, pointer);
        } else {
            add_action_on(story, OTHER, 0x0020_1000, "stop", pointer);
        }
    });
    story
}

fn release_block(story: &mut Story) {
    unbind(story, DEVICE, nothing, |story| {
        story.rel(DEVICE, 0x0010_1000, BLOCK, 64);
        1
    });
}

const PAYLOAD: u64 = 0x0010_1028;

#[test]
fn memory_that_goes_under_a_live_pointer_dangles() {
    for (pointer, irq, fingerprint) in [
        (PAYLOAD, false, "DR013/platform/user/stop"),
        (PAYLOAD + 63, false, "DR013/platform/user/stop"),
        (PAYLOAD + 8, true, "DR013/platform/user/devm_irq_release"),
    ] {
        let mut story = pointed_at(pointer, irq);
        release_block(&mut story);
        open_at_the_end(&story, fingerprint);
        unbind(&mut story, OTHER, nothing, |story| {
            let name = if irq { "devm_irq_release" } else { "stop" };
            story.rel(OTHER, 0x0020_1000, name, 16);
            1
        });
        let finding = accused(&story, "DR013", Severity::Error, fingerprint);
        assert_eq!(finding.device, "user-dev");
        let cause = finding.caused_by.expect("there is a culprit");
        assert_eq!((&*cause.device, cause.frame), ("owner-dev", "unbind"));
        silent_after_loss(&story, 14, "DR013");
    }
}

/// Whether what points there was not removed unseen shows only at its own end: until then it is likely.
fn open_at_the_end(story: &Story, fingerprint: &str) {
    let outcome = story.judge_by("DR013", whole());
    let found: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| (finding.severity, finding.certainty, &*finding.fingerprint))
        .collect();
    assert_eq!(found, [(Severity::Warn, Certainty::Likely, fingerprint)]);
    assert_eq!(outcome.undecided.len(), 1, "{:?}", outcome.undecided);
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
}

#[test]
fn pointers_past_the_end_gone_or_older_are_innocent() {
    for pointer in [PAYLOAD + 64, PAYLOAD - 1, 0, 7] {
        let mut story = pointed_at(pointer, false);
        release_block(&mut story);
        innocent(&story, "DR013");
    }
    let mut story = pointed_at(PAYLOAD, false);
    story.rem(OTHER, 0x0020_1000, "stop", 64);
    release_block(&mut story);
    innocent(&story, "DR013");
    // An action that is older than the block points to what was there before.
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_action_on(story, DEVICE, 0x0020_1000, "stop", PAYLOAD);
        add_block(story, DEVICE, 0x0010_1000, 64);
        story.rem(DEVICE, 0x0010_1000, BLOCK, 64);
    });
    innocent(&story, "DR013");
}

#[test]
fn the_order_of_one_unbind_is_right_by_itself() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_block(story, DEVICE, 0x0010_1000, 64);
        add_action_on(story, DEVICE, 0x0020_1000, "stop", PAYLOAD);
    });
    unbind(&mut story, DEVICE, nothing, |story| {
        story
            .rel(DEVICE, 0x0020_1000, "stop", 64)
            .rel(DEVICE, 0x0010_1000, BLOCK, 64);
        2
    });
    delete(&mut story, DEVICE);
    innocent(&story, "DR013");
}

#[test]
fn memory_that_is_freed_or_moved_by_hand_dangles_too() {
    let bound = |body: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, "driver", nothing);
        add_block(&mut story, DEVICE, 0x0010_1000, 40);
        body(&mut story);
        story
    };
    // The unbind releases the action, and the block if it has been moved to an address.
    let ended = |mut story: Story, block: u64| {
        unbind(&mut story, DEVICE, nothing, |story| {
            story.rel(DEVICE, 0x0020_1000, "stop", 16);
            if block == 0 {
                return 1;
            }
            story.rel(DEVICE, block, "devm_krealloc_release", 40);
            2
        });
        story
    };
    let freed = bound(&|story| {
        add_action_on(story, DEVICE, 0x0020_1000, "stop", PAYLOAD);
        story.rem(DEVICE, 0x0010_1000, BLOCK, 40);
    });
    open_at_the_end(&freed, "DR013/platform/driver/stop");
    let freed = ended(freed, 0);
    accused(
        &freed,
        "DR013",
        Severity::Error,
        "DR013/platform/driver/stop",
    );
    let missing = {
        let mut story = freed.clone();
        story
            .events
            .retain(|event| !matches!(event.kind, EventKind::Release(_)));
        story.judge_by("DR013", whole())
    };
    assert!(
        missing
            .findings
            .iter()
            .all(|finding| finding.severity == Severity::Warn)
    );
    let moved = bound(&|story| {
        add_action_on(story, DEVICE, 0x0020_1000, "stop", PAYLOAD);
        story.krealloc(DEVICE, 0x0010_1000, 0x0030_1000);
    });
    let moved = ended(moved, 0x0030_1000);
    accused(
        &moved,
        "DR013",
        Severity::Error,
        "DR013/platform/driver/stop",
    );
    let moved_before = bound(&|story| {
        story.krealloc(DEVICE, 0x0010_1000, 0x0030_1000);
        add_action_on(story, DEVICE, 0x0020_1000, "stop", 0x0030_1028);
    });
    innocent(&moved_before, "DR013");
}

/// A device with a resource whose release is in `module`, and another module or that one is unloaded.
fn unloaded(module: &str, removed: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    story.add_action(DEVICE, 0x100, "guest_callback@guest");
    if removed {
        story.rem(DEVICE, 0x100, "devm_action_release", 16);
    }
    let module = Text::from(module);
    story.push(Dev(0), EventKind::ModuleFree { module, code: None });
    story
}

#[test]
fn a_module_that_goes_before_its_resource_is_an_error() {
    accused(
        &unloaded("guest", false),
        "DR020",
        Severity::Error,
        "DR020/platform/driver/guest/guest_callback",
    );
    innocent(&unloaded("other", false), "DR020");
    innocent(&unloaded("guest", true), "DR020");
    silent_after_loss(&unloaded("guest", false), 7, "DR020");
}

#[test]
fn drm_objects_and_rust_are_ordinary() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "nova", |story| {
        story
            .add(DEVICE, 0x100, "devm_drm_dev_init_release", 64)
            .add(DEVICE, 0x200, "Devres<T>", 0)
            .add(DEVICE, 0x300, "Devres<T>", 0);
    });
    story.rem(DEVICE, 0x200, "Devres<T>", 0);
    unbind(&mut story, DEVICE, nothing, |story| {
        story.rel(DEVICE, 0x300, "Devres<T>", 0).rel(
            DEVICE,
            0x100,
            "devm_drm_dev_init_release",
            64,
        );
        2
    });
    delete(&mut story, DEVICE);
    for rule in [
        "DR005", "DR008", "DR011", "DR012", "DR013", "DR015", "DR016",
    ] {
        assert_eq!(found(&story, rule), [], "{rule}");
    }
}

/// The child of a device, in a block of 1024 bytes of its parent's.
const CHILD: Dev = Dev(0xff11_0000_0700_0128);
const AROUND_CHILD: u64 = 0xff11_0000_0700_0000;

/// When the last reference to the child is put.
#[derive(Clone, Copy, PartialEq)]
enum Put {
    Before,
    After,
    /// By the child's own release function, which frees the block.
    Frees,
}

/// A driver that registers a child device in memory of this many bytes, and deletes it in remove.
fn embedded(size: u64, deleted: bool, put: Put) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "parent");
    probe(&mut story, DEVICE, "driver", |story| {
        add_block(story, DEVICE, AROUND_CHILD, size);
        begin(story, CHILD, "child");
    });
    let end = |story: &mut Story| {
        story.enter(CHILD, Hook::FinalPut).release_nothing(CHILD);
        if put == Put::Frees {
            story.rem(DEVICE, AROUND_CHILD, BLOCK, size);
        }
        story.leave(CHILD, Hook::FinalPut);
    };
    let remove = |story: &mut Story| {
        if deleted {
            story
                .enter(CHILD, Hook::Delete)
                .release_nothing(CHILD)
                .leave(CHILD, Hook::Delete);
        }
        if put != Put::After {
            end(story);
        }
    };
    unbind(&mut story, DEVICE, remove, |story| {
        if put != Put::Frees {
            story.rel(DEVICE, AROUND_CHILD, BLOCK, size);
        }
        i64::from(put != Put::Frees)
    });
    if put == Put::After {
        story.wait(1_000_000);
        end(&mut story);
    }
    story
}

#[test]
fn memory_that_goes_with_a_living_device_in_it_dangles() {
    let story = embedded(1024, true, Put::After);
    let finding = accused(
        &story,
        "DR013",
        Severity::Error,
        "DR013/platform/driver/device/devm_kzalloc_release",
    );
    assert_eq!(finding.device, "driver-dev");
    assert_eq!(finding.order.len(), 4);
    silent_after_loss(&story, 9, "DR013");
    innocent(&embedded(1024, true, Put::Before), "DR013");
    innocent(&embedded(1024, true, Put::Frees), "DR013");
    // It begins right behind the block, and was never registered as far as is known.
    innocent(&embedded(0x100, true, Put::After), "DR013");
    innocent(&embedded(1024, false, Put::After), "DR013");
}

#[test]
fn a_device_that_was_forgotten_before_its_memory_became_a_block_is_innocent() {
    let mut story = Story::new();
    begin(&mut story, CHILD, "forgotten");
    story
        .enter(CHILD, Hook::Delete)
        .release_nothing(CHILD)
        .leave(CHILD, Hook::Delete);
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_block(story, DEVICE, AROUND_CHILD, 1024);
    });
    unbind(&mut story, DEVICE, nothing, |story| {
        story.rel(DEVICE, AROUND_CHILD, BLOCK, 1024);
        1
    });
    innocent(&story, "DR013");
    // In a source that only numbers the devices an address is none.
    let mut coverage = whole();
    coverage.device_addresses = Addresses::Hashed;
    let outcome = embedded(1024, true, Put::After).judge_by("DR013", coverage);
    assert_eq!(outcome.findings, []);
}
