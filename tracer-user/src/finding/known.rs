//! What is known of a fault beside what was observed: which upstream change fixed it, and which releases have that.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

/// A fault of the kernel that somebody has found before. It explains a finding, and decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The fault, in a few words.
    pub fault: &'static str,
    /// The changes that fixed it; empty where there are none yet.
    pub fixes: &'static [Fix],
    /// Which releases of Linus' tree have them.
    pub mainline: Mainline,
    /// The stable releases that have them, in words such as `6.1.53`.
    pub backports: &'static [&'static str],
    /// The stable series that do not, in words such as `6.12`.
    pub not_in: &'static [&'static str],
}

/// An upstream change. Of its commit and its subject one at least is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fix {
    /// The first twelve digits of its commit.
    pub commit: Option<&'static str>,
    /// Its subject, for some changes without what stands before the colon.
    pub subject: Option<&'static str>,
}

/// Which releases of Linus' tree have a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mainline {
    /// From this one on.
    From(&'static str),
    /// Not the first, and the second: those in between were not looked at.
    Between(&'static str, &'static str),
    /// Not looked at: only stable releases were.
    Untold,
    /// None, up to this one.
    NotYet(&'static str),
}

impl Known {
    /// What fixed it, for a sentence that begins with `known: `.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![self.changes()];
        if !self.backports.is_empty() {
            parts.push(format!("backported to {}", self.backports.join(", ")));
        }
        if !self.not_in.is_empty() {
            parts.push(format!("not backported to {}", self.not_in.join(", ")));
        }
        parts.join("; ")
    }

    fn changes(&self) -> String {
        let fixes: Vec<String> = self.fixes.iter().map(Fix::text).collect();
        let fixes = fixes.join(" and ");
        match self.mainline {
            Mainline::From(first) => format!("fixed by {fixes} in {first}"),
            Mainline::Between(without, with) => {
                format!("fixed by {fixes} after {without}, no later than {with}")
            }
            Mainline::Untold => format!("fixed by {fixes}"),
            Mainline::NotYet(last) => format!("not fixed as of {last}"),
        }
    }

    /// The first release of Linus' tree with the changes, where it is known exactly.
    const fn first(&self) -> Option<&'static str> {
        match self.mainline {
            Mainline::From(first) => Some(first),
            _ => None,
        }
    }
}

impl Fix {
    fn text(&self) -> String {
        match (self.commit, self.subject) {
            (Some(commit), Some(subject)) => format!("{commit} (\"{subject}\")"),
            (None, Some(subject)) => format!("\"{subject}\""),
            (commit, None) => commit.unwrap_or("?").to_owned(),
        }
    }
}

/// In its JSON form.
#[derive(Serialize, JsonSchema)]
struct KnownLine {
    fault: &'static str,
    fixes: &'static [Fix],
    first_release: Option<&'static str>,
    backports: &'static [&'static str],
    not_in: &'static [&'static str],
    text: String,
}

impl JsonSchema for Known {
    fn schema_name() -> Cow<'static, str> {
        "Known".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        KnownLine::json_schema(generator)
    }
}

impl Serialize for Known {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = KnownLine {
            fault: self.fault,
            fixes: self.fixes,
            first_release: self.first(),
            backports: self.backports,
            not_in: self.not_in,
            text: self.text(),
        };
        line.serialize(serializer)
    }
}
