//! A line of the source that a frame of a stack is in.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;

/// A line of the source, as debug info has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SourceLine {
    /// The file: relative to the directory that it was built in, if it lies below that; else its whole path.
    pub file: Text,
    /// The line, from one.
    pub line: u32,
    /// The calls from that line on that the compiler has inlined, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlined: Vec<InlinedCall>,
}

/// A function that was inlined into its caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct InlinedCall {
    /// The function.
    pub function: Text,
    /// Its file.
    pub file: Text,
    /// The line in it.
    pub line: u32,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)?;
        let mut before = " (inlined ";
        for InlinedCall {
            function,
            file,
            line,
        } in &self.inlined
        {
            write!(formatter, "{before}{function} at {file}:{line}")?;
            before = ", ";
        }
        if !self.inlined.is_empty() {
            formatter.write_str(")")?;
        }
        Ok(())
    }
}
