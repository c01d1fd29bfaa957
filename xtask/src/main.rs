//! Development tasks: `cargo xtask --help`.

mod apt;
mod command;
mod guest;
mod initramfs;
mod kernel;
mod mirror;
mod modules;
mod qemu;
mod tools;
mod tracer;
mod vm;
mod vmlinux;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of devres-tracer.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs commands, or a shell, in a stock Debian kernel under QEMU.
    Vm(vm::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Vm(args) => vm::run(args),
    }
}
