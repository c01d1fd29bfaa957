//! The live view: what every device owns and what happens to it, on the screen while it happens or at any
//! instant of a recording.
//!
//! [`Session`] is the whole of it but for the terminal: events and keys go in, a screen comes out. `terminal`
//! and `run` connect it with a real one.

pub mod configuration;
pub mod filter;
pub mod found;
pub mod history;
pub mod keymap;
pub mod pace;
pub mod playback;
pub mod row;
pub mod rows;
mod run;
mod save;
pub mod session;
pub mod source;
pub mod state;
mod terminal;
pub mod text;
pub mod theme;
pub mod timeline;
pub mod traces;
mod view;

pub use run::{Options, RunError, check, run};
pub use session::{Session, Sight};
