//! What `devres-tracer boot --format initramfs-tools` and `--format dracut` print, as root of a Debian runs it: that Debian
//! boots with the initramfs that was made, and the kernel has recorded every driver since udev loaded the first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::boot_and_crash::{boot_is_read, json_lines};
use super::recording::text;
use crate::architecture::Architecture;
use crate::clean_debian::CleanDebian;
use crate::qemu::Machine;
use crate::test::Tally;
use crate::{command, tools, tracer, vmlinux, workspace};

/// The release of Debian that is booted, which has a kernel 6.1.
const SUITE: &str = "bookworm";

/// The size of its disk, which is sparse.
const DISK: &str = "3G";

/// How many seconds it may take from power-on to power-off.
const SECONDS: &str = "500";

/// PID 1 below the real root: what was recorded is in /mnt/share afterwards. The driver that is loaded by hand is one that
/// neither udev nor the kernel has loaded; the watchdog's module is on Debian's list of those.
const INIT: &str = r"#!/bin/sh
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t tracefs tracefs /sys/kernel/tracing
    modprobe 9pnet_virtio
    mount -t 9p -o trans=virtio,version=9p2000.L share /mnt/share
    cd /mnt/share
    cut -d ' ' -f 1 /proc/uptime >real-root
    modprobe i6300esb
    cat /sys/kernel/tracing/trace >boot.trace
    devres-tracer import --json boot.trace >boot.jsonl 2>boot.stderr
    sync
    echo o >/proc/sysrq-trigger
    sleep 60
";

/// A tool that makes an initramfs.
struct Tool {
    /// The test's name.
    name: &'static str,
    /// The format that the tracer prints for it.
    format: &'static str,
    /// Its packages, and what the Debian needs besides to boot.
    packages: &'static [&'static str],
    /// What the printed script ends with, and what stands for it here: the kernel that runs is not the one that is to be
    /// booted, and the machine that it runs on has other devices.
    makes: Option<(&'static str, &'static str)>,
}

const TOOLS: [Tool; 2] = [
    Tool {
        name: "initramfs_of_initramfs_tools_records_from_the_first_driver",
        format: "initramfs-tools",
        packages: &[
            "linux-image-amd64",
            "initramfs-tools",
            "kmod",
            "udev",
            "zstd",
        ],
        makes: None,
    },
    Tool {
        name: "initramfs_of_dracut_records_from_the_first_driver",
        format: "dracut",
        packages: &["linux-image-amd64", "dracut", "kmod", "udev", "zstd"],
        makes: Some((
            "dracut -f\n",
            "release=$(ls /lib/modules)\ndracut --force --no-hostonly /boot/initrd.img-$release $release\n",
        )),
    },
];

/// Runs the tests, and prints a line about each.
pub(crate) fn run(filter: Option<&str>, mirror: Option<&str>) -> Result<Tally> {
    let mut tally = Tally::default();
    let program = tracer::build_static()?;
    tools::require(&["mke2fs", Architecture::Amd64.emulator()])?;
    for tool in &TOOLS {
        if !super::is_wanted_name(tool.name, filter) {
            continue;
        }
        let directory = workspace::root()
            .join("target/guest-tests/initramfs")
            .join(tool.format);
        let result = tool.is_booted(&program, &directory, mirror);
        let result = result.with_context(|| format!("more is in {}", directory.display()));
        tally += Tally::of(&tool.name, result);
    }
    Ok(tally)
}

impl Tool {
    fn is_booted(&self, program: &Path, directory: &Path, mirror: Option<&str>) -> Result<()> {
        workspace::remove_if_present(directory)?;
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let debian = CleanDebian::new(SUITE, self.packages, mirror)?;
        let kernel = file_of(&debian, "vmlinuz-")?;
        self.install(&debian, program, &kernel)?;
        let disk = directory.join("disk");
        command::output(
            tools::command("mke2fs")
                .args(["-q", "-t", "ext4", "-d"])
                .arg(debian.root())
                .arg(&disk)
                .arg(DISK),
        )?;
        boot(&kernel, &file_of(&debian, "initrd.img-")?, &disk, directory)?;
        fs::remove_file(&disk).context("cannot remove the disk")?;
        is_recorded(directory)
    }

