//! DR003 to DR006: groups.

use devres_tracer::{
    event::{CallDetail, EventKind, GroupId, Hook},
    finding::Severity,
};

use super::support::{Story, reduced};
use super::{
    BLOCK, DEVICE, IRQ, OTHER, accused, begin, found, innocent, no_release, nothing, outcome,
    probe, silent_after_loss, unbind,
};

const OPENER: &[&str] = &[
    "add_dr",
    "devres_open_group",
    "try_to_bring_up_master",
    "master_probe@snd",
];
const BY_MASTER: &[&str] = &[
    "devm_kmalloc",
    "bind@snd",
    "try_to_bring_up_master",
    "master_probe@snd",
];
const BY_DRIVER: &[&str] = &["pcim_iomap", "azx_probe@snd"];

/// What happens to the group of a bound device.
struct Swallow {
    close: bool,
    /// The stack of what the driver adds after the group was opened.
    later: &'static [&'static str],
    /// Whether another device's unbind releases it, or nobody's.
    foreign: bool,
}

/// A bound device with a group, which is released from elsewhere.
fn swallow(how: &Swallow) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    begin(&mut story, OTHER, "dev1");
    probe(&mut story, OTHER, "i915", nothing);
    probe(&mut story, DEVICE, "snd_hda_intel", |story| {
        story.stack(OPENER).open_group(DEVICE, 0, 0x100);
        story.stack(BY_MASTER).add(DEVICE, 0x200, BLOCK, 8);
        if how.close {
            story.close_group(DEVICE, 0x100, 0x100);
        }
        story
            .stack(how.later)
            .add(DEVICE, 0x300, "pcim_iomap_release", 48);
    });
    let release = |story: &mut Story| {
        story
            .stack(&[
                "devres_release_group",
                "take_down_master",
                "component_del",
                "i915_remove@i915",
            ])
            .release_group(DEVICE, 0x100)
            .rel(DEVICE, 0x100, "grp<", 0);
        if !how.close {
            story.rel(DEVICE, 0x300, "pcim_iomap_release", 48);
        }
        story.rel(DEVICE, 0x200, BLOCK, 8).returned(
            DEVICE,
            Hook::ReleaseGroup,
            Some(if how.close { 1 } else { 2 }),
        );
    };
    if how.foreign {
        unbind(&mut story, OTHER, release, no_release);
    } else {
        release(&mut story);
    }
    story
}

const OPEN: Swallow = Swallow {
    close: false,
    later: BY_DRIVER,
    foreign: true,
};

#[test]
fn an_open_group_that_another_driver_releases_takes_what_the_driver_added() {
    let finding = accused(
        &swallow(&OPEN),
        "DR003",
        Severity::Error,
        "DR003/platform/snd_hda_intel/pcim_iomap_release",
    );
    let cause = finding.caused_by.expect("there is a culprit");
    assert_eq!(finding.device, "snd_hda_intel-dev");
    assert_eq!(
        (&*cause.device, cause.driver.as_deref(), cause.frame),
        ("i915-dev", Some("i915"), "unbind")
    );
    assert!(
        cause.stack[1].starts_with("take_down_master"),
        "{:?}",
        cause.stack
    );
    let names: Vec<_> = finding
        .resources
        .iter()
        .map(|resource| &*resource.name)
        .collect();
    assert_eq!(names, ["pcim_iomap_release"]);
}

#[test]
fn what_the_opener_added_itself_is_only_worth_knowing() {
    let story = swallow(&Swallow {
        later: BY_MASTER,
        ..OPEN
    });
    accused(
        &story,
        "DR003",
        Severity::Info,
        "DR003/platform/snd_hda_intel",
    );
}

#[test]
fn a_closed_group_is_innocent_and_one_that_no_driver_releases_is_worth_knowing() {
    for foreign in [true, false] {
        let story = swallow(&Swallow {
            close: true,
            foreign,
            ..OPEN
        });
        innocent(&story, "DR003");
    }
    let story = swallow(&Swallow {
        foreign: false,
        ..OPEN
    });
    accused(
        &story,
        "DR003",
        Severity::Info,
        "DR003/platform/snd_hda_intel/pcim_iomap_release",
    );
}

