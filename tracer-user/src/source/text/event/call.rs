//! The arguments of function events.
//!
//! Whoever sets up a probe chooses their names. An argument is known by its name as the kernel or a person writes it
//! ([`Meaning::of`]), by its place where the name only counts (`arg1`, `a0`, `di`, `x0`), and by the form of its
//! value: `devp=0xffff888001000000 dev="foo"` is a device's address and its name. What is not understood is kept by
//! name, so that it can be reported.
//!
//! Numbers are decimal, or hexadecimal with `0x` or where tools leave that out before an address.

use tracer_ebpf::Trait;

use super::{
    names::{NameId, Names},
    strange::Strange,
};
use crate::{
    event::{
        Hook, Role,
        raw_call::{Phase, RawCall},
    },
    source::text::scan::{decimal, hexadecimal},
};

/// What stands for an address that is reported as a symbol: all that counts is that it is not NULL.
const SOME_SYMBOL: u64 = 1;

/// A function that was entered or returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Call {
    pub(in crate::source::text) raw: RawCall,
    /// Zero where not known.
    pub(in crate::source::text) device: u64,
    pub(in crate::source::text) name: Option<NameId>,
    pub(in crate::source::text) driver: Option<NameId>,
    pub(in crate::source::text) bus: Option<NameId>,
    /// Zero where not known.
    pub(in crate::source::text) node: u64,
    pub(in crate::source::text) release: Option<Release>,
    /// Of an added node: the function that its payload says is to be called. It means something only of actions.
    pub(in crate::source::text) action: Option<Release>,
    /// Of an added node: the first words of its payload.
    pub(in crate::source::text) words: [Option<u64>; 2],
    /// The task's name.
    pub(in crate::source::text) comm: Option<NameId>,
    /// Of a return: the function returned to.
    pub(in crate::source::text) caller: Option<Hook>,
    /// Of a return: the device of the call that was entered, by address and name.
    pub(in crate::source::text) of: Option<(u64, Option<NameId>)>,
}

/// A release function, as far as it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::source::text) enum Release {
    Symbol(NameId, Option<NameId>),
    Address(u64),
}

impl Default for Release {
    fn default() -> Self {
        Self::Address(0)
    }
}

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The device: its address, or a text that is its name.
    Device,
    Name,
    TaskName,
    Driver,
    Bus,
    Node,
    Release,
    /// What an added action calls.
    Called,
    /// One of the first words of an added payload.
    Content(usize),
    Word(Role),
    /// Known, and of no interest.
    Nothing,
    Unknown,
}

impl Meaning {
    /// What an argument of this name is in a call of `hook`.
    fn of(name: &[u8], hook: Hook, phase: Phase) -> Self {
        let exact = Self::of_exactly(name, hook);
        if exact != Self::Unknown {
            return exact;
        }
        if let Some(place) = place(name) {
            return Self::at(place, hook, phase);
        }
        // `devp`, `dev_ptr`, `drvname`, `Dev`.
        let name = name.to_ascii_lowercase();
        let mut stem = name.as_slice();
        for ending in [
            &b"_name"[..],
            b"name",
            b"_ptr",
            b"ptr",
            b"_addr",
            b"addr",
            b"_p",
            b"p",
        ] {
            if let Some(shorter) = stem.strip_suffix(ending).filter(|stem| !stem.is_empty()) {
                stem = shorter;
                break;
            }
        }
        match Self::of_exactly(stem, hook) {
            Self::Device if name.ends_with(b"name") => Self::Name,
            meaning => meaning,
        }
    }

    /// Whether it is an address, and no small number.
    fn is_address(self) -> bool {
        match self {
            Self::Device | Self::Node | Self::Release | Self::Called => true,
            Self::Word(role) => !matches!(role, Role::Size | Role::Irq | Role::Returned),
            _ => false,
        }
    }

