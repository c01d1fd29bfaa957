//! What is fuzzed: for each target a function from any bytes to all that came of them, in words.
//!
//! The same functions serve libFuzzer (the workspace `fuzz`) and the bounded run in `tests/fuzz/main.rs`.

mod diff;
mod json_lines;
mod judge;
mod measure;
mod model;
mod policy;
mod script;
mod text;
mod trace_file;
mod wire;

use measure::used_by;

/// Something that takes bytes from outside.
pub(crate) struct Target {
    /// In one word: of its folder of seeds and of its program.
    pub(crate) name: &'static str,
    /// Reads an input. A panic is a fault, whatever the input is.
    run: fn(&[u8]) -> String,
    /// How long an input is, once it is unpacked.
    size: fn(&[u8]) -> usize,
    /// The most memory that may be held at once.
    held: Bound,
    /// The most memory that may be asked for in all. It stands for the work that is done: a clock would not do.
    asked_for: Bound,
}

/// What grows with the size of the input, and no faster.
struct Bound {
    base: usize,
    per_byte: usize,
}

impl Bound {
    const fn new(base: usize, per_byte: usize) -> Self {
        Self { base, per_byte }
    }

    fn of(&self, size: usize) -> usize {
        self.base + self.per_byte * size
    }
}

/// All of them.
pub(crate) static ALL: [Target; 8] = [
    trace_file::TARGET,
    text::TARGET,
    json_lines::TARGET,
    policy::POLICY,
    policy::EXPECTATIONS,
    wire::TARGET,
    model::TARGET,
    diff::TARGET,
];

impl Target {
    /// Reads an input twice: both times the same must come of it, and within the bounds. Tables that are made once, when
    /// they are first needed, are not what the input takes.
    pub(crate) fn check(&self, input: &[u8]) {
        let first = (self.run)(input);
        let (second, used) = used_by(|| (self.run)(input));
        assert_eq!(second, first, "the same input, another output");
        let size = (self.size)(input);
        for (what, bytes, bound) in [
            ("held", used.held, &self.held),
            ("asked for", used.asked_for, &self.asked_for),
        ] {
            let most = bound.of(size);
            assert!(
                bytes <= most,
                "{}: {bytes} bytes {what} for an input of {size}, {most} at most",
                self.name
            );
        }
    }
}
