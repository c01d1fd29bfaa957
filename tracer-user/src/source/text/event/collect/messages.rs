//! What the kernel itself says in its log: probes that it refused or that failed, and its reports.

use super::{
    super::{
        entry::{Record, RecordKind},
        names::NameId,
        records::MessageRecord,
    },
    Collector,
};
use crate::{
    event::{Comm, Message, NodeAddress, NodeReference, Task, splat::Story},
    source::text::{
        envelope::prefix::{Prefix, Stamp},
        record::{
            kernel_log::Who,
            refusal::Refused,
            resource::Operation,
            splat::{self, Beginning, Caller, Over},
        },
    },
};

/// Within this, what the kernel finds in freed memory belongs to the release before it: nanoseconds. Serial
/// consoles take some hundredths of a second for a line.
const ONE_BREATH: u64 = 1_000_000_000;

/// Records of other threads that may stand between a release and the report about it.
const MOST_BETWEEN: usize = 16;

/// Lines behind a failed probe within which a report after a failed probe is taken for one of that.
const RIGHT_AFTER_PROBE: u64 = 4;

/// A probe that failed, as a line says.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailedProbe {
    device: NameId,
    driver: Option<NameId>,
    time: Option<Stamp>,
    /// Who wrote the line.
    caller: Caller,
    /// The line's number.
    line: u64,
}

impl FailedProbe {
    /// Whether a report that begins there can be about what this probe had acquired: the same task writes it, at once.
    fn is_right_before(&self, beginning: Beginning, line: u64) -> bool {
        let is_anothers = self.caller != beginning.caller;
        let is_late = match (self.time, beginning.time) {
            (Some(Stamp::At(said)), Some(Stamp::At(began))) => began.abs_diff(said) > ONE_BREATH,
            (_, Some(Stamp::After(since))) => since > ONE_BREATH,
            _ => false,
        };
        line.saturating_sub(self.line) <= RIGHT_AFTER_PROBE && !is_anothers && !is_late
    }
}

impl Collector {
    /// The kernel says that it refused a probe.
    pub(in crate::source::text) fn refused(&mut self, refused: &Refused<'_>) {
        self.stamp(refused.prefix.time);
        let tid = refused.prefix.thread.unwrap_or_default();
        let device = self.device_of(refused.who.device);
        let driver = refused.who.driver;
        let record = MessageRecord {
            message: Some(Message::ProbeRefused),
            device: Some(device),
            driver: driver.map(|name| self.records.names.intern(name)),
            task: task(tid, Comm::default()),
            frames: Vec::new(),
            cpu: refused.prefix.cpu.unwrap_or_default(),
            behind: None,
        };
        self.message(record, self.clock);
    }

    /// The probe of a device failed.
    pub(in crate::source::text) fn probe_failed(&mut self, who: Who<'_>, said: Prefix, line: u64) {
        if let Some(device) = who.device {
            let names = &mut self.records.names;
            self.failed_probe = Some(FailedProbe {
                device: names.intern(device),
                driver: who.driver.map(|name| names.intern(name)),
                time: said.time,
                caller: (said.thread, said.cpu),
                line,
            });
        }
    }

    /// Keeps a place in the order for a report of the kernel that begins here. Whether it follows a release closely
    /// says later whether it is about that.
    pub(in crate::source::text) fn reserve(
        &mut self,
        beginning: Beginning,
        close: bool,
        line: u64,
    ) -> u32 {
        let failed = self
            .failed_probe
            .filter(|probe| probe.is_right_before(beginning, line));
        let behind = match self.last_of(beginning.caller) {
            Some(RecordKind::Node(node))
                if close
                    && node.operation == Operation::Release
                    && !self.is_far(beginning.time) =>
            {
                Some(node)
            }
            _ => None,
        };
        // If nothing comes of it, its time must not have reported anything.
        let time = match beginning.time {
            Some(Stamp::At(time)) => time,
            Some(Stamp::After(_)) => {
                self.relative = true;
                self.clock
            }
            None => self.clock,
        };
        let record = MessageRecord {
            message: None,
            device: failed.map(|probe| probe.device),
            driver: failed.and_then(|probe| probe.driver),
            task: Task::default(),
            frames: Vec::new(),
            cpu: 0,
            behind,
        };
        self.timed_places += u32::from(matches!(beginning.time, Some(Stamp::At(_))));
        self.message(record, time)
    }

    /// The report for which a place was kept is over. Whether it is an event.
    pub(in crate::source::text) fn report(&mut self, over: Over) -> bool {
        let place = over.place as usize;
        let behind = self
            .records
            .messages
            .get(place)
            .and_then(|record| record.behind);
        let block = behind.map(|node| NodeReference {
            node: NodeAddress(node.node),
            name: node.name.and_then(|name| self.records.names.text(name)),
            size: Some(node.size),
        });
        let Some(meaning) = splat::meaning(&over, block) else {
            return false;
        };
        let story = Story::of(&over.splat);
        let is_of_probe = meaning.of_failed_probe
            && !self.records.messages.get(place).is_some_and(|record| {
                let driver = record.driver.and_then(|name| self.records.names.text(name));
                driver.is_some_and(|driver| story.is_of_another_driver(&driver))
            });
        let Some(record) = self.records.messages.get_mut(place) else {
            return false;
        };
        record.message = Some(meaning.message);
        record.task = task(over.tid.unwrap_or_default(), over.comm.unwrap_or_default());
        record.frames = over.frames;
        record.cpu = over.cpu.unwrap_or_default();
        if !is_of_probe {
            (record.device, record.driver) = (None, None);
        }
        if let Some(device) = behind.filter(|_| meaning.of_release) {
            record.device = Some(device.device);
            record.driver = device.driver;
        }
        self.records.timed |= self.timed_places > 0;
        true
    }

    fn message(&mut self, record: MessageRecord, time: u64) -> u32 {
        let number = u32::try_from(self.records.messages.len()).unwrap_or(u32::MAX);
        let cpu = record.cpu;
        self.records.messages.push(record);
        self.records.all.push(Record {
            time,
            task: 0,
            cpu,
            stack: None,
            kind: RecordKind::Message(number),
        });
        number
    }

    /// Whether so much time has passed that it has nothing to do with the last record.
    fn is_far(&self, stamp: Option<Stamp>) -> bool {
        match stamp {
            Some(Stamp::At(time)) => self.records.timed && time.abs_diff(self.clock) > ONE_BREATH,
            Some(Stamp::After(time)) => time > ONE_BREATH,
            None => false,
        }
    }

    /// The last record; where the lines name who writes them, of this writer.
    fn last_of(&self, (thread, cpu): Caller) -> Option<RecordKind> {
        let latest = || self.records.all.latest().take(MOST_BETWEEN);
        let is_by = |record: &Record| {
            let is_event = matches!(record.kind, RecordKind::Node(_) | RecordKind::Call(_));
            let tid = self.records.tasks.get(record.task).tid;
            match (thread, cpu) {
                (Some(thread), _) => is_event && tid == thread,
                (None, Some(cpu)) => is_event && tid == 0 && record.cpu == cpu,
                (None, None) => true,
            }
        };
        let has_writer =
            |record: &Record| record.cpu != 0 || self.records.tasks.get(record.task).tid != 0;
        let last = if latest().any(has_writer) {
            latest().find(|record| is_by(record))?
        } else {
            latest().next()?
        };
        Some(last.kind)
    }
}

/// The task that a message names.
fn task(tid: u32, comm: Comm) -> Task {
    Task {
        tid,
        tgid: tid,
        comm,
    }
}
