//! `cargo xtask screenshots`: the pictures of the live view that the documents show.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// The recording that is shown: what `devres-tracer demo` shows, made in a stock kernel by `cargo xtask record-demo`.
const RECORDING: &str = "tracer-user/demo/pvpanic-6.1.dvrt";

/// Where the pictures go.
const DIRECTORY: &str = "docs/images";

/// The pictures: name, size, and the keys that lead there.
const PICTURES: [(&str, &str, &str); 4] = [
    ("devices", "100x26", ""),
    ("stack", "100x26", "t # 3 8 Enter 2"),
    ("finding", "100x26", "3 Enter"),
    ("timeline", "100x24", "4"),
];

/// Draws all pictures anew.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let directory = root.join(DIRECTORY);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, size, keys) in PICTURES {
        let picture = directory.join(name).with_extension("svg");
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "run",
                "--quiet",
                "--package",
                "devres-tracer",
                "--example",
                "screenshot",
                "--",
            ])
            .arg(root.join(RECORDING))
            .args([size, keys])
            .arg(&picture)
            .current_dir(root)
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "{name} could not be drawn ({status})");
        println!("{DIRECTORY}/{name}.svg is new");
    }
    Ok(())
}
