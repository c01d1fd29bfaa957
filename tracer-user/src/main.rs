//! The command line of devres-tracer.

use devres_tracer::command::{Arguments, Exit};

fn main() -> Exit {
    match Arguments::given() {
        Ok(arguments) => arguments.run(),
        Err(exit) => exit,
    }
}
