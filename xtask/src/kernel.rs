//! Stock Debian kernels: which there are, which one a short name means, and their files in the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::apt::{self, AptRoot, KERNEL_SUITES, Package};
use crate::architecture::Architecture;
use crate::{command, tools, vmlinux, workspace};

/// The name that stands for the newest kernel of all suites.
const NEWEST: &str = "newest";

/// The indexes name point releases that the mirror may have dropped: how many of them to try, newest first.
const POINT_RELEASES_TO_TRY: usize = 6;

/// A kernel that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelOffer {
    /// What `uname -r` says in it, for example `6.1.0-56-amd64`.
    pub(crate) release: String,
    /// The package `linux-image-RELEASE`.
    pub(crate) package: Package,
}

/// A kernel whose files are in the cache.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// What `uname -r` says in it.
    pub(crate) release: String,
    /// The package `linux-image-RELEASE` it came from.
    pub(crate) package: Package,
    /// Where its files lie.
    pub(crate) directory: PathBuf,
}

impl Kernel {
    /// The kernel that `name` means: a release (`6.1.0-56-amd64`), the beginning of one (`6.1`, `7`), or `newest`;
    /// `-arm64` behind it asks for that architecture (`6.1-arm64`).
    ///
    /// A kernel in the cache is taken as it is, unless `update` asks for the newest point release. `mirror` as in
    /// [`AptRoot::open`].
    pub(crate) fn obtain(name: &str, update: bool, mirror: Option<&str>) -> Result<Self> {
        if !update && let Some(kernel) = newest_first(Self::cached()?, name).into_iter().next() {
            return Ok(kernel);
        }
        let (architecture, _) = Architecture::of_kernel(name);
        let mut apt = AptRoot::open_for(architecture, &workspace::cache()?, mirror)?;
        let offers = KernelOffer::all(&mut apt)?;
        let matching = newest_first(offers.clone(), name);
        if matching.is_empty() {
            let newest = newest_of_each_series(&offers);
            let series: Vec<&str> = newest.iter().map(|offer| series(&offer.release)).collect();
            bail!(
                "there is no kernel `{name}`: take one of {}, or `{NEWEST}`",
                series.join(", ")
            );
        }
        let mut last_error = None;
        for offer in matching.iter().take(POINT_RELEASES_TO_TRY) {
            match fetch(&apt, offer) {
                Ok(kernel) => return Ok(kernel),
                Err(error) => {
                    eprintln!(
                        "{} cannot be had, trying the one before: {error:#}",
                        offer.package.name
                    );
                    last_error = Some(error);
                }
            }
        }
        Err(last_error.context("no kernel was tried")?)
            .with_context(|| format!("cannot fetch a kernel `{name}`"))
    }

    /// All kernels in the cache.
    pub(crate) fn cached() -> Result<Vec<Self>> {
        let directory = kernels_directory()?;
        let mut kernels = Vec::new();
        for entry in fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?
        {
            let directory = entry?.path();
            // Locks and half-fetched kernels lie here too, without this file.
            if let Ok(record) = fs::read_to_string(directory.join("package")) {
                let package = parse_record(&record).with_context(|| {
                    format!("{} is damaged: remove that directory", directory.display())
                })?;
                let release = release_of(&package.name).unwrap_or_default().to_owned();
                kernels.push(Self {
                    release,
                    package,
                    directory,
                });
            }
        }
        Ok(kernels)
    }

    /// The architecture.
    pub(crate) fn architecture(&self) -> Architecture {
        Architecture::of_kernel(&self.release).0
    }

