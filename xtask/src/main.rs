//! Development tasks: `cargo xtask --help`.

mod apt;
mod architecture;
mod bpf_linker;
mod bpf_sysroot;
mod build_ebpf;
mod build_tracer;
mod clean_debian;
mod command;
mod compare;
mod debian_programs;
mod deny;
mod device_tree;
mod dist;
mod ebpf_object;
mod fuzz;
mod goals;
mod guest;
mod guest_programs;
mod guest_tests;
mod headers;
mod initramfs;
mod instructions;
mod kernel;
mod kmod;
mod kvm;
mod lab_tests;
mod marked;
mod mirror;
mod modules;
mod python;
mod qemu;
mod record_demo;
mod report_tests;
mod rules_document;
mod run_directory;
mod rust_source;
mod screenshots;
mod soak;
mod target;
mod terminal;
mod test;
mod toolchain;
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
    /// Builds the tracer, with the committed eBPF object or one built from source.
    Build(build_tracer::Args),
    /// Builds the eBPF objects that userspace embeds, or checks the committed ones.
    BuildEbpf(build_ebpf::Args),
    /// Packages the tracer: a static program, a Debian package and a tarball for each machine, with checksums.
    Dist(dist::Args),
    /// Checks licences, sources and versions of the dependencies.
    Deny(deny::Args),
    /// Feeds the readers, the model and the rules inputs that libFuzzer makes up.
    Fuzz(fuzz::Args),
    /// Runs commands, or a shell, in a stock Debian kernel under QEMU.
    Vm(Box<vm::Args>),
    /// Builds the kernel module that makes devres situations on demand, for a stock Debian kernel.
    Kmod(kmod::Args),
    /// Makes the recording that `devres-tracer demo` shows, in a stock kernel.
    RecordDemo(record_demo::Args),
    /// Writes the tables in docs/rules.md.
    RulesDocument,
    /// Compares the cost with other tracers: the same work under each of them, in a stock kernel.
    Compare(compare::Args),
    /// Measures what the goals of docs/performance.md ask for, and says which are met.
    Goals(goals::Args),
    /// Counts the instructions of the work on each event, and compares them with the figures in the tree.
    Instructions(instructions::Args),
    /// Binds and unbinds every driver that QEMU has a device for, with all rules applied.
    Soak(soak::Args),
    /// Draws the pictures of the live view for the documents, from a real recording.
    Screenshots,
    /// Runs all tests: those of the workspace, and those of the tracer in stock Debian kernels under QEMU.
    Test(test::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Build(args) => build_tracer::run(&args).map(|()| ExitCode::SUCCESS),
        Task::BuildEbpf(args) => build_ebpf::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Dist(args) => dist::run(&args),
        Task::Deny(args) => deny::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Fuzz(args) => fuzz::run(&args).map(|()| ExitCode::SUCCESS),
        Task::Vm(args) => vm::run(*args),
        Task::Kmod(args) => kmod::run(&args),
        Task::RecordDemo(args) => record_demo::run(&args).map(|()| ExitCode::SUCCESS),
        Task::RulesDocument => rules_document::run().map(|()| ExitCode::SUCCESS),
        Task::Compare(args) => compare::run(&args),
        Task::Goals(args) => goals::run(&args),
        Task::Instructions(args) => instructions::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Screenshots => screenshots::run().map(|()| ExitCode::SUCCESS),
        Task::Test(args) => test::run(&args),
    }
}
