//! DR005: misuse of groups.

use devres_tracer::{
    event::{CallDetail, GroupId, Hook},
    finding::Severity,
};

use super::{BLOCK, DEVICE, accused, found, innocent, scenes::bound, silent_after_loss};

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