    fn of_exactly(name: &[u8], hook: Hook) -> Self {
        match name {
            b"dev" | b"device" if hook == Hook::FreeIrq => Self::Word(Role::DevId),
            b"dev" | b"device" | b"kobj" | b"kobject" | b"d" => Self::Device,
            b"name" | b"devname" | b"dev_name" | b"dname" => Self::Name,
            b"comm" => Self::TaskName,
            b"drv" | b"driver" => Self::Driver,
            b"bus" => Self::Bus,
            b"node" | b"dr" => Self::Node,
            b"rel" | b"release" | b"release_fn" | b"relfn" | b"action" | b"fn" | b"func"
            | b"function" | b"callback" | b"cb" => match hook {
                Hook::AddDr => Self::Release,
                Hook::ReleaseAction | Hook::RemoveAction => Self::Word(Role::Action),
                _ => Self::Word(Role::Release),
            },
            b"dtor" if hook == Hook::AddDr => Self::Release,
            b"act" if hook == Hook::AddDr => Self::Called,
            b"w0" if hook == Hook::AddDr => Self::Content(0),
            b"w1" if hook == Hook::AddDr => Self::Content(1),
            b"res" | b"ptr" | b"p" | b"payload" | b"mem" | b"new_res" | b"pdata" | b"addr" => {
                Self::Word(match hook {
                    Hook::FreePages => Role::Pages,
                    Hook::FreePercpu => Role::Percpu,
                    _ => Role::Payload,
                })
            }
            b"size" | b"new_size" | b"len" | b"sz" => Self::Word(Role::Size),
            b"id" | b"group" | b"grp" => Self::Word(Role::Group),
            b"data" | b"arg" | b"ctx" => Self::Word(Role::Data),
            b"pmd" | b"pm_domain" | b"pmdomain" | b"pmdom" | b"pm_dom" | b"domain" | b"pd"
            | b"genpd" => Self::Word(Role::PmDomain),
            b"detach" | b"detach_fn" | b"pm_detach" | b"dtor" => Self::Word(Role::Detach),
            b"irq" | b"irqno" | b"irq_nr" => Self::Word(Role::Irq),
            b"dev_id" | b"devid" => Self::Word(Role::DevId),
            b"ret" | b"retval" | b"cnt" | b"rc" | b"rv" | b"err" | b"error" | b"result"
            | b"res_ret" => Self::Word(Role::Returned),
            b"gfp" | b"gfp_mask" | b"flags" | b"off" | b"on" | b"power_on" | b"power_off"
            | b"parent" | b"match" | b"match_data" | b"adev" | b"component" | b"master"
            | b"nid" | b"handler" | b"pid" | b"tid" | b"cpu" => Self::Nothing,
            _ => Self::Unknown,
        }
    }

    /// What the argument at this place is.
    fn at(place: usize, hook: Hook, phase: Phase) -> Self {
        if phase == Phase::Leave {
            return if place == 0 {
                Self::Word(Role::Returned)
            } else {
                Self::Unknown
            };
        }
        match hook.description().arguments.get(place) {
            Some(Role::Device | Role::Kobject) => Self::Device,
            Some(Role::Driver) => Self::Driver,
            Some(Role::Node) => Self::Node,
            Some(role) => Self::Word(*role),
            None => Self::Unknown,
        }
    }
}

/// The place that a name only counts: `arg1` is the first, and so are `a0`, `di` and `x0`.
fn place(name: &[u8]) -> Option<usize> {
    let number = |digits: &[u8]| match digits {
        [digit @ b'0'..=b'9'] => Some(usize::from(digit - b'0')),
        _ => None,
    };
    match name {
        b"di" | b"rdi" | b"ax" | b"rax" => Some(0),
        [b'a', b'r', b'g', digits @ ..] => number(digits)?.checked_sub(1),
        [b'a' | b'x', digits @ ..] => number(digits),
        b"si" | b"rsi" => Some(1),
        b"dx" | b"rdx" => Some(2),
        b"cx" | b"rcx" => Some(3),
        _ => None,
    }
}

impl Call {
    pub(in crate::source::text) fn new(hook: Hook, phase: Phase) -> Self {
        Self {
            raw: RawCall::new(hook, phase),
            device: 0,
            name: None,
            driver: None,
            bus: None,
            node: 0,
            release: None,
            action: None,
            words: [None; 2],
            comm: None,
            caller: None,
            of: None,
        }
    }

    pub(in crate::source::text) fn hook(&self) -> Hook {
        self.raw.hook
    }

