//! What a source could see and what it could not, and what else is known of a run: no verdict is better than this.

mod command_end;
mod counts;
mod coverage;
mod source_end;
mod source_information;

pub use command_end::CommandEnd;
pub(crate) use counts::is_zero;
pub use counts::{LineCounts, LostBy};
pub use coverage::{
    Addresses, Attachment, Before, Coverage, Gap, HookCoverage, HookState, NodeEvents, Untold,
    any_of,
};
pub use source_end::SourceEnd;
pub use source_information::{FilterTexts, STREAM_VERSION, SourceInformation};
