//! Messages of the kernel that tell of devres without being events.

use memchr::memmem;

use super::{
    kernel_log,
    scan::{around, digits, word},
};
use crate::event::Text;

/// A message that tells of devres without being an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line, counted from one.
    pub line: u64,
    /// What it says.
    pub kind: NoteKind,
    /// The device that it names, if any.
    pub device: Option<Text>,
}

/// What a [`Note`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteKind {
    /// `really_probe()` refused to probe a device that already owned resources.
    ResourcesBeforeProbe,
    /// A `WARN_ON()` in drivers/base/devres.c.
    Warning {
        /// The line in that file, on the kernel that wrote the message; `None` where the message is cut.
        source_line: Option<u64>,
        /// The function that it is in, if told.
        function: Option<Text>,
    },
}

/// What such messages contain.
pub(super) const WORDS: [&str; 4] = [REFUSED, SOURCE, REGISTERS_X86, REGISTERS_ARM64];

const REFUSED: &str = "Resources present before probing";
const SOURCE: &str = "drivers/base/devres.c:";
const REGISTERS_X86: &str = "RIP: 0010:";
const REGISTERS_ARM64: &str = "pc : ";

/// Lines behind a warning in which its registers are expected.
const REGISTERS_WITHIN: u64 = 60;

/// Functions of drivers/base/devres.c that warn.
const WARNING: [&[u8]; 10] = [
    b"devm_free_pages",
    b"devm_free_percpu",
    b"devm_kfree",
    b"devm_krealloc",
    b"devm_release_action",
    b"devm_remove_action",
    b"devres_close_group",
    b"devres_release_all",
    b"devres_release_group",
    b"devres_remove_group",
];

/// Notes in the order of the lines.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) found: Vec<Note>,
    /// The line of the last warning.
    last: Option<u64>,
    /// The last line ended where a warning's function should stand.
    cut: bool,
}

impl Notes {
    /// Whether the next line may go with the last one, whatever it contains.
    pub(super) fn expects_more(&self) -> bool {
        self.cut
    }

    /// Looks at a line that is no event. Whether it is kept, or goes with one that is.
    pub(super) fn look(&mut self, line: &[u8], number: u64) -> bool {
        if std::mem::take(&mut self.cut)
            && let Some(function) = function(super::prefix::unquote(line))
            && let Some(Note {
                kind:
                    NoteKind::Warning {
                        function: unknown, ..
                    },
                ..
            }) = self.found.last_mut()
        {
            *unknown = Some(function);
            return true;
        }
        let Some((kind, device)) = read(line) else {
            return self.registers(line, number);
        };
        if let NoteKind::Warning { function, .. } = &kind {
            self.last = Some(number);
            self.cut = function.is_none();
        }
        self.found.push(Note {
            line: number,
            kind,
            device,
        });
        true
    }

    /// The function of the last warning.
    fn last_function(&self) -> Option<&str> {
        self.found.iter().rev().find_map(|note| match &note.kind {
            NoteKind::Warning { function, .. } => function.as_deref(),
            NoteKind::ResourcesBeforeProbe => None,
        })
    }

    /// `RIP: 0010:devres_release_group+0x362/0x530` tells of a warning whose first lines were cut off.
    fn registers(&mut self, line: &[u8], number: u64) -> bool {
        let Some((_, at)) = around(line, REGISTERS_X86.as_bytes())
            .or_else(|| around(line, REGISTERS_ARM64.as_bytes()))
        else {
            return false;
        };
        let name = at.split(|byte| *byte == b'+').next().unwrap_or_default();
        let recent = self
            .last
            .is_some_and(|last| number.saturating_sub(last) <= REGISTERS_WITHIN);
        let known = recent
            && self
                .last_function()
                .is_some_and(|last| last.as_bytes() == name);
        if known || !WARNING.contains(&name) {
            return false;
        }
        self.last = Some(number);
        self.found.push(Note {
            line: number,
            kind: NoteKind::Warning {
                source_line: None,
                function: function(at),
            },
            device: None,
        });
        true
    }
}

