//! Where two sequences differ.

use std::hash::Hash;

use hashbrown::HashMap;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// What turns `one` into `other`.
///
/// What is equal gets one number, and the numbers are compared: that is faster where comparing takes long, and the algorithm,
/// which is large, is compiled once.
pub(super) fn differences<T: Eq + Hash>(one: &[T], other: &[T]) -> Vec<DiffOp> {
    let mut numbers = HashMap::new();
    for element in one.iter().chain(other) {
        let next = numbers.len();
        numbers.entry(element).or_insert(next);
    }
    let numbered = |sequence: &[T]| -> Vec<usize> {
        sequence
            .iter()
            .filter_map(|element| numbers.get(element).copied())
            .collect()
    };
    capture_diff_slices(Algorithm::Myers, &numbered(one), &numbered(other))
}
