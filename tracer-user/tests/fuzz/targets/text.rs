//! Texts, from their bytes through every stage to the verdict.

use super::{Bound, Target};
use crate::any_text;

pub(super) const TARGET: Target = Target {
    name: "text",
    run: any_text::read,
    size: <[u8]>::len,
    held: Bound::new(3 << 20, 100),
    asked_for: Bound::new(3 << 20, 200),
};
