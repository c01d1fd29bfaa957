//! What a check comes to: groups of tests, ready to be reported in any form.

use std::{sync::Arc, time::Duration};

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    engine::Verdict,
    evidence::{CommandEnd, LostBy},
    finding::{Finding, text::Text},
    kernel::Kernel,
};

/// How a test ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It held.
    Passed,
    /// It was not run, and that leaves nothing open.
    Skipped,
    /// It failed as expected.
    Excused,
    /// There is something to report that doesn't fail the run.
    Noted,
    /// It can't be said, because not everything was seen that it takes.
    Inconclusive,
    /// It failed.
    Failed,
}

impl Status {
    /// In one word: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Excused => "excused",
            Self::Noted => "noted",
            Self::Inconclusive => "inconclusive",
            Self::Failed => "failed",
        }
    }
}

/// A test: a rule on a device, an assertion, a limit, an expectation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Test {
    /// Its name, unique in its group.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Why, in a line; may be empty.
    pub message: String,
    /// More about it, in lines, where that is no finding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// What makes it the same in every run, where it can be expected to fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What was found, for a rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Judged>,
}

impl Test {
    /// All that is reported beside the message: for a rule, what it found in full.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        if self.findings.is_empty() {
            return self.lines.clone();
        }
        let mut lines = Vec::new();
        for judged in &self.findings {
            let text = Text(&judged.finding).to_string();
            lines.extend(text.lines().map(str::to_owned));
            // Of a single one the message has it.
            if !judged.note.is_empty() && self.findings.len() > 1 {
                lines.push(format!("  {}", judged.note));
            }
        }
        lines
    }

    /// A test that has nothing more to say.
    #[must_use]
    pub fn new(name: impl Into<String>, status: Status, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status,
            message: message.into(),
            lines: Vec::new(),
            fingerprint: None,
            findings: Vec::new(),
        }
    }

    /// A test of an exercise that has failed, which can be expected.
    pub(super) fn failed_exercise(name: &str, message: String, lines: Vec<String>) -> Self {
        Self {
            lines,
            fingerprint: Some(format!("exercise/{}", name.replace(' ', "-"))),
            ..Self::new(name, Status::Failed, message)
        }
    }
}

/// A finding, and what the policy says of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Judged {
    /// What it does to the run.
    pub status: Status,
    /// Why it is excused, or why no longer; may be empty.
    pub note: String,
    /// The finding.
    pub finding: Finding,
}

/// What the tests of a group are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// Whether everything was seen.
    Evidence,
    /// A device.
    Device,
    /// Assertions.
    Assertions,
    /// Expectations.
    Expectations,
    /// Unbinding and binding again.
    Exercise,
}

/// Tests that belong together.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Group {
    /// What they are about.
    pub kind: GroupKind,
    /// Its name, unique in a run.
    pub name: String,
    /// The device's bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// The device's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The device's driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The path of the driver's source, if the policy names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The tests; those of devices that came to the same are kept once.
    pub tests: Arc<[Test]>,
}

impl Group {
    /// A group that is about no device.
    #[must_use]
    pub fn new(kind: GroupKind, name: &str, tests: Vec<Test>) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            bus: None,
            device: None,
            driver: None,
            source: None,
            tests: tests.into(),
        }
    }

    /// The worst status of its tests; that a test was skipped doesn't count beside one that passed.
    #[must_use]
    pub fn status(&self) -> Status {
        let worst = self.tests.iter().map(|test| test.status).max();
        let passed = self.tests.iter().any(|test| test.status == Status::Passed);
        match worst {
            Some(Status::Skipped) if passed => Status::Passed,
            Some(worst) => worst,
            None => Status::Skipped,
        }
    }
}

/// What a check comes to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "check")]
pub struct Results {
    /// The version of the tool that judged.
    pub tool: String,
    /// The kernel's release, if known.
    pub kernel: Option<String>,
    /// The machine's architecture, if known.
    pub machine: Option<String>,
    /// The day of the run, in UTC.
    #[serde(serialize_with = "date")]
    #[schemars(with = "String", extend("format" = "date"))]
    pub date: Date,
    /// The verdict.
    pub verdict: Verdict,
    /// How the command ended that was run; it does nothing to the verdict.
    pub command: Option<CommandEnd>,
    /// From the first event to the last; zero where the events have no times.
    #[serde(skip)]
    pub duration: Duration,
    /// Events seen.
    pub events: u64,
    /// Events lost.
    pub lost: u64,
    /// Where they were lost, as far as the kernel side reports it.
    pub lost_by: Vec<LostBy>,
    /// The tests.
    pub groups: Vec<Group>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn date<S: serde::Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

impl Results {
    /// The result of a run that could not be judged: this test says why. The kernel is that of this machine, where it
    /// was to be tested.
    #[must_use]
    pub fn without_run(kernel: Option<&Kernel>, date: Date, test: Test) -> Self {
        let groups = vec![Group::new(GroupKind::Evidence, "evidence", vec![test])];
        Self {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: kernel.map(|kernel| kernel.release.clone()),
            machine: kernel.map(|kernel| kernel.machine.clone()),
            date,
            verdict: match Self::verdict_of(&groups) {
                Verdict::Findings => Verdict::Findings,
                Verdict::Clean | Verdict::Inconclusive => Verdict::Inconclusive,
            },
            command: None,
            duration: Duration::ZERO,
            events: 0,
            lost: 0,
            lost_by: Vec::new(),
            groups,
        }
    }

    /// How many tests ended like this.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.tests()
            .filter(|(_, test)| test.status == status)
            .count()
    }

    /// All tests with their groups.
    pub fn tests(&self) -> impl Iterator<Item = (&Group, &Test)> {
        self.groups
            .iter()
            .flat_map(|group| group.tests.iter().map(move |test| (group, test)))
    }

    /// The verdict that follows from the tests.
    pub(super) fn verdict_of(groups: &[Group]) -> Verdict {
        match groups.iter().map(Group::status).max() {
            Some(Status::Failed) => Verdict::Findings,
            Some(Status::Inconclusive) => Verdict::Inconclusive,
            _ => Verdict::Clean,
        }
    }

    /// The whole in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Clean => "PASS",
            Verdict::Findings => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
        };
        let mut counts = Vec::new();
        for status in [
            Status::Passed,
            Status::Failed,
            Status::Inconclusive,
            Status::Excused,
            Status::Noted,
            Status::Skipped,
        ] {
            let count = self.count(status);
            if count > 0 || matches!(status, Status::Passed | Status::Failed) {
                counts.push(format!("{count} {}", status.name()));
            }
        }
        format!("{verdict}: {}", counts.join(", "))
    }
}
