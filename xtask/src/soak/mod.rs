//! `cargo xtask soak`: every driver that QEMU has a device for, on a stock kernel, with all rules applied.
//!
//! Nothing is wrong there on purpose. What is found all the same must be in the list of what is known to be true of
//! that kernel.

mod known;

pub(crate) use known::{KNOWN, reason};

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::guest::Guest;
use crate::guest_tests;
use crate::kernel::Kernel;
use crate::modules::ModuleIndex;
use crate::{tracer, workspace};

/// Devices besides the standard ones, as QEMU arguments. Those without a bus of their own are behind a bridge, as the
/// root has only so many slots.
const DEVICES: &[&str] = &[
    "-device pci-bridge,id=soak,chassis_nr=7",
    "-device pci-bridge,id=more,chassis_nr=8",
    // Network.
    "-device e1000,bus=soak",
    "-device rtl8139,bus=soak",
    "-device vmxnet3,bus=soak",
    "-device pcnet,bus=soak",
    "-device tulip,bus=soak",
    "-device ne2k_pci,bus=soak",
    "-device i82551,bus=soak",
    // Storage.
    "-blockdev driver=null-co,node-name=soak0,size=16777216,read-zeroes=on",
    "-device lsi53c895a,id=lsi,bus=soak",
    "-device scsi-hd,drive=soak0,bus=lsi.0",
    "-blockdev driver=null-co,node-name=soak1,size=16777216,read-zeroes=on",
    "-device megasas,id=megasas,bus=soak",
    "-device scsi-hd,drive=soak1,bus=megasas.0",
    "-device mptsas1068,bus=soak",
    "-device am53c974,bus=soak",
    "-device pvscsi,bus=soak",
    "-device piix3-ide,bus=more",
    // USB.
    "-device piix3-usb-uhci,id=uhci,bus=soak",
    "-device usb-mouse,bus=uhci.0",
    "-device usb-ehci,id=ehci,bus=soak",
    "-blockdev driver=null-co,node-name=soak2,size=16777216,read-zeroes=on",
    "-device usb-storage,drive=soak2,bus=ehci.0",
    "-device pci-ohci,id=ohci,bus=soak",
    "-device usb-kbd,bus=ohci.0",
    "-device nec-usb-xhci,id=nec,bus=soak",
    "-device usb-hub,bus=nec.0,port=1",
    "-chardev null,id=null0",
    "-device usb-serial,chardev=null0,bus=nec.0,port=2",
    "-device usb-audio,audiodev=audio0,bus=nec.0,port=3",
    "-device usb-net,bus=nec.0,port=4",
    "-device usb-wacom-tablet,bus=nec.0,port=1.1",
    // Sound.
    "-device AC97,audiodev=audio0,bus=soak",
    "-device ES1370,audiodev=audio0,bus=soak",
    // Paravirtual devices.
    "-device virtio-balloon-pci,bus=soak",
    "-device virtio-keyboard-pci,bus=soak",
    "-device virtio-mouse-pci,bus=soak",
    "-object cryptodev-backend-builtin,id=crypto0",
    "-device virtio-crypto-pci,cryptodev=crypto0,bus=soak",
    // Displays.
    "-device virtio-gpu-pci,bus=more",
    "-device bochs-display,bus=more",
    "-device cirrus-vga,bus=more",
    "-device secondary-vga,bus=more",
    // Lines of all kinds.
    "-chardev null,id=null1",
    "-device pci-serial,chardev=null1,bus=more",
    "-chardev null,id=null2",
    "-device isa-parallel,chardev=null2",
    "-object can-bus,id=can0",
    "-device kvaser_pci,canbus=can0,bus=more",
    "-device ctucan_pci,canbus0=can0,canbus1=can0,bus=more",
    "-device tpci200,bus=more",
    // What looks after the machine.
    "-device ipmi-bmc-sim,id=bmc0",
    "-device isa-ipmi-kcs,bmc=bmc0,irq=5",
    "-device ib700",
    "-device pci-testdev,bus=more",
    "-device ioh3420,chassis=9",
    "-device i82801b11-bridge",
];

