//! QEMU's command line: the machine every guest gets, and its devices.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::tools;

/// Devices that only a PC has.
const PC_DEVICES: &[&str] = &[
    // Platform device QEMU0001:00 with an ACPI power domain.
    "-device pvpanic",
    "-device vmgenid",
    "-blockdev driver=null-co,node-name=disk2,size=16777216,read-zeroes=on",
    "-device ide-hd,drive=disk2,bus=ide.0",
];

/// Devices whose drivers use devres, as QEMU arguments. None of them reaches anything outside of the guest.
const STANDARD_DEVICES: &[&str] = &[
    "-device pvpanic-pci",
    "-device edu",
    "-device i6300esb",
    "-device virtio-rng-pci",
    "-device virtio-serial-pci",
    "-netdev hubport,hubid=0,id=net0",
    "-device virtio-net-pci,netdev=net0",
    "-netdev hubport,hubid=1,id=net1",
    "-device e1000e,netdev=net1",
    "-blockdev driver=null-co,node-name=disk0,size=16777216,read-zeroes=on",
    "-device virtio-blk-pci,drive=disk0",
    "-blockdev driver=null-co,node-name=disk1,size=16777216,read-zeroes=on",
    "-device nvme,serial=nvme0,drive=disk1",
    "-blockdev driver=null-co,node-name=disk3,size=16777216,read-zeroes=on",
    "-device sdhci-pci",
    "-device sd-card,drive=disk3",
    "-device virtio-scsi-pci",
    "-device qemu-xhci",
    "-device usb-tablet",
    "-audiodev none,id=audio0",
    "-device intel-hda",
    "-device hda-duplex,audiodev=audio0",
    "-device pcie-root-port,chassis=1",
];

/// Which of the kernel's images is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    /// The unpacked kernel by its PVH entry: fast, but without KASLR and the ACPI tables of TPM, NVDIMM and CXL.
    Pvh,
    /// The bzImage through the firmware, as a real machine does it.
    BzImage,
}

/// One machine to start.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own of the machine"
)]
pub(crate) struct Machine<'a> {
    /// Its architecture.
    pub(crate) architecture: Architecture,
    /// The kernel image.
    pub(crate) image: &'a Path,
    /// The initramfs.
    pub(crate) initramfs: &'a Path,
    /// The kernel's command line.
    pub(crate) append: &'a str,
    /// Where the kernel's log goes.
    pub(crate) console: &'a Path,
    /// Directories offered by 9p, each with its tag.
    pub(crate) shares: &'a [(&'a str, &'a Path)],
    /// Whether the standard devices are there.
    pub(crate) standard_devices: bool,
    /// Further arguments of QEMU.
    pub(crate) arguments: &'a [String],
    /// Whether the second serial line is the terminal.
    pub(crate) interactive: bool,
    /// Whether KVM runs the guest instead of the emulator.
    pub(crate) kvm: bool,
    /// Whether a reset boots it again, with the memory as it was, instead of ending it.
    pub(crate) reboots: bool,
}

impl Machine<'_> {
    /// The command that runs the machine until it powers off. It ends when the thread that started it does.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = tools::command("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            self.architecture.emulator(),
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
        ]);
        if self.reboots {
            // Where pvpanic reports a panic, QEMU would end before the kernel has said all of it.
            command.args(["-action", "panic=none"]);
        } else {
            command.arg("-no-reboot");
        }
        self.add_processor_and_kernel(&mut command);
        command.arg("-chardev").arg(format!(
            "file,id=console,path={}",
            option_value(self.console)?
        ));
        command.args(["-serial", "chardev:console"]);
        if self.interactive {
            self.add_terminal(&mut command);
        }
        for (tag, directory) in self.shares {
            let directory = option_value(directory)?;
            command.arg("-fsdev").arg(format!(
                "local,id={tag},path={directory},security_model=none,multidevs=remap"
            ));
            command
                .arg("-device")
                .arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
        }
        if self.standard_devices {
            let pc: &[&str] = match self.architecture {
                Architecture::Amd64 => PC_DEVICES,
                Architecture::Arm64 | Architecture::Riscv64 | Architecture::Armhf => &[],
            };
            let devices = pc.iter().chain(STANDARD_DEVICES);
            command.args(devices.flat_map(|device| device.split(' ')));
        }
        command.args(self.arguments);
        Ok(command)
    }

    fn add_processor_and_kernel(&self, command: &mut Command) {
        command.args([
            "-M",
            self.architecture.machine(),
            "-smp",
            "2",
            "-m",
            "1G",
            "-cpu",
            if self.kvm {
                "host"
            } else {
                self.architecture.processor()
            },
        ]);
        command.args(["-accel", if self.kvm { "kvm" } else { "tcg,thread=multi" }]);
        command
            .arg("-kernel")
            .arg(self.image)
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-append", self.append]);
    }

    /// A second serial line, with the emulator's own commands.
    fn add_terminal(&self, command: &mut Command) {
        command.args(["-chardev", "stdio,id=terminal,mux=on,signal=off"]);
        match self.architecture {
            Architecture::Amd64 => command.args(["-serial", "chardev:terminal"]),
            // The machine has one serial line of its own.
            Architecture::Arm64 | Architecture::Riscv64 | Architecture::Armhf => {
                command.args(["-device", "pci-serial,chardev=terminal"])
            }
        };
        command.args(["-mon", "chardev=terminal"]);
    }
}

/// A path as a value in QEMU's option lists, in which a comma is written twice.
fn option_value(path: &Path) -> Result<String> {
    let path = path
        .to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(path.replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_do_not_end_the_option() -> Result<()> {
        let machine = Machine {
            architecture: Architecture::Amd64,
            image: Path::new("vmlinux"),
            initramfs: Path::new("initramfs"),
            append: "quiet",
            console: Path::new("a,b/console"),
            shares: &[("job", Path::new("a,b"))],
            standard_devices: false,
            arguments: &["-device".to_owned(), "edu".to_owned()],
            interactive: false,
            kvm: false,
            reboots: false,
        };
        let command = machine.command()?;
        let arguments: Vec<_> = command
            .get_args()
            .filter_map(|argument| argument.to_str())
            .collect();
        assert!(
            arguments.contains(&"file,id=console,path=a,,b/console"),
            "{arguments:?}"
        );
        assert!(
            arguments.contains(&"local,id=job,path=a,,b,security_model=none,multidevs=remap"),
            "{arguments:?}"
        );
        assert_eq!(arguments.last(), Some(&"edu"));
        Ok(())
    }
}
