//! A report as one page of HTML that needs nothing else: no network, no other file.
//!
//! The findings and the verdict stand in the page as text, with a still picture, and are read without its script, as
//! where a CI server's content security policy forbids scripts. The script draws its picture from the data in the page.
//! The page's own policy allows nothing but this script and these styles, each known by its hash.

mod beside;
mod data;
mod results;
mod still;

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use self::data::{Data, Partners};
use super::{json_text, report::Report, text::write_summary_in};
use crate::{
    check::Results,
    engine::Verdict,
    escape::escape,
    finding::{Severity, text::Text},
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the script fills, and what a screen reader finds its way by.
const BODY: &str = include_str!("body.html");

/// Characters of a line of text.
const WIDTH: usize = 100;

/// What a page shows.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What it is called.
    pub title: &'a str,
    /// The recordings; several stand beside each other, with how each differs from the first. None where a check could not
    /// be run.
    pub reports: &'a [Report<'a>],
    /// What a check has come to, where it was one.
    pub results: Option<&'a Results>,
}

/// Writes the page.
pub fn write_html(page: &Page<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let title = html(page.title);
    writeln!(
        writer,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – devres-tracer</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        hash(STYLE),
        hash(SCRIPT),
    )?;
    write_heading(page, writer)?;
    if let Some(results) = page.results {
        results::write(results, writer)?;
    }
    let comparisons = beside::compared(page.reports);
    let partners = Partners::of(page.reports, &beside::renamed(&comparisons));
    let data = Data::of(page.reports, &partners);
    if !page.reports.is_empty() {
        writeln!(writer, "{BODY}")?;
        still::write(&data, writer)?;
        beside::write(page.reports, &comparisons, writer)?;
        write_findings(page.reports, writer)?;
    }
    for (side, report) in page.reports.iter().enumerate() {
        write_summary(report, &beside::number(page.reports, side), writer)?;
    }
    writeln!(writer, "</main>")?;
    if page.reports.is_empty() {
        return writeln!(writer, "</body>\n</html>");
    }
    write_data(&data, writer)?;
    writeln!(writer, "<script>{SCRIPT}</script>\n</body>\n</html>")
}

fn write_data(data: &Data, writer: &mut dyn Write) -> io::Result<()> {
    write!(writer, "<script type=\"application/json\" id=\"data\">")?;
    let mut text = Vec::new();
    json_text::write(&mut text, data)?;
    // Nothing in it may end the element that it stands in.
    for part in text.split_inclusive(|byte| *byte == b'<') {
        match part.strip_suffix(b"<") {
            Some(before) => {
                writer.write_all(before)?;
                writer.write_all(b"\\u003c")?;
            }
            None => writer.write_all(part)?,
        }
    }
    writeln!(writer, "</script>")
}

/// More recordings than this are many.
const MANY: usize = 6;

fn write_heading(page: &Page<'_>, writer: &mut dyn Write) -> io::Result<()> {
    // What is one below the other for a few is beside each other for many.
    let class = if page.reports.len() > MANY {
        " class=\"many\""
    } else {
        ""
    };
    writeln!(writer, "<header{class}>\n<h1>{}</h1>", html(page.title))?;
    if let Some(results) = page.results {
        let kernel = results.kernel.as_deref();
        write_verdict("", results.verdict, kernel, writer)?;
    }
    for (side, report) in page.reports.iter().enumerate() {
        let number = beside::number(page.reports, side);
        // A check judges by a policy; what the rules alone say of it stands in the summary.
        if page.results.is_none() {
            let name = if number.is_empty() {
                String::new()
            } else {
                format!("{number}{} ", html(report.name))
            };
            let kernel = report.source.kernel.as_deref();
            write_verdict(&name, report.summary.verdict, kernel, writer)?;
        }
        if let Some(damage) = report.damage {
            writeln!(
                writer,
                "<p class=\"doubtful\">{number}The recording is damaged; only what comes before the damage is shown: {}</p>",
                html(damage)
            )?;
        }
    }
    writeln!(writer, "</header>\n<main>")
}

/// `name` is made harmless already.
fn write_verdict(
    name: &str,
    verdict: Verdict,
    kernel: Option<&str>,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let (class, word) = match verdict {
        Verdict::Clean => ("good", "Clean"),
        Verdict::Findings => ("bad", "Findings"),
        Verdict::Inconclusive => ("doubtful", "Inconclusive"),
    };
    let kernel = kernel.map_or_else(String::new, |kernel| format!("kernel {}", html(kernel)));
    writeln!(
        writer,
        "<p>{name}<strong class=\"verdict {class}\">{word}</strong> {kernel}</p>"
    )
}

/// The element with a finding's text, by its recording's place and its own among the findings.
fn finding_id(side: usize, number: usize) -> String {
    match side {
        0 => format!("finding-{number}"),
        side => format!("finding-{side}-{number}"),
    }
}

fn write_findings(reports: &[Report<'_>], writer: &mut dyn Write) -> io::Result<()> {
    writeln!(
        writer,
        "<section aria-labelledby=\"findings-title\">\n<h2 id=\"findings-title\">Findings</h2>"
    )?;
    if reports.iter().all(|report| report.findings.is_empty()) {
        writeln!(writer, "<p>None.</p>")?;
    }
    for (side, report) in reports.iter().enumerate() {
        for (number, finding) in report.findings.iter().enumerate() {
            let severity = match finding.severity {
                Severity::Error => "bad",
                Severity::Warn => "doubtful",
                Severity::Info => "plain",
            };
            writeln!(
                writer,
                "<article id=\"{}\" class=\"finding {severity}\">\n<h3>{}{} on {}</h3>\n<pre tabindex=\"0\">{}</pre>\n</article>",
                finding_id(side, number),
                beside::number(reports, side),
                html(finding.rule),
                html(&finding.device),
                for_browser(&format!("{:WIDTH$}", Text(finding))),
            )?;
        }
    }
    writeln!(writer, "</section>")
}

/// `number` says of which recording, where there are several.
fn write_summary(report: &Report<'_>, number: &str, writer: &mut dyn Write) -> io::Result<()> {
    let mut summary = Vec::new();
    write_summary_in(WIDTH, &mut summary, report.summary)?;
    let name = if number.is_empty() {
        String::new()
    } else {
        format!(": {number}{}", html(report.name))
    };
    writeln!(
        writer,
        "<section>\n<h2>Summary{name}</h2>\n<pre tabindex=\"0\">{}</pre>\n</section>",
        for_browser(&String::from_utf8_lossy(&summary))
    )
}

/// How a policy names a script or a style.
fn hash(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(Sha256::digest(text.as_bytes()))
    )
}

/// A line as a page shows it: inert to the terminal that its source is read in, and to the browser.
fn html(text: &str) -> String {
    for_browser(&escape(text))
}

/// Text of this program, whose lines stay, with nothing in it that a browser takes for an element.
fn for_browser(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}
