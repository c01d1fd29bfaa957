//! A recording that lost, doubled or swapped something on its way accuses nobody who was not accused before.
//!
//! Each text and each stream of events is judged whole, and then after every accident that can happen to one
//! of its lines or events, or to a block of them. What an accident adds must not be an error; what it adds of
//! warnings is counted in docs/robustness.md.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod events;
mod guests;
#[path = "../operations/mod.rs"]
mod operations;
mod perturb;
mod render;
#[path = "../support/mod.rs"]
mod support;
mod texts;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::Cursor,
    ops::ControlFlow,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use devres_tracer::{
    engine::{Engine, Outcome, Verdict},
    event::Event,
    evidence::Coverage,
    finding::Severity,
    rules::RuleSet,
    source::recording::Recording,
};
use perturb::Kind;

/// What is compared of a verdict.
#[derive(Debug, Clone)]
pub(crate) struct Judgement {
    findings: BTreeSet<(String, Severity)>,
    verdict: Verdict,
}

impl Judgement {
    /// Whether it has this finding, at least as bad. Names and the innermost parts may be among what was lost.
    fn has(&self, fingerprint: &str, severity: Severity) -> bool {
        self.findings.iter().any(|(known, worst)| {
            let mut parts = known.split('/').zip(fingerprint.split('/'));
            *worst >= severity
                && known.split('/').count() >= fingerprint.split('/').count()
                && parts.all(|(known, found)| known == found || found == "?")
        })
    }

    /// Whether nobody is accused of anything.
    pub(crate) fn is_innocent(&self) -> bool {
        self.findings
            .iter()
            .all(|(_, severity)| *severity == Severity::Info)
    }
}

impl From<Outcome> for Judgement {
    fn from(outcome: Outcome) -> Self {
        let verdict = outcome.verdict(Severity::Warn);
        let findings = outcome
            .findings
            .into_iter()
            .map(|finding| (finding.fingerprint, finding.severity))
            .collect();
        Self { findings, verdict }
    }
}

/// What all rules say of a recording; `None` where it is refused.
pub(crate) fn judge(content: Vec<u8>) -> Option<Judgement> {
    let mut recording = Recording::read(Box::new(Cursor::new(content)), "-".to_owned()).ok()?;
    let coverage = Arc::new(recording.information().coverage.clone());
    let mut engine = Engine::new(coverage, RuleSet::all());
    let read = recording.for_each(|event| {
        engine.apply(event);
        ControlFlow::Continue(())
    });
    read.ok()?;
    Some(engine.finish().into())
}

/// What all rules say of these events.
pub(crate) fn judge_events<'e>(
    events: impl IntoIterator<Item = &'e Event>,
    coverage: &Coverage,
) -> Judgement {
    let mut engine = Engine::new(Arc::new(coverage.clone()), RuleSet::all());
    for event in events {
        engine.apply(event);
    }
    engine.finish().into()
}

/// What accidents have added.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accidents: BTreeMap<Kind, u64>,
    warnings: BTreeMap<(String, Kind), u64>,
    /// Verdicts that became CLEAN.
    gone: BTreeMap<Kind, u64>,
    wrong: Vec<String>,
    /// New errors after accidents to several events that nothing counted, where these are no mistake.
    tolerated: Option<BTreeMap<Kind, u64>>,
}

/// Wrong verdicts that are reported in full.
const TOLD: usize = 40;

impl Tally {
    /// Compares what is said after an accident with what was said before it.
    pub(crate) fn compare(
        &mut self,
        (input, kind, at): (&str, Kind, usize),
        before: &Judgement,
        after: &Judgement,
    ) {
        *self.accidents.entry(kind).or_default() += 1;
        for (fingerprint, severity) in &after.findings {
            if before.has(fingerprint, *severity) {
                continue;
            }
            match severity {
                Severity::Error => {
                    if let (Some(tolerated), Kind::Deleted(2..) | Kind::Swapped(2..)) =
                        (&mut self.tolerated, kind)
                    {
                        *tolerated.entry(kind).or_default() += 1;
                        println!("{input}: {kind} at {at}: {fingerprint}");
                        continue;
                    }
                    self.wrong
                        .push(format!("{input}: {kind} at {at}: {fingerprint}"));
                }
                Severity::Warn => {
                    if std::env::var_os("SHOW_WARNINGS").is_some() {
                        eprintln!("{input}: {kind} at {at}: warning {fingerprint}");
                    }
                    let rule = fingerprint.split('/').next().unwrap_or_default().to_owned();
                    *self.warnings.entry((rule, kind)).or_default() += 1;
                }
                Severity::Info => {}
            }
        }
        if before.verdict == Verdict::Clean || after.verdict != Verdict::Clean {
            return;
        }
        if matches!(kind, Kind::Deleted(2..)) {
            // A whole operation is gone, from its first event to its last: nothing is left that could say.
            *self.gone.entry(kind).or_default() += 1;
        } else {
            self.wrong.push(format!(
                "{input}: {kind} at {at}: CLEAN instead of {:?}",
                before.verdict
            ));
        }
    }

    /// Fails where an accident made an accusation, or took a doubt away.
    pub(crate) fn check(&self) {
        assert!(!self.accidents.is_empty(), "nothing was tried");
        let told: Vec<_> = self.wrong.iter().take(TOLD).cloned().collect();
        assert!(
            self.wrong.is_empty(),
            "{} wrong verdicts:\n{}",
            self.wrong.len(),
            told.join("\n")
        );
    }

    /// The table of what was added, for people.
    pub(crate) fn table(&self) -> String {
        let rules: BTreeSet<&String> = self.warnings.keys().map(|(rule, _)| rule).collect();
        let mut table =
            String::from("| accident | tried | new errors | became CLEAN | new warnings |");
        for rule in &rules {
            let _ = write!(table, " {rule} |");
        }
        table.push_str("\n|---|---:|---:|---:|---:|");
        for _ in &rules {
            table.push_str("---:|");
        }
        for (kind, tried) in &self.accidents {
            let of = |rule: &String| self.warnings.get(&(rule.clone(), *kind)).copied();
            let all: u64 = rules.iter().filter_map(|rule| of(rule)).sum();
            let gone = self.gone.get(kind).copied().unwrap_or(0);
            let errors = self.tolerated.as_ref().and_then(|of| of.get(kind));
            let errors = errors.copied().unwrap_or(0);
            let _ = write!(table, "\n| {kind} | {tried} | {errors} | {gone} | {all} |");
            for rule in &rules {
                let _ = write!(table, " {} |", of(rule).unwrap_or(0));
            }
        }
        table.push('\n');
        table
    }

    /// Fails where the document says something else than what was counted. With `UPDATE_TABLES` set it writes that
    /// there.
    pub(crate) fn check_table(&self, name: &str) {
        static WRITING: Mutex<()> = Mutex::new(());
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/robustness.md");
        let lock = WRITING.lock();
        let document = fs::read_to_string(&path).unwrap();
        let begin = format!("<!-- begin {name} -->\n");
        let end = format!("<!-- end {name} -->\n");
        let (before, rest) = document.split_once(&begin).unwrap();
        let (written, after) = rest.split_once(&end).unwrap();
        let table = self.table();
        if std::env::var_os("UPDATE_TABLES").is_some() {
            fs::write(&path, [before, &begin, &table, &end, after].concat()).unwrap();
        } else {
            assert_eq!(written, table, "docs/robustness.md: {name}");
        }
        drop(lock);
    }
}
