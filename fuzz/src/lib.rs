//! The targets of `tests/fuzz`, for libFuzzer.

#[path = "../../tracer-user/tests/support/any_text.rs"]
mod any_text;
#[path = "../../tracer-user/tests/support/mod.rs"]
mod support;
#[path = "../../tracer-user/tests/fuzz/targets/mod.rs"]
mod targets;

/// Lets the target of this name read an input.
pub fn check(name: &str, input: &[u8]) {
    for target in targets::ALL.iter().filter(|target| target.name == name) {
        target.check(input);
    }
}
