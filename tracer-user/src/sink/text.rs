//! Lines for people.

mod summary;
mod words;

use std::io::{self, Write};

use super::{Sink, page::Tone};
use crate::{
    engine::{Summary, Verdict},
    escape::Escaped,
    event::{Event, EventKind, LossCause, Time},
    evidence::{Before, NodeEvents, SourceInformation},
    finding::{self, Finding, Severity},
    model::Model,
    number::plural,
    sink::reported::Reported,
};
pub use summary::write_summary_in;
pub(crate) use words::words;

/// The widest line that is wrapped, where no terminal says otherwise.
const WIDTH: usize = 100;
/// Missing hooks that are named one by one.
const MOST_HOOKS: usize = 12;

/// Writes lines for people.
pub struct TextSink<W> {
    writer: W,
    events: bool,
    /// Columns, for what is wrapped.
    width: usize,
    colours: bool,
    /// Times are counted from the first event.
    began: Option<Time>,
    told: Reported,
}

impl<W: Write> TextSink<W> {
    /// Writes to `writer`; without `events` only findings, losses and the summary.
    pub const fn new(writer: W, events: bool) -> Self {
        Self {
            writer,
            events,
            width: WIDTH,
            colours: false,
            began: None,
            told: Reported::new(),
        }
    }

    /// Wraps findings and the summary at this column, and colours their first lines if that is wanted.
    #[must_use]
    pub fn for_terminal(self, width: usize, colours: bool) -> Self {
        Self {
            width,
            colours,
            ..self
        }
    }

    fn write_finding(&mut self, finding: &Finding) -> io::Result<()> {
        let tone = match finding.severity {
            Severity::Error => Tone::Bad,
            Severity::Warn => Tone::Doubtful,
            Severity::Info => Tone::Heading,
        };
        let width = self.width;
        writeln!(self.writer)?;
        self.write_under(tone, &format!("{:width$}\n", finding::text::Text(finding)))
    }

    /// Writes lines of which the first has a tone.
    fn write_under(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        if self.colours {
            let style = tone.style();
            writeln!(self.writer, "{style}{first}{style:#}")?;
        } else {
            writeln!(self.writer, "{first}")?;
        }
        self.writer.write_all(rest.as_bytes())
    }
}

impl<W: Write> Sink for TextSink<W> {
    fn begin(&mut self, source: &SourceInformation) -> io::Result<()> {
        if let Some(kernel) = &source.kernel {
            writeln!(self.writer, "kernel {}", Escaped(kernel))?;
        }
        if let Before::Unknown(reason) = &source.coverage.before {
            writeln!(
                self.writer,
                "resources from before the trace are unknown: {}",
                Escaped(reason)
            )?;
        }
        if source.coverage.nodes == NodeEvents::Concluded {
            writeln!(
                self.writer,
                "this kernel doesn't log releases: they are inferred from the functions that release"
            )?;
        }
        let coverage = &source.coverage;
        let unseen = coverage
            .missing()
            .map(|(hook, reason)| (hook, "not seen".to_owned(), reason));
        let useless = coverage.of_no_use().map(|untold| {
            let what = format!("seen without {}", untold.role.name());
            (untold.hook, what, untold.reason.as_str())
        });
        let mut reasons: Vec<(String, &str, Vec<&str>)> = Vec::new();
        for (hook, what, reason) in unseen.chain(useless) {
            let mut known = reasons.iter_mut();
            match known.find(|known| known.0 == what && known.1 == reason) {
                Some((.., hooks)) => hooks.push(hook.symbol()),
                None => reasons.push((what, reason, vec![hook.symbol()])),
            }
        }
        for (what, reason, hooks) in reasons {
            let hooks = if hooks.len() > MOST_HOOKS {
                format!("{} functions (`--json` lists them)", hooks.len())
            } else {
                hooks.join(", ")
            };
            writeln!(self.writer, "{what}: {hooks}: {}", Escaped(reason))?;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, model: &Model) -> io::Result<()> {
        if let EventKind::Loss(loss) = &event.kind {
            let why = match loss.cause {
                LossCause::RingFull => "the ring buffer was full (enlarge it with --ring-size)",
                LossCause::ProbeSkipped => "the kernel skipped a probe",
                LossCause::Undecodable => "a record could not be decoded",
                LossCause::Input => "the input says so",
                LossCause::Unwritten => "the recorder could not write them in time",
                LossCause::KprobesOff => return told_off(&mut self.writer, "kprobes were"),
                LossCause::FtraceOff => return told_off(&mut self.writer, "ftrace was"),
                LossCause::HookSilent => "an attached hook did not report",
            };
            return writeln!(
                self.writer,
                "LOST {} {} here: {why}",
                loss.count,
                plural(loss.count, "event", "events")
            );
        }
        if !self.events {
            return Ok(());
        }
        let Some(what) = words(&event.kind) else {
            return Ok(());
        };
        let began = *self.began.get_or_insert(event.time);
        let depth = model
            .frames(&event.task)
            .len()
            .saturating_sub(usize::from(matches!(event.kind, EventKind::Enter(_))));
        let device = model.device(event.device);
        let name = device
            .and_then(|device| device.identity().name.as_deref())
            .unwrap_or("-");
        let comm = event.task.comm.name();
        let task = match (&*comm, event.task.tid) {
            // A log may not say who it was.
            ("", 0) => "-".to_owned(),
            (comm, tid) => format!("{}-{tid}", Escaped(comm)),
        };
        let since = event.time.since(began);
        writeln!(
            self.writer,
            "{:>5}.{:06} {task:<18} {:<20} {}{what}",
            since / 1_000_000_000,
            since / 1_000 % 1_000_000,
            Escaped(name).to_string(),
            "  ".repeat(depth.min(20)),
        )
    }

    /// A finding is written in full when it is new or has become worse, and at the end if it says something else by
    /// then; the end says how often each was found.
    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        if !self.told.is_worse(finding) {
            return Ok(());
        }
        self.told.remember(finding);
        self.write_finding(finding)
    }

    fn end(&mut self, findings: &[Finding], summary: &Summary) -> io::Result<()> {
        for finding in findings {
            if !self.told.knows(finding) {
                self.write_finding(finding)?;
            }
        }
        for finding in findings.iter().filter(|finding| finding.count > 1) {
            writeln!(
                self.writer,
                "{} was found {} times",
                Escaped(&finding.fingerprint),
                finding.count
            )?;
        }
        let mut text = Vec::new();
        write_summary_in(self.width, &mut text, summary)?;
        let tone = match summary.verdict {
            Verdict::Clean => Tone::Good,
            Verdict::Findings => Tone::Bad,
            Verdict::Inconclusive => Tone::Doubtful,
        };
        self.write_under(tone, &String::from_utf8_lossy(&text))?;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn told_off(writer: &mut impl Write, what: &str) -> io::Result<()> {
    writeln!(
        writer,
        "LOST an unknown number of events from here on: {what} switched off"
    )
}
