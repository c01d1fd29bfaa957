//! Which life, or which probe, of one recording belongs to which of the other.

use std::collections::BTreeMap;

/// The longest lists of which the best alignment is looked for; longer ones are paired in order.
const MOST_CELLS: usize = 1 << 14;
/// What a distance is a part of.
const WHOLE: u32 = 1000;
/// What something without a counterpart costs: two things that have little in common are no pair.
const ALONE: u32 = 450;

/// Pairs two lists of these lengths, both in order. Lists of one length are paired one by one; else as few as
/// can be, and those that are least like any other, are left without a counterpart.
pub(super) fn align(
    rows: usize,
    columns: usize,
    distance: impl Fn(usize, usize) -> u32,
) -> Vec<(Option<usize>, Option<usize>)> {
    if rows == columns || (rows + 1).saturating_mul(columns + 1) > MOST_CELLS {
        let paired = rows.min(columns);
        return (0..paired)
            .map(|place| (Some(place), Some(place)))
            .chain((paired..rows).map(|place| (Some(place), None)))
            .chain((paired..columns).map(|place| (None, Some(place))))
            .collect();
    }
    // costs[row][column]: the least that it costs to pair what comes from there on.
    let width = columns + 1;
    let mut costs = vec![0_u32; (rows + 1) * width];
    let mut pairs = vec![0_u32; rows * columns];
    for row in (0..=rows).rev() {
        for column in (0..=columns).rev() {
            let below = (row < rows).then(|| costs[(row + 1) * width + column] + ALONE);
            let right = (column < columns).then(|| costs[row * width + column + 1] + ALONE);
            let both = (row < rows && column < columns).then(|| {
                let apart = distance(row, column);
                pairs[row * columns + column] = apart;
                costs[(row + 1) * width + column + 1] + apart
            });
            let least = [both, below, right].into_iter().flatten().min();
            costs[row * width + column] = least.unwrap_or(0);
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut aligned = Vec::with_capacity(rows.max(columns));
    while row < rows || column < columns {
        let here = costs[row * width + column];
        if row < rows
            && column < columns
            && here == costs[(row + 1) * width + column + 1] + pairs[row * columns + column]
        {
            aligned.push((Some(row), Some(column)));
            row += 1;
            column += 1;
        } else if row < rows && here == costs[(row + 1) * width + column] + ALONE {
            aligned.push((Some(row), None));
            row += 1;
        } else {
            aligned.push((None, Some(column)));
            column += 1;
        }
    }
    aligned
}

/// Pairs two lists by how much their bags have apart, which are made only if that is needed.
pub(super) fn align_by<T, K: Ord>(
    mine: &[T],
    theirs: &[T],
    bag_of_mine: impl Fn(&T) -> BTreeMap<K, u32>,
    bag_of_theirs: impl Fn(&T) -> BTreeMap<K, u32>,
) -> Vec<(Option<usize>, Option<usize>)> {
    if mine.len() == theirs.len() {
        return align(mine.len(), theirs.len(), |_, _| 0);
    }
    let mine: Vec<_> = mine.iter().map(bag_of_mine).collect();
    let theirs: Vec<_> = theirs.iter().map(bag_of_theirs).collect();
    align(mine.len(), theirs.len(), |one, other| {
        match (mine.get(one), theirs.get(other)) {
            (Some(one), Some(other)) => distance(one, other),
            _ => WHOLE,
        }
    })
}

/// How much two bags of things have apart: from 0 for the same to 1000 for nothing in common.
fn distance<K: Ord>(one: &BTreeMap<K, u32>, other: &BTreeMap<K, u32>) -> u32 {
    let all: u64 = one
        .values()
        .chain(other.values())
        .map(|count| u64::from(*count))
        .sum();
    if all == 0 {
        return 0;
    }
    let common: u64 = one
        .iter()
        .map(|(key, count)| u64::from((*count).min(other.get(key).copied().unwrap_or(0))))
        .sum();
    let apart = u64::from(WHOLE) * (all - 2 * common) / all;
    u32::try_from(apart).unwrap_or(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bag(text: &&str) -> BTreeMap<char, u32> {
        let mut bag = BTreeMap::new();
        for letter in text.chars() {
            *bag.entry(letter).or_insert(0) += 1;
        }
        bag
    }

    fn aligned(mine: &[&str], theirs: &[&str]) -> Vec<(Option<usize>, Option<usize>)> {
        align_by(mine, theirs, bag, bag)
    }

    #[test]
    fn lists_of_one_length_are_paired_in_order() {
        assert_eq!(
            aligned(&["abc", "xyz"], &["xyz", "abc"]),
            [(Some(0), Some(0)), (Some(1), Some(1))]
        );
    }

    #[test]
    fn what_is_missing_is_where_it_is_missing() {
        assert_eq!(
            aligned(&["abc", "def", "ghi"], &["abc", "ghj"]),
            [(Some(0), Some(0)), (Some(1), None), (Some(2), Some(1))]
        );
        assert_eq!(
            aligned(&["ghi"], &["abc", "ghi"]),
            [(None, Some(0)), (Some(0), Some(1))]
        );
        assert_eq!(aligned(&[], &["abc"]), [(None, Some(0))]);
    }

    #[test]
    fn very_long_lists_are_paired_in_order() {
        let aligned = align(1000, 1001, |_, _| unreachable!());
        assert_eq!(aligned.len(), 1001);
        assert_eq!(aligned.last(), Some(&(None, Some(1000))));
    }
}