#[test]
fn a_foreign_release_is_not_judged_after_a_loss_or_without_stacks() {
    let story = swallow(&OPEN);
    silent_after_loss(&story, 12, "DR003");
    let mut unstacked = story;
    for event in &mut unstacked.events {
        event.stack = None;
    }
    assert_eq!(outcome(&unstacked, "DR003").findings, []);
    assert_eq!(outcome(&unstacked, "DR003").undecided.len(), 1);
}

/// A device whose probe opens a group there and leaves it open, or not.
fn left_open(bus: &str, driver: &str, opener: &str, close: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", bus, driver)
        .enter(DEVICE, Hook::Probe)
        .stack(&["add_dr", "devres_open_group", opener, "really_probe"])
        .open_group(DEVICE, 0, 0x100)
        .add(DEVICE, 0x200, BLOCK, 8);
    if close {
        story.close_group(DEVICE, 0, 0x100);
    }
    story
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(0));
    story
}

#[test]
fn a_group_that_is_open_when_its_device_is_bound_is_reported_unless_by_design() {
    let story = left_open("platform", "driver", "driver_probe@driver", false);
    accused(
        &story,
        "DR004",
        Severity::Warn,
        "DR004/platform/driver/driver_probe",
    );
    for (bus, driver, opener) in [
        ("i2c", "lm75", "i2c_device_probe"),
        ("hid", "hid-generic", "hid_device_probe@hid"),
        ("hid", "hid-generic", "__hid_device_probe.isra.0@hid"),
        ("faux", "faux_driver", "vgem_init@vgem"),
        ("pci", "xe", "xe_pci_probe@xe"),
        ("pci", "snd_hda_intel", "try_to_bring_up_master"),
    ] {
        innocent(&left_open(bus, driver, opener, false), "DR004");
    }
    innocent(
        &left_open("platform", "driver", "driver_probe@driver", true),
        "DR004",
    );
    // The driver's own group on an I2C device is another one than the core's.
    let story = left_open("i2c", "lm75", "lm75_probe@lm75", false);
    accused(&story, "DR004", Severity::Warn, "DR004/i2c/lm75/lm75_probe");
    silent_after_loss(&story, 4, "DR004");
}

#[test]
fn without_stacks_the_first_group_of_an_i2c_device_is_the_cores() {
    let mut story = left_open("i2c", "lm75", "i2c_device_probe", false);
    for event in &mut story.events {
        event.stack = None;
    }
    innocent(&story, "DR004");
}

/// A bound device on which group functions are called.
fn bound(body: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", body);
    story
}

#[test]
fn misuses_of_groups() {
    let overlap = |inner_first: bool| {
        bound(move |story| {
            story
                .open_group(DEVICE, 1, 0x100)
                .open_group(DEVICE, 2, 0x200);
            let order = if inner_first { [2, 1] } else { [1, 2] };
            for group in order {
                story.close_group(DEVICE, group, group * 0x100);
            }
        })
    };
    accused(
        &overlap(false),
        "DR005",
        Severity::Warn,
        "DR005/platform/driver/overlapping",
    );
    innocent(&overlap(true), "DR005");

    let twice = |second: u64| {
        bound(move |story| {
            story
                .open_group(DEVICE, 1, 0x100)
                .close_group(DEVICE, 1, 0x100)
                .open_group(DEVICE, second, 0x200)
                .close_group(DEVICE, second, 0x200);
        })
    };
    accused(
        &twice(1),
        "DR005",
        Severity::Error,
        "DR005/platform/driver/same-identifier",
    );
    innocent(&twice(2), "DR005");
    // Each group that is opened with NULL has its own address for an identifier.
    innocent(&twice(0), "DR005");

    let closed_twice = bound(|story| {
        story
            .open_group(DEVICE, 1, 0x100)
            .close_group(DEVICE, 1, 0x100)
            .call(DEVICE, Hook::CloseGroup, CallDetail::Group(GroupId(1)));
    });
    accused(
        &closed_twice,
        "DR005",
        Severity::Error,
        "DR005/platform/driver/closed-twice",
    );

    let unknown = |resources: bool| {
        bound(move |story| {
            if resources {
                story.add(DEVICE, 0x100, BLOCK, 8);
            }
            story
                .release_group(DEVICE, 7)
                .returned(DEVICE, Hook::ReleaseGroup, Some(0));
        })
    };
    accused(
        &unknown(true),
        "DR005",
        Severity::Warn,
        "DR005/platform/driver/not-found/devres_release_group",
    );
    // An emptied device is on its way out, which the kernel accepts.
    innocent(&unknown(false), "DR005");
    silent_after_loss(&unknown(true), 4, "DR005");
}

