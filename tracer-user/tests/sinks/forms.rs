//! Every form in which anything is written or shown.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use devres_tracer::{
    check::{Date, Examination, Policy, Results, RunEnd, write_expectations},
    diff::{Side, compare},
    engine::{Engine, Observer as _, Summary},
    event::Event,
    evidence::{CommandEnd, SourceEnd, SourceInformation},
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

/// What is written.
pub(crate) struct Material {
    /// What the file is called.
    pub(crate) name: String,
    pub(crate) information: SourceInformation,
    pub(crate) events: Vec<Event>,
    pub(crate) command: CommandEnd,
}

/// How a form is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// By people, and line by line by whoever keeps the log.
    Lines,
    /// One JSON value a line.
    JsonLines,
    /// One JSON value.
    Json,
    Toml,
    Xml,
    Ktap,
    Github,
    Lava,
    Html,
    /// Lines of at most 72 columns.
    Mail,
    /// Perfetto's messages.
    Perfetto,
}

/// One form.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) reader: Reader,
    pub(crate) write: fn(&Material) -> Vec<u8>,
    /// Where it is written, below `src/sink`.
    files: &'static [&'static str],
}

pub(crate) const FORMS: [Form; 25] = [
    form("text", Reader::Lines, text, &["text.rs", "reported.rs"]),
    form("finding", Reader::Lines, findings, &[]),
    form(
        "json",
        Reader::JsonLines,
        json,
        &["json.rs", "json_text.rs"],
    ),
    form("chrome", Reader::Json, chrome, &["chrome.rs", "tracks.rs"]),
    form(
        "perfetto",
        Reader::Perfetto,
        perfetto,
        &["perfetto/mod.rs", "perfetto/messages.rs"],
    ),
    form(
        "stacks",
        Reader::Lines,
        stacks,
        &["stacks.rs", "stacks_data.rs"],
    ),
    form("stacks --json", Reader::JsonLines, stacks_json, &[]),
    form(
        "report",
        Reader::Lines,
        report_text,
        &[
            "page.rs",
            "report/text.rs",
            "report/device.rs",
            "report/binding.rs",
            "report/stack.rs",
            "report/words.rs",
        ],
    ),
    form(
        "report --json",
        Reader::JsonLines,
        report_json,
        &["report/json.rs"],
    ),
    form(
        "report --html",
        Reader::Html,
        report_html,
        &[
            "html/beside.rs",
            "html/data.rs",
            "html/mod.rs",
            "html/results.rs",
            "html/still.rs",
            "html/body.html",
            "html/page.css",
            "html/page.js",
        ],
    ),
    form("report --html of several", Reader::Html, several_html, &[]),
    form("check --html", Reader::Html, check_html, &[]),
    form(
        "report --mail",
        Reader::Mail,
        report_mail,
        &["mail/mod.rs", "mail/personal.rs", "mail/reproducer.rs"],
    ),
    form(
        "report --resource",
        Reader::Lines,
        report_resource,
        &["report/resource.rs"],
    ),
    form(
        "diff",
        Reader::Lines,
        diff_text,
        &["diff/text.rs", "diff/sentences.rs"],
    ),
    form(
        "diff --json",
        Reader::JsonLines,
        diff_json,
        &["diff/json.rs"],
    ),
    form(
        "check ktap",
        Reader::Ktap,
        |all| check(all, Format::Ktap),
        &["reports/ktap.rs"],
    ),
    form(
        "check junit",
        Reader::Xml,
        |all| check(all, Format::Junit),
        &["reports/junit.rs"],
    ),
    form(
        "check sarif",
        Reader::Json,
        |all| check(all, Format::Sarif),
        &["reports/sarif.rs"],
    ),
    form(
        "check json",
        Reader::Json,
        |all| check(all, Format::Json),
        &[],
    ),
    form(
        "check github",
        Reader::Github,
        |all| check(all, Format::Github),
        &["reports/github.rs"],
    ),
    form(
        "check lava",
        Reader::Lava,
        |all| check(all, Format::Lava),
        &["reports/lava.rs"],
    ),
    form("expectations", Reader::Toml, expectations, &[]),
    form("live", Reader::Lines, live, &[]),
    form("explain", Reader::Lines, explain, &[]),
];

