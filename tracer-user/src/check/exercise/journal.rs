//! What was exercised already, in a file, so that a run over every device can be resumed: also one that the machine did
//! not survive.
//!
//! Each line is a JSON object: `bus`, `device`, `driver`, `kernel`, and once it is done `status`, `message` and `lines`. A device is
//! written down before it is unbound. One without a status is what the machine was doing when the run ended.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    check::{
        results::{Status, Test},
        selection::Place,
    },
    output_file,
};

/// The file, open for what comes.
#[derive(Debug)]
pub struct Journal {
    file: File,
    known: Vec<Entry>,
    kernel: String,
}

/// Why a file can't be resumed from.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It can't be read or written.
    #[error("can't be used")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("line {line} is not what --resume writes")]
    Strange {
        /// Which line, from 1 on.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bus: String,
    device: String,
    driver: String,
    /// The release of the kernel that it was exercised on.
    #[serde(default)]
    kernel: String,
    /// None while it is exercised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<Done>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    status: Status,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<String>,
}

impl Journal {
    /// Opens the file, and makes it if it is not there. A last line that was not written to its end is no error: the
    /// machine may have died of what it was about to say. What was exercised on another kernel than this release counts
    /// for nothing.
    pub fn open(path: &Path, kernel: &str) -> Result<Self, JournalError> {
        let file = output_file::append(path)?;
        let (mut known, mut whole) = (Vec::new(), 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            let entry = serde_json::from_slice(&line);
            known.push(entry.map_err(|source| JournalError::Strange {
                line: number,
                source,
            })?);
            whole += length as u64;
        }
        file.set_len(whole)?;
        Ok(Self {
            file,
            known,
            kernel: kernel.to_owned(),
        })
    }

    /// What an earlier run came to on this device, if it got there. What that left open is tried again.
    #[must_use]
    pub fn earlier(&self, place: &Place) -> Option<Test> {
        let is_known = |entry: &&Entry| entry.is_about(place) && entry.kernel == self.kernel;
        let test = |status, message: &str| Test::new(place.name(), status, message);
        let last = self.known.iter().rfind(is_known)?;
        match &last.done {
            Some(done) if done.status == Status::Inconclusive => None,
            Some(done) => Some(Test {
                lines: done.lines.clone(),
                ..test(done.status, &done.message)
            }),
            None => Some(test(
                Status::Failed,
                "an earlier run ended while this device was exercised: the machine may not have survived it",
            )),
        }
    }

    /// Every device that an earlier run has exercised or was about to, once.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for entry in self
            .known
            .iter()
            .filter(|entry| entry.kernel == self.kernel)
        {
            if !places.iter().any(|place| entry.is_about(place)) {
                places.push(Place {
                    bus: entry.bus.clone(),
                    device: entry.device.clone(),
                    driver: entry.driver.clone(),
                });
            }
        }
        places
    }

    /// The device is about to be exercised. That is on the disk when this returns.
    pub fn begin(&mut self, place: &Place) -> io::Result<()> {
        self.write(place, None)
    }

    /// The device was exercised, and this came of it.
    pub fn end(&mut self, place: &Place, test: &Test) -> io::Result<()> {
        self.write(
            place,
            Some(Done {
                status: test.status,
                message: test.message.clone(),
                lines: test.lines.clone(),
            }),
        )
    }

    fn write(&mut self, place: &Place, done: Option<Done>) -> io::Result<()> {
        let entry = Entry {
            bus: place.bus.clone(),
            device: place.device.clone(),
            driver: place.driver.clone(),
            kernel: self.kernel.clone(),
            done,
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }
}

impl Entry {
    fn is_about(&self, place: &Place) -> bool {
        self.bus == place.bus && self.device == place.device && self.driver == place.driver
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn place(device: &str) -> Place {
        Place {
            bus: "pci".to_owned(),
            device: device.to_owned(),
            driver: "e1000e".to_owned(),
        }
    }

    #[test]
    fn what_was_done_is_known_again_and_what_killed_the_machine_is_not_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resume");
        let mut journal = Journal::open(&path, "6.1.0").unwrap();
        let good = place("0000:00:01.0");
        assert!(journal.earlier(&good).is_none());
        journal.begin(&good).unwrap();
        let result = Test::new("pci/0000:00:01.0", Status::Passed, "10 cycles");
        journal.end(&good, &result).unwrap();
        journal.begin(&place("0000:00:02.0")).unwrap();
        drop(journal);
        // The machine died while it wrote.
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"bus\":\"pci\",\"dev");
        fs::write(&path, &text).unwrap();

        let third = place("0000:00:03.0");
        let mut journal = Journal::open(&path, "6.1.0").unwrap();
        let known = journal.earlier(&good).unwrap();
        assert_eq!(
            (known.status, &*known.message),
            (Status::Passed, "10 cycles")
        );
        let fatal = journal.earlier(&place("0000:00:02.0")).unwrap();
        assert_eq!(fatal.status, Status::Failed);
        assert!(journal.earlier(&third).is_none());
        journal.begin(&third).unwrap();
        journal.end(&third, &result).unwrap();
        let journal = Journal::open(&path, "6.1.0").unwrap();
        assert_eq!(journal.earlier(&third).unwrap().status, Status::Passed);
        assert_eq!(
            journal.places(),
            [good, place("0000:00:02.0"), third.clone()]
        );
        let elsewhere = Journal::open(&path, "6.12.0").unwrap();
        assert!(elsewhere.earlier(&third).is_none() && elsewhere.places().is_empty());
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.toml");
        fs::write(&path, "[limits]\nx = 1\n").unwrap();
        assert!(matches!(
            Journal::open(&path, "6.1.0"),
            Err(JournalError::Strange { line: 1, .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "[limits]\nx = 1\n");
    }
}
