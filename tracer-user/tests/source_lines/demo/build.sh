#!/bin/sh -e
# Makes the debug files that the tests read: a module in several forms, one for another machine, and a kernel. Needs gcc
# and binutils for x86-64 and arm64.
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
compile() {
	for file in a b called; do
		"$1gcc" -O2 -g -c -fno-asynchronous-unwind-tables -fcf-protection=none "-ffile-prefix-map=$PWD=/build/demo" \
			$2 "$file.c" -o "$work/$file.o"
	done
}
compile '' '-mcmodel=kernel -fno-pic'
ld -r --build-id=sha1 "$work/a.o" "$work/b.o" -o demo.ko
ld --build-id=sha1 --emit-relocs -T kernel.lds "$work/a.o" "$work/b.o" "$work/called.o" -o vmlinux
# The same build id, as what a distribution splits off has it.
objcopy --compress-debug-sections=zlib demo.ko demo-zlib.ko.debug
objcopy --compress-debug-sections=zstd demo.ko demo-zstd.ko.debug
strip --strip-debug demo.ko -o stripped.ko
for file in a b; do
	aarch64-linux-gnu-gcc -O2 -g -c -fno-asynchronous-unwind-tables "-ffile-prefix-map=$PWD=/build/demo" "$file.c" -o "$work/$file.o"
done
aarch64-linux-gnu-ld -r --build-id=sha1 "$work/a.o" "$work/b.o" -o arm64.ko
