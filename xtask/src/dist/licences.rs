//! The account of the licences of everything that is linked into the program, as cargo knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{command, toolchain};

/// The text of `copyright` in the packages: the program's own licence, and each crate in it with its version and licence.
pub(super) fn account() -> Result<String> {
    let tree = command::output(toolchain::cargo().args([
        "tree",
        "--locked",
        "--package",
        "devres-tracer",
        "--edges",
        "normal",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let linked: BTreeSet<(&str, &str)> = tree.lines().filter_map(package).collect();
    let metadata = command::output(toolchain::cargo().args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let licences: BTreeMap<(&str, &str), &str> = packages
        .into_iter()
        .flatten()
        .filter_map(|package| {
            let field = |name| package.get(name).and_then(Value::as_str);
            Some(((field("name")?, field("version")?), field("license")?))
        })
        .collect();
    let mut account = String::from(
        "devres-tracer is licensed under MIT or Apache-2.0, at your choice. The eBPF probes in it are licensed\n\
         under MIT or GPL-2.0. The texts are in LICENSE-MIT, LICENSE-APACHE and LICENSE-GPL-2.0 beside this file.\n\n\
         The program also contains these crates, whose sources are on crates.io under the names and versions below:\n\n",
    );
    for key in linked {
        let (name, version) = key;
        let licence = licences
            .get(&key)
            .with_context(|| format!("{name} {version} names no licence"))?;
        writeln!(account, "  {name} {version}: {licence}")?;
    }
    Ok(account)
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
    use super::package;

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
