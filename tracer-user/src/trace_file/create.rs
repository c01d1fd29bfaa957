//! Creating a recording: for its owner alone, and never in place of something else by accident.

use std::{fs::File, io, path::Path};

use crate::output_file;

/// Creates a file for a recording. Only its owner can read it, because it holds kernel addresses.
///
/// What is there already is an error ([`io::ErrorKind::AlreadyExists`]) unless `overwrite`, and a symbolic link is never
/// followed to a file. A pipe or a device, which keep nothing, are opened as they are.
pub fn create(path: &Path, overwrite: bool) -> io::Result<File> {
    if let Some(stream) = output_file::open_stream(path)? {
        return Ok(stream);
    }
    if overwrite {
        output_file::remove(path)?;
    }
    output_file::create(path, output_file::PRIVATE)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    #[test]
    fn a_recording_is_its_owners_and_replaces_nothing_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.dvrt");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        create(&path, false).unwrap();
        assert_eq!(mode(&path), 0o600);
        let error = create(&path, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        create(&path, true).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (Vec::new(), 0o600));
        assert!(create(Path::new("/dev/null"), false).is_ok());
    }

    #[test]
    fn a_link_is_not_followed_to_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        symlink(&target, &link).unwrap();
        assert!(create(&link, false).is_err(), "it leads nowhere");
        assert!(!target.exists());
        fs::write(&target, "kept").unwrap();
        assert!(create(&link, false).is_err());
        create(&link, true).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"kept");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
