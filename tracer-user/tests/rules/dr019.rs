//! DR019: slow releases.

use devres_tracer::{
    event::{EventKind, Hook, Message},
    finding::Severity,
};

use super::{
    BLOCK, DEVICE, OTHER, accused, begin, found, innocent, nothing, probe,
    support::{Story, whole},
    unbind,
};

/// An unbind in which the release of an action takes so long, in milliseconds, and another device's release
/// inside of it so long of that.
fn slow(milliseconds: u64, nested: u64) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    begin(&mut story, OTHER, "dev1");
    probe(&mut story, OTHER, "other", |story| {
        story.add(OTHER, 0x900, "stop_other", 16);
    });
    probe(&mut story, DEVICE, "driver", |story| {
        story
            .add(DEVICE, 0x100, BLOCK, 8)
            .add(DEVICE, 0x200, "stop", 16);
    });
    unbind(&mut story, DEVICE, nothing, |story| {
        story
            .rel(DEVICE, 0x200, "stop", 16)
            .wait((milliseconds - nested) * 1000);
        if nested > 0 {
            unbind(story, OTHER, nothing, |story| {
                story
                    .rel(OTHER, 0x900, "stop_other", 16)
                    .wait(nested * 1000);
                1
            });
        }
        story.rel(DEVICE, 0x100, BLOCK, 8);
        2
    });
    story
}

#[test]
fn a_release_that_takes_long_is_reported_where_the_time_was_spent() {
    accused(
        &slow(200, 0),
        "DR019",
        Severity::Warn,
        "DR019/platform/driver/stop",
    );
    accused(
        &slow(220, 200),
        "DR019",
        Severity::Warn,
        "DR019/platform/other/stop_other",
    );
    innocent(&slow(90, 0), "DR019");
    assert_eq!(found(&slow(400, 200), "DR019").len(), 2);
}

#[test]
fn what_a_loss_or_a_clock_without_time_hides_is_not_slow() {
    let mut story = slow(200, 0);
    let release = story
        .events
        .iter()
        .position(|event| matches!(event.kind, EventKind::Release(_)));
    let mut lossy = Story::new();
    lossy.lose(1);
    story
        .events
        .insert(release.map_or(0, |place| place + 1), lossy.events.remove(0));
    assert_eq!(found(&story, "DR019"), []);
    let mut coverage = whole();
    coverage.times = false;
    assert_eq!(slow(200, 0).judge_by("DR019", coverage).findings, []);
}

#[test]
fn where_a_release_waits_is_told_with_it() {
    let told = |looked_up: bool| {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, "driver", |story| {
            story.add(DEVICE, 0x100, "stop", 16);
        });
        unbind(&mut story, DEVICE, nothing, |story| {
            story.rel(DEVICE, 0x100, "stop", 16).wait(4_500_000);
            if looked_up {
                story
                    .stack(&["wait_for_completion", "stop@driver", "release_nodes"])
                    .push(DEVICE, EventKind::Message(Message::Waits));
            }
            story.wait(1_500_000);
            1
        });
        accused(
            &story,
            "DR019",
            Severity::Warn,
            "DR019/platform/driver/stop",
        )
    };
    let finding = told(true);
    assert!(
        finding.summary.ends_with("took 6000 ms."),
        "{}",
        finding.summary
    );
    let stack = finding.caused_by.map(|cause| cause.stack);
    let innermost = stack.as_ref().and_then(|stack| stack.first());
    assert_eq!(
        innermost.map(String::as_str),
        Some("wait_for_completion+0x2b")
    );
    assert_eq!(told(false).caused_by, None);
}

#[test]
fn who_waits_for_a_slow_release_depends_on_who_releases() {
    let held = accused(
        &slow(200, 0),
        "DR019",
        Severity::Warn,
        "DR019/platform/driver/stop",
    );
    assert!(held.meaning.contains("lock is held"), "{}", held.meaning);
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .add(DEVICE, 0x100, "stop", 16)
        .enter(DEVICE, Hook::FinalPut)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0x100, "stop", 16)
        .wait(200_000)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::FinalPut);
    let put = accused(&story, "DR019", Severity::Warn, "DR019/platform/?/stop");
    assert!(!put.meaning.contains("lock"), "{}", put.meaning);
}
