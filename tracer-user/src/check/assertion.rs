//! Assertions on lifecycles: what a driver's bindings must be like, beyond the rules.

use hashbrown::HashMap;

use super::{
    binding::{Bound, Ended, Observation},
    evidence::Records,
    results::Status,
    selection::{Place, Selection},
    stack::{Entry, Stack, list},
};
use crate::{
    escape::Escaped,
    event::{Hook, Time},
    evidence::{Coverage, Gap, any_of},
    finding::RuleInfo,
    glob::GlobList,
};

/// An assertion on lifecycles.
#[derive(Debug, Clone)]
pub(super) struct Assertion {
    /// What it is called in reports.
    pub name: String,
    /// File and line.
    pub place: String,
    /// Which devices it is about.
    pub selection: Selection,
    /// Whether it is no matter if none of them was seen.
    pub optional: bool,
    /// What it asks for.
    pub requirement: Requirement,
}

/// What an assertion asks for.
#[derive(Debug, Clone)]
pub(super) enum Requirement {
    /// After an unbind the device owns nothing.
    NothingLeft,
    /// When the PM domain is detached the device owns nothing any more.
    BeforePmDetach,
    /// At an unbind, all resources that fit one glob are released before the first that fits the next.
    InOrder(Vec<(String, GlobList)>),
    /// So many rebinds, at least, give the same stack as the first one seen.
    SameStack(u32),
    /// The device never owns more than so many resources.
    MostResources(usize),
}

impl Requirement {
    /// The hooks without which it can't be decided: of each group one must be there.
    const fn needs(&self) -> &'static [&'static [Hook]] {
        match self {
            Self::NothingLeft => &[
                &[Hook::DevresLog, Hook::AddDr],
                &[Hook::Unbind, Hook::Remove],
            ],
            Self::BeforePmDetach => &[
                &[Hook::DevresLog, Hook::AddDr],
                &[Hook::Unbind, Hook::Remove],
                &[Hook::PmDetach],
            ],
            Self::InOrder(_) => &[&[Hook::DevresLog], &[Hook::Unbind, Hook::Remove]],
            Self::SameStack(_) => &[&[Hook::DevresLog, Hook::AddDr], &[Hook::Bound, Hook::Probe]],
            Self::MostResources(_) => &[&[Hook::DevresLog, Hook::AddDr]],
        }
    }

    /// What must happen for it to be decided, in words.
    const fn occasion(&self) -> &'static str {
        match self {
            Self::NothingLeft | Self::InOrder(_) => "no driver was unbound from it in this run",
            Self::BeforePmDetach => "no PM domain was detached from it in this run",
            Self::SameStack(_) => "no driver was bound to it twice in this run",
            Self::MostResources(_) => "it is unknown",
        }
    }
}

/// Violations and doubts that are reported in full.
const MOST_TOLD: usize = 10;

/// An assertion while a run goes on.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) assertion: Assertion,
    /// How many times it held.
    held: u64,
    violations: Sample,
    doubts: Sample,
    stacks: HashMap<Place, First>,
}

/// The first of them, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Sample {
    lines: Vec<String>,
    count: u64,
}

/// What further bindings of a device are compared with.
#[derive(Debug, Default)]
struct First {
    stack: Option<Stack>,
    bound: u32,
    /// Whether it had been bound before the first time that was seen.
    before: bool,
}

impl Sample {
    pub(super) fn push(&mut self, line: impl FnOnce() -> String) {
        self.count += 1;
        if self.lines.len() < MOST_TOLD {
            self.lines.push(line());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn first(&self) -> &str {
        self.lines.first().map_or("", String::as_str)
    }

    pub(super) fn into_lines(mut self) -> Vec<String> {
        let hidden = self.count.saturating_sub(self.lines.len() as u64);
        if hidden > 0 {
            self.lines.push(format!("and {hidden} times more"));
        }
        self.lines
    }
}

/// What became of an assertion.
#[derive(Debug)]
pub(super) struct Conclusion {
    pub(super) status: Status,
    pub(super) message: String,
    pub(super) lines: Vec<String>,
}

impl Watched {
    pub(super) fn new(assertion: Assertion) -> Self {
        Self {
            assertion,
            held: 0,
            violations: Sample::default(),
            doubts: Sample::default(),
            stacks: HashMap::new(),
        }
    }

    pub(super) fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Bound(bound) if self.assertion.selection.wants(&bound.place) => {
                self.bound(bound);
            }
            Observation::Ended(ended) if self.assertion.selection.wants(&ended.place) => {
                self.ended(ended);
            }
            _ => {}
        }
    }

    fn bound(&mut self, bound: &Bound) {
        if !matches!(self.assertion.requirement, Requirement::SameStack(_)) {
            return;
        }
        let first = self.stacks.entry(bound.place.clone()).or_default();
        first.bound += 1;
        let number = first.bound;
        match (&bound.stack, &first.stack) {
            (Err(doubt), _) => self.doubts.push(|| at(&bound.place, bound.time, doubt)),
            (Ok(stack), None) => first.stack = Some(stack.clone()),
            (Ok(stack), Some(known)) => match known.difference(stack) {
                None => self.held += 1,
                Some(difference) => self.violations.push(|| {
                    let what = format!("binding {number} is not as the first one: {difference}");
                    at(&bound.place, bound.time, &what)
                }),
            },
        }
    }

