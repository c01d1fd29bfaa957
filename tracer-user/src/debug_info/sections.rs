//! The sections of a debug file that hold its debug info, unpacked and with their relocations.

use std::{
    borrow::Cow,
    io::{Read as _, Take},
};

use addr2line::gimli::{EndianSlice, RelocateReader, RunTimeEndian};
use object::{CompressionFormat, Object as _, ObjectSection as _};

use super::{
    error::DebugFileError,
    relocations::{Layout, Relocations},
};

/// Reads a section.
pub(super) type Reader = RelocateReader<EndianSlice<'static, RunTimeEndian>, Relocations>;

/// More than the largest section of a kernel with everything in it.
const LARGEST: u64 = 2 << 30;

/// The content of a section; empty if there is none.
pub(super) fn section(
    file: &object::File<'static>,
    name: &str,
    layout: Option<&Layout>,
) -> Result<Reader, DebugFileError> {
    let endian = if file.is_little_endian() {
        RunTimeEndian::Little
    } else {
        RunTimeEndian::Big
    };
    let Some(section) = file.section_by_name(name) else {
        let nothing = EndianSlice::new(&[], endian);
        return Ok(RelocateReader::new(nothing, Relocations::default()));
    };
    let relocations = match layout {
        Some(layout) => Relocations::of(file, &section, layout)?,
        None => Relocations::default(),
    };
    let stored = section.compressed_data().map_err(DebugFileError::Elf)?;
    let content = match stored.format {
        CompressionFormat::None => Cow::Borrowed(stored.data),
        CompressionFormat::Zstandard => unpacked_zstd(stored.data, stored.uncompressed_size)?,
        CompressionFormat::Zlib => unpacked_zlib(stored.data, stored.uncompressed_size)?,
        _ => return Err(DebugFileError::Compression),
    };
    let content: &'static [u8] = match content {
        Cow::Borrowed(content) => content,
        // Debug files are kept as long as the program runs, as the mapped ones are.
        Cow::Owned(content) => Vec::leak(content),
    };
    Ok(RelocateReader::new(
        EndianSlice::new(content, endian),
        relocations,
    ))
}

fn unpacked_zstd(stored: &[u8], size: u64) -> Result<Cow<'static, [u8]>, DebugFileError> {
    let decoder = zstd::stream::read::Decoder::new(stored);
    let mut decoder: Take<_> = decoder
        .map_err(|_| DebugFileError::Compression)?
        .take(size.min(LARGEST) + 1);
    let mut content = Vec::new();
    let read = decoder.read_to_end(&mut content);
    if read.is_err() || content.len() as u64 != size {
        return Err(DebugFileError::Compression);
    }
    Ok(Cow::Owned(content))
}

fn unpacked_zlib(stored: &[u8], size: u64) -> Result<Cow<'static, [u8]>, DebugFileError> {
    let limit = usize::try_from(size.min(LARGEST)).map_err(|_| DebugFileError::Compression)?;
    let content = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(stored, limit)
        .map_err(|_| DebugFileError::Compression)?;
    if content.len() as u64 != size {
        return Err(DebugFileError::Compression);
    }
    Ok(Cow::Owned(content))
}
