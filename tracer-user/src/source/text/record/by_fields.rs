//! Events that are printed by their fields, with the ftrace option `fields`, or by a kernel that ran at other addresses.
//!
//! A kernel that finds them in a persistent buffer can't follow the pointers in them, so it prints the fields of each
//! event by their names instead of the event's own words:
//!
//! ```text
//! p_device_del_0: __probe_ip=0xffffffffb7725404 (-1217244156) dev=0xff1290f47e674c00 (-66831664690017280) name=x
//! devres_log: devname=x dev=0x0 (0) op=(0xffffffffb8314a22) node=0xff1290f466a8e100 (-66831665088372480) name=y size=0x18 (24)
//! ```
//!
//! [`in_words`] gives such an event its words again. What `devres_log` logs, `op`, is such a pointer: it stays one, unless the
//! kernel prints what stands there behind it.

use memchr::memmem;

use super::resource::Operation;

/// What stands before the fields of the tracepoint.
const LOGGED: &[u8] = b": devres_log: devname=";
/// What ends the name of a probe event, and what begins its fields: on entry, on return.
const ENTERED: &str = "_0: __probe_ip=";
const RETURNED: &str = "_0: __probe_func=";

/// What stands in such lines, where nothing else reports them.
pub(in crate::source::text) const WORDS: [&str; 2] = [ENTERED, RETURNED];

/// A field: its name, and its value as it stands there.
type Field<'a> = (&'a [u8], &'a [u8]);

/// What a line says.
enum Event<'a> {
    Entered(&'a [u8]),
    Returned(&'a [u8]),
    Logged,
}

/// A line.
struct Line<'a> {
    /// What stands before the event's name.
    head: &'a [u8],
    event: Event<'a>,
    fields: Vec<Field<'a>>,
}

/// Whether a line may be a function event that is printed by its fields.
pub(super) fn is_call(line: &[u8]) -> bool {
    memmem::find(line, b"_0: __probe_").is_some()
}

/// An event that is printed by its fields, in its own words.
pub(in crate::source::text) fn in_words(line: &[u8]) -> Option<Vec<u8>> {
    let line = read(line)?;
    let words = match line.event {
        Event::Logged => logged(&line)?,
        Event::Entered(function) => {
            let place = [b"0x", line.address(b"__probe_ip").unwrap_or(b"0")].concat();
            called(b"p_", function, &place, &line.fields)
        }
        Event::Returned(function) => {
            let place = |name: &[u8]| line.address(name).unwrap_or(b"0");
            let (to, from) = (place(b"__probe_ret_ip"), place(b"__probe_func"));
            let place = [b"0x", to, b" <- 0x", from].concat();
            called(b"r_", function, &place, &line.fields)
        }
    };
    Some([line.head, &words].concat())
}

/// Reads a line of an event that is printed by its fields.
fn read(line: &[u8]) -> Option<Line<'_>> {
    let line = line.trim_ascii_end();
    if let Some(at) = memmem::find(line, LOGGED) {
        let (head, rest) = line.split_at_checked(at + 2)?;
        let fields = fields(rest.strip_prefix(b"devres_log: ")?);
        return Some(Line {
            head,
            event: Event::Logged,
            fields,
        });
    }
    let (at, returns) = match memmem::find(line, ENTERED.as_bytes()) {
        Some(at) => (at, false),
        None => (memmem::find(line, RETURNED.as_bytes())?, true),
    };
    let (before, rest) = line.split_at_checked(at)?;
    let name = before.iter().rposition(|byte| *byte == b' ')? + 1;
    let (head, name) = before.split_at_checked(name)?;
    let event = if returns {
        Event::Returned(name.strip_prefix(b"r_")?)
    } else {
        Event::Entered(name.strip_prefix(b"p_")?)
    };
    Some(Line {
        head,
        event,
        fields: fields(rest.strip_prefix(b"_0: ")?),
    })
}

/// The fields of `a=0x10 (16) b=some text c=…`.
fn fields(mut text: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    while let Some(equals) = memchr::memchr(b'=', text) {
        let (name, value) = text.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        // Up to where another name and its equals sign follow a blank.
        let end = memchr::memchr_iter(b' ', value).find(|blank| {
            let next = value.get(blank + 1..).unwrap_or_default();
            let length = next
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            length > 0 && next.get(length) == Some(&b'=')
        });
        let (value, rest) = value.split_at(end.unwrap_or(value.len()));
        fields.push((name, value));
        text = rest.trim_ascii_start();
    }
    fields
}

impl<'a> Line<'a> {
    fn field(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut fields = self.fields.iter();
        fields.find(|(field, _)| *field == name).map(|(_, it)| *it)
    }

