//! The kernel's error numbers by their names.

use nix::errno::Errno;

/// `-EPROBE_DEFER`, which has no place in userspace's `errno.h`.
pub const PROBE_DEFER: i64 = -517;

/// An error by its name, such as `-EBUSY`; by its number where it has none. `value` is negative.
#[must_use]
pub fn name(value: i64) -> String {
    if value == PROBE_DEFER {
        return "-EPROBE_DEFER".to_owned();
    }
    let number = i32::try_from(value.unsigned_abs()).unwrap_or(i32::MAX);
    match Errno::from_raw(number) {
        Errno::UnknownErrno => value.to_string(),
        known => format!("-{known:?}"),
    }
}
