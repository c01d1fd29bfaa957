//! What stands before a kernel message: quotation marks of mails, times, levels, host names.

use std::sync::LazyLock;

use memchr::{memchr, memmem};

pub(in crate::source::text) use super::fields::{Prefix, Stamp};
use super::{date, vendor, wrapper};
use crate::source::text::scan::{around, decimal, digits, seconds, word};

/// Longest content of brackets that is looked at, and farthest place of `kernel:` behind a date.
const FAR: usize = 96;

/// The levels of messages, as `dmesg -x` names them.
const LEVELS: [&[u8]; 8] = [
    b"emerg", b"alert", b"crit", b"err", b"warn", b"notice", b"info", b"debug",
];

/// One form of what stands before a message.
struct Form {
    /// The bytes that it can begin with.
    begins: fn(u8) -> bool,
    /// Takes it off, if it is there. Several forms may follow one another.
    read: for<'a> fn(&'a [u8], &mut Prefix) -> Option<&'a [u8]>,
    mark: Mark,
    /// A prefix in which it is the last.
    #[cfg_attr(not(test), expect(dead_code, reason = "what the table is tested by"))]
    example: &'static str,
    /// Who writes it.
    #[cfg_attr(not(test), expect(dead_code, reason = "what the table is tested by"))]
    seen: &'static str,
}

/// What a form says of its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Somebody quotes it.
    Quotation,
    /// A message begins in it. Only its content shows whether it is a log's: brackets are in prose, too.
    Bracket,
    /// It is a log's.
    Log,
}

const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Every form. Of several that fit, the first one counts.
static FORMS: [Form; 19] = [
    Form {
        begins: |byte| matches!(byte, b'>' | b'|'),
        read: |rest, _| rest.get(1..),
        mark: Mark::Quotation,
        example: "> | ",
        seen: "mail programs; the tables of issue trackers",
    },
    Form {
        begins: |byte| byte == b'<',
        read: |rest, _| level(rest),
        mark: Mark::Log,
        example: "<6>",
        seen: "the kernel's raw log; netconsole; syslog's protocol",
    },
    Form {
        begins: |byte| byte == b'<',
        read: relative,
        mark: Mark::Log,
        example: "<    0.000010> ",
        seen: "dmesg --show-delta",
    },
    Form {
        begins: |byte| byte == b'[',
        read: bracket,
        mark: Mark::Bracket,
        example: "[  126.886032] [   T123] ",
        seen: "dmesg in all its formats of time; CONFIG_PRINTK_CALLER",
    },
    Form {
        begins: |byte| matches!(byte, b'(' | b'.' | b'-'),
        read: vendor::task,
        mark: Mark::Log,
        example: "[  126.886032] .(1)[45:kworker/1:0] ",
        seen: "kernels of MediaTek",
    },
    Form {
        begins: |byte| byte == b'(',
        read: parenthesis,
        mark: Mark::Log,
        example: "(126.886032) ",
        seen: "consoles of test machines",
    },
    Form {
        begins: |byte| byte.is_ascii_alphanumeric(),
        read: |rest, prefix| hosted(rest, prefix.time?),
        mark: Mark::Log,
        example: "[  126.886032] pc kernel: ",
        seen: "journalctl -o short-monotonic; loggers that leave the kernel's time in front",
    },
    Form {
        begins: |byte| byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        read: dated,
        mark: Mark::Log,
        example: "Mar 10 21:52:21 pc kernel: ",
        seen: "syslog, journalctl in all its formats of time, Android's logcat, RFC 5424",
    },
    Form {
        begins: is_digit,
        read: record,
        mark: Mark::Log,
        example: "6,1234,126886032,-;",
        seen: "/dev/kmsg; netconsole's extended format, with the kernel's release in front",
    },
    Form {
        begins: is_digit,
        read: unix,
        mark: Mark::Log,
        example: "1678485141.123456 pc kernel: ",
        seen: "journalctl -o short-unix and short-monotonic",
    },
    Form {
        begins: is_digit,
        read: bare,
        mark: Mark::Log,
        example: "126.886032] ",
        seen: "messages whose first bracket was cut off; serial consoles",
    },
    Form {
        begins: is_digit,
        read: |rest, _| wrapper::version(rest),
        mark: Mark::Log,
        example: "<3>1 2023-03-10T21:52:21Z pc kernel - - - ",
        seen: "RFC 5424",
    },
    Form {
        begins: is_digit,
        read: wrapper::clock,
        mark: Mark::Log,
        example: "21:52:21.123  ",
        seen: "LAVA, Jenkins and terminals that write the time of day",
    },
    Form {
        begins: is_digit,
        read: |rest, _| wrapper::numbered(rest),
        mark: Mark::Log,
        example: "123:[    7.138679] ",
        seen: "grep -n; consoles that are logged with a count in front",
    },
    Form {
        begins: |byte| byte.is_ascii_uppercase(),
        read: |rest, _| severity(rest),
        mark: Mark::Log,
        example: "CRIT KERN ",
        seen: "consoles and collectors that write the level in capitals",
    },
    Form {
        begins: |byte| byte.is_ascii_uppercase(),
        read: vendor::level,
        mark: Mark::Log,
        example: "[    7.138679] I[0:    kworker/u8:3:   41] ",
        seen: "kernels of Samsung",
    },
    Form {
        begins: |byte| byte.is_ascii_lowercase(),
        read: |rest, _| facility(rest),
        mark: Mark::Log,
        example: "kern  :err   : ",
        seen: "dmesg -x; a syslog line whose date was cut off",
    },
    Form {
        begins: |byte| byte.is_ascii_lowercase(),
        read: wrapper::fields,
        mark: Mark::Log,
        example: "time=\"2023-03-10T21:52:21Z\" level=error msg=\"",
        seen: "containers' logs (logfmt)",
    },
    Form {
        begins: |byte| byte.is_ascii_lowercase(),
        read: vendor::cpu,
        mark: Mark::Log,
        example: "[    7.138679] c0   312 ",
        seen: "kernels of Spreadtrum",
    },
];

