//! Unpacking the kernel proper out of a bzImage (the boot protocol's `payload_offset` and `payload_length`).

use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::{command, tools};

/// Offset of the setup header's signature, `HdrS`.
const SIGNATURE: usize = 0x202;
/// Offset of the number of 512-byte sectors of real mode code.
const SETUP_SECTORS: usize = 0x1f1;
/// Offset of the compressed payload's offset from the start of protected mode code.
const PAYLOAD_OFFSET: usize = 0x248;
/// Offset of the compressed payload's length.
const PAYLOAD_LENGTH: usize = 0x24c;
/// The kernel's build appends the unpacked size to xz and zstd payloads.
const SIZE_SUFFIX: usize = 4;

/// A compression format that Debian's kernels use.
#[derive(Debug, PartialEq, Eq)]
struct Compression {
    program: &'static str,
    magic: &'static [u8],
}

const COMPRESSIONS: [Compression; 2] = [
    Compression {
        program: "xz",
        magic: b"\xfd7zXZ\0",
    },
    Compression {
        program: "zstd",
        magic: b"\x28\xb5\x2f\xfd",
    },
];

/// Unpacks the ELF image in the bzImage `from` into the file `to`.
pub(crate) fn unpack(from: &Path, to: &Path) -> Result<()> {
    let image = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let range = payload(&image).with_context(|| format!("{} is not a bzImage", from.display()))?;
    let payload = image
        .get(range)
        .context("the payload lies outside of the bzImage")?;
    let Some(compression) = COMPRESSIONS
        .iter()
        .find(|compression| payload.starts_with(compression.magic))
    else {
        bail!(
            "{} is compressed neither with xz nor with zstd",
            from.display()
        );
    };
    // The program reads a file, so that it can write while nobody feeds it.
    let packed = to.with_extension("packed");
    let without_size = payload.len().saturating_sub(SIZE_SUFFIX);
    fs::write(&packed, payload.get(..without_size).unwrap_or_default())
        .with_context(|| format!("cannot write {}", packed.display()))?;
    decompress(compression.program, &packed, to)?;
    fs::remove_file(&packed).with_context(|| format!("cannot remove {}", packed.display()))
}

/// Decompresses the file `from` with `program`, `xz` or `zstd`, into the file `to`.
pub(crate) fn decompress(program: &'static str, from: &Path, to: &Path) -> Result<()> {
    let input = File::open(from).with_context(|| format!("cannot open {}", from.display()))?;
    let output = File::create(to).with_context(|| format!("cannot create {}", to.display()))?;
    let mut decompressor = tools::command(program);
    decompressor
        .arg("-dc")
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::piped());
    let finished = decompressor
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(
        finished.status.success(),
        "cannot unpack {}: {}",
        from.display(),
        command::error_text(&finished)
    );
    Ok(())
}

/// Where the compressed kernel lies in a bzImage.
fn payload(image: &[u8]) -> Result<Range<usize>> {
    ensure!(
        image.get(SIGNATURE..SIGNATURE + 4) == Some(b"HdrS"),
        "it has no setup header"
    );
    let sectors = match image.get(SETUP_SECTORS) {
        // The protocol's old default.
        Some(0) | None => 4,
        Some(&sectors) => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + word(image, PAYLOAD_OFFSET)?;
    Ok(start..start + word(image, PAYLOAD_LENGTH)?)
}

fn word(image: &[u8], offset: usize) -> Result<usize> {
    let bytes = image
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .context("its setup header is cut short")?;
    Ok(u32::from_le_bytes(*bytes).try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_where_the_header_says() -> Result<()> {
        let mut image = vec![0_u8; 0x400];
        image[SIGNATURE..SIGNATURE + 4].copy_from_slice(b"HdrS");
        image[SETUP_SECTORS] = 3;
        image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&0x100_u32.to_le_bytes());
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&0x20_u32.to_le_bytes());
        assert_eq!(payload(&image)?, 0x900..0x920);
        Ok(())
    }

    #[test]
    fn other_files_are_refused() {
        assert!(payload(b"\x7fELF").is_err());
    }
}
