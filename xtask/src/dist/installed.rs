//! Tests of the packages as users get them: installed in a clean Debian, by emulation of other machines,
//! and in a stock kernel of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::apt;
use crate::architecture::Architecture;
use crate::clean_debian::CleanDebian;
use crate::guest::Guest;
use crate::kernel::Kernel;
use crate::target::Target;
use crate::test::Tally;
use crate::{command, tools, tracer, workspace};

/// The release of Debian into which the package is installed.
const SUITE: &str = "trixie";

/// What the package needs there to be tried: a reader of manual pages, and what asks for completions.
const READERS: [&str; 2] = ["man-db", "bash-completion"];

/// The kernel in which the packaged program runs.
const KERNEL: &str = "7";

/// The package in the clean Debian.
const PACKAGE: &str = "/devres-tracer.deb";

/// Asks bash what it would complete `devres-tracer rep` to, and `devres-tracer report --red`.
const COMPLETE: &str = r"
    . /usr/share/bash-completion/bash_completion
    _comp_load devres-tracer 2>/dev/null || _completion_loader devres-tracer
    words=$(complete -p devres-tracer)
    function=${words##*-F }
    COMP_WORDS=(devres-tracer rep) COMP_CWORD=1 COMPREPLY=()
    ${function%% *} devres-tracer rep devres-tracer
    echo ${COMPREPLY[@]}
    COMP_WORDS=(devres-tracer report --red) COMP_CWORD=2 COMPREPLY=()
    ${function%% *} devres-tracer --red report
    echo ${COMPREPLY[@]}
";

/// What a guest of each architecture does: QEMU's random number generator loses its driver and gets it back. The other
/// devices of that driver are how the guest reaches its files.
const REBIND: &str = r#"
    cd /sys/bus/pci/drivers/virtio-pci
    generator=$(readlink -f /sys/bus/virtio/drivers/virtio_rng/virtio*)
    device=$(basename "${generator%/*}")
    # Debian's kernel for RISC-V boots with it switched off.
    [ ! -e /proc/sys/net/core/bpf_jit_enable ] || echo 1 >/proc/sys/net/core/bpf_jit_enable
    devres-tracer --version
    devres-tracer doctor >/mnt/share/doctor || echo "doctor: $?"
    devres-tracer trace --via $via --device "$device" -- sh -c "echo $device >unbind; echo $device >bind"
"#;

/// A package that was built.
pub(super) struct Package {
    /// What it is for.
    pub(super) target: Target,
    /// The `.deb`.
    pub(super) deb: PathBuf,
    /// The tarball.
    pub(super) tarball: PathBuf,
}

/// Tests the packages, and prints a line about each test.
pub(super) fn test(packages: &[Package], mirror: Option<&str>) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut judge = |name: &str, target: Target, result: Result<()>| {
        tally += Tally::of(&format_args!("{name} ({})", target.debian()), result);
    };
    for package in packages {
        let target = package.target;
        let unpacked = tempfile::tempdir().context("cannot create a directory")?;
        apt::unpack(&package.deb, unpacked.path())?;
        let program = unpacked.path().join("usr/bin/devres-tracer");
        judge(
            "tarball_has_what_the_package_has",
            target,
            same_files(package, unpacked.path()),
        );
        if target == Target::Amd64 {
            for (name, result) in in_clean_debian(package, mirror)? {
                judge(name, target, result);
            }
        } else {
            judge(
                "program_runs_under_emulation",
                target,
                emulated(target, &program),
            );
        }
        let result = traces_in_guest(target, &program, mirror);
        judge("program_traces_in_a_guest", target, result);
    }
    Ok(tally)
}

