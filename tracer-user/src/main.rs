//! The command line of devres-tracer.

use devres_tracer::{
    check::exercise,
    command::{Arguments, Exit},
};

fn main() -> Exit {
    if exercise::orders_carried_out() {
        return Exit::Clean;
    }
    match Arguments::given() {
        Ok(arguments) => arguments.run(),
        Err(exit) => exit,
    }
}
