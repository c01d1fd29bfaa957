//! Where events come from.

pub mod dead_kernel;
mod encoding;
pub mod lines;
pub mod live;
mod packed;
pub mod recording;
pub mod running;
pub mod text;
pub mod tracefs;
