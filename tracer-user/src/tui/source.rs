//! Where the live view gets its events: a thread that takes them from the kernel or a file, and a queue
//! between it and the screen. The kernel's buffer is emptied whatever the screen does.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::Sight;
use crate::{
    event::{Event, Time},
    evidence::SourceInformation,
    source::{
        live::Options,
        recording::{Recording, RecordingError},
        running::{Running, RunningError},
    },
};

/// How often the kernel's counts of what was lost are read.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// Records, or events of a file, that are handed over at once.
const AT_ONCE: usize = 4096;
/// Events that wait for the screen at most. Of a file no more is read then; of the kernel no more is taken,
/// until it says that it has lost some.
const MOST_WAITING: usize = 2_000_000;

/// A source that runs on its own thread.
#[derive(Debug)]
pub struct Source {
    /// What it says of itself.
    pub information: SourceInformation,
    /// What it is.
    pub sight: Sight,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The running kernel can't be traced.
    #[error(transparent)]
    Live(#[from] RunningError),
    /// The recording can't be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// There is no thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread has died.
    #[error("the source ended before it started")]
    Died,
}

/// How a source ended: for which reason it failed, if it did.
type End = Option<String>;

#[derive(Default)]
struct Queue {
    inner: Mutex<Inner>,
    /// There is room again.
    room: Condvar,
    stop: AtomicBool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Queue").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Inner {
    batches: VecDeque<Vec<Event>>,
    waiting: usize,
    /// All that happened until then is in the batches, or was.
    until: Time,
    end: Option<End>,
    /// What keeps a recording from being all there was.
    problems: Vec<String>,
    /// Called when there is something where there was nothing.
    wake: Option<Box<dyn Fn() + Send>>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.lock().waiting >= MOST_WAITING
    }

    fn push(&self, batch: Vec<Event>) {
        if batch.is_empty() {
            return;
        }
        let mut inner = self.lock();
        inner.waiting += batch.len();
        inner.batches.push_back(batch);
        inner.woken();
    }

    /// Waits for room, unless nobody wants anything any more.
    fn wait_for_room(&self) {
        let mut inner = self.lock();
        while inner.waiting >= MOST_WAITING && !self.stopped() {
            inner = self
                .room
                .wait_timeout(inner, Duration::from_millis(100))
                .map_or_else(|poisoned| poisoned.into_inner().0, |(inner, _)| inner);
        }
    }

    fn end(&self, end: End) {
        let mut inner = self.lock();
        if inner.end.is_none() {
            inner.end = Some(end);
        }
        inner.woken();
    }
}

impl Inner {
    fn woken(&self) {
        if self.batches.len() <= 1
            && let Some(wake) = &self.wake
        {
            wake();
        }
    }
}

/// Says that a source has ended when its thread does, however it does.
struct EndOnDrop(Arc<Queue>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let reason = thread::panicking()
            .then(|| "a bug of the tracer: please report what is on the terminal".to_owned());
        self.0.end(reason);
    }
}

/// What the thread says when it knows whether there is a source.
type Begun = Result<SourceInformation, SourceError>;

impl Source {
    /// The running kernel.
    pub fn live(options: Options) -> Result<Self, SourceError> {
        Self::start(Sight::Live, move |queue, begun| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(trace(&options, queue, begun)),
                Err(error) => {
                    let _ = begun.send(Err(error.into()));
                }
            }
        })
    }

    /// A recording: a file, or standard input where the path is `-`.
    pub fn recording(path: PathBuf) -> Result<Self, SourceError> {
        let name = path.file_name().map_or_else(
            || path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        Self::start(Sight::Recording(name), move |queue, begun| {
            read(&path, queue, begun);
        })
    }

    fn start(
        sight: Sight,
        work: impl FnOnce(&Queue, &mpsc::Sender<Begun>) + Send + 'static,
    ) -> Result<Self, SourceError> {
        let queue = Arc::new(Queue::default());
        let (sender, receiver) = mpsc::channel();
        let of_thread = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || {
                let queue = EndOnDrop(of_thread);
                work(&queue.0, &sender);
            })?;
        let information = receiver.recv().map_err(|_| SourceError::Died)??;
        Ok(Self {
            information,
            sight,
            queue,
            thread: Some(thread),
        })
    }

    /// Calls `wake` whenever there is something where there was nothing.
    pub fn wake_with(&self, wake: impl Fn() + Send + 'static) {
        let mut inner = self.queue.lock();
        inner.wake = Some(Box::new(wake));
        inner.woken();
    }

    /// The next events, if there are any.
    #[must_use]
    pub fn take(&self) -> Option<Vec<Event>> {
        let mut inner = self.queue.lock();
        let batch = inner.batches.pop_front()?;
        inner.waiting -= batch.len();
        self.queue.room.notify_one();
        Some(batch)
    }

    /// Until when everything that has happened was taken; `None` while something waits to be.
    #[must_use]
    pub fn taken_until(&self) -> Option<Time> {
        let inner = self.queue.lock();
        inner.batches.is_empty().then_some(inner.until)
    }

    /// What keeps a recording from being all there was, once it has ended.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.queue.lock().problems.clone()
    }

    /// How it ended, once everything was taken: for which reason it failed, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Option<String>> {
        let inner = self.queue.lock();
        inner.end.clone().filter(|_| inner.batches.is_empty())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.queue.stop.store(true, Ordering::Relaxed);
        self.queue.room.notify_all();
        if let Some(thread) = self.thread.take()
            && self.sight == Sight::Live
        {
            // The probes are detached when it ends. One that reads a file may be waiting for it for ever.
            let _ = thread.join();
        }
    }
}

async fn trace(options: &Options, queue: &Queue, begun: &mpsc::Sender<Begun>) {
    let mut live = match Running::start(options) {
        Ok(live) => live,
        Err(error) => {
            let _ = begun.send(Err(error.into()));
            return;
        }
    };
    let _ = begun.send(Ok(live.information()));
    let mut counted = Instant::now();
    while !queue.stopped() {
        if let Err(error) = live.ready().await {
            queue.end(Some(format!("the ring buffer can't be read: {error}")));
            return;
        }
        while !queue.stopped() && !queue.is_full() {
            let mut batch = Vec::new();
            let taken = live.drain(AT_ONCE, &mut |event| batch.push(event));
            queue.push(batch);
            queue.lock().until = live.drained_until();
            if taken < AT_ONCE {
                break;
            }
        }
        if counted.elapsed() >= COUNT_EVERY && !queue.is_full() {
            counted = Instant::now();
            let mut batch = Vec::new();
            live.catch_up(&mut |event| batch.push(event));
            queue.push(batch);
        }
    }
}

fn read(path: &std::path::Path, queue: &Queue, begun: &mpsc::Sender<Begun>) {
    let mut recording = match Recording::open(path) {
        Ok(recording) => recording,
        Err(error) => {
            let _ = begun.send(Err(error.into()));
            return;
        }
    };
    let _ = begun.send(Ok(recording.information().clone()));
    let mut batch = Vec::with_capacity(AT_ONCE);
    let end = recording.replay(|event| {
        batch.push(event.clone());
        if batch.len() == AT_ONCE {
            queue.push(std::mem::replace(&mut batch, Vec::with_capacity(AT_ONCE)));
            queue.wait_for_room();
        }
        if queue.stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    queue.push(batch);
    queue.lock().problems = end.problems;
    queue.end(end.damage);
}
