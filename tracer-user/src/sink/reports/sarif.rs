//! SARIF 2.1.0: a result for each finding, and for everything else that failed.
//!
//! What is excused is there with a suppression; what could not be decided is a notification of the tool,
//! and makes the invocation unsuccessful.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use serde_json::{Value, json};

use crate::{
    check::{Group, GroupKind, Judged, Results, Status, Test},
    engine::Verdict,
    escape::escape,
    event::SourceLine,
    finding::{Finding, RuleInfo, Severity},
    rules::RuleSet,
    sink::json_text,
};

/// Where the schema lies.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn write(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    let mut found = Vec::new();
    let mut notifications = Vec::new();
    let mut rules = BTreeSet::new();
    for (group, test) in results.tests() {
        if test.findings.is_empty() {
            if matches!(test.status, Status::Failed | Status::Excused) {
                let rule = id_of(group.kind);
                rules.insert(rule);
                found.push(of_test(rule, group, test));
            }
        } else {
            for judged in &test.findings {
                rules.insert(judged.finding.rule);
                found.push(of_finding(group, judged));
            }
        }
        if test.status == Status::Inconclusive {
            notifications.push(json!({
                "level": "warning",
                "message": {"text": format!(
                    "inconclusive: {}: {}: {}",
                    escape(&group.name), escape(&test.name), escape(&test.message)
                )},
            }));
        }
    }
    let rules: Vec<Value> = rules.into_iter().map(descriptor).collect();
    let mut invocation = json!({
        "executionSuccessful": results.verdict != Verdict::Inconclusive,
        "toolExecutionNotifications": notifications,
    });
    if let (Some(end), Some(invocation)) = (&results.command, invocation.as_object_mut()) {
        invocation.insert(
            "properties".to_owned(),
            json!({"command": escape(&end.command), "commandExitCode": end.code}),
        );
    }
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "devres-tracer",
                "version": results.tool,
                "rules": rules,
            }},
            "invocations": [invocation],
            "results": found,
            "properties": {
                "kernel": results.kernel,
                "machine": results.machine,
                "verdict": results.verdict,
            },
        }],
    });
    json_text::write_pretty(&mut *writer, &log)?;
    writeln!(writer)
}

/// The id under which what no rule found is reported.
const fn id_of(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Evidence => "evidence",
        GroupKind::Device => "limit",
        GroupKind::Assertions => "assertion",
        GroupKind::Expectations => "expectation",
        GroupKind::Exercise => "exercise",
    }
}

fn descriptor(id: &str) -> Value {
    let known = RuleSet::all().find(id);
    let text = match (id, known) {
        (_, Some(RuleInfo { description, .. })) => description,
        ("limit", _) => "A limit of the policy was exceeded.",
        ("assertion", _) => "An assertion of the policy on a driver's bindings does not hold.",
        ("expectation", _) => "An expected finding did not occur.",
        ("exercise", _) => "Unbinding and rebinding gives a different result in some cycle.",
        _ => "Not everything that the policy requires was seen.",
    };
    let mut descriptor = json!({
        "id": id,
        "shortDescription": {"text": text},
        "defaultConfiguration": {"level": known.map_or("error", |info| level(info.worst()))},
    });
    if let (Some(info), Some(descriptor)) = (known, descriptor.as_object_mut()) {
        descriptor.insert("name".to_owned(), json!(info.name));
        descriptor.insert(
            "help".to_owned(),
            json!({"text": info.page, "markdown": info.page}),
        );
    }
    descriptor
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warn => "warning",
        Severity::Info => "note",
    }
}

fn of_finding(group: &Group, judged: &Judged) -> Value {
    let finding = &judged.finding;
    let mut result = result(
        finding.rule,
        level(finding.severity),
        &text_of(finding),
        Some(&finding.fingerprint),
        group,
        (judged.status, &judged.note),
        line_of(finding),
    );
    if let Some(result) = result.as_object_mut() {
        result.insert("occurrenceCount".to_owned(), json!(finding.count.max(1)));
        if let Some(known) = finding.known {
            let properties = result.entry("properties").or_insert_with(|| json!({}));
            if let Some(properties) = properties.as_object_mut() {
                properties.insert("known".to_owned(), json!(known));
            }
        }
    }
    result
}

/// The call that did it, or that added what it is about, where debug info has its line.
fn line_of(finding: &Finding) -> Option<&SourceLine> {
    let cause = finding.caused_by.as_ref();
    let mut added = finding.resources.iter().map(|resource| &resource.added);
    cause
        .and_then(|cause| cause.line.as_ref())
        .or_else(|| added.find_map(|added| added.line.as_ref()))
}

/// A finding in sentences.
fn text_of(finding: &Finding) -> String {
    let known = finding
        .known
        .map(|known| format!("known: {}", known.text()));
    let parts = [&finding.summary, &finding.meaning].into_iter();
    let parts: Vec<&str> = parts.chain(&known).map(String::as_str).collect();
    parts.join(" ")
}

fn of_test(rule: &str, group: &Group, test: &Test) -> Value {
    result(
        rule,
        "error",
        &format!("{}: {}", test.name, test.message),
        test.fingerprint.as_deref(),
        group,
        (test.status, &test.message),
        None,
    )
}

fn result(
    rule: &str,
    level: &str,
    text: &str,
    fingerprint: Option<&str>,
    group: &Group,
    (status, note): (Status, &str),
    line: Option<&SourceLine>,
) -> Value {
    let mut location = json!({
        "logicalLocations": [{
            "name": escape(group.device.as_deref().unwrap_or(&group.name)),
            "fullyQualifiedName": escape(&group.name),
            "kind": if group.device.is_some() { "object" } else { "module" },
        }],
    });
    let place = match (line, &group.source) {
        (Some(SourceLine { file, line, .. }), _) => Some((&**file, *line)),
        (None, Some(source)) => Some((source.as_str(), 1)),
        (None, None) => None,
    };
    if let (Some((file, line)), Some(location)) = (place, location.as_object_mut()) {
        location.insert(
            "physicalLocation".to_owned(),
            json!({"artifactLocation": {"uri": uri(file)}, "region": {"startLine": line}}),
        );
    }
    let mut result = json!({
        "ruleId": rule,
        "level": level,
        "kind": "fail",
        "message": {"text": escape(text)},
        "locations": [location],
    });
    if let Some(result) = result.as_object_mut() {
        if let Some(fingerprint) = fingerprint {
            result.insert(
                "partialFingerprints".to_owned(),
                json!({"devresTracer/v1": escape(fingerprint)}),
            );
        }
        if matches!(status, Status::Excused | Status::Skipped) {
            result.insert(
                "suppressions".to_owned(),
                json!([{"kind": "external", "status": "accepted", "justification": escape(note)}]),
            );
        }
        if let Some(driver) = &group.driver {
            result.insert("properties".to_owned(), json!({"driver": escape(driver)}));
        }
    }
    result
}

/// A path as a relative reference, or as a file where it begins at the root.
fn uri(path: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'+' => {
                uri.push(char::from(byte));
            }
            other => {
                // Writing to a string doesn't fail.
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}
