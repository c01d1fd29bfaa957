//! Where events come from.

pub mod dead_kernel;
mod encoding;
pub mod lines;
pub mod live;
mod packed;
pub mod recording;
pub mod redaction;
pub mod running;
pub mod text;
pub mod tracefs;

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
