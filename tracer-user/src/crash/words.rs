//! A crash in words.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{Crash, UnderWay};
use crate::{
    escape::Escaped,
    event::{Death, DeathKind},
    finding::Resource,
    model::State,
};

/// Writes what is known of a crash, in lines that are at most so wide.
pub fn write(width: usize, writer: &mut impl Write, crash: &Crash) -> io::Result<()> {
    let mut lines = vec![death(crash.death.as_ref())];
    lines.extend(crash.under_way.iter().map(|one| under_way(one, crash)));
    if crash.more > 0 {
        lines.push(format!(
            "{} more tasks were in a probe, unbind or release",
            crash.more
        ));
    }
    lines.extend(crash.missing.iter().cloned());
    let first = textwrap::Options::new(width).subsequent_indent("    ");
    let others = first.clone().initial_indent("  ");
    for (number, line) in lines.iter().enumerate() {
        let options = if number == 0 { &first } else { &others };
        for line in textwrap::wrap(line, options) {
            writeln!(writer, "{line}")?;
        }
    }
    Ok(())
}

/// How the machine died.
fn death(death: Option<&Death>) -> String {
    let Some(death) = death else {
        return "CRASH: the recording ends here".to_owned();
    };
    let mut text = format!("CRASH: {}", death.kind.name());
    let _ = write!(text, " ({})", Escaped(&death.said));
    if let Some(tid) = death.tid {
        let comm = death.comm.as_deref().unwrap_or_default();
        let _ = write!(text, " in {}", task(comm, tid));
    }
    if let Some(cpu) = death.cpu {
        let _ = write!(text, " on CPU {cpu}");
    }
    if let Some(at) = &death.at {
        let _ = write!(text, ", at {}", Escaped(at));
    }
    if !death.fatal {
        text.push_str("; the log does not show that the machine died of it");
    }
    text
}

/// What was under way on a task.
fn under_way(one: &UnderWay, crash: &Crash) -> String {
    let mut text = match crash.death.as_ref() {
        Some(death) if death.kind == DeathKind::Hang && one.died => "the machine hung".to_owned(),
        Some(death) if death.fatal && one.died => "the machine died".to_owned(),
        _ if one.died => "it happened".to_owned(),
        _ => format!("at the end {} was", task(&one.comm, one.tid)),
    };
    let device = device(one);
    match (&one.releasing, one.certain) {
        (Some(resource), true) => {
            if one.died {
                text.push_str(" while");
            }
            let _ = write!(text, " releasing {} of {device}", name(resource));
        }
        (Some(resource), false) => {
            let _ = write!(
                text,
                " {}after the release of {} of {device} had begun; whether it had ended is not recorded",
                if one.died { "" } else { "in what came " },
                name(resource)
            );
        }
        (None, _) => {
            let function = one.functions.last().copied().unwrap_or("a function");
            let _ = write!(text, " in {function}() of {device}");
        }
    }
    if let Some(since) = one.since_detach {
        let milliseconds = since / 1_000;
        let _ = write!(
            text,
            ", {}.{:03} ms after dev_pm_domain_detach()",
            milliseconds / 1_000,
            milliseconds % 1_000
        );
        if one.releasing.is_some() {
            text.push_str(" when the release began");
        }
    }
    if let Some(resource) = &one.releasing {
        text.push_str(&adder(resource));
    }
    if one.functions.len() > 1 || one.releasing.is_some() && !one.functions.is_empty() {
        let _ = write!(text, "; it was in {}", one.functions.join(" > "));
    }
    text
}

fn task(comm: &str, tid: u32) -> String {
    match comm {
        "" => format!("task {tid}"),
        comm => format!("{}[{tid}]", Escaped(comm)),
    }
}

fn device(one: &UnderWay) -> String {
    let name = match one.device.as_str() {
        "" => "an unnamed device".to_owned(),
        name => Escaped(name).to_string(),
    };
    one.driver.as_ref().map_or_else(
        || name.clone(),
        |driver| format!("{name} (driver {})", Escaped(driver)),
    )
}

fn name(resource: &Resource) -> String {
    let what = resource
        .function
        .as_deref()
        .filter(|_| resource.name == "devm_action_release");
    let name = Escaped(what.unwrap_or(&resource.name)).to_string();
    format!("{name} ({})", resource.kind)
}

/// Who added it, as far as that is known.
fn adder(resource: &Resource) -> String {
    let added = &resource.added;
    let mut text = match (&added.by, &added.task, added.tid) {
        (Some(function), ..) => format!(", added by {}", Escaped(function)),
        (None, Some(comm), Some(tid)) => format!(", added by {}", task(comm, tid)),
        _ => return "; who added it was not recorded".to_owned(),
    };
    if let Some(time) = added.time {
        let _ = write!(text, " at {time}");
    }
    if added.phase != State::Unknown.name() {
        let _ = write!(text, " while {}", added.phase);
    }
    text
}
