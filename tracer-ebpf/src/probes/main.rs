//! The probes of devres-tracer.
#![no_std]
#![no_main]

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::debug;

/// `devres_log`, the kernel's own account of each addition, removal and release.
#[btf_tracepoint(function = "devres_log")]
pub fn devres_log(context: BtfTracePointContext) -> i32 {
    debug!(&context, "devres_log");
    0
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The helpers that the probes call are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
