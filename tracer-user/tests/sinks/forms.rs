//! Every form in which anything is written or shown.

use std::{collections::BTreeSet, fs, path::Path};

use devres_tracer::{
    event::Event,
    evidence::{CommandEnd, SourceInformation},
    sink::reports::Format,
};

use super::lab::parquet;
use super::writers::{
    check, check_html, chrome, diff_json, diff_text, expectations, explain, findings, json, live,
    perfetto, report_html, report_json, report_mail, report_resource, report_text, several_html,
    stacks, stacks_json, text,
};

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

pub(crate) const FORMS: [Form; 26] = [
    form(
        "text",
        Reader::Lines,
        text,
        &["text.rs", "text/summary.rs", "text/words.rs", "reported.rs"],
    ),
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
        "parquet",
        Reader::Lines,
        parquet,
        &[
            "lab/bindings.rs",
            "lab/directory.rs",
            "lab/events.rs",
            "lab/lives.rs",
            "lab/mod.rs",
            "lab/recordings.rs",
            "lab/resources.rs",
            "lab/schema.rs",
            "lab/schema/columns.rs",
            "lab/table.rs",
            "lab/words.rs",
        ],
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
