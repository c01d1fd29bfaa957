//! From the file to a policy that can be applied, with everything wrong named by line and key.

mod assertions;
mod expectations;

use std::{ops::Range, time::Duration};

use toml::Spanned;
use tracer_ebpf::Hook;

use super::{
    Policy, PolicyError, Required, SHORTEST_RELEASE,
    error::unknown,
    file::{ExpectationsFile, Globs, PolicyFile, RequireTable, Word},
};
use crate::{
    check::{
        expectation::Expectation,
        level::{Level, Levels, Others},
        limits::Limits,
        selection::{InOut, Selection},
    },
    duration,
    filter::DeviceFilter,
    finding::Severity,
    glob::GlobList,
    rules::RuleSet,
};

/// The text that is being read, for errors.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a str,
    text: &'a str,
    lines: &'a LineStarts,
}

/// Where the lines of a text begin.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(ends.map(|(end, _)| end + 1).collect())
    }

    /// The number of the line at a place in the text, from 1 on.
    fn number(&self, place: usize) -> usize {
        self.0.partition_point(|start| *start <= place) + 1
    }
}

/// Reads a policy.
pub(super) fn policy(file: &str, text: &str) -> Result<Policy, PolicyError> {
    let lines = &LineStarts::of(text);
    let source = Source { file, text, lines };
    let read: PolicyFile =
        toml::from_str(text).map_err(|error| PolicyError::from_toml(file, text, &error))?;
    let limits = Limits {
        resources_per_device: read.limits.resources_per_device,
        growth_per_rebind: read.limits.growth_per_rebind,
        slow_release: read
            .limits
            .slow_release
            .as_ref()
            .map(|word| source.duration(word))
            .transpose()?,
    };
    let mut levels = source.levels(&read)?;
    if limits.slow_release.is_some() {
        levels.set_if_unnamed("DR019", Level::Fail);
    }
    let mut sources = Vec::new();
    for (driver, path) in &read.sources {
        sources.push((source.glob(driver)?, path.clone()));
    }
    Ok(Policy {
        fail_on: read
            .fail_on
            .as_ref()
            .map_or(Ok(Severity::Error), |word| source.severity(word))?,
        levels,
        selection: Selection {
            devices: source.in_out(&read.devices)?,
            drivers: source.in_out(&read.drivers)?,
            buses: source.in_out(&read.buses)?,
        },
        filter: DeviceFilter::default(),
        limits,
        required: source.required(&read.require)?,
        sources,
        expectations: source.expectations(&read.expect)?,
        assertions: source.assertions(&read.assert)?,
    })
}

/// Reads a file of expectations.
pub(super) fn expectations(file: &str, text: &str) -> Result<Vec<Expectation>, PolicyError> {
    let read: ExpectationsFile =
        toml::from_str(text).map_err(|error| PolicyError::from_toml(file, text, &error))?;
    let lines = &LineStarts::of(text);
    Source { file, text, lines }.expectations(&read.expect)
}

