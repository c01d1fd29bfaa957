//! What benchmarks print, as figures with names.

use std::collections::BTreeMap;

/// A row of a table that compares this tool with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) goal: String,
    pub(super) measured: String,
    pub(super) is_met: bool,
}

/// All that was measured: each figure as often as it was.
#[derive(Debug, Default)]
pub(super) struct Figures {
    measured: BTreeMap<String, Vec<f64>>,
    compared: BTreeMap<String, Compared>,
}

impl Figures {
    /// The median of a figure.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        let mut all = self.measured.get(name)?.clone();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// A row of another command's tables: the words of its first cells, with ` / ` between two.
    pub(super) fn compared(&self, name: &str) -> Option<&Compared> {
        self.compared.get(name)
    }

    fn add(&mut self, name: impl Into<String>, value: f64) {
        self.measured.entry(name.into()).or_default().push(value);
    }

    /// Takes the rows of tables whose last cells are a goal, what was measured, and whether it is met.
    pub(super) fn take_compared(&mut self, tables: &str) {
        for row in tables.lines().map(cells) {
            let [names @ .., goal, measured, verdict @ ("met" | "missed")] = &row[..] else {
                continue;
            };
            let compared = Compared {
                goal: (*goal).to_owned(),
                measured: (*measured).to_owned(),
                is_met: *verdict == "met",
            };
            self.compared.insert(names.join(" / "), compared);
        }
    }

    /// Takes lines such as `an addition with its stack: 1376 ns`, with a word before their names.
    pub(super) fn take_lines(&mut self, which: &str, printed: &str) {
        for line in printed.lines() {
            let line = line
                .trim()
                .trim_end_matches(|end: char| end.is_alphabetic());
            let line = line.trim_end();
            let Some((name, number)) = line.rsplit_once(' ') else {
                continue;
            };
            if let Ok(value) = number.parse() {
                self.add(
                    format!("{which}{}", name.trim().trim_end_matches(':')),
                    value,
                );
            }
        }
    }

    /// Takes the medians of the rates, in MB/s, that divan prints under each benchmark's name.
    pub(super) fn take_rates(&mut self, printed: &str) {
        let mut name = "";
        for line in printed.lines() {
            if let Some(row) = line.strip_prefix(['├', '╰']) {
                name = row
                    .trim_start_matches('─')
                    .split_whitespace()
                    .next()
                    .unwrap_or_default();
            }
            let mut rates = line
                .split('│')
                .filter_map(|cell| cell.trim().strip_suffix(" MB/s"));
            // The fastest, the slowest, the median, the mean.
            if let Some(median) = rates.nth(2).and_then(|rate| rate.parse().ok()) {
                self.add(name, median);
            }
        }
    }

    /// Takes what `doctor --timing` says of a start: milliseconds of its own, and MiB besides the ring buffer.
    pub(super) fn take_start(&mut self, when: &str, printed: &str) {
        for line in printed.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words.get(at)?.parse::<f64>().ok();
            match words.first() {
                Some(&"own") => self.measured_start(when, "time", number(2)),
                Some(&"memory") => {
                    let besides = number(1).zip(number(5)).map(|(all, ring)| all - ring);
                    self.measured_start(when, "memory", besides);
                }
                _ => {}
            }
        }
    }

    fn measured_start(&mut self, when: &str, what: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.add(format!("{when} start: {what}"), value);
        }
    }

    /// Takes the table of recordings of many sizes: the most memory at ten million events and with a hundred thousand devices, and
    /// how much longer than ten times a tenth of the events ten million take.
    pub(super) fn take_sizes(&mut self, table: &str) {
        let mut seconds = BTreeMap::new();
        let (mut events_memory, mut devices_memory, mut growth) = (0.0_f64, 0.0_f64, 0.0_f64);
        for row in table.lines().map(cells) {
            let [recording, events, _, command, time, memory] = &row[..] else {
                continue;
            };
            let (Ok(time), Ok(memory)) = (time.parse::<f64>(), memory.parse::<f64>()) else {
                continue;
            };
            if recording.starts_with("100000 devices") {
                devices_memory = devices_memory.max(memory);
            }
            if *recording != "devices that come and go" {
                continue;
            }
            match *events {
                "1000000" => drop(seconds.insert((*command).to_owned(), time)),
                "10000000" => {
                    events_memory = events_memory.max(memory);
                    let before = seconds.get(*command).copied().unwrap_or(f64::NAN);
                    growth = growth.max(time / before / 10.0);
                }
                _ => {}
            }
        }
        for (name, value) in [
            ("memory at ten million events", events_memory),
            ("memory with a hundred thousand devices", devices_memory),
            ("growth", growth),
        ] {
            if value > 0.0 {
                self.add(name, value);
            }
        }
    }
}

