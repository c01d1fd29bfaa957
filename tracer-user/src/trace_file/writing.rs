//! The thread that writes a recording, so that a slow disk keeps nobody waiting.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use super::{create, rotation::Kept};

/// What the thread is to do.
pub(super) enum Message {
    Write(Vec<u8>),
    /// The file is at its end, and another one begins.
    Next(PathBuf),
}

/// What both threads know.
#[derive(Default)]
pub(super) struct Shared {
    /// Bytes that wait to be written.
    pub(super) waiting: AtomicUsize,
    /// Why nothing can be written any more.
    pub(super) failed: Mutex<Option<Failure>>,
}

/// Writing has failed.
pub(super) struct Failure {
    /// The file.
    pub(super) path: PathBuf,
    /// Why.
    pub(super) source: io::Error,
}

/// What was written is synced to disk this often, if there is nothing else to do.
const SYNC_EVERY: Duration = Duration::from_secs(1);

pub(super) fn send(queue: &Sender<Message>, shared: &Shared, message: Message) {
    if let Message::Write(bytes) = &message {
        shared.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
    }
    // The thread ends only when there is nothing more to come.
    let _ = queue.send(message);
}

pub(super) fn lock<Value>(mutex: &Mutex<Value>) -> std::sync::MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is written to.
pub(super) enum Target {
    File { file: File, length: u64 },
    Output(io::Stdout),
}

impl Target {
    /// A new file, or standard output where the path is `-`.
    pub(super) fn open(path: &Path, overwrite: bool) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Output(io::stdout()));
        }
        Ok(Self::File {
            file: create::create(path, overwrite)?,
            length: 0,
        })
    }

    /// Writes all of it. A file that can't take all of it keeps what it had before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { file, length } => {
                let written = file.write_all(bytes);
                if written.is_ok() {
                    *length += bytes.len() as u64;
                } else {
                    // If this fails too, the reader says that the file ends in the middle of a block.
                    let _ = file.set_len(*length);
                }
                written
            }
            Self::Output(output) => {
                output.write_all(bytes)?;
                output.flush()
            }
        }
    }

    fn sync(&self) {
        if let Self::File { file, .. } = self {
            // A pipe can't, and a disk that can't will say so when it is written to.
            let _ = file.sync_data();
        }
    }
}

/// The thread that writes.
pub(super) struct Writing {
    /// `None` once writing has failed.
    pub(super) file: Option<Target>,
    pub(super) path: PathBuf,
    pub(super) kept: Kept,
    pub(super) most: Option<u32>,
    pub(super) overwrite: bool,
    pub(super) unsynced: bool,
    pub(super) always_syncs: bool,
    pub(super) shared: Arc<Shared>,
}

impl Writing {
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut synced = Instant::now();
        loop {
            let message = match messages.recv_timeout(SYNC_EVERY) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.sync();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let done = match message {
                Message::Write(bytes) => {
                    let written = self.file.as_mut().map_or(Ok(()), |file| file.write(&bytes));
                    self.unsynced = true;
                    self.shared
                        .waiting
                        .fetch_sub(bytes.len(), Ordering::Relaxed);
                    written
                }
                Message::Next(path) => self.next(path),
            };
            if let Err(source) = done {
                self.file = None;
                let path = self.path.clone();
                lock(&self.shared.failed).get_or_insert(Failure { path, source });
            }
            let waiting = self.shared.waiting.load(Ordering::Relaxed);
            if self.always_syncs || waiting == 0 && synced.elapsed() >= SYNC_EVERY {
                self.sync();
                synced = Instant::now();
            }
        }
        self.sync();
    }

    fn sync(&mut self) {
        if let Some(file) = &self.file
            && std::mem::take(&mut self.unsynced)
        {
            file.sync();
        }
    }

    fn next(&mut self, path: PathBuf) -> io::Result<()> {
        self.sync();
        if self.file.is_some() {
            self.file = Some(Target::open(&path, self.overwrite)?);
            self.path.clone_from(&path);
            if let Some(oldest) = self.kept.add(path, self.most) {
                match fs::remove_file(oldest) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
