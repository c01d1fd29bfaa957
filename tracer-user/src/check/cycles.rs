//! Cycles of unbinding and binding again: each is compared with the first.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    assertion::Sample,
    attempts::Attempts,
    binding::{Bound, Ended, Observation},
    exercise::{CycleClock, Exercised, Held, Wanted},
    results::{Group, GroupKind, Status, Test},
    selection::Place,
    stack::{Stack, list},
};
use crate::escape::Escaped;

/// The cycles of a run, while it goes on.
#[derive(Debug)]
pub(super) struct Cycles {
    wanted: Wanted,
    clock: CycleClock,
    first: BTreeMap<Place, Stack>,
    /// How many times each device was bound in the cycle that is running, or was last.
    current: (usize, BTreeMap<Place, u32>),
    /// The same of the first cycle.
    bound_first: BTreeMap<Place, u32>,
    /// Devices of the cycle that is running that stand for one of the first: their names have other numbers.
    aliases: BTreeMap<Place, Place>,
    compared: u64,
    /// Cycles in which a binding was seen.
    seen: BTreeSet<usize>,
    torn_down: u64,
    differences: Sample,
    left: Sample,
    doubts: Sample,
    attempts: Attempts,
}

impl Cycles {
    pub(super) fn new(wanted: Wanted, clock: CycleClock) -> Self {
        Self {
            wanted,
            clock,
            first: BTreeMap::new(),
            current: (0, BTreeMap::new()),
            bound_first: BTreeMap::new(),
            aliases: BTreeMap::new(),
            compared: 0,
            seen: BTreeSet::new(),
            torn_down: 0,
            differences: Sample::default(),
            left: Sample::default(),
            doubts: Sample::default(),
            attempts: Attempts::default(),
        }
    }

