# Takes drivers from their devices and gives them back, loads drivers and unloads them, makes devices and drops them,
# over and over until `$seconds` are over; at least once.

i2c_bus() {
	grep -l 'SMBus stub' /sys/bus/i2c/devices/i2c-*/name | head -n 1
}

# Chips that are bound without being asked who they are, or refuse what answers.
cycle_chips() {
	bus=$(i2c_bus)
	[ -n "$bus" ] || return 0
	for chip in 'lm75 0x48' 'tmp102 0x49' 'jc42 0x18' '24c02 0x50' 'tmp421 0x4c' 'ds1621 0x4a' 'w83781d 0x2d' 'ds1307 0x68'; do
		echo $chip >${bus%name}new_device || true
		echo ${chip#* } >${bus%name}delete_device || true
	done
}

# Drivers whose devices exist as long as they are loaded.
cycle_modules() {
	for module in vgem snd-dummy snd-aloop snd-virmidi pcspkr snd-pcsp mac80211_hwsim scsi_debug null_blk ptp_kvm \
		gpio-mockup coretemp intel_rapl_msr dummy_hcd netdevsim; do
		case $module in
		gpio-mockup) modprobe -q $module gpio_mockup_ranges=-1,8 || continue ;;
		*) modprobe -q $module || continue ;;
		esac
		echo "loaded $module"
		sleep 0.2
		modprobe -q -r $module || true
	done
}

cycle_gpio_sim() {
	modprobe -q gpio-sim || return 0
	chip=/sys/kernel/config/gpio-sim/soak
	mkdir -p $chip/bank/line0
	echo 8 >$chip/bank/num_lines
	echo 1 >$chip/live
	sleep 0.2
	echo 0 >$chip/live
	rmdir $chip/bank/line0 $chip/bank $chip
	echo 'gpio-sim came and went'
}

read -r begin _ </proc/uptime
pass=0
while [ $pass -eq 0 ] || [ $((${now%.*} - ${begin%.*})) -lt $seconds ]; do
	pass=$((pass + 1))
	cycle_chips
	cycle_modules
	cycle_gpio_sim
	cycle_all
	# Drivers that bind asynchronously.
	sleep 2
	read -r now _ </proc/uptime
	echo "pass $pass at $now"
	grep -E '^Vm(RSS|HWM)' /proc/$tracer/status || true
done
