//! Lines for people.

use std::io::{self, Write};

use super::{Sink, page::Tone};
use crate::{
    crash,
    engine::{Summary, Verdict},
    errno,
    escape::{Escaped, Visible, begun},
    event::{
        AddedNode, CallDetail, Event, EventKind, GroupId, Hook, LossCause, Message, NodeReference,
        Time, registered,
    },
    evidence::{Before, CommandEnd, NodeEvents, SourceInformation},
    finding::{self, Finding, Severity},
    model::Model,
    number::plural,
    sink::reported::Reported,
};

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

/// Writes the summary, in lines that are at most so wide where they are wrapped.
pub fn write_summary_in(
    width: usize,
    writer: &mut impl Write,
    summary: &Summary,
) -> io::Result<()> {
    if let Some(crash) = &summary.crash {
        crash::write(width, writer, crash)?;
        writeln!(writer)?;
    }
    write_verdict(writer, summary)?;
    write_lines(writer, summary)?;
    for problem in &summary.problems {
        writeln!(writer, "  the input: {}", Visible(problem))?;
    }
    for reason in &summary.reasons {
        write_wrapped(width, writer, &Visible(reason).to_string())?;
    }
    if let Some(failure) = summary.command.as_ref().and_then(CommandEnd::failure) {
        writeln!(writer, "  {failure}")?;
    }
    for lost in &summary.lost_by {
        writeln!(
            writer,
            "  lost on CPU {}: {} of {}",
            lost.cpu, lost.count, lost.hook
        )?;
    }
    for silent in &summary.silent_hooks {
        write_wrapped(width, writer, &Escaped(&silent.to_string()).to_string())?;
    }
    write_undecided(width, writer, summary)?;
    write_disagreements(width, writer, summary)
}

/// `CLEAN: 0 errors, ...`.
fn write_verdict(writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let verdict = match summary.verdict {
        Verdict::Clean => "CLEAN",
        Verdict::Findings => "FINDINGS",
        Verdict::Inconclusive => "INCONCLUSIVE",
    };
    writeln!(
        writer,
        "{verdict}: {} {}, {} {}, {} info; {} {} on {} {}, {} lost",
        summary.findings.error,
        plural(summary.findings.error, "error", "errors"),
        summary.findings.warn,
        plural(summary.findings.warn, "warning", "warnings"),
        summary.findings.info,
        summary.events,
        plural(summary.events, "event", "events"),
        summary.devices,
        plural(summary.devices, "device", "devices"),
        summary.lost,
    )
}

/// How much of a text was read, and how much of that was asked for.
fn write_lines(writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    if let Some(lines) = summary.lines {
        writeln!(
            writer,
            "  {} of {} lines are events",
            lines.event_lines, lines.lines
        )?;
        if lines.cut_lines > 0 {
            writeln!(
                writer,
                "  {} {} like an event but {} cut off",
                lines.cut_lines,
                plural(lines.cut_lines, "starts", "start"),
                plural(lines.cut_lines, "is", "are"),
            )?;
        }
    }
    if let Some(chosen) = summary.chosen_events {
        writeln!(
            writer,
            "  {chosen} {} of matching devices",
            plural(chosen, "event is", "events are")
        )?;
    }
    Ok(())
}

/// Events that don't fit those before, and what is the tool's own fault.
fn write_disagreements(width: usize, writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    if summary.misfits > 0 {
        let line = format!(
            "{} {} fit the events before: events are missing, duplicated or out of order",
            summary.misfits,
            plural(summary.misfits, "event does not", "events do not")
        );
        write_wrapped(width, writer, &line)?;
    }
    if summary.desyncs > 0 {
        writeln!(
            writer,
            "  DR900: the tool's model disagreed with the kernel {} {}: please report this",
            summary.desyncs,
            plural(summary.desyncs, "time", "times")
        )?;
        for desync in &summary.desync_details {
            writeln!(writer, "    {}", Escaped(desync))?;
        }
    }
    Ok(())
}

fn write_undecided(width: usize, writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    // What is not seen at all was reported at the beginning; here only whom that silences.
    let mut blind: Vec<_> = summary
        .undecided
        .iter()
        .filter(|undecided| undecided.devices == 0)
        .map(|undecided| undecided.rule)
        .collect();
    blind.dedup();
    if !blind.is_empty() {
        let line = format!(
            "{} could not decide everything: some functions that {} were not traced (`devres-tracer rules` lists them)",
            in_rows(&blind),
            plural(blind.len(), "it needs", "they need"),
        );
        write_wrapped(width, writer, &line)?;
    }
    for undecided in summary
        .undecided
        .iter()
        .filter(|undecided| undecided.devices > 0)
    {
        let line = format!(
            "{} could not decide on {} {}: {}",
            undecided.rule,
            undecided.devices,
            plural(undecided.devices, "device", "devices"),
            Escaped(&undecided.reason.to_string())
        );
        write_wrapped(width, writer, &line)?;
    }
    Ok(())
}

