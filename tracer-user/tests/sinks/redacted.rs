//! A recording that is redacted says the same of every driver, and in no form an address, a serial or a path.

use std::{
    collections::BTreeSet,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use devres_tracer::{
    engine::Engine,
    event::{Event, Hook},
    evidence::{CommandEnd, SourceEnd},
    finding::Severity,
    rules::RuleSet,
    source::recording::Recording,
};
use serde_json::Value;

use crate::{
    forms::{FORMS, Material},
    support::{Dev, Story, added, whole},
};

/// A recording's events, and what it says at its end.
struct Read {
    material: Material,
    end: SourceEnd,
}

fn read(path: &Path, redact: bool) -> Read {
    let mut recording = Recording::open(path).unwrap();
    let name = if redact {
        recording.redact()
    } else {
        path.display().to_string()
    };
    let mut events = Vec::new();
    let end = recording.replay(|event| {
        events.push(event.clone());
        ControlFlow::Continue(())
    });
    let material = Material {
        name,
        information: recording.information().clone(),
        events,
        command: CommandEnd {
            command: "true".to_owned(),
            code: 0,
            signal: None,
        },
    };
    Read { material, end }
}

/// What of a verdict must not depend on addresses.
fn judged(read: &Read) -> String {
    let coverage = Arc::new(read.material.information.coverage.clone());
    let mut engine = Engine::new(coverage, RuleSet::all());
    for event in &read.material.events {
        engine.apply(event);
    }
    if let Some(until) = read.end.until {
        engine.pass(until);
    }
    let outcome = engine.finish();
    let findings = outcome.findings.iter().map(|finding| {
        format!(
            "{} {:?} {:?} {} {} {} {}\n",
            finding.fingerprint,
            finding.severity,
            finding.certainty,
            finding.device,
            finding.count,
            finding.resources.len(),
            finding.order.len()
        )
    });
    let undecided = outcome.undecided.iter();
    let undecided = undecided.map(|one| format!("{} undecided\n", one.rule));
    let verdict = format!("{:?}\n", outcome.verdict(Severity::Warn));
    findings.chain(undecided).chain([verdict]).collect()
}

/// Every address of a 64-bit kernel that the events have.
fn addresses(events: &[Event]) -> BTreeSet<u64> {
    fn collect(value: &Value, into: &mut BTreeSet<u64>) {
        match value {
            Value::String(text) => {
                let digits = text.strip_prefix("0x");
                let word = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                into.extend(word.filter(|word| *word >> 63 == 1 && *word < u64::MAX - 4095));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
            Value::Object(members) => members.values().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for event in events {
        collect(&serde_json::to_value(event).unwrap(), &mut found);
    }
    found
}

fn recordings() -> Vec<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut recordings = vec![
        package.join("demo/pvpanic-6.1.dvrt"),
        package.join("tests/cli/acme-bad.trace"),
    ];
    for directory in ["../docs/recordings", "tests/recordings"] {
        let entries = fs::read_dir(package.join(directory)).unwrap();
        recordings.extend(entries.map(|entry| entry.unwrap().path()));
    }
    recordings.sort();
    recordings
}

#[test]
fn redacted_recordings_are_judged_the_same() {
    let mut rules = BTreeSet::new();
    for path in recordings() {
        let (plain, redacted) = (read(&path, false), read(&path, true));
        let verdict = judged(&plain);
        rules.extend(verdict.split_whitespace().filter_map(|word| {
            let (rule, _) = word.split_once('/')?;
            Some(rule.to_owned())
        }));
        assert_eq!(judged(&redacted), verdict, "{}", path.display());
        let before = addresses(&plain.material.events);
        let after = addresses(&redacted.material.events);
        assert_eq!(before.len(), after.len(), "{}", path.display());
        assert!(before.is_disjoint(&after), "{}", path.display());
    }
    assert!(
        rules.len() > 20,
        "most rules have found something: {rules:?}"
    );
}

#[test]
fn no_form_shows_an_address_of_a_redacted_recording() {
    let mut shown = 0;
    for name in ["demo/pvpanic-6.1.dvrt", "../docs/recordings/dr013.dvrt"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let plain = read(&path, false).material;
        let redacted = read(&path, true).material;
        let addresses: Vec<String> = addresses(&plain.events)
            .into_iter()
            .flat_map(|address| [format!("{address:x}"), address.to_string()])
            .collect();
        let has = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).to_ascii_lowercase();
            addresses
                .iter()
                .any(|address| text.contains(address.as_str()))
        };
        for form in &FORMS {
            shown += u32::from(has(&(form.write)(&plain)));
            assert!(!has(&(form.write)(&redacted)), "{name}: {}", form.name);
        }
    }
    assert!(shown > 5, "unless it is redacted, addresses are shown");
}

#[test]
fn no_form_shows_a_serial_or_an_address_in_a_text() {
    const SERIALS: [&str; 3] = ["00:11:22:33:44:55", "0000aa12bb34", "ffff888007654321"];
    let mut story = Story::new();
    for (number, name) in (0..).zip(["hid-00:11:22:33:44:55", "28-0000aa12bb34"]) {
        let device = Dev(0xffff_8880_0500_0000 + number * 0x1000);
        let mut node = added(device.0 + 0x100, "0xffff888007654321", 8);
        node.payload = [0xffff_8880_0765_4321, 17, 0, 0];
        story
            .enter(device, Hook::Initialise)
            .named(device, name, "hid", "driver")
            .add(device, device.0 + 0x80, "ffff888007654321", 8)
            .snapshot(Dev(device.0 + 0x800), "driver", &[node]);
    }
    let mut information = read(&recordings()[0], false).material.information;
    information.coverage = whole();
    let mut redaction = devres_tracer::source::redaction::Redaction::new();
    let material = |events| Material {
        name: "serials".to_owned(),
        information: information.clone(),
        events,
        command: CommandEnd {
            command: "true".to_owned(),
            code: 0,
            signal: None,
        },
    };
    let redacted = story.events.iter().map(|event| redaction.event(event));
    let (redacted, plain) = (material(redacted.collect()), material(story.events.clone()));
    let mut shown = 0;
    for form in &FORMS {
        let write = |material| String::from_utf8_lossy(&(form.write)(material)).into_owned();
        let (plain, redacted) = (write(&plain), write(&redacted));
        for serial in SERIALS {
            shown += u32::from(plain.contains(serial));
            assert!(!redacted.contains(serial), "{}: {serial}", form.name);
        }
    }
    assert!(shown > 5, "unless it is redacted, serials are shown");
}
