//! How each form is written.

use std::sync::Arc;

use devres_tracer::{
    check::{Date, Examination, Policy, Results, RunEnd, write_expectations},
    diff::{Side, compare},
    engine::{Engine, Observer as _, Summary},
    event::Event,
    evidence::SourceEnd,
    finding::{self, Severity},
    history::{Histories, HistoryObserver, Limits, ResourceSearch, Window, Wish},
    kernel::System,
    model::Model,
    rules::RuleSet,
    sink::{
        Sink,
        chrome::ChromeSink,
        diff::{self, Differences},
        html,
        json::JsonSink,
        mail::{self, Mail},
        page::Page,
        perfetto::write_perfetto,
        report::{self, Report, Search},
        reports::Format,
        stacks::DeviceStack,
        text::TextSink,
    },
    trace_file::Header,
    tui::{Session, Sight, configuration::Configuration, theme::Ability},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::forms::Material;

fn into(material: &Material, sink: &mut dyn Sink) {
    let coverage = material.information.coverage.clone();
    let mut engine = Engine::new(Arc::new(coverage.clone()), RuleSet::all());
    sink.begin(&material.information).unwrap();
    for event in &material.events {
        let findings = engine.apply(event).to_vec();
        sink.event(event, engine.model()).unwrap();
        for finding in &findings {
            sink.finding(finding).unwrap();
        }
    }
    let outcome = engine.finish();
    let mut summary = Summary::new(&outcome, coverage, SourceEnd::default(), Severity::Error);
    summary.problems.push(material.name.clone());
    summary.doubt(material.name.clone());
    summary.command = Some(material.command.clone());
    sink.end(&outcome.findings, &summary).unwrap();
}

pub(crate) fn text(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    into(material, &mut TextSink::new(&mut text, true));
    text
}

pub(crate) fn json(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    into(material, &mut JsonSink::new(&mut text, true));
    text
}

pub(crate) fn chrome(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    let mut sink = ChromeSink::new(&mut text);
    into(material, &mut sink);
    sink.close(&histories(material, &material.events)).unwrap();
    text
}

pub(crate) fn perfetto(material: &Material) -> Vec<u8> {
    reported(material, |report, bytes| {
        write_perfetto(report, bytes).unwrap();
    })
}

fn judged(material: &Material) -> Engine {
    let coverage = material.information.coverage.clone();
    let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
    for event in &material.events {
        engine.apply(event);
    }
    engine
}

pub(crate) fn findings(material: &Material) -> Vec<u8> {
    let outcome = judged(material).finish();
    let texts = outcome.findings.iter().flat_map(|finding| {
        let text = finding::text::Text(finding);
        [format!("{text}"), format!("{text:40}")]
    });
    texts.collect::<String>().into_bytes()
}

pub(crate) fn stacks(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    for device in judged(material).model().devices() {
        DeviceStack::of(device).write(&mut text).unwrap();
    }
    text
}

pub(crate) fn stacks_json(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    for device in judged(material).model().devices() {
        DeviceStack::of(device).write_json(&mut text).unwrap();
    }
    text
}

fn histories(material: &Material, events: &[Event]) -> Histories {
    let mut model = Model::new(Arc::new(material.information.coverage.clone()));
    let mut observer = HistoryObserver::new(Limits::default(), Window::default(), true);
    for event in events {
        for change in model.apply(event) {
            observer.observe(&change, &model);
        }
    }
    observer.finish(&model)
}

fn reported(material: &Material, write: impl FnOnce(&Report<'_>, &mut Vec<u8>)) -> Vec<u8> {
    let histories = histories(material, &material.events);
    let outcome = judged(material).finish();
    let coverage = material.information.coverage.clone();
    let mut summary = Summary::new(&outcome, coverage, SourceEnd::default(), Severity::Error);
    summary.problems.push(material.name.clone());
    summary.command = Some(material.command.clone());
    let report = Report {
        name: &material.name,
        source: &material.information,
        histories: &histories,
        findings: &outcome.findings,
        summary: &summary,
        damage: Some(&material.name),
    };
    let mut text = Vec::new();
    write(&report, &mut text);
    text
}

pub(crate) fn report_text(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        report::write_text(report, &mut Page::new(text, false)).unwrap();
    })
}

pub(crate) fn report_json(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        report::write_json(report, text).unwrap();
    })
}

pub(crate) fn report_html(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        let page = html::Page {
            title: &material.name,
            reports: &[*report],
            results: None,
        };
        html::write_html(&page, text).unwrap();
    })
}

pub(crate) fn several_html(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        let half = histories(material, &material.events[..material.events.len() / 2]);
        let other = Report {
            histories: &half,
            ..*report
        };
        let page = html::Page {
            title: &material.name,
            reports: &[*report, other],
            results: None,
        };
        html::write_html(&page, text).unwrap();
    })
}

