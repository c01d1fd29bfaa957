#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# kselftest: unbinds and binds drivers, and judges the order in which they release their resources.
#
#   devres.sh [ARGUMENT]...
#
# The arguments are those of `devres-tracer check`, such as `--exercise my_driver`, or a recording that was made elsewhere.
# Without any, every device is exercised that can be unbound safely. KTAP goes to standard output.
set -u

# What kselftest takes an exit code for.
pass=0
fail=1
skip=4

if ! command -v devres-tracer >/dev/null; then
	echo "KTAP version 1"
	echo "1..1"
	echo "ok 1 devres # SKIP devres-tracer is not installed"
	exit $skip
fi

[ $# -gt 0 ] || set -- --exercise-all --cycles 3
# A recording that can't be read is no test that doesn't concern this machine.
case " $* " in
*" --exercise"* | *" --rebind "* | *" --for "* | *" -- "*) ;;
*) skip=$fail ;;
esac
devres-tracer check --report ktap "$@"
case $? in
0) exit $pass ;;
# It can't run on this machine, and says why.
4) exit $skip ;;
# Kselftest would take 2 and 3 for a failure that was expected, and for one that was expected and did not come.
*) exit $fail ;;
esac
