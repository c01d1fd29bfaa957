//! This process's terminal, which QEMU takes over for a guest's shell.

use std::process::{Command, Stdio};

/// The terminal's settings as they were before QEMU took it over; QEMU restores them only if it ends regularly.
pub(crate) struct TerminalSettings(Option<String>);

impl TerminalSettings {
    /// The settings of standard input, if that is a terminal.
    pub(crate) fn save() -> Self {
        Self(stty(&["-g"]))
    }

    /// Sets them again.
    pub(crate) fn restore(&self) {
        if let Some(settings) = &self.0 {
            stty(&[settings.trim()]);
        }
    }
}

/// The terminal's rows and columns, as a line of text; a usual size if there is no terminal.
pub(crate) fn size() -> String {
    stty(&["size"]).unwrap_or_else(|| "24 80\n".to_owned())
}

/// Calls `stty` on standard input; nothing if that is no terminal.
fn stty(arguments: &[&str]) -> Option<String> {
    let output = Command::new("stty")
        .args(arguments)
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
