//! What the commands run on.

use std::{fs::File, io};

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

/// Descriptors that the runtime and its signal handling take; it panics where it gets only some of them.
const DESCRIPTORS: usize = 8;

/// The runtime.
pub(super) fn start() -> anyhow::Result<Runtime> {
    let free: io::Result<Vec<File>> = (0..DESCRIPTORS).map(|_| File::open("/dev/null")).collect();
    free.and_then(|files| {
        drop(files);
        // Threads are named like the program: what one does to a driver is reported as done by it.
        Builder::new_current_thread()
            .enable_all()
            .thread_name(env!("CARGO_PKG_NAME"))
            .build()
    })
    .context("the limit on open files is too low: raise it (ulimit -n 1024)")
}
