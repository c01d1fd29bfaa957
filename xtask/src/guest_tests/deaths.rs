//! Further ways in which a machine dies, and further places that its last moments are read from, each in a guest of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::boot_and_crash::{
    WITH_BUFFER, crash_is_told, json_lines, mortal_guest, mortal_parameters, of_console, succeed,
};
use super::{Programs, Series};
use crate::kernel::Kernel;
use crate::qemu::Boot;

/// A machine that dies.
pub(super) struct Death {
    /// The test's name.
    pub(super) name: &'static str,
    /// What the release of a resource does: `panic`, `oops` or `hang`.
    how: &'static str,
    /// What the log calls it, where it is read from one.
    told: Option<&'static str>,
    /// What the kernel's log or memory keeps of it.
    keeper: &'static Keeper,
    /// Further parameters of the kernel.
    parameters: &'static str,
    /// Shell that makes the machine die of a hang.
    fatal: &'static str,
    /// The image that is booted.
    boot: Boot,
}

/// What keeps the last moments of a machine.
struct Keeper {
    /// The first kernels that have it, and those that no longer need it tested.
    kernels: std::ops::Range<Series>,
    /// Arguments of `devres-tracer boot`.
    arguments: &'static [&'static str],
    /// Further parameters of the kernel.
    parameters: &'static str,
    /// Modules for it.
    modules: &'static [&'static str],
    /// Shell that sets it up, before the machine dies.
    set_up: &'static str,
    /// Shell that reads it after the reset; nothing where the console's log is read.
    read: Option<&'static str>,
}

/// Every kernel with the tracepoint `devres_log`.
const LOGGING: Series = (5, 15);
const ALWAYS: Series = (u32::MAX, 0);

/// A buffer that outlives the reset.
static BUFFER: Keeper = Keeper {
    kernels: WITH_BUFFER..ALWAYS,
    arguments: &["--persistent", "4M"],
    parameters: "",
    modules: &[],
    set_up: "
        devres-tracer boot --persistent 4M --format tracefs-script >script
        sh script
        # The next kernel may empty the buffer of the CPU that boots it.
        taskset -p 1 $$",
    read: Some(
        "
        for file in last_boot_info trace per_cpu/cpu0/buffer_meta per_cpu/cpu1/buffer_meta; do
            cp /sys/kernel/tracing/instances/devres/$file $(echo $file | tr / .)
        done
        devres-tracer crash --quiet --json >crash.jsonl 2>crash.stderr
        devres-tracer import --quiet --json /sys/kernel/tracing/instances/devres/trace >import.jsonl 2>import.stderr",
    ),
};

/// The serial console.
static CONSOLE: Keeper = Keeper {
    kernels: LOGGING..ALWAYS,
    arguments: &["--dump-on-oops"],
    parameters: "",
    modules: &[],
    set_up: "",
    read: None,
};

