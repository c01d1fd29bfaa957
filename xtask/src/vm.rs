//! `cargo xtask vm`: kernels to be had, and commands run in them.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::apt::{AptRoot, KERNEL_SUITES};
use crate::workspace;

/// Arguments of `cargo xtask vm`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// List the kernels to be had.
    #[arg(long)]
    list: bool,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if !args.list {
        bail!("nothing to do: ask for --list");
    }
    let mut apt = AptRoot::open(&workspace::cache()?, args.mirror.as_deref())?;
    for suite in apt.update_if_stale(&KERNEL_SUITES)? {
        eprintln!("{} is not available: {}", suite.suite, suite.reason);
    }
    for package in apt.find("linux-image-*-amd64")? {
        println!("{} {} {}", package.name, package.version, package.suite);
    }
    Ok(ExitCode::SUCCESS)
}
