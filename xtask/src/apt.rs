//! Debian packages of any suite, fetched and verified by apt without touching the host's own package state.
//!
//! Each suite has a private apt root in the cache: its own sources list, made from the mirror the machine's apt is
//! configured for, its own lists and an empty package status. apt checks every file against the Debian archive's keys.

mod package;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::command;
use crate::mirror::Mirror;
pub(crate) use package::{Dependency, Package};
use package::{matches_pattern, parse_depends, parse_madison};

/// The suites that carry kernels worth testing on, oldest first.
pub(crate) const KERNEL_SUITES: [&str; 7] = [
    "bullseye",
    "bookworm",
    "trixie",
    "trixie-backports",
    "forky",
    "sid",
    "experimental",
];

/// Package lists older than this are fetched again before use.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The archive keys as the package `debian-archive-keyring` installs them, in its newer and its older form.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// Private apt roots, one for each suite, under one cache directory.
pub(crate) struct AptRoot {
    directory: PathBuf,
    architecture: Architecture,
    mirror: Mirror,
    keyring: PathBuf,
    host_acquire_settings: String,
    ready: Vec<String>,
}

/// A suite whose package lists could not be had.
#[derive(Debug)]
pub(crate) struct UnavailableSuite {
    /// The suite, as it was asked for.
    pub(crate) suite: String,
    /// What apt said.
    pub(crate) reason: String,
}

impl AptRoot {
    /// Opens the roots for x86-64 under `cache`, as [`Self::open_for`] does.
    pub(crate) fn open(cache: &Path, mirror: Option<&str>) -> Result<Self> {
        Self::open_for(Architecture::Amd64, cache, mirror)
    }

    /// Opens the roots for an architecture under `cache`. `mirror` replaces the mirror that the machine's apt is configured for.
    ///
    /// No suite can be searched before [`Self::update_if_stale`] has named it.
    pub(crate) fn open_for(
        architecture: Architecture,
        cache: &Path,
        mirror: Option<&str>,
    ) -> Result<Self> {
        let keyring = KEYRINGS.iter().map(Path::new).find(|path| path.exists()).context(
            "the keys of the Debian archive are missing: install the package debian-archive-keyring",
        )?;
        Ok(Self {
            directory: cache.join("apt").join(architecture.debian()),
            architecture,
            mirror: Mirror::find(mirror)?,
            keyring: keyring.to_owned(),
            host_acquire_settings: host_acquire_settings()?,
            ready: Vec::new(),
        })
    }

    /// Makes the package lists of `suites` usable, fetching those that are missing or more than a day old.
    ///
    /// A suite the mirror does not have is returned, with apt's reason, and left out of later searches.
    pub(crate) fn update_if_stale(&mut self, suites: &[&str]) -> Result<Vec<UnavailableSuite>> {
        let mut unavailable = Vec::new();
        for &suite in suites {
            match self.prepare_suite(suite, STALE_AFTER)? {
                None if self.ready.iter().any(|ready| ready == suite) => {}
                None => self.ready.push(suite.to_owned()),
                Some(reason) => unavailable.push(UnavailableSuite {
                    suite: suite.to_owned(),
                    reason,
                }),
            }
        }
        Ok(unavailable)
    }

    /// The lines of apt's sources for a suite.
    pub(crate) fn sources_list(&self, suite: &str) -> String {
        self.mirror
            .sources_list(suite, &self.keyring, self.architecture.debian())
    }

    /// What the packages are for.
    pub(crate) fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// All versions, in all ready suites, of the packages whose name matches `pattern`, in which `*` stands for any
    /// characters. Of one package in one suite the newest version comes first.
    pub(crate) fn find(&self, pattern: &str) -> Result<Vec<Package>> {
        let prefix = pattern.split('*').next().unwrap_or_default();
        let mut packages = Vec::new();
        for suite in &self.ready {
            let names = command::output(self.apt("apt-cache", suite).args(["pkgnames", prefix]))?;
            let mut names: Vec<&str> = names
                .lines()
                .filter(|name| matches_pattern(name, pattern))
                .collect();
            if names.is_empty() {
                continue;
            }
            names.sort_unstable();
            let table = command::output(self.apt("apt-cache", suite).arg("madison").args(names))?;
            packages.extend(parse_madison(&table, suite));
        }
        Ok(packages)
    }

