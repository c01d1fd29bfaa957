//! The functions of a module that has just been loaded, read from its own symbol table.
//!
//! A module can be gone again before the kernel's whole table, a hundred thousand lines of text, could be
//! read once more; and one whose initialisation fails before anything could be read. So the probe sends the
//! table along.

use super::{
    snapshot::{Memory, Unreadable},
    symbols::ModuleFunction,
};
use crate::{event::Text, kernel::ModuleLayout};

/// Size of an `Elf64_Sym`: the name's place, type and binding, section, address, size.
const SYMBOL: usize = 24;
/// `STT_FUNC`.
const FUNCTION: u8 = 2;
/// More symbols than any module has.
const MOST_SYMBOLS: u64 = 1 << 18;
/// The longest name that is read.
const LONGEST_NAME: usize = 256;
/// More bytes of names than any module has.
const LONGEST_TABLE: usize = 1 << 26;

/// The table that a module has at this moment: when its initialisation has ended, one without the functions that
/// only that needed. `module` is its `struct module`.
pub(super) fn table(
    memory: &mut dyn Memory,
    layout: &ModuleLayout,
    module: u64,
) -> Result<u64, Unreadable> {
    memory.word(module.wrapping_add(layout.kallsyms))
}

/// Reads a module's functions from its `struct mod_kallsyms`, which lies at `table`.
///
/// Whatever a record says is only an address that may be read or not.
pub(super) fn read(
    memory: &mut dyn Memory,
    layout: &ModuleLayout,
    table: u64,
) -> Result<Vec<ModuleFunction>, Unreadable> {
    let symbols = memory.word(table.wrapping_add(layout.symbols))?;
    let count = memory.word(table.wrapping_add(layout.count))? & u64::from(u32::MAX);
    let strings = memory.word(table.wrapping_add(layout.strings))?;
    if count > MOST_SYMBOLS {
        return Err(Unreadable(table));
    }
    let length = usize::try_from(count).unwrap_or(0) * SYMBOL;
    let bytes = in_pieces(memory, symbols, length)?;
    let mut names = Names {
        start: strings,
        bytes: Vec::new(),
    };
    let mut functions = Vec::new();
    for symbol in bytes.as_chunks::<SYMBOL>().0 {
        let word = |at: usize| {
            let word = symbol.get(at..at + 8).and_then(|word| word.try_into().ok());
            word.map_or(0, u64::from_ne_bytes)
        };
        let (address, size) = (word(8), word(16));
        if symbol[4] & 0xf != FUNCTION || address == 0 || size == 0 {
            continue;
        }
        let name = names.get(memory, word(0) & u64::from(u32::MAX))?;
        functions.push(ModuleFunction {
            address,
            size,
            name,
        });
    }
    Ok(functions)
}

/// So many bytes. Where that is a wrong number, room for no more is taken than can be read.
fn in_pieces(memory: &mut dyn Memory, address: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
    const PIECE: usize = 1 << 14;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let read = bytes.len();
        bytes.resize(length.min(read + PIECE), 0);
        let piece = bytes.get_mut(read..).unwrap_or_default();
        memory.read(address.wrapping_add(read as u64), piece)?;
    }
    Ok(bytes)
}

/// The module's string table, read as far as it has been needed.
struct Names {
    start: u64,
    bytes: Vec<u8>,
}

impl Names {
    fn get(&mut self, memory: &mut dyn Memory, at: u64) -> Result<Text, Unreadable> {
        /// The table is read in pieces that lie at multiples of this size: none reaches into the page behind it.
        const PIECE: u64 = 1024;
        let at = usize::try_from(at).map_err(|_| Unreadable(self.start))?;
        if at > LONGEST_TABLE {
            return Err(Unreadable(self.start));
        }
        loop {
            let known = self.bytes.get(at..).unwrap_or_default();
            if let Some(end) = known.iter().position(|byte| *byte == 0) {
                return Ok(String::from_utf8_lossy(&known[..end]).into());
            }
            if known.len() > LONGEST_NAME {
                return Err(Unreadable(self.start));
            }
            let next = self.start.wrapping_add(self.bytes.len() as u64);
            let from = self.bytes.len();
            let length = PIECE - next % PIECE;
            self.bytes
                .resize(from + usize::try_from(length).unwrap_or(0), 0);
            let piece = self.bytes.get_mut(from..).unwrap_or_default();
            memory.read(next, piece)?;
        }
    }
}
