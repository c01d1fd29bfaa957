//! The command line of devres-tracer.

use clap::Parser as _;
use devres_tracer::command::{Arguments, Exit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Exit {
    match Arguments::parse().run().await {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("devres-tracer: {error:#}");
            Exit::CouldNotRun
        }
    }
}