/// Files below `src/sink` that write nothing themselves.
const NO_FORM: [&str; 6] = [
    "mod.rs",
    "diff/mod.rs",
    "report/mod.rs",
    "reports/mod.rs",
    "schema.rs",
    "streams.rs",
];

const fn form(
    name: &'static str,
    reader: Reader,
    write: fn(&Material) -> Vec<u8>,
    files: &'static [&'static str],
) -> Form {
    Form {
        name,
        reader,
        write,
        files,
    }
}

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

fn text(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    into(material, &mut TextSink::new(&mut text, true));
    text
}

fn json(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    into(material, &mut JsonSink::new(&mut text, true));
    text
}

fn chrome(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    let mut sink = ChromeSink::new(&mut text);
    into(material, &mut sink);
    sink.close(&histories(material, &material.events)).unwrap();
    text
}

fn perfetto(material: &Material) -> Vec<u8> {
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

fn findings(material: &Material) -> Vec<u8> {
    let outcome = judged(material).finish();
    let texts = outcome.findings.iter().flat_map(|finding| {
        let text = finding::text::Text(finding);
        [format!("{text}"), format!("{text:40}")]
    });
    texts.collect::<String>().into_bytes()
}

fn stacks(material: &Material) -> Vec<u8> {
    let mut text = Vec::new();
    for device in judged(material).model().devices() {
        DeviceStack::of(device).write(&mut text).unwrap();
    }
    text
}

fn stacks_json(material: &Material) -> Vec<u8> {
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

fn report_text(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        report::write_text(report, &mut Page::new(text, false)).unwrap();
    })
}

fn report_json(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        report::write_json(report, text).unwrap();
    })
}

fn report_html(material: &Material) -> Vec<u8> {
    reported(material, |report, text| {
        let page = html::Page {
            title: &material.name,
            reports: &[*report],
            results: None,
        };
        html::write_html(&page, text).unwrap();
    })
}

fn several_html(material: &Material) -> Vec<u8> {
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

fn check_html(material: &Material) -> Vec<u8> {
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
fn report_resource(material: &Material) -> Vec<u8> {
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
fn report_mail(material: &Material) -> Vec<u8> {
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

fn diff_text(material: &Material) -> Vec<u8> {
    compared(material, |differences, text| {
        diff::write_text(differences, &mut Page::new(text, false)).unwrap();
    })
}

fn diff_json(material: &Material) -> Vec<u8> {
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

fn check(material: &Material, format: Format) -> Vec<u8> {
    let mut text = Vec::new();
    format.write(&results(material).0, &mut text).unwrap();
    text
}

fn expectations(material: &Material) -> Vec<u8> {
    let (results, policy) = results(material);
    write_expectations(&results, &policy).into_bytes()
}

/// Every screen, in two sizes.
fn live(material: &Material) -> Vec<u8> {
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
fn explain(material: &Material) -> Vec<u8> {
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

#[test]
fn every_file_that_writes_belongs_to_a_form() {
    let known: BTreeSet<&str> = FORMS
        .iter()
        .flat_map(|form| form.files)
        .chain(&NO_FORM)
        .copied()
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sink");
    let mut found = BTreeSet::new();
    let mut waiting = vec![root.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap();
                found.insert(name.to_str().unwrap().to_owned());
            }
        }
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, known, "each file of src/sink belongs into FORMS");
}

#[test]
fn every_form_of_a_check_is_one() {
    for format in Format::ALL {
        let name = format!("check {}", format.name());
        assert!(FORMS.iter().any(|form| form.name == name), "{name}");
    }
}
