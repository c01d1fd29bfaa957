//! What stands in lines that say something, beside events: most lines contain none of it.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{
    record::{
        by_fields, call_chain, death, failed_probe, function_tracer, loss, message, splat,
        trace_line,
    },
    scan::automaton,
};

/// One search for all of it, made once.
pub(super) static ANYTHING: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| automaton(words(true)));

/// The same without what reports a machine's death.
pub(super) static EVENTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| automaton(words(false)));

/// All words that report a loss or a message, and deaths if these are wanted.
pub(super) fn words(deaths: bool) -> impl Iterator<Item = &'static [u8]> {
    let words = loss::WORDS
        .into_iter()
        .chain(message::WORDS)
        .chain(splat::telling())
        .chain(function_tracer::WORDS)
        .chain(by_fields::WORDS)
        .chain([failed_probe::WORDS, call_chain::BEGINNING, trace_line::BARE]);
    words
        .chain(death::words().filter(move |_| deaths))
        .map(str::as_bytes)
}
