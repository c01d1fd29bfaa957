//! A report for a mailing list: plain text within 72 columns, with what the maintainers of a driver need and nothing that
//! shows who sends it. What the recording doesn't say is called unknown.

mod personal;
mod reproducer;

use std::io::{self, Write};

use jiff::{Timestamp, tz::TimeZone};

use self::personal::{file_name, without_paths, words};
use super::{
    Sink as _,
    report::Report,
    text::{TextSink, write_summary_in},
};
use crate::{
    escape::{begun, escape},
    evidence::SourceInformation,
    finding::{self, Finding, Severity},
    kernel::{Machine, taints},
    number::counted,
    rules::RuleSet,
    trace_file::Header,
};

/// The widest line, so that it can be quoted a few times.
const WIDTH: usize = 72;
/// Columns of the facts' names, with what separates them from what follows.
const BEHIND_FACT: usize = 12;
/// What stands for what the recording doesn't say.
const UNKNOWN: &str = "unknown (the recording doesn't say)";

/// What a mail is made of.
#[derive(Debug, Clone, Copy)]
pub struct Mail<'a> {
    /// What was found, and in which lives.
    pub report: Report<'a>,
    /// What a trace file says of itself; other recordings say none of it.
    pub header: Option<&'a Header>,
    /// What a text says of its machine.
    pub machine: Option<&'a Machine>,
    /// Whether call stacks are whole, not only the frames that show who it was.
    pub whole_stacks: bool,
}

/// Writes the mail.
pub fn write_mail(mail: &Mail<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let report = &mail.report;
    if let Some(subject) = subject(report.findings) {
        paragraph(writer, &format!("Subject: {subject}"), 2)?;
        writeln!(writer)?;
    }
    write_facts(mail, writer)?;
    for finding in report.findings {
        writeln!(writer)?;
        write_finding(mail, finding, writer)?;
    }
    if report.findings.is_empty() {
        writeln!(writer, "\nNothing was found.")?;
    }
    writeln!(writer, "\nVerdict, and what was not seen:")?;
    write_evidence(report, writer)
}

/// What it is about: the worst finding, of those the first.
fn subject(findings: &[Finding]) -> Option<String> {
    let worst = findings.iter().map(|finding| finding.severity).max()?;
    let first = findings.iter().find(|finding| finding.severity == worst)?;
    let whose = first.driver.as_deref().unwrap_or(&first.device);
    let rules = RuleSet::all();
    let name = rules.find(first.rule).map_or("", |info| info.name);
    let tag = if worst == Severity::Error {
        "[BUG] "
    } else {
        ""
    };
    let more = match findings.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let whose = escape(whose);
    Some(format!("{tag}{whose}: {name} ({}){more}", first.rule))
}

fn write_facts(mail: &Mail<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let source = mail.report.source;
    let system = match mail.header {
        Some(header) => header.system.as_ref(),
        None => mail.machine.map(|machine| &machine.system),
    };
    let unknown = || UNKNOWN.to_owned();
    let told = |text: Option<&String>| text.map_or_else(unknown, |text| escape(text));
    let kernel = match (&source.kernel, &source.machine) {
        (Some(kernel), Some(machine)) => format!("{} {}", escape(kernel), escape(machine)),
        (kernel, _) => {
            let machine = mail.machine.and_then(|machine| machine.kernel.as_ref());
            told(kernel.as_ref().or(machine))
        }
    };
    let tainted = match system.and_then(|system| system.taint) {
        None => unknown(),
        Some(0) => "no".to_owned(),
        Some(bits) => taints(bits).join(", "),
    };
    let date = mail
        .header
        .and_then(|header| header.clock)
        .and_then(|clock| Timestamp::from_nanosecond(i128::from(clock.real)).ok())
        .map_or_else(unknown, |time| {
            let time = TimeZone::UTC.to_datetime(time);
            time.strftime("%Y-%m-%d %H:%M UTC").to_string()
        });
    let command = mail.header.map(|header| header.command.as_slice());
    let command = match command {
        None | Some([]) => unknown(),
        Some(command) => escape(&words(command)),
    };
    let facts = [
        ("Kernel", kernel),
        (
            "Build",
            told(system.and_then(|system| system.version.as_ref())),
        ),
        (
            "Board",
            told(system.and_then(|system| system.board.as_ref())),
        ),
        ("Tainted", tainted),
        ("Date", date),
        ("Recording", escape(&file_name(mail.report.name))),
        (
            "Made with",
            format!("devres-tracer {}", escape(&source.tool)),
        ),
        ("Command", command),
    ];
    for (name, fact) in facts {
        let name = format!("{name}:");
        paragraph(writer, &format!("{name:<BEHIND_FACT$}{fact}"), BEHIND_FACT)?;
    }
    Ok(())
}

