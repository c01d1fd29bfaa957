# Runs in the guest, with $resources and $rounds. Of each tool it leaves below /mnt/share:
#   NAME.took    nanoseconds that the work took, a line for each round
#   NAME.log     what the tool said
#   NAME.size    kB that it wrote in the last round
#   NAME.events  events of the work that it has of the last round, as it shows them itself
#   NAME.read    seconds that it took to show them
now() {
	read -r now _ </proc/uptime
	echo "$now"
}

# What the last tool has left is cleared away: an option that `trace-cmd record -T` leaves set, and memory that was freed and
# that the kernel has yet to get ready.
prepare() {
	rm -f $peers/tmp/out*
	echo nostacktrace >/sys/kernel/tracing/trace_options
	chroot $peers /tmp/work
	echo 0 >/sys/kernel/debug/devres_test/took
}

# under NAME COMMAND...: does the work under a tool.
under() {
	name=$1
	shift
	prepare
	if chroot $peers "$@" >$share/$name.log 2>&1; then :; else echo "exit code $?" >>$share/$name.log; fi
	took
}

took() {
	took=$(cat /sys/kernel/debug/devres_test/took)
	[ "$took" = 0 ] || echo "$took" >>$share/$name.took
}

# shown PATTERN COMMAND...: in the last round, how much was written, and how many events and how fast it is read again.
shown() {
	[ $round = "$rounds" ] || return
	pattern=$1
	shift
	# What was written, whatever it is called.
	du -ck $peers/tmp/out* 2>/dev/null | tail -n 1 | cut -f 1 >$share/$name.size
	begin=$(now)
	chroot $peers "$@" >$peers/tmp/shown 2>>$share/$name.log
	end=$(now)
	echo "$begin $end" | awk '{ printf "%.2f\n", $2 - $1 }' >$share/$name.read
	grep -c "$pattern" $peers/tmp/shown >$share/$name.events
	rm $peers/tmp/shown
}

# The live view has no command to trace: it is there when it says LIVE.
live() {
	name=$1
	shift
	prepare
	tmux -u -L compare -f /dev/null new-session -d -x 120 -y 40 "/usr/local/bin/devres-tracer live $*"
	tries=0
	until tmux -u -L compare capture-pane -p >$share/$name.log 2>&1 && grep -q LIVE $share/$name.log; do
		tries=$((tries + 1))
		[ $tries -le 120 ] || return
		sleep 0.5
	done
	echo 0 >/sys/kernel/debug/devres_test/took
	chroot $peers /tmp/work
	took
	tmux -u -L compare capture-pane -p >>$share/$name.log 2>&1
	tmux -u -L compare kill-server
}

event='"event":"\(add\|release\|remove\)"'
fields='nsecs, arg0, str(arg1), arg2, str(arg3), arg4'
tracer=/tmp/devres-tracer

round=1
while [ $round -le "$rounds" ]; do
	under nobody /tmp/work

	under trace-cmd trace-cmd record -q -e dev:devres_log -o /tmp/out.dat /tmp/work
	shown devres_log: trace-cmd report -i /tmp/out.dat
	under perf perf record -q -a -e dev:devres_log -o /tmp/out.data /tmp/work
	shown dev:devres_log: perf script -i /tmp/out.data
	under bpftrace bpftrace -o /tmp/out.txt -c '/usr/bin/busybox sh /tmp/work' \
		-e "rawtracepoint:devres_log { printf(\"%llu %llx %s %llx %s %d\n\", $fields); }"
	shown ' \(ADD\|REL\|REM\) ' cat /tmp/out.txt
	under devres-tracer $tracer record --no-stacks -o /tmp/out.dvrt -- /tmp/work
	shown "$event" $tracer export --format json /tmp/out.dvrt
	under devres-tracer-filtered $tracer record --no-stacks --device 'no device is called so' -o /tmp/out.dvrt -- /tmp/work
	shown "$event" $tracer export --format json /tmp/out.dvrt
	under devres-tracer-trace $tracer trace --quiet --no-stacks -- /tmp/work
	live devres-tracer-live --no-stacks

	under trace-cmd-stacks trace-cmd record -q -T -e dev:devres_log -o /tmp/out.dat /tmp/work
	shown devres_log: trace-cmd report -i /tmp/out.dat
	under perf-stacks perf record -q -a -g -e dev:devres_log -o /tmp/out.data /tmp/work
	shown dev:devres_log: perf script -i /tmp/out.data
	under bpftrace-stacks bpftrace -o /tmp/out.txt -c '/usr/bin/busybox sh /tmp/work' \
		-e "rawtracepoint:devres_log { printf(\"%llu %llx %s %llx %s %d%s\n\", $fields, kstack); }"
	shown ' \(ADD\|REL\|REM\) ' cat /tmp/out.txt
	under devres-tracer-stacks $tracer record -o /tmp/out.dvrt -- /tmp/work
	shown "$event" $tracer export --format json /tmp/out.dvrt
	under devres-tracer-trace-stacks $tracer trace --quiet -- /tmp/work

	# Read and judged, which is what the others leave to whoever reads them.
	if [ $round = "$rounds" ]; then
		begin=$(now)
		chroot $peers $tracer report /tmp/out.dvrt >/dev/null 2>&1
		end=$(now)
		echo "$begin $end" | awk '{ printf "%.2f\n", $2 - $1 }' >$share/devres-tracer-stacks.judged
	fi
	round=$((round + 1))
done
{
	chroot $peers trace-cmd --version 2>&1 | grep -m 1 version
	chroot $peers perf --version
	chroot $peers bpftrace --version
	$peers$tracer --version
} >$share/versions 2>&1