/// For each byte, the forms that can begin with it, in their order.
static BY_FIRST_BYTE: LazyLock<Vec<Vec<&'static Form>>> = LazyLock::new(|| {
    (0..=u8::MAX)
        .map(|byte| FORMS.iter().filter(|form| (form.begins)(byte)).collect())
        .collect()
});

/// Takes what can be a prefix off a line.
pub(in crate::source::text) fn split(line: &[u8]) -> (Prefix, &[u8]) {
    let mut prefix = Prefix::default();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        let Some((form, behind)) = form(rest, &mut prefix) else {
            return (prefix, rest);
        };
        form.mark.put(rest, &mut prefix);
        rest = behind;
    }
}

/// The form that a text begins with, and what follows it.
fn form<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<(&'static Form, &'a [u8])> {
    let forms = BY_FIRST_BYTE.get(usize::from(*rest.first()?))?;
    forms
        .iter()
        .find_map(|form| Some((*form, (form.read)(rest, prefix)?)))
}

impl Mark {
    fn put(self, text: &[u8], prefix: &mut Prefix) {
        if self == Self::Quotation {
            return;
        }
        prefix.begins = true;
        let told = prefix.time.is_some() || prefix.thread.is_some() || prefix.cpu.is_some();
        let blank = || {
            let end = memchr(b']', text).unwrap_or_default();
            let content = text.get(1..end);
            content.is_some_and(|content| content.trim_ascii().is_empty())
        };
        prefix.logged |= self == Self::Log || told || blank();
    }
}

/// A date that stands behind something unknown, as the names of a job and its step, and what follows its prefix.
pub(in crate::source::text) fn behind_unknown(line: &[u8]) -> Option<(Prefix, &[u8])> {
    let near = line.get(..line.len().min(FAR))?;
    // Only the longest form of a date is told from other numbers: `2023-03-10T21:52:21`.
    let at = memchr::memchr_iter(b'T', near)
        .filter_map(|at| at.checked_sub(10))
        .find(|at| {
            let follows_blank = at.checked_sub(1).and_then(|at| near.get(at)) == Some(&b' ');
            follows_blank && line.get(*at..).and_then(date::read).is_some()
        })?;
    Some(split(line.get(at..)?))
}

