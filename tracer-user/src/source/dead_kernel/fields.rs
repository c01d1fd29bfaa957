//! Events of a kernel that ran at other addresses.
//!
//! The kernel that finds them in a persistent buffer can't follow the pointers in them. So it prints the fields of each
//! event by their names, as the ftrace option `fields` does, instead of the event's own words:
//!
//! ```text
//! p_device_del_0: __probe_ip=0xffffffffb7725404 (-1217244156) dev=0xff1290f47e674c00 (-66831664690017280) name=x
//! devres_log: devname=x dev=0x0 (0) op=(0xffffffffb8314a22) node=0xff1290f466a8e100 (-66831665088372480) name=y size=0x18 (24)
//! ```
//!
//! [`in_words`] gives the events their words again. What `devres_log` logs, `op`, is such a pointer: which of them means
//! what, the events around it prove, or it stays unknown.

use std::collections::BTreeMap;

use memchr::memmem;

/// What stands before the fields of the tracepoint.
const LOGGED: &[u8] = b": devres_log: devname=";
/// What ends the name of a probe event, and what begins its fields: on entry, on return.
const ENTERED: &[u8] = b"_0: __probe_ip=";
const RETURNED: &[u8] = b"_0: __probe_func=";

/// Functions that release what is on a device's list: nothing else logs a release.
const RELEASING: [&[u8]; 2] = [b"devres_release_all", b"devres_release_group"];

/// A field: its name, and its value as it stands there.
type Field<'a> = (&'a [u8], &'a [u8]);

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event<'a> {
    Entered(&'a [u8]),
    Returned(&'a [u8]),
    Logged,
}

/// A line.
#[derive(Debug)]
struct Line<'a> {
    /// What stands before the event's name.
    head: &'a [u8],
    event: Event<'a>,
    fields: Vec<Field<'a>>,
}

/// What the tracepoint logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Add,
    Remove,
    Release,
    Replace,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Add, Self::Remove, Self::Release, Self::Replace];

    /// The kernel's word for it.
    const fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Remove => "REM",
            Self::Release => "REL",
            Self::Replace => "REPLACE",
        }
    }
}

/// A trace in the events' own words. Where an operation stays unknown a loss stands in its place.
#[must_use]
pub fn in_words(text: Vec<u8>) -> Vec<u8> {
    let by_fields = [LOGGED, ENTERED, RETURNED]
        .iter()
        .any(|words| memmem::find(&text, words).is_some());
    if !by_fields {
        return text;
    }
    let operations = operations(&text);
    let mut words = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match read(line) {
            Some(read) => write(&read, &operations, &mut words),
            None => words.extend_from_slice(line),
        }
    }
    words
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
    let (at, returns) = match memmem::find(line, ENTERED) {
        Some(at) => (at, false),
        None => (memmem::find(line, RETURNED)?, true),
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

    /// The last field of a name: the tracepoint has its own `name` behind the device's.
    fn address(&self, name: &[u8]) -> Option<&'a [u8]> {
        number(self.field(name)?)
    }

    /// The task, with its number.
    fn task(&self) -> &'a [u8] {
        let end = memchr::memrchr(b'[', self.head).unwrap_or(self.head.len());
        self.head.get(..end).unwrap_or_default().trim_ascii()
    }

    /// The CPU's number, as it stands there.
    fn cpu(&self) -> &'a [u8] {
        let begin = memchr::memrchr(b'[', self.head).map_or(self.head.len(), |at| at + 1);
        let rest = self.head.get(begin..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = rest.get(..digits).unwrap_or_default();
        let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
        match digits.get(zeros..) {
            Some(b"") | None => b"0",
            Some(number) => number,
        }
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

/// What the events of a task prove about the operations.
#[derive(Debug, Default)]
struct Before<'a> {
    /// The event before, with the node that it is about.
    last: Option<(Event<'a>, Option<&'a [u8]>)>,
    /// Functions that release, and have not returned.
    releasing: usize,
}