/// The cells of a table's row.
fn cells(row: &str) -> Vec<&str> {
    row.trim()
        .trim_matches('|')
        .split('|')
        .map(str::trim)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(take: impl FnOnce(&mut Figures)) -> impl Fn(&str) -> Option<f64> {
        let mut figures = Figures::default();
        take(&mut figures);
        move |name| figures.get(name)
    }

    #[test]
    fn a_figure_is_the_median_of_what_was_measured() {
        let get = figures(|figures| {
            for line in [
                "a b: 3 ns",
                "a b: 1 ns",
                "a b: 2 ns",
                "c      30.5",
                "none of it",
            ] {
                figures.take_lines("now: ", line);
            }
        });
        assert_eq!(get("now: a b"), Some(2.0));
        assert_eq!(get("now: c"), Some(30.5));
        assert_eq!(get("now: none of"), None);
    }

    #[test]
    fn rates_are_read_from_what_divan_prints() {
        let get = figures(|figures| {
            figures.take_rates(
                "text                  fastest       │ slowest       │ median        │ mean          │ samples │ iters\n\
                 ├─ one                200 MB of text took 37 MB\n\
                 1.763 s       │ 1.888 s       │ 1.802 s       │ 1.818 s       │ 3       │ 3\n\
                 │                     113.3 MB/s    │ 105.8 MB/s    │ 110.9 MB/s    │ 109.9 MB/s    │         │\n\
                 ╰─ other              200 MB of text took 1 MB\n\
                                       413.9 MB/s    │ 294.1 MB/s    │ 399.7 MB/s    │ 360.7 MB/s    │         │\n",
            );
        });
        assert_eq!((get("one"), get("other")), (Some(110.9), Some(399.7)));
    }

    #[test]
    fn a_start_takes_time_of_its_own_and_memory_besides_the_ring_buffer() {
        let get = figures(|figures| {
            figures.take_start(
                "first",
                "  own time            52.1 ms without the verifier\n\
                 memory         94.5 MiB at most, 64.0 MiB of it the ring buffer, which is mapped twice\n",
            );
        });
        assert_eq!(get("first start: time"), Some(52.1));
        assert_eq!(get("first start: memory"), Some(30.5));
    }

    #[test]
    fn the_largest_of_the_sizes_counts() {
        let get = figures(|figures| {
            figures.take_sizes(
                "| recording | events | MB | command | s of computing | MiB at most |\n\
                 |---|---|---|---|---|---|\n\
                 | devices that come and go | 1000000 | 0.8 | `report` | 1.00 | 117 |\n\
                 | devices that come and go | 1000000 | 0.8 | `diff` | 2.00 | 117 |\n\
                 | devices that come and go | 10000000 | 7.8 | `report` | 12.00 | 132 |\n\
                 | devices that come and go | 10000000 | 7.8 | `diff` | 20.00 | 243 |\n\
                 | 100000 devices at once, 5 resources each | 2300000 | 1.4 | `check` | 3.08 | 238 |\n",
            );
        });
        assert_eq!(get("memory at ten million events"), Some(243.0));
        assert_eq!(get("memory with a hundred thousand devices"), Some(238.0));
        assert!((get("growth").unwrap() - 1.2).abs() < 1e-9);
    }

    #[test]
    fn what_was_compared_is_taken_over() {
        let mut figures = Figures::default();
        figures.take_compared(
            "| a | b | 1.2 | 1.20 | missed |\n| c | at most 0.17 | 0.1 | met |\n| d | 1 | 2 |\n",
        );
        let missed = figures.compared("a / b").unwrap();
        assert_eq!((missed.goal.as_str(), missed.is_met), ("1.2", false));
        assert!(figures.compared("c").unwrap().is_met);
        assert!(figures.compared("d").is_none());
    }
}