    /// The image as the package has it: on x86-64 the bzImage.
    pub(crate) fn bzimage(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// On x86-64 the unpacked kernel, which boots faster by PVH.
    pub(crate) fn vmlinux(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// The directory with the modules and depmod's files.
    pub(crate) fn modules(&self) -> PathBuf {
        self.directory.join("usr/lib/modules").join(&self.release)
    }

    /// The cache's place for files made from this kernel, such as initramfs archives and test modules.
    pub(crate) fn derived_files(&self) -> Result<PathBuf> {
        let directory = self.directory.join("derived");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(directory)
    }
}

impl KernelOffer {
    /// All kernels of all suites, without those for clouds and real-time; suites that are missing are reported on
    /// standard error.
    pub(crate) fn all(apt: &mut AptRoot) -> Result<Vec<Self>> {
        for unavailable in apt.update_if_stale(&KERNEL_SUITES)? {
            eprintln!(
                "the suite {} is not available: {}",
                unavailable.suite, unavailable.reason
            );
        }
        let mut offers: Vec<Self> = Vec::new();
        let pattern = format!("linux-image-*-{}", apt.architecture().flavour());
        for package in apt.find(&pattern)? {
            let Some(release) = release_of(&package.name) else {
                continue;
            };
            let is_known = offers
                .iter()
                .any(|offer| offer.release == release && offer.package.version == package.version);
            if !is_known {
                offers.push(Self {
                    release: release.to_owned(),
                    package,
                });
            }
        }
        Ok(offers)
    }
}

/// Something that has a kernel release.
pub(crate) trait Released {
    /// What `uname -r` says.
    fn release(&self) -> &str;
}

impl Released for Kernel {
    fn release(&self) -> &str {
        &self.release
    }
}

impl Released for KernelOffer {
    fn release(&self) -> &str {
        &self.release
    }
}

/// The kernels that `name` can mean, newest first.
fn newest_first<K: Released>(mut kernels: Vec<K>, name: &str) -> Vec<K> {
    kernels.retain(|kernel| is_meant(kernel.release(), name));
    sort_newest_first(&mut kernels);
    kernels
}

fn sort_newest_first<K: Released>(kernels: &mut [K]) {
    kernels.sort_by_key(|kernel| std::cmp::Reverse(numbers(kernel.release())));
}

/// The newest kernel of each series among offers for one architecture, oldest series first.
pub(crate) fn newest_of_each_series(offers: &[KernelOffer]) -> Vec<KernelOffer> {
    let mut newest: Vec<KernelOffer> = Vec::new();
    let mut offers = offers.to_vec();
    sort_newest_first(&mut offers);
    for offer in offers {
        if !newest
            .iter()
            .any(|known| series(&known.release) == series(&offer.release))
        {
            newest.push(offer);
        }
    }
    newest.reverse();
    newest
}

/// The first two numbers of a release: `6.12` of `6.12.107+deb13-amd64`.
pub(crate) fn series(release: &str) -> &str {
    let second_dot = release
        .match_indices(|character: char| !character.is_ascii_digit())
        .nth(1);
    second_dot.map_or(release, |(position, _)| {
        release.get(..position).unwrap_or(release)
    })
}

/// Whether `name` is the release, or its beginning up to the end of a number, or stands for any, of the same
/// architecture.
fn is_meant(release: &str, name: &str) -> bool {
    let (architecture, release) = Architecture::of_kernel(release);
    let (wanted, name) = Architecture::of_kernel(name);
    architecture == wanted
        && (name == NEWEST
            || release
                .strip_prefix(name)
                .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit())))
}