#[test]
fn null_that_selects_a_named_or_a_foreign_group_is_reported() {
    let null = |id: u64, opener: &'static str, caller: &'static str| {
        bound(move |story| {
            story
                .stack(&["add_dr", "devres_open_group", opener])
                .open_group(DEVICE, id, 0x100)
                .stack(&["devres_close_group", caller])
                .close_group(DEVICE, 0, 0x100);
        })
    };
    let named = null(1, "setup@driver", "setup@driver");
    accused(
        &named,
        "DR006",
        Severity::Warn,
        "DR006/platform/driver/setup",
    );
    silent_after_loss(&named, 8, "DR006");
    let foreign = null(0, "setup@driver", "other_setup@other");
    accused(
        &foreign,
        "DR006",
        Severity::Warn,
        "DR006/platform/driver/other_setup",
    );
    innocent(&null(0, "setup@driver", "teardown@driver"), "DR006");
    // component.c opens by identifier and closes by NULL right after.
    innocent(
        &null(
            1,
            "try_to_bring_up_aggregate_device",
            "try_to_bring_up_aggregate_device",
        ),
        "DR006",
    );
    // A module's initialisation has no name left.
    innocent(&null(0, "do_one_initcall", "cleanup_module@vgem"), "DR006");
}

#[test]
fn on_5_10_a_swallowed_group_is_concluded() {
    let mut story = swallow(&OPEN);
    story
        .events
        .retain(|event| !matches!(event.kind, EventKind::Release(_)));
    let outcome = story.judge_by("DR003", reduced());
    assert_eq!(outcome.findings.len(), 1, "{outcome:?}");
    assert_eq!(outcome.findings[0].severity, Severity::Error);
}

const BY_WRAPPER: &[&str] = &[
    "devres_open_group",
    "open_port_group@cxl_core",
    "add_dport@cxl_core",
    "cxl_mem_probe@cxl_mem",
];
const BY_DPORT: &[&str] = &[
    "devm_kmalloc",
    "add_dport@cxl_core",
    "cxl_mem_probe@cxl_mem",
];

/// A probe that opens a group on a bound device through a helper, fills it, fails, and releases it. `meanwhile` the
/// device's own driver does something.
fn wrapped(stacks: bool, meanwhile: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    begin(&mut story, OTHER, "port1");
    probe(&mut story, OTHER, "cxl_port", nothing);
    begin(&mut story, DEVICE, "mem0");
    story
        .named(DEVICE, "mem0", "cxl", "cxl_mem")
        .enter(DEVICE, Hook::Probe);
    if stacks {
        story.stack(BY_WRAPPER);
    }
    story.open_group(OTHER, 7, 0x100);
    if stacks {
        story.stack(BY_DPORT);
    }
    story.add(OTHER, 0x200, BLOCK, 8);
    let before = story.events.len();
    meanwhile(&mut story);
    let more = story.events.len() > before;
    story
        .task("init", 1)
        .release_group(OTHER, 7)
        .rel(OTHER, 0x100, "grp<", 0);
    if more {
        story.rel(OTHER, 0x300, IRQ, 16);
    }
    story
        .rel(OTHER, 0x200, BLOCK, 8)
        .returned(OTHER, Hook::ReleaseGroup, Some(1 + i64::from(more)))
        .enter(DEVICE, Hook::Cleanup)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(5));
    story
}

