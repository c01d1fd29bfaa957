//! What the kernel records by itself, at boot and across a crash, in guests of their own: they boot with the parameters
//! that `devres-tracer boot` prints, and one of them dies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::recording::text;
use super::{Programs, Series};
use crate::architecture::Architecture;
use crate::guest::{Guest, GuestRun};
use crate::kernel::Kernel;
use crate::qemu::Boot;
use crate::{kmod, tracer};

/// The tests' names.
pub(super) const NAMES: [&str; 4] = [BOOT, ADDERS, BUFFER, CONSOLE];
const BOOT: &str = "boot_recording_is_judged";
const ADDERS: &str = "stacks_name_who_added_what_at_boot";
const BUFFER: &str = "crash_is_told_from_the_buffer_that_outlived_it";
const CONSOLE: &str = "crash_is_told_from_the_serial_console";
/// On machines without test module.
pub(super) const BOARD: &str = "boot_recording_of_a_board_is_read";

/// The first kernels with a buffer that outlives a reset. The older ones print their crash on the serial line.
pub(super) const WITH_BUFFER: Series = (6, 12);

/// Runs twice: before the crash, and after it.
const SCRIPT: &str = r"
    cd /mnt/share
    tracing=/sys/kernel/tracing
    if [ ! -e crashed ]; then
        : >crashed
        cp $tracing/trace boot.trace
        directory=$(readlink -f /sys/bus/acpi/devices/QEMU0001:00/physical_node)
        driver=$(readlink -f $directory/driver)
        devres-tracer stacks --json --device ${directory##*/} >boot.stacks
        echo ${directory##*/} >$driver/unbind
        devres-tracer import --quiet --json $tracing/trace >boot.jsonl
        if [ -e $tracing/instances/devres ]; then
            devres-tracer boot --persistent 4M --format tracefs-script >script
            sh script
            # The next kernel may empty the buffer of the CPU that boots it.
            taskset -p 1 $$
        else
            # What the panic prints need not hold the boot as well.
            echo 128 >$tracing/buffer_size_kb
        fi
        insmod /devres_test.ko
        sync
        echo panic >/sys/kernel/debug/devres_test/crash
        exit 9
    fi
    if [ -e $tracing/instances/devres ]; then
        devres-tracer crash --quiet --json >crash.jsonl
    fi
    exit 0
";

/// The device of the test module whose release panics, and what panics.
const DEVICE: &str = "devres-test-pm";
const DEADLY: &str = "dt_die";

/// What the two runs of the script have left.
pub(super) struct Evidence {
    directory: PathBuf,
    console: PathBuf,
    tracer: PathBuf,
    series: Series,
}

/// Boots a kernel with the parameters made for it, and lets it die.
pub(super) fn run(
    kernel: &Kernel,
    programs: &Programs,
    directory: &Path,
    series: Series,
    mirror: Option<&str>,
) -> Result<Evidence> {
    let arguments = if series < WITH_BUFFER {
        "--dump-on-oops"
    } else {
        "--persistent 4M"
    };
    let mut guest = mortal_guest(kernel, programs, directory, mirror)?;
    let parameters = printed_in(&guest, arguments)?;
    guest.append = mortal_parameters(&parameters, guest.boot);
    guest.reboots = true;
    let console = directory.join("console.log");
    guest.console_log = Some(console.clone());
    succeed(&guest, SCRIPT)?;
    Ok(Evidence {
        directory: directory.to_owned(),
        console,
        tracer: programs.tracer.clone(),
        series,
    })
}

/// The parameters that the tracer prints in a guest.
fn printed_in(guest: &Guest, arguments: &str) -> Result<String> {
    let script = format!("devres-tracer boot --buffer 8M {arguments}");
    Ok(succeed(guest, &script)?.stdout)
}

/// Runs a script that must succeed.
pub(super) fn succeed(guest: &Guest, script: &str) -> Result<GuestRun> {
    let run = guest.run(script)?;
    ensure!(
        run.exit_code == 0,
        "the script failed:\n{}{}",
        run.stdout,
        run.stderr
    );
    Ok(run)
}

/// A guest with the test module, and with a share that stays.
pub(super) fn mortal_guest(
    kernel: &Kernel,
    programs: &Programs,
    directory: &Path,
    mirror: Option<&str>,
) -> Result<Guest> {
    let module = programs
        .module
        .as_ref()
        .context("there is no test module")?;
    let mut guest = guest(kernel, programs, directory, mirror)?;
    guest
        .files
        .push((module.clone(), format!("/{}", kmod::MODULE)));
    Ok(guest)
}

fn guest(
    kernel: &Kernel,
    programs: &Programs,
    directory: &Path,
    mirror: Option<&str>,
) -> Result<Guest> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let mut guest = Guest::new(kernel.clone());
    guest.mirror = mirror.map(str::to_owned);
    guest.share = Some(directory.to_owned());
    guest.files = vec![(programs.tracer.clone(), tracer::PATH_IN_GUEST.to_owned())];
    Ok(guest)
}

/// Boots a kernel without test module with the parameters made for it: the record is read whole, and what the snapshot
/// finds on the machine's real-time clock has an adder.
pub(super) fn board_is_recorded(
    kernel: &Kernel,
    programs: &Programs,
    directory: &Path,
    mirror: Option<&str>,
) -> Result<()> {
    let clock = match kernel.architecture() {
        Architecture::Riscv64 => "101000.rtc",
        Architecture::Amd64 | Architecture::Arm64 | Architecture::Armhf => "9010000.pl031",
    };
    let mut guest = guest(kernel, programs, directory, mirror)?;
    let parameters = printed_in(&guest, "")?;
    parameters.trim().clone_into(&mut guest.append);
    succeed(
        &guest,
        &format!(
            "cd /mnt/share
            cp /sys/kernel/tracing/trace boot.trace
            echo 1 >/proc/sys/net/core/bpf_jit_enable
            devres-tracer stacks --json --device {clock} >boot.stacks
            devres-tracer import --quiet --json /sys/kernel/tracing/trace >boot.jsonl
            exit 0"
        ),
    )?;
    boot_is_read(directory)?;
    // The snapshot needs probes.
    if kernel.architecture().target().has_probes() {
        adders_are_named(directory)?;
    }
    Ok(())
}

/// What `devres-tracer boot` has printed, for such a guest; and a panic gives the serial line time.
pub(super) fn mortal_parameters(printed: &str, boot: Boot) -> String {
    let printed = printed.trim();
    let parameters = match boot {
        // At the top of the memory QEMU puts the initramfs, again at each reset.
        Boot::Pvh => printed.replace("4M:4096:", "4M:256M:"),
        // A kernel that chooses its place avoids what is taken by its address.
        Boot::BzImage => printed
            .replace("reserve_mem=4M:4096:devres", "memmap=4M$0x28000000")
            .replace("=devres@devres", "=devres@0x28000000:4M"),
    };
    format!("panic=1 {parameters}")
}

impl Evidence {
    /// Why a test can't be run on this kernel, if so.
    pub(super) fn skipped(name: &str, series: Series) -> Option<&'static str> {
        if series < (5, 15) {
            return Some("this kernel has no tracepoint devres_log");
        }
        match name {
            BUFFER if series < WITH_BUFFER => Some("no buffer of this kernel outlives a reset"),
            CONSOLE if series >= WITH_BUFFER => Some("its crash is read from the buffer"),
            _ => None,
        }
    }

    /// Runs a test.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        match name {
            BOOT => self.boot_is_judged(),
            ADDERS => adders_are_named(&self.directory),
            BUFFER => crash_is_told(
                &json_lines(&self.directory.join("crash.jsonl"))?,
                self.series,
                None,
            ),
            _ => crash_is_told(
                &of_console(&self.tracer, &self.console)?,
                self.series,
                Some("panic"),
            ),
        }
    }

    /// DR001 is found in the kernel's own record where the kernel's order is wrong.
    fn boot_is_judged(&self) -> Result<()> {
        let lines = boot_is_read(&self.directory)?;
        let found = lines
            .iter()
            .any(|line| text(line, "/rule") == "DR001" && text(line, "/device") == "QEMU0001:00");
        ensure!(
            found == (self.series < (6, 17)),
            "DR001 on pvpanic: {found}\n{lines:?}"
        );
        Ok(())
    }
}

