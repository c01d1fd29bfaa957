//! What looks like a silent hook and is explained by something else.

use devres_tracer::{
    engine::Verdict,
    event::{AddedNode, Event, EventKind, Hook, Loss, LossCause, Time},
    evidence::{Attachment, Before, HookState},
    finding::Severity,
    model::Sign,
};

use super::{
    BLOCK, DEVICE, NODE, OTHER, begin, by_functions, healthy, life, probe, signs, silenced, silent,
    support::{Dev, Story, added, recorded, reduced, whole, without},
    unbind,
};

#[test]
fn what_the_kernel_tells_of_its_switches_leaves_everything_open() {
    for (cause, way, word) in [
        (
            LossCause::FtraceOff,
            Attachment::Fentry,
            "ftrace is switched off",
        ),
        (
            LossCause::KprobesOff,
            Attachment::Kprobe,
            "kprobes are switched off",
        ),
    ] {
        let mut coverage = whole();
        for entry in &mut coverage.hooks {
            entry.state = HookState::Attached(way);
        }
        let mut story = Story::new();
        life(&mut story);
        story.push(Dev(0), EventKind::Loss(Loss { count: 0, cause }));
        silent(&story, coverage, Sign::SwitchedOff(way), word);
    }
}

#[test]
fn nothing_at_all_is_not_clean_where_a_switch_can_not_be_read() {
    for (way, word) in [
        (Attachment::Kprobe, "/sys/kernel/debug/kprobes/enabled"),
        (Attachment::Fentry, "/proc/sys/kernel/ftrace_enabled"),
    ] {
        let mut coverage = whole();
        coverage.before = Before::Snapshot;
        for entry in &mut coverage.hooks {
            if by_functions().contains(&entry.hook) {
                entry.state = HookState::Attached(way);
            }
        }
        let nothing = Story::new();
        healthy(&nothing, coverage.clone());
        coverage.unread_switches = vec![way];
        silent(&nothing, coverage.clone(), Sign::NothingSeen(way), word);
        // The first function that is entered shows that they fire.
        let mut story = Story::new();
        life(&mut story);
        healthy(&story, coverage);
    }
}

#[test]
fn a_kretprobe_that_does_not_know_its_device_shows_nothing() {
    let mut coverage = whole();
    for entry in &mut coverage.hooks {
        entry.state = HookState::Attached(Attachment::Kprobe);
    }
    // The parent's remove unbinds its child, of which a filter wants only what it always lets through.
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove)
        .enter(OTHER, Hook::Unbind)
        .leave(Dev(0), Hook::Remove)
        .leave(Dev(0), Hook::Cleanup)
        .leave(Dev(0), Hook::Unbind)
        .leave(Dev(0), Hook::Remove)
        .enter(DEVICE, Hook::Cleanup);
    healthy(&story, coverage);
}

/// What the kernel has skipped is counted, and the count read now and then: the loss comes before all that happened since the last
/// time, and its time is when the count was read.
#[test]
fn a_skipped_probe_explains_whatever_is_missing_up_to_the_time_of_its_loss() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    let from = story.events.len();
    unbind(&mut story);
    let [first, last] = [story.events[from].time, story.events.last().unwrap().time];
    let with_loss = |story: &Story, until: Time| {
        let mut with_loss = Story::new();
        with_loss.events.clone_from(&story.events);
        let loss = Event::loss(until, 1, LossCause::ProbeSkipped);
        with_loss.events.insert(from, loss);
        with_loss.judge(whole())
    };
    let mut unexplained = 0;
    for hook in by_functions() {
        let missing = silenced(&story, &[hook], from);
        let outcome = with_loss(&missing, last);
        assert_eq!(signs(&outcome), [], "{hook:?}: {:#?}", outcome.silent_hooks);
        unexplained += signs(&with_loss(&missing, first)).len();
    }
    assert!(unexplained > 0, "nothing is missing that shows");

    // What comes behind it explains nothing.
    probe(&mut story);
    let then = story.events.len();
    unbind(&mut story);
    let missing = silenced(&story, &[Hook::ReleaseAll], then);
    assert!(!signs(&with_loss(&missing, last)).is_empty());
}