#[test]
fn a_group_that_a_probe_opened_and_filled_itself_is_its_own_affair() {
    innocent(&wrapped(true, nothing), "DR003");
    // Who called what does not matter then.
    innocent(&wrapped(false, nothing), "DR003");
    // The device's own driver adds something at the same time.
    let swallowed = wrapped(true, |story| {
        story
            .task("kworker/0:1", 9)
            .stack(&["devm_request_threaded_irq", "port_work@cxl_port"])
            .add(OTHER, 0x300, IRQ, 16);
    });
    accused(
        &swallowed,
        "DR003",
        Severity::Error,
        "DR003/platform/cxl_port/devm_irq_release",
    );
    let unknown = wrapped(false, |story| {
        story.task("kworker/0:1", 9).add(OTHER, 0x300, IRQ, 16);
    });
    let outcome = outcome(&unknown, "DR003");
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.undecided.len(), 1);
}

/// A bound device whose open group is released by a module's exit, outside of any unbind.
fn released_by_exit(
    opener: &'static [&'static str],
    later: &'static [&'static str],
    releaser: &'static [&'static str],
) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "snd_hda_intel", |story| {
        story
            .stack(opener)
            .open_group(DEVICE, 0, 0x100)
            .stack(later)
            .add(DEVICE, 0x200, IRQ, 16);
    });
    story
        .stack(releaser)
        .release_group(DEVICE, 0)
        .rel(DEVICE, 0x100, "grp<", 0)
        .rel(DEVICE, 0x200, IRQ, 16)
        .returned(DEVICE, Hook::ReleaseGroup, Some(1));
    story
}

const BY_EXIT: &[&str] = &[
    "devres_release_group",
    "take_down_master",
    "component_del",
    "comp_exit@comp",
];

#[test]
fn an_open_group_that_is_released_outside_of_any_unbind_is_worth_knowing() {
    let story = released_by_exit(OPENER, BY_DRIVER, BY_EXIT);
    let finding = accused(
        &story,
        "DR003",
        Severity::Info,
        "DR003/platform/snd_hda_intel/devm_irq_release",
    );
    assert!(
        finding.summary.contains("take_down_master"),
        "{}",
        finding.summary
    );
    silent_after_loss(&story, 9, "DR003");
    // All of it is the opener's.
    innocent(&released_by_exit(OPENER, BY_MASTER, BY_EXIT), "DR003");
    // As vgem does: its initialisation opens the group, which has no name any more, and its exit releases it.
    let vgem = released_by_exit(
        &["devres_open_group", "do_one_initcall"],
        &["devm_kmalloc", "drm_dev_alloc@drm", "do_one_initcall"],
        &["devres_release_group", "vgem_exit@vgem"],
    );
    innocent(&vgem, "DR003");
    // What a module has opened, or added, it may release.
    let own_group = released_by_exit(
        &["devres_open_group", "foo_open@foo"],
        &["devm_kmalloc", "foo_ioctl@foo"],
        &["devres_release_group", "foo_close@foo"],
    );
    innocent(&own_group, "DR003");
    let through_library = released_by_exit(
        &["devres_open_group", "library_open"],
        &["devm_kmalloc", "foo_ioctl@foo"],
        &["devres_release_group", "library_close", "foo_close@foo"],
    );
    innocent(&through_library, "DR003");
    // Without a stack nobody knows whose it is.
    let mut unstacked = story;
    for event in &mut unstacked.events {
        event.stack = None;
    }
    innocent(&unstacked, "DR003");
}

#[test]
fn group_functions_that_miss_are_told_apart_by_function_and_caller() {
    let story = bound(|story| {
        story
            .add(DEVICE, 0x100, BLOCK, 8)
            .stack(&["devres_close_group", "foo_open@driver"])
            .call(DEVICE, Hook::CloseGroup, CallDetail::Group(GroupId(7)))
            .stack(&["devres_release_group", "bar_ioctl@driver"])
            .release_group(DEVICE, 8)
            .returned(DEVICE, Hook::ReleaseGroup, Some(0));
    });
    let names: Vec<String> = found(&story, "DR005")
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(
        names,
        [
            "DR005/platform/driver/not-found/devres_close_group/foo_open",
            "DR005/platform/driver/not-found/devres_release_group/bar_ioctl",
        ]
    );
}
