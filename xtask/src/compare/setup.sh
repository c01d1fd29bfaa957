# Runs first in the guest, with $resources and $repeats: the other tools lie below $peers, and /tmp/work there does the work.
set -u
export LC_ALL=C.UTF-8
share=/mnt/share
peers=/mnt/peers
mkdir -p $peers
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro peers $peers
for place in proc sys dev; do mount --rbind /$place $peers/$place; done
mount -t tmpfs -o size=3G tmpfs $peers/tmp
insmod /devres_test.ko
cp /usr/local/bin/devres-tracer $peers/tmp/

cat >$peers/tmp/work <<END
#!/usr/bin/busybox sh
for _ in \$(seq $repeats); do echo many $resources >/sys/kernel/debug/devres_test/run; done
END
chmod +x $peers/tmp/work
