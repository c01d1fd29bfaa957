//! DR013: memory that goes under a live pointer.

use devres_tracer::{
    engine::Verdict,
    event::{EventKind, Hook},
    evidence::{Addresses, HookState},
    finding::{Certainty, Severity},
};

use super::{
    BLOCK, DEVICE, OTHER, accused, add_action_on, add_block, add_irq, begin, delete, innocent,
    nothing, probe, silent_after_loss,
    support::{Dev, Story, reduced, whole},
    unbind,
};

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

/// A parent whose release unregisters a child that has an action with the parent's memory; the child is unbound in that
/// release, or after it.
fn children(after: bool) -> Story {
    let mut story = pointed_at(PAYLOAD, false);
    let child = |story: &mut Story| unbind(story, OTHER, nothing, |_| 1);
    unbind(&mut story, DEVICE, nothing, |story| {
        if !after {
            child(story);
        }
        1
    });
    if after {
        child(&mut story);
    }
    story
}

#[test]
fn where_releases_are_concluded_what_one_unregisters_may_go_first() {
    let outcome = children(false).judge_by("DR013", reduced());
    assert_eq!((outcome.findings.len(), outcome.undecided.len()), (0, 0));
    let outcome = children(true).judge_by("DR013", reduced());
    let found: Vec<_> = outcome.findings.iter().map(|one| one.severity).collect();
    assert_eq!(found, [Severity::Error]);
    // The trace ends in that release.
    let mut story = children(false);
    story.events.truncate(story.events.len() - 11);
    let outcome = story.judge_by("DR013", reduced());
    assert_eq!(outcome.undecided.len(), 1, "{:?}", outcome.undecided);
    // A device in the memory, that the release puts, or that somebody still has behind it.
    for (put, count) in [(Put::InRelease, 0), (Put::After, 1)] {
        let mut story = embedded(1024, true, put);
        story
            .events
            .retain(|event| !matches!(event.kind, EventKind::Release(_)));
        let outcome = story.judge_by("DR013", reduced());
        assert_eq!(outcome.findings.len(), count);
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

/// How an action ends whose data has moved.
#[derive(Clone, Copy)]
enum End {
    /// `devm_remove_action()`.
    TakenOff,
    /// `devm_release_action()`.
    Run,
}

/// A driver whose probe moves the block that its action, or interrupt, has; what it has ends in that probe or after it.
fn moved_in_probe(irq: bool, end: Option<End>, in_probe: bool) -> Story {
    let finish = |story: &mut Story| {
        let name = if irq { "devm_irq_release" } else { "stop" };
        match end {
            Some(End::TakenOff) => {
                story.rem(DEVICE, 0x0020_1000, name, 16);
            }
            Some(End::Run) => {
                story
                    .enter(DEVICE, Hook::ReleaseAction)
                    .rem(DEVICE, 0x0020_1000, name, 16)
                    .leave(DEVICE, Hook::ReleaseAction);
            }
            None => {}
        }
    };
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_block(story, DEVICE, 0x0010_1000, 40);
        if irq {
            add_irq(story, DEVICE, 0x0020_1000, 17, PAYLOAD);
        } else {
            add_action_on(story, DEVICE, 0x0020_1000, "stop", PAYLOAD);
        }
        story.krealloc(DEVICE, 0x0010_1000, 0x0030_1000);
        if in_probe {
            finish(story);
        }
    });
    if !in_probe {
        finish(&mut story);
    }
    story
}

#[test]
fn an_action_that_is_taken_off_without_being_run_has_used_nothing() {
    innocent(&moved_in_probe(false, Some(End::TakenOff), true), "DR013");
    // The probe has left it there: it could have run until it was taken off.
    let later = moved_in_probe(false, Some(End::TakenOff), false);
    accused(
        &later,
        "DR013",
        Severity::Warn,
        "DR013/platform/driver/stop",
    );
    for in_probe in [true, false] {
        let run = moved_in_probe(false, Some(End::Run), in_probe);
        accused(&run, "DR013", Severity::Error, "DR013/platform/driver/stop");
        // An interrupt's handler could run at any time before it was freed.
        let irq = moved_in_probe(true, Some(End::TakenOff), in_probe);
        accused(
            &irq,
            "DR013",
            Severity::Error,
            "DR013/platform/driver/devm_irq_release",
        );
    }
    let left = moved_in_probe(false, None, true);
    open_at_the_end(&left, "DR013/platform/driver/stop");
    // Whether it was run can't be told.
    let mut coverage = whole();
    for hook in &mut coverage.hooks {
        if hook.hook == Hook::ReleaseAction {
            hook.state = HookState::Missing("the test leaves it out".to_owned());
        }
    }
    let outcome = moved_in_probe(false, Some(End::TakenOff), true).judge_by("DR013", coverage);
    assert_eq!(outcome.findings.len(), 1);
    assert_eq!(outcome.undecided.len(), 1, "{:?}", outcome.undecided);
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
    /// By one of the releases.
    InRelease,
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
        if matches!(put, Put::Before | Put::Frees) {
            end(story);
        }
    };
    unbind(&mut story, DEVICE, remove, |story| {
        if put == Put::InRelease {
            end(story);
        }
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
