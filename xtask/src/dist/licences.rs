//! The account of the licences of everything that is linked into the program, as cargo and dpkg know it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::target::Target;
use crate::{command, toolchain};

/// The licence of the C library, as Debian's systems have it.
pub(super) const LGPL: &str = "/usr/share/common-licenses/LGPL-2.1";

/// Lists the crates that packages are built of.
const TREE: [&str; 13] = [
    "tree",
    "--locked",
    "--package",
    "devres-tracer",
    // As packages are built.
    "--no-default-features",
    "--edges",
    "normal",
    "--target",
    "all",
    "--prefix",
    "none",
    "--format",
    "{p}",
];

/// The text of `copyright` in the packages: the program's own licence, the C library, each crate in it with its version and
/// licence, and the notices that these ask for.
pub(super) fn account(target: Target) -> Result<String> {
    let tree = command::output(toolchain::cargo().args(TREE))?;
    let linked: BTreeSet<(&str, &str)> = tree.lines().filter_map(package).collect();
    let metadata = command::output(toolchain::cargo().args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let licences: BTreeMap<(&str, &str), (&str, &str)> = packages
        .into_iter()
        .flatten()
        .filter_map(|package| {
            let field = |name| package.get(name).and_then(Value::as_str);
            let said = (field("license")?, field("manifest_path")?);
            Some(((field("name")?, field("version")?), said))
        })
        .collect();
    let mut account = format!(
        "devres-tracer is licensed under MIT or Apache-2.0, at your choice. The eBPF probes in it are licensed\n\
         under MIT or GPL-2.0. The texts are in LICENSE-MIT, LICENSE-APACHE and LICENSE-GPL-2.0 beside this file.\n\n\
         The program is linked with the GNU C Library, which is licensed under LGPL-2.1-or-later: the text is in\n\
         LICENSE-LGPL-2.1 beside this file. It is that of Debian's package {}, where its source is, too.\n\
         The program's own source is all that it takes to link it with another version: `cargo xtask dist`.\n\n\
         The program also contains these crates, whose sources are on crates.io under the names and versions below.\n\
         Where there is a choice, it is MIT, or else the first. Their notices follow.\n\n",
        c_library(target)?
    );
    let mut notices: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for key in linked {
        let (name, version) = key;
        let (licence, manifest) = licences
            .get(&key)
            .with_context(|| format!("{name} {version} names no licence"))?;
        writeln!(account, "  {name} {version}: {licence}")?;
        let crate_directory = Path::new(manifest)
            .parent()
            .context("a file has a directory")?;
        for notice in notices_in(crate_directory)? {
            notices.entry(notice).or_default().push(name);
        }
    }
    for (notice, names) in notices {
        write!(account, "\n\n{}:\n\n{notice}", names.join(", "))?;
    }
    Ok(account)
}

/// Debian's package, with its version, of the C library that is linked in.
fn c_library(target: Target) -> Result<String> {
    let library = command::output(Command::new(target.compiler()).arg("-print-file-name=libc.a"))?;
    let library = fs::canonicalize(library.trim()).context("there is no libc.a")?;
    let owner = command::output(Command::new("dpkg-query").arg("--search").arg(&library))?;
    let (package, _) = owner
        .split_once(": ")
        .context("dpkg-query names no package")?;
    let format = "--showformat=${Package} ${Version}";
    command::output(Command::new("dpkg-query").args(["--show", format, package]))
}

/// What a crate asks to go along with it: the texts of its licences but those that are in the packages anyway and name
/// nobody. The C library in zstd-sys has its own.
fn notices_in(directory: &Path) -> Result<BTreeSet<String>> {
    const NAMES: [&str; 4] = ["license", "licence", "copying", "notice"];
    let mut notices = BTreeSet::new();
    for directory in [directory.to_owned(), directory.join("zstd")] {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.to_lowercase();
            let is_notice = NAMES.iter().any(|start| name.starts_with(start)) && path.is_file();
            if !is_notice || ["apache", "gpl"].iter().any(|other| name.contains(other)) {
                continue;
            }
            let notice = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            if !is_known(&notice) {
                notices.insert(notice.trim_end().to_owned());
            }
        }
    }
    Ok(notices)
}

/// Whether it is the text of Apache-2.0, the GPL or the LGPL, whatever its file is called.
fn is_known(notice: &str) -> bool {
    let beginning: Vec<&str> = notice.split_whitespace().take(4).collect();
    let beginning = beginning.join(" ").to_lowercase();
    ["apache license", "gnu general public", "gnu lesser general"]
        .iter()
        .any(|known| beginning.starts_with(known))
}

/// Name and version in a line such as `zstd v0.13.3 (*)`; nothing for a package of the workspace.
fn package(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    let own = words.next().is_some_and(|word| word.starts_with("(/"));
    (!own).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::{Target, account, package};

    #[test]
    fn the_c_library_and_the_notices_of_crates_are_there() {
        let account = account(Target::Amd64).unwrap();
        for expected in [
            "LGPL-2.1-or-later",
            "package libc6-dev 2.",
            "Copyright (c) Meta Platforms",
            "\n  zstd-sys 2",
        ] {
            assert!(account.contains(expected), "{expected}: {account}");
        }
        // Text that is in the packages anyway is not there once more.
        assert!(
            !account.contains("TERMS AND CONDITIONS FOR USE, REPRODUCTION"),
            "{account}"
        );
    }

    #[test]
    fn lines_of_the_tree_are_read() {
        for (line, expected) in [
            ("zstd v0.13.3", Some(("zstd", "0.13.3"))),
            ("zstd v0.13.3 (*)", Some(("zstd", "0.13.3"))),
            (
                "serde_derive v1.0.0 (proc-macro)",
                Some(("serde_derive", "1.0.0")),
            ),
            ("tracer-ebpf v0.1.0 (/source/tracer-ebpf)", None),
            ("", None),
        ] {
            assert_eq!(package(line), expected, "{line}");
        }
    }
}
