//! What a run comes to: findings, loss, missing hooks, a run cut short, levels.

use std::sync::Arc;

use devres_tracer::{
    check::{Policy, RunEnd, Status},
    engine::Verdict,
    event::{
        EventKind, Function, Hook, Message, Role as Argument, StackFrame,
        splat::{Role, Splat, SplatKind, SplatStack},
    },
    evidence::{CommandEnd, Coverage, Untold},
};

use super::{
    DEVICE, TODAY, Unbind, begin, bind, check, check_with, dr001, story,
    support::{Story, added, whole, without},
    test, unbind,
};

#[test]
fn findings_fail_the_run_and_nothing_found_passes() {
    let wrong = check(&story(&[Unbind::Early]), "");
    assert_eq!(wrong.verdict, Verdict::Findings);
    assert_eq!(dr001(&wrong).0, Status::Failed);
    let right = check(&story(&[Unbind::Right]), "");
    assert_eq!(right.verdict, Verdict::Clean);
    assert_eq!(dr001(&right).0, Status::Passed);
}

/// Whatever the rule for it is set to that applies it: what the kernel reports may be an error of another rule.
#[test]
fn a_fault_that_nothing_explains_leaves_the_verdict_open() {
    let frames = [
        "__list_del_entry_valid",
        "release_nodes",
        "devres_release_all",
    ];
    let frames = frames.map(|name| StackFrame {
        address: 0,
        function: Some(Arc::new(Function {
            address: 0,
            name: Some(name.into()),
            module: None,
        })),
        offset: 0x10,
        line: None,
    });
    let splat = Splat {
        kind: SplatKind::List,
        stacks: vec![SplatStack {
            role: Role::Report,
            tid: None,
            frames: frames.into(),
        }],
        ..Splat::default()
    };
    let mut story = story(&[Unbind::Right]);
    story.push(DEVICE, EventKind::Message(Message::Splat(Box::new(splat))));
    for (policy, status, verdict) in [
        ("", Status::Inconclusive, Verdict::Inconclusive),
        (
            "[rules]\nothers = \"off\"\nDR022 = \"on\"",
            Status::Inconclusive,
            Verdict::Inconclusive,
        ),
        ("[rules]\nDR022 = \"warn\"", Status::Noted, Verdict::Clean),
        (
            "[rules]\nDR022 = \"fail\"",
            Status::Failed,
            Verdict::Findings,
        ),
    ] {
        let results = check(&story, policy);
        assert_eq!(
            test(&results, "platform/QEMU0001:00", "DR022").0,
            status,
            "{policy}"
        );
        assert_eq!(results.verdict, verdict, "{policy}");
    }
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
    assert_eq!(rules, 26);
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
        role: Argument::PmDomain,
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