    pub(super) fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Bound(bound) if self.wanted.wants(&bound.place) => {
                match self.clock.attempt_at(bound.time) {
                    0 => self.bound(bound),
                    attempt => self.attempts.bound(attempt, bound),
                }
            }
            Observation::Ended(ended) if self.wanted.wants(&ended.place) => {
                if ended.was_bound {
                    self.unbound(ended);
                } else {
                    self.attempts
                        .failed(self.clock.attempt_at(ended.time), ended);
                }
            }
            _ => {}
        }
    }

    fn bound(&mut self, bound: &Bound) {
        let cycle = self.clock.cycle_at(bound.time);
        if cycle == 0 {
            return;
        }
        self.turn_to(cycle);
        self.seen.insert(cycle);
        let place = self.counterpart(&bound.place);
        *self.current.1.entry(place.clone()).or_default() += 1;
        let name = Escaped(&bound.place.device);
        match (&bound.stack, self.first.get(&place)) {
            (Err(doubt), _) => self
                .doubts
                .push(|| format!("cycle {cycle}: {name}: {doubt}")),
            (Ok(stack), None) if cycle == 1 => {
                self.first.insert(place, stack.clone());
            }
            // That the first cycle did not bind it is said when the cycle is over.
            (Ok(_), None) => {}
            (Ok(stack), Some(first)) => {
                self.compared += 1;
                if let Some(difference) = first.difference(stack) {
                    self.differences.push(|| {
                        format!("cycle {cycle}: {name} is not as in cycle 1: {difference}")
                    });
                }
            }
        }
    }

    fn unbound(&mut self, ended: &Ended) {
        let cycle = self.clock.cycle_at(ended.time);
        if cycle == 0 {
            return;
        }
        self.torn_down += 1;
        let name = Escaped(&ended.place.device);
        if let Some(doubt) = &ended.doubt {
            self.doubts
                .push(|| format!("cycle {cycle}: {name}: {doubt}"));
        } else if !ended.left.is_empty() {
            self.left.push(|| {
                let left = list(&ended.left);
                format!("cycle {cycle}: left on {name} after the unbind: {left}")
            });
        }
    }

    /// The device of the first cycle that this one stands for. Devices that are made anew in each cycle may be counted on,
    /// so that their names differ in numbers; of several like it the next one is taken that stands for none yet.
    fn counterpart(&mut self, place: &Place) -> Place {
        let is_first = self.current.0 == 1 || matches!(self.wanted, Wanted::Devices(_));
        if is_first || self.bound_first.contains_key(place) {
            return place.clone();
        }
        if let Some(known) = self.aliases.get(place) {
            return known.clone();
        }
        let taken: Vec<&Place> = self.aliases.values().chain(self.current.1.keys()).collect();
        let free = self
            .bound_first
            .keys()
            .find(|first| first.is_like(place) && !taken.contains(first));
        let stands_for = free.unwrap_or(place).clone();
        self.aliases.insert(place.clone(), stands_for.clone());
        stands_for
    }

    /// What follows belongs to this cycle.
    fn turn_to(&mut self, cycle: usize) {
        if self.current.0 == cycle {
            return;
        }
        self.aliases.clear();
        let (number, bound) = std::mem::replace(&mut self.current, (cycle, BTreeMap::new()));
        if number == 1 {
            self.bound_first = bound;
        } else if number > 1 {
            self.compare_bound(number, &bound);
        }
    }

    fn compare_bound(&mut self, cycle: usize, bound: &BTreeMap<Place, u32>) {
        let places: BTreeSet<&Place> = self.bound_first.keys().chain(bound.keys()).collect();
        for place in places {
            let (first, now) = (
                self.bound_first.get(place).copied().unwrap_or(0),
                bound.get(place).copied().unwrap_or(0),
            );
            if first != now {
                self.differences.push(|| {
                    format!(
                        "cycle {cycle}: {} was bound {now} times, in cycle 1 {first} times",
                        Escaped(&place.device)
                    )
                });
            }
        }
    }

    /// The tests that the cycles come to.
    pub(super) fn conclude(mut self, exercised: &Exercised, gap: Option<&str>) -> Group {
        let mut attempts = std::mem::take(&mut self.attempts);
        if let Some(failed) = &exercised.failed_probes {
            for bound in attempts.undisturbed(failed) {
                self.bound(&bound);
            }
        }
        self.turn_to(usize::MAX);
        let whole = exercised.problem.is_none() && exercised.done == exercised.wanted;
        let open = self.open(exercised, whole, gap);
        let mut tests = vec![
            self.cycles(exercised),
            self.same_stack(open.as_ref()),
            self.nothing_left(open),
        ];
        tests.extend(of_held(&exercised.held));
        if let Some(failed) = &exercised.failed_probes {
            tests.push(attempts.conclude(failed, whole, gap));
        }
        tests.push(match &exercised.not_restored {
            None => Test::new("restored", Status::Passed, "everything is bound as before"),
            Some(problem) => {
                Test::failed_exercise("restored", problem.clone(), vec![problem.clone()])
            }
        });
        Group::new(GroupKind::Exercise, "exercise", tests)
    }

    /// Why it is open whether something differed or was left; `None` if it is not.
    fn open(&self, exercised: &Exercised, whole: bool, gap: Option<&str>) -> Option<String> {
        if !self.doubts.is_empty() {
            return Some(self.doubts.first().to_owned());
        }
        let done = exercised.done;
        let missed = (1..=usize::try_from(done).unwrap_or(usize::MAX))
            .find(|cycle| !self.seen.contains(cycle));
        if let Some(cycle) = missed {
            return Some(format!("no binding was seen in cycle {cycle}"));
        }
        if !whole {
            return Some(format!("only {done} of {} cycles", exercised.wanted));
        }
        gap.map(str::to_owned)
    }

    /// Whether all cycles were made.
    fn cycles(&self, exercised: &Exercised) -> Test {
        let done = exercised.done;
        match (&exercised.problem, &exercised.stopped) {
            (Some(problem), _) => {
                Test::failed_exercise("cycles", problem.clone(), vec![problem.clone()])
            }
            (None, Some(why)) => Test::new(
                "cycles",
                Status::Inconclusive,
                format!("{why} after {done} of {} cycles", exercised.wanted),
            ),
            (None, None) => Test::new(
                "cycles",
                Status::Passed,
                format!("{done} cycles of {}", self.wanted.describe()),
            ),
        }
    }

    /// Whether each cycle came to the same stack.
    fn same_stack(&mut self, open: Option<&String>) -> Test {
        const NAME: &str = "same stack";
        if !self.differences.is_empty() {
            let message = self.differences.first().to_owned();
            let lines = std::mem::take(&mut self.differences).into_lines();
            return Test::failed_exercise(NAME, message, lines);
        }
        if let Some(open) = open {
            return Test::new(NAME, Status::Inconclusive, open.clone());
        }
        if self.compared == 0 {
            return Test::new(NAME, Status::Skipped, "a single cycle can't be compared");
        }
        let sizes: Vec<String> = self
            .first
            .iter()
            .map(|(place, stack)| {
                format!("{}: {} resources", Escaped(&place.device), stack.resources)
            })
            .collect();
        let message = format!("in each cycle: {}", sizes.join(", "));
        Test::new(NAME, Status::Passed, message)
    }

    /// Whether an unbind has left something.
    fn nothing_left(&mut self, open: Option<String>) -> Test {
        const NAME: &str = "nothing left";
        if !self.left.is_empty() {
            let message = self.left.first().to_owned();
            let lines = std::mem::take(&mut self.left).into_lines();
            return Test::failed_exercise(NAME, message, lines);
        }
        if let Some(open) = open {
            return Test::new(NAME, Status::Inconclusive, open);
        }
        if self.torn_down == 0 {
            return Test::new(NAME, Status::Inconclusive, "no unbind was seen");
        }
        let message = format!("after {} unbinds", self.torn_down);
        Test::new(NAME, Status::Passed, message)
    }
}

/// What the files say that were held open across the unbinds.
fn of_held(held: &[(u64, Held)]) -> Option<Test> {
    const NAME: &str = "held files";
    if held.is_empty() {
        return None;
    }
    let first = |tells: &dyn Fn(&Held) -> Option<String>| {
        held.iter()
            .find_map(|(cycle, held)| Some(format!("cycle {cycle}: {}", tells(held)?)))
    };
    let splat = first(&|held| {
        let splat = held.splat?;
        Some(format!("{splat} while a file was held: see its log"))
    });
    if let Some(splat) = splat {
        return Some(Test::failed_exercise(NAME, splat.clone(), vec![splat]));
    }
    let waited = first(&|held| {
        held.waited
            .then(|| "the unbind waited until the files were closed".to_owned())
    });
    Some(match (waited, held.iter().find(|(_, held)| !held.waited)) {
        (Some(waited), _) => Test::new(NAME, Status::Noted, waited),
        (None, Some((_, held))) => {
            let said = format!("after the unbind, {}", held.used.join("; "));
            Test::new(NAME, Status::Passed, said)
        }
        (None, None) => return None,
    })
}
