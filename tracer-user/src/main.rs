//! The command line of devres-tracer.

use clap::Parser as _;
use devres_tracer::command::{Arguments, Exit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Exit {
    Arguments::parse().run().await
}
