//! Prints what the rules find in a trace file, JSON lines or a log: `cargo run --example findings FILE`.

use devres_tracer::{engine::Engine, finding::text::Text};
use devres_tracer::{rules::RuleSet, source::recording::Recording};
use std::{env, error::Error, ops::ControlFlow};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("name a file to read")?;
    let mut recording = Recording::open(path.as_ref())?;
    let coverage = recording.information().coverage.clone();
    let mut engine = Engine::new(coverage.into(), RuleSet::all());
    recording.for_each(|event| {
        engine.apply(event);
        ControlFlow::Continue(())
    })?;
    for finding in engine.finish().findings {
        println!("{}", Text(&finding));
    }
    Ok(())
}
