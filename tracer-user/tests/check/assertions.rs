//! What a policy asserts about stacks, their order and their growth.

use devres_tracer::{check::Status, engine::Verdict, event::Hook};

use super::{DEVICE, NODES, Unbind, bind, check, story, support::Story, test, unbind};

/// A story whose k-th binding has k blocks more.
pub(super) fn growing(bindings: usize) -> Story {
    let mut story = Story::new();
    story.enter(DEVICE, Hook::Initialise);
    let mut nodes = NODES.to_vec();
    for number in 0..bindings {
        bind(&mut story, &nodes);
        unbind(&mut story, &nodes, Unbind::Right);
        nodes.push((0x100_0000 * (number as u64 + 1), "devm_kzalloc_release", 16));
    }
    story
}

/// The only assertion's outcome.
#[track_caller]
fn assertion(story: &Story, requirement: &str) -> (Status, String) {
    let policy = format!("[[assert]]\nname = \"it\"\ndriver = \"pvpanic*\"\n{requirement}");
    let results = check(story, &policy);
    let (status, message) = test(&results, "assertions", "it");
    (status, message.to_owned())
}

#[test]
fn nothing_may_be_left_after_an_unbind() {
    let requirement = "nothing-left-after-unbind = true";
    assert_eq!(
        assertion(&story(&[Unbind::Right]), requirement).0,
        Status::Passed
    );
    let (status, message) = assertion(&story(&[Unbind::Leaving]), requirement);
    assert_eq!(status, Status::Failed);
    assert!(
        message.contains("left after the unbind: late (4 bytes)"),
        "{message}"
    );
}

#[test]
fn everything_goes_before_the_pm_domain() {
    let requirement = "released-before-pm-detach = true";
    assert_eq!(
        assertion(&story(&[Unbind::Right]), requirement).0,
        Status::Passed
    );
    assert_eq!(
        assertion(&story(&[Unbind::Early]), requirement).0,
        Status::Failed
    );
}

#[test]
fn resources_go_in_the_asserted_order() {
    let right = story(&[Unbind::Right]);
    for (order, status, words) in [
        (
            r#"["pvpanic_remove", "devm_kzalloc*"]"#,
            Status::Passed,
            "held once",
        ),
        (
            r#"["devm_kzalloc_release", "pvpanic_remove"]"#,
            Status::Failed,
            "pvpanic_remove was released before devm_kzalloc_release",
        ),
        (
            r#"["pvpanic_remove", "other"]"#,
            Status::Failed,
            "other was not released",
        ),
    ] {
        let (found, message) = assertion(&right, &format!("released-in-order = {order}"));
        assert_eq!(found, status, "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn rebinds_give_the_same_stack() {
    let requirement = "same-stack-on-rebind = 2";
    let three = story(&[Unbind::Right; 3]);
    assert_eq!(assertion(&three, requirement).0, Status::Passed);
    let (status, message) = assertion(&story(&[Unbind::Right; 2]), requirement);
    assert_eq!(status, Status::Inconclusive);
    assert!(message.contains("only 1 of 2 rebinds"), "{message}");
    let (status, message) = assertion(&growing(3), requirement);
    assert_eq!(status, Status::Failed);
    assert!(
        message.contains("binding 2 is not as the first one: 4 resources instead of 3"),
        "{message}"
    );
}

#[test]
fn there_are_no_more_resources_than_asserted() {
    let story = story(&[Unbind::Right]);
    assert_eq!(assertion(&story, "most-resources = 3").0, Status::Passed);
    let (status, message) = assertion(&story, "most-resources = 2");
    assert_eq!(status, Status::Failed);
    assert!(message.contains("it had 3 resources"), "{message}");
}

#[test]
fn an_assertion_about_what_was_never_seen_is_no_pass() {
    for requirement in [
        "nothing-left-after-unbind = true",
        "released-before-pm-detach = true",
        "same-stack-on-rebind = 1",
        "most-resources = 100",
    ] {
        let policy = format!("[[assert]]\nname = \"it\"\ndriver = \"lm75\"\n{requirement}");
        let results = check(&story(&[Unbind::Right; 2]), &policy);
        assert_eq!(test(&results, "assertions", "it").0, Status::Inconclusive);
        assert_eq!(results.verdict, Verdict::Inconclusive);
        let optional = check(
            &story(&[Unbind::Right; 2]),
            &format!("{policy}\noptional = true"),
        );
        assert_eq!(test(&optional, "assertions", "it").0, Status::Skipped);
    }
    let mut idle = Story::new();
    idle.enter(DEVICE, Hook::Initialise);
    bind(&mut idle, &NODES);
    let (status, message) = assertion(&idle, "nothing-left-after-unbind = true");
    assert_eq!(status, Status::Inconclusive);
    assert!(message.contains("no driver was unbound"), "{message}");
}

#[test]
fn growth_has_a_limit() {
    let policy = "[limits]\ngrowth-per-rebind = 0";
    let name = "platform/QEMU0001:00";
    let steady = check(&story(&[Unbind::Right; 3]), policy);
    assert_eq!(test(&steady, name, "growth-per-rebind").0, Status::Passed);
    let results = check(&growing(3), policy);
    let (status, message) = test(&results, name, "growth-per-rebind");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("binding 2 of this run has 4 resources"),
        "{message}"
    );
    let generous = check(&growing(3), "[limits]\ngrowth-per-rebind = 1");
    assert_eq!(test(&generous, name, "growth-per-rebind").0, Status::Passed);
    let once = check(&story(&[Unbind::Right]), policy);
    assert_eq!(test(&once, name, "growth-per-rebind").0, Status::Skipped);
}

#[test]
fn slow_releases_have_a_limit_of_ones_own() {
    let slow = |microseconds| {
        let mut story = Story::new();
        story.enter(DEVICE, Hook::Initialise);
        bind(&mut story, &NODES);
        story.begin_unbind(DEVICE);
        for (node, name, size) in NODES.iter().rev() {
            story.rel(DEVICE, *node, name, *size).wait(microseconds);
        }
        story.end_unbind(DEVICE, 3);
        story
    };
    let policy = "[limits]\nslow-release = \"5ms\"";
    let quick = check(&slow(1_000), policy);
    assert_eq!(
        test(&quick, "platform/QEMU0001:00", "DR019").0,
        Status::Passed
    );
    let slow = check(&slow(6_000), policy);
    assert_eq!(
        test(&slow, "platform/QEMU0001:00", "DR019").0,
        Status::Failed
    );
}
