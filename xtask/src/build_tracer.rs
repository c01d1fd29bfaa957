//! `cargo xtask build`: builds the tracer, with the committed eBPF object or with one built on the spot.

use anyhow::{Result, bail};

use crate::command;
use crate::ebpf_object::{Arch, ObjectBuilder};
use crate::rust_source::Origin;
use crate::toolchain::{self, Toolchain};

/// Arguments of `cargo xtask build`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Embed an eBPF object built from source now, never the committed one.
    #[arg(long)]
    from_source: bool,
    /// Link statically, for machines and initramfs images without a matching C library.
    #[arg(long = "static")]
    linked_statically: bool,
    /// Build with optimizations.
    #[arg(long)]
    release: bool,
    /// Where the source of Rust's `core` comes from [default: rustup, or else Debian].
    #[arg(long, value_name = "ORIGIN", requires = "from_source")]
    rust_source: Option<Origin>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let toolchain = Toolchain::active()?;
    let mut cargo = toolchain::cargo();
    cargo.args(["build", "--locked", "--package", "devres-tracer"]);
    if args.release {
        cargo.arg("--release");
    }
    if args.linked_statically {
        // With a target named, the flag does not reach build scripts and procedural macros, which cannot be static.
        cargo
            .args(["--target", &toolchain.host])
            .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    }
    if args.from_source {
        let Some(arch) = Arch::named(toolchain.host_arch()) else {
            bail!("there are no probes for {}", toolchain.host_arch());
        };
        let object = ObjectBuilder::prepare(toolchain, args.rust_source)?.build(arch)?;
        cargo.env("DEVRES_TRACER_EBPF_OBJECT", object);
    } else {
        cargo.env_remove("DEVRES_TRACER_EBPF_OBJECT");
    }
    command::show(&mut cargo)
}
