//! The numbers of the format: what a byte of an event means.

use crate::event::LossCause;

/// Numbers of the kinds of events: the low four bits of an event's first byte.
pub(super) mod kind {
    pub(in crate::trace_file) const DEVICE: u8 = 0;
    pub(in crate::trace_file) const STACK: u8 = 1;
    pub(in crate::trace_file) const SNAPSHOT: u8 = 2;
    pub(in crate::trace_file) const ADD: u8 = 3;
    pub(in crate::trace_file) const REMOVE: u8 = 4;
    pub(in crate::trace_file) const RELEASE: u8 = 5;
    pub(in crate::trace_file) const REPLACE: u8 = 6;
    pub(in crate::trace_file) const REMOVE_ACTION: u8 = 7;
    pub(in crate::trace_file) const MODULE_FREE: u8 = 8;
    pub(in crate::trace_file) const ENTER: u8 = 9;
    pub(in crate::trace_file) const LEAVE: u8 = 10;
    pub(in crate::trace_file) const LOSS: u8 = 11;
    pub(in crate::trace_file) const MESSAGE: u8 = 12;
}

/// What an event has of its own, unlike the one before it: the high four bits of its first byte.
pub(super) mod own {
    pub(in crate::trace_file) const TASK: u8 = 1 << 4;
    pub(in crate::trace_file) const CPU: u8 = 1 << 5;
    pub(in crate::trace_file) const DEVICE: u8 = 1 << 6;
    pub(in crate::trace_file) const STACK: u8 = 1 << 7;
}

/// What is there of an added node.
pub(super) mod node {
    pub(in crate::trace_file) const SIZE: u8 = 1 << 0;
    pub(in crate::trace_file) const FUNCTION: u8 = 1 << 1;
    pub(in crate::trace_file) const ACTION_DATA: u8 = 1 << 2;
    pub(in crate::trace_file) const PAYLOAD_ADDRESS: u8 = 1 << 3;
    pub(in crate::trace_file) const PAYLOAD: u8 = 1 << 4;
    pub(in crate::trace_file) const GROUP: u8 = 1 << 5;
    pub(in crate::trace_file) const ACTION: u8 = 1 << 6;
    pub(in crate::trace_file) const ALL: u8 = (1 << 7) - 1;
}

/// How a word of a payload is written: two bits each.
pub(super) mod payload {
    pub(in crate::trace_file) const ZERO: u8 = 0;
    pub(in crate::trace_file) const NUMBER: u8 = 1;
    pub(in crate::trace_file) const NEAR_NODE: u8 = 2;
    pub(in crate::trace_file) const WORD: u8 = 3;
}

/// Numbers of the messages of the kernel.
pub(super) mod message {
    pub(in crate::trace_file) const PROBE_REFUSED: u8 = 0;
    pub(in crate::trace_file) const WARNING: u8 = 1;
    pub(in crate::trace_file) const FREED_ACTIVE: u8 = 2;
    pub(in crate::trace_file) const SPLAT: u8 = 3;
    pub(in crate::trace_file) const WAITS: u8 = 4;
}

/// Numbers of what is known of a call's arguments.
pub(super) mod detail {
    pub(in crate::trace_file) const NONE: u8 = 0;
    pub(in crate::trace_file) const GROUP: u8 = 1;
    pub(in crate::trace_file) const PM: u8 = 2;
    pub(in crate::trace_file) const POINTER: u8 = 3;
    pub(in crate::trace_file) const MATCH: u8 = 4;
    pub(in crate::trace_file) const IRQ: u8 = 5;
    pub(in crate::trace_file) const RELEASES: u8 = 6;
    pub(in crate::trace_file) const SUPPLY: u8 = 7;
}

/// What is there of a return.
pub(super) mod returned {
    pub(in crate::trace_file) const VALUE: u8 = 1 << 0;
    pub(in crate::trace_file) const PM: u8 = 1 << 1;
    pub(in crate::trace_file) const NODE: u8 = 1 << 2;
    pub(in crate::trace_file) const ALL: u8 = (1 << 3) - 1;
}

/// Numbers of the causes of loss.
pub(super) const CAUSES: [LossCause; 8] = [
    LossCause::RingFull,
    LossCause::ProbeSkipped,
    LossCause::Undecodable,
    LossCause::Input,
    LossCause::Unwritten,
    LossCause::KprobesOff,
    LossCause::FtraceOff,
    LossCause::HookSilent,
];