/// Takes the quotation marks of mails off a line.
pub(in crate::source::text) fn unquote(line: &[u8]) -> &[u8] {
    let mut rest = line.trim_ascii_start();
    while let [b'>' | b'|', behind @ ..] = rest {
        rest = behind.trim_ascii_start();
    }
    rest
}

/// `<6>`, as in the kernel's raw log.
fn level(rest: &[u8]) -> Option<&[u8]> {
    let (_, rest) = digits(rest.get(1..)?)?;
    rest.strip_prefix(b">")
}

/// `[  126.886032]`, `[ ]`, `[  +0.000008]`, `[   T123]`, `[    C0]`, `[Fri Mar 10 21:52:21 2023]`.
fn bracket<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    let near = rest.get(1..rest.len().min(FAR))?;
    let end = memchr(b']', near)?;
    let content = near.get(..end)?.trim_ascii();
    let behind = rest.get(end + 2..)?;
    match content {
        [] => {}
        [b'+', relative @ ..] => prefix.time = Some(Stamp::After(seconds(relative)?)),
        [b'<', relative @ .., b'>'] => {
            prefix.time = Some(Stamp::After(seconds(relative.trim_ascii())?));
        }
        [b'T', thread @ ..] if decimal(thread).is_some() => {
            prefix.thread = decimal(thread).and_then(|thread| u32::try_from(thread).ok());
        }
        [b'C', cpu @ ..] if decimal(cpu).is_some() => {
            prefix.cpu = decimal(cpu).and_then(|cpu| u16::try_from(cpu).ok());
        }
        _ => {
            // Some terminals put the time since the line before behind the time.
            let first = word(content).map(|(first, _)| first);
            // Some vendors put the CPU behind it: `126.886032@1`, or in brackets of its own.
            let (first, cpu) = match first.and_then(|first| around(first, b"@")) {
                Some((time, cpu)) => (Some(time), decimal(cpu)),
                None => (first.map(without_unit), None),
            };
            let number = first.and_then(decimal).filter(|_| prefix.time.is_some());
            if let Some(cpu) = cpu.or(number).and_then(|cpu| u16::try_from(cpu).ok()) {
                prefix.cpu = Some(cpu);
            }
            let time = first.filter(|_| number.is_none()).and_then(seconds);
            if number.is_some() {
                // No time.
            } else if let Some(time) = time.or_else(|| date::read(content).map(|(time, _)| time)) {
                prefix.time = Some(Stamp::At(time));
            } else if cpu.is_none() && behind.trim_ascii().is_empty() {
                // Nothing follows: it is the message, as lockdep's `[ BUG: Invalid wait context ]`.
                return None;
            }
        }
    }
    Some(if content.contains(&b'@') {
        vendor::mark(behind)
    } else {
        behind
    })
}

/// `126.886032s`.
fn without_unit(time: &[u8]) -> &[u8] {
    time.strip_suffix(b"s").unwrap_or(time)
}

/// `<    0.000010> `, the time since the line before.
fn relative<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    let near = rest.get(1..rest.len().min(FAR))?;
    let end = memchr(b'>', near)?;
    let content = near.get(..end)?.trim_ascii();
    content.contains(&b'.').then_some(())?;
    prefix.time = prefix.time.or(Some(Stamp::After(seconds(content)?)));
    rest.get(end + 2..)
}

/// `(126.886032) `.
fn parenthesis<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    let (time, behind) = fraction(rest.get(1..)?)?;
    prefix.time = Some(Stamp::At(time));
    behind.strip_prefix(b")")
}

/// `126.886032 `, and `126.886032] ` where the beginning of the line was cut off.
fn bare<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    let (time, behind) = fraction(rest)?;
    let [b']' | b' ' | b',' | b':', behind @ ..] = behind else {
        return None;
    };
    prefix.time = prefix.time.or(Some(Stamp::At(time)));
    Some(behind)
}

/// Seconds with as many decimals as the kernel writes, or nearly, and what follows.
fn fraction(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let (number, behind) = bytes.split_at_checked(end)?;
    let (_, decimals) = around(number, b".")?;
    let time = seconds(number)?;
    (3..=9).contains(&decimals.len()).then_some((time, behind))
}

