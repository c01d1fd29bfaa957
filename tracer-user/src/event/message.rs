//! What the kernel itself says about devres, in its log or where it is asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NodeReference, Text, splat::Splat};

/// A kernel message that concerns devres without being an event of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// `really_probe()`: "Resources present before probing". The probe was refused with -EBUSY.
    ProbeRefused,
    /// A `WARN_ON()` in drivers/base/devres.c, or another report of the kernel from there.
    Warning {
        /// The function that it is in, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<Text>,
        /// The line in that file, on the kernel that wrote the message, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
    },
    /// `debug_check_no_obj_freed()`: memory was freed in which something was still active.
    FreedActive {
        /// The type of what was active, such as `work_struct`.
        object: Text,
        /// The function that it would call, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<Text>,
        /// The release that the message follows.
        block: NodeReference,
    },
    /// Another report of the kernel, in whose stacks devres occurs.
    Splat(Box<Splat>),
    /// `/proc/TID/stack`: a task that has been releasing for long waits there. The event is the task's, with that stack.
    Waits,
}
