//! The files that are written: whose they are, and who can read them.
//!
//! In a directory in which others can make files, such as `/tmp`, what lies under a name may have been put there by
//! somebody else: a file that they can read, a link to one that only this process can write. None of these is used. What
//! is made anew is made exclusively, and belongs to whoever has called `sudo`.

use std::{
    env,
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use nix::{
    libc,
    unistd::{Gid, Uid, fchown},
};

/// The mode of what may hold addresses of the kernel.
pub const PRIVATE: u32 = 0o600;

/// The mode of what everybody may read, as far as the umask goes.
pub const PUBLIC: u32 = 0o666;

/// Why what lies under a name is not written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A symbolic link, which leads to a file.
    #[error("it is a symbolic link; give the name of the file itself")]
    Link,
    /// Somebody else's.
    #[error(
        "it belongs to another user (uid {owner}), in a directory where other users can create files; remove it, or choose \
         another name"
    )]
    Foreign {
        /// Whose it is.
        owner: u32,
    },
    /// A file that has another name.
    #[error(
        "it has another name (a hard link), in a directory where other users can create files; remove it, or choose another name"
    )]
    HardLink,
}

impl Refusal {
    /// The refusal that an error of this module stands for, if it is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, refusal)
    }
}

/// Makes a file. What is there already is an error ([`io::ErrorKind::AlreadyExists`]), a link as well.
pub fn create(path: &Path, mode: u32) -> io::Result<File> {
    create_with(OpenOptions::new().write(true), path, mode)
}

/// Opens what lies under a name to be written anew, or makes a file. What was there before keeps its owner, and loses its
/// content and, if it is to be private, its readers. A pipe or a device is opened as it is.
///
/// # Errors
/// A [`Refusal`] among others.
pub fn rewrite(path: &Path, mode: u32) -> io::Result<File> {
    match create(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result,
    }
    let file = open_existing(OpenOptions::new().write(true), path)?;
    if file.metadata()?.is_file() {
        make_private(&file, mode);
        file.set_len(0)?;
    }
    Ok(file)
}

/// Opens a private file to be read, and written at its end, or makes it.
///
/// # Errors
/// A [`Refusal`] among others.
pub fn append(path: &Path) -> io::Result<File> {
    let options = || OpenOptions::new().read(true).append(true).clone();
    match create_with(&mut options(), path, PRIVATE) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let file = open_existing(&mut options(), path)?;
    if file.metadata()?.is_file() {
        make_private(&file, PRIVATE);
    }
    Ok(file)
}

/// Removes what lies under a name, if anything does. A link goes, and what it leads to stays.
///
/// # Errors
/// A [`Refusal`] among others.
pub fn remove(path: &Path) -> io::Result<()> {
    may_be_removed(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether what lies under a name would be removed, if anything does: to say so before anything else is done.
///
/// # Errors
/// A [`Refusal`] among others.
pub fn may_be_removed(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Directory::of(path)?.verify_owner(&metadata)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens what keeps nothing, such as a pipe or a device; `None` if it is a file, or nothing is there.
///
/// # Errors
/// A [`Refusal`] among others.
pub fn open_stream(path: &Path) -> io::Result<Option<File>> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            open_existing(OpenOptions::new().write(true), path).map(Some)
        }
        _ => Ok(None),
    }
}

fn create_with(options: &mut OpenOptions, path: &Path, mode: u32) -> io::Result<File> {
    let file = options.create_new(true).mode(mode).open(path)?;
    if let Some(caller) = Caller::of_sudo()
        && Directory::of(path).is_ok_and(|directory| directory.admits(caller))
    {
        // A file system that knows no owners leaves it as it is.
        let _ = fchown(&file, Some(caller.uid), Some(caller.gid));
    }
    Ok(file)
}

