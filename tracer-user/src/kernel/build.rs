//! Which builds of the kernel and its modules run, and where they lie in memory: what debug info is matched by.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::event::{Text, hex};

/// The kernel itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KernelImage {
    /// Its build id, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The address of its first byte of code (`_text`), which is another one at each boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Address>,
}

/// A module that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedModule {
    /// Its name.
    pub name: Text,
    /// Its build id, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The sections of its file that hold code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<CodeSection>,
}

/// A section of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSection {
    /// Its name, such as `.text`.
    pub name: Text,
    /// Where it begins in memory.
    pub address: Address,
}

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address(#[serde(with = "hex")] pub u64);

/// More lines than the kernel's table has before `_text`: the variables of each CPU.
const MOST_LINES: usize = 1 << 16;

impl KernelImage {
    /// The running one.
    #[must_use]
    pub fn running() -> Self {
        let notes = fs::read("/sys/kernel/notes").ok();
        let symbols = File::open("/proc/kallsyms").ok();
        Self {
            build_id: notes.and_then(|notes| build_id(&notes)),
            text: symbols.and_then(|symbols| text(BufReader::with_capacity(1 << 16, symbols))),
        }
    }
}

impl LoadedModule {
    /// What the running kernel says of a module; `None` if that is nothing.
    #[must_use]
    pub fn running(name: &Text) -> Option<Self> {
        Self::read(Path::new("/sys/module"), name)
    }

    fn read(modules: &Path, name: &Text) -> Option<Self> {
        // A name that came from elsewhere is no way out of the directory.
        if name.is_empty() || name.contains(['/', '.']) {
            return None;
        }
        let directory = modules.join(&**name);
        let notes = fs::read(directory.join("notes/.note.gnu.build-id")).ok();
        let build_id = notes.and_then(|notes| build_id(&notes));
        let files = fs::read_dir(directory.join("sections")).ok();
        let mut sections: Vec<CodeSection> = files
            .into_iter()
            .flatten()
            .filter_map(|file| {
                let file = file.ok()?;
                let name = file.file_name().into_string().ok()?;
                if !name.contains("text") {
                    return None;
                }
                let address = fs::read_to_string(file.path()).ok()?;
                let digits = address.trim().strip_prefix("0x")?;
                let address = u64::from_str_radix(digits, 16).ok()?;
                (address != 0).then(|| CodeSection {
                    name: name.into(),
                    address: Address(address),
                })
            })
            .collect();
        sections.sort_by_key(|section| section.address.0);
        (build_id.is_some() || !sections.is_empty()).then(|| Self {
            name: name.clone(),
            build_id,
            sections,
        })
    }
}

/// The address of `_text` in a table in the format of `/proc/kallsyms`.
fn text(mut table: impl BufRead) -> Option<Address> {
    let mut line = String::new();
    for _ in 0..MOST_LINES {
        line.clear();
        if table.read_line(&mut line).ok()? == 0 {
            break;
        }
        let mut fields = line.split_ascii_whitespace();
        let address = fields.next()?;
        if fields.nth(1) == Some("_text") && fields.next().is_none() {
            let address = u64::from_str_radix(address, 16).ok()?;
            return (address != 0).then_some(Address(address));
        }
    }
    None
}

/// The build id in notes of an ELF file.
fn build_id(mut notes: &[u8]) -> Option<String> {
    const GNU_BUILD_ID: u32 = 3;
    loop {
        let mut word = || {
            let (word, rest) = notes.split_first_chunk()?;
            notes = rest;
            Some(u32::from_ne_bytes(*word))
        };
        let (name_length, length, kind) = (word()?, word()?, word()?);
        let mut part = |length: u32| {
            let length = usize::try_from(length).ok()?;
            let part = notes.get(..length)?;
            notes = notes
                .get(length.checked_next_multiple_of(4)?..)
                .unwrap_or_default();
            Some(part)
        };
        let (name, content) = (part(name_length)?, part(length)?);
        if name == b"GNU\0" && kind == GNU_BUILD_ID && !content.is_empty() {
            return Some(digits(content));
        }
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn digits(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [
            u32::try_from(name.len()).unwrap(),
            u32::try_from(content.len()).unwrap(),
            kind,
        ] {
            note.extend(word.to_ne_bytes());
        }
        for part in [name, content] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn the_build_id_is_one_note_of_several() {
        let mut notes = note(b"Xen\0", 3, &[1; 5]);
        notes.extend(note(b"GNU\0", 1, &[2; 4]));
        assert_eq!(build_id(&notes), None);
        notes.extend(note(b"GNU\0", 3, &[0xab, 0x01]));
        assert_eq!(build_id(&notes).as_deref(), Some("ab01"));
        for cut in 0..notes.len() - 4 {
            assert_eq!(build_id(&notes[..cut]), None);
        }
        assert_eq!(build_id(&[0xff; 64]), None);
    }

    #[test]
    fn the_kernel_begins_at_its_text() {
        let table = "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _stext\nffffffff81000000 T _text\n";
        assert_eq!(text(table.as_bytes()), Some(Address(0xffff_ffff_8100_0000)));
        let hidden = "0000000000000000 T _text\nffffffff81000000 t _text\t[module]\n";
        assert_eq!(text(hidden.as_bytes()), None);
        assert_eq!(text("_text\n".as_bytes()), None);
    }

    #[test]
    fn a_module_is_read_from_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &[u8]| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let read = |name: &str| LoadedModule::read(directory.path(), &Text::from(name));
        write("a/sections/.text", b"0xffffffffc0001000\n");
        write("a/sections/.init.text", b"0xffffffffc0009000\n");
        write("a/sections/.data", b"0xffffffffc0000000\n");
        write("a/notes/.note.gnu.build-id", &note(b"GNU\0", 3, &[7; 20]));
        let module = read("a").unwrap();
        assert_eq!(module.build_id, Some("07".repeat(20)));
        let names: Vec<&str> = module.sections.iter().map(|one| &*one.name).collect();
        assert_eq!(names, [".text", ".init.text"]);
        write("hidden/sections/.text", b"0x0000000000000000\n");
        for none in ["hidden", "missing", "../a", ""] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
