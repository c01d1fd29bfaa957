//! Where events come from.

pub mod lines;
pub mod live;
pub mod text;
