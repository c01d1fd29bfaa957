//! A list that grows without moving what is in it, so that growing takes no more room than is used.

use hashbrown::HashSet;

/// Items of one chunk.
const CHUNK: usize = 1 << 14;

/// A list that grows by chunks.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    pub(super) fn push(&mut self, item: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(item),
            // A short text needs no whole chunk.
            None => self.chunks.push(vec![item]),
            Some(_) => {
                let mut next = Vec::with_capacity(CHUNK);
                next.push(item);
                self.chunks.push(next);
            }
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let number = number as usize;
        self.chunks.get(number / CHUNK)?.get(number % CHUNK)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let number = number as usize;
        self.chunks.get_mut(number / CHUNK)?.get_mut(number % CHUNK)
    }

    /// The number of the next item.
    pub(super) fn len(&self) -> u32 {
        let before = self.chunks.len().saturating_sub(1) * CHUNK;
        let last = self.chunks.last().map_or(0, Vec::len);
        u32::try_from(before + last).unwrap_or(u32::MAX)
    }

    /// Frees the full chunks that hold none of the items `needed`. Those that are left keep their numbers.
    pub(super) fn forget(&mut self, needed: impl Iterator<Item = u32>) {
        let needed: HashSet<usize> = needed.map(|number| number as usize / CHUNK).collect();
        let full = self.chunks.len().saturating_sub(1);
        for (number, chunk) in self.chunks.iter_mut().take(full).enumerate() {
            if !needed.contains(&number) {
                *chunk = Vec::new();
            }
        }
    }

    /// Items that take room.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_by_their_number() {
        let mut chunks = Chunks::default();
        let count = 2 * CHUNK + 1;
        for number in 0..count {
            assert_eq!(chunks.len() as usize, number);
            chunks.push(number);
        }
        for number in [0, CHUNK - 1, CHUNK, 2 * CHUNK] {
            let place = u32::try_from(number).unwrap();
            assert_eq!(chunks.get(place), Some(&number));
            assert_eq!(chunks.get_mut(place).copied(), Some(number));
        }
        assert_eq!(chunks.get(u32::try_from(count).unwrap()), None);
        assert!(chunks.iter().copied().eq(0..count));
    }

    #[test]
    fn what_is_forgotten_leaves_the_rest_where_it_was() {
        let mut chunks = Chunks::default();
        for number in 0..3 * CHUNK {
            chunks.push(number);
        }
        let place = |number: usize| u32::try_from(number).unwrap();
        chunks.forget([place(CHUNK + 5)].into_iter());
        assert_eq!(chunks.get(0), None);
        for number in [CHUNK, 3 * CHUNK - 1] {
            assert_eq!(chunks.get(place(number)), Some(&number));
        }
        assert_eq!(chunks.len(), place(3 * CHUNK));
    }
}
