//! Lines of the function tracer and of the function graph tracer, as tracefs and trace-cmd print them:
//! `sh-1234 [001] ..... 100.000110: devres_release_all(dev=0xffff888100001000) <-device_unbind_cleanup` and
//! `100.000110 |   1)     sh-1234    |               |    devres_release_all(dev=0xffff888100001000) {`.
//!
//! Arguments are there from Linux 6.15 on, with the options `func-args` and `funcgraph-args`. Without them a line
//! does not report which device it is, and is only counted.

use std::fmt;

use hashbrown::HashMap;
use memchr::{memchr, memmem, memrchr};

use super::function_line::hook;
use crate::{
    event::Hook,
    source::text::{
        envelope::trace_head::{self, Head},
        scan::{around, decimal, hexadecimal, last_word},
    },
};

/// What stands in a line that may be one of these.
pub(in crate::source::text) const WORDS: [&str; 5] =
    [HEADER, " <-", ") {", ");", "funcgraph_exit:"];
/// What tracefs writes at the beginning.
const HEADER: &str = "# tracer: function";
/// Functions of one task that are entered and have not returned.
const MOST_FRAMES: usize = 128;
/// Tasks about which something is remembered at the same time.
const MOST_TASKS: usize = 4096;

/// Why a function tracer's line is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The function tracer has left out the arguments.
    FunctionArguments,
    /// The graph tracer has.
    GraphArguments,
    /// The graph tracer has left out the task.
    GraphTask,
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, option) = match self {
            Self::FunctionArguments => ("the function tracer printed no arguments", "func-args"),
            Self::GraphArguments => (
                "the function graph tracer printed no arguments",
                "funcgraph-args",
            ),
            Self::GraphTask => {
                return formatter.write_str(
                    "the function graph tracer printed no tasks: `echo 1 > \
                     /sys/kernel/tracing/options/funcgraph-proc` before the trace, or `devres-tracer record`",
                );
            }
        };
        write!(
            formatter,
            "{what}: `echo 1 > /sys/kernel/tracing/options/{option}` before the trace (Linux 6.15), or \
             `devres-tracer record`"
        )
    }
}

/// What a line says about a function.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    /// It is entered. Its name, and its arguments if they are printed.
    Enter(&'a [u8], Option<&'a [u8]>),
    /// It is entered and returns.
    Leaf(&'a [u8], Option<&'a [u8]>, Option<u64>),
    /// What was entered at this depth returns.
    Leave(Option<u64>),
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    head: Head,
    /// Of the graph: how far the function is indented.
    depth: Option<usize>,
    step: Step<'a>,
}

/// A call that the line reports.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source::text) enum Traced<'a> {
    Enter(Hook, &'a [u8]),
    Leave(Hook, Option<u64>),
    Unusable(Hook, Unusable),
}

/// Reads the lines of both tracers.
#[derive(Debug, Default)]
pub(in crate::source::text) struct FunctionTracer {
    /// The text says that it is one of them.
    announced: bool,
    /// For each task what is entered and has not returned, by depth.
    open: HashMap<u32, Vec<(usize, Hook)>>,
}

impl FunctionTracer {
    /// Whether lines are worth a look that contain none of [`WORDS`].
    pub(in crate::source::text) fn is_open(&self) -> bool {
        self.announced
    }

    /// Reads a line: what it says, at most two things. `None` if it is none of these tracers' lines.
    pub(in crate::source::text) fn read<'a>(
        &mut self,
        line: &'a [u8],
    ) -> Option<(Head, Vec<Traced<'a>>)> {
        if line.starts_with(HEADER.as_bytes()) {
            self.announced = true;
            return None;
        }
        let Line { head, depth, step } = read(line)?;
        let Some(depth) = depth else {
            let Step::Enter(name, arguments) = step else {
                return None;
            };
            let traced = match (hook(name)?, arguments) {
                (hook, Some(arguments)) => Traced::Enter(hook, arguments),
                (hook, None) => Traced::Unusable(hook, Unusable::FunctionArguments),
            };
            return Some((head, vec![traced]));
        };
        // Returns have no name, so every line counts from here on.
        self.announced = true;
        let traced = self.graph(&head, depth, &step)?;
        Some((head, traced))
    }

    fn graph<'a>(&mut self, head: &Head, depth: usize, step: &Step<'a>) -> Option<Vec<Traced<'a>>> {
        if self.open.len() >= MOST_TASKS {
            self.open.clear();
        }
        let open = self.open.entry(head.task.tid).or_default();
        let (name, arguments) = match *step {
            Step::Leave(value) => {
                // What is deeper has returned without a line.
                while open.pop_if(|(deeper, _)| *deeper > depth).is_some() {}
                let (_, hook) = open.pop_if(|(entered, _)| *entered == depth)?;
                return Some(vec![Traced::Leave(hook, value)]);
            }
            Step::Enter(name, arguments) | Step::Leaf(name, arguments, _) => (name, arguments),
        };
        while open.pop_if(|(deeper, _)| *deeper >= depth).is_some() {}
        let hook = hook(name)?;
        let Some(arguments) = arguments else {
            return Some(vec![Traced::Unusable(hook, Unusable::GraphArguments)]);
        };
        if head.task.tid == 0 {
            return Some(vec![Traced::Unusable(hook, Unusable::GraphTask)]);
        }
        let mut traced = vec![Traced::Enter(hook, arguments)];
        if let Step::Leaf(_, _, value) = step {
            traced.push(Traced::Leave(hook, *value));
        } else if open.len() < MOST_FRAMES {
            open.push((depth, hook));
        }
        Some(traced)
    }
}

