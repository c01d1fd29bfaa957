//! Reports of the kernel among the lines: which lines are of one is known only when it is over.

use super::{
    super::record::splat::{self, Seen},
    Reader,
};

/// Lines behind a release within which a report about freed memory is taken for one about it.
const RIGHT_BEHIND: u64 = 8;

impl Reader {
    /// Takes a line for a part of a report of the kernel. Whether it is an event, and so its lines, is known only when
    /// the report is over.
    pub(super) fn splat(&mut self, line: &[u8], count: u64) {
        let mut last = line;
        while let Some((first, behind)) = splat::apart(last) {
            self.record_of_splat(first, line.len() - last.len(), (count, false));
            last = behind;
        }
        self.record_of_splat(last, line.len() - last.len(), (count, true));
    }

    /// The same for one of the records in a line, which is so many bytes behind its beginning: the last one of them counts
    /// for all the lines that it was.
    fn record_of_splat(&mut self, line: &[u8], before: usize, lines: (u64, bool)) {
        self.machine.line(line);
        let number = self.place;
        let seen = self.splats.look(line, number, before, lines);
        self.take_splats();
        if let Seen::Begins(beginning) = seen {
            let behind = number.saturating_sub(self.last_event) <= RIGHT_BEHIND;
            let place = self.collector.reserve(beginning, behind, number);
            self.splats.placed(place);
        }
    }

    pub(super) fn take_splats(&mut self) {
        for over in self.splats.over() {
            let lines = over.lines;
            let (is_whole, has_stack) = (!over.splat.cut, !over.splat.stacks.is_empty());
            if self.collector.report(over) {
                self.statistics.messages += 1;
                self.statistics.event_lines += lines;
                self.statistics.other_lines -= lines;
            } else if has_stack {
                self.statistics.reports += u64::from(is_whole);
            } else {
                self.statistics.reports_without_stack += u64::from(is_whole);
            }
        }
    }
}
