//! Findings and what is said of a recording as a whole, as rows.

use super::{
    Recorded,
    schema::VERSION,
    table::Cell,
    words::{instance, maybe, maybe_time, name, sentences, time, word},
};
use crate::{
    engine::{Summary, Verdict},
    event::Time,
    finding::{Certainty, Finding},
};

/// The row of a recording. `extent` is from the first event to the last.
pub(super) fn recording(
    recorded: &Recorded<'_>,
    summary: &Summary,
    extent: Option<(Time, Time)>,
) -> [Cell; 29] {
    let information = recorded.information;
    let system = recorded.header.and_then(|header| header.system.as_ref());
    let filters: Vec<String> = information
        .filters
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut undecided: Vec<&str> = summary.undecided.iter().map(|one| one.rule).collect();
    undecided.dedup();
    [
        word(recorded.id),
        name(recorded.name),
        Cell::Number(VERSION),
        name(&information.tool),
        maybe(information.kernel.as_deref()),
        maybe(recorded.machine_name()),
        maybe(information.machine.as_deref()),
        maybe(system.and_then(|system| system.board.as_deref())),
        maybe(system.and_then(|system| system.version.as_deref())),
        Cell::or_null(system.and_then(|system| system.taint), Cell::number),
        Cell::or_null(recorded.microseconds(), Cell::Number),
        maybe_time(extent.map(|(first, _)| first)),
        maybe_time(extent.map(|(_, last)| last)),
        Cell::Flag(information.coverage.times),
        Cell::or_null(
            (!filters.is_empty()).then(|| filters.join(" and ")),
            Cell::Text,
        ),
        Cell::Flag(recorded.redacted),
        word(match summary.verdict {
            Verdict::Clean => "clean",
            Verdict::Findings => "findings",
            Verdict::Inconclusive => "inconclusive",
        }),
        Cell::number(summary.findings.error),
        Cell::number(summary.findings.warn),
        Cell::number(summary.findings.info),
        Cell::number(summary.events),
        Cell::number(summary.devices),
        Cell::number(summary.lost),
        Cell::number(summary.tainted),
        Cell::number(summary.misfits),
        Cell::number(summary.desyncs),
        sentences(&summary.problems),
        sentences(&summary.reasons),
        Cell::or_null(
            (!undecided.is_empty()).then(|| undecided.join(", ")),
            Cell::Text,
        ),
    ]
}

/// The row of a finding.
pub(super) fn finding(recording: &str, finding: &Finding) -> [Cell; 20] {
    let [address, generation] = instance(finding.instance);
    let cause = finding.caused_by.as_ref();
    [
        word(recording),
        word(finding.rule),
        word(finding.severity.name()),
        word(match finding.certainty {
            Certainty::Confirmed => "confirmed",
            Certainty::Likely => "likely",
        }),
        name(&finding.device),
        address,
        generation,
        maybe(finding.bus.as_deref()),
        maybe(finding.driver.as_deref()),
        name(&finding.fingerprint),
        Cell::number(finding.count),
        name(&finding.summary),
        name(&finding.meaning),
        time(finding.first),
        time(finding.last),
        Cell::number(finding.resources.len() as u64),
        maybe(cause.map(|cause| cause.device.as_str())),
        maybe(cause.and_then(|cause| cause.driver.as_deref())),
        Cell::Flag(finding.known.is_some_and(|known| !known.fixes.is_empty())),
        Cell::or_null(finding.known, |known| Cell::Text(known.text())),
    ]
}
