//! What `devres-tracer trace --json` writes, as far as the tests look at it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A recording and the exit code that came with it.
pub(super) struct Recording {
    /// The tracer's exit code.
    pub(super) exit_code: i32,
    /// The first line.
    pub(super) source: Value,
    /// The events, without those that say what was lost.
    pub(super) events: Vec<Value>,
    /// What was lost, and where.
    pub(super) losses: Vec<Value>,
    /// The findings.
    pub(super) findings: Vec<Value>,
    /// The last line.
    pub(super) summary: Value,
}

/// An addition, a removal, a release or a replacement, as `devres_log` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeEvent {
    /// Nanoseconds of the monotonic clock.
    pub(super) time: u64,
    /// The device's name.
    pub(super) device: String,
    /// The kernel's word for what happened: `ADD`, `REM`, `REL` or `REPLACE`.
    pub(super) operation: &'static str,
    /// The node's address.
    pub(super) node: u64,
    /// The name that the kernel logs.
    pub(super) name: String,
    /// The payload's size in bytes.
    pub(super) size: u64,
}

impl Recording {
    /// Reads a file of JSON lines.
    pub(super) fn read(path: &Path, exit_code: i32) -> Result<Self> {
        let mut recording = Self {
            exit_code,
            source: Value::Null,
            events: Vec::new(),
            losses: Vec::new(),
            findings: Vec::new(),
            summary: Value::Null,
        };
        for_each_line(path, |line| {
            match text(&line, "/type") {
                "source" => recording.source = line,
                "event" => recording.events.push(line),
                "loss" => recording.losses.push(line),
                "finding" => recording.findings.push(line),
                "summary" => recording.summary = line,
                other => anyhow::bail!("the recording has a line of the unknown type {other:?}"),
            }
            Ok(())
        })?;
        ensure!(
            recording.summary.is_object(),
            "the recording has no summary"
        );
        Ok(recording)
    }

    /// Whether a rule could not decide everything.
    pub(super) fn is_undecided(&self, rule: &str) -> bool {
        let undecided = self.summary["undecided"].as_array();
        undecided
            .into_iter()
            .flatten()
            .any(|one| text(one, "/rule") == rule)
    }

    /// Fails if an event is missing.
    pub(super) fn ensure_nothing_missing(&self) -> Result<()> {
        for what in ["lost", "desyncs", "tainted"] {
            ensure!(
                number(&self.summary, &format!("/{what}"))? == 0,
                "not everything was seen: {what}: {}",
                self.summary_without_coverage()
            );
        }
        Ok(())
    }

    /// Fails unless everything was seen and understood.
    pub(super) fn ensure_whole(&self) -> Result<()> {
        self.ensure_nothing_missing()?;
        // What a kretprobe does not say leaves DR002 undecided, and the report says so.
        let undecided = self.summary["undecided"].as_array();
        let by_kretprobe = |one: &Value| {
            text(one, "/rule") == "DR002" && text(one, "/reason").contains("kretprobe")
        };
        ensure!(
            undecided.is_some_and(|all| all.iter().all(by_kretprobe)),
            "not everything was decided: {}",
            self.summary_without_coverage()
        );
        Ok(())
    }

    /// Fails unless the exit code is as expected.
    pub(super) fn ensure_exited(&self, expected: i32) -> Result<()> {
        ensure!(
            self.exit_code == expected,
            "the tracer ended with {} instead of {expected}: {}; findings: {}",
            self.exit_code,
            self.summary_without_coverage(),
            Value::Array(self.findings.clone())
        );
        Ok(())
    }

    /// Fails if there is a finding that is more than information.
    pub(super) fn ensure_nothing_wrong(&self) -> Result<()> {
        match self.wrong().next() {
            Some(finding) => anyhow::bail!("there is a finding: {finding}"),
            None => Ok(()),
        }
    }

    /// The findings that are more than information.
    pub(super) fn wrong(&self) -> impl Iterator<Item = &Value> {
        self.findings
            .iter()
            .filter(|finding| text(finding, "/severity") != "info")
    }

    /// The additions, removals, releases and replacements, in order.
    pub(super) fn node_events(&self) -> Result<Vec<NodeEvent>> {
        self.events
            .iter()
            .filter_map(|event| Some((operation(event)?, event)))
            .map(|(operation, event)| {
                Ok(NodeEvent {
                    time: number(event, "/time")?,
                    device: text(event, "/device").to_owned(),
                    operation,
                    node: address(event, "/detail/node")?,
                    name: text(event, "/detail/name").to_owned(),
                    size: number(event, "/detail/size")?,
                })
            })
            .collect()
    }

    /// The summary, without what it repeats from the first line.
    pub(super) fn summary_without_coverage(&self) -> Value {
        let mut summary = self.summary.clone();
        if let Some(fields) = summary.as_object_mut() {
            fields.remove("coverage");
        }
        summary
    }
}

/// The kernel's word for an event that is about a node.
pub(super) fn operation(event: &Value) -> Option<&'static str> {
    match text(event, "/event") {
        "add" => Some("ADD"),
        "remove" => Some("REM"),
        "release" => Some("REL"),
        "replace" => Some("REPLACE"),
        _ => None,
    }
}

/// Reads JSON lines one by one: recordings can be large.
pub(super) fn for_each_line(path: &Path, mut take: impl FnMut(Value) -> Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let value = serde_json::from_str(&line)
            .with_context(|| format!("{} has the line {line}", path.display()))?;
        take(value)?;
    }
    Ok(())
}

/// The string at a JSON pointer; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The number at a JSON pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Result<u64> {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .with_context(|| format!("there is no number {pointer} in {value}"))
}

/// The address at a JSON pointer.
pub(super) fn address(value: &Value, pointer: &str) -> Result<u64> {
    let text = text(value, pointer);
    text.strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .with_context(|| format!("there is no address {pointer} in {value}"))
}
