//! A kernel's headers and build tools, fetched from Debian and made to work where they are unpacked.
//!
//! The headers expect to lie below `/usr/src`, their tools the C library of their own suite, and newer kernels a newer
//! compiler than Debian 12 has. So paths in their makefile are rewritten, each tool is called by a script that hands it
//! to its own suite's loader and libraries, and the compiler by one that translates an option.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::apt::{self, AptRoot, Package};
use crate::architecture::Architecture;
use crate::kernel::Kernel;
use crate::workspace;

/// Where Debian's packages install the loader and the libraries, in newer suites and in older ones.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
const LOADER: &str = "ld-linux-x86-64.so.2";

/// Older compilers than gcc 14 know the alignment option only by its other name, whose meaning is the same for modules;
/// and attributes that the headers use because the kernel's own compiler knows them are no reason for warnings.
///
/// Under its old name the option doesn't align cold functions, and ftrace on 64-bit ARM needs all of them aligned: so no
/// function is cold there.
fn compiler_script(architecture: Architecture) -> String {
    let without_cold = match architecture {
        Architecture::Arm64 => " -D__cold__=",
        Architecture::Amd64 | Architecture::Riscv64 | Architecture::Armhf => "",
    };
    format!(
        "#!/bin/bash\nexec {} \"${{@/#-fmin-function-alignment=/-falign-functions=}}\" -Wno-attributes{without_cold}\n",
        architecture.target().compiler()
    )
}

/// What a module is built against.
pub(crate) struct Headers {
    directory: PathBuf,
    release: String,
    architecture: Architecture,
}

impl Headers {
    /// The headers of `kernel`, fetched into the cache if they are not there. `mirror` as in [`AptRoot::open`].
    pub(crate) fn obtain(kernel: &Kernel, mirror: Option<&str>) -> Result<Self> {
        let all = workspace::cache()?.join("headers");
        fs::create_dir_all(&all).with_context(|| format!("cannot create {}", all.display()))?;
        let name = format!("{}_{}", kernel.release, kernel.package.version);
        let headers = Self {
            directory: all.join(&name),
            release: kernel.release.clone(),
            architecture: kernel.architecture(),
        };
        let lock = File::create(all.join(format!("{name}.lock")))
            .context("cannot create the headers' lock")?;
        lock.lock().context("cannot lock the headers")?;
        if headers.prepared_mark().exists() {
            return Ok(headers);
        }
        headers
            .fetch(kernel, mirror)
            .with_context(|| format!("cannot get the headers of {}", kernel.release))?;
        headers.prepare()?;
        fs::write(headers.prepared_mark(), "").context("cannot mark the headers as prepared")?;
        Ok(headers)
    }

    /// The directory `make -C` wants.
    pub(crate) fn build_directory(&self) -> PathBuf {
        let name = format!("linux-headers-{}", self.release);
        self.directory.join("usr/src").join(name)
    }

    /// The compiler to build with.
    pub(crate) fn compiler(&self) -> PathBuf {
        self.directory.join("gcc")
    }

    /// The tool that makes a module's BTF, where the kernel's packages ask for one.
    pub(crate) fn pahole(&self) -> Option<PathBuf> {
        let path = self.directory.join("tools/usr/bin/pahole");
        path.exists().then_some(path)
    }

    /// A file that is there once the directory is complete.
    fn prepared_mark(&self) -> PathBuf {
        self.directory.join("prepared")
    }

    fn fetch(&self, kernel: &Kernel, mirror: Option<&str>) -> Result<()> {
        let suite = kernel.package.suite.as_str();
        let library_suite = library_suite(suite);
        let cache = workspace::cache()?;
        let mut target = AptRoot::open_for(self.architecture, &cache, mirror)?;
        make_ready(&mut target, &[suite])?;
        // The tools run on this machine.
        let mut host = AptRoot::open(&cache, mirror)?;
        make_ready(&mut host, &[suite, library_suite])?;
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory)
                .with_context(|| format!("cannot remove {}", self.directory.display()))?;
        }

        let version = &kernel.package.version;
        let first = format!("linux-headers-{}", kernel.release);
        let is_header = |name: &str| name.starts_with("linux-headers-");
        let is_build = |name: &str| name.starts_with("linux-kbuild-");
        let headers = closure(&target, &[first], &[suite], Some(version), is_header)?;
        let needed = needs(&target, &headers)?;
        let builds: Vec<String> = needed
            .iter()
            .filter(|name| is_build(name))
            .cloned()
            .collect();
        let builds = closure(&host, &builds, &[suite], Some(version), is_build)?;
        for (apt, packages) in [(&target, &headers), (&host, &builds)] {
            for package in packages {
                apt::unpack(&apt.download(package)?, &self.directory)?;
            }
        }

        let is_tool = |name: &String| is_library(name) || name == "pahole";
        let tools: BTreeSet<String> = needed
            .into_iter()
            .chain(needs(&host, &builds)?)
            .filter(is_tool)
            .collect();
        let tools: Vec<String> = tools.into_iter().collect();
        for package in closure(&host, &tools, &[library_suite, suite], None, is_library)? {
            apt::unpack(&host.download(&package)?, &self.directory.join("tools"))?;
        }
        Ok(())
    }

    fn prepare(&self) -> Result<()> {
        let makefile = self.build_directory().join("Makefile");
        let text = fs::read_to_string(&makefile)
            .with_context(|| format!("cannot read {}", makefile.display()))?;
        let sources = format!("{}/", self.directory.join("usr/src").display());
        fs::write(&makefile, text.replace("/usr/src/", &sources))
            .with_context(|| format!("cannot write {}", makefile.display()))?;

        write_script(&self.compiler(), &compiler_script(self.architecture))?;
        self.wrap_tools(&self.directory.join("usr/lib"))?;
        self.pahole()
            .map_or(Ok(()), |pahole| self.wrap_tool(&pahole))
    }

    /// Wraps the programs in a directory and in those below it.
    fn wrap_tools(&self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory)
            .with_context(|| format!("cannot list {}", directory.display()))?
        {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.wrap_tools(&path)?;
            } else if kind.is_file() && is_program(&path)? {
                self.wrap_tool(&path)?;
            }
        }
        Ok(())
    }

    /// Puts a script in a program's place that runs it with its own suite's libraries, and under the script's name:
    /// some tools look for others beside themselves.
    fn wrap_tool(&self, path: &Path) -> Result<()> {
        let mut program = path.as_os_str().to_owned();
        program.push(".elf");
        fs::rename(path, &program).with_context(|| format!("cannot move {}", path.display()))?;
        let libraries = LIBRARIES.map(|path| self.directory.join("tools").join(path));
        let loader = libraries
            .iter()
            .map(|path| path.join(LOADER))
            .find(|path| path.exists())
            .context("the tools' C library has no loader")?;
        let [newer, older] = &libraries;
        let script = format!(
            "#!/bin/sh\nexec '{}' --argv0 \"$0\" --library-path '{}:{}' '{}' \"$@\"\n",
            loader.display(),
            newer.display(),
            older.display(),
            Path::new(&program).display(),
        );
        write_script(path, &script)
    }
}

