//! Keeping what is on the screen: a finding as text, what is held as a trace.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use crate::{
    escape::escape,
    event::Event,
    evidence::{SourceEnd, SourceInformation},
    finding::text::Text,
    rules::RuleSet,
    run::{Purpose, Run, Wanted},
    sink::json::JsonSink,
    trace_file::{self, End, EndedBy, Header, TraceFileWriter, continuation},
    tui::playback::Playback,
};

/// Why something was not saved.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    /// The file could not be made, or is there already.
    #[error("{0} can't be written: {1}")]
    Write(String, io::Error),
    /// There is nothing to save.
    #[error("nothing to save")]
    Nothing,
}

/// Creates a file that is not there yet, for its owner alone: it may hold kernel addresses.
fn create(path: &str) -> Result<BufWriter<File>, SaveError> {
    trace_file::create(Path::new(path), false)
        .map(BufWriter::new)
        .map_err(|error| SaveError::Write(escape(path), error))
}

/// Saves a finding as text. Returns the message to show.
pub(super) fn finding(playback: &Playback, number: usize, path: &str) -> Result<String, SaveError> {
    let finding = playback
        .history()
        .findings()
        .get(number)
        .ok_or(SaveError::Nothing)?;
    let mut file = create(path)?;
    write!(file, "{}", Text(finding))
        .and_then(|()| file.flush())
        .map_err(|error| SaveError::Write(escape(path), error))?;
    Ok(format!("{} saved as {}", finding.rule, escape(path)))
}

/// Whether a file of this name is to hold JSON lines; otherwise it is a trace file.
fn is_lines(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|kind| kind == "jsonl" || kind == "json")
}

/// Saves every event that is held. What was forgotten before them is reported as a snapshot.
pub(super) fn trace(
    playback: &Playback,
    information: &SourceInformation,
    path: &str,
) -> Result<String, SaveError> {
    let mut file = create(path)?;
    let failed = |error| SaveError::Write(escape(path), error);
    let history = playback.history();
    let mut information = information.clone();
    let mut first = Vec::new();
    if history.first() > 0
        && let Some(beginning) = history.beginning()
    {
        information.coverage = continuation::coverage(&information.coverage);
        first = continuation::events(beginning);
    }
    let events = first.iter().chain(history.events());
    let count = if is_lines(path) {
        write_lines(&mut file, &information, events)
    } else {
        write_trace(&mut file, &information, events)
    }
    .and_then(|count| file.flush().map(|()| count))
    .map_err(failed)?;
    Ok(format!("{count} events saved as {}", escape(path)))
}

fn write_trace<'a>(
    file: &mut BufWriter<File>,
    information: &SourceInformation,
    events: impl Iterator<Item = &'a Event>,
) -> io::Result<u64> {
    let header = Header::of_recording(information.clone());
    let mut writer = TraceFileWriter::begin(file, &header)?;
    let mut count = 0;
    for event in events {
        writer.event(event)?;
        count += 1;
    }
    writer.finish(End {
        ended: Some(EndedBy::Run),
        ..End::default()
    })?;
    Ok(count)
}

fn write_lines<'a>(
    file: &mut BufWriter<File>,
    information: &SourceInformation,
    events: impl Iterator<Item = &'a Event>,
) -> io::Result<u64> {
    let mut sink = JsonSink::new(file, true);
    // The names that the lines carry are those that the model knows at each of them, and without a summary
    // at their end they would count as cut off.
    let rules = (RuleSet::checked(), ());
    let wanted = Wanted::default();
    let mut run = Run::begin(information, wanted, rules, Purpose::Transcribe, &mut sink);
    let mut count = 0;
    for event in events {
        run.event(event);
        count += 1;
    }
    run.end(SourceEnd::default()).written.map(|()| count)
}
