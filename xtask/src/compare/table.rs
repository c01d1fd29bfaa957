//! What the measurements come to: a table for people, and how the goals are met.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A tool, with what it is asked for.
struct Tool {
    /// What its measurements are called.
    name: &'static str,
    /// What its user writes.
    what: &'static str,
}

/// In the order in which they are reported.
const TOOLS: [Tool; 13] = [
    Tool {
        name: NOBODY,
        what: "nobody",
    },
    Tool {
        name: "trace-cmd",
        what: "`trace-cmd record -e dev:devres_log`",
    },
    Tool {
        name: "perf",
        what: "`perf record -a -e dev:devres_log`",
    },
    Tool {
        name: "bpftrace",
        what: "`bpftrace`, a line for each event",
    },
    Tool {
        name: "devres-tracer",
        what: "`devres-tracer record --no-stacks`",
    },
    Tool {
        name: "devres-tracer-trace",
        what: "`devres-tracer trace --quiet --no-stacks` (judged live)",
    },
    Tool {
        name: "devres-tracer-live",
        what: "`devres-tracer live --no-stacks` (the live view)",
    },
    Tool {
        name: "devres-tracer-filtered",
        what: "`devres-tracer record --no-stacks --device …` that fits no device",
    },
    Tool {
        name: "trace-cmd-stacks",
        what: "`trace-cmd record -T -e dev:devres_log`",
    },
    Tool {
        name: "perf-stacks",
        what: "`perf record -a -g -e dev:devres_log`",
    },
    Tool {
        name: "bpftrace-stacks",
        what: "`bpftrace`, with `kstack`",
    },
    Tool {
        name: "devres-tracer-stacks",
        what: "`devres-tracer record`",
    },
    Tool {
        name: "devres-tracer-trace-stacks",
        what: "`devres-tracer trace --quiet` (judged live)",
    },
];

const NOBODY: &str = "nobody";

/// What one tool's added time shall be at most, as a multiple of another's.
const GOALS: [(&str, &str, f64); 4] = [
    ("devres-tracer", "trace-cmd", 1.2),
    ("devres-tracer", "bpftrace", 0.5),
    ("devres-tracer-stacks", "trace-cmd-stacks", 0.5),
    ("devres-tracer-filtered", "devres-tracer", 0.1),
];

/// Milliseconds that the work took, in order.
struct Times(Vec<f64>);

impl Times {
    /// From a file with nanoseconds in its lines.
    fn of(text: &str) -> Option<Self> {
        let mut times: Vec<f64> = text
            .lines()
            .filter_map(|line| line.trim().parse::<f64>().ok())
            .map(|nanoseconds| nanoseconds / 1e6)
            .collect();
        times.sort_by(f64::total_cmp);
        (!times.is_empty()).then_some(Self(times))
    }

    fn median(&self) -> f64 {
        let times = &self.0;
        let middle = times.len() / 2;
        match times.len() % 2 {
            1 => times[middle],
            _ => f64::midpoint(times[middle - 1], times[middle]),
        }
    }

    fn spread(&self) -> (f64, f64) {
        (self.0[0], self.0[self.0.len() - 1])
    }
}

/// The measurements in a directory.
pub(super) struct Measured<'directory> {
    directory: &'directory Path,
    resources: u32,
}

impl<'directory> Measured<'directory> {
    pub(super) fn new(directory: &'directory Path, resources: u32) -> Self {
        Self {
            directory,
            resources,
        }
    }

    fn told(&self, name: &str, suffix: &str) -> String {
        fs::read_to_string(self.directory.join(format!("{name}.{suffix}")))
            .map_or_else(|_| String::new(), |text| text.trim().to_owned())
    }

    fn times(&self, name: &str) -> Option<Times> {
        Times::of(&self.told(name, "took"))
    }

    /// The time that a tool adds to the work, in milliseconds.
    fn added(&self, name: &str) -> Option<f64> {
        Some(self.times(name)?.median() - self.times(NOBODY)?.median())
    }

    /// How many of the work's events a tool does not have in the end.
    fn lost(&self, tool: &str) -> String {
        let all = 2 * u64::from(self.resources);
        if tool == "devres-tracer-filtered" || tool == NOBODY {
            return String::new();
        }
        match self.told(tool, "events").parse::<u64>() {
            Ok(events) => all.saturating_sub(events).to_string(),
            // The summary ends so.
            Err(_) => said_to_be_lost(&self.told(tool, "log")),
        }
    }

