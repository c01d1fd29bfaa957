//! What `--json` writes fits the schema that the program gives, and has no member that the schema doesn't know.

use std::{collections::BTreeSet, fs, process::Command};

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

/// Commands whose lines no transcript has.
const MORE: [&str; 12] = [
    "rules --json",
    "known --json",
    "explain DR001 --json",
    "doctor --json",
    "demo --json",
    "report --json tests/cli/warning.log",
    "report --json tests/cli/crash.log",
    "stacks --json demo/pvpanic-6.1.dvrt",
    "check demo/pvpanic-6.1.dvrt --report json",
    "check tests/cli/nothing.log --report json",
    "crash --json tests/cli/crash.log",
    "trace --json --from tests/cli/cut.jsonl",
];

/// The kinds of lines that there are.
const KINDS: [&str; 15] = [
    "check",
    "device",
    "diff",
    "diff_summary",
    "difference",
    "doctor",
    "event",
    "finding",
    "known",
    "life",
    "loss",
    "rule",
    "said",
    "source",
    "summary",
];

fn run(arguments: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(arguments.split_whitespace())
        .output()
        .expect("it can be run");
    String::from_utf8(output.stdout).expect("it writes UTF-8")
}

/// The schema, made strict: a line may have no members but those that it lists. Others that read lines must bear with
/// new members.
fn strict() -> Value {
    let mut schema: Value = serde_json::from_str(&run("schema")).expect("the schema is JSON");
    let lines = schema["anyOf"].as_array_mut().expect("there are lines");
    for line in lines {
        *line = json!({ "allOf": [line.take()], "unevaluatedProperties": false });
    }
    schema
}

/// The commands of the transcripts that write JSON.
fn transcribed() -> Vec<String> {
    let mut commands = Vec::new();
    for entry in fs::read_dir("tests/cli").expect("there are transcripts") {
        let path = entry.expect("it can be listed").path();
        if path
            .extension()
            .is_none_or(|extension| extension != "trycmd")
        {
            continue;
        }
        let text = fs::read_to_string(path).expect("it can be read");
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("$ devres-tracer "));
        commands.extend(
            lines
                .filter(|line| line.contains("json"))
                .map(str::to_owned),
        );
    }
    commands
}

#[test]
fn every_line_fits_the_schema() {
    let schema = strict();
    let mut compiler = Compiler::new();
    compiler
        .add_resource("schema.json", schema)
        .expect("a resource");
    let mut schemas = Schemas::new();
    let schema = compiler
        .compile("schema.json", &mut schemas)
        .expect("a valid schema");
    let mut seen = BTreeSet::new();
    let mut commands = transcribed();
    assert!(commands.len() > 5, "{commands:?}");
    commands.extend(MORE.map(str::to_owned));
    for command in &commands {
        let output = run(command);
        let mut lines = output
            .lines()
            .filter(|line| line.starts_with('{'))
            .peekable();
        if let Some(first) = lines.peek() {
            let first: Value = serde_json::from_str(first).expect("the first line is JSON");
            assert_eq!(first["version"], 1, "{command}: {first}");
        }
        for line in lines {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| {
                panic!("{command} writes {line}: {error}");
            });
            if let Err(error) = schemas.validate(&value, schema) {
                panic!("{command} writes {line}: {error:#}");
            }
            seen.insert(value["type"].as_str().unwrap_or_default().to_owned());
        }
    }
    let expected: BTreeSet<String> = KINDS.iter().map(|&kind| kind.to_owned()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_line_without_what_it_must_have_does_not_fit() {
    let mut compiler = Compiler::new();
    compiler
        .add_resource("schema.json", strict())
        .expect("a resource");
    let mut schemas = Schemas::new();
    let schema = compiler
        .compile("schema.json", &mut schemas)
        .expect("a valid schema");
    for kind in KINDS {
        let line = json!({ "type": kind });
        assert!(schemas.validate(&line, schema).is_err(), "{line} fits");
    }
    for (part, line) in [
        (
            "a member that is unknown",
            json!({"type": "loss", "time": 1, "count": 1, "cause": "input", "x": 1}),
        ),
        (
            "a cause that is unknown",
            json!({"type": "loss", "time": 1, "count": 1, "cause": "x"}),
        ),
    ] {
        assert!(schemas.validate(&line, schema).is_err(), "{part} fits");
    }
    let loss = json!({"type": "loss", "time": 1, "count": 1, "cause": "input"});
    schemas.validate(&loss, schema).expect("a loss fits");
}

#[test]
fn a_stream_of_a_newer_version_is_refused() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("newer.jsonl");
    let stream = run("demo --json");
    assert!(stream.contains("\"version\":1}"), "{stream}");
    fs::write(
        &path,
        stream.replacen("\"version\":1}", "\"version\":2}", 1),
    )
    .expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .arg("report")
        .arg(&path)
        .output()
        .expect("it can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains("a newer devres-tracer wrote it"), "{error}");
}
