#!/bin/bash
# Unloads and loads a module again and again, and judges each time the order in which its drivers release their resources: a
# test case in the style of sof-test, with its options and exit codes.
#
#   check-devres.sh -m MODULE [-l LOOPS] [-o DIRECTORY] [-p POLICY]
#   check-devres.sh -f RECORDING [-l LOOPS]      judges this each time
#
# 0: every loop passed. 1: one failed, or could not be judged. 2: not applicable, the tracer can't run here.
set -u

loops=3 module='' directory='' policy='' recording=''
while getopts m:l:o:p:f: option; do
	case $option in
	m) module=$OPTARG ;;
	l) loops=$OPTARG ;;
	o) directory=$OPTARG ;;
	p) policy=$OPTARG ;;
	f) recording=$OPTARG ;;
	*) exit 1 ;;
	esac
done

case $loops in
'' | 0* | *[!0-9]*)
	echo "-l wants a number of loops: at least one"
	exit 1
	;;
esac

if ! command -v devres-tracer >/dev/null; then
	echo "SKIP: devres-tracer is not installed"
	exit 2
fi
if [ -n "$recording" ]; then
	arguments=("$recording")
elif [ -n "$module" ]; then
	arguments=(--exercise-module "$module" --cycles 1)
else
	echo "no module: give -m MODULE"
	exit 1
fi
[ -z "$policy" ] || arguments+=(--policy "$policy")

for ((loop = 1; loop <= loops; loop++)); do
	echo "===== loop $loop of $loops ====="
	reports=(--report ktap)
	if [ -n "$directory" ]; then
		mkdir -p "$directory"
		reports+=(--report "json=$directory/loop-$loop.json")
		# Of a failure this shows the order of all that happened.
		[ -n "$recording" ] || reports+=(--record "$directory/loop-$loop.dvrt" --overwrite)
	fi
	devres-tracer check "${arguments[@]}" "${reports[@]}"
	case $? in
	0) ;;
	4)
		[ -z "$recording" ] || { echo "FAIL: $recording can't be read"; exit 1; }
		echo "SKIP: the tracer can't run here"
		exit 2
		;;
	3)
		echo "FAIL: loop $loop was inconclusive"
		exit 1
		;;
	*)
		echo "FAIL: loop $loop"
		exit 1
		;;
	esac
done
echo "PASS: $loops loops"
