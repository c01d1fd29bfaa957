//! Lines of text for measuring.

use std::fmt::Write as _;

/// What one kind of text has for an event: its time, the number of its device, and a node's address.
pub(crate) type WriteLines = fn(&mut String, u64, u64, u64);

/// Devices in a text.
const DEVICES: u64 = 2000;

/// A text of at least `size` bytes.
pub(crate) fn text(size: usize, write: WriteLines) -> String {
    let mut text = String::with_capacity(size + 1000);
    let mut time = 0_u64;
    while text.len() < size {
        time += 1;
        let node = time.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        write(&mut text, time, node % DEVICES, node);
    }
    text
}

/// Every line is an event.
pub(crate) fn kernel_log(text: &mut String, time: u64, device: u64, node: u64) {
    for operation in ["ADD", "REL"] {
        let line = format_args!(
            "[{:5}.{:06}] drv{} 0000:{device:04x}.0: DEVRES {operation} {node:016x} devm_clk_release (16 bytes)\n",
            time / 1_000_000,
            time % 1_000_000,
            device % 50,
        );
        assert!(text.write_fmt(line).is_ok());
    }
}

/// One line in a thousand is an event, among what kernels say of their devices.
pub(crate) fn kernel_log_of_other_things(text: &mut String, time: u64, device: u64, node: u64) {
    const OTHERS: [&str; 8] = [
        "usb 1-1.4: new high-speed USB device number 12 using xhci_hcd",
        "EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none.",
        "pci 0000:00:1f.3: reg 0x20: [io  0x0700-0x073f]",
        "systemd[1]: Started systemd-udevd.service - Rule-based Manager for Device Events.",
        "thermal thermal_zone0: failed to read out thermal zone (-61)",
        "r8169 0000:03:00.0 enp3s0: Link is Up - 1Gbps/Full - flow control rx/tx",
        "audit: type=1400 audit(1700000000.123:45): apparmor=\"STATUS\" operation=\"profile_load\"",
        "i2c i2c-7: sendbytes: NAK bailout.",
    ];
    let (seconds, fraction) = (time / 1_000_000, time % 1_000_000);
    let other = OTHERS[usize::try_from(node).unwrap_or(0) % OTHERS.len()];
    let line = if time.is_multiple_of(1000) {
        format_args!(
            "[{seconds:5}.{fraction:06}] drv 0000:{device:04x}.0: DEVRES ADD {node:016x} devm_clk_release (16 bytes)\n"
        )
    } else {
        format_args!("[{seconds:5}.{fraction:06}] {other}\n")
    };
    assert!(text.write_fmt(line).is_ok());
}

/// Every line looks at first as if it were a function event, and one in 64 is an event.
pub(crate) fn kernel_log_like_functions(text: &mut String, time: u64, device: u64, node: u64) {
    let line =
        format_args!("[{time:12}.0] usb 1-{device}: New USB device found (id: ({node:x}))\n");
    assert!(text.write_fmt(line).is_ok());
    if time.is_multiple_of(64) {
        text.push_str("[ 1.0] x y: DEVRES REL 0000000000000001 a (8 bytes)\n");
    }
}

/// What ftrace prints of a probe on a function and of the tracepoint.
pub(crate) fn functions_and_tracepoint(text: &mut String, time: u64, device: u64, node: u64) {
    let line = format_args!(
        "init-1 [000] d..1. {time}.5: add_dr: (add_dr+0x0/0xc0 <ffffffff81928390>) dev=0xff11{device:012x} node=0xff11{node:012x} rel=x+0x0/0x10\n\
         init-1 [000] d..1. {time}.5: devres_log: 0000:{device:04x}.0 ADD {node:016x} x (8 bytes)\n\
         init-1 [000] d..1. {time}.5: devres_log: 0000:{device:04x}.0 REL {node:016x} x (8 bytes)\n"
    );
    assert!(text.write_fmt(line).is_ok());
}
