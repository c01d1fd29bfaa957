//! From the file to a policy that can be applied, with everything wrong named by line and key.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use globset::{Glob, GlobMatcher};
use toml::{Spanned, value::Datetime};
use tracer_ebpf::Hook;

use super::{
    Policy, PolicyError, Required, SHORTEST_RELEASE,
    error::{line_and_column, unknown},
    file::{AssertTable, ExpectTable, ExpectationsFile, Globs, PolicyFile, RequireTable, Word},
};
use crate::{
    check::{
        assertion::{Assertion, Requirement},
        date::Date,
        expectation::{Expectation, Expected, Matcher},
        level::{Level, Levels, Others},
        limits::Limits,
        selection::{InOut, Selection},
    },
    filter::DeviceFilter,
    finding::Severity,
    rules::RuleSet,
};

/// The text that is being read, for errors.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

/// Reads a policy.
pub(super) fn policy(file: &str, text: &str) -> Result<Policy, PolicyError> {
    let source = Source { file, text };
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
    Source { file, text }.expectations(&read.expect)
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
        let duration = humantime::parse_duration(word.get_ref()).map_err(|error| {
            let text = word.get_ref();
            self.error(
                word.span(),
                format!("{text:?} is not a time such as \"100ms\": {error}"),
            )
        })?;
        if duration < SHORTEST_RELEASE {
            return Err(self.error(word.span(), "the shortest limit is 1us"));
        }
        Ok(duration)
    }

    fn glob(self, word: &Word) -> Result<GlobMatcher, PolicyError> {
        Glob::new(word.get_ref())
            .map(|glob| glob.compile_matcher())
            .map_err(|error| self.bad_glob(word, &error))
    }

    fn bad_glob(self, word: &Word, error: &globset::Error) -> PolicyError {
        let message = format!("{:?} is not a glob: {}", word.get_ref(), error.kind());
        self.error(word.span(), message)
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
                    .replace("; known are", "; `devres-tracer rules` lists them:"),
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
                return Err(self.error(name.span(), format!("{id} has two levels")));
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

    fn expectations(
        self,
        tables: &[Spanned<ExpectTable>],
    ) -> Result<Vec<Expectation>, PolicyError> {
        tables.iter().map(|table| self.expectation(table)).collect()
    }

    fn expectation(self, table: &Spanned<ExpectTable>) -> Result<Expectation, PolicyError> {
        let read = table.get_ref();
        let outcome = match &read.outcome {
            None => Expected::Fail,
            Some(word) => Expected::from_name(word.get_ref()).ok_or_else(|| {
                self.error(
                    word.span(),
                    unknown("outcome", word.get_ref(), Expected::NAMES),
                )
            })?,
        };
        let matcher = match (&read.fingerprint, &read.rule) {
            (Some(fingerprint), None) => {
                let others = [&read.device, &read.driver, &read.bus];
                if let Some(other) = others.into_iter().flatten().next() {
                    return Err(self.error(
                        other.span(),
                        "a fingerprint says all: it goes without device, driver and bus",
                    ));
                }
                self.fingerprint(fingerprint)?
            }
            (None, Some(rule)) => Matcher::Rule {
                rule: self.rule(rule)?,
                selection: self.selection(
                    read.device.as_ref(),
                    read.driver.as_ref(),
                    read.bus.as_ref(),
                )?,
            },
            (Some(_), Some(rule)) => {
                return Err(
                    self.error(rule.span(), "give either a fingerprint or a rule, not both")
                );
            }
            (None, None) => {
                return Err(self.error(
                    table.span(),
                    "an expectation needs a fingerprint, or a rule with a driver, device or bus",
                ));
            }
        };
        if read.rule.is_some()
            && read.device.is_none()
            && read.driver.is_none()
            && read.bus.is_none()
        {
            return Err(self.error(
                table.span(),
                "an expectation by rule needs a driver, device or bus: to switch a rule off, use [rules]",
            ));
        }
        let reason = match &read.reason {
            Some(word) if !word.get_ref().trim().is_empty() => word.get_ref().clone(),
            Some(word) => return Err(self.error(word.span(), "the reason is empty")),
            None => {
                return Err(self.error(table.span(), "an expectation needs a reason"));
            }
        };
        Ok(Expectation {
            place: self.place(table.span()),
            matcher,
            outcome,
            reason,
            until: read
                .until
                .as_ref()
                .map(|date| self.date(date))
                .transpose()?,
        })
    }

    fn fingerprint(self, word: &Word) -> Result<Matcher, PolicyError> {
        let text = word.get_ref();
        let mut parts = text.split('/');
        let first = parts.next().unwrap_or_default();
        let id = match first {
            "assert" | "limit" | "exercise" if parts.next().is_some_and(|part| !part.is_empty()) => {
                None
            }
            _ => Some(
                RuleSet::all()
                    .infos()
                    .map(|info| info.id)
                    .find(|id| *id == first)
                    .ok_or_else(|| {
                        self.error(
                            word.span(),
                            format!(
                                "{text:?} is no fingerprint: they look like \"DR001/platform/pvpanic-mmio\""
                            ),
                        )
                    })?,
            ),
        };
        if id.is_some() && parts.clone().count() < 2 {
            return Err(self.error(
                word.span(),
                format!("{text:?} is no whole fingerprint: rule, bus and driver are needed"),
            ));
        }
        Ok(Matcher::Fingerprint(text.clone()))
    }

    fn date(self, date: &Spanned<Datetime>) -> Result<Date, PolicyError> {
        match date.get_ref() {
            Datetime {
                date: Some(date),
                time: None,
                offset: None,
            } => Ok(Date {
                year: date.year,
                month: date.month,
                day: date.day,
            }),
            _ => Err(self.error(
                date.span(),
                "the last day is a day such as 2026-12-31, without a time",
            )),
        }
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

    fn assertions(self, tables: &[Spanned<AssertTable>]) -> Result<Vec<Assertion>, PolicyError> {
        let mut assertions = Vec::new();
        let mut names = BTreeSet::new();
        for table in tables {
            for assertion in self.assertion(table)? {
                if !names.insert(assertion.name.clone()) {
                    let message = format!(
                        "there are two assertions {:?}: give one a name of its own",
                        assertion.name
                    );
                    return Err(self.error(table.span(), message));
                }
                assertions.push(assertion);
            }
        }
        Ok(assertions)
    }

    /// One table may ask for several things, each of which is an assertion.
    fn assertion(self, table: &Spanned<AssertTable>) -> Result<Vec<Assertion>, PolicyError> {
        let read = table.get_ref();
        let subject = [&read.driver, &read.device, &read.bus]
            .into_iter()
            .flatten()
            .next()
            .ok_or_else(|| {
                self.error(table.span(), "an assertion needs a driver, device or bus")
            })?;
        let selection = self.selection(
            read.device.as_ref(),
            read.driver.as_ref(),
            read.bus.as_ref(),
        )?;
        let mut requirements: Vec<(&str, Requirement)> = Vec::new();
        for (key, value, requirement) in [
            (
                "nothing-left-after-unbind",
                &read.nothing_left_after_unbind,
                Requirement::NothingLeft,
            ),
            (
                "released-before-pm-detach",
                &read.released_before_pm_detach,
                Requirement::BeforePmDetach,
            ),
        ] {
            match value {
                Some(value) if *value.get_ref() => requirements.push((key, requirement)),
                Some(value) => {
                    let message = "only true makes sense: leave the key out otherwise";
                    return Err(self.error(value.span(), message));
                }
                None => {}
            }
        }
        if let Some(words) = &read.released_in_order {
            if words.len() < 2 {
                let span = words.first().map_or(table.span(), Spanned::span);
                return Err(self.error(span, "an order needs at least two resources"));
            }
            let mut order = Vec::new();
            for word in words {
                order.push((word.get_ref().clone(), self.glob(word)?));
            }
            requirements.push(("released-in-order", Requirement::InOrder(order)));
        }
        if let Some(times) = &read.same_stack_on_rebind {
            if *times.get_ref() == 0 {
                return Err(self.error(times.span(), "at least one rebind is needed"));
            }
            let requirement = Requirement::SameStack(*times.get_ref());
            requirements.push(("same-stack-on-rebind", requirement));
        }
        if let Some(most) = read.most_resources {
            requirements.push(("most-resources", Requirement::MostResources(most)));
        }
        if requirements.is_empty() {
            return Err(self.error(table.span(), "this assertion asserts nothing"));
        }
        let place = self.place(table.span());
        let several = requirements.len() > 1;
        Ok(requirements
            .into_iter()
            .map(|(key, requirement)| Assertion {
                name: match &read.name {
                    Some(name) if several => format!("{}: {key}", name.get_ref()),
                    Some(name) => name.get_ref().clone(),
                    None => format!("{}: {key}", subject.get_ref()),
                },
                place: place.clone(),
                selection: selection.clone(),
                optional: read.optional,
                requirement,
            })
            .collect())
    }

    /// File and line, for messages.
    fn place(self, span: Range<usize>) -> String {
        format!("{}:{}", self.file, line_and_column(self.text, span.start).0)
    }
}
