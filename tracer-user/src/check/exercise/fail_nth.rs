//! A write in which the n-th allocation fails, by the kernel's fault injection: what the process does that writes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
};

use nix::libc;

/// Counts the task's allocations down, and lets fail the one that it comes to zero with.
const FILE: &str = "/proc/thread-self/fail-nth";

/// Takes the number off an order's first line, `12 /sys/...`, if one is in front of its path.
pub(super) fn split(line: &str) -> Option<(u32, &str)> {
    let (number, path) = line.split_once(' ')?;
    Some((number.parse().ok()?, path))
}

/// Writes a text to a file, with the allocation of this number failing in it. What came of it, and what was left of the
/// number: zero if one failed. An error if none could be made to fail; nothing is written then.
pub(super) fn write(path: &str, text: &str, nth: u32) -> io::Result<(io::Result<()>, u32)> {
    // All that allocates on the way comes before it is armed.
    let mut file = OpenOptions::new().write(true).open(path)?;
    let fail_nth = OpenOptions::new().read(true).write(true).open(FILE)?;
    let number = nth.to_string();
    fail_nth.write_all_at(number.as_bytes(), 0)?;
    let written = file.write_all(text.as_bytes());
    let left = left(&fail_nth);
    let disarmed = disarm(&fail_nth);
    let left = left?;
    disarmed?;
    Ok((written, left))
}

fn left(fail_nth: &File) -> io::Result<u32> {
    let mut buffer = [0; 16];
    match fail_nth.read_at(&mut buffer, 0) {
        Ok(length) => std::str::from_utf8(&buffer[..length])
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| io::ErrorKind::InvalidData.into()),
        // With CONFIG_FAULT_INJECTION_USERCOPY copying the number counts as well, and was what failed.
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(1),
        Err(error) => Err(error),
    }
}

/// Lets nothing fail that this process does next.
fn disarm(fail_nth: &File) -> io::Result<()> {
    let disarm = || fail_nth.write_all_at(b"0", 0);
    // For the same reason the first try may be what fails.
    disarm().or_else(|_| disarm())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_front_of_a_path_is_told_from_a_path() {
        assert_eq!(split("12 /sys/a b/bind"), Some((12, "/sys/a b/bind")));
        assert_eq!(split("/sys/bus/my bus/bind"), None);
        assert_eq!(split("/sys/bus/i2c/bind"), None);
    }

    #[test]
    fn where_nothing_can_be_made_to_fail_nothing_is_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let written = write(path, "0-0048", u32::MAX);
        let text = std::fs::read_to_string(path).unwrap();
        // A kernel that has it lets the write be done, and so many allocations are never made.
        match written {
            Ok((written, left)) => assert!(written.is_ok() && left > 0 && text == "0-0048"),
            Err(_) => assert!(text.is_empty()),
        }
    }
}
