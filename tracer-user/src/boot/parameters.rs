//! A [`Setup`] as kernel parameters.

use super::{Machine, PERSISTENT_INSTANCE, Probe, Setup, TRACEPOINT};
use crate::event::Hook;

/// Kernel parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameters {
    /// They, as they stand on a command line.
    pub line: String,
    /// The functions whose probes found no room.
    pub left_out: Vec<Hook>,
    /// Bytes that the kernel takes of a command line.
    pub limit: usize,
}

/// The parameters of a setup, for a command line on which `taken` bytes stand already.
#[must_use]
pub fn parameters(setup: &Setup, machine: Option<Machine>, taken: usize) -> Parameters {
    let size = machine.unwrap_or(Machine::Riscv64).command_line_size();
    // The NUL, and the blank before what is added.
    let limit = size - 1;
    let mut line = fixed(setup);
    let mut left_out = Vec::new();
    let mut opened = false;
    for probes in &setup.probes {
        let definitions: Vec<String> = probes.iter().map(definition).collect();
        let separator = if opened { ";" } else { " kprobe_event=" };
        let text = format!("{separator}{}", definitions.join(";"));
        if taken + 1 + line.len() + text.len() > limit {
            left_out.extend(probes.first().map(|probe| probe.hook));
            continue;
        }
        line.push_str(&text);
        opened = true;
    }
    Parameters {
        line: line.trim_start().to_owned(),
        left_out,
        limit,
    }
}

/// What doesn't depend on functions.
fn fixed(setup: &Setup) -> String {
    let mut words = Vec::new();
    if setup.tracepoint {
        words.push(format!("trace_event={TRACEPOINT}"));
    }
    // One clock for all CPUs, and the one that other recordings have.
    words.push("trace_clock=mono".to_owned());
    words.push(format!("trace_buf_size={}", size(setup.options.buffer)));
    if setup.options.stacks {
        words.push("trace_options=stacktrace".to_owned());
    }
    if setup.options.dump {
        words.push("ftrace_dump_on_oops".to_owned());
        words.push(format!("log_buf_len={}", size(log(setup.options.buffer))));
    }
    if let Some(bytes) = setup.options.persistent {
        words.push(format!(
            "reserve_mem={}:4096:{PERSISTENT_INSTANCE}",
            size(bytes)
        ));
        words.push(format!(
            "trace_instance={PERSISTENT_INSTANCE}@{PERSISTENT_INSTANCE}"
        ));
    }
    words.join(" ")
}

/// Bytes of the kernel's log that a dump of a buffer goes through. With fewer records in its log than it prints, Linux 7.3
/// never comes to the dump's end: where the log begins anew its reader counts on forever.
fn log(buffer: u64) -> u64 {
    (8 * buffer).next_power_of_two().clamp(2 << 20, 4 << 20)
}

/// A probe event; the kernel makes blanks of the commas.
fn definition(probe: &Probe) -> String {
    probe.words().join(",")
}

/// A number of bytes, as short as the kernel takes it.
#[must_use]
pub fn size(bytes: u64) -> String {
    [(30, 'G'), (20, 'M'), (10, 'K')]
        .into_iter()
        .find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift)
        .map_or_else(
            || bytes.to_string(),
            |(shift, unit)| format!("{}{unit}", bytes >> shift),
        )
}

#[cfg(test)]
mod tests {
    use super::{parameters, size};
    use crate::boot::{Machine, Setup, SetupOptions, Target};

    fn setup(machine: Machine) -> Setup {
        let options = SetupOptions {
            buffer: 8 << 20,
            stacks: false,
            persistent: None,
            dump: false,
            free_irq: false,
        };
        Setup::of(&Target::unknown(machine), options)
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [8 << 20, 3 << 10, 1 << 30, 100].map(size),
            ["8M", "3K", "1G", "100"]
        );
    }

    #[test]
    fn what_is_needed_least_is_left_out_first() {
        let setup = setup(Machine::Aarch64);
        let all = parameters(&setup, Some(Machine::Aarch64), 0);
        assert_eq!(all.left_out, []);
        let less = parameters(&setup, Some(Machine::Aarch64), 1200);
        assert!(!less.left_out.is_empty());
        assert!(less.line.len() + 1 + 1200 <= less.limit, "{less:?}");
        assert!(less.line.contains("p,really_probe,dev=%x0"), "{less:?}");
        let nothing = parameters(&setup, Some(Machine::Aarch64), 2040);
        assert!(!nothing.line.contains("kprobe_event"), "{nothing:?}");
        assert_eq!(nothing.left_out.len(), setup.probes.len());
    }
}
