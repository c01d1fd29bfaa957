//! Leads the bytes of a text through its stages.

use std::io::{self, BufRead};

use super::{
    prefilter,
    reader::{Found, Reader},
    transport::{
        base64::Base64,
        html, json,
        lines::{self, Lines},
        mail::Mail,
        plain::{Escapes, plain},
        strings,
    },
    wrapped::Wrapped,
};

/// Reads everything.
pub(super) fn read(reader: impl BufRead) -> io::Result<Found> {
    let mut stages = Stages {
        base64: Base64::default(),
        decoded: Decoded {
            space: Vec::new(),
            mail: Mail::default(),
            unescape: Unescape::default(),
            whole: Whole {
                wrapped: Wrapped::default(),
                reader: Reader::new(),
            },
        },
    };
    lines::for_each(reader, &mut stages)?;
    Ok(stages.finish())
}

/// The stages from the bytes of a line to its record.
struct Stages {
    base64: Base64,
    decoded: Decoded,
}

impl Lines for Stages {
    fn line(&mut self, line: &[u8]) {
        let decoded = &mut self.decoded;
        self.base64.line(line, |line| decoded.line(line));
    }

    fn skip(&mut self, text: &[u8]) -> usize {
        if !(self.base64.is_idle() && self.decoded.is_idle()) {
            return 0;
        }
        let (bytes, count) = prefilter::skip(text);
        self.decoded.whole.reader.skip(count);
        bytes
    }
}

impl Stages {
    fn finish(mut self) -> Found {
        let decoded = &mut self.decoded;
        self.base64.finish(|line| decoded.line(line));
        self.decoded.finish()
    }
}

/// The stages of a line that can be read.
struct Decoded {
    space: Vec<u8>,
    mail: Mail,
    unescape: Unescape,
    whole: Whole,
}

impl Decoded {
    fn line(&mut self, line: &[u8]) {
        let line = plain(line, &mut self.space).trim_ascii_end();
        let (unescape, whole) = (&mut self.unescape, &mut self.whole);
        self.mail
            .line(line, |line, count| unescape.line(line, count, whole));
    }

    /// Whether the next line does not depend on those before it.
    fn is_idle(&self) -> bool {
        self.whole.is_idle() && self.mail.is_idle() && self.unescape.is_idle()
    }

    fn finish(mut self) -> Found {
        let (unescape, whole) = (&mut self.unescape, &mut self.whole);
        self.mail
            .finish(|line, count| unescape.line(line, count, whole));
        unescape
            .records
            .finish(|line, count| whole.line(line, count));
        self.whole.finish()
    }
}

/// Takes off what other formats have put around the lines of a log.
#[derive(Default)]
struct Unescape {
    escapes: Escapes,
    records: json::Records,
}

impl Unescape {
    /// Whether the next line does not depend on those before it.
    fn is_idle(&self) -> bool {
        self.escapes.is_idle() && self.records.is_idle()
    }

    fn line(&mut self, line: &[u8], count: u64, lines: &mut Whole) {
        html::lines(line, count, |line, count| {
            let line = self.escapes.undo(line).trim_ascii_end();
            self.records.line(line, count, |line, count| {
                strings::lines(line, count, |line, count| lines.line(line, count));
            });
        });
    }
}

/// The stages of a line as the kernel or a tool has written it.
struct Whole {
    wrapped: Wrapped,
    reader: Reader,
}

impl Whole {
    fn line(&mut self, line: &[u8], count: u64) {
        let reader = &mut self.reader;
        self.wrapped
            .line(line, count, &mut |line, count| reader.line(line, count));
    }

    /// Whether the next line does not depend on those before it.
    fn is_idle(&self) -> bool {
        self.wrapped.is_idle() && self.reader.is_idle()
    }

    fn finish(mut self) -> Found {
        let reader = &mut self.reader;
        self.wrapped
            .finish(&mut |line, count| reader.line(line, count));
        self.reader.finish()
    }
}
