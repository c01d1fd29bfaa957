//! What the driver core says of a probe that failed, right before what it had acquired is released.

use super::kernel_log::{self, Who};
use crate::source::text::scan::around;

/// What such a line contains.
pub(in crate::source::text) const WORDS: &str = " failed with error ";

/// The device whose probe failed: `demo demo.0: probe with driver demo failed with error -22`, before 6.10
/// `demo: probe of demo.0 failed with error -22`.
pub(in crate::source::text) fn read(line: &[u8]) -> Option<Who<'_>> {
    let (before, _) = around(line, WORDS.as_bytes())?;
    if let Some((subject, _)) = around(before, b" probe with driver ") {
        return Some(kernel_log::subject(subject)?.1).filter(|who| who.device.is_some());
    }
    let (subject, device) = around(before, b": probe of ")?;
    let (_, driver) = kernel_log::beginning(subject);
    let is_name = |name: &[u8]| !name.is_empty() && !name.contains(&b' ');
    (is_name(driver) && is_name(device)).then_some(Who {
        driver: Some(driver),
        device: Some(device),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_whose_probe_failed_is_told() {
        for line in [
            "[ 1.0] demo demo.0: probe with driver demo failed with error -22",
            "[ 1.0] demo: probe of demo.0 failed with error -22",
        ] {
            let who = read(line.as_bytes()).unwrap();
            assert_eq!(who.driver, Some(&b"demo"[..]), "{line}");
            assert_eq!(who.device, Some(&b"demo.0"[..]), "{line}");
        }
        for line in [
            "demo demo.0: DMA failed with error -22",
            "the probe of this failed with error -22",
        ] {
            assert!(read(line.as_bytes()).is_none(), "{line}");
        }
    }
}