fn read(line: &[u8]) -> Option<(NoteKind, Option<Text>)> {
    if let Some(at) = memmem::find(line, REFUSED.as_bytes()) {
        let (_, who) = kernel_log::subject(line.get(..at)?)?;
        let device = who
            .device
            .map(|name| Text::from(String::from_utf8_lossy(name)));
        return Some((NoteKind::ResourcesBeforeProbe, device));
    }
    let (before, place) = around(line, SOURCE.as_bytes())?;
    memmem::find(before, b"WARNING: ")?;
    let (source_line, rest) = digits(place)?;
    let rest = rest.trim_ascii_start();
    let kind = NoteKind::Warning {
        source_line: Some(source_line),
        // From 6.19 on "at" stands before the function.
        function: function(rest.strip_prefix(b"at ").unwrap_or(rest)),
    };
    Some((kind, None))
}

/// The function of `devm_kfree+0x8c/0xfc`.
fn function(place: &[u8]) -> Option<Text> {
    let (first, _) = word(place)?;
    let plus = first.iter().position(|byte| *byte == b'+')?;
    let name = first.get(..plus).filter(|name| !name.is_empty())?;
    Some(Text::from(String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(lines: &[&str]) -> Vec<Note> {
        let mut notes = Notes::default();
        for (line, number) in lines.iter().zip(1..) {
            notes.look(line.as_bytes(), number);
        }
        notes.found
    }

    fn warning(line: u64, source_line: Option<u64>, function: &str) -> Note {
        let function = Some(Text::from(function));
        Note {
            line,
            kind: NoteKind::Warning {
                source_line,
                function,
            },
            device: None,
        }
    }

    #[test]
    fn refused_probes_name_their_device() {
        for (line, device) in [
            (
                "  pci 0000:00:00.2: Resources present before probing",
                "0000:00:00.2",
            ),
            (
                "[ 7550.642171] platform thinkpad_acpi: Resources present before probing",
                "thinkpad_acpi",
            ),
            (
                "  CRIT KERN spi spi0.0: Resources present before probing",
                "spi0.0",
            ),
        ] {
            let note = Note {
                line: 1,
                kind: NoteKind::ResourcesBeforeProbe,
                device: Some(Text::from(device)),
            };
            assert_eq!(notes(&[line]), [note], "{line}");
        }
    }

    #[test]
    fn warnings_are_told_once_each() {
        assert_eq!(
            notes(&[
                "[ 1.0] WARNING: CPU: 0 PID: 413 at drivers/base/devres.c:1058 devm_kfree+0x2a8/0x330",
                "[ 1.1] RIP: 0010:devm_kfree+0x2a8/0x330",
                "> WARNING: CPU: 39 PID: 3830 at drivers/base/devres.c:1095",
                "> devres_release_group+0x70/0xa0",
                "WARNING: drivers/base/devres.c:691 at devres_close_group+0x1f2/0x2c0, CPU#2: kworker/1",
                "x: see drivers/base/devres.c:691",
            ]),
            [
                warning(1, Some(1058), "devm_kfree"),
                warning(3, Some(1095), "devres_release_group"),
                warning(5, Some(691), "devres_close_group"),
            ]
        );
    }

    #[test]
    fn registers_alone_tell_of_a_warning_that_was_cut() {
        assert_eq!(
            notes(&[
                "WARNING: CPU: 1 PID: 0 at drivers/base/devres.c:1064 devm_kfree+0x88/0x98",
                "\tRIP: 0010:devres_release_group+0x362/0x530",
                "RIP: 0010:kfree+0x1/0x2"
            ]),
            [
                warning(1, Some(1064), "devm_kfree"),
                warning(2, None, "devres_release_group")
            ]
        );
    }
}
