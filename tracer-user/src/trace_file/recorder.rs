//! Records a run that doesn't wait: a thread writes, and what it can't write in time is counted as lost.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    block::HEADER,
    continuation,
    encode::{Encoder, TooLarge},
    header::{Clock, End, EndedBy, Header, LostAt},
    modules::Modules,
    rotation::{Kept, Rotation, name},
    writer::Composer,
    writing::{Failure, Message, Shared, Target, Writing, lock, send},
};
use crate::{
    event::{Event, EventKind, LossCause, Time},
    model::Model,
};

/// How a run is recorded.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecorderOptions {
    /// Several files instead of one.
    pub rotation: Option<Rotation>,
    /// Whether each block is on the disk before the next is written, and begins sooner: what a machine loses when it
    /// dies is then at most a tenth of a second, and not one and a half.
    pub sync: bool,
    /// Replace files that are there already.
    pub overwrite: bool,
}

/// Why a run can't be recorded, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// A file could not be started.
    #[error("{} can't be written", .path.display())]
    Create {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The limits of this process leave no room for the thread that writes.
    #[error("cannot start a thread; raise the limits (ulimit -u for processes, -v for memory)")]
    Thread(#[source] io::Error),
    /// Writing failed. What was written before can be read.
    #[error("{} can't be written any more; what was written so far is kept", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Files can't be that small.
    #[error(
        "files of {asked} bytes are too small: each starts with a snapshot, which takes {beginning} bytes now; the minimum is \
         {least} bytes"
    )]
    TooSmall {
        /// The size that was asked for.
        asked: u64,
        /// Bytes of what each file starts with.
        beginning: u64,
        /// The smallest size that works now.
        least: u64,
    },
}

/// What was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Events in all files, with those that a file begins with.
    pub events: u64,
    /// Bytes in all files.
    pub bytes: u64,
    /// How many files there were, with those that were removed.
    pub files: u32,
    /// Bytes in the largest file.
    pub largest: u64,
    /// Events that were not written in time.
    pub unwritten: u64,
}

/// Records events. It never waits for the disk.
pub struct Recorder {
    encoder: Encoder,
    composer: Composer,
    header: Header,
    /// Where the first file is, and the names of others come from.
    path: PathBuf,
    rotation: Option<Rotation>,
    oldest: Duration,
    /// What is known, where another file may have to begin with it.
    model: Option<Model>,
    modules: Modules,
    queue: Sender<Message>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    /// When the block that is being filled began.
    begun: Instant,
    /// How old it may become.
    patience: Duration,
    time: Time,
    /// Bytes that the file would have if it ended with what it begins with, which no other file can do without.
    beginning: u64,
    /// What was there before has been recorded: it is in one file.
    begins_others: bool,
    /// Events that were not written in time and not reported yet.
    untold: u64,
    recorded: Recorded,
}

/// So many bytes may wait to be written.
const MOST_WAITING: usize = 16 << 20;
/// A block is written when it is so old, full or not.
const OLDEST: Duration = Duration::from_millis(500);
/// The same, where each block is on the disk before the next is written.
const OLDEST_IN_SYNC: Duration = Duration::from_millis(100);
/// The same for the first block after a while in which nothing happened; for each that follows it is twice as long, up to
/// [`OLDEST`]. The first events may be the last: they may bring the machine down.
const OLDEST_FIRST: Duration = Duration::from_millis(10);

