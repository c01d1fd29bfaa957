//! Globs that people write, on the command line and in policies.
//!
//! A glob becomes a regular expression, which has limits of its own: how deep it nests, how large it may become. All
//! globs are compiled here, so that one beyond them is an error that says so.

use std::fmt;

use globset::{Glob, GlobSet, GlobSetBuilder};

/// The longest glob, in bytes. Names in the kernel are far shorter.
const LONGEST: usize = 1024;
/// How deep `{a,{b,c}}` may nest.
const DEEPEST: usize = 16;

/// A glob that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{glob:?} is not a glob: {reason}")]
pub struct BadGlob {
    glob: String,
    reason: String,
}

/// Globs of which one must match.
#[derive(Debug, Clone, Default)]
pub struct GlobList(GlobSet);

impl GlobList {
    /// A list of these globs; an empty one matches nothing.
    pub fn new<Text: AsRef<str>>(globs: &[Text]) -> Result<Self, BadGlob> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(parse(glob.as_ref())?);
        }
        let set = set.build().map_err(|error| {
            // The error names a glob only if there is no more than one.
            let all: Vec<&str> = globs.iter().map(AsRef::as_ref).collect();
            bad(&all.join(","), error.kind())
        })?;
        Ok(Self(set))
    }

    /// Whether one of them matches this name.
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

fn parse(text: &str) -> Result<Glob, BadGlob> {
    if text.len() > LONGEST {
        let start: String = text.chars().take(40).collect();
        return Err(bad(
            &format!("{start}…"),
            &format_args!("it has {} bytes, and {LONGEST} are the most", text.len()),
        ));
    }
    if depth(text) > DEEPEST {
        return Err(bad(
            text,
            &format_args!("{{…}} nests more than {DEEPEST} levels deep"),
        ));
    }
    Glob::new(text).map_err(|error| bad(text, error.kind()))
}

fn bad(glob: &str, reason: &dyn fmt::Display) -> BadGlob {
    BadGlob {
        glob: glob.to_owned(),
        reason: reason.to_string(),
    }
}

/// How deep the braces nest. Escaped ones count as well: nobody needs that many.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}b{}", "{a,".repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn what_is_beyond_the_limits_is_an_error() {
        for glob in [
            nested(DEEPEST + 1),
            nested(125),
            nested(300),
            "{".repeat(100_000),
            "a".repeat(LONGEST + 1),
            "[a".to_owned(),
        ] {
            let error = GlobList::new(&[glob.as_str()]).unwrap_err().to_string();
            assert!(error.contains("is not a glob: "), "{error}");
            assert!(error.len() < 2 * LONGEST, "{} bytes", error.len());
        }
    }

    #[test]
    fn what_is_within_the_limits_matches() {
        let deep = GlobList::new(&[nested(DEEPEST)]).unwrap();
        assert!(deep.is_match("a") && deep.is_match("b") && !deep.is_match("c"));
        let long = "?".repeat(LONGEST);
        assert!(
            GlobList::new(&[long])
                .unwrap()
                .is_match(&"x".repeat(LONGEST))
        );
        assert!(!GlobList::default().is_match(""));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r"[\[\]{},*?!\\a\-]{0,80}") {
            if let Ok(list) = GlobList::new(&[text.as_str()]) {
                let _ = list.is_match("a-a");
            }
        }
    }
}