    pub(in crate::source::text) fn returns(&self) -> bool {
        self.raw.phase == Phase::Leave
    }

    /// Reads `name=value` pairs. What is not understood is kept by name. `wide` is whether addresses are known to have 64
    /// bits.
    pub(in crate::source::text) fn take(
        &mut self,
        arguments: &[u8],
        names: &mut Names,
        strange: &mut Strange,
        wide: &mut bool,
    ) {
        let mut rest = arguments;
        while let Some((name, value, behind)) = argument(rest) {
            rest = behind;
            let (hook, phase) = (self.raw.hook, self.raw.phase);
            let meaning = Meaning::of(name, hook, phase);
            *wide |= meaning == Meaning::Device && value.is_wide();
            let ends = rest.trim_ascii().is_empty();
            if value.open || ends && *wide && meaning.is_address() && value.is_cut_address() {
                return;
            }
            match meaning {
                Meaning::Device => match value.number() {
                    // The address may stand under another name.
                    Some(address) if self.device == 0 || address >> 63 == 1 => {
                        self.device = address;
                    }
                    Some(_) => {}
                    None => self.name = self.name.or(value.text(names)),
                },
                Meaning::Name => self.name = value.text(names),
                Meaning::TaskName => self.comm = value.text(names),
                Meaning::Driver if value.number().is_none() => {
                    self.driver = value.text(names);
                }
                Meaning::Bus if value.number().is_none() => {
                    self.bus = value.text(names);
                }
                Meaning::Node => self.node = value.number().unwrap_or_default(),
                Meaning::Release | Meaning::Called => {
                    let (module, behind) = module(rest);
                    rest = behind;
                    let function = match value.number() {
                        Some(0) => None,
                        Some(address) => Some(Release::Address(address)),
                        None => symbol(value.bytes).map(|symbol| {
                            let module = module.map(|module| names.intern(module));
                            Release::Symbol(names.intern(symbol), module)
                        }),
                    };
                    if meaning == Meaning::Called {
                        self.action = function;
                    } else {
                        self.release = function;
                    }
                }
                Meaning::Content(place) => self.words[place] = value.number(),
                Meaning::Word(role) => self.word(role, value),
                Meaning::Driver | Meaning::Bus | Meaning::Nothing => {}
                Meaning::Unknown => strange.add(hook, name),
            }
        }
    }

    fn word(&mut self, role: Role, value: Value<'_>) {
        let about_pm = matches!(role, Role::PmDomain | Role::Detach);
        let word = value
            .number()
            .or_else(|| (about_pm && value.is_symbol()).then_some(SOME_SYMBOL));
        let row = self.raw.hook.description();
        let wanted = role == Role::Returned
            || row.arguments.contains(&role)
            || about_pm && row.has(Trait::PmDomain)
            || row.hook == Hook::AddDr && matches!(role, Role::Payload | Role::Size | Role::Data);
        if let Some(word) = word.filter(|_| wanted) {
            self.raw.set(role, word);
        }
    }

    /// The roles of what should be reported here and is not, as a set.
    pub(in crate::source::text) fn untold(&self) -> u32 {
        let row = self.raw.hook.description();
        let mut untold = 0;
        let mut check = |role: Role, told: bool| untold |= if told { 0 } else { role.bit() };
        let about_pm = row.has(Trait::PmDomain);
        if self.returns() {
            check(Role::Returned, self.raw.get(Role::Returned).is_some());
            // What a probe leaves behind is to be reported; what attach and detach do, their entries show.
            let leaves = row.hook == Hook::Probe;
            check(Role::PmDomain, !leaves || self.raw.pm().is_some());
            return untold;
        }
        for role in row.arguments {
            let told = match role {
                Role::Device | Role::Kobject => self.device != 0 || self.name.is_some(),
                Role::Node => self.node != 0,
                role => self.raw.get(*role).is_some(),
            };
            check(*role, told);
        }
        check(Role::PmDomain, !about_pm || self.raw.pm().is_some());
        if row.hook == Hook::AddDr {
            check(Role::Release, self.release.is_some());
            check(Role::Contents, self.words.iter().all(Option::is_some));
        }
        untold
    }
}

