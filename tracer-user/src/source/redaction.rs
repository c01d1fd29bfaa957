//! Takes out of a recording what shows where its kernel is in memory, and which machine it is from: addresses, the boot's
//! identifier, the command line, the host's name, and the serials in names. Each is replaced by a token that is the same
//! wherever the value occurs, so that every rule decides as it did; but an object across a boundary of a gigabyte is taken
//! apart, and a finding about what points into it may be missing.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::{
    event::{
        AddedNode, Call, CallDetail, DeviceIdentity, Event, EventKind, Function, GroupId, Message,
        NodeReference, PmDomain, Return, SourceLine, StackFrame, Text, splat::Splat,
    },
    evidence::{Before, HookState, SourceEnd, SourceInformation},
    kernel::LoadedModule,
    trace_file::Header,
};

/// A region of the address space has so many bits. Within one, distances and the order stay: of a resource and what lies in
/// it, of a module and its functions. What lies in another is at no distance from it that says anything. x86-64 has the
/// kernel's image in a region of its own, and the modules in the next.
const REGION: u32 = 30;
/// The first token. No kernel has memory there.
const TOKENS: u64 = 1 << 63;
/// Tokens for a region, as bits: enough on either side of the first address that occurs.
const SPAN: u32 = REGION + 2;
/// What lies within a page stays: it is the same in every run.
const PAGE: u64 = 0xfff;
/// What functions return instead of a pointer, `ERR_PTR()`, begins here.
const ERRORS: u64 = 4095_u64.wrapping_neg();

/// What was replaced so far, by what.
#[derive(Debug, Default)]
pub struct Redaction {
    /// For each region the page of the first address in it, and that page's token.
    regions: HashMap<u64, (u64, u64)>,
    serials: HashMap<String, usize>,
    host: Option<String>,
}

impl Redaction {
    /// Nothing is replaced yet. The host's name is this machine's.
    #[must_use]
    pub fn new() -> Self {
        let host = nix::sys::utsname::uname().ok();
        let host = host.and_then(|names| names.nodename().to_str().map(str::to_owned));
        Self {
            host: host.filter(|name| name.len() > 2 && name != "localhost"),
            ..Self::default()
        }
    }

    /// What stands for an address. Zero, errors and numbers that are no address stay as they are.
    pub fn address(&mut self, address: u64) -> u64 {
        if !is_address(address) {
            return address;
        }
        let number = self.regions.len() as u64;
        let (page, token) = self
            .regions
            .entry(address >> REGION)
            .or_insert_with(|| (address & !PAGE, TOKENS + (number << SPAN) + (1 << REGION)));
        token.wrapping_add(address.wrapping_sub(*page))
    }

    /// The event with tokens in it.
    pub fn event(&mut self, event: &Event) -> Event {
        let mut event = event.clone();
        self.in_place(&mut event.device.0);
        match &mut event.kind {
            EventKind::Device(identity) => {
                let mut replaced = DeviceIdentity::clone(identity);
                self.identity(&mut replaced);
                *identity = Arc::new(replaced);
            }
            EventKind::Stack(definition) => self.frames(&mut definition.frames),
            EventKind::Snapshot(snapshot) => {
                self.identity(&mut snapshot.identity);
                self.pm(&mut snapshot.pm);
                for node in &mut snapshot.nodes {
                    self.added(node);
                }
            }
            EventKind::Add(node) => self.added(node),
            EventKind::Remove(node) | EventKind::Release(node) | EventKind::Replace(node) => {
                self.node(node);
            }
            EventKind::RemoveAction { function, data } => {
                self.in_place(function);
                self.in_place(data);
            }
            EventKind::ModuleFree { code, .. } => {
                if let Some(code) = code {
                    self.in_place(&mut code.begin);
                }
            }
            EventKind::Message(message) => self.message(message),
            EventKind::Enter(call) => self.call(call),
            EventKind::Leave(returned) => self.returned(returned),
            EventKind::Loss(_) => {}
        }
        event
    }

