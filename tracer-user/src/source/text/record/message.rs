//! What messages of the kernel say about devres without reporting a node.

use memchr::memmem;

/// The message.
pub(in crate::source::text) const REFUSED: &str = "Resources present before probing";

/// What stands in the line that it begins in, however it was wrapped.
pub(in crate::source::text) const BEGINNING: &str = ": Resources";

/// What such messages contain, or what is left of them in a line that was wrapped.
pub(in crate::source::text) const WORDS: [&str; 2] = [REFUSED, BEGINNING];

/// The file of which every report is an event, whatever its stack.
pub(in crate::source::text) const SOURCE: &str = "drivers/base/devres.c:";

/// The line of drivers/base/devres.c that a place in the source is, wherever the kernel was built.
pub(in crate::source::text) fn line_of_source(place: &str) -> Option<&str> {
    let (before, line) = place.split_once(SOURCE)?;
    (before.is_empty() || before.ends_with('/')).then_some(line)
}

/// Whether a line has all that a message has, or of a report from drivers/base/devres.c.
pub(in crate::source::text) fn is_whole(line: &[u8]) -> bool {
    [REFUSED, SOURCE]
        .iter()
        .any(|words| memmem::find(line, words.as_bytes()).is_some())
}
