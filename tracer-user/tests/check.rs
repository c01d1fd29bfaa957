//! A check from events to results: what the policy, expectations and assertions make of a run.

mod support;

use devres_tracer::{
    check::{
        CycleClock, Date, Examination, Place, Policy, Results, RunEnd, Status, Wanted,
        exercise::{Attempt, Exercised, FailedProbes, Outcome},
        write_expectations,
    },
    engine::Verdict,
    event::{Hook, Role, Time},
    evidence::{CommandEnd, Coverage, SourceInformation, Untold},
};
use support::{Dev, Story, added, whole, without};

const DEVICE: Dev = Dev(0xffff_8880_0310_4810);
const NODES: [(u64, &str, u64); 3] = [
    (0x10_0000, "devm_ioport_map_release", 8),
    (0x20_0000, "devm_kzalloc_release", 32),
    (0x30_0000, "pvpanic_remove", 16),
];
const TODAY: Date = Date::constant(2026, 3, 1);
const EXPECTED: &str = r#"
    [[expect]]
    fingerprint = "DR001/platform/pvpanic-mmio"
    reason = "known"
"#;

/// How a driver is unbound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unbind {
    /// As it should be.
    Right,
    /// The PM domain is detached first.
    Early,
    /// Something is added while it goes on, and stays.
    Leaving,
}

fn bind(story: &mut Story, nodes: &[(u64, &str, u64)]) {
    story
        .named(DEVICE, "QEMU0001:00", "platform", "pvpanic-mmio")
        .enter(DEVICE, Hook::Probe)
        .attach(DEVICE);
    for (node, name, size) in nodes {
        story.add(DEVICE, *node, name, *size);
    }
    story
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(0));
}

fn unbind(story: &mut Story, nodes: &[(u64, &str, u64)], how: Unbind) {
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove);
    if how == Unbind::Early {
        story.detach(DEVICE);
    }
    story
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll);
    for (node, name, size) in nodes.iter().rev() {
        story.rel(DEVICE, *node, name, *size);
    }
    let count = i64::try_from(nodes.len()).expect("a few nodes");
    story.returned(DEVICE, Hook::ReleaseAll, Some(count));
    if how == Unbind::Leaving {
        story.add(DEVICE, 0x90_0000, "late", 4);
    }
    if how != Unbind::Early {
        story.detach(DEVICE);
    }
    story
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind);
}

/// One binding after the other, each unbound like this.
fn story(how: &[Unbind]) -> Story {
    let mut story = Story::new();
    story.enter(DEVICE, Hook::Initialise);
    for how in how {
        bind(&mut story, &NODES);
        unbind(&mut story, &NODES, *how);
    }
    story
}

/// A story whose k-th binding has k blocks more.
fn growing(bindings: usize) -> Story {
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

fn begin(policy: &str, coverage: Coverage) -> (Examination, Policy) {
    let policy = Policy::read("policy.toml", policy).expect("the policy can be read");
    let information = SourceInformation {
        tool: "1".to_owned(),
        kernel: Some("6.1".to_owned()),
        machine: None,
        coverage,
        filters: Vec::new(),
    };
    (Examination::new(information, policy.clone()), policy)
}

fn check_with(story: &Story, policy: &str, coverage: Coverage) -> Results {
    let (mut examination, _) = begin(policy, coverage);
    for event in &story.events {
        examination.event(event);
    }
    examination.finish(RunEnd::on(TODAY))
}

fn check(story: &Story, policy: &str) -> Results {
    check_with(story, policy, whole())
}

#[track_caller]
fn test<'a>(results: &'a Results, group: &str, name: &str) -> (Status, &'a str) {
    let found = results
        .tests()
        .find(|(own, test)| own.name == group && test.name == name);
    let (_, test) = found.unwrap_or_else(|| panic!("no test {name:?} in {group:?}: {results:?}"));
    (test.status, &test.message)
}

