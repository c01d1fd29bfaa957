//! The command line of devres-tracer.

use devres_tracer::command::{Arguments, Exit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Exit {
    match Arguments::given() {
        Ok(arguments) => arguments.run().await,
        Err(exit) => exit,
    }
}