    /// What a recording says of its source.
    pub fn information(&mut self, information: &mut SourceInformation) {
        let coverage = &mut information.coverage;
        for hook in &mut coverage.hooks {
            if let HookState::Missing(reason) | HookState::NotNeeded(reason) = &mut hook.state {
                self.words(reason);
            }
        }
        for untold in &mut coverage.untold {
            self.words(&mut untold.reason);
        }
        if let Before::Unknown(reason) = &mut coverage.before {
            self.words(reason);
        }
        for text in information
            .kernel
            .iter_mut()
            .chain(&mut information.machine)
        {
            self.words(text);
        }
        for filter in &mut information.filters {
            let lists = [&mut filter.device, &mut filter.driver, &mut filter.bus];
            for glob in lists.into_iter().flatten() {
                self.words(glob);
            }
        }
    }

    /// What a trace file says of itself. The boot and the command line are left out.
    pub fn header(&mut self, header: &mut Header) {
        self.information(&mut header.source);
        header.boot = None;
        if let Some(text) = header.image.as_mut().and_then(|image| image.text.as_mut()) {
            self.in_place(&mut text.0);
        }
        header.command = Vec::new();
        if let Some(system) = &mut header.system {
            for text in system.version.iter_mut().chain(&mut system.board) {
                self.words(text);
            }
        }
    }

    /// Where a module lay.
    pub fn module(&mut self, module: &mut LoadedModule) {
        for section in &mut module.sections {
            self.in_place(&mut section.address.0);
        }
    }

    /// What a source says at its end.
    pub fn end(&mut self, end: &mut SourceEnd) {
        for text in end.problems.iter_mut().chain(&mut end.damage) {
            self.words(text);
        }
    }

    /// Replaces addresses, serials and the host's name in a text.
    pub fn words(&mut self, text: &mut String) {
        if let Some(replaced) = self.replaced(text) {
            *text = replaced;
        }
    }

    fn in_place(&mut self, address: &mut u64) {
        *address = self.address(*address);
    }

    fn text(&mut self, text: &mut Option<Text>) {
        if let Some(text) = text {
            self.name(text);
        }
    }

    fn name(&mut self, name: &mut Text) {
        if let Some(replaced) = self.replaced(name) {
            *name = replaced.into();
        }
    }

    fn identity(&mut self, identity: &mut DeviceIdentity) {
        self.text(&mut identity.name);
        self.in_place(&mut identity.parent.0);
    }

    fn pm(&mut self, pm: &mut PmDomain) {
        self.in_place(&mut pm.domain);
        self.in_place(&mut pm.detach);
    }

    fn node(&mut self, node: &mut NodeReference) {
        self.in_place(&mut node.node.0);
        self.text(&mut node.name);
    }

    fn added(&mut self, node: &mut AddedNode) {
        self.in_place(&mut node.node.0);
        self.text(&mut node.name);
        self.function(&mut node.function);
        self.in_place(&mut node.action_data);
        self.in_place(&mut node.payload_address);
        for word in &mut node.payload {
            self.in_place(word);
        }
        if let Some(GroupId(id)) = &mut node.group {
            self.in_place(id);
        }
    }

    fn function(&mut self, function: &mut Option<Arc<Function>>) {
        let Some(known) = function else { return };
        let mut replaced = Function::clone(known);
        self.in_place(&mut replaced.address);
        self.text(&mut replaced.name);
        *known = Arc::new(replaced);
    }

    fn frames(&mut self, frames: &mut Arc<[StackFrame]>) {
        let replaced = frames.iter().cloned().map(|mut frame| {
            self.in_place(&mut frame.address);
            self.function(&mut frame.function);
            if let Some(line) = &mut frame.line {
                *line = Arc::new(without_directories(line));
            }
            frame
        });
        *frames = replaced.collect();
    }

    fn message(&mut self, message: &mut Message) {
        match message {
            Message::ProbeRefused | Message::Waits => {}
            Message::Warning { function, .. } => self.text(function),
            Message::FreedActive { hint, block, .. } => {
                self.text(hint);
                self.node(block);
            }
            Message::Splat(splat) => self.splat(splat),
        }
    }

