//! What is said on standard error, beside what a command writes.

use std::{
    fmt::Display,
    io::{self, Write as _},
    path::Path,
};

use super::manner;
use crate::escape::{Escaped, Visible};

/// Says something in the tool's name. Where nobody can hear it, nothing else is to go wrong for that: a terminal that
/// has gone away must not keep a recording from its end.
pub(super) fn say(what: impl Display) {
    plainly(format_args!("devres-tracer: {what}"));
}

/// Says something that a quiet run leaves out, as it is.
pub(super) fn remark(what: impl Display) {
    if !manner::is_quiet() {
        plainly(what);
    }
}

/// Says a detail, if details are wanted.
pub(super) fn detail(what: impl Display) {
    if manner::is_verbose() {
        say(what);
    }
}

/// Says something as it is.
pub(super) fn plainly(what: impl Display) {
    let line = what.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", Visible(&line));
}

/// A path as it is shown.
pub(super) fn shown(path: &Path) -> String {
    Escaped(&path.display().to_string()).to_string()
}
