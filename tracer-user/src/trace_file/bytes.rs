//! Numbers and bytes in a block's content.

/// Writes numbers to the end of a buffer.
pub(crate) trait Put {
    /// The number in groups of seven bits, the lowest first; all but the last have the highest bit set.
    fn put_varint(&mut self, number: u64);
    /// How much `number` is more than `base`, or less; small either way where they are near.
    fn put_difference(&mut self, number: u64, base: u64);
    /// The number as it is, the lowest byte first.
    fn put_word(&mut self, number: u64);
}

impl Put for Vec<u8> {
    fn put_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(low_byte(number) | 0x80);
            number >>= 7;
        }
        self.push(low_byte(number));
    }

    fn put_difference(&mut self, number: u64, base: u64) {
        self.put_varint(fold_sign(number.wrapping_sub(base)));
    }

    fn put_word(&mut self, number: u64) {
        self.extend_from_slice(&number.to_le_bytes());
    }
}

/// How many bytes [`Put::put_varint`] writes.
pub(super) const fn varint_length(number: u64) -> u32 {
    let bits = 64 - number.leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(7) }
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

/// Moves the sign to the lowest bit, so that a small number of either sign is small: 0, -1, 1, -2 become
/// 0, 1, 2, 3.
pub(crate) const fn fold_sign(number: u64) -> u64 {
    (number << 1) ^ (number.cast_signed() >> 63).cast_unsigned()
}

/// Undoes [`fold_sign`].
pub(crate) const fn unfold_sign(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

/// Why a block's content can't be understood, although its checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(super) &'static str);

/// Reads numbers from a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (byte, rest) = self.rest.split_first().ok_or(CUT)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(CUT)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.long_varint(first)
    }

    fn long_varint(&mut self, first: u8) -> Result<u64, Malformed> {
        let mut number = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed("a number has more than 64 bits"))
    }

    /// A number of a smaller type.
    pub(super) fn small<Number: TryFrom<u64>>(&mut self) -> Result<Number, Malformed> {
        Number::try_from(self.varint()?).map_err(|_| Malformed("a number is too large"))
    }

    /// How many things follow, of which each takes at least so many bytes.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = self.small::<usize>()?;
        if count > self.left() / least {
            return Err(CUT);
        }
        Ok(count)
    }

    pub(super) fn difference(&mut self, base: u64) -> Result<u64, Malformed> {
        Ok(base.wrapping_add(unfold_sign(self.varint()?)))
    }

    pub(super) fn word(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }
}

const CUT: Malformed = Malformed("it ends in the middle of an event");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Cursor, Put as _, fold_sign, unfold_sign, varint_length};

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, base: u64, shift in 0_u32..64) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            bytes.put_varint(number);
            prop_assert_eq!(bytes.len(), varint_length(number) as usize);
            bytes.put_difference(number, base);
            bytes.put_word(number);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varint(), Ok(number));
            prop_assert_eq!(cursor.difference(base), Ok(number));
            prop_assert_eq!(cursor.word(), Ok(number));
            prop_assert_eq!(cursor.left(), 0);
        }
    }

    #[test]
    fn signs_are_folded_so_that_small_numbers_stay_small() {
        let small = [0_i64, -1, 1, -2, 2];
        assert_eq!(
            small.map(|number| fold_sign(number.cast_unsigned())),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(unfold_sign(fold_sign(u64::MAX / 2 + 1)), u64::MAX / 2 + 1);
    }

    #[test]
    fn numbers_that_never_end_are_refused() {
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
        assert!(Cursor::new(&[0x80, 0x80]).varint().is_err());
        assert!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])
                .varint()
                .is_err()
        );
        assert!(Cursor::new(&[200, 1, 0]).count(1).is_err());
    }
}
