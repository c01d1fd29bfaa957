//! Of a finding that is made many times: which is shown, how many are counted, and where each is reported.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod support;

use std::sync::Arc;

use devres_tracer::{
    check::{Date, Examination, Policy, Results, RunEnd, Status},
    engine::{Engine, Outcome, Summary},
    event::{DeviceAddress, Hook, Time},
    evidence::{SourceEnd, SourceInformation},
    filter::DeviceFilter,
    finding::{
        Adders, Certainty, Finding, MOST_OCCURRENCES, Repeat, Report, RuleInfo, Severity, Subject,
        live_resource,
    },
    history::{HistoryObserver, Limits, Window},
    model::{InstanceKey, Model},
    rules::RuleSet,
    sink::{
        Sink as _,
        json::JsonSink,
        page::Page,
        report::{self, Report as Contents},
        reports::Format,
        text::TextSink,
    },
};
use proptest::prelude::*;
use support::{Dev, Story, added, only, whole};

const ONE: Dev = Dev(0xff11_0000_0010_1000);
const OTHER: Dev = Dev(0xff11_0000_0010_2000);
const STACK: [&str; 3] = ["devm_clk_get", "early_probe@early", "really_probe"];

fn begin(story: &mut Story, device: Dev, name: &str) {
    story
        .enter(device, Hook::Initialise)
        .named(device, name, "platform", "early");
}

fn bind(story: &mut Story, device: Dev, stack: bool) {
    story.enter(device, Hook::Probe).attach(device);
    if stack {
        story.stack(&STACK);
    }
    story
        .add(device, device.0 + 0x100, "devm_clk_release", 8)
        .bound(device);
}

/// The PM domain goes before what was added.
fn unbind(story: &mut Story, device: Dev) {
    story
        .wait(1_000)
        .enter(device, Hook::Unbind)
        .enter(device, Hook::Remove)
        .detach(device)
        .leave(device, Hook::Remove)
        .enter(device, Hook::Cleanup)
        .enter(device, Hook::ReleaseAll)
        .rel(device, device.0 + 0x100, "devm_clk_release", 8)
        .end_unbind(device, 1);
}

/// Two devices of one driver, one of which is bound twice.
fn three_times() -> Story {
    let mut story = Story::new();
    begin(&mut story, ONE, "one");
    begin(&mut story, OTHER, "other");
    for device in [ONE, OTHER, ONE] {
        bind(&mut story, device, true);
        unbind(&mut story, device);
    }
    story
}

fn dr001(story: &Story) -> Outcome {
    story.judge_by("DR001", whole())
}

#[test]
fn a_binding_from_before_the_trace_gives_way_to_one_that_was_seen() {
    let mut story = Story::new();
    let old = added(ONE.0 + 0x100, "devm_clk_release", 8);
    story.snapshot(ONE, "early", &[old]);
    unbind(&mut story, ONE);
    let first = dr001(&story);
    let first = only(&first, Severity::Error).clone();
    assert!(first.resources[0].added.stack.is_empty());
    bind(&mut story, ONE, true);
    unbind(&mut story, ONE);
    bind(&mut story, ONE, true);
    unbind(&mut story, ONE);
    let outcome = dr001(&story);
    let shown = only(&outcome, Severity::Error);
    assert_eq!(shown.count, 3);
    assert_eq!(shown.first, first.first);
    assert!(shown.last > first.last);
    assert!(shown.resources[0].added.stack[1].starts_with("early_probe"));
    // Of those that say as much, the first.
    let times: Vec<Time> = shown.occurrences.iter().map(|one| one.time).collect();
    assert_eq!(times.len(), 3);
    let released = shown.resources[0].released.unwrap();
    assert_eq!(released, times[1]);
}

