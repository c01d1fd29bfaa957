//! What ftrace recorded of the tracepoint `devres_log`, to be compared with what the tracer saw.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use super::recording::NodeEvent;

/// The tracepoint's words for what happens to a node.
const OPERATIONS: [&str; 4] = ["ADD", "REM", "REL", "REPLACE"];

/// What ftrace appends to a name in a module, up to 6.12: `(0xffffffffc04d1ddb:custom_release)[UNSAFE-MEMORY]`.
const IN_MODULE: &str = ")[UNSAFE-MEMORY]";

/// Events that a message about a difference shows before and after it.
const SHOWN_AROUND: usize = 3;

/// Differing events that a message shows.
const SHOWN: usize = 12;

/// ftrace's record between the two markers.
pub(super) struct Truth {
    begin: u64,
    end: u64,
    events: Vec<NodeEvent>,
}

/// An event without its time, to be compared and shown.
#[derive(Clone, Debug)]
struct Step<'a>(&'a NodeEvent);

impl<'a> PartialEq for Step<'a> {
    fn eq(&self, other: &Self) -> bool {
        let content = |event: &'a NodeEvent| (event.operation, event.node, &event.name, event.size);
        content(self.0) == content(other.0)
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        write!(
            formatter,
            "{}.{:06} {} {:x} {} ({} bytes)",
            event.time / 1_000_000_000,
            event.time / 1000 % 1_000_000,
            event.operation,
            event.node,
            event.name,
            event.size
        )
    }
}

/// Reads the text of the tracefs file `trace`, with a marker `begin` and a marker `end`.
pub(super) fn parse(text: &str) -> Result<Truth> {
    let (mut begin, mut end, mut events) = (None, None, Vec::new());
    for line in text.lines() {
        if let Some((head, marker)) = line.split_once(": tracing_mark_write: ") {
            match marker {
                "begin" => begin = Some(time(head)?),
                "end" => end = Some(time(head)?),
                _ => {}
            }
        } else if let Some((head, event)) = line.split_once(": devres_log: ") {
            let event = parse_event(time(head)?, event);
            events.push(event.with_context(|| format!("ftrace has the line {line:?}"))?);
        }
    }
    let begin = begin.context("ftrace's record has no beginning")?;
    let end = end.context("ftrace's record has no end")?;
    events.retain(|event| (begin..=end).contains(&event.time));
    Ok(Truth { begin, end, events })
}

/// The nanoseconds at the end of what comes before an event.
fn time(head: &str) -> Result<u64> {
    let word = head.rsplit(' ').next().unwrap_or_default();
    let nanoseconds = word.split_once('.').and_then(|(seconds, micros)| {
        Some(seconds.parse::<u64>().ok()? * 1_000_000_000 + micros.parse::<u64>().ok()? * 1000)
    });
    nanoseconds.with_context(|| format!("{word:?} is no time"))
}

/// An event as the tracepoint prints it: `0-0048 ADD ffff888003a5b2c0 devm_kzalloc_release (40 bytes)`. Device names
/// and names of actions can have spaces.
fn parse_event(time: u64, text: &str) -> Option<NodeEvent> {
    let (operation, device, rest) = OPERATIONS.into_iter().find_map(|operation| {
        let (device, rest) = text.split_once(&format!(" {operation} "))?;
        Some((operation, device, rest))
    })?;
    let (node, rest) = rest.split_once(' ')?;
    let (name, size) = rest.strip_suffix(" bytes)")?.rsplit_once(" (")?;
    Some(NodeEvent {
        time,
        device: device.to_owned(),
        operation,
        node: u64::from_str_radix(node.trim_start_matches("0x"), 16).ok()?,
        name: plain_name(name).to_owned(),
        size: size.parse().ok()?,
    })
}

/// A name without what ftrace puts around one that lies in a module.
fn plain_name(name: &str) -> &str {
    name.strip_suffix(IN_MODULE)
        .and_then(|rest| rest.strip_prefix("(0x")?.split_once(':'))
        .map_or(name, |(_, name)| name)
}

