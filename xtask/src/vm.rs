//! `cargo xtask vm`: kernels to be had, and commands run in them.

use std::process::ExitCode;

use anyhow::Result;

use crate::apt::{AptRoot, Package};
use crate::kernel::{self, Kernel, KernelOffer};
use crate::workspace;

/// Arguments of `cargo xtask vm`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// List the kernels to be had.
    #[arg(long)]
    list: bool,
    /// The kernel
    #[arg(long, default_value = "newest")]
    kernel: String,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        return list(args.mirror.as_deref());
    }
    let kernel = Kernel::obtain(&args.kernel, false, args.mirror.as_deref())?;
    println!("{kernel:?}");
    Ok(ExitCode::SUCCESS)
}

/// Prints the newest kernel of each series.
fn list(mirror: Option<&str>) -> Result<ExitCode> {
    let mut apt = AptRoot::open(&workspace::cache()?, mirror)?;
    let offers = KernelOffer::all(&mut apt)?;
    let cached = Kernel::cached()?;
    println!(
        "{:<8}{:<28}{:<24}{:<18}CACHED",
        "NAME", "RELEASE", "VERSION", "SUITE"
    );
    for offer in kernel::newest_of_each_series(&offers) {
        let series = kernel::series(&offer.release);
        let in_cache: Vec<&str> = cached
            .iter()
            .filter(|kernel| kernel::series(&kernel.release) == series)
            .map(|kernel| kernel.release.as_str())
            .collect();
        let Package { version, suite, .. } = &offer.package;
        println!(
            "{series:<8}{:<28}{version:<24}{suite:<18}{}",
            offer.release,
            in_cache.join(" ")
        );
    }
    Ok(ExitCode::SUCCESS)
}