/// What looks like a sign and is none, because it has another explanation.
#[test]
fn whatever_else_explains_it_is_no_sign() {
    let mut story = Story::new();
    life(&mut story);
    let mut before = whole();
    before.before = Before::Snapshot;

    // The source does not have the hook: the kernel has inlined it, or a text never had it.
    for hook in by_functions() {
        let story = silenced(&story, &[hook], 0);
        healthy(&story, without(whole(), &[hook]));
    }
    healthy(
        &silenced(&story, &by_functions(), 0),
        without(whole(), &by_functions()),
    );
    // Another tool attached its hooks one by one, after the tracepoint.
    healthy(&silenced(&story, &by_functions(), 0), recorded());

    // Whatever had begun when the trace did: it may be in the midst of anything.
    let bound: Vec<AddedNode> = vec![added(NODE + 0x300, BLOCK, 64)];
    for kept in 0..story.events.len() {
        let mut halfway = Story::new();
        halfway.events = story.events[kept..].to_vec();
        let mut unknown = whole();
        unknown.before = Before::Unknown("the text begins in the middle".to_owned());
        let outcome = halfway.judge(unknown);
        assert_eq!(
            signs(&outcome),
            [],
            "from event {kept}: {:#?}",
            outcome.silent_hooks
        );
    }
    let mut running = Story::new();
    running
        .snapshot(DEVICE, "drv", &bound)
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, NODE + 0x300, BLOCK, 64)
        .end_unbind(DEVICE, 1);
    healthy(&running, before.clone());

    // A probe that runs since before the trace binds another device that had no driver.
    let mut nested = Story::new();
    nested
        .snapshot(DEVICE, "", &[])
        .named(DEVICE, "phy0", "mdio_bus", "generic")
        .stack(&[
            "devm_kmalloc",
            "phy_probe",
            "phy_attach_direct",
            "really_probe",
        ])
        .add(DEVICE, NODE, BLOCK, 64)
        .stack(&[
            "driver_bound",
            "device_bind_driver",
            "phy_attach_direct",
            "really_probe",
        ])
        .enter(DEVICE, Hook::Bound);
    healthy(&nested, before.clone());

    // Hooks are attached one after the other until the snapshot is taken.
    let mut attaching = Story::new();
    attaching
        .add(DEVICE, NODE, "grp<", 0)
        .add(DEVICE, NODE + 0x28, "grp>", 0)
        .enter(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Cleanup)
        .snapshot(DEVICE, "", &[]);
    healthy(&attaching, before);
}

#[test]
fn what_was_lost_is_a_loss_and_no_silence() {
    let mut story = Story::new();
    life(&mut story);
    let mut loss = Story::new();
    loss.lose(1);
    let loss = loss.events.remove(0);
    // Each event but an addition that explains what follows; a loss stands for it.
    for missing in 0..story.events.len() {
        let mut lossy = Story::new();
        lossy.events.clone_from(&story.events);
        lossy.events[missing] = loss.clone();
        let outcome = lossy.judge(whole());
        assert_eq!(
            signs(&outcome),
            [],
            "event {missing}: {:#?}",
            story.events[missing]
        );
        assert_ne!(outcome.verdict(Severity::Error), Verdict::Clean);
    }
}

#[test]
fn kernels_that_tell_less_are_judged_by_what_they_tell() {
    // 5.10: neither the tracepoint nor device_remove nor device_unbind_cleanup.
    let mut story = Story::new();
    story
        .enter(DEVICE, Hook::Initialise)
        .named(DEVICE, "dev0", "platform", "drv")
        .enter(DEVICE, Hook::Probe)
        .enter(DEVICE, Hook::AddDr)
        .add(DEVICE, NODE, BLOCK, 64)
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(1))
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::ReleaseAll)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::Unbind)
        // A probe that has failed returns zero.
        .enter(DEVICE, Hook::Probe)
        .release_nothing(DEVICE)
        .returned(DEVICE, Hook::Probe, Some(0));
    healthy(&story, reduced());
    let sign = Sign::Skipped {
        inner: Hook::Bound,
        outer: Hook::Probe,
    };
    silent(
        &silenced(&story, &[Hook::Bound], 0),
        reduced(),
        sign,
        "driver_bound",
    );
}

#[test]
fn two_tasks_on_one_device_do_not_silence_each_other() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .task("one", 10)
        .enter(DEVICE, Hook::OpenGroup)
        .task("two", 20)
        .enter(DEVICE, Hook::OpenGroup)
        .add(DEVICE, NODE, "grp<", 0)
        .task("one", 10)
        .add(DEVICE, NODE + 0x100, "grp<", 0);
    healthy(&story, whole());
}

#[test]
fn a_rule_that_needs_a_silent_hook_can_not_decide() {
    let mut story = Story::new();
    life(&mut story);
    let outcome = silenced(&story, &[Hook::ReleaseAll, Hook::ReleaseGroup], 0).judge(whole());
    let about = |rule| outcome.undecided.iter().find(|one| one.rule == rule);
    let reason = about("DR008")
        .map(|one| one.reason.to_string())
        .unwrap_or_default();
    assert!(reason.contains("attached and silent"), "{reason}");
}
