//! The one command that repeats what led to a finding, as far as the recording shows it.

use std::io::{self, Write};

use crate::{
    escape::escape,
    finding::Finding,
    history::{Binding, DeviceHistory, Histories, StepKind},
    model::InstanceKey,
};

/// Columns that a command is indented.
const INDENT: &str = "    ";

/// What the driver was doing when a finding was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Bind,
    Unbind,
}

/// The command; `None` where the recording doesn't show whose probe or unbind it was.
pub(super) fn command(finding: &Finding, histories: &Histories) -> Option<String> {
    let cause = finding.caused_by.as_ref();
    let (instance, frame) = match cause.filter(|cause| cause.driver.is_some()) {
        Some(cause) => (cause.instance, Some(cause.frame)),
        None => (finding.instance, None),
    };
    let history = life(instance, finding, histories);
    let deed = match frame {
        Some("probe") => Deed::Bind,
        Some("unbind") => Deed::Unbind,
        _ => deed(history?, finding)?,
    };
    let driver = history.and_then(|history| history.driver.as_deref());
    let driver = driver.or_else(|| cause?.driver.as_deref())?;
    let driver = word(driver)?;
    let name = history.and_then(|history| history.name.as_deref());
    let bus = history.and_then(|history| history.bus.as_deref());
    let (Some(name), Some(bus)) = (name, bus) else {
        // Without the bus, the directory is not known; the tool finds it by the driver.
        return Some(format!(
            "devres-tracer check --exercise {driver} --cycles 1"
        ));
    };
    let file = match deed {
        Deed::Bind => "bind",
        Deed::Unbind => "unbind",
    };
    let (name, bus) = (word(name)?, word(bus)?);
    Some(format!(
        "echo {name} >/sys/bus/{bus}/drivers/{driver}/{file}"
    ))
}

fn life<'a>(
    instance: InstanceKey,
    finding: &Finding,
    histories: &'a Histories,
) -> Option<&'a DeviceHistory> {
    histories
        .devices
        .iter()
        .filter(|history| history.key == instance)
        .find(|history| history.began <= finding.last)
}

/// What went on in the life when the finding that is shown was made.
fn deed(history: &DeviceHistory, finding: &Finding) -> Option<Deed> {
    let occurrence = finding.occurrences.on(history.key).next();
    let when = occurrence.map_or(finding.last, |occurrence| occurrence.time);
    let mut bindings = history.bindings.iter().rev();
    let binding = bindings.find(|binding| binding.number > 0 && binding.began <= when);
    let unbinds = |binding: &Binding| {
        let mut steps = binding.steps.iter();
        steps.any(|step| step.kind == StepKind::Unbind && step.time <= when)
    };
    match binding {
        Some(binding) if unbinds(binding) => Some(Deed::Unbind),
        Some(binding) => {
            let bound = binding.bound.as_ref().map(|(time, _)| *time);
            // Between its probe and its unbind it is not known what the driver was asked to do.
            (bound.is_none_or(|bound| when <= bound)).then_some(Deed::Bind)
        }
        // It was bound when the recording began.
        None => history.bindings.iter().any(unbinds).then_some(Deed::Unbind),
    }
}

/// A name as a word of a shell; `None` for what can't be typed, or is a command to who reads a log.
fn word(name: &str) -> Option<String> {
    let is_typed = |one: char| one.is_ascii_graphic() || one == ' ';
    if name.is_empty() || !name.chars().all(is_typed) || escape(name) != name {
        return None;
    }
    let plain = |one: char| one.is_ascii_alphanumeric() || "._-:@,+%".contains(one);
    let mut word = String::with_capacity(name.len());
    for one in name.chars() {
        // A line that is broken here must not begin with two colons.
        if !plain(one) || (one == ':' && name.contains("::")) {
            word.push('\\');
        }
        word.push(one);
    }
    Some(word)
}

/// Writes a command in lines that a shell reads as one.
pub(super) fn write(command: &str, width: usize, writer: &mut dyn Write) -> io::Result<()> {
    let most = width - INDENT.len() - 1;
    let mut line = String::new();
    // A backslash stays with what it stands for.
    let mut rest = command;
    let mut first = true;
    while !rest.is_empty() {
        let length = if rest.starts_with('\\') { 2 } else { 1 };
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        if line.len() + piece.len() > most {
            writeln!(writer, "{}{line}\\", if first { INDENT } else { "" })?;
            line.clear();
            first = false;
        }
        line.push_str(piece);
        rest = behind;
    }
    writeln!(writer, "{}{line}", if first { INDENT } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        assert_eq!(word("QEMU0001:00").as_deref(), Some("QEMU0001:00"));
        assert_eq!(word("a b$(x)'").as_deref(), Some("a\\ b\\$\\(x\\)\\'"));
        assert_eq!(word("~a").as_deref(), Some("\\~a"));
        assert_eq!(word("a::b").as_deref(), Some("a\\:\\:b"));
        for name in [
            "",
            "a\nb",
            "a\u{202e}",
            "Gerät",
            "::error::x",
            "<LAVA_SIGNAL>",
        ] {
            assert_eq!(word(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_long_command_is_one_command_to_a_shell() {
        let name = "a\\'b".repeat(100);
        let command = format!("printf %s {name}");
        let mut text = Vec::new();
        write(&command, 72, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.lines().count() > 4, "{text}");
        assert!(text.lines().all(|line| line.len() <= 72), "{text}");
        let shell = std::process::Command::new("sh")
            .args(["-c", &text])
            .output();
        let printed = String::from_utf8(shell.unwrap().stdout).unwrap();
        assert_eq!(printed, "a'b".repeat(100));
    }
}
