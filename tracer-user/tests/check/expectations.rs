//! What a policy expects, skips, or calls a flake.

use devres_tracer::{
    check::{RunEnd, Status, write_expectations},
    engine::Verdict,
    event::Hook,
};

use super::{
    DEVICE, EXPECTED, NODES, TODAY, Unbind, begin, bind, check, dr001, story,
    support::{Dev, Story, whole},
    test,
};

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
        .bound(device);
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
