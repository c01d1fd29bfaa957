//! Compares two probes, step by step.

use hashbrown::HashMap;
use similar::DiffTag;

use super::{
    binding::{BindingComparison, Difference, DifferenceKind, Half, Named, Row, Token},
    differences::Finder,
    entries::{Compared, Entry, View},
    resources::{Pairs, Unnamed, Which},
    sequences::differences,
};
use crate::{
    event::{Hook, switched},
    history::{Item, Step, StepKind},
    model::State,
};

/// Compares two bindings.
pub(super) fn compare<'a>(
    good: Option<&Compared<'a>>,
    bad: Option<&Compared<'a>>,
    unnamed: &Unnamed,
    pairs: &mut Pairs,
    view: View,
) -> BindingComparison<'a> {
    pairs.pair(good, bad, unnamed);
    let mine = tokens(good, Which::Good, unnamed, pairs, view);
    let theirs = tokens(bad, Which::Bad, unnamed, pairs, view);
    let mut comparison = BindingComparison {
        good: good.map(half),
        bad: bad.map(half),
        rows: Vec::new(),
        whole: !view.has(Hook::Probe),
        differences: Vec::new(),
        named: Named::default(),
    };
    let whole = match (good, bad) {
        (Some(good), None) if good.is_worth_telling() => Some(DifferenceKind::NoProbe),
        (None, Some(bad)) if bad.is_worth_telling() => Some(DifferenceKind::NewProbe),
        (Some(_), Some(_)) => None,
        _ => return comparison,
    };
    if let Some(kind) = whole {
        comparison.differences.push(Difference {
            kind,
            minor: false,
            good: None,
            bad: None,
        });
        return comparison;
    }
    for op in differences(&mine, &theirs) {
        let (tag, one, other) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            let same = one.zip(other).map(|(one, other)| Row::Same(one, other));
            comparison.rows.extend(same);
        } else {
            comparison.rows.extend(one.map(Row::Good));
            comparison.rows.extend(other.map(Row::Bad));
        }
    }
    comparison.name_actions(&mine, &theirs);
    comparison.differences = Finder::new(&comparison, &mine, &theirs).find();
    comparison
}

fn half<'a>(told: &Compared<'a>) -> Half<'a> {
    Half {
        binding: told.binding,
        history: told.history,
        names: told.names,
        entries: told.entries.clone(),
    }
}

fn tokens(
    told: Option<&Compared<'_>>,
    which: Which,
    unnamed: &Unnamed,
    pairs: &mut Pairs,
    view: View,
) -> Vec<Token> {
    let Some(told) = told else { return Vec::new() };
    told.entries
        .iter()
        .map(|entry| {
            let (verb, value) = match entry {
                Entry::Step(step) => match step.kind {
                    StepKind::PmDetached(false) => ("nothing_detached", None),
                    StepKind::ProbeFailed(value) => (step.kind.name(), value),
                    _ => (step.kind.name(), None),
                },
                Entry::Had(_) => (entry.name(), None),
            };
            let item = entry.item();
            Token {
                verb,
                resource: item.map_or(0, |item| pairs.number(which, &item, told.names, unnamed)),
                value,
                said: match entry {
                    Entry::Step(Step {
                        kind:
                            StepKind::Warned(label, _)
                            | StepKind::FreedActive(label)
                            | StepKind::Splat(label),
                        ..
                    }) => Some(told.names.text(*label).to_owned()),
                    Entry::Step(Step {
                        kind: StepKind::Switched(hook, label),
                        ..
                    }) => switched(*hook, told.names.text(*label)),
                    _ => None,
                },
                phase: if entry.is_turn() {
                    State::Unknown
                } else {
                    view.phase(entry.phase().unwrap_or(State::Unknown))
                },
                frame: entry
                    .frame()
                    .filter(|hook| view.has_frames() && view.has(*hook)),
                foreign: entry.is_foreign(),
            }
        })
        .collect()
}

impl BindingComparison<'_> {
    /// Actions of kernels that don't name them get the names that the others have.
    fn name_actions(&mut self, mine: &[Token], theirs: &[Token]) {
        let items = |tokens: &[Token], which| -> HashMap<u32, Item> {
            let of = |(place, token): (usize, &Token)| {
                Some((token.resource, self.entry(which, place)?.item()?))
            };
            tokens.iter().enumerate().filter_map(of).collect()
        };
        let good = items(mine, Which::Good);
        let bad = items(theirs, Which::Bad);
        for (resource, one) in &good {
            if let Some(other) = bad.get(resource) {
                self.named.good.insert(one.serial, other.label);
                self.named.bad.insert(other.serial, one.label);
            }
        }
    }
}