/// The finding with nothing of where its source lay.
fn in_short(finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    let added = finding.resources.iter_mut().map(|one| &mut one.added.stack);
    let cause = finding.caused_by.iter_mut().map(|cause| &mut cause.stack);
    for frame in added.chain(cause).flatten() {
        *frame = without_paths(frame);
    }
    finding
}

fn write_finding(mail: &Mail<'_>, finding: &Finding, writer: &mut dyn Write) -> io::Result<()> {
    let finding = &in_short(finding);
    let text = finding::text::Text(finding);
    let text = if mail.whole_stacks {
        format!("{text:#WIDTH$}")
    } else {
        format!("{text:WIDTH$}")
    };
    for line in text.lines() {
        // A finding's own lines fit, but for commands to copy.
        let indent = line.len() - line.trim_start().len();
        paragraph(writer, line, indent + 2)?;
    }
    writeln!(
        writer,
        "\n  To reproduce (as root; concluded from the recording, not tried):"
    )?;
    match reproducer::command(finding, mail.report.histories) {
        Some(command) => reproducer::write(&command, WIDTH, writer),
        None => paragraph(
            writer,
            "    unknown: the recording doesn't show a probe or unbind of a named driver that it belongs to",
            4,
        ),
    }
}

/// What could be seen and what not, but for the kernel, which stands above.
fn write_evidence(report: &Report<'_>, writer: &mut dyn Write) -> io::Result<()> {
    /// Wide enough that nothing is wrapped before paths are taken out.
    const UNWRAPPED: usize = 1 << 16;
    let mut text = Vec::new();
    write_summary_in(UNWRAPPED, &mut text, report.summary)?;
    let source = SourceInformation {
        kernel: None,
        ..report.source.clone()
    };
    TextSink::new(&mut text, false).begin(&source)?;
    let histories = report.histories;
    for (time, count, _) in &histories.losses {
        let lost = counted(*count, "event was", "events were");
        writeln!(text, "{lost} lost at {}", histories.names.moment(*time))?;
    }
    if let Some(damage) = report.damage {
        writeln!(
            text,
            "The recording is damaged; only the part before that counts: {}",
            escape(damage)
        )?;
    }
    for line in String::from_utf8_lossy(&text).lines() {
        let line = line.trim_start();
        paragraph(writer, &format!("  {}", without_paths(line)), 4)?;
    }
    Ok(())
}

/// Writes a line; what doesn't fit goes on in further lines, `indent` columns from the left.
fn paragraph(writer: &mut dyn Write, text: &str, indent: usize) -> io::Result<()> {
    if text.trim().is_empty() {
        return writeln!(writer);
    }
    let blank = " ".repeat(indent.min(WIDTH / 2));
    let options = textwrap::Options::new(WIDTH)
        .subsequent_indent(&blank)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    for line in textwrap::wrap(text, options.clone()) {
        // What is written out at a line's beginning may make it too wide.
        let line = begun(line.trim_end());
        for piece in textwrap::wrap(&line, options.clone()) {
            writeln!(writer, "{}", begun(piece.trim_end()))?;
        }
    }
    Ok(())
}
