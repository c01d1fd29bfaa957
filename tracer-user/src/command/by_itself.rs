//! What the running kernel can record by itself: at boot, over a reset, and without BPF.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    boot::{Setup, SetupOptions, TRACEPOINT, Target},
    crash::MESSAGES,
    kernel::Kernel,
    source::tracefs::TRACING,
};

/// What the running kernel can record by itself.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the kernel"
)]
pub(super) struct ByItself {
    /// Whether its own tracing is there: `--via tracefs`.
    tracefs: bool,
    /// Whether it can probe functions, at boot as well.
    probe_events: bool,
    /// Whether it is recording devres events.
    recording: bool,
    /// Whether it takes a bootconfig.
    bootconfig: bool,
    /// What makes the initramfs here, as `boot --format` calls it.
    initramfs: Option<&'static str>,
    /// Whether a buffer can outlive a reset.
    persistent: bool,
    /// Whether there is one.
    persistent_instance: bool,
    /// Whether it prints its buffer when it dies.
    dumps: bool,
    /// Whether something keeps the kernel's log over a reset.
    pstore: bool,
    /// Whether ramoops is there as a module that could.
    ramoops: bool,
    /// Whether something keeps messages of programs over a reset: `trace --pstore`.
    messages: bool,
    /// What can't be recorded, one sentence each.
    shortfalls: Vec<String>,
}

impl ByItself {
    pub(super) fn of_running_kernel() -> Self {
        let target = Target::running();
        let options = SetupOptions {
            buffer: 8 << 20,
            stacks: false,
            persistent: None,
            dump: false,
            free_irq: false,
        };
        let setup = Setup::of(&target, options);
        let tracing = Path::new(TRACING);
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let instances = fs::read_dir(tracing.join("instances"));
        let modules = Path::new("/lib/modules").join(Kernel::running().release);
        let makers = [
            ("/etc/initramfs-tools", "initramfs-tools"),
            ("/usr/lib/dracut", "dracut"),
        ];
        Self {
            tracefs: tracing.join("trace").exists(),
            probe_events: target.has_probe_events(),
            recording: read(&tracing.join("set_event")).contains(TRACEPOINT),
            bootconfig: Path::new("/proc/bootconfig").exists(),
            initramfs: makers
                .into_iter()
                .find(|(directory, _)| Path::new(directory).exists())
                .map(|(_, format)| format),
            persistent: target.can_persist(),
            persistent_instance: instances
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .any(|instance| instance.path().join("last_boot_info").exists()),
            dumps: !matches!(
                read(Path::new("/proc/sys/kernel/ftrace_dump_on_oops")).trim(),
                "" | "0"
            ),
            pstore: !matches!(
                read(Path::new("/sys/module/pstore/parameters/backend")).trim(),
                "" | "(null)"
            ),
            ramoops: read(&modules.join("modules.dep")).contains("/ramoops.ko"),
            messages: Path::new(MESSAGES).exists(),
            shortfalls: setup.shortfalls.iter().map(ToString::to_string).collect(),
        }
    }

    /// Writes it; with the proposal to trace this way where there is no other.
    pub(super) fn write(&self, writer: &mut impl Write, no_other: bool) -> io::Result<()> {
        writeln!(writer, "\nrecording by the kernel itself")?;
        for (name, text) in self.offers(no_other) {
            writeln!(writer, "  {name:<12} {text}")?;
        }
        for shortfall in &self.shortfalls {
            writeln!(writer, "  {shortfall}")?;
        }
        Ok(())
    }

    /// What it offers, each with what to run; a line without a name goes on with the one before.
    fn offers(&self, no_other: bool) -> Vec<(&'static str, String)> {
        let mut offers = vec![(
            "live",
            match (self.tracefs, no_other) {
                (true, true) => "yes: trace, record, check and live work with --via tracefs",
                (true, false) => "yes (--via tracefs)",
                (false, _) => "no: tracefs is not mounted at /sys/kernel/tracing, or not built in",
            }
            .to_owned(),
        )];
        self.at_boot(&mut offers);
        self.over_a_reset(&mut offers);
        offers
    }

    fn at_boot(&self, offers: &mut Vec<(&'static str, String)>) {
        let boot = match (self.recording, self.probe_events) {
            (true, _) => {
                "recording: `devres-tracer import /sys/kernel/tracing/trace`, `devres-tracer trace --after-boot`"
            }
            (false, true) => "yes: `devres-tracer boot` prints the line to add",
            (false, false) => {
                "only additions and releases (no CONFIG_KPROBE_EVENTS): `devres-tracer boot` prints the line to add"
            }
        };
        offers.push(("at boot", boot.to_owned()));
        if self.bootconfig {
            let text = "bootconfig works too: `devres-tracer boot --format bootconfig`";
            offers.push(("", text.to_owned()));
        }
        if let Some(format) = self.initramfs {
            let text = format!("from the initramfs: `devres-tracer boot --format {format} | sh`");
            offers.push(("", text));
        }
    }

    fn over_a_reset(&self, offers: &mut Vec<(&'static str, String)>) {
        let reset = match (self.persistent_instance, self.persistent) {
            (true, _) => "set up: after a crash run `devres-tracer crash`",
            (false, true) => "yes: `devres-tracer boot --persistent 4M` prints the line to add",
            (false, false) => "no (reserve_mem= needs 6.12)",
        };
        let console = if self.dumps {
            "set up (ftrace_dump_on_oops): `devres-tracer crash FILE` reads its log"
        } else {
            "yes: `devres-tracer boot --dump-on-oops` prints the line to add"
        };
        let pstore = match (self.pstore, self.ramoops) {
            (true, _) => "keeps the end of the kernel log, with --dump-on-oops the dump in it",
            (false, true) => {
                "not set up: reserve memory and load ramoops (docs/boot-and-crash.md, recipe 4)"
            }
            (false, false) => "no backend: this kernel has no module ramoops",
        };
        let messages = if self.messages {
            "yes: `devres-tracer trace --pstore`"
        } else {
            "no /dev/pmsg0 (CONFIG_PSTORE_PMSG, and a backend with room for messages)"
        };
        offers.extend([
            ("across reset", reset.to_owned()),
            ("serial line", console.to_owned()),
            ("pstore", pstore.to_owned()),
            ("messages", messages.to_owned()),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::ByItself;

    fn text(by_itself: &ByItself) -> String {
        let mut text = Vec::new();
        by_itself.write(&mut text, true).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn each_offer_has_what_to_run() {
        let nothing = text(&ByItself::default());
        assert!(!nothing.contains("--persistent"), "{nothing}");
        assert!(nothing.contains("no /dev/pmsg0"), "{nothing}");
        let everything = text(&ByItself {
            tracefs: true,
            probe_events: true,
            bootconfig: true,
            initramfs: Some("dracut"),
            persistent: true,
            ramoops: true,
            messages: true,
            ..ByItself::default()
        });
        for command in [
            "--via tracefs",
            "`devres-tracer boot`",
            "--format bootconfig",
            "--format dracut",
            "--persistent 4M",
            "--dump-on-oops",
            "load ramoops",
            "trace --pstore",
        ] {
            assert!(everything.contains(command), "{command}\n{everything}");
        }
        let in_use = text(&ByItself {
            recording: true,
            persistent_instance: true,
            dumps: true,
            pstore: true,
            ..ByItself::default()
        });
        for command in ["trace --after-boot", "`devres-tracer crash`", "crash FILE"] {
            assert!(in_use.contains(command), "{command}\n{in_use}");
        }
    }
}