    fn splat(&mut self, splat: &mut Splat) {
        for text in [&mut splat.detail, &mut splat.place, &mut splat.hint] {
            self.text(text);
        }
        self.function(&mut splat.function);
        for stack in &mut splat.stacks {
            self.frames(&mut stack.frames);
        }
    }

    fn call(&mut self, call: &mut Call) {
        match &mut call.detail {
            CallDetail::Group(GroupId(word))
            | CallDetail::Pointer(word)
            | CallDetail::Irq { dev_id: word, .. } => self.in_place(word),
            CallDetail::Pm(pm) => self.pm(pm),
            CallDetail::Supply(name) => self.name(name),
            CallDetail::Match { function, data } => {
                self.in_place(function);
                self.in_place(data);
            }
            CallDetail::None | CallDetail::Releases(_) => {}
        }
    }

    fn returned(&mut self, returned: &mut Return) {
        // A function that returns an int has it sign-extended, and no address is so near to zero.
        if let Some(value) = &mut returned.value
            && i32::try_from(*value).is_err()
        {
            *value = self.address(value.cast_unsigned()).cast_signed();
        }
        if let Some(pm) = &mut returned.pm {
            self.pm(pm);
        }
        if let Some(node) = &mut returned.node {
            self.in_place(&mut node.0);
        }
    }