#[track_caller]
fn dr001(results: &Results) -> (Status, &str) {
    test(results, "platform/QEMU0001:00", "DR001")
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
fn findings_fail_the_run_and_nothing_found_passes() {
    let wrong = check(&story(&[Unbind::Early]), "");
    assert_eq!(wrong.verdict, Verdict::Findings);
    assert_eq!(dr001(&wrong).0, Status::Failed);
    let right = check(&story(&[Unbind::Right]), "");
    assert_eq!(right.verdict, Verdict::Clean);
    assert_eq!(dr001(&right).0, Status::Passed);
}

#[test]
fn loss_leaves_nothing_that_passed() {
    let mut story = story(&[Unbind::Right]);
    story.lose(3);
    let results = check(&story, "[limits]\nresources-per-device = 9");
    assert_eq!(results.verdict, Verdict::Inconclusive);
    for (group, test) in results.tests() {
        let about_device = group.device.is_some();
        assert!(
            !about_device || test.status == Status::Inconclusive,
            "{test:?}"
        );
    }
    let mut wrong = self::story(&[Unbind::Early]);
    wrong.lose(3);
    assert_eq!(
        check(&wrong, "").verdict,
        Verdict::Findings,
        "it was found all the same"
    );
}

#[test]
fn a_run_that_was_cut_short_or_has_nothing_to_judge_does_not_pass() {
    let (mut examination, _) = begin("", whole());
    for event in &story(&[Unbind::Right]).events {
        examination.event(event);
    }
    let ending = RunEnd {
        cut_short: Some("damaged".to_owned()),
        ..RunEnd::on(TODAY)
    };
    let results = examination.finish(ending);
    assert_eq!(results.verdict, Verdict::Inconclusive);
    assert_eq!(dr001(&results).0, Status::Inconclusive);
    assert_eq!(check(&Story::new(), "").verdict, Verdict::Inconclusive);
    let mut idle = Story::new();
    idle.snapshot(
        DEVICE,
        "pvpanic-mmio",
        &[added(1, "devm_kzalloc_release", 8)],
    );
    let idle = check(&idle, "");
    assert_eq!(idle.verdict, Verdict::Inconclusive, "it was there before");
    assert!(idle.groups.iter().all(|group| group.device.is_none()));
    let elsewhere = check(&story(&[Unbind::Early]), "[drivers]\ninclude = [\"lm75\"]");
    assert_eq!(elsewhere.verdict, Verdict::Inconclusive);
    assert!(elsewhere.groups.iter().all(|group| group.device.is_none()));
}

#[test]
fn levels_say_what_findings_do() {
    let wrong = story(&[Unbind::Early]);
    for (policy, status, verdict) in [
        ("[rules]\nDR001 = \"warn\"", Status::Noted, Verdict::Clean),
        (
            "[rules]\npm-detach-before-release = \"fail\"",
            Status::Failed,
            Verdict::Findings,
        ),
        (
            "[rules]\nothers = \"off\"\nDR001 = \"on\"",
            Status::Failed,
            Verdict::Findings,
        ),
    ] {
        let results = check(&wrong, policy);
        assert_eq!(
            (dr001(&results).0, results.verdict),
            (status, verdict),
            "{policy}"
        );
    }
    let off = check(&wrong, "[rules]\nDR001 = \"off\"");
    assert!(off.tests().all(|(_, test)| test.name != "DR001"));
    let all = check(&story(&[Unbind::Right]), "[rules]\nothers = \"all\"");
    let rules = all.tests().filter(|(_, test)| test.name.len() == 5).count();
    assert_eq!(rules, 23);
}

#[test]
fn a_memory_only_finding_fails_only_where_every_finding_does() {
    let nodes = [(0x20_0000, "devm_kzalloc_release", 32)];
    let mut story = Story::new();
    story.enter(DEVICE, Hook::Initialise);
    bind(&mut story, &nodes);
    unbind(&mut story, &nodes, Unbind::Early);
    assert_eq!(dr001(&check(&story, "")).0, Status::Noted);
    let strict = check(&story, "[rules]\nDR001 = \"fail\"");
    assert_eq!(dr001(&strict).0, Status::Failed);
    let milder = check(&story, "fail-on = \"info\"");
    assert_eq!(dr001(&milder).0, Status::Failed);
}

#[test]
fn missing_hooks_are_inconclusive_where_the_policy_asks_for_what_they_tell() {
    let right = story(&[Unbind::Right]);
    let blind = || without(whole(), &[Hook::PmDetach]);
    let results = check_with(&right, "", blind());
    assert_eq!(results.verdict, Verdict::Inconclusive);
    assert_eq!(
        test(&results, "evidence", "DR001 can decide").0,
        Status::Inconclusive
    );
    assert_eq!(
        dr001(&results).0,
        Status::Skipped,
        "told once, and not as passed"
    );
    let unwanted = check_with(&right, "[rules]\nDR001 = \"off\"", blind());
    assert_eq!(unwanted.verdict, Verdict::Clean);
    let wanted = "[rules]\nDR001 = \"warn\"\n[require]\nhooks = [\"dev_pm_domain_detach\"]";
    assert_eq!(
        check_with(&right, wanted, blind()).verdict,
        Verdict::Inconclusive
    );
    let rule = "[rules]\nDR001 = \"warn\"\n[require]\nrules = [\"DR001\"]";
    assert_eq!(
        check_with(&right, rule, blind()).verdict,
        Verdict::Inconclusive
    );
    assert_eq!(check(&right, rule).verdict, Verdict::Clean);
    let driver = "[require]\ndrivers = [\"lm75\"]";
    assert_eq!(check(&right, driver).verdict, Verdict::Inconclusive);
}

#[test]
fn missing_arguments_are_inconclusive_as_well() {
    let right = story(&[Unbind::Right]);
    let untold = Untold {
        hook: Hook::PmDetach,
        role: Role::PmDomain,
        reason: "not every line of it has that".to_owned(),
    };
    let coverage = Coverage {
        untold: vec![untold],
        ..whole()
    };
    let only = "[rules]\nothers = \"off\"\nDR001 = \"fail\"";
    for policy in ["", only] {
        let results = check_with(&right, policy, coverage.clone());
        let (status, message) = test(&results, "evidence", "DR001 can decide");
        assert_eq!(status, Status::Inconclusive, "{policy}");
        assert!(message.contains("without pm_domain"), "{message}");
        assert_eq!(results.verdict, Verdict::Inconclusive, "{policy}");
        assert_eq!(dr001(&results).0, Status::Skipped, "{policy}");
    }
}

#[test]
fn what_is_expected_does_not_fail_and_what_did_not_show_does() {
    let met = check(&story(&[Unbind::Early]), EXPECTED);
    assert_eq!(met.verdict, Verdict::Clean);
    assert_eq!(dr001(&met).0, Status::Excused);
    let unmet = check(&story(&[Unbind::Right]), EXPECTED);
    assert_eq!(unmet.verdict, Verdict::Findings);
    let (status, message) = test(&unmet, "expectations", "DR001/platform/pvpanic-mmio");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("unexpected pass") && message.contains("policy.toml:2"),
        "{message}"
    );
}

