//! The running kernel as a source of events.

mod attach;
mod decode;
mod hooks;
mod layout;
mod load;
mod skipped;
mod snapshot;
mod stacks;
mod symbol_service;
mod symbols;

pub use attach::WAYS;
pub use layout::{KERNEL_BTF, KernelTypes, LayoutError};
pub use load::{Live, LiveError, Options};
pub use snapshot::SnapshotError;
pub use symbols::{KALLSYMS, SymbolError};
