//! The fifth stage: from records in their order to events: which device a name means, which address a node has, who
//! opened a group, what the text as a whole could say.

pub(super) mod call;
pub(super) mod codec;
pub(super) mod collect;
pub(super) mod coverage;
pub(super) mod devices;
pub(super) mod entry;
pub(super) mod events;
pub(super) mod identity;
pub(super) mod names;
pub(super) mod pointers;
pub(super) mod records;
pub(super) mod spool;
pub(super) mod strange;
