//! Hooks in JSON: the kernel function's name, because a number says nothing.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
use tracer_ebpf::Hook;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(crate) fn serialize<S: Serializer>(hook: &Hook, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(hook.symbol())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hook, D::Error> {
    let name = String::deserialize(deserializer)?;
    Hook::named(name.as_bytes()).ok_or_else(|| {
        D::Error::custom(format!("{name:?} is not a function that the tracer hooks"))
    })
}
