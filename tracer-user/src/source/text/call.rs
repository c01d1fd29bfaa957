//! The arguments of function events.
//!
//! Whoever sets up a probe chooses their names. These are understood; others are passed over:
//!
//! | names | meaning |
//! |---|---|
//! | `dev`, `device`, `kobj` | address of the `struct device` |
//! | `name`, `devname`, `dev_name` | the device's name |
//! | `drv`, `driver` | the driver's name |
//! | `bus` | the bus's name |
//! | `node` | address of the `struct devres_node` |
//! | `rel`, `release` | its release function, as a symbol or address |
//! | `res`, `ptr`, `p` | address of a payload |
//! | `size` | payload size in bytes |
//! | `id`, `group` | id of a group |
//! | `action`, `fn`, `func` | address of an action |
//! | `act` | of an added node: the function that its payload says is to be called, as a symbol; it means something only of actions |
//! | `comm` | the task's name |
//! | `w0`, `w1` | of an added node: the first words of its payload |
//! | `data` | an action's argument |
//! | `pmd`, `pm_domain` | address of the device's PM domain, zero if it has none |
//! | `detach` | address of the PM domain's `detach`, zero if it has none |
//! | `ret`, `retval`, `cnt` | the value returned |
//!
//! Numbers are decimal, or hexadecimal with `0x` or where tools leave that out before an address.

use std::num::NonZeroU64;

use super::{
    names::{NameId, Names},
    scan::{decimal, hexadecimal},
};
use crate::event::Hook;

/// A number that an argument has. `Option<Number>` takes eight bytes, for which one number is given up that no
/// argument has: the most negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(NonZeroU64);

impl Number {
    const GIVEN_UP: u64 = i64::MIN.cast_unsigned();

    pub(super) fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number ^ Self::GIVEN_UP).map(Self)
    }

    pub(super) fn get(self) -> u64 {
        self.0.get() ^ Self::GIVEN_UP
    }
}

/// A function that was entered or returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) hook: Hook,
    pub(super) returns: bool,
    /// Zero where not told.
    pub(super) device: u64,
    pub(super) name: Option<NameId>,
    pub(super) driver: Option<NameId>,
    pub(super) bus: Option<NameId>,
    /// Zero where not told.
    pub(super) node: u64,
    pub(super) release: Option<Release>,
    pub(super) action: Option<Release>,
    pub(super) words: [Option<Number>; 2],
    pub(super) comm: Option<NameId>,
    pub(super) pointer: Option<Number>,
    pub(super) size: Option<Number>,
    pub(super) group: Option<Number>,
    pub(super) function: Option<Number>,
    pub(super) data: Option<Number>,
    pub(super) domain: Option<Number>,
    pub(super) detach: Option<Number>,
    pub(super) value: Option<Number>,
    /// Of a return: the function returned to.
    pub(super) caller: Option<Hook>,
    /// Of a return: the call that was entered.
    pub(super) entered: Option<u32>,
}

/// A release function, as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Release {
    Symbol(NameId, Option<NameId>),
    Address(u64),
}

impl Call {
    pub(super) fn new(hook: Hook, returns: bool) -> Self {
        Self {
            hook,
            returns,
            device: 0,
            name: None,
            driver: None,
            bus: None,
            node: 0,
            release: None,
            action: None,
            words: [None; 2],
            comm: None,
            pointer: None,
            size: None,
            group: None,
            function: None,
            data: None,
            domain: None,
            detach: None,
            value: None,
            caller: None,
            entered: None,
        }
    }

    /// Whether this can be the call that `left` is the return of. `around` is the innermost call for the
    /// same device that is still running where this was entered.
    pub(super) fn may_return(&self, left: &Self, around: Option<Hook>) -> bool {
        let elsewhere = left.caller.is_some() && around.is_some() && left.caller != around;
        self.hook == left.hook && !elsewhere
    }

    /// Reads `name=value` pairs.
    pub(super) fn take(&mut self, arguments: &[u8], names: &mut Names) {
        let mut rest = arguments;
        while let Some((name, value, behind)) = argument(rest) {
            rest = behind;
            let known = number(value);
            match name {
                b"dev" | b"device" | b"kobj" => self.device = known.unwrap_or_default(),
                b"name" | b"devname" | b"dev_name" => self.name = text(value, names),
                b"comm" => self.comm = text(value, names),
                b"drv" | b"driver" if known.is_none() => self.driver = text(value, names),
                b"bus" if known.is_none() => self.bus = text(value, names),
                b"node" => self.node = known.unwrap_or_default(),
                b"rel" | b"release" | b"act" => {
                    let (module, behind) = module(rest);
                    rest = behind;
                    let function = match known {
                        Some(0) => None,
                        Some(address) => Some(Release::Address(address)),
                        None => symbol(value).map(|symbol| {
                            let module = module.map(|module| names.intern(module));
                            Release::Symbol(names.intern(symbol), module)
                        }),
                    };
                    if name == b"act" {
                        self.action = function;
                    } else {
                        self.release = function;
                    }
                }
                b"w0" => self.words[0] = known.and_then(Number::new),
                b"w1" => self.words[1] = known.and_then(Number::new),
                b"res" | b"ptr" | b"p" => self.pointer = known.and_then(Number::new),
                b"size" => self.size = known.and_then(Number::new),
                b"id" | b"group" => self.group = known.and_then(Number::new),
                b"action" | b"fn" | b"func" => self.function = known.and_then(Number::new),
                b"data" => self.data = known.and_then(Number::new),
                b"pmd" | b"pm_domain" => self.domain = known.and_then(Number::new),
                b"detach" => self.detach = known.and_then(Number::new),
                b"ret" | b"retval" | b"cnt" => self.value = known.and_then(Number::new),
                _ => {}
            }
        }
    }
}

