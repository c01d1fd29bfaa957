//! Roles of arguments in JSON: their names.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
use tracer_ebpf::Role;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(crate) fn serialize<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(role.name())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let name = String::deserialize(deserializer)?;
    let mut known = Role::ALL.iter().copied();
    known.find(|role| role.name() == name).ok_or_else(|| {
        D::Error::custom(format!("{name:?} is not an argument that the tracer knows"))
    })
}
