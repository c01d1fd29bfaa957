//! Development tasks: `cargo xtask --help`.

use clap::{Parser, Subcommand};

/// Development tasks of devres-tracer.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {}
}
