//! Where events come from.

pub mod lines;
pub mod live;
mod packed;
pub mod recording;
pub mod text;
