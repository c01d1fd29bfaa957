//! Mails whose body is base64, as those with a letter beyond ASCII often are.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memchr;

use super::lines::LONGEST;

const HEADER: &[u8] = b"content-transfer-encoding:";

/// Decodes such bodies. Their lines then count as lines of the text.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Base64 {
    place: Place,
    /// Digits that make no whole byte yet: three at most.
    digits: Vec<u8>,
    /// What was decoded of a line whose end has not come.
    begun: Vec<u8>,
}

/// Where in a mail the next line is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In no header that says base64, nor behind one.
    #[default]
    Elsewhere,
    /// In such a header.
    Header,
    Body,
}

impl Base64 {
    /// Takes a line without its end. Calls `each` with every whole one.
    pub(in crate::source::text) fn line(&mut self, line: &[u8], mut each: impl FnMut(&[u8])) {
        let line = line.trim_ascii_end();
        match self.place {
            Place::Body if line.is_empty() => self.finish(&mut each),
            Place::Body => {
                if self.decode(line, &mut each) {
                    return;
                }
                self.finish(&mut each);
                self.place = Place::Elsewhere;
            }
            Place::Header if line.is_empty() => self.place = Place::Body,
            Place::Header | Place::Elsewhere => {}
        }
        if let Some((name, value)) = line.split_at_checked(HEADER.len())
            && name.eq_ignore_ascii_case(HEADER)
        {
            self.place = if value.trim_ascii().eq_ignore_ascii_case(b"base64") {
                Place::Header
            } else {
                Place::Elsewhere
            };
        }
        each(line);
    }

    /// Whether the next line is read without regard to those before it.
    pub(in crate::source::text) fn is_idle(&self) -> bool {
        self.place == Place::Elsewhere
    }

    /// Nothing comes any more of this body.
    pub(in crate::source::text) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        self.digits.clear();
        if !self.begun.is_empty() {
            each(&self.begun);
            self.begun.clear();
        }
    }

    /// Decodes a line; false if it is no base64.
    fn decode(&mut self, line: &[u8], mut each: impl FnMut(&[u8])) -> bool {
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        if !line.iter().all(is_digit) {
            return false;
        }
        self.digits.extend_from_slice(line);
        let rest = self.digits.split_off(self.digits.len() / 4 * 4);
        let Ok(decoded) = STANDARD.decode(&self.digits) else {
            return false;
        };
        self.digits = rest;
        let mut rest = decoded.as_slice();
        while let Some(end) = memchr(b'\n', rest) {
            let (piece, behind) = rest.split_at(end);
            self.extend(piece);
            each(&self.begun);
            self.begun.clear();
            rest = behind.get(1..).unwrap_or_default();
        }
        self.extend(rest);
        true
    }

    fn extend(&mut self, piece: &[u8]) {
        let room = LONGEST.saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut base64 = Base64::default();
        let mut each = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        for line in text.lines() {
            base64.line(line.as_bytes(), &mut each);
        }
        base64.finish(&mut each);
        assert!(base64.digits.is_empty() && base64.begun.is_empty());
        lines
    }

    const BODY: &str = "one\ntwo \u{e4}\n\nthree";

    #[test]
    fn a_body_is_decoded_however_it_is_broken() {
        let encoded = STANDARD.encode(BODY);
        for width in 1..=encoded.len() {
            let lines: Vec<_> = encoded.as_bytes().chunks(width).collect();
            let body = String::from_utf8(lines.join(&b"\r\n"[..])).unwrap();
            let mail =
                format!("Content-Transfer-Encoding: BASE64\r\nTo: x\r\n\r\n{body}\r\n\r\n--\nfour");
            let expected = [
                "Content-Transfer-Encoding: BASE64",
                "To: x",
                "",
                "one",
                "two \u{e4}",
                "",
                "three",
                "",
                "--",
                "four",
            ];
            assert_eq!(read(&mail), expected, "{width}");
        }
    }

    #[test]
    fn what_is_no_body_is_left_as_it_is() {
        let encoded = STANDARD.encode(BODY);
        for mail in [
            format!("{encoded}\n\n{encoded}"),
            format!("Content-Transfer-Encoding: 8bit\n\n{encoded}"),
            format!("Content-Transfer-Encoding: base64\n{encoded}"),
            "Content-Transfer-Encoding: base64\n\n[ 1.0] no digits".to_owned(),
            format!("Content-Transfer-Encoding: base64\n\n--\n{encoded}"),
        ] {
            assert_eq!(read(&mail).join("\n"), mail);
        }
    }
}