/// What an argument has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value<'a> {
    /// Without quotation marks.
    bytes: &'a [u8],
    quoted: bool,
    /// The quotation mark at its end is missing: it was cut off.
    open: bool,
}

impl Value<'_> {
    /// A number; negative ones in two's complement.
    fn number(self) -> Option<u64> {
        if self.quoted {
            return None;
        }
        if let Some(digits) = self.bytes.strip_prefix(b"0x") {
            return hexadecimal(digits);
        }
        if let Some(digits) = self.bytes.strip_prefix(b"-") {
            return decimal(digits).map(u64::wrapping_neg);
        }
        let decimal = decimal(self.bytes);
        if decimal.is_none() && self.bytes.len() == 16 {
            return hexadecimal(self.bytes);
        }
        decimal
    }

    /// Whether it is an address of a 64-bit kernel.
    fn is_wide(self) -> bool {
        self.number().is_some_and(|number| number >> 63 == 1)
    }

    /// Whether it can be the beginning of one and nothing else: they begin with ones.
    fn is_cut_address(self) -> bool {
        let digits = self.bytes.strip_prefix(b"0x").unwrap_or(self.bytes);
        digits.len() < 16
            && matches!(digits.first(), None | Some(b'f'))
            && digits.iter().all(u8::is_ascii_hexdigit)
    }

    fn text(self, names: &mut Names) -> Option<NameId> {
        let absent = matches!(self.bytes, b"" | b"(null)" | b"(fault)" | b"(efault)");
        (!absent).then(|| names.intern(self.bytes))
    }

    /// Whether it is an address as a symbol: `acpi_dev_pm_detach+0x0/0x50`.
    fn is_symbol(self) -> bool {
        let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        !self.quoted && self.bytes.first().is_some_and(begins) && self.bytes.contains(&b'+')
    }
}

/// The next argument: its name, its value, and what follows.
fn argument(bytes: &[u8]) -> Option<(&[u8], Value<'_>, &[u8])> {
    let mut rest = bytes.trim_ascii_start();
    loop {
        let end = rest
            .iter()
            .position(|byte| *byte == b'=' || byte.is_ascii_whitespace())?;
        let (name, behind) = rest.split_at(end);
        if behind.first() != Some(&b'=') {
            rest = behind.trim_ascii_start();
            continue;
        }
        let behind = behind.get(1..)?;
        if let Some(quoted) = behind.strip_prefix(b"\"") {
            let closed = quoted.iter().position(|byte| *byte == b'"');
            let end = closed.unwrap_or(quoted.len());
            let value = Value {
                bytes: quoted.get(..end)?,
                quoted: true,
                open: closed.is_none(),
            };
            return Some((name, value, quoted.get(end + 1..).unwrap_or_default()));
        }
        let end = behind
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(behind.len());
        let (value, behind) = behind.split_at(end);
        // The function tracer has commas between them.
        let value = Value {
            bytes: value.strip_suffix(b",").unwrap_or(value),
            quoted: false,
            open: false,
        };
        return Some((name, value, behind));
    }
}

/// The function in `devm_kmalloc_release+0x0/0x10`. What is called begins where its function does: an address in the
/// middle of one is that of another kernel, whose buffer has outlived a reset, and this one's names don't fit.
fn symbol(value: &[u8]) -> Option<&[u8]> {
    let (symbol, offset) = match value.iter().position(|byte| *byte == b'+') {
        Some(plus) => value.split_at(plus),
        None => (value, &b""[..]),
    };
    let begins = offset.is_empty() || offset == b"+0x0" || offset.starts_with(b"+0x0/");
    (begins && !symbol.is_empty() && !symbol.starts_with(b"(")).then_some(symbol)
}

/// The module that follows a symbol in brackets.
fn module(bytes: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let next = bytes.trim_ascii_start();
    if let Some(inner) = next.strip_prefix(b"[")
        && let Some(end) = inner.iter().take(64).position(|byte| *byte == b']')
    {
        let (module, behind) = inner.split_at(end);
        return (Some(module), behind.get(1..).unwrap_or_default());
    }
    (None, bytes)
}

#[cfg(test)]
mod tests;
