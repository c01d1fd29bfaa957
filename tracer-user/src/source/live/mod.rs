//! The running kernel as a source of events.

mod addition_check;
mod attach;
mod cost;
mod decode;
mod error;
mod limits;
mod load;
mod module_symbols;
mod object;
mod options;
mod pages;
mod probe_log;
mod skipped;
mod snapshot;
mod stacks;
mod switches;
mod symbol_service;
mod symbols;
mod texts;
mod timing;
mod unnamed;
mod variables;
mod waiting;
mod watched;

pub use attach::WAYS;
pub use cost::CostError;
pub use decode::Decoder;
pub use error::LiveError;
pub use load::Live;
pub use options::{Options, Via};
pub use snapshot::{Memory, NoMemory, SnapshotError, Unreadable};
pub use stacks::Stacks;
pub use symbol_service::SymbolService;
pub use symbols::{KALLSYMS, SymbolError, Symbols};
pub use timing::{Step, Timing};
pub use variables::variables;
