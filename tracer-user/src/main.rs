//! The command line of devres-tracer.

use devres_tracer::command::{Arguments, Exit};
use tokio::runtime::Builder;

fn main() -> Exit {
    let arguments = match Arguments::given() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    // Threads are named like the program: what one does to a driver is told as done by it.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_name(env!("CARGO_PKG_NAME"))
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(arguments.run()),
        Err(error) => Exit::could_not_start(&error),
    }
}
