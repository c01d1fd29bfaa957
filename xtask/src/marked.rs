//! Places of a document that a task writes: each stands between two lines that say which task.

use anyhow::{Result, ensure};

/// Where what was measured is shown.
pub(crate) const PERFORMANCE: &str = "docs/performance.md";

/// A place, with the line before it and the one behind it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    begin: &'static str,
    end: &'static str,
}

impl Place {
    /// What tracing costs.
    pub(crate) const COMPARED: Self = Self {
        begin: "<!-- compared: written by cargo xtask compare -->\n",
        end: "<!-- end of what was compared -->\n",
    };
    /// What reading costs.
    pub(crate) const OFFLINE: Self = Self {
        begin: "<!-- read: written by cargo xtask compare --offline -->\n",
        end: "<!-- end of what was read -->\n",
    };
    /// Which goals are met.
    pub(crate) const GOALS: Self = Self {
        begin: "<!-- goals: written by cargo xtask goals -->\n",
        end: "<!-- end of the goals -->\n",
    };
    /// What the commands take on recordings of many sizes.
    pub(crate) const SIZES: Self = Self {
        begin: "<!-- sizes: written by cargo xtask goals -->\n",
        end: "<!-- end of the sizes -->\n",
    };

    /// What stands there.
    pub(crate) fn read(self, document: &str) -> Result<&str> {
        Ok(self.divide(document)?.1)
    }

    /// Puts the tables where the last ones stand.
    pub(crate) fn replace(self, document: &str, tables: &str) -> Result<String> {
        let Self { begin, end } = self;
        let (before, _, after) = self.divide(document)?;
        Ok(format!("{before}{begin}\n{tables}\n{end}{after}"))
    }

    fn divide(self, document: &str) -> Result<(&str, &str, &str)> {
        let parts = document
            .split_once(self.begin)
            .and_then(|(before, rest)| Some((before, rest.split_once(self.end)?)));
        ensure!(parts.is_some(), "the document has no place for the tables");
        let (before, (inside, after)) = parts.unwrap_or_default();
        Ok((before, inside, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_the_place_of_the_last_ones() {
        let place = Place::COMPARED;
        let Place { begin, end } = place;
        let document = format!("before\n{begin}old\n{end}after\n");
        assert_eq!(place.read(&document).unwrap(), "old\n");
        let replaced = place.replace(&document, "new\n").unwrap();
        assert_eq!(replaced, format!("before\n{begin}\nnew\n\n{end}after\n"));
        assert!(Place::OFFLINE.replace(&document, "new").is_err());
    }
}
