//! `cargo xtask dist`: what a release consists of.
//!
//! For each machine a Debian package and a tarball, both with the static program, the manual pages, the completions, the
//! documents and the licences; and `SHA256SUMS` over all of them. Times in archives are the commit's, so that the same
//! commit gives the same bytes.

mod crates;
mod installed;
mod licences;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use installed::Package;

use crate::target::Target;
use crate::test::Tally;
use crate::tracer::{self, Purpose};
use crate::{command, toolchain, tools, workspace};

/// The largest program that is shipped, in bytes.
const LARGEST_PROGRAM: u64 = 17 << 19;

/// Documents that go along, from the workspace's root. Those of `docs` are found.
const DOCUMENTS: [&str; 1] = ["README.md"];

/// Licence texts that go along, from the workspace's root.
const LICENCES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "LICENSE-GPL-2.0"];

/// Shells, and where each looks for completion scripts.
const COMPLETIONS: [(&str, &str); 3] = [
    (
        "bash",
        "usr/share/bash-completion/completions/devres-tracer",
    ),
    (
        "fish",
        "usr/share/fish/vendor_completions.d/devres-tracer.fish",
    ),
    ("zsh", "usr/share/zsh/vendor-completions/_devres-tracer"),
];

/// Arguments of `cargo xtask dist`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Package for this machine only: amd64, arm64, riscv64 or armhf. Can be repeated.
    #[arg(long = "target", value_name = "NAME", value_parser = named)]
    targets: Vec<Target>,
    /// Where the packages go [default: target/dist].
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// Test the packages: install that of amd64 in a clean Debian, run the others by emulation, and trace a kernel of each
    /// machine in a guest.
    #[arg(long)]
    test: bool,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL", requires = "test")]
    mirror: Option<String>,
}

fn named(name: &str) -> Result<Target, String> {
    Target::ALL
        .into_iter()
        .find(|target| target.debian() == name)
        .ok_or_else(|| "take amd64, arm64, riscv64 or armhf".to_owned())
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let output = match &args.output {
        Some(output) => output.clone(),
        None => workspace::root().join("target/dist"),
    };
    let targets = if args.targets.is_empty() {
        &Target::ALL[..]
    } else {
        &args.targets
    };
    let packages: Vec<Package> = targets
        .iter()
        .map(|target| package(*target, &output))
        .collect::<Result<_>>()?;
    let files: Vec<_> = packages
        .iter()
        .flat_map(|package| [&package.deb, &package.tarball])
        .filter_map(|path| path.file_name())
        .collect();
    let sums = command::output(Command::new("sha256sum").args(&files).current_dir(&output))?;
    fs::write(output.join("SHA256SUMS"), &sums).context("cannot write the checksums")?;
    print!("{sums}");
    println!("in {}", output.display());
    if !args.test {
        return Ok(ExitCode::SUCCESS);
    }
    let mut tally = installed::test(&packages, args.mirror.as_deref())?;
    tally += crates_are_ready();
    println!("{tally}");
    Ok(ExitCode::from(u8::from(tally.failed > 0)))
}

fn crates_are_ready() -> Tally {
    Tally::of(
        &"crates_are_ready_to_be_published",
        crates::publish_without_upload(&workspace::root().join("target/crates")),
    )
}

/// Builds and packages for one machine, into `output`.
fn package(target: Target, output: &Path) -> Result<Package> {
    tools::require(&["dpkg-deb", "gzip", "tar"])?;
    let program = tracer::build_static_for(target, Purpose::Package)?;
    let bytes = fs::metadata(&program)?.len();
    ensure!(
        bytes <= LARGEST_PROGRAM,
        "{} takes {bytes} bytes: at most {LARGEST_PROGRAM} are shipped",
        program.display()
    );
    let staging = output.join(format!("staging-{}", target.debian()));
    workspace::remove_if_present(&staging)?;
    let tree = staging.join("tree");
    lay_out(target, &program, &tree)?;
    let time = commit_time()?;
    let package = Package {
        target,
        deb: output.join(debian_package(target, &tree, output, time)?),
        tarball: output.join(tarball(target, &tree, output, time)?),
    };
    workspace::remove_if_present(&staging)?;
    Ok(package)
}

