//! Groups, and what their release says about them.

use devres_tracer::{
    event::Hook,
    model::{Change, Taint},
};

use super::{
    DEVICE, began, quiet,
    support::{list, recorded, reduced, whole, without},
    taints,
};

#[test]
fn groups_are_selected_and_released_as_measured() {
    // A={2,B<,3} closed while B={3,A>,4} is open: releasing A takes 2 and 3, and B survives with 4.
    let (a, b) = (0xa000, 0xb000);
    let mut story = began();
    story
        .open_group(DEVICE, 0x51, a)
        .add(DEVICE, 2, "act_a", 16)
        .open_group(DEVICE, 0, b)
        .add(DEVICE, 3, "act_b", 16)
        .close_group(DEVICE, 0x51, a)
        .add(DEVICE, 4, "act_c", 16)
        .close_group(DEVICE, 0, b)
        .release_group(DEVICE, 0x51)
        .rel(DEVICE, a, "grp<", 0)
        .rel(DEVICE, 3, "act_b", 16)
        .rel(DEVICE, 2, "act_a", 16)
        .returned(DEVICE, Hook::ReleaseGroup, Some(2));
    let (_, model) = quiet(&story, whole());
    assert_eq!(list(&model, DEVICE), [b, 4, b + 0x28]);
    story
        .release_group(DEVICE, b)
        .rel(DEVICE, b, "grp<", 0)
        .rel(DEVICE, 4, "act_c", 16)
        .returned(DEVICE, Hook::ReleaseGroup, Some(1));
    let (changes, model) = quiet(&story, whole());
    assert!(list(&model, DEVICE).is_empty());
    let selected = changes.iter().flatten().any(|change| {
        matches!(change, Change::Entered(entered)
            if entered.hook == Hook::ReleaseGroup
            && matches!(entered.detail, devres_tracer::model::Detail::Group { selected: Some(_), .. }))
    });
    assert!(selected);
}

#[test]
fn removing_a_group_unlinks_its_end_silently() {
    let mut story = began();
    story
        .open_group(DEVICE, 7, 0xa000)
        .add(DEVICE, 2, "devm_irq_release", 16)
        .close_group(DEVICE, 7, 0xa000)
        .remove_group(DEVICE, 7, 0xa000);
    let (changes, model) = quiet(&story, whole());
    assert_eq!(list(&model, DEVICE), [2]);
    let last = changes.last().unwrap();
    assert!(matches!(
        last[..],
        [.., Change::NodeRemoved(_), Change::NodeVanished(_)]
    ));
}

#[test]
fn a_group_of_which_nothing_is_known_is_no_disagreement() {
    let mut story = began();
    story
        .release_group(DEVICE, 0)
        .returned(DEVICE, Hook::ReleaseGroup, Some(4));
    for coverage in [recorded(), without(recorded(), &[Hook::DevresLog])] {
        let (_, model) = quiet(&story, coverage);
        assert_eq!(taints(&model, DEVICE), [Taint::Unfitting]);
    }
}

/// Beyond a few groups an index finds them: what it finds is what was found one by one.
#[test]
fn many_groups_are_found_like_few() {
    for count in [3, 40] {
        let mut story = began();
        for group in 0..count {
            story.open_group(DEVICE, 0x100 + group, 0x1_0000 + group * 0x100);
            story.add(DEVICE, 0x90_0000 + group * 0x100, "devm_clk_release", 8);
        }
        // The second overlaps the first and lies within it no more; then all others, the youngest first.
        story.close_group(DEVICE, 0x100, 0x1_0000);
        for group in (1..count).rev() {
            story.close_group(DEVICE, 0x100 + group, 0x1_0000 + group * 0x100);
        }
        let (_, model) = quiet(&story, whole());
        let device = model.device(DEVICE.address()).unwrap();
        let groups: Vec<_> = device.groups().collect();
        assert_eq!(groups.len() as u64, count);
        for (id, open, close) in &groups {
            assert_eq!(device.oldest_group(*id), Some(*open));
            assert_eq!(device.opening(close.unwrap()), Some(*open));
            let first = groups
                .first()
                .map(|(_, open, close)| (*open, close.unwrap()));
            let expected = first.filter(|(first, _)| first != open);
            assert_eq!(device.overlapped(*open), expected, "{id:?} of {count}");
        }
        // Of a closed group goes what lies in it and was not taken before.
        story
            .release_group(DEVICE, 0x100 + count - 1)
            .rel(DEVICE, 0x1_0000 + (count - 1) * 0x100, "grp<", 0)
            .returned(DEVICE, Hook::ReleaseGroup, Some(0));
        let (_, model) = story.run(whole());
        let device = model.device(DEVICE.address()).unwrap();
        assert_eq!(device.groups().count() as u64, count - 1);
    }
}

#[test]
fn a_marker_that_went_without_its_call_is_a_doubt() {
    let coverage = || without(reduced(), &[Hook::DevresRemove]);
    let mut story = began();
    story
        .open_group(DEVICE, 1, 0x10)
        .remove_group(DEVICE, 1, 0x10)
        .add(DEVICE, 0x10, "devm_clk_release", 8);
    // Where the kernel does not log it, the call alone removes the marker.
    story.events.remove(4);
    let (_, model) = story.run(coverage());
    assert_eq!(taints(&model, DEVICE), []);
    story.events.remove(3);
    let (_, model) = story.run(coverage());
    assert_eq!(taints(&model, DEVICE), [Taint::Unfitting]);
}
