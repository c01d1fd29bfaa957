//! Where events come from.

mod encoding;
pub mod lines;
pub mod live;
pub mod recording;
pub mod text;
