//! Expectations as they stand in a file.

use jiff::civil::Date;
use toml::{Spanned, value::Datetime};

use super::{
    super::{
        PolicyError,
        error::unknown,
        file::{ExpectTable, Word},
    },
    Source,
};
use crate::{
    check::expectation::{Expectation, Expected, Matcher},
    rules::RuleSet,
};

impl Source<'_> {
    pub(super) fn expectations(
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
        let matcher = self.matcher(table)?;
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

    /// The findings that a table means.
    fn matcher(self, table: &Spanned<ExpectTable>) -> Result<Matcher, PolicyError> {
        let read = table.get_ref();
        let matcher = match (&read.fingerprint, &read.rule) {
            (Some(fingerprint), None) => {
                let others = [&read.device, &read.driver, &read.bus];
                if let Some(other) = others.into_iter().flatten().next() {
                    return Err(self.error(
                        other.span(),
                        "a fingerprint excludes device, driver and bus",
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
                "an expectation by rule needs a driver, device or bus; to switch a rule off, use [rules]",
            ));
        }
        Ok(matcher)
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
                                "{text:?} is not a fingerprint such as \"DR001/platform/pvpanic-mmio\""
                            ),
                        )
                    })?,
            ),
        };
        if id.is_some() && parts.clone().count() < 2 {
            return Err(self.error(
                word.span(),
                format!("{text:?} is not a complete fingerprint: it needs rule, bus and driver"),
            ));
        }
        Ok(Matcher::Fingerprint(text.clone()))
    }

    fn date(self, date: &Spanned<Datetime>) -> Result<Date, PolicyError> {
        let is_day = date.get_ref().time.is_none();
        is_day
            .then(|| date.get_ref().to_string().parse().ok())
            .flatten()
            .ok_or_else(|| {
                self.error(
                    date.span(),
                    "give a date such as 2026-12-31, without a time",
                )
            })
    }
}
