//! Where events come from.

pub mod lines;
pub mod live;
pub mod recording;
pub mod text;