/// A date, and the host and program up to `kernel:` that system logs write behind it.
fn dated<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    let (time, behind) = date::read(rest)?;
    prefix.time = prefix.time.or(Some(Stamp::At(time)));
    let near = behind.get(..behind.len().min(FAR)).unwrap_or(behind);
    let message = memmem::find(near, b"kernel: ")
        .and_then(|at| behind.get(at + 8..))
        .or_else(|| {
            let (_, process) = around(near, b" kernel[")?;
            let message = behind.get(near.len() - process.len()..)?;
            let (_, message) = digits(message)?;
            message.strip_prefix(b"]: ")
        });
    // A message that was wrapped behind it.
    let alone = near.ends_with(b" kernel:") && near.len() == behind.len();
    Some(
        message
            .or(alone.then_some(&[][..]))
            .or_else(|| vendor::android(behind))
            .or_else(|| wrapper::stream(behind))
            .or_else(|| wrapper::structured(behind))
            .or_else(|| wrapper::annotation(behind))
            .unwrap_or(behind),
    )
}

/// `6,1234,126886032,-;`, as in `/dev/kmsg`.
fn record<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    // With the release of the kernel in front, as netconsole can be told to write.
    let rest = match rest
        .iter()
        .position(|byte| matches!(byte, b',' | b' ' | b'.'))
    {
        Some(dot) if rest.get(dot) == Some(&b'.') => {
            let near = rest.get(..rest.len().min(FAR))?;
            rest.get(memchr(b',', near)? + 1..)?
        }
        _ => rest,
    };
    let (_, rest) = digits(rest)?;
    let (_, rest) = digits(rest.strip_prefix(b",")?)?;
    let (microseconds, rest) = digits(rest.strip_prefix(b",")?)?;
    let near = rest.get(..rest.len().min(FAR))?;
    let end = memchr(b';', near)?;
    prefix.time = Some(Stamp::At(microseconds.checked_mul(1_000)?));
    rest.get(end + 1..)
}

/// `1678485141.123456 host kernel: `, as `journalctl -o short-unix` writes.
fn unix<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    let (time, behind) = word(rest)?;
    let time = seconds(time)?;
    let near = behind.get(..behind.len().min(FAR)).unwrap_or(behind);
    let message = memmem::find(near, b" kernel: ")?;
    prefix.time = prefix.time.or(Some(Stamp::At(time)));
    behind.get(message + 9..)
}

/// `host kernel: ` behind a time.
fn hosted(rest: &[u8], _: Stamp) -> Option<&[u8]> {
    let (_, behind) = word(rest.get(..rest.len().min(FAR))?)?;
    let host = rest.len().min(FAR) - behind.len();
    rest.get(host..)?.strip_prefix(b" kernel: ")
}

/// `CRIT KERN`, as some consoles write.
fn severity(rest: &[u8]) -> Option<&[u8]> {
    let (severity, behind) = word(rest)?;
    matches!(
        severity.strip_suffix(b":").unwrap_or(severity),
        b"EMERG"
            | b"ALERT"
            | b"CRIT"
            | b"ERR"
            | b"ERROR"
            | b"WARN"
            | b"WARNING"
            | b"NOTICE"
            | b"INFO"
            | b"DEBUG"
            | b"KERN"
            | b"KERNEL"
    )
    .then_some(behind)
    .filter(|behind| !behind.is_empty())
}

/// `kernel: `, and `kern  :err   : ` as `dmesg -x` writes.
fn facility(rest: &[u8]) -> Option<&[u8]> {
    if let Some(behind) = rest.strip_prefix(b"kernel: ") {
        return Some(behind);
    }
    let facilities: [&[u8]; 4] = [b"kern", b"user", b"daemon", b"syslog"];
    let behind = facilities
        .iter()
        .find_map(|facility| rest.strip_prefix(*facility))?;
    if let Some((level, rest)) = word(behind)
        && behind.starts_with(b" ")
        && LEVELS.contains(&level)
    {
        return Some(rest);
    }
    let behind = behind.trim_ascii_start().strip_prefix(b":")?;
    let (level, behind) = behind.split_at_checked(memchr(b':', behind)?)?;
    let level = level.trim_ascii();
    (level.len() <= 6 && level.iter().all(u8::is_ascii_lowercase))
        .then(|| behind.get(1..))
        .flatten()
}

#[cfg(test)]
mod tests;
