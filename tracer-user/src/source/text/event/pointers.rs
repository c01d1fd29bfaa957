//! What the printed node addresses of an input are worth.

use crate::{
    evidence::Addresses,
    source::text::record::resource::{Operation, Pointer},
};

/// Lines of short addresses from which on they can be taken for real ones.
const ENOUGH: u64 = 4;
/// Kernel addresses of 32-bit kernels are above this, and nodes lie on words.
const KERNEL_32: u64 = 0x8000_0000;

/// Counts how addresses were printed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Pointers {
    lines: u64,
    absent: u64,
    /// The address of the line before, with the same operation.
    repeated: u64,
    /// Sixteen digits, the upper eight zero: a hash.
    hashed: u64,
    /// Sixteen digits of a kernel address.
    real: u64,
    /// Eight digits that can be a kernel address.
    short_real: u64,
    adds: u64,
    /// Additions of which a function event gives the real address.
    paired: u64,
    last: Option<(Operation, u64)>,
}

impl Pointers {
    /// Takes a printed address into account.
    pub(in crate::source::text) fn count(&mut self, operation: Operation, pointer: Pointer) {
        self.lines += 1;
        self.adds += u64::from(operation == Operation::Add);
        match pointer {
            Pointer::Absent => self.absent += 1,
            Pointer::Long(value) if value >> 32 == 0 => self.hashed += 1,
            Pointer::Long(_) => self.real += 1,
            Pointer::Short(value) => {
                self.short_real += u64::from(value >= KERNEL_32 && value % 4 == 0);
            }
        }
        let now = (operation, pointer.value());
        self.repeated += u64::from(self.last == Some(now) && now.1 != 0);
        self.last = Some(now);
    }

    /// A function event gives the real address of the node that was counted last.
    pub(in crate::source::text) fn pair(&mut self) {
        self.paired += 1;
    }

    /// Whether there were any.
    pub(in crate::source::text) fn any(&self) -> bool {
        self.lines > 0
    }

    /// What they are worth.
    pub(in crate::source::text) fn worth(&self) -> Addresses {
        let useless = self.repeated * 2 > self.lines;
        let all_short = self.short_real == self.lines && self.lines >= ENOUGH;
        if self.absent > 0 || useless {
            Addresses::Absent
        } else if self.real == self.lines || all_short || self.paired == self.adds && self.adds > 0
        {
            Addresses::Real
        } else {
            Addresses::Hashed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(pointers: &[(Operation, Pointer)]) -> Addresses {
        let mut counted = Pointers::default();
        for (operation, pointer) in pointers {
            counted.count(*operation, *pointer);
        }
        counted.worth()
    }

    #[test]
    fn addresses_are_judged_by_how_they_are_printed() {
        use Operation::{Add, Release};
        use Pointer::{Absent, Long, Short};
        let (hash, real) = (Long(0x323c_cdc5), Long(0xffff_8881_03b2_c000));
        assert_eq!(worth(&[(Add, hash), (Release, hash)]), Addresses::Hashed);
        assert_eq!(worth(&[(Add, real), (Release, real)]), Addresses::Real);
        assert_eq!(worth(&[(Add, real), (Release, hash)]), Addresses::Hashed);
        assert_eq!(worth(&[(Add, Absent), (Release, hash)]), Addresses::Absent);
        assert_eq!(worth(&[(Release, real); 3]), Addresses::Absent);
        let short = [0xc100_0010, 0xc100_0020, 0xc100_0030, 0xc100_0044];
        let short = short.map(|value| (Add, Short(value)));
        assert_eq!(worth(&short), Addresses::Real);
        assert_eq!(worth(&[(Add, Short(0xf0ec_fb01)); 1]), Addresses::Hashed);
        assert_eq!(worth(&short[..3]), Addresses::Hashed);
    }

    #[test]
    fn hashes_are_real_where_every_addition_tells_the_address() {
        let mut counted = Pointers::default();
        counted.count(Operation::Add, Pointer::Long(1));
        counted.pair();
        counted.count(Operation::Release, Pointer::Long(1));
        assert_eq!(counted.worth(), Addresses::Real);
        counted.count(Operation::Add, Pointer::Long(2));
        assert_eq!(counted.worth(), Addresses::Hashed);
    }
}