impl Recorder {
    /// Begins a recording.
    pub fn start(
        path: &Path,
        header: Header,
        options: RecorderOptions,
    ) -> Result<Self, RecorderError> {
        let mut header = header;
        let mut first = path.to_owned();
        if options.rotation.is_some() {
            header.part = Some(1);
            first = name(path, 1);
        }
        let created = Composer::begin(&header).and_then(|(composer, bytes)| {
            let mut file = Target::open(&first, options.overwrite)?;
            file.write(&bytes)?;
            Ok((composer, file))
        });
        let (composer, file) = created.map_err(|source| RecorderError::Create {
            path: first.clone(),
            source,
        })?;
        let shared = Arc::new(Shared::default());
        let (queue, messages) = channel();
        let mut kept = Kept::default();
        kept.add(first.clone(), None);
        let thread = Writing {
            file: Some(file),
            path: first,
            kept,
            most: options.rotation.and_then(|rotation| rotation.max_files),
            overwrite: options.overwrite,
            unsynced: true,
            always_syncs: options.sync,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .spawn(move || thread.run(&messages))
            .map_err(RecorderError::Thread)?;
        Ok(Self {
            encoder: Encoder::default(),
            composer,
            model: options
                .rotation
                .map(|_| Model::new(Arc::new(header.source.coverage.clone()))),
            modules: Modules::default(),
            header,
            path: path.to_owned(),
            rotation: options.rotation,
            oldest: if options.sync { OLDEST_IN_SYNC } else { OLDEST },
            queue,
            shared,
            thread,
            begun: Instant::now(),
            patience: OLDEST_FIRST,
            time: Time::default(),
            beginning: 0,
            begins_others: false,
            untold: 0,
            recorded: Recorded {
                events: 0,
                bytes: 0,
                files: 1,
                largest: 0,
                unwritten: 0,
            },
        })
    }

    /// What was there before the recording has been recorded: writes it at once, so that it is kept whatever comes. No
    /// other file begins before.
    ///
    /// # Errors
    /// [`RecorderError::TooSmall`], where that takes more than a quarter of the size that was asked for: later files
    /// begin with more, as call stacks come to it.
    pub fn snapshot_taken(&mut self) -> Result<(), RecorderError> {
        self.close_block();
        self.begins_others = true;
        self.beginning = self.composer.length_at_end();
        match self.rotation {
            Some(Rotation { max_size, .. }) if max_size < 4 * self.beginning => {
                Err(RecorderError::TooSmall {
                    asked: max_size,
                    beginning: self.beginning,
                    least: (4 * self.beginning).next_multiple_of(1024),
                })
            }
            _ => Ok(()),
        }
    }

    /// Records an event.
    pub fn event(&mut self, event: &Event) {
        if let Some(model) = &mut self.model {
            model.apply(event);
        }
        self.tell_loss();
        if Modules::concern(event) {
            self.learn_modules(event);
        }
        self.put(event);
        self.rotate_if_full(Some(event));
    }

    /// Writes of which modules an event is the first to tell. Few events do, so it is no part of what every event costs.
    #[cold]
    fn learn_modules(&mut self, event: &Event) {
        let learnt = self.modules.learn(event);
        if learnt.is_empty() {
            return;
        }
        self.close_block();
        match self.composer.modules(&learnt) {
            Ok(bytes) => send(&self.queue, &self.shared, Message::Write(bytes)),
            Err(source) => self.fail(source),
        }
    }

    /// Nothing more has happened for now: writes the block that is being filled if it is old enough. Is to
    /// be called several times a second.
    pub fn pause(&mut self) {
        if self.begun.elapsed() >= self.patience.min(self.oldest) {
            self.tell_loss();
            if !self.encoder.is_empty() {
                self.patience = OLDEST.min(self.patience * 2);
            }
            self.close_block();
            self.rotate_if_full(None);
        }
    }

    /// Whether writing has failed: nothing more is recorded.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        lock(&self.shared.failed).is_some()
    }

    /// Finishes the recording cleanly, and waits until it is written.
    pub fn finish(mut self, lost_by: Vec<LostAt>) -> Result<Recorded, RecorderError> {
        // Now there is time.
        while self.is_behind() && !self.has_failed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.close_block();
        self.tell_loss();
        self.close_block();
        let end = End {
            lost_by,
            ended: Some(EndedBy::Run),
            until: self
                .header
                .clock
                .and_then(|_| Clock::now())
                .map(|now| now.monotonic),
            ..End::default()
        };
        self.count_file();
        let (path, length) = (self.path.clone(), self.composer.length());
        let bytes = self
            .composer
            .end(end)
            .map_err(|source| RecorderError::Write { path, source })?;
        let end = bytes.len() as u64;
        self.recorded.bytes += end;
        self.recorded.largest = self.recorded.largest.max(length + end);
        send(&self.queue, &self.shared, Message::Write(bytes));
        drop(self.queue);
        // The panic of the thread has reported itself.
        let _ = self.thread.join();
        match lock(&self.shared.failed).take() {
            Some(Failure { path, source }) => Err(RecorderError::Write { path, source }),
            None => Ok(self.recorded),
        }
    }

    fn put(&mut self, event: &Event) {
        if self.encoder.is_empty() {
            if self.begun.elapsed() > 2 * OLDEST {
                self.patience = OLDEST_FIRST;
            }
            self.begun = Instant::now();
        }
        self.time = event.time;
        if self.encoder.push(event) == Err(TooLarge) {
            self.close_block();
            if self.encoder.push(event) == Err(TooLarge) {
                // Larger than any block.
                self.encoder.take();
                self.lose(1);
            }
        }
        if self.encoder.is_full() {
            self.close_block();
        }
    }

    /// Says in the file that something is missing, at the place where it is.
    fn tell_loss(&mut self) {
        if self.untold == 0 || self.is_behind() {
            return;
        }
        let count = std::mem::take(&mut self.untold);
        self.put(&Event::loss(self.time, count, LossCause::Unwritten));
    }

