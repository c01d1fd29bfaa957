//! DR024: clocks and regulators that go off while the driver can still be called.

use devres_tracer::{
    event::{CallDetail, EventKind, Hook, Text},
    finding::Severity,
};

use super::{
    DEVICE, IRQ, OTHER, accused, add_irq, begin, call_irq, innocent, nothing, probe,
    scenes::{DEV_ID, NUMBER, with_irq},
    silent_after_loss,
    support::{Dev, Story, reduced, whole, without},
    unbind,
};

const CLOCK: &str = "apb";

fn switch(story: &mut Story, device: Dev, hook: Hook, name: &str) {
    story.call(device, hook, CallDetail::Supply(Text::from(name)));
}

fn off(story: &mut Story) {
    switch(story, DEVICE, Hook::ClkDisable, CLOCK);
    switch(story, DEVICE, Hook::ClkUnprepare, CLOCK);
}

fn off_by(functions: &'static [&'static str]) -> impl Fn(&mut Story) {
    move |story| {
        story.stack(functions);
        switch(story, DEVICE, Hook::ClkDisable, CLOCK);
    }
}

#[test]
fn a_clock_that_goes_off_in_remove_before_the_interrupt_is_worth_knowing() {
    let story = with_irq(false, off, nothing);
    let finding = accused(&story, "DR024", Severity::Info, "DR024/platform/driver/apb");
    // The two steps of the clock, and the release.
    assert_eq!(finding.order.len(), 3);
    assert_eq!(
        finding.resources[0].delay.map(|delay| delay > 0),
        Some(true)
    );
    silent_after_loss(&story, 6, "DR024");
    // The interrupt is freed first, or it goes off only with the resources.
    innocent(&with_irq(true, off, nothing), "DR024");
    innocent(&with_irq(false, nothing, off), "DR024");
    // It goes on again; another does not.
    let again = |story: &mut Story| {
        switch(story, DEVICE, Hook::ClkDisable, CLOCK);
        switch(story, DEVICE, Hook::ClkEnable, CLOCK);
    };
    innocent(&with_irq(false, again, nothing), "DR024");
    let another = |story: &mut Story| {
        switch(story, DEVICE, Hook::RegulatorDisable, "vdd");
        switch(story, DEVICE, Hook::ClkEnable, "vdd");
    };
    accused(
        &with_irq(false, another, nothing),
        "DR024",
        Severity::Info,
        "DR024/platform/driver/vdd",
    );
}

#[test]
fn a_clock_that_is_only_on_where_it_is_needed_goes_off_as_before() {
    let borrowed = |story: &mut Story| {
        switch(story, DEVICE, Hook::ClkPrepare, CLOCK);
        switch(story, DEVICE, Hook::ClkEnable, CLOCK);
        off(story);
    };
    innocent(&with_irq(false, borrowed, nothing), "DR024");
    // In a probe it was on because of the driver, or only for a moment: nobody knows.
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", "platform", "driver")
        .enter(DEVICE, Hook::Probe);
    switch(&mut story, DEVICE, Hook::ClkEnable, CLOCK);
    story.add(DEVICE, 0x100, "devm_hwmon_release", 8);
    switch(&mut story, DEVICE, Hook::ClkDisable, CLOCK);
    fail(&mut story, |story| {
        story.rel(DEVICE, 0x100, "devm_hwmon_release", 8);
        1
    });
    let finding = accused(&story, "DR024", Severity::Info, "DR024/platform/driver/apb");
    assert!(
        !finding.meaning.contains("interrupt"),
        "{}",
        finding.meaning
    );
}

#[test]
fn what_was_added_after_the_clock_went_off_is_none_of_its() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", "platform", "driver")
        .enter(DEVICE, Hook::Probe);
    switch(&mut story, DEVICE, Hook::ClkDisable, "early");
    add_irq(&mut story, DEVICE, 0x100, u64::from(NUMBER), DEV_ID);
    switch(&mut story, DEVICE, Hook::ClkDisable, CLOCK);
    fail(&mut story, |story| {
        story.rel(DEVICE, 0x100, IRQ, 16);
        1
    });
    let finding = accused(&story, "DR024", Severity::Info, "DR024/platform/driver/apb");
    assert_eq!(finding.order.len(), 2);
}

