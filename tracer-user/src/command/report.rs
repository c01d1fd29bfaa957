//! `devres-tracer report`.

use std::{
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit,
    files::{create_file, refuse_same},
    pager::{PagerOptions, colours, unless_unread},
    reading,
    rules::RuleOptions,
    say::shown,
    source_options::FilterOptions,
    trace::{EXIT_CODES, severity},
};
use crate::{
    command::time::{self, TimeArgument},
    filter::DeviceFilter,
    finding::Severity,
    history::{Histories, HistoryObserver, Limits},
    run::{Purpose, Run, Wanted},
    sink::{
        Nowhere,
        html::write_html,
        page::{Page, WIDTH},
        report::{Report as Contents, write_json, write_text},
        text::write_summary_in,
    },
};

/// Shows the life of each device in a recording or log, and the findings
///
/// For each device: its probes, the resources it held when bound, the order of their release, and what was left
/// at the end. Devices that held nothing are only counted.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\n{EXIT_CODES}", time::HOW))]
pub(super) struct Report {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    pager: PagerOptions,
    /// Show only what happened at this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<TimeArgument>,
    /// Show only what happened at this time or earlier
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<TimeArgument>,
    /// Also show devices that held nothing
    #[arg(long)]
    all: bool,
    /// Write JSON lines, one object per life and finding
    #[arg(long)]
    json: bool,
    /// Write the report as one page of HTML with a picture of all devices over time to this file
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// The lowest severity of findings that count: info, warn or error
    #[arg(long, value_name = "SEVERITY", default_value = "error", value_parser = severity)]
    fail_on: Severity,
    /// The recording or log, or - for standard input
    file: PathBuf,
}

impl Report {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let rules = self.rules.rules()?;
        refuse_same(Some(&self.file), self.html.as_deref())?;
        let window = time::window(self.since, self.until, &self.file)?;
        let mut recording = reading::open(&self.file)?;
        let information = recording.information().clone();
        let wanted = Wanted::of_recording(filter.clone(), &recording).within(window);
        let limits = if self.html.is_some() {
            Limits::for_a_picture()
        } else {
            Limits::default()
        };
        let observers = (rules, HistoryObserver::new(limits, window, self.all));
        let purpose = Purpose::Judge(self.fail_on);
        let mut nowhere = Nowhere;
        let run = Run::begin(&information, wanted, observers, purpose, &mut nowhere);
        let mut concluded = run.replay(&mut recording);
        let damage = concluded.take_damage();
        let mut histories = concluded.observer.finish(concluded.engine.model());
        keep_wanted(&mut histories, &filter);
        let mut summary = concluded.summary;
        // It lists no events: how many were wanted says nothing here.
        summary.chosen_events = None;
        let contents = Contents {
            name: &self.file.display().to_string(),
            source: &information,
            histories: &histories,
            findings: &concluded.findings,
            summary: &summary,
            damage: damage.as_deref(),
        };
        if let Some(path) = &self.html {
            write_page(&contents, path)?;
            let mut writer = io::stdout().lock();
            unless_unread(write_summary_in(WIDTH, &mut writer, &summary))?;
            return Ok(summary.verdict.into());
        }
        let mut writer = BufWriter::new(self.pager.open());
        let written = if self.json {
            write_json(&contents, &mut writer)
        } else {
            write_text(&contents, &mut Page::new(&mut writer, colours()))
        };
        unless_unread(written.and_then(|()| writer.flush()))?;
        Ok(summary.verdict.into())
    }
}

/// Writes the page to a file that is begun anew.
fn write_page(contents: &Contents<'_>, path: &Path) -> anyhow::Result<()> {
    let failed = || format!("{} can't be written", shown(path));
    let mut writer = BufWriter::new(create_file(path)?);
    write_html(contents, &mut writer).with_context(failed)?;
    writer.flush().with_context(failed)
}

/// Keeps the lives that the filter wants.
pub(super) fn keep_wanted(histories: &mut Histories, filter: &DeviceFilter) {
    if filter.is_empty() {
        return;
    }
    histories.uneventful = 0;
    histories.devices.retain(|history| {
        let name = history.name.as_deref().unwrap_or_default();
        filter.wants_names(name, history.driver.as_deref(), history.bus.as_deref())
    });
}
