//! The running kernel: what it is, and the layout of its types.

mod running;
mod types;

pub use running::Kernel;
pub use types::{DeviceSetLayout, KERNEL_BTF, KernelTypes, LayoutError, ModuleLayout};
