#!/bin/sh
# Boots a stock Debian kernel in QEMU and checks a driver in it. Run it in a checkout of devres-tracer.
#
#   run.sh KERNEL MODULE.ko DRIVER DIRECTORY
#
# KERNEL is a series such as 6.1, or `newest`; the module must have been built for it. The reports are left in the
# directory. MODULE_PARAMETERS and CYCLES can be set.
set -eu
kernel=$1
module=$2
driver=$3
directory=$4
here=$(dirname "$0")

mkdir -p "$directory"
exec cargo xtask vm --kernel "$kernel" \
	--file "$module:/module.ko" \
	--file "$here/in-guest.sh:/check/in-guest.sh" \
	--file "$here/policy.toml:/check/policy.toml" \
	--share "$directory" \
	--log "$directory/console.log" \
	-- "MODULE_PARAMETERS='${MODULE_PARAMETERS:-}' CYCLES='${CYCLES:-20}' \
		sh /check/in-guest.sh /module.ko $driver /mnt/share"
