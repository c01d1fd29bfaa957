//! How each tool reads its own recording of the same work, on this machine.
//!
//! Processor time is compared, of all threads together: other work on the machine doesn't count. The other tools only
//! print what they read; this one applies every rule.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;

/// How large a recording of ours may be, as a part of trace-cmd's for an event, and how many times as many events must be
/// read in a second of computing.
const GOALS: (f64, f64) = (1.0 / 6.0, 20.0);

/// A recording, and what was read of it.
struct Reading {
    /// What its user writes.
    what: &'static str,
    bytes: f64,
    events: f64,
    /// Of processor time.
    seconds: f64,
}

impl Reading {
    fn bytes_each(&self) -> f64 {
        self.bytes / self.events
    }

    fn rate(&self) -> f64 {
        self.events / self.seconds
    }
}

/// Reads the recordings in `directory` with the tools of `peers` and with `tracer`; yields the tables, in Markdown.
pub(super) fn read(directory: &Path, peers: &Path, tracer: &Path, release: &str) -> Result<String> {
    let ours = reading(
        "`devres-tracer report`, which applies every rule",
        &directory.join("trace.dvrt"),
        &[tracer.into(), "report".into()],
        None,
    )?;
    let trace_cmd = reading(
        "`trace-cmd report`",
        &directory.join("trace.dat"),
        &[
            in_peers(peers, "trace-cmd"),
            vec!["report".into(), "-i".into()],
        ]
        .concat(),
        Some("devres_log:"),
    )?;
    let perf = reading(
        "`perf script`",
        &directory.join("perf.data"),
        &[in_peers(peers, "perf"), vec!["script".into(), "-i".into()]].concat(),
        Some("dev:devres_log:"),
    )?;
    document(release, &ours, &trace_cmd, &perf)
}

/// A command line that runs a program of that root with the libraries there.
fn in_peers(peers: &Path, program: &str) -> Vec<OsString> {
    vec![
        peers.join("lib64/ld-linux-x86-64.so.2").into(),
        "--library-path".into(),
        peers.join("usr/lib/x86_64-linux-gnu").into(),
        peers.join("usr/bin").join(program).into(),
    ]
}

/// Runs `program` on `recording`; counts the lines with `pattern`, or takes the number in the summary.
fn reading(
    what: &'static str,
    recording: &PathBuf,
    program: &[OsString],
    pattern: Option<&str>,
) -> Result<Reading> {
    // The shell's own clock: user and system time of what it ran.
    const SCRIPT: &str = r#"pattern=$1; shift; TIMEFORMAT='%U %S'
        { time "$@" 2>/dev/null; } 2>"$0" | if [ "$pattern" ]; then grep -c -- "$pattern"; else grep ' events on '; fi"#;
    let mut times = recording.clone().into_os_string();
    times.push(".times");
    let printed = command::output(
        Command::new("bash")
            .args(["-c", SCRIPT])
            .arg(&times)
            .arg(pattern.unwrap_or_default())
            .args(program)
            .arg(recording),
    )?;
    let events = match pattern {
        Some(_) => printed.trim().parse().ok(),
        None => events_in_summary(&printed),
    };
    let times = fs::read_to_string(&times).context("the shell has told no times")?;
    let seconds = times
        .split_whitespace()
        .filter_map(|part| part.parse::<f64>().ok());
    #[expect(clippy::cast_precision_loss, reason = "a length is compared")]
    let bytes = fs::metadata(recording)
        .with_context(|| format!("cannot read {}", recording.display()))?
        .len() as f64;
    let reading = Reading {
        what,
        bytes,
        events: events.with_context(|| format!("{what} printed no events:\n{printed}"))?,
        seconds: seconds.sum(),
    };
    ensure!(
        reading.events > 0.0 && reading.seconds > 0.0,
        "{what} took no time, or has read nothing"
    );
    Ok(reading)
}

/// The number in `clean: 0 errors, 0 warnings, 0 info; 200013 events on 1 device`.
fn events_in_summary(text: &str) -> Option<f64> {
    let (before, _) = text.split_once(" events on ")?;
    let digits = before.rsplit(' ').next()?.replace(',', "");
    digits.parse().ok()
}

fn document(release: &str, ours: &Reading, trace_cmd: &Reading, perf: &Reading) -> Result<String> {
    let mut text = format!(
        "Recorded once by each tool on Linux {release}, read on the machine that ran the guest.\n\n\
         | read by | events | bytes an event | s of computing | million events a second |\n|---|---|---|---|---|\n"
    );
    for reading in [trace_cmd, perf, ours] {
        writeln!(
            text,
            "| {} | {} | {:.2} | {:.2} | {:.2} |",
            reading.what,
            reading.events,
            reading.bytes_each(),
            reading.seconds,
            reading.rate() / 1e6
        )?;
    }
    let (size, speed) = (
        ours.bytes_each() / trace_cmd.bytes_each(),
        ours.rate() / trace_cmd.rate(),
    );
    let verdict = |met| if met { "met" } else { "missed" };
    write!(
        text,
        "\n| compared with trace-cmd | goal | measured | |\n|---|---|---|---|\n\
         | events read in a second | at least {:.0} times | {speed:.1} | {} |\n\
         | bytes an event | at most {:.2} | {size:.3} | {} |\n",
        GOALS.1,
        verdict(speed >= GOALS.1),
        GOALS.0,
        verdict(size <= GOALS.0)
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_by_what_an_event_takes() {
        let reading = |bytes, events, seconds| Reading {
            what: "x",
            bytes,
            events,
            seconds,
        };
        let text = document(
            "6.12",
            &reading(20.0, 10.0, 1.0),
            &reading(100.0, 5.0, 10.0),
            &reading(1.0, 1.0, 1.0),
        )
        .unwrap();
        assert!(
            text.contains("| at least 20 times | 20.0 | met |"),
            "{text}"
        );
        assert!(text.contains("| at most 0.17 | 0.100 | met |"), "{text}");
    }

    #[test]
    fn the_summary_tells_how_many_events_there_were() {
        let summary = "clean: 0 errors, 0 warnings, 0 info; 200013 events on 1 device\n";
        assert_eq!(events_in_summary(summary), Some(200_013.0));
        assert_eq!(events_in_summary("it failed"), None);
    }
}