fn read(line: &[u8]) -> Option<Line<'_>> {
    if let Some((before, _)) = around(line, b" <-")
        && !before.contains(&b'|')
    {
        let colon = memmem::rfind(before, b": ")?;
        let (head, function) = before.split_at_checked(colon)?;
        let (name, arguments) = called(function.get(2..)?)?;
        // trace-cmd has the event's name in front of it.
        let head = head.strip_suffix(b"function").unwrap_or(head);
        return Some(Line {
            head: trace_head::head(head),
            depth: None,
            step: Step::Enter(name, arguments),
        });
    }
    let comment = memmem::find(line, b"/*").unwrap_or(line.len());
    let bar = memrchr(b'|', line.get(..comment)?)?;
    let (columns, function) = line.split_at_checked(bar)?;
    let function = function.get(1..)?;
    let depth = function.iter().take_while(|byte| **byte == b' ').count();
    let step = step(function.trim_ascii())?;
    let graph =
        around(columns, b"funcgraph_entry:").or_else(|| around(columns, b"funcgraph_exit:"));
    let head = match graph {
        Some((head, _)) => trace_head::head(head),
        None => trace_head::graph(without_duration(columns)),
    };
    Some(Line {
        head,
        depth: Some(depth),
        step,
    })
}

fn step(function: &[u8]) -> Option<Step<'_>> {
    let (code, comment) = match around(function, b"/*") {
        Some((code, comment)) => (code.trim_ascii_end(), Some(comment)),
        None => (function, None),
    };
    let value = comment.and_then(value);
    if code == b"}" {
        return Some(Step::Leave(value));
    }
    if let Some(entered) = code.strip_suffix(b"{") {
        let (name, arguments) = called(entered)?;
        return Some(Step::Enter(name, arguments));
    }
    let (name, arguments) = called(code.strip_suffix(b";")?)?;
    Some(Step::Leaf(name, arguments, value))
}

/// The function of `devres_release_all(dev=0x10)`, and the arguments if there are any.
fn called(function: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let function = function.trim_ascii();
    let (name, arguments) = match memchr(b'(', function) {
        Some(open) => {
            let (name, arguments) = function.split_at_checked(open)?;
            let arguments = arguments.get(1..)?.strip_suffix(b")")?.trim_ascii();
            (name, (!arguments.is_empty()).then_some(arguments))
        }
        None => (function, None),
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
    (!name.is_empty() && name.iter().all(is_name)).then_some((name, arguments))
}

/// The value in `devres_release_all ret=0x1 */` or `= -19 */`.
fn value(comment: &[u8]) -> Option<u64> {
    let (_, behind) = around(comment, b"=")?;
    let word = behind
        .trim_ascii_start()
        .split(|byte| byte.is_ascii_whitespace() || *byte == b'*')
        .next()?;
    if let Some(digits) = word.strip_prefix(b"0x") {
        return hexadecimal(digits);
    }
    match word.strip_prefix(b"-") {
        Some(digits) => decimal(digits).map(u64::wrapping_neg),
        None => decimal(word),
    }
}

/// The graph's columns without the duration, which would be taken for a time: `3.401 us`, perhaps with a mark.
fn without_duration(columns: &[u8]) -> &[u8] {
    let Some((before, b"us")) = last_word(columns) else {
        return columns;
    };
    last_word(before).map_or(before, |(before, _)| before)
}