/// Everything that is installed, as it lies below the root.
fn lay_out(target: Target, program: &Path, tree: &Path) -> Result<()> {
    install(program, &tree.join("usr/bin/devres-tracer"), 0o755)?;
    // The host's build of the same source knows the same commands.
    let writes = host_program()?;
    let pages = tree.join("usr/share/man/man1");
    command::output(Command::new(&writes).args(["man", "--output"]).arg(&pages))?;
    for entry in fs::read_dir(&pages).context("there are no manual pages")? {
        command::output(Command::new("gzip").args(["-9", "-n"]).arg(entry?.path()))?;
    }
    for (shell, path) in COMPLETIONS {
        let script = command::output(Command::new(&writes).args(["completions", shell]))?;
        write(&tree.join(path), &script)?;
    }
    let documents = tree.join("usr/share/doc/devres-tracer");
    let root = workspace::root();
    for name in DOCUMENTS {
        install(&root.join(name), &documents.join(name), 0o644)?;
    }
    install_all(&root.join("docs"), &documents.join("docs"))?;
    for name in LICENCES {
        install(&root.join(name), &documents.join(name), 0o644)?;
    }
    let policy = command::output(Command::new(&writes).args(["policy", "init"]))?;
    write(&documents.join("examples/policy.toml"), &policy)?;
    install(
        Path::new(licences::LGPL),
        &documents.join("LICENSE-LGPL-2.1"),
        0o644,
    )?;
    write(&documents.join("copyright"), &licences::account(target)?)
}

/// The tracer as the host runs it, for what it writes about itself.
fn host_program() -> Result<PathBuf> {
    command::output(toolchain::cargo().args(["build", "--quiet", "--package", "devres-tracer"]))?;
    Ok(workspace::root().join("target/debug/devres-tracer"))
}

/// Removes what traces have left: what they know of the kernel's types.
const POSTRM: &str = "\
#!/bin/sh
set -e
case \"$1\" in
remove | purge) rm -rf /run/devres-tracer ;;
esac
";

fn debian_package(target: Target, tree: &Path, output: &Path, time: u64) -> Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("devres-tracer_{version}_{}.deb", target.debian());
    let size = command::output(
        Command::new("du")
            .args(["-sk", "--apparent-size"])
            .arg(tree),
    )?;
    let size = size.split_whitespace().next().unwrap_or("0").to_owned();
    let control = format!(
        "Package: devres-tracer\n\
         Version: {version}\n\
         Architecture: {}\n\
         Maintainer: The devres-tracer developers <devres-tracer@localhost>\n\
         Installed-Size: {size}\n\
         Section: devel\n\
         Priority: optional\n\
         Description: traces devm_* resource lifetimes in the Linux kernel\n \
         Reconstructs each device's stack of managed resources (devres) with eBPF probes\n \
         or from a recording, and reports release-order bugs with the call stack.\n",
        target.debian()
    );
    write(&tree.join("DEBIAN/control"), &control)?;
    write_with(0o755, &tree.join("DEBIAN/postrm"), POSTRM)?;
    command::output(
        Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", time.to_string())
            .args(["--root-owner-group", "-Zxz", "--build"])
            .arg(tree)
            .arg(output.join(&name)),
    )?;
    workspace::remove_if_present(&tree.join("DEBIAN"))?;
    Ok(name)
}

fn tarball(target: Target, tree: &Path, output: &Path, time: u64) -> Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let stem = format!("devres-tracer-{version}-{}", target.debian());
    let name = format!("{stem}.tar.gz");
    command::output(
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{time}"))
            .arg(format!("--transform=s,^\\.,{stem},"))
            .args(["--use-compress-program=gzip -9 -n", "--create", "--file"])
            .arg(output.join(&name))
            .arg("--directory")
            .arg(tree.join("usr"))
            .arg("."),
    )?;
    Ok(name)
}

/// When the commit was made, in seconds since 1970.
fn commit_time() -> Result<u64> {
    let time = command::output(
        Command::new("git")
            .args(["log", "-1", "--format=%ct"])
            .current_dir(workspace::root()),
    )?;
    time.trim()
        .parse()
        .context("git names no time of the commit")
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to).with_context(|| format!("cannot install {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", to.display()))
}

fn install_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            install_all(&entry.path(), &target)?;
        } else {
            install(&entry.path(), &target, 0o644)?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    write_with(0o644, path, text)
}

fn write_with(mode: u32, path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// Directories of a package have the same mode whatever the umask of the builder.
fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().context("a file has a directory")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))
}
