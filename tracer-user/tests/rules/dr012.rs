//! DR012: resources that outlive their creator.

use devres_tracer::{event::Hook, finding::Severity};

use super::{
    BLOCK, DEVICE, OTHER, accused, begin, innocent, no_release, nothing, outcome, probe,
    silent_after_loss,
    support::{Story, added},
    unbind,
};

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
        .bound(OTHER);
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
        .bound(DEVICE);
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