pub(crate) fn check_html(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        let results = results(material).0;
        let page = html::Page {
            title: &material.name,
            reports: &[*report],
            results: Some(&results),
        };
        html::write_html(&page, text).unwrap();
    })
}

/// All resources, and none.
pub(crate) fn report_resource(material: &Material) -> Vec<u8> {
    let mut model = Model::new(Arc::new(material.information.coverage.clone()));
    let mut search = ResourceSearch::new(Wish::of("*").unwrap());
    for event in &material.events {
        for change in model.apply(event) {
            search.observe(&change, &model);
        }
    }
    let (found, hidden) = search.finish();
    let write = |found| {
        reported(material, |report, text| {
            let search = Search {
                wanted: &material.name,
                found,
                hidden,
            };
            report::write_resources(report, &search, &mut Page::new(text, false)).unwrap();
        })
    };
    [write(&found[..]), write(&[])].concat()
}

/// With whole stacks and without.
pub(crate) fn report_mail(material: &Material) -> Vec<u8> {
    let header = Header {
        system: Some(System {
            version: Some(material.name.clone()),
            board: Some(material.name.clone()),
            taint: Some(u64::MAX),
        }),
        command: vec!["devres-tracer".to_owned(), material.name.clone()],
        ..Header::of_recording(material.information.clone())
    };
    let mail = |whole_stacks| {
        reported(material, |report, text| {
            let mail = Mail {
                machine: None,
                report: *report,
                header: Some(&header),
                whole_stacks,
            };
            mail::write_mail(&mail, text).unwrap();
        })
    };
    [mail(false), mail(true)].concat()
}

fn compared(material: &Material, write: impl FnOnce(&Differences<'_>, &mut Vec<u8>)) -> Vec<u8> {
    let good = histories(material, &material.events);
    let half = material.events.len() / 2;
    let bad = histories(material, &material.events[..half]);
    let side = |histories| Side {
        name: &material.name,
        coverage: &material.information.coverage,
        histories,
    };
    let comparison = compare(side(&good), side(&bad), &[]);
    let differences = Differences {
        good: (&material.name, &material.information, &good),
        bad: (&material.name, &material.information, &bad),
        comparison: &comparison,
        strict: true,
    };
    let mut text = Vec::new();
    write(&differences, &mut text);
    text
}

pub(crate) fn diff_text(material: &Material) -> Vec<u8> {
    compared(material, |differences, text| {
        diff::write_text(differences, &mut Page::new(text, false)).unwrap();
    })
}

pub(crate) fn diff_json(material: &Material) -> Vec<u8> {
    compared(material, |differences, text| {
        diff::write_json(differences, text).unwrap();
    })
}

fn results(material: &Material) -> (Results, Policy) {
    let policy = "fail-on = \"info\"\n[limits]\nresources-per-device = 0\n";
    let policy = Policy::read("policy.toml", policy).unwrap();
    let mut examination = Examination::new(material.information.clone(), policy.clone());
    for event in &material.events {
        examination.event(event);
    }
    let mut ending = RunEnd::on(Date::constant(2026, 3, 1));
    ending.command = Some(material.command.clone());
    ending.cut_short = Some(material.name.clone());
    (examination.finish(ending), policy)
}

pub(crate) fn check(material: &Material, format: Format) -> Vec<u8> {
    let mut text = Vec::new();
    format.write(&results(material).0, &mut text).unwrap();
    text
}

pub(crate) fn expectations(material: &Material) -> Vec<u8> {
    let (results, policy) = results(material);
    write_expectations(&results, &policy).into_bytes()
}

/// Every screen, in two sizes.
pub(crate) fn live(material: &Material) -> Vec<u8> {
    let mut session = Session::new(
        Sight::Recording(material.name.clone()),
        material.information.clone(),
        RuleSet::all(),
        Configuration::new(Ability::full()),
    );
    for event in &material.events {
        session.take(event.clone());
    }
    session.know_problems(vec![material.name.clone()]);
    session.end();
    let mut text = String::new();
    for keys in ["1", "2", "3", "Enter", "4", "4 d", "[ 2", "1 a", "?"] {
        session.press(keys).unwrap();
        for (width, height) in [(80, 24), (200, 60)] {
            let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
            session.draw(&mut buffer);
            for y in 0..height {
                // A screen is no log: no line of it begins anywhere but behind the last.
                text.push('|');
                text.extend((0..width).map(|x| buffer[(x, y)].symbol()));
                text.push('\n');
            }
        }
    }
    text.into_bytes()
}

/// What is said of a rule that there is not, and the page of one that there is.
pub(crate) fn explain(material: &Material) -> Vec<u8> {
    let mut said = Vec::new();
    for rule in ["DR001", &material.name.replace('\0', "")] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
            .args(["explain", "--", rule])
            .output()
            .unwrap();
        said.extend([output.stdout, output.stderr].concat());
    }
    said
}
