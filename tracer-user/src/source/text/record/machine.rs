//! What the kernel's reports say of the machine: its release, its build, its board, and how it was tainted.

use crate::{
    kernel::{Machine, System, taint_bits},
    source::text::scan::{around, word},
};

/// Listens for it, line by line.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Listener {
    told: Option<Machine>,
    board: Option<String>,
    /// Several kernels speak: of which machine the text is isn't known.
    several: bool,
}

impl Listener {
    /// Looks at a line of a report.
    pub(in crate::source::text) fn line(&mut self, line: &[u8]) {
        if let Some((_, name)) = around(line, b"Hardware name: ") {
            self.board = self.board.take().or_else(|| board(name));
        } else if let Some((_, task)) = around(line, b" Comm: ")
            && let Some(machine) = machine(task)
        {
            let known = self.told.get_or_insert_with(|| machine.clone());
            self.several |= known.kernel != machine.kernel;
        }
    }

    /// What there was.
    pub(in crate::source::text) fn finish(self) -> Option<Machine> {
        let mut machine = self.told.filter(|_| !self.several)?;
        machine.system.board = self.board;
        Some(machine)
    }
}

/// `modprobe Tainted: G        W          6.9.3 #3 PREEMPT`, `rmmod Not tainted 6.1.0-18-amd64 #1  Debian 6.1.76-1`.
fn machine(task: &[u8]) -> Option<Machine> {
    let (taint, rest) = if let Some((_, rest)) = around(task, b"Not tainted ") {
        (0, rest)
    } else {
        let (_, mut rest) = around(task, b"Tainted: ")?;
        let mut bits = 0;
        while let Some((letters, behind)) = word(rest.trim_ascii_start())
            && letters.iter().all(u8::is_ascii_uppercase)
        {
            bits |= taint_bits(letters);
            rest = behind;
        }
        (bits, rest)
    };
    let (release, version) = word(rest.trim_ascii())?;
    let is_release = release.first().is_some_and(u8::is_ascii_digit) && release.contains(&b'.');
    let version = version.trim_ascii();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    is_release.then(|| Machine {
        kernel: Some(text(release)),
        system: System {
            version: version.starts_with(b"#").then(|| text(version)),
            board: None,
            taint: Some(taint),
        },
    })
}

/// `QEMU Standard PC (Q35 + ICH9, 2009)/Standard PC, BIOS 1.16.3 04/01/2014`, `MikroTik RB5009 (DT)`.
fn board(name: &[u8]) -> Option<String> {
    let name = around(name, b", BIOS").map_or(name, |(name, _)| name);
    let name = name.trim_ascii();
    let name = name.strip_suffix(b"(DT)").unwrap_or(name).trim_ascii_end();
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Option<Machine> {
        let mut listener = Listener::default();
        for line in lines {
            listener.line(line.as_bytes());
        }
        listener.finish()
    }

    #[test]
    fn reports_say_of_which_machine_they_are() {
        for (line, kernel, version, taint) in [
            (
                "CPU: 1 PID: 232 Comm: modprobe Tainted: G        W          6.9.3 #3",
                "6.9.3",
                "#3",
                1 << 9,
            ),
            (
                "CPU: 0 UID: 0 PID: 9 Comm: rmmod Kdump: loaded Not tainted 6.1.0-18-amd64 #1  Debian 6.1.76-1",
                "6.1.0-18-amd64",
                "#1  Debian 6.1.76-1",
                0,
            ),
            (
                "CPU: 3 PID: 2098 Comm: rmmod Tainted: P           OE     5.11.0-rc2+ #1",
                "5.11.0-rc2+",
                "#1",
                1 | 1 << 12 | 1 << 13,
            ),
        ] {
            let board = "Hardware name: ACME Board/Rev 2, BIOS 01WT17WW 02/28/2014";
            let machine = told(&[line, board]).unwrap();
            assert_eq!(machine.kernel.as_deref(), Some(kernel), "{line}");
            assert_eq!(machine.system.version.as_deref(), Some(version), "{line}");
            assert_eq!(machine.system.taint, Some(taint), "{line}");
            assert_eq!(machine.system.board.as_deref(), Some("ACME Board/Rev 2"));
        }
    }

    #[test]
    fn two_kernels_are_no_machine() {
        let line = |release| format!("CPU: 1 PID: 9 Comm: sh Not tainted {release} #1");
        assert_eq!(told(&[&line("6.1.0"), &line("6.2.0")]), None);
        assert_eq!(told(&["CPU: 1 PID: 9 Comm: sh"]), None);
    }
}
