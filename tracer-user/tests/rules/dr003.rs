//! DR003: groups that another driver releases.

use devres_tracer::{
    event::{EventKind, Hook},
    finding::Severity,
};

use super::{
    BLOCK, DEVICE, IRQ, OTHER, accused, begin, innocent, no_release, nothing, outcome, probe,
    silent_after_loss,
    support::{Story, reduced},
    unbind,
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
    let is_later = |kind: &EventKind| matches!(kind, EventKind::Add(node) if node.name.as_deref() == Some("pcim_iomap_release"));
    for all in [true, false] {
        let mut unstacked = swallow(&OPEN);
        for event in &mut unstacked.events {
            // As a text has it that shows who opened the group, by where the call returns to, and no stacks.
            if all || is_later(&event.kind) {
                event.stack = None;
            }
        }
        assert_eq!(outcome(&unstacked, "DR003").findings, [], "{all}");
        assert_eq!(outcome(&unstacked, "DR003").undecided.len(), 1, "{all}");
    }
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
