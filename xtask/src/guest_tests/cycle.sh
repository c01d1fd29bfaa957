# Unbinds devices and binds them again. `carriers` has the devices that carry the job.

is_needed() {
	case $(readlink -f $1/driver) in
	*/drivers/serial8250 | */pnp/drivers/serial | */serial-base/drivers/* | */virtio/drivers/virtio_console) return 0 ;;
	# Their suspension waits for devices that go meanwhile.
	*/usb/drivers/hub | */usb/drivers/usb) return 0 ;;
	# Its rescan makes and drops a device for each of the 256 targets there could be.
	*/virtio/drivers/virtio_scsi) return 0 ;;
	esac
	path=$(readlink -f $1)
	for carrier in $carriers; do
		case $carrier in
		$path | $path/*) return 0 ;;
		esac
	done
	return 1
}

cycle() {
	driver=$(readlink -f $1/driver)
	[ -e "$driver/unbind" ] || return 0
	! is_needed $1 || return 0
	name=${1##*/}
	echo $name >"$driver/unbind"
	# Some drivers refuse their device the second time: that is part of what is recorded.
	if echo $name >"$driver/bind"; then
		echo "$driver $name"
	else
		echo "$driver $name: does not bind again"
	fi
}

# cycle_all: every device that can go and come.
cycle_all() {
	# Those on top of others first: a device goes with the one it is on.
	for bus in hid hdaudio sound scsi mmc usb virtio i2c serio gpio platform faux pnp acpi pci_express pci; do
		for device in /sys/bus/$bus/devices/*; do
			[ ! -e $device/driver ] || cycle $device
		done
	done
}