/// Whether a line begins with an argument: then it goes on with the line before.
pub(super) fn continues(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let length = line
        .iter()
        .position(|byte| !(byte.is_ascii_lowercase() || *byte == b'_'));
    length.is_some_and(|length| (1..=16).contains(&length) && line.get(length) == Some(&b'='))
}

/// The next argument: its name, its value without quotation marks, and what follows.
fn argument(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
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
            let end = quoted
                .iter()
                .position(|byte| *byte == b'"')
                .unwrap_or(quoted.len());
            return Some((
                name,
                quoted.get(..end)?,
                quoted.get(end + 1..).unwrap_or_default(),
            ));
        }
        let end = behind
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(behind.len());
        let (value, behind) = behind.split_at(end);
        return Some((name, value, behind));
    }
}

/// A number; negative ones in two's complement.
fn number(value: &[u8]) -> Option<u64> {
    if let Some(digits) = value.strip_prefix(b"0x") {
        return hexadecimal(digits);
    }
    if let Some(digits) = value.strip_prefix(b"-") {
        return decimal(digits).map(u64::wrapping_neg);
    }
    let decimal = decimal(value);
    if decimal.is_none() && value.len() == 16 {
        return hexadecimal(value);
    }
    decimal
}

fn text(value: &[u8], names: &mut Names) -> Option<NameId> {
    let absent = matches!(value, b"" | b"(null)" | b"(fault)" | b"(efault)");
    (!absent).then(|| names.intern(value))
}

/// The function in `devm_kmalloc_release+0x0/0x10`.
fn symbol(value: &[u8]) -> Option<&[u8]> {
    let symbol = value.split(|byte| *byte == b'+').next()?;
    (!symbol.is_empty() && !symbol.starts_with(b"(")).then_some(symbol)
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
mod tests {
    use super::*;

    fn call(arguments: &str) -> (Call, Names) {
        let mut names = Names::default();
        let mut call = Call::new(Hook::Probe, false);
        call.take(arguments.as_bytes(), &mut names);
        (call, names)
    }

    fn name(names: &Names, id: Option<NameId>) -> String {
        id.and_then(|id| names.text(id)).unwrap().to_string()
    }

    #[test]
    fn devices_and_drivers_are_taken() {
        let (call, names) =
            call(r#" dev=0xff11000005131010 name="QEMU 0001:00" drv="pvpanic-mmio""#);
        assert_eq!(call.device, 0xff11_0000_0513_1010);
        assert_eq!(name(&names, call.name), "QEMU 0001:00");
        assert_eq!(name(&names, call.driver), "pvpanic-mmio");
    }

    #[test]
    fn release_functions_are_symbols_or_addresses() {
        let (call, names) = call(" node=ff11000006a5cde0 rel=foo_release+0x0/0x10 [foo] size=8");
        assert_eq!(
            (call.node, call.size),
            (0xff11_0000_06a5_cde0, Number::new(8))
        );
        let Some(Release::Symbol(symbol, module)) = call.release else {
            panic!("{call:?}");
        };
        assert_eq!(name(&names, Some(symbol)), "foo_release");
        assert_eq!(name(&names, module), "foo");
        assert_eq!(
            super::tests::call("rel=0x10").0.release,
            Some(Release::Address(16))
        );
    }

    #[test]
    fn values_may_be_negative_or_missing() {
        assert_eq!(
            call("ret=-517").0.value,
            Number::new(517_u64.wrapping_neg())
        );
        assert_eq!(call("ret=0xfffffdfb").0.value, Number::new(0xffff_fdfb));
        assert_eq!(call("cnt=7").0.value, Number::new(7));
        let (call, _) = call("remark name=(null) drv=0x10 ret= pmd=0x0 off=0x1");
        assert_eq!((call.name, call.driver, call.value), (None, None, None));
        assert_eq!((call.domain, call.detach), (Number::new(0), None));
    }

    #[test]
    fn numbers_take_little_room() {
        assert_eq!(size_of::<Option<Number>>(), 8);
        for number in [0, 1, 1 << 62, u64::MAX] {
            assert_eq!(Number::new(number).map(Number::get), Some(number));
        }
        assert_eq!(Number::new(1 << 63), None);
    }

    #[test]
    fn lines_that_go_on_begin_with_an_argument() {
        assert!(continues(b" node=0x10"));
        assert!(!continues(b"A=1"));
        assert!(!continues(b"= 1"));
        assert!(!continues(b"init-1 [000] x=1"));
    }
}