#[test]
fn what_could_not_show_is_told_apart_from_what_did_not() {
    let name = "DR001/platform/pvpanic-mmio";
    let mut other = Story::new();
    let device = Dev(0xffff_8880_0400_0000);
    other
        .enter(device, Hook::Initialise)
        .named(device, "0-0048", "i2c", "lm75")
        .enter(device, Hook::Probe)
        .add(device, 1, "devm_kzalloc_release", 8)
        .enter(device, Hook::Bound)
        .returned(device, Hook::Probe, Some(0));
    let results = check(&other, EXPECTED);
    let (status, message) = test(&results, "expectations", name);
    assert_eq!((status, results.verdict), (Status::Skipped, Verdict::Clean));
    assert!(message.starts_with("not seen"), "{message}");
    let strict = format!("{EXPECTED}\n[require]\nexpectations = true");
    assert_eq!(check(&other, &strict).verdict, Verdict::Inconclusive);

    let mut idle = Story::new();
    idle.enter(DEVICE, Hook::Initialise);
    bind(&mut idle, &NODES);
    let results = check(&idle, EXPECTED);
    let (status, message) = test(&results, "expectations", name);
    assert_eq!((status, results.verdict), (Status::Skipped, Verdict::Clean));
    assert!(message.contains("not unbound"), "{message}");

    let mut lossy = story(&[Unbind::Right]);
    lossy.lose(1);
    let results = check(&lossy, EXPECTED);
    assert_eq!(test(&results, "expectations", name).0, Status::Inconclusive);
    assert_eq!(results.verdict, Verdict::Inconclusive);

    let off = format!("{EXPECTED}\n[rules]\nDR001 = \"off\"");
    let results = check(&story(&[Unbind::Right]), &off);
    assert_eq!(test(&results, "expectations", name).0, Status::Skipped);
}

