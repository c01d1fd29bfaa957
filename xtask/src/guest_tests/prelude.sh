# Functions for the scripts of guest tests; each script begins with this file.
set -eu
exec </dev/null

# What the test module offers, once it is loaded.
scenarios=/sys/kernel/debug/devres_test

# run NAME COMMAND...: runs a command, and leaves NAME.stdout, NAME.stderr and NAME.exit whether it succeeds or not.
run() {
	run_name=$1
	shift
	if "$@" >"$run_name.stdout" 2>"$run_name.stderr"; then
		echo 0 >"$run_name.exit"
	else
		echo $? >"$run_name.exit"
	fi
}

# trace NAME ARGUMENTS...: runs `devres-tracer trace`, and leaves its JSON lines in NAME.jsonl as well.
trace() {
	trace_name=$1
	shift
	run "$trace_name" devres-tracer trace --json --output "$trace_name.jsonl" "$@"
}

# Loads the test module if it is not there.
load_test_module() {
	[ -d "$scenarios" ] || insmod /devres_test.ko platform=1
}

# trace_script NAME SCRIPT ARGUMENTS...: as `trace`, with a shell script to be traced, all of whose commands must succeed.
trace_script() {
	script_name=$1
	script=$2
	shift 2
	trace "$script_name" "$@" -- sh -euc "$script
		: >$script_name.done"
	if [ ! -e "$script_name.done" ]; then
		echo "the traced script $script_name failed" >&2
		return 1
	fi
}

# Makes a sensor for the driver lm75 on a bus that i2c-stub makes: the bus's directory is $bus, the sensor's name $sensor.
make_sensor() {
	modprobe i2c-stub chip_addr=0x48
	modprobe lm75
	bus=$(grep -l 'SMBus stub' /sys/bus/i2c/devices/i2c-*/name)
	bus=${bus%/name}
	sensor=${bus##*-}-0048
	echo lm75 0x48 >$bus/new_device
}
