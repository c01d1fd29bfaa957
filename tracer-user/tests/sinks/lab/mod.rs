//! The tables of a lab, read again with the library that reads them elsewhere: what the recording had is in them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use devres_tracer::{
    engine::{Engine, Observer as _, Summary},
    evidence::SourceEnd,
    filter::DeviceFilter,
    finding::Severity,
    rules::RuleSet,
    sink::{
        Sink as _,
        lab::{Directory, Outcome, Recorded},
    },
    source::recording::Recording,
};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use tempfile::TempDir;

use crate::{forms::Material, inert};

mod partitions;
mod rows;

/// A row: each column's value as a text; NULL is none.
type Row = BTreeMap<String, Option<String>>;

/// Writes the tables of a recording into a directory.
fn export(material: &Material, id: &str, directory: &Path) {
    let recorded = Recorded {
        id,
        name: &material.name,
        information: &material.information,
        header: None,
        machine: Some(&material.name),
        recorded_at: Some(1_000_000),
        redacted: false,
    };
    let mut lab = Directory::open(directory).unwrap();
    let (mut events, mut lives, files) = lab.record(&recorded, DeviceFilter::default()).unwrap();
    let coverage = material.information.coverage.clone();
    let mut engine = Engine::new(Arc::new(coverage.clone()), RuleSet::all());
    events.begin(&material.information).unwrap();
    for event in &material.events {
        engine.apply_with(event, |change, model| lives.observe(change, model));
        events.event(event, engine.model()).unwrap();
    }
    let outcome = engine.conclude();
    let mut summary = Summary::new(&outcome, coverage, SourceEnd::default(), Severity::Error);
    summary.problems.push(material.name.clone());
    summary.doubt(material.name.clone());
    let outcome = Outcome {
        model: engine.model(),
        findings: &outcome.findings,
        summary: &summary,
    };
    lab.finish(&recorded, (events, lives, files), &outcome)
        .unwrap();
}

/// Every file below a directory, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn value(field: &Field) -> Option<String> {
    match field {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        Field::Long(number) | Field::TimestampMicros(number) => Some(number.to_string()),
        Field::Bool(flag) => Some(flag.to_string()),
        other => panic!("no column is {other:?}"),
    }
}

fn rows_of(file: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    let row = |row: parquet::record::Row| {
        let columns = row.get_column_iter();
        columns
            .map(|(name, field)| (name.clone(), value(field)))
            .collect()
    };
    rows.map(|found| row(found.unwrap())).collect()
}

/// The rows of a table.
fn table(directory: &Path, name: &str) -> Vec<Row> {
    files(&directory.join(name))
        .iter()
        .flat_map(|file| rows_of(file))
        .collect()
}

fn cell<'r>(row: &'r Row, column: &str) -> Option<&'r str> {
    row.get(column)
        .unwrap_or_else(|| panic!("there is no column {column}"))
        .as_deref()
}

/// What all files say, as lines.
pub(crate) fn parquet(material: &Material) -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    export(material, "0a1b", directory.path());
    let mut text = String::new();
    for file in files(directory.path()) {
        let path = file.strip_prefix(directory.path()).unwrap();
        let _ = writeln!(text, "{}", path.display());
        for row in rows_of(&file) {
            for (column, value) in row {
                let _ = writeln!(text, "{column} {}", value.unwrap_or_default());
            }
        }
    }
    text.into_bytes()
}

fn material_of(path: &str) -> Material {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut recording = Recording::open(&path).unwrap();
    let mut events = Vec::new();
    recording.replay(|event| {
        events.push(event.clone());
        ControlFlow::Continue(())
    });
    Material {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        information: recording.information().clone(),
        events,
        ..inert::material("unused")
    }
}
