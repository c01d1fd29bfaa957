//! What the running kernel can record by itself: at boot, over a reset, and without BPF.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    boot::{Setup, Target, Wishes},
    source::tracefs::TRACING,
};

/// What the running kernel can record by itself.
#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the kernel"
)]
pub(super) struct ByItself {
    /// Whether its own tracing is there: `--via tracefs`.
    tracefs: bool,
    /// Whether it can probe functions, at boot as well.
    probe_events: bool,
    /// Whether it takes a bootconfig.
    bootconfig: bool,
    /// Whether a buffer can outlive a reset.
    persistent: bool,
    /// Whether there is one.
    persistent_instance: bool,
    /// Whether something keeps the kernel's log over a reset.
    pstore: bool,
    /// What can't be recorded, one sentence each.
    shortfalls: Vec<String>,
}

impl ByItself {
    pub(super) fn of_running_kernel() -> Self {
        let target = Target::running();
        let wishes = Wishes {
            buffer: 8 << 20,
            stacks: false,
            persistent: None,
            dump: false,
        };
        let setup = Setup::of(&target, wishes);
        let instances = fs::read_dir(Path::new(TRACING).join("instances"));
        Self {
            tracefs: Path::new(TRACING).join("trace").exists(),
            probe_events: target.has_probe_events(),
            bootconfig: Path::new("/proc/bootconfig").exists(),
            persistent: target.can_persist(),
            persistent_instance: instances
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .any(|instance| instance.path().join("last_boot_info").exists()),
            pstore: fs::read_to_string("/sys/module/pstore/parameters/backend")
                .is_ok_and(|backend| !matches!(backend.trim(), "" | "(null)")),
            shortfalls: setup.shortfalls.iter().map(ToString::to_string).collect(),
        }
    }

    /// Writes it; with the proposal to trace this way where there is no other.
    pub(super) fn write(&self, writer: &mut impl Write, no_other: bool) -> io::Result<()> {
        writeln!(writer, "\nrecording by the kernel itself")?;
        let live = match (self.tracefs, no_other) {
            (true, true) => "yes: trace, record, check and live work with --via tracefs",
            (true, false) => "yes (--via tracefs)",
            (false, _) => "no: tracefs is not mounted at /sys/kernel/tracing, or not built in",
        };
        writeln!(writer, "  live         {live}")?;
        let boot = if self.probe_events {
            "yes: `devres-tracer boot` prints the line to add"
        } else {
            "only additions and releases (no CONFIG_KPROBE_EVENTS): `devres-tracer boot` prints the line to add"
        };
        writeln!(writer, "  at boot      {boot}")?;
        if self.bootconfig {
            writeln!(
                writer,
                "               bootconfig works too: --format bootconfig"
            )?;
        }
        let reset = match (self.persistent_instance, self.persistent) {
            (true, _) => "set up: after a crash run `devres-tracer crash`",
            (false, true) => "`devres-tracer boot --persistent 4M` prints the line to add",
            (false, false) => {
                "no (reserve_mem= needs 6.12): use `devres-tracer boot --dump-on-oops` with a serial console or ramoops"
            }
        };
        writeln!(writer, "  across reset {reset}")?;
        let pstore = if self.pstore {
            "keeps the kernel log of a crash"
        } else {
            "no backend: load ramoops, or boot with EFI variables"
        };
        writeln!(writer, "  pstore       {pstore}")?;
        for shortfall in &self.shortfalls {
            writeln!(writer, "  {shortfall}")?;
        }
        Ok(())
    }
}
