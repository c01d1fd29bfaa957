//! The probes' own diagnostics, on standard error.

use std::io::{self, Write as _};

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

use crate::escape::Escaped;

/// Takes what the probes log through aya-log.
pub(super) struct ProbeLog(EbpfLogger<StandardError>);

impl ProbeLog {
    /// Takes the log of these programs; an error says why there is none.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, String> {
        EbpfLogger::init_with_logger(ebpf, StandardError)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Writes what has come since the last call.
    pub(super) fn write(&mut self) {
        self.0.flush();
    }
}

/// Writes each message as a line to standard error.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        // A terminal that has gone away is no reason to end.
        let _ = writeln!(io::stderr().lock(), "probe: {}", Escaped(&line));
    }

    fn flush(&self) {}
}