#[test]
fn where_it_is_not_seen_to_go_on_again_nobody_is_accused() {
    let hooks = [Hook::ClkEnable, Hook::ClkPrepare];
    let outcome = with_irq(false, off, nothing).judge_by("DR024", without(whole(), &hooks));
    assert_eq!((outcome.findings.len(), outcome.undecided.len()), (0, 1));
}

/// The probe that runs fails, and `release` says how many resources it has released.
fn fail(story: &mut Story, release: impl Fn(&mut Story) -> i64) {
    story
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll);
    let count = release(story);
    story
        .returned(DEVICE, Hook::ReleaseAll, Some(count))
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(5));
}

#[test]
fn a_handler_that_runs_without_its_clock_is_worse() {
    let handled = |story: &mut Story| call_irq(story, Hook::IrqHandler, NUMBER, DEV_ID);
    let finding = accused(
        &with_irq(false, off, handled),
        "DR024",
        Severity::Warn,
        "DR024/platform/driver/apb",
    );
    assert_eq!(finding.order.len(), 4);
    let early = |story: &mut Story| {
        call_irq(story, Hook::IrqHandler, NUMBER, DEV_ID);
        off(story);
    };
    for story in [
        with_irq(false, early, nothing),
        with_irq(false, off, |story| {
            call_irq(story, Hook::IrqHandler, NUMBER, DEV_ID + 8);
        }),
    ] {
        accused(&story, "DR024", Severity::Info, "DR024/platform/driver/apb");
    }
}

#[test]
fn an_interface_can_be_used_at_any_moment_and_memory_can_not() {
    let with = |name: &'static str| {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, "driver", |story| {
            story.add(DEVICE, 0x100, name, 8);
        });
        unbind(&mut story, DEVICE, off, |story| {
            story.rel(DEVICE, 0x100, name, 8);
            1
        });
        story
    };
    let fingerprint = "DR024/platform/driver/apb";
    accused(
        &with("devm_hwmon_release"),
        "DR024",
        Severity::Warn,
        fingerprint,
    );
    for name in [
        "devm_kzalloc_release",
        "devm_ioremap_release",
        "devm_clk_release",
    ] {
        innocent(&with(name), "DR024");
    }
}

#[test]
fn what_others_switch_off_meanwhile_is_not_the_drivers_doing() {
    // A release that remove asks for, the detach of the PM domain, another device's unbind inside it, an interrupt.
    let released = |story: &mut Story| {
        story.call(
            DEVICE,
            Hook::ReleaseAction,
            CallDetail::Match {
                function: 1,
                data: 2,
            },
        );
        off(story);
        story.leave(DEVICE, Hook::ReleaseAction);
    };
    let detached = |story: &mut Story| {
        story.enter(DEVICE, Hook::PmDetach);
        off(story);
        story.leave(DEVICE, Hook::PmDetach);
    };
    let interrupted = off_by(&[
        "clk_disable",
        "acme_irq",
        "handle_irq_event",
        "acme_remove@acme",
    ]);
    for story in [
        with_irq(false, released, nothing),
        with_irq(false, detached, nothing),
        with_irq(false, interrupted, nothing),
    ] {
        innocent(&story, "DR024");
    }
    let mut nested = Story::new();
    begin(&mut nested, OTHER, "dev1");
    probe(&mut nested, OTHER, "other", nothing);
    begin(&mut nested, DEVICE, "dev0");
    probe(&mut nested, DEVICE, "driver", |story| {
        add_irq(story, DEVICE, 0x100, u64::from(NUMBER), DEV_ID);
    });
    let child = |story: &mut Story| {
        unbind(
            story,
            OTHER,
            |story| switch(story, OTHER, Hook::ClkDisable, CLOCK),
            |_| 0,
        );
    };
    unbind(&mut nested, DEVICE, child, |story| {
        story.rel(DEVICE, 0x100, IRQ, 16);
        1
    });
    innocent(&nested, "DR024");
}