    /// The number in a field.
    fn address(&self, name: &[u8]) -> Option<&'a [u8]> {
        number(self.field(name)?)
    }
}

/// The number of `0x10 (16)`, without its `0x`.
fn number(value: &[u8]) -> Option<&[u8]> {
    let value = value.strip_prefix(b"0x")?;
    let digits = value.iter().take_while(|it| it.is_ascii_hexdigit()).count();
    let (number, rest) = value.split_at(digits);
    let again = rest.strip_prefix(b" (")?.strip_suffix(b")")?;
    let again = again.strip_prefix(b"-").unwrap_or(again);
    (!number.is_empty() && again.iter().all(u8::is_ascii_digit)).then_some(number)
}

/// What stands at `(0xffffffffb8314a22:ADD)`, as newer kernels print it; else the address.
fn operation(pointer: &[u8]) -> Option<&[u8]> {
    let text = pointer.strip_prefix(b"(")?.strip_suffix(b")")?;
    let behind = text.rsplit(|byte| *byte == b':').next()?;
    let address = text.split(|byte| *byte == b':').next()?;
    Some(match Operation::named(behind) {
        Some(_) => behind,
        None => address,
    })
}

/// `devres_log: x ADD 0xff1290f466a8e100 y (24 bytes)`, or with an address in place of the operation.
fn logged(line: &Line<'_>) -> Option<Vec<u8>> {
    let size = std::str::from_utf8(line.address(b"size")?).ok()?;
    let size = u64::from_str_radix(size, 16).ok()?;
    let words = [
        &b"devres_log: "[..],
        line.field(b"devname")?,
        b" ",
        operation(line.field(b"op")?)?,
        b" 0x",
        line.address(b"node")?,
        b" ",
        line.field(b"name")?,
    ];
    Some([&words.concat(), format!(" ({size} bytes)").as_bytes()].concat())
}

/// `p_device_del_0: (0xffffffffa1000300) dev=0x10 name="x"`.
fn called(kind: &[u8], function: &[u8], place: &[u8], fields: &[Field<'_>]) -> Vec<u8> {
    let mut words = [kind, function, b"_0: (", place, b")"].concat();
    for (name, value) in fields {
        if name.starts_with(b"__probe_") {
            continue;
        }
        match number(value) {
            Some(number) => words.extend([b" ", *name, b"=0x", number].concat()),
            None => words.extend([b" ", *name, b"=\"", *value, b"\""].concat()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "           <...>-71      [001] d..1.     9.000100: ";

    fn rewritten(line: &str) -> Option<String> {
        let words = in_words(format!("{HEAD}{line}").as_bytes())?;
        let words = String::from_utf8(words).unwrap();
        words.strip_prefix(HEAD).map(str::to_owned)
    }

    #[test]
    fn events_get_their_words_again() {
        for (line, expected) in [
            (
                "p_add_dr_0: __probe_ip=0xffffffffa1000000 (-1593835520) dev=0x10 (16) node=0xff00 (1) rel=0x20 (32)",
                "p_add_dr_0: (0xffffffffa1000000) dev=0x10 node=0xff00 rel=0x20",
            ),
            (
                "r_devres_release_all_0: __probe_func=0xffffffffa1000100 (-1593835264) __probe_ret_ip=0xffffffffa1000200 (-1593835008) ret=0x1 (1)",
                "r_devres_release_all_0: (0xffffffffa1000200 <- 0xffffffffa1000100) ret=0x1",
            ),
            (
                "p_device_del_0: __probe_ip=0xffffffffa1000300 (-1593834752) dev=0x10 (16) name=a b",
                "p_device_del_0: (0xffffffffa1000300) dev=0x10 name=\"a b\"",
            ),
            (
                "devres_log: devname=a b dev=0x0 (0) op=(0xffffffffa2000001) node=0xff00 (1) name=c(d) size=0x18 (24)",
                "devres_log: a b 0xffffffffa2000001 0xff00 c(d) (24 bytes)",
            ),
            (
                "devres_log: devname=a dev=0x0 (0) op=(0xffffffffa2000003:REM) node=0xff00 (1) name=c size=0x18 (24)",
                "devres_log: a REM 0xff00 c (24 bytes)",
            ),
        ] {
            assert_eq!(rewritten(line).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_has_its_words_is_left_alone() {
        for line in [
            "devres_log: x REL 1 y (8 bytes)",
            "devres_log: devname=x dev=0x0 (0) op=(0xffffffffa2",
            "",
        ] {
            assert_eq!(rewritten(line), None, "{line}");
        }
    }
}