/// Opens what is there, unless somebody else may have put it there. A link is followed only to what keeps nothing.
fn open_existing(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let directory = Directory::of(path)?;
    // Before it is opened: opening a pipe waits for its reader.
    let metadata = fs::symlink_metadata(path)?;
    directory.verify(&metadata)?;
    if !metadata.is_symlink() {
        let file = options.custom_flags(libc::O_NOFOLLOW).open(path)?;
        directory.verify(&file.metadata()?)?;
        return Ok(file);
    }
    // The kernel's own links, as /dev/stdout, lead to what this process has open.
    let is_kernels = path.starts_with("/dev") || path.starts_with("/proc");
    let refuse = |metadata: &Metadata| metadata.is_file() && !is_kernels;
    if fs::metadata(path).map_or(true, |metadata| refuse(&metadata)) {
        return Err(Refusal::Link.into());
    }
    let file = options.open(path)?;
    if refuse(&file.metadata()?) {
        return Err(Refusal::Link.into());
    }
    Ok(file)
}

/// Takes the right to read from others, if it is to be private. A file system that has no such rights leaves it as it is.
fn make_private(file: &File, mode: u32) {
    if mode == PRIVATE {
        let _ = file.set_permissions(Permissions::from_mode(PRIVATE));
    }
}

/// Who has called `sudo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Caller {
    uid: Uid,
    gid: Gid,
}

impl Caller {
    /// `None` if this process can't give files away, or was not called through `sudo`.
    fn of_sudo() -> Option<Self> {
        if !Uid::effective().is_root() {
            return None;
        }
        let id = |name| env::var(name).ok()?.parse().ok();
        Some(Self {
            uid: Uid::from_raw(id("SUDO_UID")?),
            gid: Gid::from_raw(id("SUDO_GID")?),
        })
    }
}

/// A directory, as far as it matters who can make files in it.
#[derive(Debug, Clone, Copy)]
struct Directory {
    owner: u32,
    group: u32,
    mode: u32,
}

impl Directory {
    /// The directory of this file.
    fn of(path: &Path) -> io::Result<Self> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let metadata = fs::metadata(directory)?;
        Ok(Self {
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode(),
        })
    }

    /// Whether others than its owner can make files in it.
    fn is_shared(self) -> bool {
        self.mode & 0o022 != 0
    }

    /// Whether this user could have made the file: through `sudo`, nobody gets a file where they could have none.
    fn admits(self, caller: Caller) -> bool {
        self.mode & 0o002 != 0
            || self.owner == caller.uid.as_raw()
            || self.group == caller.gid.as_raw() && self.mode & 0o020 != 0
    }

    fn verify(self, metadata: &Metadata) -> Result<(), Refusal> {
        self.verify_owner(metadata)?;
        let foreign = self.is_shared() || !is_ours(self.owner);
        if foreign && metadata.is_file() && metadata.nlink() > 1 {
            return Err(Refusal::HardLink);
        }
        Ok(())
    }

    fn verify_owner(self, metadata: &Metadata) -> Result<(), Refusal> {
        let owner = metadata.uid();
        // Its owner can replace any file in it.
        if self.is_shared() && owner != self.owner && !is_ours(owner) {
            return Err(Refusal::Foreign { owner });
        }
        Ok(())
    }
}

