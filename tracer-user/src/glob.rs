//! Globs that people write, on the command line and in policies: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, and `\` before a
//! character that means itself.
//!
//! A glob becomes a regular expression, which has limits of its own: how deep it nests, how large it may become. All
//! globs are compiled here, so that one beyond them is an error that says so.

use std::{fmt, fmt::Write as _, iter::Peekable, str::Chars};

use regex_lite::Regex;

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
pub struct GlobList(Vec<Regex>);

impl GlobList {
    /// A list of these globs; an empty one matches nothing.
    pub fn new<Text: AsRef<str>>(globs: &[Text]) -> Result<Self, BadGlob> {
        let globs = globs.iter().map(|glob| compile(glob.as_ref()));
        Ok(Self(globs.collect::<Result<_, _>>()?))
    }

    /// Whether one of them matches this name.
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        self.0.iter().any(|glob| glob.is_match(name))
    }
}

fn compile(text: &str) -> Result<Regex, BadGlob> {
    if text.len() > LONGEST {
        let start: String = text.chars().take(40).collect();
        return Err(bad(
            &format!("{start}…"),
            &format_args!("it has {} bytes, and {LONGEST} are the most", text.len()),
        ));
    }
    let regex = Translation::of(text).map_err(|reason| bad(text, &reason))?;
    Regex::new(&regex).map_err(|error| bad(text, &error))
}

fn bad(glob: &str, reason: &dyn fmt::Display) -> BadGlob {
    BadGlob {
        glob: glob.to_owned(),
        reason: reason.to_string(),
    }
}

/// What is wrong with a glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("unclosed character class; missing ']'")]
    OpenClass,
    #[error("invalid range; {0:?} > {1:?}")]
    Range(char, char),
    #[error("unclosed alternate group; missing '}}' (maybe escape '{{' with '[{{]'?)")]
    OpenGroup,
    #[error("unopened alternate group; missing '{{' (maybe escape '}}' with '[}}]'?)")]
    NoGroup,
    #[error("{{…}} nests more than {DEEPEST} levels deep")]
    Depth,
    #[error("dangling '\\'")]
    Escape,
}

/// A glob on its way to a regular expression.
struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    regex: String,
}

impl<'a> Translation<'a> {
    /// The regular expression for a glob.
    fn of(glob: &'a str) -> Result<String, Fault> {
        let mut translation = Self {
            rest: glob.chars().peekable(),
            regex: "(?s)^".to_owned(),
        };
        translation.translate()?;
        translation.regex.push('$');
        Ok(translation.regex)
    }

    fn translate(&mut self) -> Result<(), Fault> {
        let mut depth = 0;
        while let Some(next) = self.rest.next() {
            match next {
                '?' => self.regex.push('.'),
                '*' => {
                    while self.rest.next_if_eq(&'*').is_some() {}
                    self.regex.push_str(".*");
                }
                '[' => self.class()?,
                '{' if depth == DEEPEST => return Err(Fault::Depth),
                '{' => {
                    depth += 1;
                    self.regex.push_str("(?:");
                }
                '}' => {
                    depth = depth.checked_sub(1).ok_or(Fault::NoGroup)?;
                    self.regex.push(')');
                }
                ',' if depth > 0 => self.regex.push('|'),
                '\\' => {
                    let escaped = self.rest.next().ok_or(Fault::Escape)?;
                    self.literal(escaped);
                }
                other => self.literal(other),
            }
        }
        if depth > 0 {
            return Err(Fault::OpenGroup);
        }
        Ok(())
    }

    /// The characters after `[`, up to the end of the class. `]` is one of them if it comes first.
    fn class(&mut self) -> Result<(), Fault> {
        self.regex.push('[');
        if self
            .rest
            .next_if(|&next| next == '!' || next == '^')
            .is_some()
        {
            self.regex.push('^');
        }
        let mut is_first = true;
        loop {
            let first = self.rest.next().ok_or(Fault::OpenClass)?;
            if first == ']' && !is_first {
                break;
            }
            is_first = false;
            self.literal(first);
            // A hyphen before the end means itself.
            let mut ahead = self.rest.clone();
            if ahead.next_if_eq(&'-').is_some()
                && let Some(last) = ahead.next_if(|&next| next != ']')
            {
                if last < first {
                    return Err(Fault::Range(first, last));
                }
                self.rest = ahead;
                self.regex.push('-');
                self.literal(last);
            }
        }
        self.regex.push(']');
        Ok(())
    }

    /// A character that means itself, in a class as well.
    fn literal(&mut self, character: char) {
        if character.is_alphanumeric() {
            self.regex.push(character);
        } else {
            // Writing to a string can't fail.
            let _ = write!(self.regex, "\\x{{{:X}}}", u32::from(character));
        }
    }
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

    #[test]
    fn each_part_of_a_glob_matches_what_it_says() {
        for (glob, matching, other) in [
            ("i2c-*", "i2c-", "i2c"),
            ("**:00.?", "0000:00:1f:00.3", "0000:00:1f:00."),
            ("a.c", "a.c", "abc"),
            ("usb{,-storage}", "usb", "usb-"),
            ("{a,b{c,d}}1", "bd1", "b1"),
            ("[0-9a-f]?", "f*", "g*"),
            ("[!0-9]", "x", "7"),
            ("[]^-]", "-", "a"),
            ("[^]]", "[", "]"),
            (r"\*,\{", "*,{", "a,{"),
            ("a,b", "a,b", "a"),
            ("x(y|z)+$", "x(y|z)+$", "xy"),
            ("*", "two\nlines", ""),
        ] {
            let list = GlobList::new(&[glob]).unwrap();
            assert!(list.is_match(matching), "{glob} {matching}");
            assert!(other.is_empty() || !list.is_match(other), "{glob} {other}");
        }
        for glob in ["[", "[!]", "[b-a]", "{a", "a}", "a\\"] {
            assert!(GlobList::new(&[glob]).is_err(), "{glob}");
        }
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
