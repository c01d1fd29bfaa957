//! Probes in which something was made to fail: what became of each, and the test that they come to.

use std::collections::BTreeMap;

use super::{
    binding::{Bound, Ended},
    exercise::{Attempt, FailWay, FailedProbes},
    results::{Status, Test},
    stack::{Entry, list},
};
use crate::escape::Escaped;

const NAME: &str = "failed probes";

/// What was seen of the attempts, by their numbers from 1 on.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    bound: Vec<(usize, Bound)>,
    unwound: BTreeMap<usize, Unwound>,
}

/// What was seen of a probe that failed.
#[derive(Debug, Default)]
struct Unwound {
    released: usize,
    left: Vec<Entry>,
    doubt: Option<String>,
}

impl Attempts {
    /// A driver was bound in an attempt.
    pub(super) fn bound(&mut self, attempt: usize, bound: &Bound) {
        self.bound.push((attempt, bound.clone()));
    }

    /// A probe failed in an attempt, or, with the number 0, without one.
    pub(super) fn failed(&mut self, attempt: usize, ended: &Ended) {
        if attempt == 0 {
            return;
        }
        let unwound = self.unwound.entry(attempt).or_default();
        unwound.released += ended.unwound;
        unwound.left.extend(ended.left.iter().cloned());
        if unwound.doubt.is_none() {
            unwound.doubt.clone_from(&ended.doubt);
        }
    }

    /// The bindings with nothing made to fail: they are like those of other cycles.
    pub(super) fn undisturbed(&mut self, failed: &FailedProbes) -> Vec<Bound> {
        let bound = std::mem::take(&mut self.bound).into_iter();
        let is_undisturbed = |attempt: usize| {
            let outcome = attempt.checked_sub(1).and_then(|at| failed.probes.get(at));
            outcome.is_some_and(|attempt| attempt.outcome.failed.is_none())
        };
        bound
            .filter(|(attempt, _)| is_undisturbed(*attempt))
            .map(|(_, bound)| bound)
            .collect()
    }

    /// The test of all attempts. `whole`: all were done; `gap`: why something may have been missed.
    pub(super) fn conclude(self, failed: &FailedProbes, whole: bool, gap: Option<&str>) -> Test {
        let way = match &failed.way {
            Ok(way) => *way,
            Err(reason) => return Test::new(NAME, Status::Inconclusive, reason.clone()),
        };
        let made_to_fail = || {
            let all = (1..).zip(&failed.probes);
            all.filter(|(_, attempt)| attempt.outcome.failed.is_some())
        };
        let lines = made_to_fail()
            .map(|(number, attempt)| self.line(number, attempt, way))
            .collect();
        let left = made_to_fail().find_map(|(number, attempt)| {
            let unwound = self.unwound.get(&number)?;
            let is_sure = unwound.doubt.is_none() && !unwound.left.is_empty();
            is_sure.then(|| {
                let device = Escaped(&attempt.device);
                let left = list(&unwound.left);
                format!("left on {device} after the failed probe: {left}")
            })
        });
        if let Some(left) = left {
            return Test::failed_exercise(NAME, left, lines);
        }
        let open = made_to_fail()
            .find_map(|(number, attempt)| self.doubt(number, attempt, way))
            .or_else(|| (!whole).then(|| format!("not all {}s were made to fail", way.unit())))
            .or_else(|| gap.map(str::to_owned));
        let status = if open.is_some() {
            Status::Inconclusive
        } else {
            Status::Noted
        };
        let message =
            open.unwrap_or_else(|| count(way, made_to_fail().map(|(_, attempt)| attempt)));
        Test {
            lines,
            ..Test::new(NAME, status, message)
        }
    }

    fn line(&self, number: usize, attempt: &Attempt, way: FailWay) -> String {
        let released = match self.unwound.get(&number).map(|unwound| unwound.released) {
            None => String::new(),
            Some(1) => ", 1 resource was released".to_owned(),
            Some(released) => format!(", {released} resources were released"),
        };
        let device = Escaped(&attempt.device);
        format!("{device}: {}{released}", attempt.describe(way))
    }

    /// Why it is not known how an attempt was unwound, if it isn't.
    fn doubt(&self, number: usize, attempt: &Attempt, way: FailWay) -> Option<String> {
        let device = Escaped(&attempt.device);
        let unseen = || {
            format!(
                "{device}: how this ended was not seen: {}",
                attempt.describe(way)
            )
        };
        match self.unwound.get(&number) {
            None if attempt.is_before_probe() => None,
            None => (!attempt.bound).then(unseen),
            Some(unwound) => {
                let doubt = unwound.doubt.as_ref()?;
                Some(format!("{device}: {doubt}"))
            }
        }
    }
}

/// How many were made to fail, and what became of the probes.
fn count<'a>(way: FailWay, attempts: impl Iterator<Item = &'a Attempt>) -> String {
    let (mut failed, mut without, mut before) = (0, 0, 0);
    for attempt in attempts {
        if attempt.bound {
            without += 1;
        } else if attempt.is_before_probe() {
            before += 1;
        } else {
            failed += 1;
        }
    }
    let all = failed + without + before;
    let (unit, means) = (way.unit(), way.means());
    let mut text = format!(
        "{unit}s made to fail one by one, by {means}: {all}; probes that failed: {failed}; probes that did without: {without}"
    );
    if before > 0 {
        text.push_str("; before the probe: ");
        text.push_str(&before.to_string());
    }
    text
}