fn make_ready(apt: &mut AptRoot, suites: &[&str]) -> Result<()> {
    match apt.update_if_stale(suites)?.first() {
        Some(missing) => bail!(
            "the suite {} is not available: {}",
            missing.suite,
            missing.reason
        ),
        None => Ok(()),
    }
}

/// The names of all that packages depend on.
fn needs(apt: &AptRoot, packages: &[Package]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for package in packages {
        names.extend(apt.depends(package)?.into_iter().map(|needed| needed.name));
    }
    Ok(names)
}

/// The suite whose libraries the tools of `suite` run with: its own, or the one it is an addition to. Bullseye's loader
/// cannot be told a program's name, and the next one's libraries serve as well.
fn library_suite(suite: &str) -> &str {
    match suite {
        "bullseye" => "bookworm",
        "experimental" => "sid",
        other => other.strip_suffix("-backports").unwrap_or(other),
    }
}

/// Whether a package has libraries that the tools of a build need; those for signing are not called.
fn is_library(name: &str) -> bool {
    name == "zlib1g" || (name.starts_with("lib") && !name.starts_with("libssl"))
}

/// The packages `names` and all they depend on whose names are `wanted`, each from the first of `suites` that has it,
/// in `version` if it is there in that.
fn closure(
    apt: &AptRoot,
    names: &[String],
    suites: &[&str],
    version: Option<&str>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Package>> {
    let mut names = names.to_vec();
    let mut packages: Vec<Package> = Vec::new();
    while let Some(name) = names.pop() {
        if packages.iter().any(|package| package.name == name) {
            continue;
        }
        let candidates = apt.find(&name)?;
        let package = choose(&candidates, suites, version).with_context(|| {
            format!(
                "{name} is not in the package lists of {} any more",
                suites.join(" or ")
            )
        })?;
        let needs = apt.depends(package)?.into_iter().map(|needed| needed.name);
        names.extend(needs.filter(|name| wanted(name)));
        packages.push(package.clone());
    }
    Ok(packages)
}

fn choose<'a>(
    candidates: &'a [Package],
    suites: &[&str],
    version: Option<&str>,
) -> Option<&'a Package> {
    let suite = suites
        .iter()
        .find(|suite| candidates.iter().any(|package| package.suite == **suite))?;
    let in_suite = || candidates.iter().filter(|package| package.suite == *suite);
    in_suite()
        .find(|package| Some(package.version.as_str()) == version)
        .or_else(|| in_suite().next())
}

/// Whether a file is an executable that a loader has to run.
fn is_program(path: &Path) -> Result<bool> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    if file.metadata()?.permissions().mode() & 0o100 == 0 {
        return Ok(false);
    }
    let mut start = [0; 4];
    let length = file
        .read(&mut start)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(length == start.len() && start == *b"\x7fELF")
}

fn write_script(path: &Path, script: &str) -> Result<()> {
    ensure!(
        !path.to_string_lossy().contains('\''),
        "the cache's path must not contain an apostrophe: {}",
        path.display()
    );
    fs::write(path, script).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: &str, suite: &str) -> Package {
        Package {
            name: "linux-kbuild-5.10".to_owned(),
            version: version.to_owned(),
            suite: suite.to_owned(),
        }
    }

    #[test]
    fn the_kernels_own_version_is_preferred_in_the_first_suite_that_has_the_package() {
        let candidates = [
            package("7.2.13-1", "sid"),
            package("5.10.262-1", "bullseye"),
            package("5.10.223-1", "bullseye"),
        ];
        let version = |suites: &[&str], version| {
            choose(&candidates, suites, version).map(|package| package.version.as_str())
        };
        assert_eq!(
            version(&["bullseye"], Some("5.10.223-1")),
            Some("5.10.223-1")
        );
        assert_eq!(version(&["bullseye"], Some("5.10.1-1")), Some("5.10.262-1"));
        assert_eq!(version(&["trixie", "sid"], None), Some("7.2.13-1"));
        assert_eq!(version(&["trixie"], None), None);
    }

    #[test]
    fn additions_take_the_libraries_of_the_suite_they_add_to() {
        assert_eq!(library_suite("trixie-backports"), "trixie");
        assert_eq!(library_suite("experimental"), "sid");
        assert_eq!(library_suite("bullseye"), "bookworm");
        assert_eq!(library_suite("trixie"), "trixie");
    }
}
