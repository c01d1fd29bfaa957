//! `devres-tracer diff`.

use std::{
    collections::BTreeSet,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Exit,
    debug_options::{DebugOptions, tell_remarks},
    judged::keep_wanted,
    pager::{PagerOptions, colours, unless_unread},
    reading,
    source_options::FilterOptions,
    usage::UsageError,
};
use crate::{
    diff::{Sameness, Side, compare},
    engine::Observer,
    event::{Event, EventKind, Text},
    evidence::SourceInformation,
    filter::DeviceFilter,
    history::{Histories, HistoryObserver, Limits, Window},
    model::{Change, Model},
    rules::RuleSet,
    run::{Purpose, Run, Wanted},
    sink::{
        Nowhere,
        diff::{Differences, write_json, write_text},
        page::Page,
    },
};

/// Compares two recordings or logs, device by device and probe by probe
///
/// Compares which resources were added and released, in which phase, by which function and in which order.
/// Addresses, times and tasks are ignored; sizes and a detach that detaches nothing are minor differences.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Diff {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    pager: PagerOptions,
    /// Compare device OLD of GOOD with device NEW of BAD; can be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = rename)]
    map: Vec<(String, String)>,
    /// Count minor differences too
    #[arg(long)]
    strict: bool,
    /// Write JSON lines, one object per difference
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    debug: DebugOptions,
    /// The first recording or log
    good: PathBuf,
    /// The second
    bad: PathBuf,
}

/// Shown under the help.
const EXIT_CODES: &str = "\
Exit codes:
  0  the same
  1  different
  2  usage error, or a text without events
  3  inconclusive: no difference found, but one of them shows too little
  4  could not run, or an input can't be read";

fn rename(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => {
            Ok((old.to_owned(), new.to_owned()))
        }
        _ => Err("give two device names, such as 0-0048=1-0048".to_owned()),
    }
}

/// What was read of one of the two.
struct Read {
    name: String,
    information: SourceInformation,
    histories: Histories,
    /// Why it could not be read to its end.
    damage: Option<String>,
    /// What keeps it from being all there was.
    problems: Vec<String>,
    /// Why nothing can be said of the devices that are wanted.
    gaps: Vec<String>,
    /// The names of its devices.
    names: BTreeSet<Text>,
}

impl Diff {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        if self.good.as_os_str() == "-" && self.bad.as_os_str() == "-" {
            return Err(UsageError::new("only one of the two can be standard input").into());
        }
        self.debug.keep_for_reading(None);
        let read = |path| read(path, &filter, &self.debug);
        let (good, bad) = (read(&self.good)?, read(&self.bad)?);
        for (old, new) in &self.map {
            for (name, side, read) in [(old, "GOOD", &good), (new, "BAD", &bad)] {
                if !read.names.contains(name.as_str()) {
                    let problem = format!("--map {old}={new}: {side} has no device {name}");
                    return Err(UsageError::new(problem).into());
                }
            }
        }
        let mut comparison = compare(good.side("GOOD"), bad.side("BAD"), &self.map);
        for (name, read) in [("GOOD", &good), ("BAD", &bad)] {
            if let Some(damage) = &read.damage {
                let reason =
                    format!("{name} is damaged; only the part before that was compared: {damage}");
                comparison.reasons.push(reason);
            }
            let problems = read.problems.iter();
            comparison
                .reasons
                .extend(problems.map(|problem| format!("{name} is incomplete: {problem}")));
            let gaps = read.gaps.iter();
            comparison
                .reasons
                .extend(gaps.map(|gap| format!("in {name} {gap}")));
        }
        let differences = Differences {
            good: (&good.name, &good.information, &good.histories),
            bad: (&bad.name, &bad.information, &bad.histories),
            comparison: &comparison,
            strict: self.strict,
        };
        let mut writer = BufWriter::new(self.pager.open());
        let written = if self.json {
            write_json(&differences, &mut writer)
        } else {
            write_text(&differences, &mut Page::new(&mut writer, colours()))
        };
        unless_unread(written.and_then(|()| writer.flush()))?;
        Ok(match comparison.sameness(self.strict) {
            Sameness::Same => Exit::Clean,
            Sameness::Different => Exit::Findings,
            Sameness::Inconclusive => Exit::Inconclusive,
        })
    }
}

impl Read {
    fn side<'a>(&'a self, name: &'a str) -> Side<'a> {
        Side {
            name,
            coverage: &self.information.coverage,
            histories: &self.histories,
        }
    }
}

/// Keeps the histories of devices, and all names that were reported.
struct Reader {
    histories: HistoryObserver,
    names: BTreeSet<Text>,
}

impl Observer for Reader {
    fn event(&mut self, event: &Event) {
        let identity = match &event.kind {
            EventKind::Device(identity) => Some(identity.as_ref()),
            EventKind::Snapshot(snapshot) => Some(&snapshot.identity),
            _ => None,
        };
        self.names
            .extend(identity.and_then(|identity| identity.name.clone()));
    }

    fn observe(&mut self, change: &Change, model: &Model) {
        self.histories.observe(change, model);
    }
}

fn read(path: &Path, filter: &DeviceFilter, debug: &DebugOptions) -> anyhow::Result<Read> {
    let mut recording = reading::open(path)?;
    debug.attach(&mut recording)?;
    let information = recording.information().clone();
    let wanted = Wanted::of_recording(filter.clone(), &recording);
    let reader = Reader {
        histories: HistoryObserver::new(Limits::default(), Window::default(), false),
        names: BTreeSet::new(),
    };
    let observers = (RuleSet::none(), reader);
    let mut nowhere = Nowhere;
    let run = Run::begin(
        &information,
        wanted,
        observers,
        Purpose::Transcribe,
        &mut nowhere,
    );
    let mut concluded = run.replay(&mut recording);
    tell_remarks(&recording);
    let damage = concluded.take_damage();
    let Reader { histories, names } = concluded.observer;
    let mut histories = histories.finish(concluded.engine.model());
    keep_wanted(&mut histories, filter);
    Ok(Read {
        name: path.display().to_string(),
        information,
        histories,
        damage,
        problems: concluded.summary.problems,
        gaps: concluded.summary.reasons,
        names,
    })
}