#[test]
fn flakes_may_come_and_go_and_skips_are_not_looked_for() {
    for (outcome, status) in [("flake", Status::Excused), ("skip", Status::Skipped)] {
        let policy = format!(
            "[[expect]]\nrule = \"DR001\"\ndriver = \"pvpanic*\"\nreason = \"r\"\noutcome = \"{outcome}\""
        );
        let found = check(&story(&[Unbind::Early]), &policy);
        assert_eq!((dr001(&found).0, found.verdict), (status, Verdict::Clean));
        assert_eq!(
            check(&story(&[Unbind::Right]), &policy).verdict,
            Verdict::Clean
        );
    }
}

#[test]
fn an_expectation_excuses_up_to_its_last_day() {
    for (until, status) in [
        ("2026-03-01", Status::Excused),
        ("2026-02-28", Status::Failed),
    ] {
        let policy = format!("{EXPECTED}\nuntil = {until}");
        let results = check(&story(&[Unbind::Early]), &policy);
        let (found, message) = dr001(&results);
        assert_eq!(found, status);
        assert!(
            status == Status::Excused || message.contains("expired on 2026-02-28"),
            "{message}"
        );
    }
}

#[test]
fn written_expectations_make_a_run_like_this_one_pass() {
    let wrong = story(&[Unbind::Early]);
    let policy = "[[assert]]\ndriver = \"pvpanic*\"\nreleased-before-pm-detach = true\n[limits]\nresources-per-device = 2";
    let (mut examination, read) = begin(policy, whole());
    for event in &wrong.events {
        examination.event(event);
    }
    let results = examination.finish(RunEnd::on(TODAY));
    assert_eq!(results.count(Status::Failed), 3);
    let written = write_expectations(&results, &read);
    let again = format!("{policy}\n{written}");
    let passed = check(&wrong, &again);
    assert_eq!(passed.verdict, Verdict::Clean, "{written}\n{passed:?}");
    assert_eq!(passed.count(Status::Excused), 3);
    let unmet = check(&story(&[Unbind::Right]), &again);
    assert_eq!(
        test(
            &unmet,
            "expectations",
            "assert/pvpanic*: released-before-pm-detach"
        )
        .0,
        Status::Failed
    );
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
        story
            .enter(DEVICE, Hook::Unbind)
            .enter(DEVICE, Hook::Remove)
            .leave(DEVICE, Hook::Remove)
            .enter(DEVICE, Hook::Cleanup)
            .enter(DEVICE, Hook::ReleaseAll);
        for (node, name, size) in NODES.iter().rev() {
            story.rel(DEVICE, *node, name, *size).wait(microseconds);
        }
        story
            .returned(DEVICE, Hook::ReleaseAll, Some(3))
            .leave(DEVICE, Hook::Cleanup)
            .leave(DEVICE, Hook::Unbind);
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

/// The results of an exercise whose cycles begin before each binding of the story.
fn exercise(story: &Story, exercised: Exercised) -> Results {
    let drivers = vec![("platform".to_owned(), "pvpanic-mmio".to_owned())];
    let wanted = Wanted::Module {
        drivers,
        along: Vec::new(),
    };
    exercise_of(story, wanted, exercised)
}

/// The same with the bindings that are wanted.
fn exercise_of(story: &Story, wanted: Wanted, exercised: Exercised) -> Results {
    let (mut examination, _) = begin("", whole());
    let clock = CycleClock::default();
    examination.watch_cycles(wanted, clock.clone());
    for event in &story.events {
        if let devres_tracer::event::EventKind::Enter(call) = &event.kind
            && call.hook == Hook::Probe
        {
            clock.begin(Time(event.time.0 - 1));
        }
        examination.event(event);
    }
    let ending = RunEnd {
        exercised: Some(exercised),
        ..RunEnd::on(TODAY)
    };
    examination.finish(ending)
}

fn done(wanted: u64, done: u64) -> Exercised {
    Exercised {
        wanted,
        done,
        ..Exercised::default()
    }
}

#[test]
fn cycles_are_compared_with_the_first() {
    let steady = exercise(&story(&[Unbind::Right; 4]), done(4, 4));
    assert_eq!(steady.verdict, Verdict::Clean, "{steady:?}");
    assert_eq!(test(&steady, "exercise", "same stack").0, Status::Passed);
    let grown = exercise(&growing(4), done(4, 4));
    let (status, message) = test(&grown, "exercise", "same stack");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 2: QEMU0001:00 is not as in cycle 1: 4 resources"),
        "{message}"
    );
    let leaving = story(&[Unbind::Right, Unbind::Right, Unbind::Leaving]);
    let (status, message) = {
        let results = exercise(&leaving, done(3, 3));
        let (status, message) = test(&results, "exercise", "nothing left");
        (status, message.to_owned())
    };
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 3: left on QEMU0001:00"),
        "{message}"
    );
}

