//! `cargo xtask kmod`: the test module of `tests/kmod`, and `kmod/devres_fail`, built for a stock kernel.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::architecture::Architecture;
use crate::headers::Headers;
use crate::kernel::Kernel;
use crate::{command, tools, workspace};

/// The module with the scenarios.
pub(crate) const MODULE: &str = "devres_test.ko";

/// A module that adds an action to a device of the first one; it lies beside it.
pub(crate) const CALLBACK_MODULE: &str = "devres_test_callback.ko";

/// The module that lets a probe's acquisitions fail.
pub(crate) const FAIL_MODULE: &str = "devres_fail.ko";

/// Modules that are built together.
struct Sources {
    /// Where they lie in the workspace.
    directory: &'static str,
    /// Where they are kept, among what is made of a kernel.
    kept: &'static str,
    modules: &'static [&'static str],
}

const TEST_SOURCES: Sources = Sources {
    directory: "tests/kmod",
    kept: "kmod",
    modules: &[MODULE, CALLBACK_MODULE],
};

const FAIL_SOURCES: Sources = Sources {
    directory: "kmod/devres_fail",
    kept: "kmod-fail",
    modules: &[FAIL_MODULE],
};

/// Arguments of `cargo xtask kmod`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel: a series (`6.1`, `7`), a release (`6.1.0-56-amd64`), or `newest`.
    #[arg(long, value_name = "NAME", default_value = "newest")]
    kernel: String,
    /// Fetch the newest point release even if the cache has one of the series.
    #[arg(long)]
    update: bool,
    /// Build `devres_fail`, which lets the acquisitions of a probe fail, instead.
    #[arg(long)]
    fail: bool,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Builds a module and prints its path.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mirror = args.mirror.as_deref();
    let kernel = Kernel::obtain(&args.kernel, args.update, mirror)?;
    let module = if args.fail {
        build_fail(&kernel, mirror)?.context("devres_fail is for amd64 only")?
    } else {
        build(&kernel, mirror)?
    };
    println!("{}", module.display());
    Ok(ExitCode::SUCCESS)
}

/// The path of `devres_test.ko` for `kernel`, built if its sources have changed since it last was;
/// `devres_test_callback.ko` lies beside it. `mirror` as in [`crate::apt::AptRoot::open`].
///
/// Compiler warnings are errors. On kernels whose headers come without BTF (up to 6.1) the module has none.
pub(crate) fn build(kernel: &Kernel, mirror: Option<&str>) -> Result<PathBuf> {
    Ok(build_all(kernel, &TEST_SOURCES, mirror)?.join(MODULE))
}

/// The path of `devres_fail.ko` for `kernel`, if it is for that architecture.
pub(crate) fn build_fail(kernel: &Kernel, mirror: Option<&str>) -> Result<Option<PathBuf>> {
    if kernel.architecture() != Architecture::Amd64 {
        return Ok(None);
    }
    let directory = build_all(kernel, &FAIL_SOURCES, mirror)?;
    Ok(Some(directory.join(FAIL_MODULE)))
}

/// The directory with these modules.
fn build_all(kernel: &Kernel, wanted: &Sources, mirror: Option<&str>) -> Result<PathBuf> {
    let directory = kernel.derived_files()?.join(wanted.kept);
    let lock = File::create(directory.with_extension("lock"))
        .context("cannot create the modules' lock")?;
    lock.lock().context("cannot lock the modules")?;

    let sources = read_files(&workspace::root().join(wanted.directory))?;
    let built = directory.join("built");
    if built.exists() && read_files(&directory.join("sources"))? == sources {
        return Ok(built);
    }
    let headers = Headers::obtain(kernel, mirror)?;
    tools::require(&[kernel.architecture().target().compiler(), "make"])?;

    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    let work = directory.join("work");
    // A copy that no build files mix with is what the next call compares.
    for copy in [&work, &directory.join("sources")] {
        write_files(copy, &sources)?;
    }
    make(kernel.architecture(), &headers, &work)
        .with_context(|| format!("cannot build {} for {}", wanted.directory, kernel.release))?;
    let finished = directory.join("finished");
    fs::create_dir_all(&finished).context("cannot create the modules' directory")?;
    for module in wanted.modules {
        fs::rename(work.join(module), finished.join(module))
            .with_context(|| format!("the build left no {module}"))?;
    }
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    fs::rename(&finished, &built).context("cannot move the modules into place")?;
    Ok(built)
}

fn make(architecture: Architecture, headers: &Headers, work: &Path) -> Result<()> {
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(headers.build_directory())
        .arg(format!("M={}", work.display()))
        .arg(format!("ARCH={}", architecture.kernel()))
        .arg(format!("CC={}", headers.compiler().display()));
    if let Some(prefix) = architecture.target().compiler().strip_suffix("gcc") {
        make.arg(format!("CROSS_COMPILE={prefix}"));
    }
    if let Some(pahole) = headers.pahole() {
        make.arg(format!("PAHOLE={}", pahole.display()));
    }
    let output = command::run(make.args(["-j2", "modules"]))?;
    if !output.status.success() {
        bail!(
            "`{}` failed:\n{}",
            command::describe(&make),
            command::error_text(&output)
        );
    }
    Ok(())
}

/// The names and contents of the files in a directory.
fn read_files(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?
    {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let contents =
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.insert(name.into_owned(), contents);
    }
    Ok(files)
}

fn write_files(directory: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, contents) in files {
        let path = directory.join(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
