//! Why a debug file can't be used.

use std::io;

use addr2line::gimli;

/// Why a debug file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DebugFileError {
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Read(io::Error),
    /// It is no ELF file, or a damaged one.
    #[error("it is no ELF file, or damaged: {0}")]
    Elf(object::Error),
    /// It holds no debug info.
    #[error("it has no debug info (DWARF): it was stripped, or built without CONFIG_DEBUG_INFO")]
    Stripped,
    /// It holds no symbol table.
    #[error("it has no symbol table")]
    NoSymbols,
    /// Its debug info makes no sense.
    #[error("its debug info (DWARF) is damaged: {0}")]
    Dwarf(gimli::Error),
    /// Its debug info is compressed in a way that is not known, or damaged.
    #[error("its debug info can't be decompressed")]
    Compression,
    /// Its debug info has relocations of a kind that is not known.
    #[error(
        "its debug info has relocations of an unknown kind: use the linked or stripped-off file of the distribution"
    )]
    Relocation,
    /// It is of another build.
    #[error("it is of another build: its build id is {found}, the recording's kernel had {wanted}")]
    OtherBuild {
        /// Its build id, or words if it has none.
        found: String,
        /// The recording's.
        wanted: String,
    },
}
