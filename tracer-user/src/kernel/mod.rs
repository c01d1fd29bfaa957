//! The running kernel: what it is, and the layout of its types.

mod btf;
mod build;
mod cgroup;
mod clock;
mod facts;
mod kept;
mod memory;
mod mounts;
mod running;
mod system;
mod types;
mod waits;

pub use build::{Address, CodeSection, KernelImage, LoadedModule, digits};
pub use cgroup::{MemoryLimit, memory_limit};
pub use clock::now;
pub use facts::KernelFacts;
pub use memory::memory;
pub use mounts::{Mount, mounts};
pub use running::{Kernel, is_before, lockdown};
pub use system::{Machine, System, taint_bits, taints};
pub use types::{DeviceSetLayout, KERNEL_BTF, KernelTypes, LayoutError, ModuleLayout};
pub use waits::where_task_waits;
