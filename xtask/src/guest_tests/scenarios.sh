# Every scenario of the test module, in rounds that are traced one after the other. What must be found is in `table`,
# whose first column is the round and whose second is the scenario; `marks.ROUND` tells when each began. `options` are
# further options of `trace`. `cargo test --test perturbation` damages the recordings.

load_test_module
export scenarios

cat >perform <<'SCRIPT'
set -eu

perform() {
	case $1 in
	# What lives for but a moment must be seen too.
	unloaded-callback)
		insmod /devres_test_callback.ko
		rmmod devres_test_callback
		;;
	many | churn | concurrent) echo "$1 500" >$scenarios/run ;;
	*) echo "$1" >$scenarios/run ;;
	esac
}

round=$1
while read -r name; do
	read -r uptime _ </proc/uptime
	echo "$uptime $name" >>marks.$round
	perform "$name"
	# The clock above counts hundredths of a second.
	sleep 0.03
done <list.$round
SCRIPT

# A preempted probe makes the kernel skip it for other tasks on that processor, which the tracer then reports as lost.
# That is rare, and says nothing about the rules: once more then.
for round in $(cut -d ' ' -f 1 table | sort -u); do
	grep "^$round " table | while read -r _ name _; do echo "$name"; done >list.$round
	for attempt in 1 2 3; do
		: >marks.$round
		trace round.$round --quiet --all-rules --record round.$round.dvrt --overwrite $options -- sh ./perform $round
		echo unloaded-callback-clean >$scenarios/run
		echo self-reference-clean >$scenarios/run
		if tail -n 1 round.$round.jsonl | grep -q '"lost":0,'; then
			break
		fi
	done
done
