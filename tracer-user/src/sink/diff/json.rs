//! A comparison as JSON lines. `docs/json.md` describes them.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    super::report::StepLine,
    Differences,
    sentences::{Which, half, sentence, subject},
};
use crate::{
    diff::{BindingComparison, Entry, Place, Renamed},
    history::DeviceHistory,
    sink::{json::First, schema::Schemas},
};

/// Writes the two recordings, each difference and the verdict: one object a line.
pub fn write_json(differences: &Differences<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let comparison = differences.comparison;
    line(
        writer,
        &First::of(Beginning {
            kind: "diff",
            good: Recorded::of(&differences.good),
            bad: Recorded::of(&differences.bad),
            renamed: comparison.renamed.iter().map(RenamedLine::of).collect(),
        }),
    )?;
    for device in &comparison.devices {
        for history in &device.histories {
            for binding in &history.bindings {
                for difference in &binding.differences {
                    let at = |which, place: Option<Place>| {
                        place.and_then(|place| PlaceLine::of(binding, which, place))
                    };
                    let named = history.good.or(history.bad).map(|(_, history)| history);
                    line(
                        writer,
                        &DifferenceLine {
                            kind: "difference",
                            device: named.map(name).unwrap_or_default(),
                            device_in_bad: history.bad.map(|(_, history)| name(history)),
                            bus: named
                                .and_then(|history| history.bus.as_deref().map(str::to_owned)),
                            driver: named
                                .and_then(|history| history.driver.as_deref().map(str::to_owned)),
                            lives: [history.good, history.bad]
                                .map(|history| history.map(|(number, _)| number)),
                            probes: [Which::Good, Which::Bad]
                                .map(|which| Some(half(binding, which)?.binding.number)),
                            difference: difference.kind.name(),
                            minor: difference.minor && !differences.strict,
                            summary: sentence(binding, difference),
                            good: at(Which::Good, difference.good),
                            bad: at(Which::Bad, difference.bad),
                        },
                    )?;
                }
            }
        }
    }
    let (minor, major): (Vec<_>, Vec<_>) = comparison
        .differences()
        .partition(|difference| difference.minor && !differences.strict);
    line(
        writer,
        &DiffSummary {
            kind: "diff_summary",
            verdict: comparison.sameness(differences.strict).name(),
            devices: comparison.compared,
            different_devices: comparison.devices.len(),
            differences: major.len(),
            minor: minor.len(),
            reasons: &comparison.reasons,
        },
    )
}

/// Adds the schemas of the lines of a comparison.
pub(in crate::sink) fn add_schemas(schemas: &mut Schemas) {
    schemas.add::<First<Beginning<'_>>>("diff");
    schemas.add::<DifferenceLine>("difference");
    schemas.add::<DiffSummary<'_>>("diff_summary");
}

fn line(writer: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    crate::sink::json_text::write(&mut *writer, object)?;
    writer.write_all(b"\n")
}

fn name(history: &DeviceHistory) -> String {
    history.name.as_deref().unwrap_or_default().to_owned()
}

#[derive(Serialize, JsonSchema)]
struct Beginning<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    good: Recorded<'a>,
    bad: Recorded<'a>,
    renamed: Vec<RenamedLine<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Recorded<'a> {
    name: &'a str,
    kernel: Option<&'a str>,
    machine: Option<&'a str>,
    first: Option<u64>,
    last: Option<u64>,
    lost: u64,
}

impl<'a> Recorded<'a> {
    fn of(
        (name, source, histories): &(
            &'a str,
            &'a super::SourceInformation,
            &'a crate::history::Histories,
        ),
    ) -> Self {
        Self {
            name,
            kernel: source.kernel.as_deref(),
            machine: source.machine.as_deref(),
            first: histories.extent.map(|(first, _)| first.0),
            last: histories.extent.map(|(_, last)| last.0),
            lost: histories.lost,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct RenamedLine<'a> {
    good: &'a str,
    bad: &'a str,
    why: &'a str,
}

impl<'a> RenamedLine<'a> {
    fn of(renamed: &'a Renamed) -> Self {
        Self {
            good: &renamed.good,
            bad: &renamed.bad,
            why: renamed.why,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct DifferenceLine {
    #[serde(rename = "type")]
    kind: &'static str,
    device: String,
    device_in_bad: Option<String>,
    bus: Option<String>,
    driver: Option<String>,
    /// The numbers of the lives in the first and the second.
    lives: [Option<usize>; 2],
    probes: [Option<u32>; 2],
    difference: &'static str,
    minor: bool,
    summary: String,
    good: Option<PlaceLine>,
    bad: Option<PlaceLine>,
}

#[derive(Serialize, JsonSchema)]
struct PlaceLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<StepLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    had: Option<String>,
    behind: Option<String>,
    before: Option<String>,
}

impl PlaceLine {
    fn of(binding: &BindingComparison<'_>, which: Which, place: Place) -> Option<Self> {
        let half = half(binding, which)?;
        let neighbour = |place: Option<usize>| place.map(|place| subject(binding, which, place));
        let (step, had) = match half.entries.get(place.entry)? {
            Entry::Step(step) => (Some(StepLine::of(step, half.names)), None),
            Entry::Had(_) => (None, Some(subject(binding, which, place.entry))),
        };
        Some(Self {
            step,
            had,
            behind: neighbour(place.behind),
            before: neighbour(place.before),
        })
    }
}

#[derive(Serialize, JsonSchema)]
struct DiffSummary<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    verdict: &'static str,
    devices: u64,
    different_devices: usize,
    differences: usize,
    minor: usize,
    reasons: &'a [String],
}