    /// Does what the user is asked for, in the Debian that will be booted.
    fn install(&self, debian: &CleanDebian, program: &Path, kernel: &Path) -> Result<()> {
        let target = debian.root().join("usr/bin/devres-tracer");
        fs::copy(program, target).context("cannot copy the tracer")?;
        fs::create_dir_all(debian.root().join("mnt/share")).context("cannot make a directory")?;
        vmlinux::unpack(kernel, &debian.root().join("tmp/vmlinux"))?;
        let print = format!(
            "devres-tracer boot --format {} --btf /tmp/vmlinux && rm /tmp/vmlinux",
            self.format
        );
        let mut script = debian.output(&print, 0)?;
        if let Some((printed, here)) = self.makes {
            ensure!(script.ends_with(printed), "it ends otherwise: {script}");
            script.truncate(script.len() - printed.len());
            script.push_str(here);
        }
        fs::write(debian.root().join("root/record.sh"), script).context("cannot keep it")?;
        debian.output("sh /root/record.sh", 0)?;
        let init = debian.root().join("root/init");
        fs::write(&init, INIT).context("cannot write the first program")?;
        debian.output("chmod +x /root/init", 0).map(drop)
    }
}

/// The one file in `/boot` whose name begins so.
fn file_of(debian: &CleanDebian, begins: &str) -> Result<PathBuf> {
    let boot = debian.root().join("boot");
    fs::read_dir(&boot)
        .context("the Debian has nothing to boot")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(begins))
        })
        .with_context(|| format!("there is no {begins} in /boot"))
}

fn boot(kernel: &Path, initramfs: &Path, disk: &Path, directory: &Path) -> Result<()> {
    let drive = format!(
        "file={},if=none,id=root,format=raw",
        disk.to_str().context("the disk's path is not UTF-8")?
    );
    let arguments = [
        "-drive",
        &drive,
        "-device",
        "virtio-blk-pci,drive=root,serial=root",
    ]
    .map(str::to_owned);
    let console = directory.join("console.log");
    let machine = Machine {
        architecture: Architecture::Amd64,
        image: kernel,
        initramfs,
        append: "root=/dev/disk/by-id/virtio-root rw init=/root/init console=ttyS0 panic=-1 tsc=reliable mitigations=off",
        console: &console,
        shares: &[("share", directory)],
        standard_devices: true,
        arguments: &arguments,
        interactive: false,
        kvm: false,
        reboots: false,
    };
    let machine = machine.command()?;
    let mut limited = Command::new("timeout");
    limited
        .arg(SECONDS)
        .arg(machine.get_program())
        .args(machine.get_args())
        .envs(
            machine
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    command::output(&mut limited).map(drop)
}

/// The record begins before the real root is there, misses nothing, and goes on below it.
fn is_recorded(directory: &Path) -> Result<()> {
    let lines = boot_is_read(directory)?;
    let began = fs::read_to_string(directory.join("real-root"))?;
    let began: f64 = began.trim().parse().context("when did it begin?")?;
    let times: Vec<f64> = lines
        .iter()
        .filter_map(|line| line["time"].as_f64())
        .map(|nanoseconds| nanoseconds / 1e9)
        .collect();
    let before = times.iter().filter(|time| **time < began).count();
    ensure!(
        before > 100,
        "{before} of {} events came before the real root did, at {began} s",
        times.len()
    );
    let loaded_by_hand = |line: &serde_json::Value| text(line, "/driver") == "i6300ESB timer";
    ensure!(
        json_lines(&directory.join("boot.jsonl"))?
            .iter()
            .any(loaded_by_hand),
        "what was loaded below the real root is not in the record"
    );
    Ok(())
}
