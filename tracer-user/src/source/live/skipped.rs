//! Events that the kernel did not hand to the probes at all.
//!
//! A program that is already running on a CPU is not run again inside itself, and a kretprobe needs a free
//! instance. The kernel counts both and tells them in the `fdinfo` of each program and link.

use std::{collections::HashMap, fs};

/// The counts of this process's programs and links.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    last: HashMap<String, u64>,
}

impl Skipped {
    /// How many runs were skipped since the last call.
    pub(super) fn since_last(&mut self) -> u64 {
        let mut skipped = 0;
        for (object, count) in counts() {
            let last = self.last.insert(object, count).unwrap_or(0);
            skipped += count.saturating_sub(last);
        }
        skipped
    }
}

/// The count of each program and link of this process that has one.
fn counts() -> Vec<(String, u64)> {
    let Ok(descriptors) = fs::read_dir("/proc/self/fdinfo") else {
        return Vec::new();
    };
    descriptors
        .flatten()
        .filter_map(|entry| count(&fs::read_to_string(entry.path()).ok()?))
        .collect()
}

/// The identity and the count that one `fdinfo` tells.
fn count(information: &str) -> Option<(String, u64)> {
    let mut identity = None;
    let mut count = None;
    for line in information.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        match key {
            "prog_id" if identity.is_none() => identity = Some(format!("program {}", value.trim())),
            "link_id" => identity = Some(format!("link {}", value.trim())),
            "recursion_misses" | "missed" => count = value.trim().parse().ok(),
            _ => {}
        }
    }
    Some((identity?, count?))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_programs_recursion_misses_are_read() {
        let information = "pos:\t0\nflags:\t02\nprog_type:\t26\nprog_jited:\t1\nprog_id:\t77\nrun_cnt:\t9\nrecursion_misses:\t3\n";
        assert_eq!(count(information), Some(("program 77".to_owned(), 3)));
    }

    #[test]
    fn a_links_misses_are_its_own_not_its_programs() {
        let information =
            "link_type:\tperf\nlink_id:\t5\nprog_tag:\tab\nprog_id:\t77\nmissed:\t2\n";
        assert_eq!(count(information), Some(("link 5".to_owned(), 2)));
    }

    #[test]
    fn other_descriptors_have_no_count() {
        assert_eq!(count("pos:\t0\nflags:\t02\n"), None);
    }
}
