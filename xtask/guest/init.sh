#!/bin/busybox sh
# PID 1 of a guest: mounts the kernel's file systems, loads drivers, runs the job that the host put into the share
# "job", leaves its exit code there, and powers off. Embedded into xtask; `xtask/src/guest.rs` writes the job's files:
#   coldplug   present if the drivers of the devices found shall be loaded, those found by these drivers excepted
#   load       one line for each further module: its name and parameters
#   script     the job; without it there is a shell on a serial line
#   terminal   rows and columns of the host's terminal, for the shell
#   terminal-line   the serial line of the shell
# and reads these:
#   stdout, stderr, exit-code   of the job
#   setup-error                 why the job was not started

export PATH=/usr/local/bin:/bin
export HOME=/ TERM=linux

/bin/busybox mkdir -p /dev /proc /sys /tmp /job /mnt/share
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
# Before 5.11 BPF maps count against this limit.
ulimit -l unlimited

end() {
	sync
	poweroff -f
	# The power goes off asynchronously; PID 1 must not end before it has.
	sleep 60
}

mount_share() {
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 "$1" "$2"
}

# A driver that is built in is no module: the mount tells whether all is there.
modprobe -a virtio_pci 9pnet_virtio 9p 2>/dev/null
if ! mount_share job /job; then
	echo 'init: cannot mount the share with the job'
	end
fi

fail() {
	echo "$*" >/job/setup-error
	end
}

mount_share share /mnt/share || fail 'cannot mount the shared directory at /mnt/share'
if modprobe -q configfs; then
	mount -t configfs configfs /sys/kernel/config
fi
if [ -e /job/coldplug ]; then
	cat /sys/bus/*/devices/*/modalias | sort -u >/tmp/modaliases
	xargs modprobe -a -q </tmp/modaliases 2>/dev/null
fi
while read -r module; do
	# The line is a name with parameters: it must be split.
	# shellcheck disable=SC2086
	modprobe $module 2>/tmp/modprobe || fail "modprobe $module: $(cat /tmp/modprobe)"
done </job/load

cd /
if [ -e /job/script ]; then
	sh /job/script </dev/null >>/job/stdout 2>>/job/stderr
	echo $? >/job/exit-code.new
	mv /job/exit-code.new /job/exit-code
else
	read -r rows columns </job/terminal
	line=/dev/$(cat /job/terminal-line)
	setsid -c sh -c 'stty rows "$0" cols "$1"; exec sh -l' "$rows" "$columns" <"$line" >"$line" 2>&1
	echo $? >/job/exit-code
fi
end
