# Runs in the guest after setup.sh: each tool records the same work once, into /mnt/share. Buffers are so large that nothing is
# lost: how much is lost by default is not the question here.
record() {
	file=$1
	shift
	if chroot $peers "$@" /tmp/work >$share/$file.log 2>&1; then :; else echo "exit code $?" >>$share/$file.log; fi
	cp $peers/tmp/$file $share/
	rm -f $peers/tmp/$file
}

record trace.dat trace-cmd record -q -b 500000 -e dev:devres_log -o /tmp/trace.dat
record perf.data perf record -q -a -m 512M -e dev:devres_log -o /tmp/perf.data
record trace.dvrt /tmp/devres-tracer record --ring-size 512M --no-stacks -o /tmp/trace.dvrt --
