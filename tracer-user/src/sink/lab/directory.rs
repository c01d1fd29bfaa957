//! The directory of a lab: a directory for each table, in it one for each kernel and in that one for each machine, and in
//! these a file for each recording. A recording that is exported again takes its own place, wherever that was.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use hashbrown::HashMap;

use super::{
    schema::{self, Schema},
    table::Table,
};
use crate::{escape::steers, output_file};

/// What stands for a kernel or machine that is not known.
const UNKNOWN: &str = "unknown";

/// The longest name of a partition's directory, in bytes. File systems allow 255.
const LONGEST: usize = 180;

/// How the names of files end.
const SUFFIX: &str = "parquet";

/// A directory of tables.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The files of each recording that are there.
    present: HashMap<String, Vec<PathBuf>>,
}

/// Where a recording's files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `kernel=…/machine=…`.
    partition: PathBuf,
    /// The file's name, without its suffix.
    id: String,
}

/// A file that is complete, under a name that no reader looks at.
#[derive(Debug)]
pub(super) struct Pending {
    temporary: PathBuf,
    path: PathBuf,
    is_kept: bool,
}

impl Directory {
    /// Opens a directory, which is made if it isn't there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut present: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for table in schema::tables() {
            let table = path.join(table.name);
            fs::create_dir_all(&table)?;
            for file in files(&table)? {
                if let Some(id) = id(&file) {
                    present.entry(id).or_default().push(file);
                }
            }
        }
        Ok(Self {
            path: path.to_owned(),
            present,
        })
    }

    /// Begins a recording's file of a table.
    pub(super) fn begin(
        &self,
        schema: &'static Schema,
        place: &Place,
    ) -> io::Result<(Table, Pending)> {
        let directory = self.path.join(schema.name).join(&place.partition);
        let path = directory.join(format!("{}.{SUFFIX}", place.id));
        // Readers of such directories pass over what begins with a dot.
        let temporary = directory.join(format!(".{}.{}", place.id, std::process::id()));
        let pending = Pending {
            temporary,
            path,
            is_kept: false,
        };
        let file = match pending.create() {
            // Another process has taken the partition away, which was empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound => pending.create()?,
            created => created?,
        };
        Ok((Table::begin(schema, file)?, pending))
    }

    /// Puts the files of a recording in their places, and takes away those that it had elsewhere.
    pub(super) fn keep(&mut self, place: &Place, files: Vec<Pending>) -> io::Result<()> {
        let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        for file in files {
            file.keep()?;
        }
        let earlier = self.present.insert(place.id.clone(), paths.clone());
        for file in earlier.into_iter().flatten() {
            if !paths.contains(&file) {
                fs::remove_file(&file)?;
                remove_if_empty(&file);
            }
        }
        Ok(())
    }
}

impl Place {
    /// The place of a recording.
    pub(super) fn of(id: &str, kernel: Option<&str>, machine: Option<&str>) -> Self {
        let kernel = format!("kernel={}", partition_value(kernel));
        let machine = format!("machine={}", partition_value(machine));
        Self {
            partition: [kernel, machine].iter().collect(),
            id: id.to_owned(),
        }
    }
}

impl Pending {
    fn create(&self) -> io::Result<File> {
        if let Some(directory) = self.temporary.parent() {
            fs::create_dir_all(directory)?;
        }
        match fs::remove_file(&self.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        output_file::create(&self.temporary, output_file::PRIVATE)
    }

    fn keep(mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.temporary);
            remove_if_empty(&self.temporary);
        }
    }
}

/// Removes the directories of the partition in which a file was; the kernel refuses where another file is left.
fn remove_if_empty(file: &Path) {
    for directory in file.ancestors().skip(1).take(2) {
        let _ = fs::remove_dir(directory);
    }
}

/// The files of a table.
fn files(table: &Path) -> io::Result<Vec<PathBuf>> {
    let mut level = vec![table.to_owned()];
    for _ in 0..3 {
        let mut next = Vec::new();
        for directory in level.iter().filter(|path| path.is_dir()) {
            for entry in fs::read_dir(directory)? {
                next.push(entry?.path());
            }
        }
        level = next;
    }
    Ok(level)
}

/// The recording that a file is of.
fn id(file: &Path) -> Option<String> {
    let is_one = file.extension().is_some_and(|suffix| suffix == SUFFIX);
    let name = file
        .file_stem()?
        .to_str()
        .filter(|name| !name.starts_with('.'));
    name.filter(|_| is_one).map(str::to_owned)
}

/// A name as a part of a path: everything but letters, digits and a few signs is written as `%` and two digits for each
/// byte, as readers of partitioned directories expect.
pub(super) fn partition_value(name: Option<&str>) -> String {
    let mut value = String::new();
    for character in name.unwrap_or_default().chars() {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        let is_first = value.is_empty();
        let is_plain = character.is_ascii_alphanumeric()
            || matches!(character, '-' | '_' | '+' | '~')
            || (character == '.' && !is_first)
            // Not every engine takes two such numbers for one letter.
            || (!character.is_ascii() && character.is_alphanumeric() && !steers(character));
        let length = value.len()
            + if is_plain {
                bytes.len()
            } else {
                3 * bytes.len()
            };
        if length > LONGEST {
            break;
        }
        if is_plain {
            value.push(character);
        } else {
            for byte in bytes {
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    if value.is_empty() {
        UNKNOWN.clone_into(&mut value);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        for (name, value) in [
            ("6.1.0-57-amd64", "6.1.0-57-amd64"),
            ("6.12.0+rpt-rpi_v8~1", "6.12.0+rpt-rpi_v8~1"),
            ("QEMU Standard PC", "QEMU%20Standard%20PC"),
            ("a/b", "a%2Fb"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("a=b%20", "a%3Db%2520"),
            ("Gerät", "Gerät"),
            ("a\0\u{1b}\u{202e}", "a%00%1B%E2%80%AE"),
            ("", "unknown"),
        ] {
            assert_eq!(partition_value(Some(name)), value, "{name:?}");
        }
        assert_eq!(partition_value(None), "unknown");
        assert!(partition_value(Some(&"/ä".repeat(500))).len() <= LONGEST);
    }

    #[test]
    fn a_recording_that_moves_to_another_partition_leaves_nothing_behind() {
        let temporary = tempfile::tempdir().unwrap();
        let export = |machine| {
            let mut lab = Directory::open(temporary.path()).unwrap();
            let place = Place::of("0a", Some("6.1"), Some(machine));
            let (table, file) = lab.begin(schema::tables()[0], &place).unwrap();
            table.finish().unwrap();
            lab.keep(&place, vec![file]).unwrap();
        };
        let found = || files(&temporary.path().join("recordings")).unwrap();
        for machine in ["one", "one", "other"] {
            export(machine);
            let path = format!("recordings/kernel=6.1/machine={machine}/0a.parquet");
            assert_eq!(found(), [temporary.path().join(path)]);
        }
        let kernel = temporary.path().join("recordings/kernel=6.1");
        assert_eq!(fs::read_dir(kernel).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing_behind() {
        let temporary = tempfile::tempdir().unwrap();
        let lab = Directory::open(temporary.path()).unwrap();
        let place = Place::of("0a", None, None);
        drop(lab.begin(schema::tables()[0], &place).unwrap());
        assert_eq!(
            fs::read_dir(temporary.path().join("recordings"))
                .unwrap()
                .count(),
            0
        );
    }
}
