//! A report as one page of HTML that needs nothing else: no network, no other file.
//!
//! The findings and the verdict stand in the page as text and are read without its script, as where a CI server's
//! content security policy forbids scripts. The script draws the picture from the data in the page. The page's own
//! policy allows nothing but this script and these styles, each known by its hash.

mod data;

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use self::data::Data;
use super::{json_text, report::Report, text::write_summary_in};
use crate::{
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

/// Writes the page.
pub fn write_html(report: &Report<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let title = html(report.name);
    writeln!(
        writer,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – devres-tracer</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        hash(STYLE),
        hash(SCRIPT),
    )?;
    write_heading(report, writer)?;
    writeln!(writer, "{BODY}")?;
    write_findings(report, writer)?;
    write_summary(report, writer)?;
    write!(
        writer,
        "</main>\n<script type=\"application/json\" id=\"data\">"
    )?;
    let mut data = Vec::new();
    json_text::write(&mut data, &Data::of(report))?;
    // Nothing in it may end the element that it stands in.
    for part in data.split_inclusive(|byte| *byte == b'<') {
        match part.strip_suffix(b"<") {
            Some(before) => {
                writer.write_all(before)?;
                writer.write_all(b"\\u003c")?;
            }
            None => writer.write_all(part)?,
        }
    }
    writeln!(
        writer,
        "</script>\n<script>{SCRIPT}</script>\n</body>\n</html>"
    )
}

fn write_heading(report: &Report<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let (class, word) = match report.summary.verdict {
        Verdict::Clean => ("good", "Clean"),
        Verdict::Findings => ("bad", "Findings"),
        Verdict::Inconclusive => ("doubtful", "Inconclusive"),
    };
    writeln!(
        writer,
        "<header>\n<h1>{}</h1>\n<p><strong class=\"verdict {class}\">{word}</strong> {}</p>",
        html(report.name),
        report
            .source
            .kernel
            .as_deref()
            .map_or_else(String::new, |kernel| format!("kernel {}", html(kernel))),
    )?;
    if let Some(damage) = report.damage {
        writeln!(
            writer,
            "<p class=\"doubtful\">The recording is damaged; only what comes before the damage is shown: {}</p>",
            html(damage)
        )?;
    }
    writeln!(writer, "</header>\n<main>")
}

/// The element with a finding's text, by its place among the findings.
fn finding_id(number: usize) -> String {
    format!("finding-{number}")
}

fn write_findings(report: &Report<'_>, writer: &mut dyn Write) -> io::Result<()> {
    writeln!(
        writer,
        "<section aria-labelledby=\"findings-title\">\n<h2 id=\"findings-title\">Findings</h2>"
    )?;
    if report.findings.is_empty() {
        writeln!(writer, "<p>None.</p>")?;
    }
    for (number, finding) in report.findings.iter().enumerate() {
        let severity = match finding.severity {
            Severity::Error => "bad",
            Severity::Warn => "doubtful",
            Severity::Info => "plain",
        };
        writeln!(
            writer,
            "<article id=\"{}\" class=\"finding {severity}\">\n<h3>{} on {}</h3>\n<pre tabindex=\"0\">{}</pre>\n</article>",
            finding_id(number),
            html(finding.rule),
            html(&finding.device),
            html_lines(&format!("{:WIDTH$}", Text(finding))),
        )?;
    }
    writeln!(writer, "</section>")
}

fn write_summary(report: &Report<'_>, writer: &mut dyn Write) -> io::Result<()> {
    let mut summary = Vec::new();
    write_summary_in(WIDTH, &mut summary, report.summary)?;
    writeln!(
        writer,
        "<section aria-labelledby=\"summary-title\">\n<h2 id=\"summary-title\">Summary</h2>\n\
         <pre tabindex=\"0\">{}</pre>\n</section>",
        html_lines(&String::from_utf8_lossy(&summary))
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

/// Text of this program, whose lines stay.
fn html_lines(text: &str) -> String {
    for_browser(text)
}

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
