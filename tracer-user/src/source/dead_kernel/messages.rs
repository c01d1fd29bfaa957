//! What a tracer has kept of what was under way, in pstore's messages.

use memchr::memmem;

/// The last line of a trace that did not end with the machine.
pub const END: &str = "devres-tracer: the trace has ended";

/// Whether messages of a boot before hold events of a trace that did not end by itself.
#[must_use]
pub fn tell_of_a_crash(content: &[u8]) -> bool {
    let last = memmem::rfind(content, b"devres_log: ").max(memmem::rfind(content, b"_0: ("));
    last.is_some_and(|last| memmem::rfind(content, END.as_bytes()).is_none_or(|end| end < last))
}