/// The whole of the kernel's own record is read. Returns what was made of it.
pub(super) fn boot_is_read(directory: &Path) -> Result<Vec<Value>> {
    let trace = fs::read_to_string(directory.join("boot.trace"))
        .context("there is no trace of the boot")?;
    ensure!(
        trace
            .lines()
            .filter(|line| line.contains(": devres_log:"))
            .count()
            > 100,
        "the boot was not recorded"
    );
    let lines = json_lines(&directory.join("boot.jsonl"))?;
    let summary = lines.last().context("there is no summary")?;
    let (all, events) = (&summary["lines"], &summary["event_lines"]);
    let heads = trace.lines().filter(|line| line.starts_with('#')).count() as u64;
    let unread = all
        .as_u64()
        .zip(events.as_u64())
        .map(|(all, events)| all - events);
    ensure!(
        unread == Some(heads),
        "{unread:?} lines were not read: {summary}"
    );
    ensure!(summary["lost"] == 0 && summary["desyncs"] == 0, "{summary}");
    Ok(lines)
}

/// Whatever the snapshot finds on a device that was probed while the kernel booted has an adder.
fn adders_are_named(directory: &Path) -> Result<()> {
    let devices = json_lines(&directory.join("boot.stacks"))?;
    let stack = devices
        .first()
        .and_then(|device| device["stack"].as_array());
    let stack = stack.context("nothing is on the device")?;
    ensure!(stack.len() >= 2, "only {stack:?}");
    for entry in stack {
        let added = entry["from_snapshot"] == false && !text(entry, "/task").is_empty();
        ensure!(added, "nobody has added it: {entry}");
    }
    Ok(())
}