/// Drivers of these devices and for what needs none; those that a kernel does not have are left out.
const MODULES: &[&str] = &[
    "8139cp",
    "8139too",
    "8250_pci",
    "ac97_bus",
    "am53c974",
    "ata_generic",
    "ata_piix",
    "at24",
    "bochs",
    "cirrus",
    "cirrus-qemu",
    "coretemp",
    "ctucanfd_pci",
    "ds1621",
    "dummy_hcd",
    "e100",
    "e1000",
    "ehci_pci",
    "fan",
    "gpio_mockup",
    "gpio_sim",
    "hid_generic",
    "i2c_piix4",
    "ib700wdt",
    "intel_rapl_msr",
    "ipmi_devintf",
    "ipmi_si",
    "jc42",
    "kvaser_pci",
    "mac80211_hwsim",
    "megaraid_sas",
    "mptsas",
    "ne2k_pci",
    "netdevsim",
    "null_blk",
    "ohci_pci",
    "parport_pc",
    "pata_acpi",
    "pci_endpoint_test",
    "pcnet32",
    "pcspkr",
    "ppdev",
    "psmouse",
    "ptp_kvm",
    "qxl",
    "rndis_host",
    "rtc_ds1307",
    "scsi_debug",
    "snd_aloop",
    "snd_ens1370",
    "snd_intel8x0",
    "snd_pcsp",
    "snd_usb_audio",
    "snd_virmidi",
    "sym53c8xx",
    "tmp421",
    "tulip",
    "uas",
    "uhci_hcd",
    "ftdi_sio",
    "virtio_balloon",
    "virtio_crypto",
    "virtio_gpu",
    "virtio_input",
    "vmw_pvscsi",
    "vmxnet3",
    "w83781d",
    "wacom",
    "tpci200",
    "ipoctal",
    "button",
    "pcc_cpufreq",
    "acpi_cpufreq",
    "sr_mod",
    "cdc_ether",
    "cdc_subset",
    "mousedev",
    "evdev",
    "sg",
];

/// The part of the script that runs in the guest, under the tracer.
const SCRIPT: &str = concat!(
    "cat >/tmp/soak <<'END_OF_SOAK'\nset -eu\n",
    include_str!("../guest_tests/cycle.sh"),
    include_str!("../guest_tests/soak.sh"),
    "END_OF_SOAK\n"
);

/// What carries the job and must not go away.
const CARRIERS: &str = r#"
carriers=
for device in /sys/bus/virtio/drivers/9pnet_virtio/virtio*; do
    carriers="$carriers $(readlink -f $device)"
done
export carriers
modprobe -q i2c-stub chip_addr=0x48,0x49,0x18,0x50,0x4c,0x4a,0x2d,0x68 || true
for module in lm75 tmp102 jc42 at24 tmp421 ds1621 w83781d rtc_ds1307; do
    modprobe -q $module || true
done
cd /mnt/share
"#;

/// Arguments of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel, as in `cargo xtask vm`.
    #[arg(long, value_name = "NAME", default_value = "newest")]
    kernel: String,
    /// How long: `90`, `90s`, `30m`, `1h`. One pass over all drivers is made in any case.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, default_value = "5m")]
    time: u64,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

fn seconds(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.strip_suffix(['s', 'm', 'h']) {
        None => (text, 1),
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) if text.ends_with('h') => (number, 3600),
        Some(number) => (number, 1),
    };
    number
        .parse::<u64>()
        .map(|number| number.saturating_mul(factor))
        .map_err(|_| "a time is a number such as 90, 90s, 30m or 1h".to_owned())
}

/// What a soak has brought to light.
#[derive(Debug)]
pub(crate) struct Soak {
    /// Findings of warn and error, each as it was written last.
    pub(crate) findings: Vec<Value>,
    /// The tracer's summary.
    pub(crate) summary: Value,
    /// What the script printed: each driver and device.
    pub(crate) log: String,
    /// The kernel's log.
    pub(crate) console: String,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mirror = args.mirror.as_deref();
    let kernel = Kernel::obtain(&args.kernel, false, mirror)?;
    let soak = soak(&kernel, &tracer::build_static()?, args.time, mirror)?;
    println!("{}", soak.log);
    let series = guest_tests::parse_series(&kernel.release)?;
    for finding in &soak.findings {
        let what = match reason(finding, series) {
            Some(reason) => format!("known: {reason}"),
            None => "NOT KNOWN".to_owned(),
        };
        println!("{what}\n  {finding}");
    }
    soak.judge(&kernel.release)?;
    if let [first, .., last] = soak.resident()[..] {
        println!("the tracer took {first} kB after the first pass and {last} kB after the last");
    }
    let told = |what: &str| soak.summary[what].as_u64().unwrap_or(0);
    println!(
        "nothing was found that is not known to be true of {}: {} passes, {} events on {} devices, {} lost",
        kernel.release,
        soak.log
            .lines()
            .filter(|line| line.starts_with("pass "))
            .count(),
        told("events"),
        told("devices"),
        told("lost")
    );
    Ok(ExitCode::SUCCESS)
}