/// The tarball holds the files of the package, byte for byte.
fn same_files(package: &Package, unpacked: &Path) -> Result<()> {
    let other = tempfile::tempdir().context("cannot create a directory")?;
    command::output(
        Command::new("tar")
            .args(["--extract", "--strip-components=1", "--file"])
            .arg(&package.tarball)
            .arg("--directory")
            .arg(other.path()),
    )?;
    command::output(
        Command::new("diff")
            .args(["--recursive", "--brief"])
            .arg(unpacked.join("usr"))
            .arg(other.path()),
    )
    .map(drop)
}

/// A test in a clean Debian.
type Check = fn(&CleanDebian) -> Result<()>;

/// A test's name, and how it ended.
type Ended = (&'static str, Result<()>);

/// The tests in a clean Debian, in this order: each needs what the ones before it did.
fn in_clean_debian(package: &Package, mirror: Option<&str>) -> Result<Vec<Ended>> {
    let debian = CleanDebian::new(SUITE, &READERS, mirror)?;
    fs::copy(&package.deb, debian.root().join(&PACKAGE[1..])).context("cannot copy the package")?;
    let tests: [(&str, Check); 9] = [
        ("package_installs", installs),
        ("package_program_tells_its_version", tells_its_version),
        ("package_demo_finds_the_defect", demonstrates),
        ("package_program_says_what_is_wrong", complains),
        ("package_manual_pages_are_found", is_explained),
        ("package_completes_in_bash", completes),
        ("package_doctor_begins_with_the_verdict", diagnoses),
        ("package_documents_are_there", is_documented),
        ("package_goes_without_a_trace", goes),
    ];
    Ok(tests
        .into_iter()
        .map(|(name, test)| (name, test(&debian)))
        .collect())
}

fn installs(debian: &CleanDebian) -> Result<()> {
    debian
        .output(&format!("dpkg --install {PACKAGE}"), 0)
        .map(drop)
}

fn tells_its_version(debian: &CleanDebian) -> Result<()> {
    let version = debian.output("devres-tracer --version", 0)?;
    let commit = command::output(
        Command::new("git")
            .args(["rev-parse", "--short=12", "HEAD"])
            .current_dir(workspace::root()),
    )?;
    let expected = format!(
        "devres-tracer {} ({}; {})",
        env!("CARGO_PKG_VERSION"),
        commit.trim(),
        Target::Amd64.probes()
    );
    ensure!(version.trim() == expected, "it says {version}");
    Ok(())
}

fn demonstrates(debian: &CleanDebian) -> Result<()> {
    let demo = debian.output("devres-tracer demo", 1)?;
    ensure!(demo.contains("DR001"), "the demo printed {demo}");
    Ok(())
}

/// Also where Rust programs are asked for backtraces, which need the unwind tables that packages leave out.
fn complains(debian: &CleanDebian) -> Result<()> {
    let output = debian.run("RUST_BACKTRACE=1 devres-tracer report /missing")?;
    let text = command::error_text(&output);
    ensure!(
        output.status.code() == Some(4) && text.contains("/missing"),
        "it ended with {}: {text}",
        output.status
    );
    Ok(())
}

fn is_explained(debian: &CleanDebian) -> Result<()> {
    debian.prints("man devres-tracer", "EXIT STATUS")?;
    for command in ["trace", "check", "policy-init"] {
        debian.prints(&format!("man devres-tracer-{command}"), "SYNOPSIS")?;
    }
    Ok(())
}

fn completes(debian: &CleanDebian) -> Result<()> {
    let completed = debian.output(COMPLETE, 0)?;
    let offered: Vec<&str> = completed.split_whitespace().collect();
    ensure!(
        offered == ["report", "--redact"],
        "bash offers {completed:?}"
    );
    Ok(())
}

/// How much of the kernel it finds depends on the machine that runs this, but not that it says so at once.
fn diagnoses(debian: &CleanDebian) -> Result<()> {
    let output = debian.run("devres-tracer doctor")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let verdict = match output.status.code() {
        Some(0) => "Everything can be traced",
        Some(3) => "Tracing works, with the gaps",
        Some(4) => "Nothing can be traced",
        _ => bail!(
            "it ended with {}: {}",
            output.status,
            command::error_text(&output)
        ),
    };
    ensure!(text.starts_with(verdict), "it begins otherwise: {text}");
    Ok(())
}

fn is_documented(debian: &CleanDebian) -> Result<()> {
    debian.output(
        "cd /usr/share/doc/devres-tracer && test -s copyright -a -s LICENSE-MIT -a -s LICENSE-APACHE \
         -a -s LICENSE-GPL-2.0 -a -s LICENSE-LGPL-2.1 -a -s README.md -a -s docs/install.md",
        0,
    )?;
    debian.output(
        "devres-tracer policy check /usr/share/doc/devres-tracer/examples/policy.toml",
        0,
    )?;
    Ok(())
}

/// `man` has kept the pages that it showed: they are its own.
fn goes(debian: &CleanDebian) -> Result<()> {
    debian.output("dpkg --purge devres-tracer", 0)?;
    let left = debian.output(
        "find / -xdev -path '*devres-tracer*' -not -path /devres-tracer.deb -not -path '/var/log/*' -not -path '/var/cache/man/*'",
        0,
    )?;
    ensure!(left.is_empty(), "this is left: {left}");
    Ok(())
}

/// The program of another machine prints its version, judges the recording of the demo, and says what it can't trace.
fn emulated(target: Target, program: &Path) -> Result<()> {
    let emulator = target.emulator().context("this is the host's machine")?;
    tools::require(&[emulator])?;
    let run =
        |arguments: &[&str]| command::run(tools::command(emulator).arg(program).args(arguments));
    let version = run(&["--version"])?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    ensure!(version.contains(target.probes()), "it says {version}");
    let demo = run(&["demo"])?;
    let text = String::from_utf8_lossy(&demo.stdout);
    ensure!(
        demo.status.code() == Some(1) && text.contains("DR001"),
        "the demo ended with {} and printed {text}{}",
        demo.status,
        command::error_text(&demo)
    );
    if !target.has_probes() {
        let trace = run(&["trace", "--", "true"])?;
        let text = command::error_text(&trace);
        ensure!(
            trace.status.code() == Some(4)
                && text.contains("they are for 64-bit")
                && text.contains("--via tracefs"),
            "tracing without probes ended with {} and printed {text}",
            trace.status
        );
    }
    let doctor = run(&["doctor"])?;
    let text = String::from_utf8_lossy(&doctor.stdout);
    ensure!(
        doctor.status.code() == Some(4) && text.starts_with("Nothing can be traced"),
        "doctor ended with {} and printed {text}",
        doctor.status
    );
    Ok(())
}

/// The program traces a kernel of its machine.
fn traces_in_guest(target: Target, program: &Path, mirror: Option<&str>) -> Result<()> {
    let name = format!("{KERNEL}{}", Architecture::of(target).suffix());
    let mut guest = Guest::new(Kernel::obtain(&name, false, mirror)?);
    guest.files = vec![(program.to_owned(), tracer::PATH_IN_GUEST.to_owned())];
    guest.timeout = std::time::Duration::from_secs(600);
    guest.mirror = mirror.map(str::to_owned);
    // Debian's kernel without probes has no BTF either: what it records leaves DR001 undecided.
    let (via, exit_code, verdict, doctor) = if target.has_probes() {
        ("bpf", 0, "CLEAN", false)
    } else {
        ("tracefs", 3, "INCONCLUSIVE: 0 errors", true)
    };
    let run = guest.run(&format!("via={via}\n{REBIND}"))?;
    ensure!(
        run.exit_code == exit_code
            && run.stdout.contains(verdict)
            && run.stdout.contains("doctor:") == doctor,
        "the guest ended with {} and printed {}{}",
        run.exit_code,
        run.stdout,
        run.stderr
    );
    Ok(())
}
