//! What every device owns when the tracer starts, read from the kernel's memory.
//!
//! The walk begins at `devices_kset`, in which `device_add()` puts every device and which is found behind the
//! directory `/sys/devices`, and goes along each device's `devres_head`. It takes no lock, because a reader outside the kernel can't. So:
//!
//! - a device that is initialised but not yet added is not found;
//! - a list that changes while it is read may come out wrong. Each is therefore read twice, and a device
//!   whose list was not twice the same, or could not be followed to its end, is marked inconsistent;
//! - what an instance that goes away during the walk leaves behind is followed no further than the first
//!   word that doesn't fit.

mod device_set;
mod memory;
mod walk;

pub(super) use device_set::device_set;
pub(super) use memory::BpfMemory;
pub use memory::{Memory, NoMemory, Unreadable};
pub use walk::SnapshotError;
pub(super) use walk::{Found, Walk};
