//! The machine and its kernel, as far as a report to those who maintain them needs it.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

/// What a recording says of the machine beyond its kernel's release. Nothing in it distinguishes one machine from another of
/// its kind: no host name, no serial number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct System {
    /// The kernel's build, as `uname -v` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Vendor and product (DMI), or the device tree's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// `/proc/sys/kernel/tainted`, when the recording began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taint: Option<u64>,
}

/// The machine that a text is of, as far as it says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Its build, its board, and how it was tainted when it reported something first.
    pub system: System,
}

/// The letters of an oops and what they mean, in the order of the bits of `/proc/sys/kernel/tainted`.
const TAINTS: [(char, &str); 19] = [
    ('P', "proprietary module"),
    ('F', "module was force loaded"),
    ('S', "out of specification system"),
    ('R', "module was force unloaded"),
    ('M', "machine check exception"),
    ('B', "bad page"),
    ('U', "taint requested by user"),
    ('D', "kernel died recently"),
    ('A', "ACPI table overridden"),
    ('W', "kernel warned"),
    ('C', "staging driver"),
    ('I', "firmware workaround"),
    ('O', "out-of-tree module"),
    ('E', "unsigned module"),
    ('L', "soft lockup"),
    ('K', "live patched"),
    ('X', "auxiliary taint of the distribution"),
    ('T', "randomized structures"),
    ('N', "in-kernel test"),
];

impl System {
    /// The running one.
    #[must_use]
    pub fn running() -> Self {
        let version = nix::sys::utsname::uname().ok();
        let taint = fs::read_to_string("/proc/sys/kernel/tainted").ok();
        Self {
            version: version.map(|names| names.version().to_string_lossy().into_owned()),
            board: board(Path::new("/sys")),
            taint: taint.and_then(|number| number.trim().parse().ok()),
        }
    }
}

/// What the taint bits say: each letter with its meaning. Bits without a letter are shown by number.
#[must_use]
pub fn taints(bits: u64) -> Vec<String> {
    let set = (0..u64::BITS).filter(|bit| bits & (1 << bit) != 0);
    set.map(|bit| match TAINTS.get(bit as usize) {
        Some((letter, meaning)) => format!("{letter} ({meaning})"),
        None => format!("bit {bit}"),
    })
    .collect()
}

/// The bits that these letters of an oops stand for; `G`, that there is no proprietary module, is none.
#[must_use]
pub fn taint_bits(letters: &[u8]) -> u64 {
    let bit = |letter: &u8| {
        TAINTS
            .iter()
            .position(|(known, _)| *known == char::from(*letter))
    };
    letters
        .iter()
        .filter_map(bit)
        .fold(0, |bits, bit| bits | 1 << bit)
}

/// Who made the machine and what it is called, where the firmware says so.
fn board(sys: &Path) -> Option<String> {
    let read = |path: &str| {
        let text = fs::read(sys.join(path)).ok()?;
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_matches(|end: char| end == '\0' || end.is_whitespace());
        let is_told = !text.is_empty() && !is_placeholder(text);
        is_told.then(|| text.to_owned())
    };
    let dmi = |vendor: &str, name: &str| {
        let name = read(&format!("class/dmi/id/{name}"))?;
        Some(match read(&format!("class/dmi/id/{vendor}")) {
            Some(vendor) if !name.starts_with(&vendor) => format!("{vendor} {name}"),
            _ => name,
        })
    };
    dmi("sys_vendor", "product_name")
        .or_else(|| dmi("board_vendor", "board_name"))
        .or_else(|| read("firmware/devicetree/base/model"))
}

/// What vendors leave in their tables when they have nothing to say.
fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "to be filled",
        "system product name",
        "default string",
        "not specified",
        "not applicable",
    ]
    .iter()
    .any(|placeholder| text.starts_with(placeholder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_named_by_its_firmware() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(board(directory.path()), None);
        write("firmware/devicetree/base/model", "Acme Model 4 B\0");
        assert_eq!(board(directory.path()).as_deref(), Some("Acme Model 4 B"));
        write("class/dmi/id/board_vendor", "Acme Inc.\n");
        write("class/dmi/id/board_name", "X1\n");
        write("class/dmi/id/product_name", "To Be Filled By O.E.M.\n");
        assert_eq!(board(directory.path()).as_deref(), Some("Acme Inc. X1"));
        write("class/dmi/id/sys_vendor", "Acme\n");
        write("class/dmi/id/product_name", "Acme Book 3\n");
        assert_eq!(board(directory.path()).as_deref(), Some("Acme Book 3"));
    }

    #[test]
    fn taint_bits_have_the_kernels_letters() {
        assert!(taints(0).is_empty());
        assert_eq!(
            taints((1 << 12) | (1 << 9) | (1 << 60)),
            ["W (kernel warned)", "O (out-of-tree module)", "bit 60"]
        );
    }
}
