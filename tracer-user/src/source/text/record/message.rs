//! What messages of the kernel tell of devres without telling of a node.

use memchr::memmem;

use super::{
    kernel_log::Who,
    refusal::{self, REFUSED},
};
use crate::source::text::envelope::prefix::Prefix;

/// What such messages contain, or what is left of them in a line that was wrapped.
pub(in crate::source::text) const WORDS: [&str; 2] = [REFUSED, refusal::BEGINNING];

/// The file of which every report is an event, whatever its stack.
pub(in crate::source::text) const SOURCE: &str = "drivers/base/devres.c:";

/// `really_probe()` refused to probe a device that already owned resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Refused<'a> {
    pub(in crate::source::text) prefix: Prefix,
    /// The device.
    pub(in crate::source::text) who: Who<'a>,
}

/// Reads a line, if it says that a probe was refused.
pub(in crate::source::text) fn read(line: &[u8]) -> Option<Refused<'_>> {
    memmem::find(line, REFUSED.as_bytes())?;
    let (prefix, who) = refusal::read(line)?;
    Some(Refused { prefix, who })
}

/// Whether a line has all that tells of a message, or of a report from drivers/base/devres.c.
pub(in crate::source::text) fn is_whole(line: &[u8]) -> bool {
    [REFUSED, SOURCE]
        .iter()
        .any(|words| memmem::find(line, words.as_bytes()).is_some())
}