/// The numbers in a release, by which releases are ordered.
fn numbers(release: &str) -> Vec<u64> {
    let (_, release) = Architecture::of_kernel(release);
    release
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// The release in a package's name, if it is a kernel for ordinary machines.
fn release_of(package_name: &str) -> Option<&str> {
    let release = package_name.strip_prefix("linux-image-")?;
    let flavour_is_plain = !release.contains("-cloud-") && !release.contains("-rt-");
    (flavour_is_plain && release.starts_with(|first: char| first.is_ascii_digit()))
        .then_some(release)
}

fn kernels_directory() -> Result<PathBuf> {
    let directory = workspace::cache()?.join("kernels");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}

/// Fetches one kernel into the cache, if it is not there already.
fn fetch(apt: &AptRoot, offer: &KernelOffer) -> Result<Kernel> {
    let kernels = kernels_directory()?;
    let name = format!("{}_{}", offer.release, offer.package.version);
    let kernel = Kernel {
        release: offer.release.clone(),
        package: offer.package.clone(),
        directory: kernels.join(&name),
    };
    let lock = File::create(kernels.join(format!("{name}.lock")))
        .context("cannot create the kernel's lock")?;
    lock.lock().context("cannot lock the kernel's directory")?;
    if kernel.directory.exists() {
        return Ok(kernel);
    }
    tools::require(&["depmod", "xz", "zstd"])?;

    let mut debs = vec![apt.download(&offer.package)?];
    // Newer kernels are split: the image can be a metapackage. Of a version that left the archive, parts are missing
    // from the index; whether they matter shows when the files are arranged.
    let parts = ["binary", "modules", "base"].map(|part| format!("linux-{part}-{}", offer.release));
    for dependency in apt.depends(&offer.package)? {
        if parts.contains(&dependency.name) {
            let wanted = Package {
                version: dependency
                    .exact_version
                    .unwrap_or_else(|| offer.package.version.clone()),
                name: dependency.name,
                suite: offer.package.suite.clone(),
            };
            if apt.find(&wanted.name)?.contains(&wanted) {
                debs.push(apt.download(&wanted)?);
            }
        }
    }
    let unpacked = kernels.join(format!("{name}.unpacked"));
    let partial = kernels.join(format!("{name}.partial"));
    for leftover in [&unpacked, &partial] {
        if leftover.exists() {
            fs::remove_dir_all(leftover)
                .with_context(|| format!("cannot remove {}", leftover.display()))?;
        }
    }
    for deb in &debs {
        apt::unpack(deb, &unpacked)?;
    }
    arrange(&unpacked, &partial, &offer.release)?;
    fs::write(partial.join("package"), record(&offer.package))
        .context("cannot write the kernel's record")?;
    fs::rename(&partial, &kernel.directory).context("cannot move the kernel into place")?;
    fs::remove_dir_all(&unpacked)
        .with_context(|| format!("cannot remove {}", unpacked.display()))?;
    for deb in &debs {
        fs::remove_file(deb).with_context(|| format!("cannot remove {}", deb.display()))?;
    }
    Ok(kernel)
}

/// Makes the kernel's directory in the cache from the unpacked packages: image, configuration and modules.
fn arrange(unpacked: &Path, directory: &Path, release: &str) -> Result<()> {
    let modules = ["usr/lib/modules", "lib/modules"]
        .iter()
        .map(|parent| unpacked.join(parent).join(release))
        .find(|path| path.join("kernel").exists())
        .context("the package has no modules")?;
    let find_file = |name: &str| {
        [
            unpacked.join("boot").join(format!("{name}-{release}")),
            unpacked.join("usr/lib/modules").join(release).join(name),
        ]
        .into_iter()
        .find(|path| path.exists())
        .with_context(|| format!("the package has no {name}"))
    };
    fs::create_dir_all(directory.join("usr/lib/modules"))
        .context("cannot create the kernel's directory")?;
    for (name, from) in [
        // On RISC-V the package calls it otherwise.
        (
            "vmlinuz",
            find_file("vmlinuz").or_else(|_| find_file("vmlinux"))?,
        ),
        ("config", find_file("config")?),
    ] {
        fs::rename(&from, directory.join(name))
            .with_context(|| format!("cannot move {}", from.display()))?;
    }
    let target = directory.join("usr/lib/modules").join(release);
    fs::rename(&modules, &target).with_context(|| format!("cannot move {}", modules.display()))?;
    // depmod looks below either of the two, depending on the distribution.
    std::os::unix::fs::symlink("usr/lib", directory.join("lib")).context("cannot link lib")?;
    command::output(
        tools::command("depmod")
            .arg("-b")
            .arg(directory)
            .arg(release),
    )?;
    match Architecture::of_kernel(release).0 {
        Architecture::Amd64 => {
            vmlinux::unpack(&directory.join("vmlinuz"), &directory.join("vmlinux"))
        }
        // QEMU boots it as it is.
        Architecture::Arm64 | Architecture::Riscv64 | Architecture::Armhf => Ok(()),
    }
}

/// A package as lines of text: name, version, suite.
fn record(package: &Package) -> String {
    format!("{}\n{}\n{}\n", package.name, package.version, package.suite)
}

fn parse_record(record: &str) -> Result<Package> {
    let mut lines = record.lines().map(str::to_owned);
    match (lines.next(), lines.next(), lines.next()) {
        (Some(name), Some(version), Some(suite)) => Ok(Package {
            name,
            version,
            suite,
        }),
        _ => bail!("the kernel's record lacks lines"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(release: &str) -> KernelOffer {
        let package = Package {
            name: format!("linux-image-{release}"),
            version: "1".to_owned(),
            suite: "sid".to_owned(),
        };
        KernelOffer {
            release: release.to_owned(),
            package,
        }
    }

    fn offers() -> Vec<KernelOffer> {
        [
            "5.10.0-46-amd64",
            "6.1.0-0.deb11.52-amd64",
            "6.1.0-9-amd64",
            "6.1.0-56-amd64",
            "6.12.90+deb13.1-amd64",
            "6.12.117+deb13-amd64",
            "6.12.117+deb12-amd64",
            "7.2.13+deb14-amd64",
            "7.3-amd64",
            "6.1.0-50-arm64",
            "6.1.0-50-armmp",
        ]
        .map(offer)
        .to_vec()
    }

    fn chosen(name: &str) -> Option<String> {
        newest_first(offers(), name)
            .first()
            .map(|offer| offer.release.clone())
    }

    #[test]
    fn a_short_name_means_the_newest_of_its_series() {
        assert_eq!(chosen("6.1").as_deref(), Some("6.1.0-56-amd64"));
        assert_eq!(chosen("6.1-arm64").as_deref(), Some("6.1.0-50-arm64"));
        assert_eq!(chosen("6.1-armhf").as_deref(), Some("6.1.0-50-armmp"));
        assert_eq!(chosen("7-arm64"), None);
        assert_eq!(chosen("6.12").as_deref(), Some("6.12.117+deb13-amd64"));
        assert_eq!(chosen("7").as_deref(), Some("7.3-amd64"));
        assert_eq!(chosen("7.2").as_deref(), Some("7.2.13+deb14-amd64"));
        assert_eq!(chosen("newest").as_deref(), Some("7.3-amd64"));
        assert_eq!(chosen("6.1.0-9-amd64").as_deref(), Some("6.1.0-9-amd64"));
        assert_eq!(chosen("6.2"), None);
        assert_eq!(chosen("6.1.0-5"), None);
    }

    #[test]
    fn each_series_is_listed_once() {
        let newest = newest_of_each_series(&offers());
        let series: Vec<&str> = newest.iter().map(|offer| series(&offer.release)).collect();
        assert_eq!(series, ["5.10", "6.1", "6.12", "7.2", "7.3"]);
    }

    #[test]
    fn other_flavours_and_metapackages_are_no_kernels() {
        assert_eq!(
            release_of("linux-image-6.1.0-56-amd64"),
            Some("6.1.0-56-amd64")
        );
        assert_eq!(release_of("linux-image-6.1.0-56-rt-amd64"), None);
        assert_eq!(release_of("linux-image-6.1.0-56-cloud-amd64"), None);
        assert_eq!(release_of("linux-image-amd64"), None);
        assert_eq!(release_of("linux-image-rt-amd64"), None);
    }

    #[test]
    fn a_record_is_read_back() -> Result<()> {
        let package = offer("6.1.0-56-amd64").package;
        assert_eq!(parse_record(&record(&package))?, package);
        assert!(parse_record("linux-image-6.1.0-56-amd64\n").is_err());
        Ok(())
    }
}
