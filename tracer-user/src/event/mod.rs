//! What happened in the kernel, in the same form from every source.
//!
//! A source (live kernel, trace file, imported log) yields [`Event`]s in the order in which the kernel
//! produced them. Nothing after it can know, or needs to know, which source it was. What a source could
//! not see is said once in its [`Coverage`](crate::evidence::Coverage), and what it lost on the way in
//! [`EventKind::Loss`], at the place in the order where it was lost.

mod death;
mod device;
pub(crate) mod hex;
pub(crate) mod hook_name;
mod message;
mod node;
pub(crate) mod raw_call;
pub(crate) mod role_name;
mod source_line;
pub mod splat;
mod stack;
mod switched;
mod task;

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use death::{Death, DeathKind};
pub use device::{DeviceAddress, DeviceIdentity, DeviceSnapshot, PmDomain};
pub use message::Message;
pub use node::{AddedNode, GroupId, NodeAddress, NodeReference};
pub use source_line::{InlinedCall, SourceLine};
pub use stack::{Function, StackDefinition, StackFrame, StackId};
pub use switched::{Registered, registered, switched};
pub use task::{Comm, Task};
pub use tracer_ebpf::{Hook, Role};

/// A string from the kernel or a file: shared, immutable, and not to be trusted on a terminal.
pub type Text = Arc<str>;

/// Nanoseconds of the kernel's monotonic clock. A source without times counts events instead and says so
/// in its coverage.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    JsonSchema,
    Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// Nanoseconds from `earlier` to this time; zero where the order is reversed.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// How it is shown where the source has no times, and it is the number of an event.
    #[must_use]
    pub fn as_event(self) -> String {
        format!("event {}", self.0)
    }
}

impl fmt::Display for Time {
    /// Seconds with six decimals, as the kernel's own log prints them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}.{:06}",
            self.0 / 1_000_000_000,
            self.0 / 1_000 % 1_000_000
        )
    }
}

/// One thing that happened in the kernel, or that the source has to say about what it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When it happened.
    pub time: Time,
    /// The task in whose context it happened.
    #[serde(flatten)]
    pub task: Task,
    /// The CPU it happened on.
    pub cpu: u16,
    /// The device it happened to; [`DeviceAddress::NONE`] where there is none.
    #[serde(rename = "address")]
    pub device: DeviceAddress,
    /// The kernel stack at that moment, if one was taken; defined by an earlier [`EventKind::Stack`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<StackId>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// Something that the source itself reports, outside of any task.
    #[must_use]
    pub fn outside_tasks(time: Time, device: DeviceAddress, kind: EventKind) -> Self {
        Self {
            time,
            task: Task::default(),
            cpu: 0,
            device,
            stack: None,
            kind,
        }
    }

    /// So many events were lost at this time, of whichever task.
    #[must_use]
    pub fn loss(time: Time, count: u64, cause: LossCause) -> Self {
        let loss = EventKind::Loss(Loss { count, cause });
        Self::outside_tasks(time, DeviceAddress::NONE, loss)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", content = "detail", rename_all = "snake_case")]
pub enum EventKind {
    /// Who the device is. Comes before the first event of a device and whenever name, driver, bus or
    /// parent has changed; before `device_initialize` it is who begins there. Outside any task it is a name that
    /// the source has found out by itself, of the device that lives there.
    Device(Arc<DeviceIdentity>),
    /// What a stack number means. Comes before the first event that refers to it; a number that is
    /// defined again means something else from here on.
    Stack(StackDefinition),
    /// What the device owned at this moment, read from the kernel's memory.
    Snapshot(Box<DeviceSnapshot>),
    /// `devres_log` ADD: a node is about to be appended to the device's list.
    Add(AddedNode),
    /// `devres_log` REM: a node was taken off the list; whether its release runs is not said.
    Remove(NodeReference),
    /// `devres_log` REL: a node's release is about to run, by `release_nodes()`.
    Release(NodeReference),
    /// `devres_log` REPLACE: `devm_krealloc` moves a block; the old node's address, while the new one is
    /// given by the [`Hook::Krealloc`] leave that follows.
    Replace(NodeReference),
    /// An action was removed, identified by its function and data, where the kernel does not name the node.
    RemoveAction {
        /// Address of the action's function.
        #[serde(with = "hex")]
        #[schemars(with = "hex::Hexadecimal")]
        function: u64,
        /// The action's argument.
        #[serde(with = "hex")]
        #[schemars(with = "hex::Hexadecimal")]
        data: u64,
    },
    /// `module_free`: a module's memory is about to be given back; its functions are no more.
    ModuleFree {
        /// The module's name.
        module: Text,
        /// Where its code was, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<ModuleCode>,
    },
    /// The kernel itself reported about devres in its log.
    Message(Message),
    /// A function was entered. Functions that are only entered, never left, are points in time.
    Enter(Call),
    /// A function returned.
    Leave(Return),
    /// Events were lost here.
    Loss(Loss),
}

/// Where the code of a module lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleCode {
    /// Its first byte's address.
    #[serde(with = "hex")]
    #[schemars(with = "hex::Hexadecimal")]
    pub begin: u64,
    /// How many bytes it has.
    pub size: u64,
}

