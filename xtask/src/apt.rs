//! Debian packages of any suite, fetched and verified by apt without touching the host's own package state.
//!
//! Each suite has a private apt root in the cache: its own sources list, made from the mirror the machine's apt is
//! configured for, its own lists and an empty package status. apt checks every file against the Debian archive's keys.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::command;
use crate::mirror::Mirror;

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

/// One version of a package in one suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// The binary package's name.
    pub(crate) name: String,
    /// The full Debian version, with epoch and revision.
    pub(crate) version: String,
    /// The suite it was found in, as it was given to [`AptRoot::update_if_stale`].
    pub(crate) suite: String,
}

/// A package that another one depends on; of alternatives, the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The binary package's name, without an architecture qualifier.
    pub(crate) name: String,
    /// The version, where the dependency asks for exactly one (`=`).
    pub(crate) exact_version: Option<String>,
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

impl Package {
    /// The package and version in apt's `name=version` notation.
    fn requirement(&self) -> String {
        format!("{}={}", self.name, self.version)
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

/// Whether `name` matches `pattern`, in which `*` stands for any characters.
fn matches_pattern(name: &str, pattern: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    while let Some((middle, after)) = rest.split_once('*') {
        let Some((_, remaining)) = name.split_once(middle) else {
            return false;
        };
        name = remaining;
        rest = after;
    }
    name.ends_with(rest)
}

/// Reads `apt-cache madison`: lines `name | version | repository`, newest version first.
fn parse_madison(table: &str, suite: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    for line in table.lines() {
        let mut columns = line.split('|').map(str::trim);
        if let (Some(name), Some(version), Some(repository)) =
            (columns.next(), columns.next(), columns.next())
            && repository.ends_with(" Packages")
        {
            let package = Package {
                name: name.to_owned(),
                version: version.to_owned(),
                suite: suite.to_owned(),
            };
            // The same version can be in the suite and in its security suite.
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
    }
    packages
}

/// Reads the dependencies from a package's record.
fn parse_depends(record: &str) -> Vec<Dependency> {
    let fields = record.lines().take_while(|line| !line.is_empty());
    fields
        .filter_map(|line| {
            line.strip_prefix("Depends: ")
                .or_else(|| line.strip_prefix("Pre-Depends: "))
        })
        .flat_map(|list| list.split(','))
        .filter_map(|alternatives| parse_dependency(alternatives.split('|').next()?))
        .collect()
}

/// Reads one dependency, such as `linux-binary-7.2+deb14-amd64 (= 7.2.3-1)`.
fn parse_dependency(text: &str) -> Option<Dependency> {
    let name = text.split_whitespace().next()?;
    let exact_version = text
        .split_once("(=")
        .and_then(|(_, after)| after.split_once(')'))
        .map(|(version, _)| version.trim().to_owned());
    Some(Dependency {
        name: name.split(':').next().unwrap_or(name).to_owned(),
        exact_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches_pattern(
            "linux-image-6.1.0-37-amd64",
            "linux-image-6.1.*-amd64"
        ));
        assert!(matches_pattern("gcc-14", "gcc-14"));
        assert!(matches_pattern("a-b-c", "a*b*c"));
        assert!(!matches_pattern(
            "linux-image-6.1.0-37-amd64-dbg",
            "linux-image-6.1.*-amd64"
        ));
        assert!(!matches_pattern("gcc-14-base", "gcc-14"));
        assert!(!matches_pattern("a-c", "a*b*c"));
    }

    #[test]
    fn madison_lines_become_packages_once() {
        let table = "\
linux-image-6.1.0-37-amd64 | 6.1.140-1 | https://mirror.example/debian bookworm/main amd64 Packages
linux-image-6.1.0-37-amd64 | 6.1.140-1 | https://mirror.example/debian-security bookworm-security/main amd64 Packages
     linux | 6.1.140-1 | https://mirror.example/debian bookworm/main Sources
";
        let expected = Package {
            name: "linux-image-6.1.0-37-amd64".to_owned(),
            version: "6.1.140-1".to_owned(),
            suite: "bookworm".to_owned(),
        };
        assert_eq!(parse_madison(table, "bookworm"), [expected]);
    }

    #[test]
    fn dependencies_keep_exact_versions_and_first_alternatives() {
        let record = "\
Package: linux-image-7.2+deb14-amd64
Pre-Depends: dpkg
Depends: linux-binary-7.2+deb14-amd64 (= 7.2.3-1), kmod, initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, gcc-16:amd64
Recommends: apparmor

Package: another
Depends: unrelated
";
        let dependency = |name: &str, exact_version: Option<&str>| Dependency {
            name: name.to_owned(),
            exact_version: exact_version.map(str::to_owned),
        };
        assert_eq!(
            parse_depends(record),
            [
                dependency("dpkg", None),
                dependency("linux-binary-7.2+deb14-amd64", Some("7.2.3-1")),
                dependency("kmod", None),
                dependency("initramfs-tools", None),
                dependency("gcc-16", None),
            ]
        );
    }

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
