//! Why what the model says of a device may be incomplete.

use std::fmt;

use crate::event::LossCause;

/// Why what the model says of a device may be incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Taint {
    /// The device lived before the source began, and nothing reported what it owned.
    FirstSeenHalfway,
    /// What it owned was read while it changed.
    TornSnapshot,
    /// Events were lost during its life, for this reason.
    Loss(LossCause),
    /// A function was never seen to return although it must have.
    MissedReturn,
    /// The model and the kernel disagreed: a fault of the tracer, reported as DR900.
    Desync,
    /// The source cannot tell nodes apart well enough, and an event fitted none or the wrong one.
    Indistinct,
    /// An event does not fit what came before it: something is missing, or in another place.
    Unfitting,
    /// The times of one task run backwards.
    Disordered,
    /// An event is there twice.
    Repeated,
}

impl fmt::Display for Taint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FirstSeenHalfway => {
                "it existed before the trace, and its resources at that time are unknown"
            }
            Self::TornSnapshot => "its list changed while it was being read",
            Self::Loss(LossCause::RingFull) => "events were lost: the ring buffer was full",
            Self::Loss(LossCause::ProbeSkipped) => "events were lost: the kernel skipped a probe",
            Self::Loss(LossCause::Undecodable) => "events were lost: a record could not be decoded",
            Self::Loss(LossCause::Input) => "events were lost: the input is incomplete",
            Self::Loss(LossCause::KprobesOff) => "kprobes were switched off",
            Self::Loss(LossCause::FtraceOff) => "ftrace was switched off",
            Self::Loss(LossCause::HookSilent) => "an attached hook did not report",
            Self::Loss(LossCause::Unwritten) => {
                "events were lost: the recorder could not write them in time"
            }
            Self::MissedReturn => "the return of a function was not seen",
            Self::Desync => "the tracer's model and the kernel disagreed",
            Self::Indistinct => "the input does not distinguish its resources",
            Self::Unfitting => "an event does not fit those before it: the input is incomplete",
            Self::Disordered => "its events are out of order: the times of one task run backwards",
            Self::Repeated => "one of its events is duplicated",
        })
    }
}

impl Taint {
    /// Whether it shows that the source's events are not what happened, and the source does not say so.
    #[must_use]
    pub const fn is_misfit(self) -> bool {
        matches!(self, Self::Unfitting | Self::Disordered | Self::Repeated)
    }

    /// In one word, for machines: stable.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::FirstSeenHalfway => "first-seen-halfway",
            Self::TornSnapshot => "torn-snapshot",
            Self::Loss(_) => "loss",
            Self::MissedReturn => "missed-return",
            Self::Desync => "desync",
            Self::Indistinct => "indistinct",
            Self::Unfitting => "unfitting",
            Self::Disordered => "disordered",
            Self::Repeated => "repeated",
        }
    }
}

/// The taints of one device other than loss, which is kept once for all devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taints(u8);

impl Taints {
    const ALL: [Taint; 8] = [
        Taint::FirstSeenHalfway,
        Taint::TornSnapshot,
        Taint::MissedReturn,
        Taint::Desync,
        Taint::Indistinct,
        Taint::Unfitting,
        Taint::Disordered,
        Taint::Repeated,
    ];

    fn bit(taint: Taint) -> u8 {
        Self::ALL
            .iter()
            .position(|known| *known == taint)
            .map_or(0, |position| 1 << position)
    }

    /// Adds `taint`; whether it is new.
    pub(super) fn insert(&mut self, taint: Taint) -> bool {
        let new = self.0 & Self::bit(taint) == 0;
        self.0 |= Self::bit(taint);
        new
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn clear(&mut self) {
        self.0 = 0;
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Taint> {
        Self::ALL
            .into_iter()
            .filter(move |taint| self.0 & Self::bit(*taint) != 0)
    }
}