impl Truth {
    /// Fails unless `seen` has the same events between the markers, device by device in the same order.
    pub(super) fn ensure_same(&self, seen: &[NodeEvent]) -> Result<()> {
        let seen = seen
            .iter()
            .filter(|event| (self.begin..=self.end).contains(&event.time));
        let (truth, seen) = (by_device(self.events.iter()), by_device(seen));
        ensure!(
            truth.len() >= 25 && self.events.len() >= 200,
            "ftrace has only {} events on {} devices",
            self.events.len(),
            truth.len()
        );
        let mut differences = Vec::new();
        for device in truth
            .keys()
            .chain(seen.keys().filter(|d| !truth.contains_key(*d)))
        {
            let events = |of: &BTreeMap<&str, Vec<Step<'_>>>| of.get(device).map(Vec::len);
            let (theirs, ours) = (
                truth.get(device).map(Vec::as_slice).unwrap_or_default(),
                seen.get(device).map(Vec::as_slice).unwrap_or_default(),
            );
            if theirs != ours {
                differences.push(format!(
                    "{device}: {} events by ftrace, {} by the tracer\n{}",
                    events(&truth).unwrap_or(0),
                    events(&seen).unwrap_or(0),
                    difference(theirs, ours)
                ));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        bail!(
            "{} of {} devices differ (- is missing in the tracer's record, + is only there)\n{}",
            differences.len(),
            truth.len(),
            differences.join("\n")
        );
    }
}

fn by_device<'a>(events: impl Iterator<Item = &'a NodeEvent>) -> BTreeMap<&'a str, Vec<Step<'a>>> {
    let mut devices: BTreeMap<&str, Vec<Step<'_>>> = BTreeMap::new();
    for event in events {
        devices
            .entry(event.device.as_str())
            .or_default()
            .push(Step(event));
    }
    devices
}

/// Where two sequences differ: what is between their common beginning and their common end.
fn difference(theirs: &[Step<'_>], ours: &[Step<'_>]) -> String {
    let same = |pairs: &mut dyn Iterator<Item = (&Step<'_>, &Step<'_>)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let begin = same(&mut theirs.iter().zip(ours));
    let shorter = theirs.len().min(ours.len());
    let end = same(&mut theirs.iter().rev().zip(ours.iter().rev())).min(shorter - begin);
    let part = |steps: &[Step<'_>], from: usize, to: usize, sign: char| -> String {
        let lines = steps.get(from..to).unwrap_or_default().iter().take(SHOWN);
        lines.fold(String::new(), |text, step| {
            format!("{text}  {sign} {step}\n")
        })
    };
    [
        part(theirs, begin.saturating_sub(SHOWN_AROUND), begin, ' '),
        part(theirs, begin, theirs.len() - end, '-'),
        part(ours, begin, ours.len() - end, '+'),
        part(
            theirs,
            theirs.len() - end,
            (theirs.len() - end + SHOWN_AROUND).min(theirs.len()),
            ' ',
        ),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# tracer: nop
              sh-1  [000] .....     9.000001: devres_log: early ADD ffff888000000001 devm_kzalloc_release (8 bytes)
              sh-1  [000] .....    10.000001: tracing_mark_write: begin
              sh-1  [000] d..1.    10.100002: devres_log: 0-0048 ADD ffff888000000010 (void(*)(void *))put_device (16 bytes)
          <idle>-0  [001] d..1.    10.200003: devres_log: 0-0048 REL ffff888000000020 (0xffffffffc06c0569:custom_release)[UNSAFE-MEMORY] (24 bytes)
              sh-1  [000] .....    11.000001: tracing_mark_write: end
";

    #[test]
    fn events_between_the_markers_are_read() -> Result<()> {
        let truth = parse(TEXT)?;
        assert_eq!(truth.events.len(), 2);
        let expected = NodeEvent {
            time: 10_100_002_000,
            device: "0-0048".to_owned(),
            operation: "ADD",
            node: 0xffff_8880_0000_0010,
            name: "(void(*)(void *))put_device".to_owned(),
            size: 16,
        };
        assert_eq!(truth.events.first(), Some(&expected));
        let in_module = truth.events.last().map(|event| event.name.as_str());
        assert_eq!(in_module, Some("custom_release"));
        assert!(parse("").is_err());
        Ok(())
    }

    /// Events enough to be compared, each on a device of its own but for the last two.
    fn many() -> Vec<NodeEvent> {
        let event = |index: u64| NodeEvent {
            time: 100 + index,
            device: format!("device{}", index.min(298)),
            operation: "ADD",
            node: index,
            name: "name".to_owned(),
            size: 8,
        };
        (0..300).map(event).collect()
    }

    fn difference_of(truth: Vec<NodeEvent>, seen: &[NodeEvent]) -> String {
        let truth = Truth {
            begin: 0,
            end: 1000,
            events: truth,
        };
        truth
            .ensure_same(seen)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn missing_additional_and_exchanged_events_are_differences() {
        assert_eq!(difference_of(many(), &many()), "");

        let mut seen = many();
        seen.remove(7);
        let missing = difference_of(many(), &seen);
        assert!(
            missing.contains("device7: 1 events by ftrace, 0"),
            "{missing}"
        );
        assert!(missing.contains("- 0.000000 ADD 7 name"), "{missing}");

        let additional = difference_of(seen, &many());
        assert!(additional.contains("+ 0.000000 ADD 7 name"), "{additional}");

        let mut exchanged = many();
        exchanged.swap(298, 299);
        assert!(difference_of(many(), &exchanged).contains("device298"));

        let mut resized = many();
        resized[5].size = 9;
        assert!(difference_of(many(), &resized).contains("device5"));

        let mut renamed = many();
        "other".clone_into(&mut renamed[5].name);
        assert!(difference_of(many(), &renamed).contains("device5"));
    }
}
