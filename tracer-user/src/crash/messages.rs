//! What is under way, kept where it outlives a crash: pstore's messages (`CONFIG_PSTORE_PMSG`, with a backend such as
//! ramoops with `pmsg_size=`). The next boot finds them in `/sys/fs/pstore`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use hashbrown::HashMap;

use super::line;
use crate::{
    event::{DeviceAddress, Event, EventKind, Hook},
    model::{Device, Model},
};

/// Where a kernel takes messages.
pub const DEVICE: &str = "/dev/pmsg0";

/// The last line of a trace that did not end with the machine.
pub const END: &str = "devres-tracer: the trace has ended";

/// Devices about which something is remembered at the same time.
const MOST_DEVICES: usize = 4096;

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum MessagesError {
    /// There is no place for it.
    #[error(
        "this kernel keeps no messages of programs over a crash: {0} is missing (CONFIG_PSTORE_PMSG, which Debian's kernels \
         don't have, and a backend with room for them, such as ramoops with pmsg_size=64K). `devres-tracer boot --persistent \
         4M` and `--dump-on-oops` print what makes the kernel itself keep its events"
    )]
    Missing(String),
    /// It can't be opened.
    #[error("{name} can't be opened (run as root)")]
    Open {
        /// The file's name.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

/// Keeps the last events of each device that is being probed, unbound or released.
#[derive(Debug)]
pub struct Messages {
    file: File,
    /// For each device, the functions that make it one, outermost first.
    under_way: HashMap<DeviceAddress, Vec<Hook>>,
    text: String,
    broken: Option<io::Error>,
}

impl Messages {
    /// Opens [`DEVICE`].
    pub fn open() -> Result<Self, MessagesError> {
        Self::at(Path::new(DEVICE))
    }

    /// Opens what takes messages in its place.
    pub fn at(path: &Path) -> Result<Self, MessagesError> {
        let file = OpenOptions::new().write(true).open(path);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => MessagesError::Missing(path.display().to_string()),
            _ => MessagesError::Open {
                name: path.display().to_string(),
                source,
            },
        })?;
        Ok(Self {
            file,
            under_way: HashMap::new(),
            text: String::new(),
            broken: None,
        })
    }

    /// Keeps an event that the model has taken in, if its device is under way. Each is there when this returns: nothing is
    /// saved up, because nothing announces when the machine will die.
    pub fn event(&mut self, event: &Event, model: &Model) {
        if self.broken.is_some() || !self.is_wanted(event, model) {
            return;
        }
        let device = model.device(event.device);
        self.text.clear();
        let written = line::write(&mut self.text, event, device.map(Device::identity));
        if written.is_err() || self.text.is_empty() {
            return;
        }
        // The kernel takes each write as one message.
        self.broken = self.file.write_all(self.text.as_bytes()).err();
    }

    fn is_wanted(&mut self, event: &Event, model: &Model) -> bool {
        let device = event.device;
        match &event.kind {
            EventKind::Add(_)
            | EventKind::Remove(_)
            | EventKind::Release(_)
            | EventKind::Replace(_)
            | EventKind::Loss(_) => true,
            EventKind::Enter(call) => {
                let holds = || model.device(device).is_some_and(|it| it.node_count() > 0);
                let begins = match call.hook {
                    Hook::Probe | Hook::Unbind | Hook::Delete => true,
                    // Most devices that go have none.
                    Hook::ReleaseAll | Hook::ReleaseGroup | Hook::FinalPut => holds(),
                    _ => false,
                };
                if begins && (self.under_way.len() < MOST_DEVICES || self.is_under_way(device)) {
                    self.under_way.entry(device).or_default().push(call.hook);
                }
                self.is_under_way(device)
            }
            EventKind::Leave(left) => {
                let Some(running) = self.under_way.get_mut(&device) else {
                    return false;
                };
                // The returns of those within it may be missing.
                if let Some(depth) = running.iter().rposition(|hook| *hook == left.hook) {
                    running.truncate(depth);
                }
                if running.is_empty() {
                    self.under_way.remove(&device);
                }
                true
            }
            _ => false,
        }
    }

    fn is_under_way(&self, device: DeviceAddress) -> bool {
        self.under_way.contains_key(&device)
    }

    /// Says that the trace ends and the machine lives on. Why not everything was kept, if so.
    pub fn finish(mut self) -> Result<(), io::Error> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        writeln!(self.file, "{END}")
    }
}
