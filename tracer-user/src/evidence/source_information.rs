//! What a recording or a stream says about its source.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Coverage;
use crate::escape::Escaped;

/// The version of the lines that `--json` writes. It counts up when a member changes its meaning or goes; not when one is
/// added.
pub const STREAM_VERSION: u32 = 1;

/// What the first line of a stream says about its source.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, Deserialize)]
#[serde(tag = "type", rename = "source")]
pub struct SourceInformation {
    /// The version of the tool that saw the events.
    pub tool: String,
    /// The kernel's release, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The machine's architecture, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What could be seen.
    pub coverage: Coverage,
    /// Which devices were chosen: those that each of these wants. Empty if none were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterTexts>,
}

/// The globs of a filter as they were given: what a recording says of the devices that were chosen for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub struct FilterTexts {
    /// Over the device's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device: Vec<String>,
    /// Over its driver's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub driver: Vec<String>,
    /// Over its bus's or class's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bus: Vec<String>,
}

impl fmt::Display for FilterTexts {
    /// As the options of the command line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("--device", &self.device),
            ("--driver", &self.driver),
            ("--bus", &self.bus),
        ];
        let mut separator = "";
        for (option, globs) in lists {
            for glob in globs {
                write!(formatter, "{separator}{option} {}", Escaped(glob))?;
                separator = " ";
            }
        }
        Ok(())
    }
}