/// Which operation each pointer means, as far as that is proved and nothing says otherwise.
fn operations(text: &[u8]) -> BTreeMap<Vec<u8>, Operation> {
    let mut proofs: BTreeMap<Vec<u8>, Vec<Operation>> = BTreeMap::new();
    let mut tasks: BTreeMap<&[u8], Before<'_>> = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n').filter_map(read) {
        let before = tasks.entry(line.task()).or_default();
        match &line.event {
            Event::Entered(function) if RELEASING.contains(function) => before.releasing += 1,
            Event::Returned(function) if RELEASING.contains(function) => {
                before.releasing = before.releasing.saturating_sub(1);
            }
            Event::Logged => {
                if let Some(pointer) = line.field(b"op") {
                    let proved = proved(&line, before);
                    let proofs = proofs.entry(pointer.to_vec()).or_default();
                    proofs.extend(proved.filter(|proved| !proofs.contains(proved)));
                }
            }
            Event::Entered(_) | Event::Returned(_) => {}
        }
        before.last = Some((line.event.clone(), line.address(b"node")));
    }
    let mut operations: BTreeMap<Vec<u8>, Operation> = proofs
        .iter()
        .filter_map(
            |(pointer, proofs)| match (in_text(pointer), proofs.as_slice()) {
                (Some(operation), _) => Some((pointer.clone(), operation)),
                (None, [operation]) => Some((pointer.clone(), *operation)),
                (None, _) => None,
            },
        )
        .collect();
    // A word has one address: where two seem to have it, one of them is wrong.
    let known: Vec<Operation> = operations.values().copied().collect();
    operations.retain(|_, operation| known.iter().filter(|it| *it == operation).count() == 1);
    operations
}

/// The operation of `(0xffffffffb8314a22:ADD)`, as newer kernels print it.
fn in_text(pointer: &[u8]) -> Option<Operation> {
    let text = pointer.strip_suffix(b")").unwrap_or(pointer);
    let text = text.rsplit(|byte| *byte == b':').next()?;
    Operation::ALL
        .into_iter()
        .find(|operation| operation.word().as_bytes() == text)
}

/// What a logged operation can only be, by what its task did before it.
fn proved(line: &Line<'_>, before: &Before<'_>) -> Option<Operation> {
    let (last, node) = before.last.as_ref()?;
    match last {
        // add_dr() logs before it does anything else.
        Event::Entered(b"add_dr") => (*node == line.address(b"node")).then_some(Operation::Add),
        // devm_krealloc() may add what it could not enlarge.
        Event::Entered(b"devm_krealloc") => None,
        // Of what runs there only a release logs anything.
        Event::Entered(function) if RELEASING.contains(function) => Some(Operation::Release),
        // Nothing is released elsewhere, and what was entered last is no addition.
        Event::Entered(
            b"devres_destroy"
            | b"devres_release"
            | b"devm_kfree"
            | b"devres_remove_group"
            | b"devm_remove_action"
            | b"devm_remove_action_nowarn"
            | b"devm_release_action"
            | b"devm_free_pages"
            | b"devm_free_percpu",
        ) if before.releasing == 0 => Some(Operation::Remove),
        Event::Entered(_) | Event::Returned(_) | Event::Logged => None,
    }
}

/// Writes a line in its own words.
fn write(line: &Line<'_>, operations: &BTreeMap<Vec<u8>, Operation>, to: &mut Vec<u8>) {
    if line.event == Event::Logged {
        if let Some(words) = logged(line, operations) {
            to.extend_from_slice(line.head);
            to.extend(words);
        } else {
            to.extend_from_slice(b"CPU:");
            to.extend_from_slice(line.cpu());
            to.extend_from_slice(b" [LOST 1 EVENTS]");
        }
        to.push(b'\n');
        return;
    }
    to.extend_from_slice(line.head);
    let (kind, function) = match line.event {
        Event::Entered(function) => (b"p_", function),
        Event::Returned(function) => (b"r_", function),
        Event::Logged => return,
    };
    to.extend_from_slice(kind);
    to.extend_from_slice(function);
    to.extend_from_slice(b"_0: (0x");
    let place = |name: &[u8]| line.address(name).unwrap_or(b"0");
    if kind == b"r_" {
        to.extend_from_slice(place(b"__probe_ret_ip"));
        to.extend_from_slice(b" <- 0x");
        to.extend_from_slice(place(b"__probe_func"));
    } else {
        to.extend_from_slice(place(b"__probe_ip"));
    }
    to.push(b')');
    for (name, value) in &line.fields {
        if name.starts_with(b"__probe_") {
            continue;
        }
        to.push(b' ');
        to.extend_from_slice(name);
        to.push(b'=');
        if let Some(number) = number(value) {
            to.extend_from_slice(b"0x");
            to.extend_from_slice(number);
        } else {
            to.push(b'"');
            to.extend_from_slice(value);
            to.push(b'"');
        }
    }
    to.push(b'\n');
}

