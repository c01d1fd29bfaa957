#!/bin/sh
# Runs in the machine that is tested: loads a module, exercises its driver, and leaves the reports in a directory.
#
#   in-guest.sh MODULE.ko DRIVER DIRECTORY
#
# MODULE_PARAMETERS and CYCLES can be set. The exit code is that of `devres-tracer check`; KTAP goes to standard output.
set -u
module=$1
driver=$2
directory=$3
here=$(dirname "$0")

# A module that can't be loaded is a failure of what is tested, not a test to be skipped.
# shellcheck disable=SC2086 # several parameters are several words
insmod "$module" ${MODULE_PARAMETERS:-} || exit 1

devres-tracer check --policy "$here/policy.toml" \
	--exercise "$driver" --cycles "${CYCLES:-20}" \
	--record "$directory/trace.dvrt" \
	--report ktap \
	--report ktap="$directory/ktap.txt" \
	--report junit="$directory/junit.xml" \
	--report sarif="$directory/devres.sarif" \
	--report json="$directory/results.json"