impl Source<'_> {
    fn error(self, span: Range<usize>, message: impl Into<String>) -> PolicyError {
        PolicyError::at(self.file, self.text, span, message.into())
    }

    fn severity(self, word: &Word) -> Result<Severity, PolicyError> {
        Severity::from_name(word.get_ref()).ok_or_else(|| {
            let known = ["info", "warn", "error"];
            self.error(word.span(), unknown("severity", word.get_ref(), known))
        })
    }

    fn duration(self, word: &Word) -> Result<Duration, PolicyError> {
        let duration = duration::parse(word.get_ref()).map_err(|error| {
            let text = word.get_ref();
            self.error(word.span(), format!("{text:?}: {error}"))
        })?;
        if duration < SHORTEST_RELEASE {
            return Err(self.error(word.span(), "the minimum is 1us"));
        }
        Ok(duration)
    }

    fn glob(self, word: &Word) -> Result<GlobList, PolicyError> {
        GlobList::new(&[word.get_ref()]).map_err(|error| self.error(word.span(), error.to_string()))
    }

    fn in_out(self, globs: &Globs) -> Result<InOut, PolicyError> {
        // One by one, so that an error names the glob.
        for word in globs.include.iter().chain(&globs.exclude) {
            self.glob(word)?;
        }
        let texts = |words: &[Word]| words.iter().map(|word| word.get_ref().clone()).collect();
        let (include, exclude): (Vec<_>, Vec<_>) = (texts(&globs.include), texts(&globs.exclude));
        InOut::new(&include, &exclude).map_err(|error| {
            let span = globs.include.first().or(globs.exclude.first());
            self.error(span.map_or(0..0, Spanned::span), error.to_string())
        })
    }

    fn rule(self, word: &Word) -> Result<&'static str, PolicyError> {
        let all = RuleSet::all();
        all.find(word.get_ref()).map(|info| info.id).ok_or_else(|| {
            let known: Vec<&str> = all.infos().flat_map(|info| [info.id, info.name]).collect();
            self.error(
                word.span(),
                unknown("rule", word.get_ref(), known.iter().copied())
                    .replace("; known:", "; `devres-tracer rules` lists them:"),
            )
        })
    }

    fn levels(self, read: &PolicyFile) -> Result<Levels, PolicyError> {
        let mut named: Vec<(&'static str, Level)> = Vec::new();
        let mut others = Others::default();
        for (name, word) in &read.rules {
            if name.get_ref() == "others" {
                others = Others::from_name(word.get_ref()).ok_or_else(|| {
                    self.error(
                        word.span(),
                        unknown("choice", word.get_ref(), Others::NAMES),
                    )
                })?;
                continue;
            }
            let id = self.rule(name)?;
            let level = Level::from_name(word.get_ref()).ok_or_else(|| {
                self.error(word.span(), unknown("level", word.get_ref(), Level::NAMES))
            })?;
            if named.iter().any(|(known, _)| *known == id) {
                return Err(self.error(name.span(), format!("{id} is given two levels")));
            }
            named.push((id, level));
        }
        Ok(Levels::new(named, others))
    }

    fn required(self, read: &RequireTable) -> Result<Required, PolicyError> {
        let mut hooks = Vec::new();
        for word in &read.hooks {
            let known = Hook::ALL.into_iter();
            let hook = known.clone().find(|hook| hook.symbol() == word.get_ref());
            hooks.push(hook.ok_or_else(|| {
                let symbols: Vec<&str> = known.map(Hook::symbol).collect();
                self.error(
                    word.span(),
                    unknown("hook", word.get_ref(), symbols.iter().copied()),
                )
            })?);
        }
        let mut rules = Vec::new();
        for word in &read.rules {
            rules.push(self.rule(word)?);
        }
        let mut drivers = Vec::new();
        for word in &read.drivers {
            drivers.push((word.get_ref().clone(), self.glob(word)?));
        }
        Ok(Required {
            hooks,
            rules,
            drivers,
            snapshot: read.snapshot,
            stacks: read.stacks,
            expectations: read.expectations,
        })
    }

    fn selection(
        self,
        device: Option<&Word>,
        driver: Option<&Word>,
        bus: Option<&Word>,
    ) -> Result<Selection, PolicyError> {
        for word in [device, driver, bus].into_iter().flatten() {
            self.glob(word)?;
        }
        let text = |word: Option<&Word>| word.map(|word| word.get_ref().clone());
        let (on_device, on_driver, on_bus) = (text(device), text(driver), text(bus));
        Selection::only(
            on_device.as_deref(),
            on_driver.as_deref(),
            on_bus.as_deref(),
        )
        .map_err(|error| self.error(0..0, error.to_string()))
    }

    /// File and line, for messages.
    fn place(self, span: Range<usize>) -> String {
        format!("{}:{}", self.file, self.lines.number(span.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_errors_count_them() {
        for text in ["", "a", "a\n", "\n\nab\ncd\n\n"] {
            let lines = LineStarts::of(text);
            for place in 0..=text.len() {
                let (line, _) = super::super::error::line_and_column(text, place);
                assert_eq!(lines.number(place), line, "{text:?} at {place}");
            }
        }
    }
}