#[test]
fn what_is_counted_without_being_made_is_made_where_it_would_tell_more() {
    let going = |story: &mut Story| {
        story
            .begin_unbind(ONE)
            .rel(ONE, 0x500, "devm_irq_release", 16)
            .end_unbind(ONE, 1);
    };
    let probe = |story: &mut Story, stack: bool| {
        story.enter(ONE, Hook::Probe);
        if stack {
            story.stack(&[
                "devm_request_threaded_irq",
                "early_probe@early",
                "really_probe",
            ]);
        }
        story.add(ONE, 0x500, "devm_irq_release", 16).bound(ONE);
    };
    let mut story = Story::new();
    story.snapshot(ONE, "early", &[added(0x500, "devm_irq_release", 16)]);
    going(&mut story);
    for stack in [false, true, true, false] {
        probe(&mut story, stack);
        going(&mut story);
    }
    let outcome = story.judge_by("DR014", whole());
    let shown = only(&outcome, Severity::Info);
    assert_eq!(shown.count, 5);
    assert_eq!(shown.occurrences.total(), 5);
    assert!(!shown.resources[0].added.stack.is_empty(), "{shown:#?}");
    let times: Vec<Time> = shown.occurrences.iter().map(|one| one.time).collect();
    assert!(times.is_sorted());
    assert_eq!((shown.first, shown.last), (times[0], times[4]));
    assert_eq!(shown.order[0].time, times[2], "the first with a stack");
}

fn info() -> &'static RuleInfo {
    RuleSet::all().find("DR001").unwrap()
}

/// A finding made at this time, which says this much.
fn made(time: u64, severity: Severity, certainty: Certainty, stack: bool) -> Finding {
    let mut story = Story::new();
    begin(&mut story, ONE, "one");
    bind(&mut story, ONE, stack);
    let (_, model) = story.run(whole());
    let device = model.device(ONE.address()).unwrap();
    let node = device.resources().next().unwrap();
    Finding {
        certainty,
        resources: vec![live_resource(node)],
        summary: format!("{time}"),
        instance: InstanceKey {
            address: DeviceAddress(time),
            generation: 0,
        },
        ..Subject::of(device).finding(info(), severity, "", Time(time))
    }
}