/// A module whose device on the faux bus has another number in each cycle, and so many resources.
fn faux(resources: &[usize]) -> Story {
    let mut story = Story::new();
    for (number, count) in resources.iter().enumerate() {
        let device = Dev(DEVICE.0 + 0x1000 * number as u64);
        let nodes = &NODES[..*count];
        story
            .enter(device, Hook::Initialise)
            .named(device, &format!("vkms.{number}"), "faux", "faux_driver")
            .enter(device, Hook::Probe);
        for (node, name, size) in nodes {
            story.add(device, *node, name, *size);
        }
        story
            .enter(device, Hook::Bound)
            .returned(device, Hook::Probe, Some(0))
            .enter(device, Hook::Unbind)
            .enter(device, Hook::Remove)
            .leave(device, Hook::Remove)
            .enter(device, Hook::Cleanup)
            .enter(device, Hook::ReleaseAll);
        for (node, name, size) in nodes.iter().rev() {
            story.rel(device, *node, name, *size);
        }
        story
            .returned(device, Hook::ReleaseAll, i64::try_from(*count).ok())
            .leave(device, Hook::Cleanup)
            .leave(device, Hook::Unbind);
    }
    story
}

#[test]
fn devices_that_come_and_go_with_a_module_are_compared_whatever_their_numbers() {
    let wanted = |name: &str| Wanted::Module {
        drivers: Vec::new(),
        along: vec![Place {
            bus: "faux".to_owned(),
            device: name.to_owned(),
            driver: "faux_driver".to_owned(),
        }],
    };
    let steady = exercise_of(&faux(&[3, 3, 3]), wanted("vkms.7"), done(3, 3));
    let (status, message) = test(&steady, "exercise", "same stack");
    assert_eq!(status, Status::Passed, "{message}");
    assert_eq!(message, "in each cycle: vkms.0: 3 resources");
    let fewer = exercise_of(&faux(&[3, 3, 2]), wanted("vkms.7"), done(3, 3));
    let (status, message) = test(&fewer, "exercise", "same stack");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 3: vkms.2 is not as in cycle 1"),
        "{message}"
    );
    let other = exercise_of(&faux(&[3, 3, 3]), wanted("vgem"), done(3, 3));
    let (status, message) = test(&other, "exercise", "same stack");
    assert_eq!(status, Status::Inconclusive, "{message}");
}

