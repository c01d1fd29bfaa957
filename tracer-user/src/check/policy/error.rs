//! What is wrong with a policy, and where.

use std::{fmt, ops::Range};

use crate::escape::Escaped;

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    file: String,
    /// From 1 on; `None` where it is about the whole file.
    line: Option<(usize, usize)>,
    /// The table and key, such as `[limits] slow-release`.
    key: String,
    message: String,
}

impl PolicyError {
    /// Something at a place in the text.
    pub(super) fn at(file: &str, text: &str, span: Range<usize>, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line_and_column(text, span.start)),
            key: key_at(text, span.start),
            message,
        }
    }

    /// What the TOML parser or serde says.
    pub(super) fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let message = with_nearest(error.message());
        match error.span() {
            Some(span) => Self::at(file, text, span, message),
            None => Self {
                file: file.to_owned(),
                line: None,
                key: String::new(),
                message,
            },
        }
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Escaped(&self.file))?;
        if let Some((line, column)) = self.line {
            write!(formatter, ":{line}:{column}")?;
        }
        formatter.write_str(": ")?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", Escaped(&self.key))?;
        }
        write!(formatter, "{}", Escaped(&self.message))
    }
}

/// Of names, the one that was meant, if it looks like one of them.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Less similar than this is another word.
    const SIMILAR: f64 = 0.7;
    known
        .into_iter()
        .map(|candidate| {
            let similarity = strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
            (similarity, candidate)
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        // Of those that are alike the first.
        .reduce(|best, other| if other.0 > best.0 { other } else { best })
        .map(|(_, candidate)| candidate)
}

/// That a name is not known, with the one that may have been meant.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(meant) = nearest(name, known.clone()) {
        return format!("unknown {what} {name:?}; did you mean {meant:?}?");
    }
    let all: Vec<&str> = known.into_iter().collect();
    format!("unknown {what} {name:?}; known: {}", all.join(", "))
}

/// serde's message on an unknown key, with the key that may have been meant instead of all there are.
fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown field `"), quoted.next()) {
        (true, Some(name)) => {
            let known: Vec<&str> = quoted.collect();
            match nearest(name, known.iter().copied()) {
                Some(meant) => format!("unknown key `{name}`; did you mean `{meant}`?"),
                None => {
                    format!("unknown key `{name}`; known: {}", known.join(", "))
                }
            }
        }
        _ => message.trim().replace('\n', "; "),
    }
}

/// Line and column, both from 1 on, of a place in a text.
pub(super) fn line_and_column(text: &str, place: usize) -> (usize, usize) {
    let before = text.get(..place).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    (line, column)
}

/// The table and key to which a place in a text belongs, as far as its lines show.
fn key_at(text: &str, place: usize) -> String {
    let end = text
        .get(place..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |length| place + length);
    let until_here: Vec<&str> = text.get(..end).unwrap_or(text).lines().collect();
    let table = until_here
        .iter()
        .rposition(|line| line.trim_start().starts_with('['));
    let header = table
        .and_then(|index| until_here.get(index))
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .unwrap_or_default();
    let key = until_here
        .iter()
        .enumerate()
        .skip(table.map_or(0, |index| index + 1))
        .filter_map(|(_, line)| line.split_once('='))
        .map(|(key, _)| key.trim())
        .rfind(|key| {
            !key.is_empty()
                && !key.starts_with('#')
                && key
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "-_.\"*?".contains(letter))
        })
        .unwrap_or_default();
    [header, key]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
