//! Relocations of the debug info in a module's file. Such a file is not linked: its sections all begin at address zero, and
//! its debug info refers to them by symbols.

use std::sync::Arc;

use addr2line::gimli::{self, Relocate};
use hashbrown::HashMap;
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationEncoding, RelocationKind,
    RelocationTarget, SectionFlags, SectionIndex, SymbolIndex, elf,
};

use super::error::DebugFileError;

/// The first section of code is put here: no address is zero, which means that code was left out.
const FIRST: u64 = 1 << 16;
/// Between two sections, so that the end of one is not the beginning of the next.
const GAP: u64 = 1 << 12;

/// Where each section is put, so that no two have an address in common.
#[derive(Debug, Default)]
pub(super) struct Layout(HashMap<usize, u64>);

impl Layout {
    pub(super) fn of(file: &object::File<'_>) -> Self {
        let mut next = FIRST;
        let mut layout = HashMap::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                continue;
            };
            if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
                continue;
            }
            layout.insert(section.index().0, next);
            // However large a damaged file says it is, addresses go round.
            next = next.wrapping_add(section.size()).wrapping_add(GAP) & !(GAP - 1);
        }
        Self(layout)
    }

    /// Where a section is put; zero for those that are not loaded, as debug info refers to them.
    pub(super) fn base(&self, section: SectionIndex) -> u64 {
        self.0.get(&section.0).copied().unwrap_or_default()
    }
}

/// What is added to what stands at a place in a section, or takes its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Relocations(Arc<HashMap<usize, Entry>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    value: u64,
    /// What stands at the place is added.
    adds: bool,
}

impl Relocations {
    /// The relocations of a section. Those that debug info doesn't need in a file that can be read are an error.
    pub(super) fn of(
        file: &object::File<'_>,
        section: &object::Section<'_, '_>,
        layout: &Layout,
    ) -> Result<Self, DebugFileError> {
        let mut entries = HashMap::new();
        for (offset, relocation) in section.relocations() {
            match relocation.kind() {
                RelocationKind::None => continue,
                RelocationKind::Absolute
                    if matches!(relocation.size(), 32 | 64)
                        && relocation.encoding() == RelocationEncoding::Generic => {}
                _ => return Err(DebugFileError::Relocation),
            }
            let target = match relocation.target() {
                RelocationTarget::Symbol(symbol) => symbol_value(file, symbol, layout)?,
                RelocationTarget::Section(section) => layout.base(section),
                RelocationTarget::Absolute => 0,
                _ => return Err(DebugFileError::Relocation),
            };
            let entry = Entry {
                value: target.wrapping_add(relocation.addend().cast_unsigned()),
                adds: relocation.has_implicit_addend(),
            };
            let offset = usize::try_from(offset).map_err(|_| DebugFileError::Relocation)?;
            if entries.insert(offset, entry).is_some() {
                return Err(DebugFileError::Relocation);
            }
        }
        Ok(Self(Arc::new(entries)))
    }

    fn relocated(&self, offset: usize, value: u64) -> u64 {
        match self.0.get(&offset) {
            None => value,
            Some(Entry { value: at, adds }) if *adds => at.wrapping_add(value),
            Some(entry) => entry.value,
        }
    }
}

fn symbol_value(
    file: &object::File<'_>,
    symbol: SymbolIndex,
    layout: &Layout,
) -> Result<u64, DebugFileError> {
    let symbol = file.symbol_by_index(symbol).map_err(DebugFileError::Elf)?;
    let base = symbol
        .section_index()
        .map_or(0, |section| layout.base(section));
    Ok(base.wrapping_add(symbol.address()))
}

impl Relocate<usize> for Relocations {
    fn relocate_address(&self, offset: usize, value: u64) -> gimli::Result<u64> {
        Ok(self.relocated(offset, value))
    }

    fn relocate_offset(&self, offset: usize, value: usize) -> gimli::Result<usize> {
        let relocated = self.relocated(offset, value as u64);
        usize::try_from(relocated).map_err(|_| gimli::Error::UnsupportedOffset)
    }
}
