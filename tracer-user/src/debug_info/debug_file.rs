//! One file with debug info: of which build it is, where its functions are, and the lines of its addresses.

use std::{
    borrow::Cow,
    fs::File,
    path::{Path, PathBuf},
};

use addr2line::{Context, Frame, gimli};
use hashbrown::HashMap;
use memmap2::Mmap;
use object::{Object as _, ObjectKind, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use super::{
    error::DebugFileError,
    placement::Placement,
    relocations::Layout,
    sections::{Reader, section},
};
use crate::{
    event::{InlinedCall, SourceLine, Text},
    kernel::digits,
};

/// A file with debug info.
pub(super) struct DebugFile {
    build_id: Option<String>,
    file: object::File<'static>,
    layout: Option<Layout>,
    /// Functions by name: where they are in the file.
    functions: HashMap<&'static str, Vec<Symbol>>,
    context: Context<Reader>,
    path: PathBuf,
}

/// A function in the file's symbol table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Symbol {
    section: usize,
    /// Within the section in a file that is not linked, else its address.
    value: u64,
    size: u64,
}

/// Where a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// At this address of the file's, with this size; zero if that is not known.
    At(u64, u64),
    /// Several have the name.
    Ambiguous,
    /// It is not in the file, or not where it should be.
    Nowhere,
}

impl DebugFile {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> Result<Self, DebugFileError> {
        let file = File::open(path).map_err(DebugFileError::Read)?;
        // SAFETY: nothing is written through the mapping, and it stays for as long as the program runs. Debug files are
        // not rewritten in place: who does that, as who truncates one, gets wrong lines or ends the program.
        let mapped = unsafe { Mmap::map(&file) }.map_err(DebugFileError::Read)?;
        let mapped: &'static Mmap = Box::leak(Box::new(mapped));
        Self::read(mapped, path)
    }

    fn read(bytes: &'static [u8], path: &Path) -> Result<Self, DebugFileError> {
        let file = object::File::parse(bytes).map_err(DebugFileError::Elf)?;
        let build_id = file.build_id().map_err(DebugFileError::Elf)?.map(digits);
        if file.section_by_name(".debug_info").is_none() {
            return Err(DebugFileError::Stripped);
        }
        let functions = functions(&file);
        if functions.is_empty() {
            return Err(DebugFileError::NoSymbols);
        }
        let layout = (file.kind() == ObjectKind::Relocatable).then(|| Layout::of(&file));
        let dwarf = gimli::Dwarf::load(|id| section(&file, id.name(), layout.as_ref()))?;
        let context = Context::from_dwarf(dwarf).map_err(DebugFileError::Dwarf)?;
        Ok(Self {
            build_id,
            file,
            layout,
            functions,
            context,
            path: path.to_owned(),
        })
    }