/// Five that differ in what they say, the best last.
fn differing() -> Vec<Finding> {
    use Certainty::{Confirmed, Likely};
    vec![
        made(10, Severity::Info, Confirmed, true),
        made(20, Severity::Error, Likely, false),
        made(30, Severity::Error, Likely, true),
        made(40, Severity::Error, Confirmed, false),
        made(50, Severity::Error, Confirmed, true),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_one_that_tells_most_is_shown_in_whatever_order_they_come(
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        updates in any::<bool>(),
    ) {
        let all = differing();
        let mut report = Report::default();
        for number in &order {
            let finding = all[*number].clone();
            if updates && *number != order[0] {
                report.update(Finding { count: report.findings()[0].count + 1, ..finding });
            } else {
                report.submit(finding);
            }
        }
        let [shown] = report.findings() else { panic!("one finding") };
        prop_assert_eq!(&shown.summary, "50");
        prop_assert_eq!(shown.count, 5);
        prop_assert_eq!(shown.occurrences.total(), 5);
        prop_assert_eq!((shown.first, shown.last), (Time(10), Time(50)));
        let told: Vec<u64> = shown.occurrences.iter().map(|one| one.time.0).collect();
        let expected: Vec<u64> = order.iter().map(|number| 10 * (*number as u64 + 1)).collect();
        prop_assert_eq!(told, expected);
    }
}

#[test]
fn what_became_of_an_occurrence_is_not_another() {
    let mut report = Report::default();
    let finding = made(10, Severity::Info, Certainty::Likely, true);
    report.submit(finding.clone());
    report.update(Finding {
        severity: Severity::Warn,
        last: Time(70),
        ..finding
    });
    let shown = &report.findings()[0];
    assert_eq!((shown.count, shown.occurrences.total()), (1, 1));
    let one = shown.occurrences.iter().next().unwrap();
    assert_eq!((one.time, one.severity), (Time(70), Severity::Warn));
    assert_eq!(report.occurred().len(), 1);
}

#[test]
fn occurrences_are_bounded_and_counted() {
    let mut story = Story::new();
    begin(&mut story, ONE, "one");
    bind(&mut story, ONE, true);
    let (_, model) = story.run(whole());
    let device = model.device(ONE.address()).unwrap();
    let node = device.resources().next().unwrap();
    let subject = Subject::of(device);
    let mut report = Report::default();
    let finding = || Finding {
        resources: vec![live_resource(node)],
        ..subject.finding(info(), Severity::Warn, "", Time(1))
    };
    report.submit(finding());
    for time in 2..=100_000 {
        let again = Repeat {
            subject: &subject,
            fingerprint: &finding().fingerprint,
            severity: Severity::Warn,
            certainty: Certainty::Confirmed,
            adders: Adders::of_nodes(&[node]),
            now: Time(time),
        };
        assert!(report.repeat(&again));
        report.forget_updates();
    }
    let shown = &report.findings()[0];
    assert_eq!((shown.count, shown.last), (100_000, Time(100_000)));
    assert_eq!(shown.occurrences.iter().len(), MOST_OCCURRENCES);
    assert_eq!(
        shown.occurrences.hidden(),
        100_000 - MOST_OCCURRENCES as u64
    );
    let json = serde_json::to_value(shown).unwrap();
    assert_eq!(
        json["occurrences"].as_array().unwrap().len(),
        MOST_OCCURRENCES
    );
    assert_eq!(json["occurrences_hidden"], shown.occurrences.hidden());
}

fn information() -> SourceInformation {
    SourceInformation {
        tool: "1".to_owned(),
        kernel: Some("6.1".to_owned()),
        machine: None,
        coverage: whole(),
        filters: Vec::new(),
    }
}

fn report_text(story: &Story, window: Window) -> String {
    let mut model = Model::new(Arc::new(whole()));
    let mut observer = HistoryObserver::new(Limits::default(), window, false);
    for event in &story.events {
        for change in model.apply(event) {
            observer.observe(&change, &model);
        }
    }
    let histories = observer.finish(&model);
    let outcome = dr001(story);
    let summary = Summary::new(&outcome, whole(), SourceEnd::default(), Severity::Error);
    let contents = Contents {
        name: "three",
        source: &information(),
        histories: &histories,
        findings: &outcome.findings,
        summary: &summary,
        damage: None,
    };
    let mut text = Vec::new();
    report::write_text(&contents, &mut Page::new(&mut text, false)).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_report_tells_each_time_under_its_life() {
    let story = three_times();
    let text = report_text(&story, Window::default());
    let finding = dr001(&story).findings[0].clone();
    let (one, other) = text.split_once("\nother  bus").unwrap();
    let times = |on: Dev| {
        finding
            .occurrences
            .iter()
            .filter(move |found| found.instance.address == on.address())
            .map(|found| format!("{}  DR001 error  [DR001/platform/early]", found.time))
            .collect::<Vec<_>>()
    };
    assert_eq!((times(ONE).len(), times(OTHER).len()), (2, 1));
    for line in times(ONE) {
        assert!(
            one.contains(&line) && !other.contains(&line),
            "{line}\n{text}"
        );
    }
    for line in times(OTHER) {
        assert!(
            !one.contains(&line) && other.contains(&line),
            "{line}\n{text}"
        );
    }
    // In full once, where the one is that is shown.
    assert_eq!(text.matches("What it means:").count(), 1, "{text}");
    assert!(one.contains("What it means:"), "{text}");
    assert!(text.contains("on one, other"), "{text}");
}

#[test]
fn a_finding_that_was_made_once_is_told_once() {
    let mut story = Story::new();
    begin(&mut story, ONE, "one");
    bind(&mut story, ONE, true);
    unbind(&mut story, ONE);
    let text = report_text(&story, Window::default());
    assert_eq!(text.matches("DR001/platform/early").count(), 1, "{text}");
}

#[test]
fn a_filter_wants_a_finding_on_each_of_its_devices() {
    let outcome = dr001(&three_times());
    let finding = only(&outcome, Severity::Error);
    let filter = |glob: &str| DeviceFilter::new(&[glob.to_owned()], &[], &[]).unwrap();
    for (glob, wanted) in [("one", true), ("other", true), ("third", false)] {
        assert_eq!(filter(glob).wants_finding(finding), wanted, "{glob}");
    }
}

fn check(story: &Story, policy: &str) -> Results {
    let policy = Policy::read("policy.toml", policy).unwrap();
    let mut examination = Examination::new(information(), policy);
    for event in &story.events {
        examination.event(event);
    }
    examination.finish(RunEnd::on(Date::constant(2026, 3, 1)))
}

fn test<'a>(results: &'a Results, group: &str) -> &'a devres_tracer::check::Test {
    let found = results
        .tests()
        .find(|(own, test)| own.name == group && test.name == "DR001");
    found.unwrap().1
}