impl ModuleCode {
    /// Whether the address lies in it.
    #[must_use]
    pub fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.begin) < self.size
    }
}

/// A function's entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// Which function.
    #[serde(with = "hook_name", rename = "function")]
    #[schemars(with = "String")]
    pub hook: Hook,
    /// What is known of its arguments.
    #[serde(rename = "arguments")]
    pub detail: CallDetail,
}

/// The arguments of a function, as far as they matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallDetail {
    /// Nothing but the device.
    None,
    /// A group function's `id`; zero is the kernel's NULL.
    Group(GroupId),
    /// The device's PM domain at the entry of `dev_pm_domain_attach` or `_detach`.
    Pm(PmDomain),
    /// `devm_krealloc`, `devm_kfree`: the payload's address. `kfree`: that of the memory.
    Pointer(
        #[serde(with = "hex")]
        #[schemars(with = "hex::Hexadecimal")]
        u64,
    ),
    /// `devres_destroy`, `devres_release`, `devm_release_action`: the function that identifies the node
    /// and the data it is matched with.
    Match {
        /// Address of the release or action function.
        #[serde(with = "hex")]
        #[schemars(with = "hex::Hexadecimal")]
        function: u64,
        /// The match data or action argument.
        #[serde(with = "hex")]
        #[schemars(with = "hex::Hexadecimal")]
        data: u64,
    },
    /// `free_irq`, and the tracepoint `irq_handler_entry`.
    Irq {
        /// The interrupt's number.
        number: u32,
        /// `dev_id`: what the handler is called with, and what distinguishes those that share a number.
        #[serde(with = "hex")]
        #[schemars(with = "hex::Hexadecimal")]
        dev_id: u64,
    },
    /// The name of the clock or regulator that is switched, or what something that is registered is known by: a
    /// function, or a device number.
    Supply(Text),
    /// `devres_release_all`: how many resources it goes on to release, where the source has read its return already.
    Releases(u32),
}

/// A function's return.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Return {
    /// Which function.
    #[serde(with = "hook_name", rename = "function")]
    #[schemars(with = "String")]
    pub hook: Hook,
    /// Its return value, sign-extended, if it has one and the hook can see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// The device's PM domain on return from `dev_pm_domain_attach` and `really_probe`, if seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pm: Option<PmDomain>,
    /// The new node of a `devm_krealloc` that moved the block, if seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeAddress>,
}

/// Events that did not reach the source. They were lost before the event that follows, or, where the kernel skipped a probe, at any
/// time up to that of the loss, which may be later than that of events which follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// How many.
    pub count: u64,
    /// Why.
    pub cause: LossCause,
}

/// Why events were lost.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The ring buffer was full.
    RingFull,
    /// The kernel did not run a probe: a recursion, or no free kretprobe instance.
    ProbeSkipped,
    /// A record could not be decoded.
    Undecodable,
    /// The input itself says that events are missing, or part of it is damaged.
    Input,
    /// The recorder could not write them in time.
    Unwritten,
    /// Kprobes are switched off for the whole kernel; how many events that costs is not known.
    KprobesOff,
    /// ftrace is switched off for the whole kernel; how many events that costs is not known.
    FtraceOff,
    /// A hook that is attached did not report what must have happened. No source reports this: the model concludes it.
    HookSilent,
}