#[test]
fn cycles_that_were_not_done_or_not_seen_are_no_pass() {
    let two = story(&[Unbind::Right; 2]);
    let stopped = Exercised {
        stopped: Some("interrupted".to_owned()),
        ..done(5, 2)
    };
    let results = exercise(&two, stopped);
    assert_eq!(results.verdict, Verdict::Inconclusive);
    let unseen = exercise(&two, done(3, 3));
    let (status, message) = test(&unseen, "exercise", "same stack");
    assert_eq!(status, Status::Inconclusive);
    assert!(
        message.contains("no binding was seen in cycle 3"),
        "{message}"
    );
    let failed = Exercised {
        problem: Some("cycle 3: binding failed".to_owned()),
        ..done(5, 2)
    };
    let results = exercise(&two, failed);
    assert_eq!(test(&results, "exercise", "cycles").0, Status::Failed);
    let unrestored = Exercised {
        not_restored: Some("gone".to_owned()),
        ..done(2, 2)
    };
    let results = exercise(&two, unrestored);
    assert_eq!(test(&results, "exercise", "restored").0, Status::Failed);
}

/// A probe that fails after its first resource, and what it leaves.
fn fail_probe(story: &mut Story, leaving: bool) {
    let (node, name, size) = NODES[0];
    story
        .enter(DEVICE, Hook::Probe)
        .add(DEVICE, node, name, size)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, node, name, size)
        .returned(DEVICE, Hook::ReleaseAll, Some(1));
    if leaving {
        story.add(DEVICE, 0x90_0000, "late", 4);
    }
    story
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(12));
}

/// A cycle as ever, and one whose probe fails at its second acquisition, has no third one, and may differ then.
fn with_a_failed_probe(leaving: bool, last: &[(u64, &str, u64)], done: u64) -> Results {
    let mut story = story(&[Unbind::Right]);
    fail_probe(&mut story, leaving);
    bind(&mut story, last);
    let attempt = |number, failed: &[&str], returned| Attempt {
        device: "QEMU0001:00".to_owned(),
        number,
        outcome: Outcome {
            seen: 2,
            failed: failed.iter().map(ToString::to_string).collect(),
            returned,
        },
        bound: returned == 0,
    };
    let failing = attempt(2, &["devm_kmalloc", "pvpanic_mmio_probe"], 12);
    let exercised = Exercised {
        failed_probes: Some(FailedProbes {
            unable: None,
            probes: vec![failing, attempt(3, &[], 0)],
        }),
        ..self::done(2, done)
    };
    let (mut examination, _) = begin("", whole());
    let clock = CycleClock::default();
    let wanted = Wanted::Devices(vec![Place {
        bus: "platform".to_owned(),
        device: "QEMU0001:00".to_owned(),
        driver: "pvpanic-mmio".to_owned(),
    }]);
    examination.watch_cycles(wanted, clock.clone());
    let mut probes = 0;
    for event in &story.events {
        if let devres_tracer::event::EventKind::Enter(call) = &event.kind
            && call.hook == Hook::Probe
        {
            probes += 1;
            let now = Time(event.time.0 - 1);
            if probes < 3 {
                clock.begin(now);
            }
            if probes > 1 {
                clock.begin_attempt(now);
            }
        }
        examination.event(event);
    }
    examination.finish(RunEnd {
        exercised: Some(exercised),
        ..RunEnd::on(TODAY)
    })
}

#[test]
fn a_probe_that_was_made_to_fail_must_leave_nothing() {
    let results = with_a_failed_probe(false, &NODES, 2);
    assert_eq!(results.verdict, Verdict::Clean, "{results:?}");
    let (status, message) = test(&results, "exercise", "failed probes");
    assert_eq!(status, Status::Noted, "{message}");
    let lines = &results
        .tests()
        .find(|(_, test)| test.name == "failed probes")
        .unwrap()
        .1
        .lines;
    assert_eq!(
        lines.as_slice(),
        [
            "QEMU0001:00: acquisition 2, devm_kmalloc in pvpanic_mmio_probe: the probe failed with -ENOMEM, 1 resource was released"
        ]
    );
    let left = with_a_failed_probe(true, &NODES, 2);
    let (status, message) = test(&left, "exercise", "failed probes");
    assert_eq!(status, Status::Failed);
    assert!(
        message.contains("left on QEMU0001:00 after the failed probe: late"),
        "{message}"
    );
}

