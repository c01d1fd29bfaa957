//! A [`Setup`] as a shell script that writes to tracefs: for kernels whose command line has no room for it, and for
//! an initramfs.

use std::fmt::Write as _;

use super::{LAST_BOOT_DIRECTORY, PERSISTENT_INSTANCE, Setup};

/// Keeps what the kernel before this one has left, before anything is recorded in its buffer: from then on it is gone.
/// An initramfs may have no program but the shell, `cat`, `mkdir` and `mount`.
const KEEP_LAST_BOOT: &str = r#"
has_events() {
	while read -r line; do
		case $line in
		'' | '#'*) ;;
		*) return 0 ;;
		esac
	done <"$1"
	return 1
}
# What the kernel before this one has left goes away when something new is recorded in its place. Where something is
# recorded, that is this kernel's.
for instance in "$tracing"/instances/*; do
	[ -e "$instance/last_boot_info" ] || continue
	read -r _ <"$instance/set_event" && continue
	if has_events "$instance/trace"; then
		mkdir -p LAST_BOOT
		cat "$instance/trace" >"LAST_BOOT/${instance##*/}.trace"
	fi
	: >"$instance/trace"
done
"#;

/// The script of a setup. Its definitions of probe events are left alone where the command line has made them already.
#[must_use]
pub fn script(setup: &Setup) -> String {
    let mut text = String::from(
        "#!/bin/sh\n# Makes this kernel record devres events. Run as root, before the first driver of interest is loaded.\n",
    );
    text.push_str(concat!(
        "tracing=/sys/kernel/tracing\n",
        "[ -e \"$tracing/trace\" ] || mount -t tracefs tracefs \"$tracing\" 2>/dev/null\n",
        "if [ ! -e \"$tracing/trace\" ]; then\n",
        "\techo 'devres: this kernel has no tracefs' >&2\n",
        "\texit 1\nfi\n",
        "define() {\n",
        "\t[ -e \"$tracing/events/kprobes/$1\" ] && return\n",
        "\tevent=$1\n\tshift\n",
        "\techo \"$*\" >>\"$tracing/kprobe_events\" || echo \"devres: $event is not recorded\" >&2\n}\n",
    ));
    text.push_str("buffer=$tracing\nclock=mono\n");
    if setup.options.persistent.is_some() {
        text.push_str(&KEEP_LAST_BOOT.replace("LAST_BOOT", LAST_BOOT_DIRECTORY));
        let _ = writeln!(
            text,
            "if [ -e \"$tracing/instances/{PERSISTENT_INSTANCE}\" ]; then\n\tbuffer=$tracing/instances/{PERSISTENT_INSTANCE}\n\t\
             # With another clock, newer kernels empty the boot CPU's part of it at the next boot.\n\tclock=local\nfi"
        );
    }
    for probe in setup.all_probes() {
        let line = probe.line().replace('$', "\\$");
        let _ = writeln!(text, "define {} \"{line}\"", probe.event());
    }
    let _ = writeln!(
        text,
        "if [ \"$buffer\" = \"$tracing\" ]; then\n\techo {} >\"$buffer/buffer_size_kb\"\nfi",
        setup.options.buffer >> 10
    );
    // Setting the clock empties the buffer: not where it is set already.
    text.push_str(
        "read -r clocks <\"$buffer/trace_clock\"\ncase $clocks in\n*\"[$clock]\"*) ;;\n*) echo $clock >\"$buffer/trace_clock\" ;;\nesac\n",
    );
    if setup.options.stacks {
        // Of the tracepoint alone; on kernels that can't, of everything.
        text.push_str(
            "echo stacktrace >\"$buffer/events/dev/devres_log/trigger\" || echo 1 >\"$buffer/options/stacktrace\"\n",
        );
    }
    if setup.options.dump {
        text.push_str("echo 1 >/proc/sys/kernel/ftrace_dump_on_oops\n");
    }
    if setup.tracepoint {
        text.push_str("echo 1 >\"$buffer/events/dev/devres_log/enable\"\n");
    }
    if setup.all_probes().next().is_some() {
        text.push_str(
            "for event in \"$buffer\"/events/kprobes/[pr]_*_0/enable; do\n\t[ -e \"$event\" ] && echo 1 >\"$event\"\ndone\n",
        );
    }
    text.push_str("echo 1 >\"$buffer/tracing_on\"\n");
    text
}