    /// The text with tokens in it; `None` if there is nothing to replace.
    fn replaced(&mut self, text: &str) -> Option<String> {
        let mut replaced = String::new();
        let (mut copied, mut at) = (0, 0);
        while let Some(rest) = text.get(at..) {
            let Some(first) = rest.chars().next() else {
                break;
            };
            let begins_word = !text[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
            let found = begins_word.then(|| self.token_at(rest)).flatten();
            let Some((length, token)) = found else {
                at += first.len_utf8();
                continue;
            };
            replaced.push_str(&text[copied..at]);
            replaced.push_str(&token);
            at += length;
            copied = at;
        }
        (copied > 0).then(|| {
            replaced.push_str(&text[copied..]);
            replaced
        })
    }

    /// What a text begins with that is to be replaced, as its length, and the token for it.
    fn token_at(&mut self, text: &str) -> Option<(usize, String)> {
        if let Some(host) = &self.host
            && let Some(rest) = text.strip_prefix(host.as_str())
            && !rest.starts_with(|next: char| next.is_ascii_alphanumeric())
        {
            return Some((host.len(), "host".to_owned()));
        }
        if let Some((length, written)) = serial(text) {
            return Some((length, self.serial(&text[..length], written)));
        }
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let before = text.len() - digits.len();
        let count = digits
            .find(|next: char| !next.is_ascii_hexdigit())
            .unwrap_or(digits.len());
        let ends = !digits[count..].starts_with(|next: char| next.is_ascii_alphanumeric());
        // Without a prefix, only as many digits as the kernel prints of a pointer are one.
        let written = ends && if before > 0 { count <= 16 } else { count == 16 };
        let address = written.then(|| u64::from_str_radix(&digits[..count], 16).ok())??;
        let token = self.address(address);
        (token != address).then(|| {
            let prefix = &text[..before];
            (before + count, format!("{prefix}{token:016x}"))
        })
    }

    fn serial(&mut self, serial: &str, written: &str) -> String {
        let next = self.serials.len() + 1;
        let key = serial.to_ascii_lowercase();
        let number = format!("{:032x}", self.serials.entry(key).or_insert(next));
        let digits = written.bytes().filter(|byte| *byte == b'x').count();
        let mut digits = number[number.len().saturating_sub(digits)..].chars();
        let with = |(form, known): (char, char)| match form {
            'x' => digits.next().unwrap_or('0'),
            _ => known,
        };
        written.chars().zip(serial.chars()).map(with).collect()
    }
}

/// The line with nothing of where its kernel was built: of a whole path only the last name.
fn without_directories(line: &SourceLine) -> SourceLine {
    let mut line = line.clone();
    let inlined = line.inlined.iter_mut().map(|call| &mut call.file);
    for file in inlined.chain([&mut line.file]) {
        if file.starts_with('/') {
            *file = file.rsplit('/').next().unwrap_or_default().into();
        }
    }
    line
}

/// Whether a word may be an address: one of a 64-bit kernel, one of a 32-bit kernel, or one relative to each CPU's data. Two
/// numbers in one word are none.
fn is_address(word: u64) -> bool {
    const NARROW_ERRORS: u64 = ERRORS & 0xffff_ffff;
    match word {
        0x4000_0000..NARROW_ERRORS | 0x1000_0000_0000..0x1_0000_0000_0000 => true,
        _ => (TOKENS..ERRORS).contains(&word),
    }
}

/// The serial that a text begins with: its length, and its form, where each `x` is a digit that distinguishes it and `y` one
/// that doesn't.
fn serial(text: &str) -> Option<(usize, &'static str)> {
    /// MAC addresses, UUIDs, 1-Wire slaves (family and serial), and what storage is identified by.
    const FORMS: [&str; 8] = [
        "xx:xx:xx:xx:xx:xx",
        "xx-xx-xx-xx-xx-xx",
        "xx_xx_xx_xx_xx_xx",
        "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        "yy-xxxxxxxxxxxx",
        "naa.xxxxxxxxxxxxxxxx",
        "eui.xxxxxxxxxxxxxxxx",
        "wwn-0xxxxxxxxxxxxxxxxx",
    ];
    let bytes = text.as_bytes();
    let fits = |form: &&&str| {
        bytes.len() >= form.len()
            && !bytes.get(form.len()).is_some_and(u8::is_ascii_alphanumeric)
            && form.bytes().zip(bytes).all(|(form, byte)| match form {
                b'x' | b'y' => byte.is_ascii_hexdigit(),
                other => *byte == other,
            })
    };
    let form = FORMS.iter().find(fits)?;
    Some((form.len(), form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_stay_within_a_region_and_say_nothing_between_two() {
        // The image and the modules of x86-64, with two offsets of the image.
        let tokens = |image: u64| {
            let mut redaction = Redaction::default();
            [image + 0x12_3456, image + 0x20_0010, 0xffff_ffff_c000_1000]
                .map(|address| redaction.address(address))
        };
        let (one, other) = (tokens(0xffff_ffff_8100_0000), tokens(0xffff_ffff_a760_0000));
        assert_eq!(one, other);
        assert_eq!(one[1] - one[0], 0x20_0010 - 0x12_3456);
        assert!(one[0] < TOKENS + (1 << SPAN) && one[2] > TOKENS + (1 << SPAN));
    }

    #[test]
    fn numbers_and_errors_stay() {
        let mut redaction = Redaction::default();
        for number in [
            0,
            17,
            0x1000_0000,
            0x4_0000_0011,
            u64::MAX,
            (-517_i64).cast_unsigned(),
        ] {
            assert_eq!(redaction.address(number), number, "{number:#x}");
        }
        for address in [0xc012_3456, 0x607f_c0a0_1234, 0xff11_0000_0500_0000] {
            let token = redaction.address(address);
            assert_ne!(token, address);
            assert_eq!(redaction.address(address), token);
        }
    }

    #[test]
    fn texts_have_tokens_for_addresses_serials_and_the_host() {
        let mut redaction = Redaction {
            host: Some("build7".to_owned()),
            ..Redaction::default()
        };
        for (text, expected) in [
            ("0000:00:1f.3", None),
            ("fe201000.serial", None),
            ("devm_clk_release", None),
            (
                "hid-00:11:22:aa:bb:cc-battery",
                Some("hid-00:00:00:00:00:01-battery"),
            ),
            ("28-00000a1b2c3d", Some("28-000000000002")),
            ("hid-00:11:22:AA:BB:CC", Some("hid-00:00:00:00:00:01")),
            ("/net/build7/x", Some("/net/host/x")),
            ("build70", None),
            ("at 0xffff888012345678, ü", Some("at 0x8000000040000678, ü")),
            ("ffff888012346679", Some("8000000040001679")),
        ] {
            assert_eq!(redaction.replaced(text).as_deref(), expected, "{text}");
        }
    }
}
