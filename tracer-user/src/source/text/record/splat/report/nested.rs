//! A report that begins while another one has not ended, or right behind it.

use super::{
    super::{
        forms::Header,
        part::{self, Part, Who},
    },
    Mixed, Open,
};
use crate::event::splat::{Role, SplatKind};

/// Of which kind a call trace is that reports nothing.
const ONLY_SHOWN: &str = "shown along with others";

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

    /// Whether others are shown behind it: it is about a task or CPU that is stuck, or one of those itself.
    pub(in super::super) fn shows_others(&self) -> bool {
        let is_one = self.header.kind == SplatKind::Stack && self.header.detail.is_some();
        self.header.kind.is_stuck() || is_one
    }

    /// Whether nothing but one stack is known of it.
    pub(in super::super) fn is_bare(&self) -> bool {
        self.cut && self.header == Header::default() && self.stacks.len() == 1
    }

    /// It is no report of a fault: what a task or CPU was doing is shown because another one is stuck, or somebody asks.
    pub(in super::super) fn is_only_shown(&mut self) {
        self.header.detail = Some(ONLY_SHOWN.into());
    }

    /// Whether such a line behind its stack names the task of a further stack, which is not what it reports: the next
    /// one of all tasks or CPUs that are shown, or whoever holds the lock that the reported one waits for.
    pub(super) fn is_followed_by(&self, who: &Who) -> bool {
        if !self.has_frames() {
            return false;
        }
        match self.header.kind {
            SplatKind::Hung | SplatKind::Lockup => {
                who.tid.is_some() && self.header.tid.is_some() && who.tid != self.header.tid
            }
            // What watches memory names the task at last.
            SplatKind::Stack => !self
                .stacks
                .iter()
                .any(|stack| matches!(stack.role, Role::Allocated | Role::Freed)),
            _ => false,
        }
    }
}