    /// What `package` depends on (its `Depends` and `Pre-Depends` fields).
    pub(crate) fn depends(&self, package: &Package) -> Result<Vec<Dependency>> {
        let record = command::output(
            self.apt("apt-cache", &package.suite)
                .args(["show", &package.requirement()]),
        )?;
        Ok(parse_depends(&record))
    }

    /// Downloads `package` and returns the .deb file's path; a file that is there already is not fetched again.
    ///
    /// Fails if the suite's list names a file that the mirror no longer has: try another version then.
    pub(crate) fn download(&self, package: &Package) -> Result<PathBuf> {
        let suite = &package.suite;
        let directory = self.suite_directory(suite).join("packages");
        let plan = command::output(self.apt("apt-get", suite).args([
            "download",
            "--print-uris",
            &package.requirement(),
        ]))?;
        let file_name = plan.split_whitespace().nth(1).with_context(|| {
            format!("apt does not say how to download {}", package.requirement())
        })?;
        let path = directory.join(file_name);
        if path.exists() {
            return Ok(path);
        }
        // A directory of its own and a rename, so that neither an interruption nor another process leaves half a file.
        let partial = directory.join(format!("partial-{}", std::process::id()));
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot create {}", partial.display()))?;
        eprintln!("fetching {} {} from {suite}", package.name, package.version);
        let download = command::output(
            self.apt("apt-get", suite)
                .args(["download", &package.requirement()])
                .current_dir(&partial),
        );
        let result = download.and_then(|_| {
            fs::rename(partial.join(file_name), &path)
                .with_context(|| format!("apt did not leave {file_name} in {}", partial.display()))
        });
        fs::remove_dir_all(&partial)
            .with_context(|| format!("cannot remove {}", partial.display()))?;
        result.map(|()| path)
    }

    /// Brings one suite's lists up to date; `Some(reason)` if the suite is not to be had.
    fn prepare_suite(&self, suite: &str, stale_after: Duration) -> Result<Option<String>> {
        let directory = self.suite_directory(suite);
        for part in ["lists/partial", "archives/partial", "packages", "empty"] {
            let part = directory.join(part);
            fs::create_dir_all(&part)
                .with_context(|| format!("cannot create {}", part.display()))?;
        }
        let lock = File::create(directory.join("update.lock"))
            .context("cannot create the suite's lock")?;
        lock.lock().context("cannot lock the suite")?;

        let sources = self.sources_list(suite);
        let sources_changed = write_if_changed(&directory.join("sources.list"), &sources)?;
        write_if_changed(&directory.join("status"), "")?;
        write_if_changed(&directory.join("apt.conf"), &self.configuration(&directory))?;

        let stamp = directory.join("updated");
        if !sources_changed && age(&stamp).is_some_and(|age| age < stale_after) {
            return Ok(None);
        }
        eprintln!("fetching the package lists of {suite}");
        let update = command::run(self.apt("apt-get", suite).args(["-q", "update"]))?;
        // apt also fails when only an addition such as the security suite is missing: what counts is the suite's list.
        let lists = command::output(self.apt("apt-get", suite).args([
            "indextargets",
            "--format",
            "$(RELEASE)",
        ]))?;
        if !lists.lines().any(|line| line == suite) {
            let reason = command::error_text(&update);
            return Ok(Some(if reason.is_empty() {
                "the mirror has no package list for it".to_owned()
            } else {
                reason
            }));
        }
        if !update.status.success() {
            eprintln!(
                "warning: updating {suite}: {}",
                command::error_text(&update)
            );
        }
        fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(None)
    }

