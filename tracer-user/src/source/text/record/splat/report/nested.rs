//! A report that begins while another one has not ended.

use super::{
    super::part::{self, Part},
    Mixed, Open,
};
use crate::event::splat::Role;

impl Open {
    /// What it is for a report that begins now, if nobody says who writes: the rest of this one may follow among the
    /// lines of that.
    pub(in super::super) fn cut_into(&self) -> Mixed {
        if self.ended || self.has_frames() {
            Mixed::No
        } else {
            Mixed::Perhaps
        }
    }

    /// Whether its stack has begun and not ended.
    pub(in super::super) fn is_within_stack(&self) -> bool {
        let last = self.stacks.last();
        let has_begun = last.is_some_and(|stack| stack.frames.is_empty());
        !self.ended && (self.within || has_begun)
    }

    /// Whether it is over, and the line one of the report around it.
    pub(in super::super) fn is_left_at(&self, text: &[u8]) -> bool {
        let last = self.stacks.last().map(|stack| stack.role);
        let is_over = self.ended || self.left && last == Some(Role::Report);
        self.nested
            && is_over
            && match part::read(text) {
                Part::Frame(_) | Part::Call(..) | Part::Bound(false) => true,
                Part::End => self.ended,
                _ => false,
            }
    }

    /// Whether a line is of the report around this one, although this one goes on: its own stack has not begun, or has
    /// begun before.
    pub(super) fn is_disturbed_by(&self, part: &Part) -> bool {
        self.nested
            && match part {
                Part::Frame(_) | Part::Call(..) | Part::Bound(false) => self.stacks.is_empty(),
                Part::Bound(true) => self.within,
                _ => false,
            }
    }
}
