//! What is under way, kept where it outlives a crash: pstore's messages (`CONFIG_PSTORE_PMSG`, with a backend such as
//! ramoops with `pmsg_size=`). The next boot finds them in `/sys/fs/pstore`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use hashbrown::HashMap;
use memchr::memmem;

use super::line;
use crate::{
    event::{DeviceAddress, Event, EventKind, Hook},
    model::Model,
};

/// Where a kernel takes messages.
pub const DEVICE: &str = "/dev/pmsg0";

/// The last line of a trace that did not end with the machine.
const END: &str = "devres-tracer: the trace has ended";

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

    fn at(path: &Path) -> Result<Self, MessagesError> {
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
    /// saved up, because nothing tells when the machine will die.
    pub fn event(&mut self, event: &Event, model: &Model) {
        if self.broken.is_some() || !self.is_wanted(event, model) {
            return;
        }
        let device = model.device(event.device);
        self.text.clear();
        let written = line::write(
            &mut self.text,
            event,
            device.map(|device| device.identity()),
        );
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

/// Whether messages of a boot before hold events of a trace that did not end by itself.
pub(super) fn tell_of_a_crash(content: &[u8]) -> bool {
    let last = memmem::rfind(content, b"devres_log: ").max(memmem::rfind(content, b"_0: ("));
    last.is_some_and(|last| memmem::rfind(content, END.as_bytes()).is_none_or(|end| end < last))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Cursor, ops::ControlFlow, sync::Arc};

    use super::*;
    use crate::{
        crash::{Crash, LastMoments},
        finding::Finding,
        judge::Judge,
        rules::RuleSet,
        source::recording::Recording,
    };

    /// pvpanic on 6.1: bound, and unbound in the wrong order.
    const RECORDING: &[u8] = include_bytes!("../../demo/pvpanic-6.1.dvrt");

    /// What is found in a recording, and what was under way at its end.
    fn judged(content: Vec<u8>, messages: &mut Option<Messages>) -> (Vec<Finding>, Crash) {
        let mut recording = Recording::read(Box::new(Cursor::new(content)), "it".into()).unwrap();
        let coverage = Arc::new(recording.information().coverage.clone());
        let mut judge = Judge::new(coverage, RuleSet::checked());
        let mut moments = LastMoments::default();
        let read = recording.for_each(|event| {
            judge.apply_with(event, |change, model| moments.observe(change, model));
            if let Some(messages) = messages {
                messages.event(event, judge.model());
            }
            ControlFlow::Continue(())
        });
        read.unwrap();
        let crash = moments.finish(judge.model(), None);
        (judge.finish().findings, crash)
    }

    #[test]
    fn what_was_under_way_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pmsg0");
        assert!(matches!(
            Messages::at(&path),
            Err(MessagesError::Missing(_))
        ));
        fs::write(&path, "").unwrap();
        let mut messages = Some(Messages::at(&path).unwrap());
        let (found, _) = judged(RECORDING.to_vec(), &mut messages);
        let text = fs::read_to_string(&path).unwrap();
        assert!(tell_of_a_crash(text.as_bytes()));
        messages.unwrap().finish().unwrap();
        assert!(!tell_of_a_crash(&fs::read(&path).unwrap()));

        let rules = |findings: &[Finding]| -> Vec<_> {
            let all = findings.iter();
            all.map(|it| (it.rule, it.device.clone())).collect()
        };
        let (read_back, _) = judged(text.clone().into_bytes(), &mut None);
        assert_eq!(rules(&read_back), rules(&found), "{text}");

        let release = text.rfind(" REL ").unwrap();
        let end = release + text[release..].find('\n').unwrap();
        let (_, crash) = judged(text[..end].into(), &mut None);
        let [one] = crash.under_way.as_slice() else {
            panic!("{crash:?}\n{text}");
        };
        assert_eq!(one.device, "QEMU0001:00");
        assert!(one.certain && one.since_detach.is_some(), "{one:?}");
        let added = one.releasing.as_ref().map(|resource| &resource.added);
        assert!(added.is_some_and(|added| added.task.is_some()), "{one:?}");
    }

    #[test]
    fn a_name_does_not_end_a_line() {
        let mut text = String::new();
        let event = Event {
            time: crate::event::Time(1),
            task: crate::event::Task::default(),
            cpu: 0,
            device: DeviceAddress(1),
            stack: None,
            kind: EventKind::Release(crate::event::NodeReference {
                name: Some("x\ny\"".into()),
                ..Default::default()
            }),
        };
        line::write(&mut text, &event, None).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.contains("x?y?"), "{text}");
    }
}
