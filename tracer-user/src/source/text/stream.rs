//! A text that is still being written: the kernel's `trace_pipe`.

use super::{events::Events, reader::Reader};
use crate::event::Event;

/// Longest line that is kept while its end has not come.
const LONGEST_LINE: usize = 1 << 16;

/// Records that are forgotten at once.
const AT_ONCE: u32 = 1 << 14;

/// Makes events of a text while it comes.
///
/// What later lines tell of earlier ones comes too late here. Whoever sets up what is recorded sees to it that each line
/// tells enough: a device's address at each function, and its name at each probe and unbind.
pub struct Stream {
    reader: Reader,
    /// The events' state; taken while they are made.
    events: Option<Events<'static>>,
    /// The beginning of a line.
    partial: Vec<u8>,
    /// Whether a stack follows each line of the tracepoint.
    stacks: bool,
    /// The first record that was not forgotten yet.
    forgotten: u32,
}

impl Stream {
    /// A text that comes. `concluded`: functions tell what is added and removed, because there is no tracepoint.
    /// `payload_offset`: bytes from a node to its payload, where known. `stacks`: each line of the tracepoint has its
    /// stack behind it.
    #[must_use]
    pub fn new(concluded: bool, payload_offset: Option<u64>, stacks: bool) -> Self {
        let mut reader = Reader::with_payloads_at(payload_offset);
        reader.forgets();
        Self {
            reader,
            events: Some(Events::begin(concluded)),
            partial: Vec::new(),
            stacks,
            forgotten: 0,
        }
    }

    /// Takes in what has come.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            if self.partial.is_empty() {
                self.reader.line(line.trim_ascii_end(), 1);
            } else {
                self.partial.extend_from_slice(line);
                self.reader.line(self.partial.trim_ascii_end(), 1);
                self.partial.clear();
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        if self.partial.len() < LONGEST_LINE {
            self.partial.extend_from_slice(rest);
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.reader.line(line.trim_ascii_end(), 1);
        }
        // What the last line began is whole.
        self.reader.line(b"", 0);
        self.stacks = false;
    }

    /// Hands on the events of what has come since the last time.
    pub fn for_each(&mut self, each: &mut dyn FnMut(Event)) {
        let Some(state) = self.events.take() else {
            return;
        };
        let records = self.reader.records();
        let waits = self.stacks && self.reader.awaits_stack();
        let end = records.all.len().saturating_sub(u32::from(waits));
        let mut events = state.over(records, end);
        for event in events.by_ref() {
            each(event);
        }
        let events = events.pause();
        let next = events.next_record();
        self.events = Some(events);
        if next - self.forgotten >= AT_ONCE {
            self.reader.forget(next);
            self.forgotten = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    #[test]
    fn events_come_as_soon_as_their_lines_have() {
        let text = "  sh-7 [000] ..... 1.000001: p_really_probe_0: (really_probe+0x0/0x40) dev=0xff10 name=\"a.0\" drv=\"d\"\n\
                    \x20 sh-7 [000] d..1. 1.000002: devres_log: a.0 ADD 00000000aaaaaaaa x_release (8 bytes)\n\
                    \x20 sh-7 [000] ..... 1.000003: r_really_probe_0: (x+0x1/0x2 <- really_probe) ret=0x0\n";
        let mut stream = Stream::new(false, None, false);
        let mut devices = Vec::new();
        let mut kinds = Vec::new();
        for piece in text.as_bytes().chunks(37) {
            stream.bytes(piece);
            stream.for_each(&mut |event| {
                devices.push(event.device.0);
                kinds.push(std::mem::discriminant(&event.kind));
            });
        }
        let before = kinds.len();
        stream.end();
        stream.for_each(&mut |event| {
            assert!(matches!(event.kind, EventKind::Leave(_)), "{event:?}");
            devices.push(event.device.0);
            kinds.push(std::mem::discriminant(&event.kind));
        });
        assert_eq!(kinds.len(), before + 1);
        assert!(
            devices.iter().all(|device| *device == 0xff10),
            "{devices:x?}"
        );
        stream.for_each(&mut |event| panic!("{event:?} a second time"));
    }

    #[test]
    fn room_is_taken_for_what_is_there_and_not_for_what_was() {
        const ROUNDS: u32 = 60_000;
        let mut stream = Stream::new(false, None, false);
        let mut counts = [0_u32; 3];
        let mut count = |stream: &mut Stream| {
            stream.for_each(&mut |event| {
                assert_eq!(event.device.0, 0xff10, "{event:?}");
                match event.kind {
                    EventKind::Add(added) => {
                        counts[0] += 1;
                        assert_eq!(added.node.0, 0xff_0000 + u64::from(counts[0]));
                    }
                    EventKind::Release(released) => {
                        counts[1] += 1;
                        assert_eq!(released.node.0, 0xff_0000 + u64::from(counts[1]));
                    }
                    EventKind::Leave(_) => counts[2] += 1,
                    _ => {}
                }
            });
        };
        stream.bytes(b"  sh-7 [000] ..... 1.0: p_really_probe_0: (really_probe+0x0/0x40) dev=0xff10 name=\"a.0\" drv=\"d\"\n");
        for round in 1..=ROUNDS {
            let lines = format!(
                "  sh-8 [000] ..... 2.0: p_add_dr_0: (add_dr+0x0/0x40) dev=0xff10 node=0x{:x} rel=x_release+0x0/0x10\n\
                 \x20 sh-8 [000] d..1. 2.0: devres_log: a.0 ADD 00000000{:08x} x_release (8 bytes)\n\
                 \x20 sh-8 [000] d..1. 2.0: devres_log: a.0 REL 00000000{:08x} x_release (8 bytes)\n",
                0xff_0000 + round,
                round * 8,
                round * 8
            );
            stream.bytes(lines.as_bytes());
            if round % 100 == 0 {
                count(&mut stream);
            }
        }
        stream.bytes(
            b"  sh-7 [000] ..... 3.0: r_really_probe_0: (x+0x1/0x2 <- really_probe) ret=0x0\n",
        );
        stream.end();
        count(&mut stream);
        assert_eq!(counts, [ROUNDS, ROUNDS, 1]);
        let records = stream.reader.records();
        let most = 3 * usize::try_from(AT_ONCE).unwrap();
        assert!(records.all.kept() < most, "{}", records.all.kept());
        assert!(records.calls.kept() < most, "{}", records.calls.kept());
        assert!(records.facts.kept() < most, "{}", records.facts.kept());
    }
}