    /// The tables and the goals, in Markdown.
    pub(super) fn document(&self, release: &str) -> Result<String> {
        let nobody = self
            .times(NOBODY)
            .context("the work was not done without a tool")?;
        let mut text = String::new();
        let versions = self.versions();
        writeln!(
            text,
            "Linux {release}, {} resources added and released, {} rounds with every tool in turn; {}.\n",
            self.resources,
            nobody.0.len(),
            versions.join(", ")
        )?;
        text.push_str("| traced by | ms, median | least to most | added to nobody's | events lost | kB written | read again, s |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for tool in &TOOLS {
            let Some(times) = self.times(tool.name) else {
                writeln!(text, "| {} | failed | | | | | |", tool.what)?;
                continue;
            };
            let (least, most) = times.spread();
            let added = match tool.name {
                NOBODY => String::new(),
                _ => format!("{:.0} ms", times.median() - nobody.median()),
            };
            writeln!(
                text,
                "| {} | {:.0} | {least:.0} to {most:.0} | {added} | {} | {} | {} |",
                tool.what,
                times.median(),
                self.lost(tool.name),
                self.told(tool.name, "size"),
                self.told(tool.name, "read"),
            )?;
        }
        let judged = self.told("devres-tracer-stacks", "judged");
        if !judged.is_empty() {
            writeln!(
                text,
                "\n`devres-tracer report` reads the recording with stacks and applies every rule in {judged} s."
            )?;
        }
        text.push_str(
            "\n| added time of | to that of | goal | measured | |\n|---|---|---|---|---|\n",
        );
        for (one, other, goal) in GOALS {
            let (Some(one_added), Some(other_added)) = (self.added(one), self.added(other)) else {
                continue;
            };
            let ratio = one_added / other_added;
            let verdict = if ratio <= goal { "met" } else { "missed" };
            writeln!(
                text,
                "| {} | {} | at most {goal} | {ratio:.2} | {verdict} |",
                what(one),
                what(other)
            )?;
        }
        Ok(text)
    }

    fn versions(&self) -> Vec<String> {
        fs::read_to_string(self.directory.join("versions"))
            .unwrap_or_default()
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    }
}

fn what(name: &str) -> &'static str {
    TOOLS
        .iter()
        .find(|tool| tool.name == name)
        .map_or("", |tool| tool.what)
}

/// What the last `…, N lost` of a summary says.
fn said_to_be_lost(log: &str) -> String {
    let count = log
        .lines()
        .rev()
        .find_map(|line| line.trim_end().strip_suffix(" lost"))
        .and_then(|rest| rest.rsplit([' ', ',']).next());
    count.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_between_the_two_in_the_middle() {
        let times = Times::of("3000000\n1000000\n10000000\n2000000\n").unwrap();
        assert!((times.median() - 2.5).abs() < 1e-9);
        assert_eq!(times.spread(), (1.0, 10.0));
        assert!(Times::of("\n").is_none());
    }

    #[test]
    fn a_summary_tells_what_was_lost() {
        let log = "clean: 0 errors, 0 warnings, 0 info; 200013 events on 1 device, 17 lost\n";
        assert_eq!(said_to_be_lost(log), "17");
        assert_eq!(said_to_be_lost("it failed\n"), "");
    }

    #[test]
    fn goals_are_judged_by_what_the_tools_add() {
        let directory = tempfile::tempdir().unwrap();
        for (name, took) in [(NOBODY, "10"), ("trace-cmd", "20"), ("devres-tracer", "23")] {
            let nanoseconds = format!("{took}000000\n");
            fs::write(directory.path().join(format!("{name}.took")), nanoseconds).unwrap();
        }
        let text = Measured::new(directory.path(), 5).document("6.12").unwrap();
        assert!(text.contains("| at most 1.2 | 1.30 | missed |"), "{text}");
        assert!(text.contains("| nobody | 10 | 10 to 10 |"), "{text}");
        assert!(
            text.contains("`bpftrace`, with `kstack` | failed"),
            "{text}"
        );
    }
}