fn write_wrapped(width: usize, writer: &mut impl Write, line: &str) -> io::Result<()> {
    let options = textwrap::Options::new(width)
        .initial_indent("  ")
        .subsequent_indent("    ");
    for line in textwrap::wrap(line, options) {
        writeln!(writer, "{}", begun(&line))?;
    }
    Ok(())
}

/// `DR001 to DR012, DR014`: rules in a row are reported by the first and the last.
fn in_rows(rules: &[&str]) -> String {
    let number = |rule: &str| rule.get(2..).and_then(|digits| digits.parse::<u32>().ok());
    let rows = rules.chunk_by(|one, next| {
        number(one).is_some_and(|one| number(next) == Some(one.saturating_add(1)))
    });
    let rows: Vec<String> = rows
        .map(|row| match row {
            [first, _, .., last] => format!("{first} to {last}"),
            _ => row.join(", "),
        })
        .collect();
    rows.join(", ")
}

fn told_off(writer: &mut impl Write, what: &str) -> io::Result<()> {
    writeln!(
        writer,
        "LOST an unknown number of events from here on: {what} switched off"
    )
}

/// An event in a few words; `None` for what is only bookkeeping.
pub(crate) fn words(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::Device(_)
        | EventKind::Stack(_)
        | EventKind::Snapshot(_)
        | EventKind::Loss(_) => return None,
        EventKind::Add(node) => format!("ADD {}", added(node)),
        EventKind::Remove(node) => format!("REM {}", reference(node)),
        EventKind::Release(node) => format!("REL {}", reference(node)),
        EventKind::Replace(node) => format!("REPLACE {}", reference(node)),
        EventKind::RemoveAction { function, data } => {
            format!("REM action {function:#x} data {data:#x}")
        }
        EventKind::Message(message) => said(message),
        EventKind::ModuleFree { module, .. } => format!("module_free {}", Escaped(module)),
        EventKind::Enter(call) => match (&call.detail, call.hook) {
            (_, Hook::DevresAdd) => return None,
            (CallDetail::Group(GroupId(0)), hook) => format!("{}(id NULL)", hook.symbol()),
            (CallDetail::Group(GroupId(id)), hook) => format!("{}(id {id:#x})", hook.symbol()),
            (CallDetail::Pm(pm), Hook::PmDetach) if !pm.detaches() => {
                "dev_pm_domain_detach: nothing to detach".to_owned()
            }
            (CallDetail::Irq { number, .. }, hook) => format!("{}(irq {number})", hook.symbol()),
            (CallDetail::Pointer(memory), Hook::Free) => format!("kfree({memory:#x})"),
            (CallDetail::Supply(name), hook) => {
                let name = Escaped(name).to_string();
                match registered(hook, &name) {
                    Some(lies) => {
                        format!("in what is released next {} is {}", lies.what, lies.state)
                    }
                    None => format!("{}({name})", hook.symbol()),
                }
            }
            (_, hook) => hook.symbol().to_owned(),
        },
        EventKind::Leave(left) => match left.value {
            // One is success before 5.18; errors come out with either sign.
            Some(value) if left.hook == Hook::Probe && !matches!(value, 0 | 1) => format!(
                "{} returned {value} ({})",
                left.hook.symbol(),
                errno::name(-value.saturating_abs())
            ),
            Some(value) if left.hook != Hook::Krealloc => {
                format!("{} returned {value}", left.hook.symbol())
            }
            _ => format!("{} returned", left.hook.symbol()),
        },
    })
}

fn added(node: &AddedNode) -> String {
    let mut words = reference(&NodeReference {
        node: node.node,
        name: node.name.clone(),
        size: node.size,
    });
    if let Some(function) = &node.function
        && node.name.as_deref() == Some("devm_action_release")
    {
        words = format!("{words} → {}", Escaped(&function.to_string()));
    }
    words
}

fn reference(node: &NodeReference) -> String {
    let name = node.name.as_deref().unwrap_or("(no name)");
    match node.size {
        Some(size) => format!("{} ({size} bytes) {}", Escaped(name), node.node),
        None => format!("{} {}", Escaped(name), node.node),
    }
}

fn said(message: &Message) -> String {
    match message {
        Message::ProbeRefused => {
            "the kernel refused the probe: resources present before probing".to_owned()
        }
        Message::Warning { function, line } => {
            let function = function.as_deref().unwrap_or("an unknown function");
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            format!(
                "the kernel warned in {}, drivers/base/devres.c{line}",
                Escaped(function)
            )
        }
        Message::FreedActive { object, block, .. } => format!(
            "the kernel found an active {} in freed memory, after REL {}",
            Escaped(object),
            reference(block)
        ),
        Message::Waits => "a release is still under way, and its task waits".to_owned(),
        Message::Splat(splat) => format!("the kernel's {}", Escaped(&splat.to_string())),
    }
}
