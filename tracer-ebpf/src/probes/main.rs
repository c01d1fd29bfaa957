//! The probes of devres-tracer.
//!
//! Each probe reads its arguments as plain words, whatever way it is attached, and hands them to one of a
//! few shared functions that fill a record. What the words mean is decided in userspace.
#![no_std]
#![no_main]
#![expect(
    clippy::inline_always,
    reason = "a function of a probe takes no more than five arguments, and each call costs the traced code"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "halves of the kernel's words are taken on purpose, and a check would be one more branch to verify"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the macros hand the context over by value"
)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unstable_features,
        reason = "inline assembly for this target is not stable yet"
    ),
    feature(asm_experimental_arch)
)]

mod arguments;
mod beside;
mod calls;
mod device;
mod failing;
mod maps;
mod memory;
mod modules;
mod nodes;
mod pending;
mod pointers;
mod preemption;
mod record;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects a program in which this can be reached.
    loop {}
}

/// The helpers that the probes call are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
