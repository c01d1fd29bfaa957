//! DR006: NULL that selects another group.

use devres_tracer::{event::Hook, finding::Severity};

use super::{
    DEVICE, accused, innocent,
    scenes::bound,
    silent, silent_after_loss,
    support::{Story, recorded},
};

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

/// The compiler leaves no frame of a function whose last call this is: its own caller seems to be the one.
#[test]
fn who_left_no_frame_is_taken_for_the_opener() {
    let last_call = |id: u64, place: &'static str, other_task: bool| {
        bound(move |story| {
            story
                .stack(&[
                    "add_dr",
                    "devres_open_group",
                    "work@driver",
                    "process_one_work+452",
                ])
                .open_group(DEVICE, id, 0x100);
            if other_task {
                story.task("kworker", 9);
            }
            story
                .stack(&["devres_release_group", place])
                .release_group(DEVICE, 0)
                .rel(DEVICE, 0x100, "grp<", 0)
                .returned(DEVICE, Hook::ReleaseGroup, Some(0));
        })
    };
    for other_task in [false, true] {
        innocent(&last_call(0, "process_one_work+452", other_task), "DR006");
    }
    // It calls by itself, from another place.
    accused(
        &last_call(0, "process_one_work+400", false),
        "DR006",
        Severity::Warn,
        "DR006/platform/driver/process_one_work",
    );
    // By its identifier the opener should have known better.
    accused(
        &last_call(1, "process_one_work+452", false),
        "DR006",
        Severity::Warn,
        "DR006/platform/driver/work",
    );
    silent(&last_call(1, "process_one_work+452", true), "DR006");
}

#[test]
fn what_the_kernel_does_shows_whether_null_has_selected_the_group() {
    // In a text an event may be missing without a word.
    let is_accused = |story: &Story| {
        let outcome = story.judge_by("DR006", recorded());
        let undecided = outcome.undecided.iter().any(|one| one.rule == "DR006");
        assert_ne!(undecided, !outcome.findings.is_empty());
        !undecided
    };
    let released = |group: u64| {
        bound(move |story| {
            story
                .stack(&["add_dr", "devres_open_group", "setup@driver"])
                .open_group(DEVICE, 1, 0x100)
                .stack(&["devres_release_group", "setup@driver"])
                .release_group(DEVICE, 0)
                .rel(DEVICE, group, "grp<", 0)
                .returned(DEVICE, Hook::ReleaseGroup, Some(0));
        })
    };
    assert!(is_accused(&released(0x100)));
    // Another group was opened meanwhile, and its opening is missing.
    assert!(!is_accused(&released(0x200)));
    let closed = |group: u64| {
        bound(move |story| {
            story
                .stack(&["add_dr", "devres_open_group", "setup@driver"])
                .open_group(DEVICE, 1, 0x100)
                .stack(&["devres_close_group", "setup@driver"])
                .close_group(DEVICE, 0, group);
        })
    };
    assert!(is_accused(&closed(0x100)));
    assert!(!is_accused(&closed(0x200)));
}
