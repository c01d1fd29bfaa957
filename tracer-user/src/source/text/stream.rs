//! A text that is still being written: the kernel's `trace_pipe`.

use super::{event::events::Events, reader::Reader};
use crate::event::Event;

/// Longest line that is kept while its end has not come.
const LONGEST_LINE: usize = 1 << 16;

/// Makes events of a text while it comes.
///
/// What later lines say about earlier ones comes too late here. Whoever sets up what is recorded sees to it that each line
/// says enough: a device's address at each function, and its name at each probe and unbind.
pub struct Stream {
    reader: Reader,
    /// The events' state; taken while they are made.
    events: Option<Events<'static>>,
    /// The beginning of a line.
    partial: Vec<u8>,
}

impl Stream {
    /// A text that comes. `concluded`: functions say what is added and removed, because there is no tracepoint.
    /// `payload_offset`: bytes from a node to its payload, where known.
    #[must_use]
    pub fn new(concluded: bool, payload_offset: Option<u64>) -> Self {
        Self {
            reader: Reader::with_payloads_at(payload_offset),
            events: Some(Events::begin(concluded)),
            partial: Vec::new(),
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
        self.reader.end_all_waiting();
        self.complete();
    }

    /// What the last line began is whole: no stack follows it.
    pub fn complete(&mut self) {
        self.reader.line(b"", 0);
    }

    /// Hands on the events of what has come since the last time.
    pub fn for_each(&mut self, each: &mut dyn FnMut(Event)) {
        let Some(state) = self.events.take() else {
            return;
        };
        let mut events = state.over(self.reader.records());
        for event in events.by_ref() {
            each(event);
        }
        self.events = Some(events.pause());
        self.reader.forget_records();
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
        let mut stream = Stream::new(false, None);
        let mut devices = Vec::new();
        let mut kinds = Vec::new();
        for piece in text.as_bytes().chunks(37) {
            stream.bytes(piece);
            stream.for_each(&mut |event| {
                devices.push(event.device.0);
                kinds.push(std::mem::discriminant(&event.kind));
            });
        }
        // A stack may follow the last one.
        let before = kinds.len();
        stream.complete();
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
        stream.end();
        stream.for_each(&mut |event| panic!("{event:?} a second time"));
    }
}