/// What was under way is reported, with who added it, and DR001 where the kernel's order is wrong; and how the machine died,
/// where a log says.
pub(super) fn crash_is_told(lines: &[Value], series: Series, death: Option<&str>) -> Result<()> {
    let summary = lines.last().context("there is no summary")?;
    let one = &summary["crash"]["under_way"][0];
    // Before 6.4 the kernel calls all actions alike.
    let releasing = match text(one, "/releasing/name") {
        "devm_action_release" => text(one, "/releasing/function"),
        name => name,
    };
    ensure!(
        text(one, "/device") == DEVICE && releasing.starts_with(DEADLY),
        "not what was under way: {summary}"
    );
    ensure!(
        text(one, "/releasing/added/task") == "sh",
        "who added it: {one}"
    );
    ensure!(one["certain"] == true, "not certain: {one}");
    // Which modules were unloaded is not recorded.
    let undecided = summary["undecided"].as_array();
    ensure!(
        undecided.is_some_and(|rules| rules.iter().any(|one| text(one, "/rule") == "DR020")),
        "DR020 is decided: {summary}"
    );
    if let Some(death) = death {
        ensure!(
            text(summary, "/crash/death/kind") == death && one["died"] == true,
            "not how it died: {summary}"
        );
    }
    let found = lines
        .iter()
        .any(|line| text(line, "/rule") == "DR001" && text(line, "/device") == DEVICE);
    ensure!(
        found == (series < (6, 17)),
        "DR001 on the device that died: {found}\n{lines:?}"
    );
    Ok(())
}

/// What `devres-tracer crash` makes of a serial console's log.
pub(super) fn of_console(tracer: &Path, console: &Path) -> Result<Vec<Value>> {
    let output = Command::new(tracer)
        .args(["crash", "--quiet", "--json"])
        .arg(console)
        .output()
        .context("cannot run the tracer")?;
    lines(&String::from_utf8_lossy(&output.stdout))
}

/// The JSON lines of a file.
pub(super) fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    lines(&text)
}

fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect()
}
