# Unbinds every device and binds it again, while ftrace records the kernel's own `devres_log` beside the tracer.

instance=/sys/kernel/tracing/instances/truth
if [ -e /sys/kernel/tracing/events/dev/devres_log ]; then
	mkdir $instance
	echo mono >$instance/trace_clock
	echo 16384 >$instance/buffer_size_kb
fi
export instance

modprobe i2c-stub chip_addr=0x48
for module in lm75 tmp102 vgem dummy_hcd snd-dummy; do
	modprobe $module || true
done

# What carries this job: the shared directories with the PCI devices they are on, and the consoles.
carriers=
for device in /sys/bus/virtio/drivers/9pnet_virtio/virtio*; do
	carriers="$carriers $(readlink -f $device)"
done
export carriers

cat >cycle <<'END'
set -eu

. ./functions

if [ -d $instance ]; then
	echo 1 >$instance/events/dev/devres_log/enable
	sleep 1
	echo begin >$instance/trace_marker
fi
cycle_all
# Drivers that bind asynchronously.
sleep 3
if [ -d $instance ]; then
	echo end >$instance/trace_marker
	sleep 1
	echo 0 >$instance/events/dev/devres_log/enable
fi
END

# A preempted probe makes the kernel skip it for other tasks on that processor, which the tracer then reports as lost.
# That is rare, and says nothing about what it sees: once more then.
for attempt in 1 2 3; do
	if [ -d $instance ]; then
		echo >$instance/trace
	fi
	trace_script all '. ./cycle'
	if tail -n 1 all.jsonl | grep -q '"lost":0,'; then
		break
	fi
done
if [ -d $instance ]; then
	cat $instance/trace >truth
	cat $instance/per_cpu/cpu*/stats >truth.stats
	rmdir $instance
fi
