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
//! [`Gathered::in_words`] gives the events their words again. What `devres_log` logs, `op`, is such a pointer: which of them means
//! what, the events around it prove, or it stays unknown. So all lines from the first such event on are [`Gathered`] first.

use std::collections::{BTreeMap, HashMap};

use memchr::memmem;

use crate::{event::Task, source::text::envelope::trace_head};

/// What stands before the fields of the tracepoint.
const LOGGED: &[u8] = b": devres_log: devname=";
/// What ends the name of a probe event, and what begins its fields: on entry, on return.
const ENTERED: &str = "_0: __probe_ip=";
const RETURNED: &str = "_0: __probe_func=";

/// What stands in such lines, where nothing else tells of them.
pub(in crate::source::text) const WORDS: [&str; 2] = [ENTERED, RETURNED];

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

/// The lines of a text from the first event on that is printed by its fields.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Gathered {
    text: Vec<u8>,
    /// How many lines of the input each line was, where that is not one.
    counts: BTreeMap<usize, u64>,
    lines: usize,
}

impl Gathered {
    /// Takes a line that was `count` lines in the input.
    pub(in crate::source::text) fn push(&mut self, line: &[u8], count: u64) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        if count != 1 {
            self.counts.insert(self.lines, count);
        }
        self.lines += 1;
    }

    /// The lines in the events' own words, each with its count.
    pub(in crate::source::text) fn in_words(&self, mut each: impl FnMut(&[u8], u64)) {
        let operations = operations(&self.text);
        let mut words = Vec::new();
        for (number, line) in self.text.split(|byte| *byte == b'\n').enumerate() {
            if number == self.lines {
                return;
            }
            let count = self.counts.get(&number).copied().unwrap_or(1);
            match read(line) {
                Some(read) => {
                    words.clear();
                    write(&read, &operations, &mut words);
                    each(&words, count);
                }
                None => each(line, count),
            }
        }
    }
}

/// Whether a line is an event that is printed by its fields.
pub(in crate::source::text) fn is_one(line: &[u8]) -> bool {
    read(line).is_some()
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

    fn task(&self) -> Task {
        trace_head::head_of_any(self.head).task
    }

    fn cpu(&self) -> u16 {
        trace_head::head_of_any(self.head).cpu
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
    let mut tasks: HashMap<Task, Before<'_>> = HashMap::new();
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
            to.extend_from_slice(format!("CPU:{} [LOST 1 EVENTS]", line.cpu()).as_bytes());
        }
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
    use super::{Gathered, is_one};

    const HEAD: &str = "           <...>-71      [001] d..1.     9.000100: ";

    fn rewritten(lines: &[&str]) -> Vec<String> {
        let mut gathered = Gathered::default();
        for line in lines {
            gathered.push(format!("{HEAD}{line}").as_bytes(), 1);
        }
        let mut words = Vec::new();
        gathered.in_words(|line, _| {
            let line = String::from_utf8(line.to_vec()).unwrap();
            words.push(line.strip_prefix(HEAD).unwrap_or(&line).to_owned());
        });
        words
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
        let line = "devres_log: x REL 1 y (8 bytes)";
        assert!(!is_one(format!("{HEAD}{line}").as_bytes()));
        assert_eq!(rewritten(&[RELEASE, line, ""])[1..], [line, ""]);
    }

    #[test]
    fn lines_keep_their_counts() {
        let mut gathered = Gathered::default();
        for count in [1, 0, 3] {
            gathered.push(RELEASE.as_bytes(), count);
        }
        let mut counts = Vec::new();
        gathered.in_words(|_, count| counts.push(count));
        assert_eq!(counts, [1, 0, 3]);
    }
}