/// A probe that fails after it has switched its clock off, or succeeds.
fn probed(fails: bool, freed: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", "platform", "driver")
        .enter(DEVICE, Hook::Probe);
    add_irq(&mut story, DEVICE, 0x100, u64::from(NUMBER), DEV_ID);
    if freed {
        story.rem(DEVICE, 0x100, IRQ, 16);
    }
    off_by(&["clk_disable", "acme_probe@acme"])(&mut story);
    if fails {
        fail(&mut story, |story| {
            if !freed {
                story.rel(DEVICE, 0x100, IRQ, 16);
            }
            i64::from(!freed)
        });
    } else {
        story.bound(DEVICE);
        unbind(&mut story, DEVICE, nothing, |story| {
            story.rel(DEVICE, 0x100, IRQ, 16);
            1
        });
    }
    story
}

#[test]
fn a_probe_that_fails_is_judged_like_a_remove_and_one_that_succeeds_is_not() {
    let finding = accused(
        &probed(true, false),
        "DR024",
        Severity::Info,
        "DR024/platform/driver/acme_probe",
    );
    assert!(
        finding.summary.contains("in the failed probe"),
        "{}",
        finding.summary
    );
    assert!(finding.order[0].what.ends_with("by acme_probe [acme]"));
    innocent(&probed(true, true), "DR024");
    innocent(&probed(false, false), "DR024");
}

#[test]
fn where_remove_can_not_be_told_from_the_unbind_the_stack_does_it() {
    const UNBIND: &str = "__device_release_driver";
    let coverage = reduced;
    let judged = |remove: &dyn Fn(&mut Story)| {
        let mut story = with_irq(false, remove, nothing);
        story.events.retain(|event| match &event.kind {
            EventKind::Enter(call) => call.hook != Hook::Remove,
            EventKind::Leave(left) => left.hook != Hook::Remove,
            EventKind::Release(_) => false,
            _ => true,
        });
        story.judge_by("DR024", coverage())
    };
    let by_hand = judged(&off_by(&["clk_disable", "acme_remove@acme"]));
    assert_eq!(by_hand.findings.len(), 1);
    let suspended = judged(&off_by(&[
        "clk_disable",
        "acme_suspend@acme",
        "rpm_suspend",
    ]));
    assert_eq!(
        (suspended.findings.len(), suspended.undecided.len()),
        (0, 0)
    );
    // The unbind puts what it has resumed, or the driver's remove does.
    let called_for = |by: &'static [&'static str]| {
        let callback = ["acme_suspend@acme", "rpm_suspend", "__pm_runtime_idle"];
        let stack = [&["clk_disable"][..], &callback, by].concat();
        judged(&move |story: &mut Story| {
            story.stack(&stack);
            switch(story, DEVICE, Hook::ClkDisable, CLOCK);
        })
        .findings
        .len()
    };
    assert_eq!(called_for(&[UNBIND]), 0);
    assert_eq!(called_for(&["rpm_put_suppliers", "rpm_suspend", UNBIND]), 0);
    assert_eq!(called_for(&["acme_remove@acme", UNBIND]), 1);
    assert_eq!(called_for(&["platform_drv_remove", UNBIND]), 1);
    let unknown = judged(&off);
    assert_eq!((unknown.findings.len(), unknown.undecided.len()), (0, 1));
}

#[test]
fn without_its_tracepoints_the_rule_is_off_and_that_is_no_gap() {
    let hooks = [Hook::ClkDisable, Hook::RegulatorDisable];
    let story = with_irq(false, nothing, nothing);
    let outcome = story.judge(without(whole(), &hooks));
    assert_eq!(outcome.undecided, []);
    let asked = story.judge_by("DR024", without(whole(), &hooks));
    assert_eq!(asked.undecided.len(), 1);
}