/// Memory that the kernel leaves alone, with the end of its log.
static RAMOOPS: Keeper = Keeper {
    kernels: LOGGING..ALWAYS,
    arguments: &["--dump-on-oops"],
    parameters: "memmap=4M$0x28000000",
    modules: &["ramoops"],
    set_up: "
        modprobe ramoops mem_address=0x28000000 mem_size=0x400000 record_size=0x100000 console_size=0 ftrace_size=0 pmsg_size=0",
    read: Some(
        "
        modprobe ramoops mem_address=0x28000000 mem_size=0x400000 record_size=0x100000 console_size=0 ftrace_size=0 pmsg_size=0
        mount -t pstore pstore /sys/fs/pstore
        cp /sys/fs/pstore/* .
        devres-tracer crash --quiet --json >crash.jsonl 2>crash.stderr",
    ),
};

/// The ways.
pub(super) static DEATHS: [Death; 5] = [
    Death {
        name: "hang_is_told_from_the_buffer",
        how: "hang",
        told: None,
        keeper: &BUFFER,
        parameters: "",
        // A watchdog resets the machine, and nothing is logged.
        fatal: "
            rmmod i6300esb
            modprobe i6300esb heartbeat=4
            exec 9>/dev/watchdog",
        boot: Boot::Pvh,
    },
    Death {
        name: "crash_with_other_addresses_is_told_from_the_buffer",
        how: "panic",
        told: None,
        keeper: &BUFFER,
        parameters: "",
        fatal: "",
        // Only this one has KASLR.
        boot: Boot::BzImage,
    },
    Death {
        name: "hang_is_told_from_the_serial_console",
        how: "hang",
        told: Some("hang"),
        keeper: &CONSOLE,
        parameters: "softlockup_panic=1",
        fatal: "echo 2 >/proc/sys/kernel/watchdog_thresh",
        boot: Boot::Pvh,
    },
    Death {
        name: "oops_is_told_from_the_serial_console",
        how: "oops",
        told: Some("oops"),
        keeper: &CONSOLE,
        parameters: "oops=panic",
        fatal: "",
        boot: Boot::Pvh,
    },
    Death {
        name: "panic_is_told_from_ramoops",
        how: "panic",
        told: Some("panic"),
        keeper: &RAMOOPS,
        parameters: "",
        fatal: "",
        boot: Boot::Pvh,
    },
];

/// What `import` makes of the same events.
fn reads_as_much(imported: &[Value], told: &[Value]) -> Result<()> {
    let summaries = imported.last().zip(told.last());
    let (imported, told) = summaries.context("import read nothing")?;
    ensure!(
        imported["events"] == told["events"] && told["events"].as_u64() > Some(0),
        "import read {imported}"
    );
    Ok(())
}

impl Death {
    /// Why it can't be tested on a kernel, if so.
    pub(super) fn skipped(&self, series: Series) -> Option<&'static str> {
        (!self.keeper.kernels.contains(&series)).then_some("this kernel keeps nothing there")
    }

    /// Lets a machine die, and reads why.
    pub(super) fn check(
        &self,
        kernel: &Kernel,
        programs: &Programs,
        directory: &Path,
        series: Series,
        mirror: Option<&str>,
    ) -> Result<()> {
        let directory = &directory.join(self.name);
        let keeper = self.keeper;
        let mut guest = mortal_guest(kernel, programs, directory, mirror)?;
        guest.boot = self.boot;
        guest.modules = keeper.modules.iter().map(|&name| name.to_owned()).collect();
        guest.append = format!(
            "{} {} {}",
            mortal_parameters(&self.printed(kernel, programs)?, self.boot),
            keeper.parameters,
            self.parameters
        );
        let console = directory.join("console.log");
        guest.console_log = Some(console.clone());
        guest.reboots = true;
        succeed(&guest, &self.script())?;
        let lines = match keeper.read {
            Some(_) => json_lines(&directory.join("crash.jsonl"))?,
            None => of_console(&programs.tracer, &console)?,
        };
        let told = crash_is_told(&lines, series, self.told);
        let told = told.and_then(|()| match directory.join("import.jsonl") {
            path if path.exists() => reads_as_much(&json_lines(&path)?, &lines),
            _ => Ok(()),
        });
        told.with_context(|| format!("more is in {}", directory.display()))
    }

    /// The parameters that the tracer prints for a kernel that it doesn't run on.
    fn printed(&self, kernel: &Kernel, programs: &Programs) -> Result<String> {
        let output = Command::new(&programs.tracer)
            .args(["boot", "--taken", "512", "--btf"])
            .arg(kernel.vmlinux())
            .args(self.keeper.arguments)
            .output()
            .context("cannot run the tracer")?;
        ensure!(
            output.status.success(),
            "no parameters: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).context("the parameters are no text")
    }

    /// Runs twice: before the death, and after it.
    fn script(&self) -> String {
        format!(
            "cd /mnt/share
            set -e
            if [ ! -e crashed ]; then
                : >crashed
                {}
                insmod /devres_test.ko
                {}
                sync
                echo {} >/sys/kernel/debug/devres_test/crash
                exit 9
            fi
            set +e
            {}
            exit 0
            ",
            self.keeper.set_up,
            self.fatal,
            self.how,
            self.keeper.read.unwrap_or_default()
        )
    }
}