    fn ended(&mut self, ended: &Ended) {
        if let Requirement::SameStack(_) = self.assertion.requirement {
            let first = self.stacks.entry(ended.place.clone()).or_default();
            first.before |= ended.was_bound && first.bound == 0;
            return;
        }
        let verdict = match &self.assertion.requirement {
            Requirement::NothingLeft if ended.was_bound => nothing_left(ended),
            Requirement::BeforePmDetach => match &ended.at_pm_detach {
                Some(owned) => nothing_owned(owned),
                None => return,
            },
            Requirement::InOrder(order) if ended.was_bound => in_order(ended, order),
            _ => return,
        };
        let guessed = (ended.concluded
            && matches!(self.assertion.requirement, Requirement::InOrder(_)))
        .then(|| "this kernel doesn't log the order of releases".to_owned());
        match (ended.doubt.as_ref().or(guessed.as_ref()), verdict) {
            (Some(doubt), _) => self.doubts.push(|| at(&ended.place, ended.time, doubt)),
            (None, Ok(())) => self.held += 1,
            (None, Err(violation)) => {
                self.violations
                    .push(|| at(&ended.place, ended.time, &violation));
            }
        }
    }

    /// What became of it, when nothing comes any more; `gap` says why not everything was seen.
    pub(super) fn conclude(
        mut self,
        records: &Records,
        coverage: &Coverage,
        gap: Option<&str>,
    ) -> Conclusion {
        let seen: Vec<_> = records
            .iter()
            .filter(|(place, _)| self.assertion.selection.wants(place))
            .collect();
        if let Requirement::MostResources(most) = self.assertion.requirement {
            for (place, record) in &seen {
                if let Some(doubt) = &record.doubt {
                    self.doubts.push(|| at(place, record.most_at, doubt));
                } else if record.most > most {
                    self.violations.push(|| {
                        let what = format!("it had {} resources", record.most);
                        at(place, record.most_at, &what)
                    });
                } else {
                    self.held += 1;
                }
            }
        }
        if !self.violations.is_empty() {
            return Conclusion {
                status: Status::Failed,
                message: self.violations.first().to_owned(),
                lines: self
                    .violations
                    .into_lines()
                    .into_iter()
                    .chain([format!("asserted in {}", self.assertion.place)])
                    .collect(),
            };
        }
        let open = if seen.is_empty() {
            Some("no such device or driver was seen".to_owned())
        } else if let Some(missing) = missing(coverage, self.assertion.requirement.needs()) {
            Some(missing)
        } else if !self.doubts.is_empty() {
            Some(self.doubts.first().to_owned())
        } else {
            self.too_few(self.held).or_else(|| gap.map(str::to_owned))
        };
        let Some(open) = open else {
            return Conclusion {
                status: Status::Passed,
                message: match self.held {
                    1 => "held once".to_owned(),
                    held => format!("held {held} times"),
                },
                lines: Vec::new(),
            };
        };
        Conclusion {
            status: if self.assertion.optional && seen.is_empty() {
                Status::Skipped
            } else {
                Status::Inconclusive
            },
            message: open,
            lines: self.doubts.into_lines(),
        }
    }

    /// Why what was seen is too little, if it is.
    fn too_few(&self, held: u64) -> Option<String> {
        if held == 0 {
            return Some(self.assertion.requirement.occasion().to_owned());
        }
        if let Requirement::SameStack(wanted) = self.assertion.requirement {
            let rebinds = self
                .stacks
                .values()
                .map(|first| first.bound.saturating_sub(u32::from(!first.before)))
                .max()
                .unwrap_or(0);
            if rebinds < wanted {
                return Some(format!("only {rebinds} of {wanted} rebinds were seen"));
            }
        }
        None
    }
}

fn nothing_left(ended: &Ended) -> Result<(), String> {
    match ended.left.as_slice() {
        [] => Ok(()),
        left => Err(format!("left after the unbind: {}", list(left))),
    }
}

fn nothing_owned(owned: &[Entry]) -> Result<(), String> {
    match owned {
        [] => Ok(()),
        owned => Err(format!(
            "not released yet when the PM domain was detached: {}",
            list(owned)
        )),
    }
}

fn in_order(ended: &Ended, order: &[(String, GlobList)]) -> Result<(), String> {
    let mut last: Option<(usize, &str)> = None;
    for (text, glob) in order {
        let fitting = || {
            ended
                .released
                .iter()
                .enumerate()
                .filter(|(_, entry)| glob.is_match(&entry.name))
                .map(|(index, _)| index)
        };
        let (Some(first), Some(end)) = (fitting().next(), fitting().next_back()) else {
            return Err(format!("{} was not released", Escaped(text)));
        };
        if let Some((before, name)) = last
            && first < before
        {
            return Err(format!(
                "{} was released before {}",
                Escaped(text),
                Escaped(name)
            ));
        }
        last = Some((end, text));
    }
    Ok(())
}

/// A sentence about a device at a time.
pub(super) fn at(place: &Place, time: Time, what: &str) -> String {
    format!(
        "{} ({}) at {time}: {what}",
        Escaped(&place.device),
        Escaped(&place.driver)
    )
}

/// Of hooks of which one is needed, the first group of which none is of use.
fn missing(coverage: &Coverage, needs: &'static [&'static [Hook]]) -> Option<String> {
    let mut needs = needs.iter();
    let any = *needs.find(|any| !any.iter().any(|hook| coverage.serves(*hook)))?;
    if any.iter().any(|hook| coverage.sees(*hook)) {
        return Some(coverage.explain(Gap { any, role: None }));
    }
    Some(format!("{} is not seen", any_of(any)))
}

/// What keeps a rule from deciding, if anything does.
pub(super) fn unable(coverage: &Coverage, info: &RuleInfo) -> Option<String> {
    missing(coverage, info.needs).or_else(|| {
        let gap = info.missing(coverage).next()?;
        Some(coverage.explain(gap))
    })
}