/// Whether a user is the one of this process, root, or who has called `sudo`.
fn is_ours(user: u32) -> bool {
    user == 0
        || user == Uid::effective().as_raw()
        || Caller::of_sudo().is_some_and(|caller| caller.uid.as_raw() == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(mode: u32, owner: u32) -> Directory {
        Directory {
            owner,
            group: owner,
            mode: 0o040_000 | mode,
        }
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    /// A user that this process is not, and root is not.
    fn stranger() -> u32 {
        Uid::effective().as_raw() + 1234
    }

    #[test]
    fn a_file_belongs_to_who_called_sudo_only_where_they_could_have_made_it() {
        let caller = Caller {
            uid: Uid::from_raw(1000),
            gid: Gid::from_raw(100),
        };
        for (mode, owner, admitted) in [
            (0o1777, 0, true),
            (0o700, 1000, true),
            (0o775, 100, true),
            (0o755, 100, false),
            (0o755, 0, false),
            (0o775, 0, false),
        ] {
            let directory = directory(mode, owner);
            assert_eq!(directory.admits(caller), admitted, "{directory:?}");
        }
    }

    #[test]
    fn a_file_of_somebody_else_is_refused_where_others_can_make_files() {
        let temporary = tempfile::tempdir().unwrap();
        let metadata = fs::metadata(temporary.path()).unwrap();
        let ours = metadata.uid();
        for (mode, owner) in [(0o1777, 0), (0o700, ours), (0o777, stranger())] {
            assert_eq!(directory(mode, owner).verify(&metadata), Ok(()));
        }
        let nobodys = tempfile::NamedTempFile::new().unwrap();
        if std::os::unix::fs::chown(nobodys.path(), Some(stranger()), None).is_err() {
            eprintln!("SKIPPED: only root can give a file away");
            return;
        }
        let metadata = fs::metadata(nobodys.path()).unwrap();
        let refused = Err(Refusal::Foreign { owner: stranger() });
        for (mode, owner, verified) in [
            (0o1777, 0, refused),
            (0o775, 0, refused),
            (0o755, 0, Ok(())),
            (0o1777, stranger(), Ok(())),
        ] {
            assert_eq!(directory(mode, owner).verify(&metadata), verified);
        }
    }

    #[test]
    fn what_somebody_else_has_put_into_a_shared_directory_is_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let path = |name: &str| temporary.path().join(name);
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o1777)).unwrap();
        fs::write(path("kept"), "kept").unwrap();
        fs::hard_link(path("kept"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("kept"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/null", path("null")).unwrap();
        fs::write(path("theirs"), "kept").unwrap();
        let open = |name: &str| {
            let opened = [
                rewrite(&path(name), PRIVATE).map(drop),
                append(&path(name)).map(drop),
            ];
            opened.map(|opened| opened.err().and_then(|error| Refusal::of(&error)))
        };
        assert_eq!(open("hard"), [Some(Refusal::HardLink); 2]);
        assert_eq!(open("link"), [Some(Refusal::Link); 2]);
        assert_eq!(rewrite(&path("null"), PRIVATE).map(drop).ok(), Some(()));
        assert_eq!(fs::read(path("kept")).unwrap(), b"kept");
        if std::os::unix::fs::lchown(path("theirs"), Some(stranger()), None).is_err() {
            eprintln!("SKIPPED: only root can give a file away");
            return;
        }
        std::os::unix::fs::lchown(path("null"), Some(stranger()), None).unwrap();
        std::os::unix::fs::chown(temporary.path(), Some(0), None).unwrap();
        let foreign = Refusal::Foreign { owner: stranger() };
        for name in ["theirs", "null"] {
            assert_eq!(open(name), [Some(foreign); 2], "{name}");
            let error = remove(&path(name)).unwrap_err();
            assert_eq!(Refusal::of(&error), Some(foreign), "{name}");
        }
        assert_eq!(fs::read(path("theirs")).unwrap(), b"kept");
    }

    #[test]
    fn what_is_private_loses_its_readers() {
        let temporary = tempfile::tempdir().unwrap();
        let path = |name: &str| temporary.path().join(name);
        for (name, made) in [
            ("a", rewrite(&path("a"), PRIVATE)),
            ("b", append(&path("b"))),
        ] {
            drop(made.unwrap());
            assert_eq!(mode_of(&path(name)), PRIVATE, "{name}");
        }
        for name in ["a", "b", "c"] {
            fs::write(path(name), "old").unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(0o644)).unwrap();
        }
        drop(rewrite(&path("a"), PRIVATE).unwrap());
        drop(append(&path("b")).unwrap());
        drop(rewrite(&path("c"), PUBLIC).unwrap());
        let contents = |name| fs::read_to_string(path(name)).unwrap();
        assert_eq!(
            ["a", "b", "c"].map(|name| (mode_of(&path(name)), contents(name))),
            [(PRIVATE, ""), (PRIVATE, "old"), (0o644, "")]
                .map(|(mode, content)| (mode, content.to_owned()))
        );
    }
}
