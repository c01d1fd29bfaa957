//! The goals, and what stands behind those that are missed.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::figures::Figures;

/// Something that was set before it was measured.
struct Goal {
    what: &'static str,
    measure: Measure,
    /// Why it can be missed: the limit that stands behind it. Empty where none is known.
    behind: &'static str,
}

enum Measure {
    /// A row of what `cargo xtask compare` has written, which has its goal in it.
    Compared(&'static str),
    /// A figure, or how many times one is in another, and what it shall be.
    Figure(&'static str, Bound),
    Ratio(&'static str, &'static str, Bound),
}

struct Bound {
    relation: Relation,
    value: f64,
    unit: &'static str,
}

#[derive(Clone, Copy)]
enum Relation {
    AtMost,
    AtLeast,
}

const fn at_most(value: f64, unit: &'static str) -> Bound {
    Bound {
        relation: Relation::AtMost,
        value,
        unit,
    }
}

const fn at_least(value: f64, unit: &'static str) -> Bound {
    Bound {
        relation: Relation::AtLeast,
        value,
        unit,
    }
}

const GOALS: [Goal; 17] = [
    Goal {
        what: "time added to the traced kernel without stacks, to ftrace's",
        measure: Measure::Compared(
            "`devres-tracer record --no-stacks` / `trace-cmd record -e dev:devres_log`",
        ),
        behind: "an event is one eBPF program, one reservation in a buffer that all processors share, and reads of the device's and the \
                 resource's fields, where ftrace's own code stores four words in a buffer of its processor",
    },
    Goal {
        what: "the same, to bpftrace's",
        measure: Measure::Compared(
            "`devres-tracer record --no-stacks` / `bpftrace`, a line for each event",
        ),
        behind: "",
    },
    Goal {
        what: "with stacks, to ftrace's with stacks",
        measure: Measure::Compared(
            "`devres-tracer record` / `trace-cmd record -T -e dev:devres_log`",
        ),
        behind: "nearly all of it is the kernel's unwinder, which both call; that releases take no stack halves it, and no more can be \
                 left out without leaving additions without a caller",
    },
    Goal {
        what: "a device that is filtered out, to one that is not",
        measure: Measure::Compared(
            "`devres-tracer record --no-stacks --device …` that fits no device / `devres-tracer record --no-stacks`",
        ),
        behind: "an event still runs the program up to the look-up of its device; a tenth of an event is less than the runs of one \
                 guest differ by",
    },
    Goal {
        what: "the probe alone, without stacks, to that of commit 46febdf, in turn",
        measure: Measure::Ratio(
            "then: an addition without its stack",
            "now: an addition without its stack",
            at_least(1.8, "times as fast"),
        ),
        behind: "how its time is shared out stands [below](#the-traced-kernel): more than a third are the clock and the ring buffer, \
                 which each record needs, and a sixth is reading what it is about",
    },
    Goal {
        what: "the first start after a boot, without the verifier",
        measure: Measure::Figure("first start: time", at_most(100.0, "ms")),
        behind: "",
    },
    Goal {
        what: "a later start, which finds in `/run` what the first has found in the kernel's BTF",
        measure: Measure::Figure("later start: time", at_most(100.0, "ms")),
        behind: "",
    },
    Goal {
        what: "memory at the first start, besides the ring buffer",
        measure: Measure::Figure("first start: memory", at_most(32.0, "MiB")),
        behind: "",
    },
    Goal {
        what: "events read and judged in a second of computing, to those that trace-cmd prints",
        measure: Measure::Compared("events read in a second"),
        behind: "decoding is thirty times as fast, but the rules are 26 and look at every event; together they take 400 ns an event",
    },
    Goal {
        what: "bytes an event, to trace-cmd's",
        measure: Measure::Compared("bytes an event"),
        behind: "trace-cmd compresses its files, too",
    },
    Goal {
        what: "ten million events, to ten times a million, whatever the command",
        measure: Measure::Figure("growth", at_most(1.2, "times the time")),
        behind: "",
    },
    Goal {
        what: "memory of any command at ten million events",
        measure: Measure::Figure("memory at ten million events", at_most(200.0, "MiB")),
        behind: "`diff` holds the histories of both recordings",
    },
    Goal {
        what: "memory of any command with a hundred thousand devices at once",
        measure: Measure::Figure(
            "memory with a hundred thousand devices",
            at_most(200.0, "MiB"),
        ),
        behind: "each device has its list, its name and its history in memory, in `diff` twice",
    },
    Goal {
        what: "text, one event in a thousand lines",
        measure: Measure::Figure("kernel_log_of_other_things", at_least(400.0, "MB a second")),
        behind: "one look-up in a table for each byte is what remains",
    },
    Goal {
        what: "text, nothing but events",
        measure: Measure::Figure("kernel_log", at_least(200.0, "MB a second")),
        behind: "so that memory stays bounded, events are encoded into a file and decoded again once later lines can't change them",
    },
    Goal {
        what: "live view of 10,000 devices in a burst of a million events a second",
        measure: Measure::Figure("frames in a second", at_least(60.0, "pictures a second")),
        behind: "taking an event into the histories and drawing share one thread",
    },
    Goal {
        what: "a key in the live view: the longest way, to any place in a million events and drawn",
        measure: Measure::Figure("seek and draw, slowest", at_most(50.0, "ms")),
        behind: "up to a checkpoint's distance of events is applied again",
    },
];

/// The table, in Markdown.
pub(super) fn write(figures: &Figures) -> Result<String> {
    let mut text = "| what | goal | measured | |\n|---|---|---|---|\n".to_owned();
    for goal in &GOALS {
        let (bound, measured, is_met) = goal.judged(figures).with_context(|| {
            format!(
                "{}: it was not measured, see what was printed above",
                goal.what
            )
        })?;
        let verdict = match (is_met, goal.behind) {
            (true, _) => "met".to_owned(),
            (false, "") => "missed, and no limit is known".to_owned(),
            (false, behind) => format!("missed: {behind}"),
        };
        writeln!(text, "| {} | {bound} | {measured} | {verdict} |", goal.what)?;
    }
    Ok(text.trim_end().to_owned())
}

impl Goal {
    /// What was wanted, what was measured, and whether it is enough.
    fn judged(&self, figures: &Figures) -> Option<(String, String, bool)> {
        let (value, bound) = match &self.measure {
            Measure::Compared(name) => {
                let compared = figures.compared(name)?;
                let (goal, measured) = (compared.goal.clone(), compared.measured.clone());
                return Some((goal, measured, compared.is_met));
            }
            Measure::Figure(name, bound) => (figures.get(name)?, bound),
            Measure::Ratio(of, to, bound) => (figures.get(of)? / figures.get(to)?, bound),
        };
        let (word, is_met) = match bound.relation {
            Relation::AtMost => ("at most", value <= bound.value),
            Relation::AtLeast => ("at least", value >= bound.value),
        };
        let wanted = format!("{word} {} {}", bound.value, bound.unit);
        let decimals = if value < 10.0 { 2 } else { 0 };
        Some((wanted, format!("{value:.decimals$}"), is_met))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_says_what_stands_behind_it() {
        let mut figures = Figures::default();
        figures.take_lines(
            "",
            "seek and draw, slowest 70 ms\nframes in a second 60.0\n",
        );
        let judged = |what: &str| {
            let goal = GOALS
                .iter()
                .find(|goal| goal.what.starts_with(what))
                .unwrap();
            goal.judged(&figures)
        };
        assert_eq!(
            judged("a key"),
            Some(("at most 50 ms".to_owned(), "70".to_owned(), false))
        );
        assert_eq!(
            judged("live view"),
            Some((
                "at least 60 pictures a second".to_owned(),
                "60".to_owned(),
                true
            ))
        );
        assert_eq!(judged("text"), None);
        assert!(write(&figures).is_err());
    }
}
