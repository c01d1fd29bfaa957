//! `devres-tracer report`.

use std::{
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit,
    debug_options::DebugOptions,
    files::{create_file, refuse_same},
    judged::{Judged, ReportOptions},
    pager::{PagerOptions, colours, unless_unread},
    rules::RuleOptions,
    say::shown,
    source_options::FilterOptions,
    trace::{EXIT_CODES, severity},
    usage::UsageError,
};
use crate::{
    command::time::{self, TimeArgument},
    engine::Verdict,
    escape::Escaped,
    finding::Severity,
    history::{Limits, ResourceSearch, Wish},
    sink::{
        html::{self, write_html},
        mail::{Mail, write_mail},
        page::{Page, WIDTH},
        report::{Report as Contents, Search, write_json, write_resources, write_text},
        text::write_summary_in,
    },
};

/// Shows the life of each device in a recording or log, and the findings
///
/// For each device: its probes, the resources it held when bound, the order of their release, and what was left
/// at the end. Devices that held nothing are only counted.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
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
    #[arg(long, value_name = "PAGE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Write a plain text for a mailing list: machine, kernel, findings, call sites, a command to reproduce each, and what
    /// was not seen; without paths, users and hosts
    #[arg(long, conflicts_with_all = ["json", "html", "all"])]
    mail: bool,
    /// With --mail: show whole call stacks
    #[arg(long, requires = "mail")]
    stacks: bool,
    /// Show each life of one resource instead: who asked for it, and everything that happened until it was gone. NAME is
    /// its name in the kernel's log, its action or release function, or a glob; ADDRESS its own, or one in the memory that
    /// it is
    #[arg(
        long,
        value_name = "NAME|ADDRESS",
        conflicts_with_all = ["json", "html", "mail", "all", "since", "until"]
    )]
    resource: Option<String>,
    /// Show tokens instead of addresses, serials and host name: the same token wherever the value occurs
    #[arg(long)]
    redact: bool,
    /// The lowest severity of findings that count: info, warn or error
    #[arg(long, value_name = "SEVERITY", default_value = "error", value_parser = severity)]
    fail_on: Severity,
    #[command(flatten)]
    debug: DebugOptions,
    /// The recording or log, or - for standard input; with --html several, which are compared with the first
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A page with more recordings is not headed by their names.
const MOST_NAMES: usize = 4;

impl Report {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        for file in &self.files {
            refuse_same(Some(file), self.html.as_deref())?;
        }
        self.debug.keep_for_reading(self.html.as_deref());
        if let Some(page) = &self.html {
            return self.write_page(page);
        }
        let [file] = self.files.as_slice() else {
            let problem =
                "several recordings can only be shown on a page: give --html PAGE, or one FILE";
            return Err(UsageError::new(problem).into());
        };
        if let Some(resource) = &self.resource {
            return self.write_resources(resource, file);
        }
        let options = self.options(file, Limits::default())?;
        let judged = Judged::read(file, self.rules.rules()?, &options)?;
        let (contents, summary) = (judged.report(), &judged.summary);
        let mut writer = BufWriter::new(self.pager.open());
        let written = if self.json {
            write_json(&contents, &mut writer)
        } else if self.mail {
            let mail = Mail {
                report: contents,
                header: judged.header.as_ref(),
                machine: judged.machine.as_ref(),
                whole_stacks: self.stacks,
            };
            write_mail(&mail, &mut writer)
        } else {
            write_text(&contents, &mut Page::new(&mut writer, colours()))
        };
        unless_unread(written.and_then(|()| writer.flush()))?;
        Ok(summary.verdict.into())
    }

    fn options(&self, file: &Path, limits: Limits) -> anyhow::Result<ReportOptions> {
        Ok(ReportOptions {
            filter: self.filter.filter()?,
            window: time::window(self.since, self.until, file)?,
            fail_on: self.fail_on,
            limits,
            all: self.all,
            redact: self.redact,
            debug: self.debug.clone(),
        })
    }

    /// The verdict is the worst of the recordings'.
    fn write_page(&self, path: &Path) -> anyhow::Result<Exit> {
        let inputs = self.files.iter().filter(|file| file.as_os_str() == "-");
        if inputs.count() > 1 {
            return Err(UsageError::new("only one recording can be standard input").into());
        }
        let read = |file: &PathBuf| {
            let options = self.options(file, Limits::for_a_picture())?;
            Judged::read(file, self.rules.rules()?, &options)
        };
        let judged = self.files.iter().map(read);
        let judged = judged.collect::<anyhow::Result<Vec<Judged>>>()?;
        let reports: Vec<Contents<'_>> = judged.iter().map(Judged::report).collect();
        let names: Vec<&str> = reports.iter().map(|report| report.name).collect();
        let title = if names.len() > MOST_NAMES {
            format!("{} recordings", names.len())
        } else {
            names.join(", ")
        };
        let page = html::Page {
            title: &title,
            reports: &reports,
            results: None,
        };
        let failed = || format!("{} can't be written", shown(path));
        let mut writer = BufWriter::new(create_file(path)?);
        write_html(&page, &mut writer).with_context(failed)?;
        writer.flush().with_context(failed)?;
        let mut writer = io::stdout().lock();
        let told = reports.iter().try_for_each(|report| {
            if reports.len() > 1 {
                writeln!(writer, "{}", Escaped(report.name))?;
            }
            write_summary_in(WIDTH, &mut writer, report.summary)
        });
        unless_unread(told)?;
        let verdicts = reports.iter().map(|report| report.summary.verdict);
        let verdicts: Vec<Verdict> = verdicts.collect();
        let worst = [Verdict::Findings, Verdict::Inconclusive];
        let worst = worst.into_iter().find(|one| verdicts.contains(one));
        Ok(worst.unwrap_or(Verdict::Clean).into())
    }

    fn write_resources(&self, wanted: &str, file: &Path) -> anyhow::Result<Exit> {
        let wish = Wish::of(wanted).map_err(|error| UsageError::new(error.to_string()))?;
        let search = ResourceSearch::new(wish);
        let options = self.options(file, Limits::for_a_picture())?;
        let rules = self.rules.rules()?;
        let (mut judged, search) = Judged::read_beside(file, rules, &options, search)?;
        let (found, hidden) = search.finish();
        if found.is_empty() {
            let gap = format!("no resource matches {}", Escaped(wanted));
            judged.summary.doubt(gap);
        }
        let search = Search {
            wanted,
            found: &found,
            hidden,
        };
        let mut writer = BufWriter::new(self.pager.open());
        let written = write_resources(
            &judged.report(),
            &search,
            &mut Page::new(&mut writer, colours()),
        );
        unless_unread(written.and_then(|()| writer.flush()))?;
        Ok(judged.summary.verdict.into())
    }
}
