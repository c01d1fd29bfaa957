//! The running kernel's memory, as `/proc/kcore` shows it to root.

use std::{fs::File, io::Read as _, os::unix::fs::FileExt as _};

use object::{
    Endianness,
    elf::{FileHeader64, PT_LOAD},
    read::elf::{FileHeader as _, ProgramHeader as _},
};

/// The kernel's memory as an ELF core file.
const CORE: &str = "/proc/kcore";
/// The headers of a core: one for each range of memory.
const HEADERS: u64 = 64 * 1024;

/// The bytes at an address of the running kernel. `None` where there is no such memory, or it can't be read: by a user
/// without privileges, under lockdown, on a kernel without `CONFIG_PROC_KCORE`, on one of 32 bits.
#[must_use]
pub fn memory<const LENGTH: usize>(address: u64) -> Option<[u8; LENGTH]> {
    let core = File::open(CORE).ok()?;
    let mut headers = Vec::new();
    (&core).take(HEADERS).read_to_end(&mut headers).ok()?;
    let data = headers.as_slice();
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let place = header
        .program_headers(endian, data)
        .ok()?
        .iter()
        .filter(|range| range.p_type(endian) == PT_LOAD)
        .find_map(|range| {
            let within = address.checked_sub(range.p_vaddr(endian))?;
            let last = within.checked_add(LENGTH as u64)?;
            (last <= range.p_memsz(endian)).then(|| range.p_offset(endian).checked_add(within))?
        })?;
    let mut bytes = [0; LENGTH];
    core.read_exact_at(&mut bytes, place).ok()?;
    Some(bytes)
}