#[test]
fn after_failed_probes_the_device_is_bound_as_before() {
    let results = with_a_failed_probe(false, &NODES[..2], 2);
    let (status, message) = test(&results, "exercise", "same stack");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 2: QEMU0001:00 is not as in cycle 1"),
        "{message}"
    );
    let stopped = with_a_failed_probe(false, &NODES, 1);
    let (status, message) = test(&stopped, "exercise", "failed probes");
    assert_eq!(status, Status::Inconclusive, "{message}");
}

#[test]
fn a_run_that_was_not_recorded_as_asked_for_fails() {
    let (mut examination, _) = begin("", whole());
    for event in &story(&[Unbind::Right]).events {
        examination.event(event);
    }
    let ending = RunEnd {
        unrecorded: Some("no space left".to_owned()),
        ..RunEnd::on(TODAY)
    };
    let results = examination.finish(ending);
    assert_eq!(results.verdict, Verdict::Findings);
    assert_eq!(test(&results, "evidence", "recorded").0, Status::Failed);
}

#[test]
fn the_command_does_nothing_to_the_verdict() {
    let (mut examination, _) = begin("", whole());
    for event in &story(&[Unbind::Right]).events {
        examination.event(event);
    }
    let ending = RunEnd {
        command: Some(CommandEnd {
            command: "x".to_owned(),
            code: 9,
            signal: None,
        }),
        ..RunEnd::on(TODAY)
    };
    let results = examination.finish(ending);
    assert_eq!(results.verdict, Verdict::Clean);
    assert_eq!(results.command.unwrap().code, 9);
}

#[test]
fn a_policy_is_wrong_with_line_and_key() {
    for (text, words) in [
        (
            "fail-om = \"x\"",
            "policy.toml:1:1: fail-om: unknown key `fail-om`; did you mean `fail-on`?",
        ),
        (
            "\n[rules]\nDR01 = \"on\"",
            "policy.toml:3:1: [rules] DR01: unknown rule \"DR01\"; did you mean",
        ),
        (
            "[rules]\nDR001 = \"of\"",
            "policy.toml:2:9: [rules] DR001: unknown level \"of\"; did you mean \"off\"?",
        ),
        (
            "[rules]\nDR001 = \"on\"\npm-detach-before-release = \"off\"",
            "DR001 is given two levels",
        ),
        (
            "[limits]\nslow-release = 5",
            "policy.toml:2:16: [limits] slow-release: ",
        ),
        (
            "[require]\nhooks = [\"devres_lg\"]",
            "did you mean \"devres_log\"?",
        ),
        (
            "[devices]\ninclude = [\"[\"]",
            "policy.toml:2:12: [devices] include: \"[\" is not a glob",
        ),
        (
            "[[expect]]\nrule = \"DR001\"\ndriver = \"x\"",
            "an expectation needs a reason",
        ),
        (
            "[[expect]]\nrule = \"DR001\"\nreason = \"x\"",
            "needs a driver, device or bus",
        ),
        (
            "[[expect]]\nfingerprint = \"DR001/x\"\nreason = \"r\"",
            "not a complete fingerprint",
        ),
        (
            "[[expect]]\nfingerprint = \"DR001/x/y\"\nreason = \"r\"\nuntil = 2026-01-01T00:00:00",
            "without a time",
        ),
        ("[[assert]]\ndriver = \"x\"", "asserts nothing"),
        (
            "[[assert]]\nmost-resources = 1",
            "needs a driver, device or bus",
        ),
        (
            "[[assert]]\ndriver = \"x\"\nnothing-left-after-unbind = false",
            "only true makes sense",
        ),
        (
            "[[assert]]\ndriver = \"x\"\nmost-resources = 1\n[[assert]]\ndriver = \"x\"\nmost-resources = 2",
            "two assertions",
        ),
        ("x = = 1", "policy.toml:1:5"),
    ] {
        let error = Policy::read("policy.toml", text).unwrap_err().to_string();
        assert!(error.contains(words), "{text:?}: {error}");
    }
}
