//! A [`Setup`] as a bootconfig, for kernels with `CONFIG_BOOT_CONFIG` and `CONFIG_BOOTTIME_TRACING`.

use std::fmt::Write as _;

use super::{PERSISTENT_INSTANCE, Setup, parameters::size};

/// The bootconfig of a setup.
#[must_use]
pub fn bootconfig(setup: &Setup) -> String {
    let mut text = String::new();
    if setup.options.dump {
        // Not every kernel takes `=1` here.
        text.push_str("kernel.ftrace_dump_on_oops\n");
    }
    if let Some(bytes) = setup.options.persistent {
        // These are read before the tracing part of a bootconfig is.
        let _ = writeln!(
            text,
            "kernel {{\n\treserve_mem = \"{}:4096:{PERSISTENT_INSTANCE}\"\n\ttrace_instance = \"{PERSISTENT_INSTANCE}@{PERSISTENT_INSTANCE}\"\n}}",
            size(bytes)
        );
    }
    let _ = writeln!(
        text,
        "ftrace {{\n\ttrace_clock = mono\n\tbuffer_size = {}",
        size(setup.options.buffer)
    );
    if setup.options.stacks {
        text.push_str("\toptions = stacktrace\n");
    }
    text.push_str("\tevent {\n");
    if setup.tracepoint {
        text.push_str("\t\tdev.devres_log.enable\n");
    }
    for probe in setup.all_probes() {
        let place = if probe.returns { "%return" } else { "" };
        let _ = writeln!(
            text,
            "\t\tkprobes.{} {{\n\t\t\tprobes = \"{}{place}{}\"\n\t\t\tenable\n\t\t}}",
            probe.event(),
            probe.function,
            probe
                .arguments
                .iter()
                .fold(String::new(), |text, argument| text + " " + argument),
        );
    }
    text.push_str("\t}\n}\n");
    text
}