/// `devres_log: x ADD ff1290f466a8e100 y (24 bytes)`, where its operation is known.
fn logged(line: &Line<'_>, operations: &BTreeMap<Vec<u8>, Operation>) -> Option<Vec<u8>> {
    let operation = operations.get(line.field(b"op")?)?;
    let size = std::str::from_utf8(line.address(b"size")?).ok()?;
    let size = u64::from_str_radix(size, 16).ok()?;
    let mut words = b"devres_log: ".to_vec();
    words.extend_from_slice(line.field(b"devname")?);
    words.push(b' ');
    words.extend_from_slice(operation.word().as_bytes());
    words.push(b' ');
    words.extend_from_slice(line.address(b"node")?);
    words.push(b' ');
    words.extend_from_slice(line.field(b"name")?);
    words.extend_from_slice(format!(" ({size} bytes)").as_bytes());
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::in_words;

    const HEAD: &str = "           <...>-71      [001] d..1.     9.000100: ";

    fn rewritten(lines: &[&str]) -> Vec<String> {
        let text = HEAD.to_owned() + &lines.join(&format!("\n{HEAD}")) + "\n";
        String::from_utf8(in_words(text.into_bytes()))
            .unwrap()
            .lines()
            .map(|line| line.strip_prefix(HEAD).unwrap_or(line).to_owned())
            .collect()
    }

    fn added(node: &str) -> [String; 2] {
        [
            format!(
                "p_add_dr_0: __probe_ip=0xffffffffa1000000 (-1593835520) dev=0x10 (16) node=0x{node} (1) rel=0x20 (32)"
            ),
            logged("(0xffffffffa2000001)", node),
        ]
    }

    fn logged(pointer: &str, node: &str) -> String {
        format!(
            "devres_log: devname=a b dev=0x0 (0) op={pointer} node=0x{node} (1) name=c(d) size=0x18 (24)"
        )
    }

    const RELEASE: &str =
        "p_devres_release_all_0: __probe_ip=0xffffffffa1000100 (-1593835264) dev=0x10 (16)";
    const RELEASED: &str = "r_devres_release_all_0: __probe_func=0xffffffffa1000100 (-1593835264) __probe_ret_ip=0xffffffffa1000200 (-1593835008) ret=0x1 (1)";

    #[test]
    fn events_get_their_words_again() {
        let [add, log] = added("ff00");
        let release = logged("(0xffffffffa2000002)", "ff00");
        assert_eq!(
            rewritten(&[&add, &log, RELEASE, &release, RELEASED]),
            [
                "p_add_dr_0: (0xffffffffa1000000) dev=0x10 node=0xff00 rel=0x20",
                "devres_log: a b ADD ff00 c(d) (24 bytes)",
                "p_devres_release_all_0: (0xffffffffa1000100) dev=0x10",
                "devres_log: a b REL ff00 c(d) (24 bytes)",
                "r_devres_release_all_0: (0xffffffffa1000200 <- 0xffffffffa1000100) ret=0x1",
            ]
        );
        let named =
            "p_device_del_0: __probe_ip=0xffffffffa1000300 (-1593834752) dev=0x10 (16) name=a b";
        assert_eq!(
            rewritten(&[named]),
            ["p_device_del_0: (0xffffffffa1000300) dev=0x10 name=\"a b\""]
        );
    }

    #[test]
    fn an_operation_that_nothing_proves_is_a_loss() {
        let lost = "CPU:1 [LOST 1 EVENTS]";
        let unproved = logged("(0xffffffffa2000003)", "ff00");
        assert_eq!(rewritten(&[&unproved]), [lost]);
        // Proved to be two things.
        let [add, log] = added("ff00");
        let contradiction = logged("(0xffffffffa2000001)", "ff00");
        let words = rewritten(&[&add, &log, RELEASE, &contradiction]);
        assert_eq!([&words[1], &words[3]], [lost, lost]);
        // One thing at two addresses.
        let another = logged("(0xffffffffa2000002)", "ff00");
        let words = rewritten(&[&add, &log, &add, &another]);
        assert_eq!([&words[1], &words[3]], [lost, lost]);
    }

    #[test]
    fn newer_kernels_print_the_operation_behind_its_address() {
        let removed = logged("(0xffffffffa2000003:REM)", "ff00");
        assert_eq!(
            rewritten(&[&removed]),
            ["devres_log: a b REM ff00 c(d) (24 bytes)"]
        );
    }

    #[test]
    fn what_has_its_words_is_left_alone() {
        let text = "# tracer: nop\n sh-1 [000] ..... 1.0: devres_log: x REL 1 y (8 bytes)\n";
        assert_eq!(in_words(text.as_bytes().to_vec()), text.as_bytes());
    }
}
