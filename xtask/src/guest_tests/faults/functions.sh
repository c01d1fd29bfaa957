# Functions for the sessions about faults.

load_test_module
export scenarios
export driver=/sys/bus/platform/drivers/devres-test-platform
export device=devres-test.0
# Symbols of programs show whether any is left.
echo 1 >/proc/sys/net/core/bpf_jit_kallsyms

# Unbinds the device and binds it again.
cycle() {
	echo $device >$driver/unbind
	echo $device >$driver/bind
}

# await FILE TEXT: waits until the file has the text.
await() {
	tries=0
	until grep -qF -- "$2" "$1" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { echo "no '$2' in $1" >&2; return 1; }
		sleep 0.1
	done
}

# What tracers have in the kernel: programs and trampolines, the kernel's functions that are probed, ring buffers, what is
# pinned, and in tracefs instances, probe events and events that are switched on.
left() {
	grep -F '[bpf]' /proc/kallsyms | sed 's/^[^ ]* //' | sort
	sort /sys/kernel/debug/kprobes/list | sed 's/^[^ ]* //'
	sed 's/(.*//' /sys/kernel/tracing/enabled_functions | sort
	grep -c ringbuf /proc/vmallocinfo || true
	find /sys/fs/bpf /sys/kernel/tracing/instances -mindepth 1 -maxdepth 1 | sort
	cat /sys/kernel/tracing/kprobe_events /sys/kernel/tracing/set_event
	if [ -e /sys/kernel/tracing/dynamic_events ]; then
		cat /sys/kernel/tracing/dynamic_events
	fi
}

# none_left NAME: waits until the kernel has nothing of a tracer any more, what it frees later included, and leaves what it
# has in NAME.left.
none_left() {
	tries=0
	until left >$1.left && cmp -s untraced.left $1.left; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || return 0
		sleep 0.2
	done
}
