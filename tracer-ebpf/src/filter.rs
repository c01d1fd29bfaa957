//! Which devices' events the probes let through.

use zerocopy::{FromZeros, Immutable, IntoBytes};

/// A name, or the beginning of one, in a form that takes a probe four comparisons.
///
/// A name fits where its first words are those of `text` in the bits of `mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct Pattern {
    /// The bytes that are wanted, as words in the machine's byte order.
    pub text: [u64; Self::WORDS],
    /// The bytes that are compared.
    pub mask: [u64; Self::WORDS],
}

impl Pattern {
    /// Words in a pattern.
    pub const WORDS: usize = 4;
    /// The longest text a pattern can hold, in bytes.
    pub const CAPACITY: usize = 8 * Self::WORDS;
    /// The pattern that no name fits: it has a terminating zero.
    pub const NOTHING: Self = Self {
        text: [u64::MAX; Self::WORDS],
        mask: [u64::MAX; Self::WORDS],
    };

    /// The pattern for exactly this name; `None` if it is too long.
    #[must_use]
    pub fn exact(name: &[u8]) -> Option<Self> {
        // With the terminating zero, so that a longer name does not fit.
        (name.len() < Self::CAPACITY).then(|| Self::of(name, name.len() + 1))
    }

    /// The pattern for all names that begin so; `None` if it is too long.
    #[must_use]
    pub fn prefix(beginning: &[u8]) -> Option<Self> {
        (beginning.len() <= Self::CAPACITY).then(|| Self::of(beginning, beginning.len()))
    }

    fn of(bytes: &[u8], compared: usize) -> Self {
        let mut text = [0; Self::CAPACITY];
        let mut mask = [0; Self::CAPACITY];
        for (place, byte) in text.iter_mut().zip(bytes) {
            *place = *byte;
        }
        for place in mask.iter_mut().take(compared) {
            *place = u8::MAX;
        }
        Self {
            text: words(&text),
            mask: words(&mask),
        }
    }

    /// Whether a name fits, given as the first words of its bytes.
    #[must_use]
    #[inline]
    pub const fn fits(&self, name: &[u64; Self::WORDS]) -> bool {
        // Without a branch for each word: the probes' verifier would follow every combination.
        let difference = (name[0] ^ self.text[0]) & self.mask[0]
            | (name[1] ^ self.text[1]) & self.mask[1]
            | (name[2] ^ self.text[2]) & self.mask[2]
            | (name[3] ^ self.text[3]) & self.mask[3];
        difference == 0
    }
}

fn words(bytes: &[u8; Pattern::CAPACITY]) -> [u64; Pattern::WORDS] {
    let mut words = [0; Pattern::WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

/// The patterns of one filter: a name passes if one of them fits, or if there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct Filter {
    /// How many patterns there are.
    pub count: u64,
    /// The patterns; [`Pattern::NOTHING`] in the unused places.
    pub patterns: [Pattern; Self::CAPACITY],
}

impl Filter {
    /// How many patterns a filter can hold.
    pub const CAPACITY: usize = 4;
    /// The filter that lets everything through.
    pub const EVERYTHING: Self = Self {
        count: 0,
        patterns: [Pattern::NOTHING; Self::CAPACITY],
    };

    /// Whether a name passes, given as the first words of its bytes.
    #[must_use]
    #[inline]
    pub const fn passes(&self, name: &[u64; Pattern::WORDS]) -> bool {
        self.count == 0
            || self.patterns[0].fits(name)
            || self.patterns[1].fits(name)
            || self.patterns[2].fits(name)
            || self.patterns[3].fits(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Pattern, words};

    fn name(text: &str) -> [u64; Pattern::WORDS] {
        let mut bytes = [0; Pattern::CAPACITY];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        words(&bytes)
    }

    #[test]
    fn an_exact_pattern_fits_its_name_and_no_longer_or_shorter_one() {
        let pattern = Pattern::exact(b"pvpanic-mmio").unwrap();
        assert!(pattern.fits(&name("pvpanic-mmio")));
        assert!(!pattern.fits(&name("pvpanic-mmio2")));
        assert!(!pattern.fits(&name("pvpanic")));
    }

    #[test]
    fn a_prefix_fits_whatever_follows() {
        let pattern = Pattern::prefix(b"virtio").unwrap();
        assert!(pattern.fits(&name("virtio")));
        assert!(pattern.fits(&name("virtio3")));
        assert!(!pattern.fits(&name("virti")));
    }

    #[test]
    fn a_text_that_is_too_long_has_no_pattern() {
        assert_eq!(Pattern::exact(&[b'a'; Pattern::CAPACITY]), None);
        assert!(Pattern::prefix(&[b'a'; Pattern::CAPACITY]).is_some());
        assert_eq!(Pattern::prefix(&[b'a'; Pattern::CAPACITY + 1]), None);
    }

    #[test]
    fn a_filter_without_patterns_lets_everything_through() {
        assert!(Filter::EVERYTHING.passes(&name("anything")));
        let mut filter = Filter::EVERYTHING;
        filter.count = 1;
        filter.patterns[0] = Pattern::exact(b"lm75").unwrap();
        assert!(filter.passes(&name("lm75")));
        assert!(!filter.passes(&name("")), "the unused places fit nothing");
    }
}
