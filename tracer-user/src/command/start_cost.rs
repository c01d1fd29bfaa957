//! What the start of a trace cost: `doctor --timing`.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
};

use schemars::JsonSchema;
use serde::Serialize;

use crate::source::live::{Live, Options, Timing};

/// What the start of a trace cost.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StartCost {
    /// Microseconds by step.
    #[schemars(with = "BTreeMap<String, u64>")]
    microseconds: Timing,
    /// The most memory that was resident, in KiB (`VmHWM`), if the kernel says.
    peak_kib: Option<u64>,
    /// What of it is the ring buffer: the kernel maps its data twice, one behind the other.
    ring_kib: u64,
}

impl StartCost {
    /// What a trace with these options has cost until now.
    pub(super) fn of(live: &Live, options: &Options) -> Self {
        Self {
            microseconds: live.timing().clone(),
            peak_kib: peak(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
            ring_kib: 2 * u64::from(options.ring_bytes) / 1024,
        }
    }

    pub(super) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        for (step, time) in self.microseconds.steps() {
            writeln!(
                writer,
                "  {step:<16} {:>7.1} ms",
                time.as_secs_f64() * 1000.0
            )?;
        }
        let own = self.microseconds.own().as_secs_f64() * 1000.0;
        writeln!(
            writer,
            "  {:<16} {own:>7.1} ms without the verifier",
            "own time"
        )?;
        let Some(peak) = self.peak_kib else {
            return writeln!(writer, "memory         not told by this kernel");
        };
        writeln!(
            writer,
            "memory         {:.1} MiB at most, {:.1} MiB of it the ring buffer, which is mapped twice",
            mebibytes(peak),
            mebibytes(self.ring_kib)
        )
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    f64::from(u32::try_from(kibibytes).unwrap_or(u32::MAX)) / 1024.0
}

/// The most that was resident, in KiB, from `/proc/self/status`.
fn peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::peak;

    #[test]
    fn the_peak_is_read_from_the_status() {
        let status = "Name:\tdevres-tracer\nVmPeak:\t  200000 kB\nVmHWM:\t   51234 kB\n";
        assert_eq!(peak(status), Some(51_234));
        assert_eq!(peak("Name:\tdevres-tracer\n"), None);
    }
}
