//! The task in whose context an event happened.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A task, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Thread id, in the initial pid namespace.
    pub tid: u32,
    /// Thread group id: the process.
    pub tgid: u32,
    /// `current->comm`.
    pub comm: Comm,
}

/// A task's name: at most fifteen bytes and a terminating zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// The first fifteen bytes of `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; 16];
        for (slot, byte) in bytes.iter_mut().take(15).zip(name.bytes()) {
            *slot = byte;
        }
        Self(bytes)
    }

    /// `task_struct.comm`: what lies behind its terminating zero is left of an earlier name.
    #[must_use]
    pub fn of_kernel(bytes: [u8; 16]) -> Self {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        // The highest bit of each byte that is zero, and perhaps of some behind the first of them.
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
        let in_front_of = |zeros: u64| ((zeros & zeros.wrapping_neg()) >> 7) - 1;
        let [first, second]: [[u8; 8]; 2] = zerocopy::transmute!(bytes);
        let (first, second) = (u64::from_le_bytes(first), u64::from_le_bytes(second));
        let (first, second) = match zeros(first) {
            0 => (first, second & in_front_of(zeros(second) | 1 << 63)),
            zeros => (first & in_front_of(zeros), 0),
        };
        Self(zerocopy::transmute!([
            first.to_le_bytes(),
            second.to_le_bytes()
        ]))
    }

    /// The name, up to the first zero byte.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        let name = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name)
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.name())
    }
}

impl JsonSchema for Comm {
    fn schema_name() -> Cow<'static, str> {
        "Comm".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl Serialize for Comm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Comm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_a_name_is_not_part_of_it() {
        for (kernel, name) in [
            (*b"bash\0orker/0:1\0\0", "bash"),
            (*b"\0worker/u8:2-ev\0", ""),
            (*b"kworker/u8:2-ev\0", "kworker/u8:2-ev"),
            (*b"a name\x01\0\x01\0\xff\x80\0\0\0\0", "a name\x01"),
            ([0xff; 16], &"\u{fffd}".repeat(15)),
        ] {
            let comm = Comm::of_kernel(kernel);
            assert_eq!(comm.name(), name);
            let length = comm.0.iter().position(|byte| *byte == 0).unwrap();
            assert!(comm.0[length..].iter().all(|byte| *byte == 0), "{comm:?}");
        }
    }
}