/// Where a soak leaves what it found.
pub(crate) fn directory(kernel: &Kernel) -> PathBuf {
    workspace::root().join("target/soak").join(&kernel.release)
}

/// Runs all drivers of `kernel` for so many seconds, or one pass.
pub(crate) fn soak(
    kernel: &Kernel,
    tracer: &Path,
    seconds: u64,
    mirror: Option<&str>,
) -> Result<Soak> {
    let index = ModuleIndex::read(&kernel.modules())?;
    let mut guest = Guest::new(kernel.clone());
    guest.qemu_arguments = DEVICES
        .iter()
        .flat_map(|device| device.split(' '))
        .map(str::to_owned)
        .collect();
    guest.modules = MODULES
        .iter()
        .map(|&name| name.to_owned())
        .filter(|name| index.closure(std::slice::from_ref(name)).missing.is_empty())
        .collect();
    guest.files = vec![(tracer.to_owned(), tracer::PATH_IN_GUEST.to_owned())];
    let directory = directory(kernel);
    workspace::remove_if_present(&directory)?;
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    guest.share = Some(directory.clone());
    guest.console_log = Some(directory.join("console.log"));
    guest.mirror = mirror.map(str::to_owned);
    // A pass takes a while on an emulated machine, and it is finished when the time is over.
    guest.timeout = Duration::from_secs(seconds + 1500);
    guest.silence = None;
    let script = format!(
        "{SCRIPT}{CARRIERS}\nexport seconds={seconds}\n\
         devres-tracer trace --json --quiet --all-rules --ring-size 64M \
         --output soak.jsonl -- sh -c 'tracer=$PPID . /tmp/soak' >log 2>&1 || echo $? >exit\n"
    );
    let run = guest.run(&script)?;
    Soak::read(&directory, run.console)
}

impl Soak {
    fn read(directory: &Path, console: String) -> Result<Self> {
        let text = |name: &str| {
            std::fs::read_to_string(directory.join(name))
                .with_context(|| format!("the guest left no {name}"))
        };
        let mut findings: Vec<Value> = Vec::new();
        let mut summary = Value::Null;
        for line in text("soak.jsonl")?.lines() {
            let line: Value = serde_json::from_str(line).context("a line is no JSON")?;
            match line["type"].as_str() {
                Some("finding") => {
                    findings.retain(|known| known["fingerprint"] != line["fingerprint"]);
                    findings.push(line);
                }
                Some("summary") => summary = line,
                _ => {}
            }
        }
        findings.retain(|finding| finding["severity"] != "info");
        let log = text("log")?;
        ensure!(
            summary.is_object(),
            "the tracer did not come to its end:\n{log}"
        );
        ensure!(log.contains("pass 1 at"), "no pass came to its end:\n{log}");
        Ok(Self {
            findings,
            summary,
            log,
            console,
        })
    }

    /// The tracer's resident memory after each pass, in kB.
    fn resident(&self) -> Vec<u64> {
        let lines = self.log.lines();
        lines
            .filter_map(|line| line.strip_prefix("VmRSS:"))
            .filter_map(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            .collect()
    }

    /// Fails if something was found that is not known to be true, or not everything was seen.
    pub(crate) fn judge(&self, release: &str) -> Result<()> {
        let series = guest_tests::parse_series(release)?;
        let unknown: Vec<String> = self
            .findings
            .iter()
            .filter(|finding| reason(finding, series).is_none())
            .map(|finding| {
                let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
                format!(
                    "{} {}: {}",
                    text("severity"),
                    text("fingerprint"),
                    text("summary")
                )
            })
            .collect();
        ensure!(
            unknown.is_empty(),
            "these are not known to be true of {release}:\n{}",
            unknown.join("\n")
        );
        for what in ["desyncs", "findings_dropped"] {
            ensure!(
                self.summary[what].as_u64().unwrap_or(0) == 0,
                "not everything was understood: {what}: {}",
                self.summary["desync_details"]
            );
        }
        let trouble: Vec<String> = guest_tests::troubled_lines(&self.console).collect();
        ensure!(
            trouble.is_empty(),
            "the kernel is not well:\n{}",
            trouble.join("\n")
        );
        let cycled = self
            .log
            .lines()
            .filter(|line| line.starts_with("/sys/"))
            .count();
        ensure!(cycled >= 40, "only {cycled} devices were unbound and bound");
        Ok(())
    }
}