#[test]
fn a_check_fails_on_each_device_that_it_was_found_on() {
    let story = three_times();
    let results = check(&story, "");
    for group in ["platform/one", "platform/other"] {
        let test = test(&results, group);
        assert_eq!(test.status, Status::Failed, "{group}: {test:#?}");
        assert_eq!(test.findings.len(), 1);
    }
    let only_other = "[devices]\ninclude = [\"other\"]\n";
    let results = check(&story, only_other);
    assert_eq!(test(&results, "platform/other").status, Status::Failed);
    let mut sarif = Vec::new();
    Format::Sarif.write(&results, &mut sarif).unwrap();
    let sarif: serde_json::Value = serde_json::from_slice(&sarif).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["occurrenceCount"], 3);
}

#[test]
fn a_device_of_the_same_driver_on_which_nothing_was_found_passes() {
    let mut story = three_times();
    let third = Dev(0xff11_0000_0010_3000);
    begin(&mut story, third, "third");
    bind(&mut story, third, true);
    let results = check(&story, "");
    let test = test(&results, "platform/third");
    assert_eq!(test.status, Status::Passed, "{test:#?}");
}

#[test]
fn a_device_is_not_accused_of_what_was_worse_on_another() {
    let mut story = Story::new();
    begin(&mut story, ONE, "one");
    begin(&mut story, OTHER, "other");
    bind(&mut story, ONE, true);
    unbind(&mut story, ONE);
    // Of this one only memory was left.
    story
        .enter(OTHER, Hook::Probe)
        .attach(OTHER)
        .add(OTHER, 0x900, "devm_kzalloc_release", 8)
        .bound(OTHER)
        .enter(OTHER, Hook::Unbind)
        .enter(OTHER, Hook::Remove)
        .detach(OTHER)
        .leave(OTHER, Hook::Remove)
        .enter(OTHER, Hook::Cleanup)
        .enter(OTHER, Hook::ReleaseAll)
        .rel(OTHER, 0x900, "devm_kzalloc_release", 8)
        .end_unbind(OTHER, 1);
    let results = check(&story, "");
    assert_eq!(test(&results, "platform/one").status, Status::Failed);
    assert_eq!(test(&results, "platform/other").status, Status::Noted);
}

#[test]
fn a_stream_tells_again_at_its_end_what_tells_more_by_then() {
    let mut story = Story::new();
    let old = added(ONE.0 + 0x100, "devm_clk_release", 8);
    story.snapshot(ONE, "early", &[old]);
    unbind(&mut story, ONE);
    bind(&mut story, ONE, true);
    unbind(&mut story, ONE);
    let rules = RuleSet::all().only(&["DR001"]).unwrap();
    let mut engine = Engine::new(Arc::new(whole()), rules);
    let (mut text, mut json) = (Vec::new(), Vec::new());
    let mut lines = TextSink::new(&mut text, false);
    let mut objects = JsonSink::new(&mut json, false);
    for event in &story.events {
        for finding in engine.apply(event).to_vec() {
            lines.finding(&finding).unwrap();
            objects.finding(&finding).unwrap();
        }
    }
    let outcome = engine.finish();
    let summary = Summary::new(&outcome, whole(), SourceEnd::default(), Severity::Error);
    lines.end(&outcome.findings, &summary).unwrap();
    objects.end(&outcome.findings, &summary).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("What it means:").count(), 2, "{text}");
    let (first, last) = text.split_once("What it means:").unwrap();
    assert!(!first.contains("early_probe"), "{text}");
    assert!(last.contains("early_probe"), "{text}");
    let json = String::from_utf8(json).unwrap();
    let last = json
        .lines()
        .rfind(|line| line.contains("\"finding\""))
        .unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap();
    let occurrences = last["occurrences"].as_array().unwrap();
    assert_eq!(occurrences.len(), 2);
    assert_eq!(occurrences[0]["device"], "snapped");
    assert_eq!(occurrences[1]["time"], last["last"]);
    assert_eq!(last.get("occurrences_hidden"), None);
}
