//! Keeps what was found in the kernel's types from one start to the next, as long as the kernel runs.
//!
//! The probes read the kernel's memory by it, so it is believed only where nobody else can have written it, and only of the
//! very types and the very program that it came from. Root alone keeps it: whoever may run a program that has its
//! capabilities from its file could tell it otherwise what to read.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{libc, unistd::Uid};
use serde::{Deserialize, Serialize};

use super::{
    facts::KernelFacts,
    types::{KERNEL_BTF, KernelTypes, LayoutError},
};

/// Where root keeps it: empty after a boot.
const DIRECTORY: &str = "/run/devres-tracer";

/// The file's name there.
const NAME: &str = "kernel-types.json";

/// No answers are as long.
const LONGEST: u64 = 1 << 20;

/// Where answers are kept, and where the types are that they are about.
struct Kept {
    /// `None` for users but root.
    directory: Option<PathBuf>,
    types: PathBuf,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Content {
    origin: Origin,
    facts: KernelFacts,
}

/// What answers came from.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    /// Of the types, in bytes.
    length: u64,
    /// Of the types, CRC-32.
    checksum: u32,
    /// Which program has asked: its inode, its size, and when it was changed, in nanoseconds.
    program: (u64, u64, i64),
}

impl KernelFacts {
    /// The running kernel's, as an earlier start has left them, or else from its BTF.
    pub fn of_running_kernel() -> Result<Self, LayoutError> {
        Kept::of_running_kernel().get()
    }
}

impl Kept {
    /// For the running kernel's types.
    fn of_running_kernel() -> Self {
        Self {
            directory: Uid::effective().is_root().then(|| PathBuf::from(DIRECTORY)),
            types: PathBuf::from(KERNEL_BTF),
        }
    }

    /// The answers as they were kept, or from the types; those are kept if they can be.
    fn get(&self) -> Result<KernelFacts, LayoutError> {
        let content = self.content();
        if let Some(content) = content
            && let Some(origin) = Origin::of(File::open(&self.types)?)?
            && content.origin == origin
        {
            return Ok(content.facts);
        }
        let types = fs::read(&self.types)?;
        let origin = Origin::of(types.as_slice())?;
        let facts = KernelFacts::of_types(&KernelTypes::of_bytes(types)?)?;
        if let (Some(directory), Some(origin)) = (&self.directory, origin) {
            // A start does without, as this one did.
            let _ = keep(
                directory,
                &Content {
                    origin,
                    facts: facts.clone(),
                },
            );
        }
        Ok(facts)
    }

    /// What was kept, if nobody else can have written it.
    fn content(&self) -> Option<Content> {
        let directory = self.directory.as_deref()?;
        is_private(&fs::symlink_metadata(directory).ok()?).then_some(())?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(directory.join(NAME))
            .ok()?;
        let metadata = file.metadata().ok()?;
        (metadata.is_file() && is_private(&metadata)).then_some(())?;
        let mut text = Vec::new();
        file.take(LONGEST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl Origin {
    /// Of these types, and this program; `None` if the program can't be told from another.
    fn of(mut types: impl io::Read) -> io::Result<Option<Self>> {
        let mut checksum = crc32fast::Hasher::new();
        let mut length = 0;
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = types.read(&mut piece)?;
            if read == 0 {
                break;
            }
            checksum.update(&piece[..read]);
            length += read as u64;
        }
        let program = fs::metadata("/proc/self/exe").ok().map(|metadata| {
            let changed = metadata
                .mtime()
                .wrapping_mul(1_000_000_000)
                .wrapping_add(metadata.mtime_nsec());
            (metadata.ino(), metadata.size(), changed)
        });
        Ok(program.map(|program| Self {
            length,
            checksum: checksum.finalize(),
            program,
        }))
    }
}

/// Puts the file into its place at once, so that nobody reads half of it.
fn keep(directory: &Path, content: &Content) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !is_private(&fs::symlink_metadata(directory)?) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.persist(directory.join(NAME))?;
    Ok(())
}

/// Whether nobody but this user can change it.
fn is_private(metadata: &Metadata) -> bool {
    !metadata.is_symlink()
        && metadata.uid() == Uid::effective().as_raw()
        && metadata.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    type Change = &'static dyn Fn(&Path);

    /// The running kernel's, kept in a directory of the test's own; `None` where the kernel has no types.
    fn kept(temporary: &tempfile::TempDir) -> Option<Kept> {
        let types = temporary.path().join("vmlinux");
        let Ok(bytes) = fs::read(KERNEL_BTF) else {
            eprintln!("SKIPPED: this kernel has no BTF");
            return None;
        };
        fs::write(&types, bytes).unwrap();
        Some(Kept {
            directory: Some(temporary.path().join("devres-tracer")),
            types,
        })
    }

    /// Has another answer stand in the file than the types give, and says whether it is believed.
    fn is_believed(kept: &Kept, change: impl FnOnce(&Path)) -> bool {
        let directory = kept.directory.as_deref().unwrap();
        let found = kept.get().unwrap();
        let mut content = kept.content().expect("it was kept");
        content
            .facts
            .functions_mut()
            .insert("a_function_that_was_planted".to_owned(), 1);
        keep(directory, &content).unwrap();
        change(directory);
        let got = kept.get().unwrap();
        let believed = got.function_number("a_function_that_was_planted").is_some();
        assert_eq!(believed, got != found);
        believed
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_kept_is_what_the_types_say() {
        let temporary = tempfile::tempdir().unwrap();
        let Some(kept) = kept(&temporary) else {
            return;
        };
        let found = kept.get().unwrap();
        assert!(
            found.function_number("device_add").is_none(),
            "no hook asks for it"
        );
        assert_eq!(kept.content().expect("it was kept").facts, found);
        assert!(is_believed(&kept, |_| {}), "the types aren't read again");
    }

    #[test]
    fn nothing_is_believed_that_others_can_have_written_or_that_is_of_other_types() {
        let changes: [(&str, Change); 6] = [
            ("a directory that others write to", &|directory| {
                set_mode(directory, 0o777);
            }),
            ("a file that others write to", &|directory| {
                set_mode(&directory.join(NAME), 0o666);
            }),
            ("a link", &|directory| {
                fs::rename(directory.join(NAME), directory.join("moved")).unwrap();
                std::os::unix::fs::symlink("moved", directory.join(NAME)).unwrap();
            }),
            ("half a file", &|directory| {
                let text = fs::read(directory.join(NAME)).unwrap();
                fs::write(directory.join(NAME), &text[..text.len() / 2]).unwrap();
            }),
            ("another kernel's", &|directory| {
                let types = directory.with_file_name("vmlinux");
                let mut bytes = fs::read(&types).unwrap();
                // What follows the last name is nobody's.
                bytes.push(0);
                fs::write(&types, bytes).unwrap();
            }),
            ("no file", &|directory| {
                fs::remove_file(directory.join(NAME)).unwrap();
            }),
        ];
        for (what, change) in changes {
            let temporary = tempfile::tempdir().unwrap();
            let Some(kept) = kept(&temporary) else {
                return;
            };
            assert!(!is_believed(&kept, change), "{what}");
        }
    }
}