    fn suite_directory(&self, suite: &str) -> PathBuf {
        self.directory.join(suite)
    }

    /// A call of one of apt's programs on the suite's private root, in a fixed language.
    fn apt(&self, program: &str, suite: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.suite_directory(suite).join("apt.conf"))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// The private root's configuration: the host's way to the network, and nothing else of the host.
    fn configuration(&self, directory: &Path) -> String {
        let directory = directory.display();
        let architecture = self.architecture.debian();
        format!(
            "{}\
             Acquire::AllowInsecureRepositories \"false\";\n\
             Acquire::GzipIndexes \"false\";\n\
             Acquire::Languages \"none\";\n\
             APT::Architecture \"{architecture}\";\n\
             APT::Architectures {{ \"{architecture}\"; }};\n\
             APT::Sandbox::User \"root\";\n\
             Dir::Cache \"{directory}\";\n\
             Dir::Cache::archives \"{directory}/archives\";\n\
             Dir::State \"{directory}\";\n\
             Dir::State::lists \"{directory}/lists\";\n\
             Dir::State::status \"{directory}/status\";\n\
             Dir::Etc::main \"/dev/null\";\n\
             Dir::Etc::parts \"{directory}/empty\";\n\
             Dir::Etc::preferencesparts \"{directory}/empty\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::sourcelist \"{directory}/sources.list\";\n\
             Dir::Etc::sourceparts \"{directory}/empty\";\n",
            self.host_acquire_settings
        )
    }
}

/// Unpacks the files of a .deb into the directory `into`, which is created if it is not there.
pub(crate) fn unpack(deb: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    command::output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(into))
        .with_context(|| format!("cannot unpack {}", deb.display()))?;
    Ok(())
}

/// How the host's apt reaches the network (proxies, timeouts, date checks), in configuration file syntax.
pub(crate) fn host_acquire_settings() -> Result<String> {
    let dump = command::output(Command::new("apt-config").arg("dump"))
        .context("apt is needed to fetch Debian packages: run this on Debian or Ubuntu")?;
    Ok(acquire_settings(&dump))
}

fn acquire_settings(dump: &str) -> String {
    let mut settings = String::new();
    for line in dump.lines() {
        if line.starts_with("Acquire::") && !line.starts_with("Acquire::IndexTargets") {
            settings.push_str(line);
            settings.push('\n');
        }
    }
    settings
}

/// Writes `text` to `path` unless it is there already; returns whether it wrote.
fn write_if_changed(path: &Path, text: &str) -> Result<bool> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(false);
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// How long ago `path` was written; `None` if it is not there.
fn age(path: &Path) -> Option<Duration> {
    let modified = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()?;
    // A time stamp in the future counts as new.
    Some(
        SystemTime::now()
            .duration_since(modified)
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_network_settings_of_the_host_are_taken() {
        let dump = "\
APT::Update::Post-Invoke:: \"rm something\";
Acquire::http::Proxy \"http://proxy.example:3128\";
Acquire::IndexTargets::deb::Packages::MetaKey \"x\";
Dir \"/\";
";
        assert_eq!(
            acquire_settings(dump),
            "Acquire::http::Proxy \"http://proxy.example:3128\";\n"
        );
    }

    #[test]
    fn a_file_that_is_no_package_is_named_in_the_error() -> Result<()> {
        let directory = std::env::temp_dir().join(format!("xtask-apt-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let broken = directory.join("broken.deb");
        fs::write(&broken, "not a package")?;
        let result = unpack(&broken, &directory.join("out"));
        fs::remove_dir_all(&directory)?;
        let message = format!("{:#}", result.expect_err("a text file is not a package"));
        assert!(message.contains("broken.deb"), "{message}");
        Ok(())
    }
}