    /// That it is of the build that is wanted; anything goes if that is not known.
    pub(super) fn verify(&self, wanted: Option<&str>) -> Result<(), DebugFileError> {
        match wanted {
            Some(wanted) if self.build_id.as_deref() != Some(wanted) => {
                Err(DebugFileError::OtherBuild {
                    found: self
                        .build_id
                        .clone()
                        .unwrap_or_else(|| "missing".to_owned()),
                    wanted: wanted.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether both are of the same build.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.path == other.path || (self.build_id.is_some() && self.build_id == other.build_id)
    }

    /// Where a function is that began at `address` while it was loaded, if that is known.
    pub(super) fn position(&self, name: &str, address: u64, placement: &Placement<'_>) -> Position {
        let Some(named) = self.functions.get(name) else {
            return Position::Nowhere;
        };
        let mut fitting = named.iter().filter(|symbol| {
            address == 0
                || self
                    .lay_at(symbol, placement)
                    .is_none_or(|at| at == address)
        });
        let Some(first) = fitting.next() else {
            return Position::Nowhere;
        };
        if fitting.any(|other| (other.section, other.value) != (first.section, first.value)) {
            return Position::Ambiguous;
        }
        let base = match &self.layout {
            Some(layout) => layout.base(object::SectionIndex(first.section)),
            None => 0,
        };
        Position::At(base.wrapping_add(first.value), first.size)
    }

    /// Where a function lay in memory.
    fn lay_at(&self, symbol: &Symbol, placement: &Placement<'_>) -> Option<u64> {
        match placement {
            Placement::Unknown => None,
            Placement::Kernel(text) => {
                let [begin] = self.functions.get("_text")?.as_slice() else {
                    return None;
                };
                Some(symbol.value.wrapping_sub(begin.value).wrapping_add(*text))
            }
            Placement::Module(loaded) => {
                let section = self
                    .file
                    .section_by_index(object::SectionIndex(symbol.section));
                let name = section.ok()?.name().ok()?.to_owned();
                let loaded = loaded.sections.iter().find(|known| *known.name == *name)?;
                Some(loaded.address.0.wrapping_add(symbol.value))
            }
        }
    }

    /// The line of an address of the file's.
    pub(super) fn line(&self, address: u64) -> Option<SourceLine> {
        // What is damaged in there has no lines; the rest has.
        let mut frames = self.context.find_frames(address).skip_all_loads().ok()?;
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads();
        let directory = unit.and_then(|unit| unit.comp_dir.clone());
        let directory = directory
            .and_then(|path| Some(gimli::Reader::to_string_lossy(&path).ok()?.into_owned()));
        let directory = directory.map(|path| plain(&path)).unwrap_or_default();
        let mut calls = Vec::new();
        while let Some(frame) = frames.next().ok()? {
            calls.push(call(&frame, &directory)?);
        }
        let InlinedCall { file, line, .. } = calls.pop()?;
        calls.reverse();
        Some(SourceLine {
            file,
            line,
            inlined: calls,
        })
    }
}

/// A frame with its function, as far as both are known.
fn call(frame: &Frame<'_, Reader>, directory: &str) -> Option<InlinedCall> {
    let location = frame.location.as_ref()?;
    let function = frame.function.as_ref();
    let function = function.and_then(|function| function.raw_name().ok());
    Some(InlinedCall {
        function: Text::from(function.unwrap_or(Cow::Borrowed("?"))),
        file: below(&plain(location.file?), directory),
        line: location.line.filter(|line| *line > 0)?,
    })
}

/// The functions of a file, by name. The kernel's table has no others.
fn functions(file: &object::File<'static>) -> HashMap<&'static str, Vec<Symbol>> {
    let mut functions: HashMap<&'static str, Vec<Symbol>> = HashMap::new();
    for symbol in file.symbols() {
        let (Ok(name), Some(section)) = (symbol.name(), symbol.section_index()) else {
            continue;
        };
        // Assembly has functions without a type, as `_text` is.
        if name.is_empty()
            || !matches!(
                symbol.kind(),
                SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown
            )
        {
            continue;
        }
        functions.entry(name).or_default().push(Symbol {
            section: section.0,
            value: symbol.address(),
            size: symbol.size(),
        });
    }
    functions
}

/// A path without `.` and `..` in it.
fn plain(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            // The root is above itself.
            ".." if path.starts_with('/') => {}
            name => names.push(name),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", names.join("/"))
}

/// The path relative to a directory, if it lies below it.
fn below(path: &str, directory: &str) -> Text {
    let rest = path.strip_prefix(directory);
    let rest = rest.and_then(|rest| rest.strip_prefix('/'));
    Text::from(rest.filter(|_| !directory.is_empty()).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_where_it_was_built() {
        for (path, directory, expected) in [
            ("/b/linux/drivers/a.c", "/b/linux", "drivers/a.c"),
            (
                "/b/linux/out/../drivers/./a.c",
                "/b/linux/out",
                "/b/linux/drivers/a.c",
            ),
            ("/b/linux2/a.c", "/b/linux", "/b/linux2/a.c"),
            ("drivers//a.c", "", "drivers/a.c"),
            ("../../a.c", "", "../../a.c"),
            ("/../a.c", "", "/a.c"),
        ] {
            assert_eq!(&*below(&plain(path), &plain(directory)), expected, "{path}");
        }
    }
}