    fn lose(&mut self, events: u64) {
        self.untold = self.untold.saturating_add(events);
        self.recorded.unwritten = self.recorded.unwritten.saturating_add(events);
    }

    fn is_behind(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) > MOST_WAITING
    }

    /// Hands the block over, or counts it as lost if too much is waiting already.
    fn close_block(&mut self) {
        let plain = self.encoder.take();
        self.begun = Instant::now();
        if plain.events == 0 {
            return;
        }
        if self.is_behind() {
            return self.lose(u64::from(plain.events));
        }
        if let Err(source) = self.write_block(&plain) {
            self.fail(source);
        }
    }

    fn write_block(&mut self, plain: &super::encode::Plain) -> io::Result<()> {
        let bytes = self.composer.events(plain)?;
        send(&self.queue, &self.shared, Message::Write(bytes));
        Ok(())
    }

    /// Begins another file if this one is nearly full and nothing is under way: what began in one file and ends in the
    /// next can't be judged from either. If there is always something under way, another file begins before this one
    /// exceeds its size, and says so.
    fn rotate_if_full(&mut self, last: Option<&Event>) {
        let Some(rotation) = self.rotation.filter(|_| self.begins_others) else {
            return;
        };
        let limits = rotation.limits(self.beginning);
        // The block may turn out not to be compressible.
        let open = HEADER as u64 + self.encoder.length() as u64;
        if self.composer.length_at_end() + open >= limits.close_at {
            self.close_block();
        }
        let length = self.composer.length_at_end();
        if length < limits.rotate_when_quiet {
            return;
        }
        if length < limits.rotate_at && !self.is_quiet(last) {
            return;
        }
        self.close_block();
        if let Err(source) = self.rotate() {
            self.fail(source);
        }
    }

    /// Whether nothing is under way after this event.
    fn is_quiet(&self, last: Option<&Event>) -> bool {
        let Some(model) = &self.model else {
            return false;
        };
        match last {
            // As long as its own task is busy there is no need to look at the others.
            Some(event) if !model.frames(&event.task).is_empty() => false,
            // Whose identity it is the next event says.
            Some(event) if matches!(event.kind, EventKind::Device(_)) => false,
            _ => model.is_quiet(),
        }
    }

    /// Ends the file and begins another one with what is known.
    fn rotate(&mut self) -> io::Result<()> {
        let Some(model) = &self.model else {
            return Ok(());
        };
        let mut header = self.header.clone();
        header.source.coverage = continuation::coverage(&header.source.coverage);
        header.part = header.part.map(|part| part + 1);
        let beginning = continuation::events(model);
        self.count_file();
        self.recorded.files += 1;
        let (composer, first) = Composer::begin(&header)?;
        let ended = std::mem::replace(&mut self.composer, composer);
        self.header = header;
        let length = ended.length();
        let end = ended.end(End {
            ended: Some(EndedBy::Rotation),
            ..End::default()
        })?;
        self.count_end(length, &end);
        let path = name(&self.path, self.recorded.files);
        send(&self.queue, &self.shared, Message::Write(end));
        send(&self.queue, &self.shared, Message::Next(path));
        send(&self.queue, &self.shared, Message::Write(first));
        if !self.modules.known().is_empty() {
            let bytes = self.composer.modules(self.modules.known())?;
            send(&self.queue, &self.shared, Message::Write(bytes));
        }
        // However large it is, the file begins with all of it: half of it would be no beginning.
        let mut encoder = Encoder::default();
        for event in &beginning {
            let too_large = encoder.push(event) == Err(TooLarge);
            if too_large || encoder.is_full() {
                let plain = encoder.take();
                let bytes = self.composer.events(&plain)?;
                send(&self.queue, &self.shared, Message::Write(bytes));
            }
            if too_large && encoder.push(event) == Err(TooLarge) {
                encoder.take();
                self.lose(1);
            }
        }
        self.encoder = encoder;
        // As after a snapshot: what a file begins with is kept whatever comes.
        self.close_block();
        self.beginning = self.composer.length_at_end();
        Ok(())
    }

    fn count_file(&mut self) {
        self.recorded.events += self.composer.event_count();
        self.recorded.bytes += self.composer.length();
    }

    /// Counts what a file ends with that had this length before.
    fn count_end(&mut self, length: u64, end: &[u8]) {
        let end = end.len() as u64;
        self.recorded.bytes += end;
        self.recorded.largest = self.recorded.largest.max(length + end);
    }

    fn fail(&self, source: io::Error) {
        let path = self.path.clone();
        lock(&self.shared.failed).get_or_insert(Failure { path, source });
    }
}
