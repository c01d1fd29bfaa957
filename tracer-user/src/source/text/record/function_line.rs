//! Function events of the kernel's tracing: kprobes, kretprobes and fprobes, and their counterparts in
//! perf.
//!
//! They are recognised by the probed function in the parentheses, whatever the event is called:
//! `(device_remove+0x0/0x60 <ffffffff816f3af0>)` is an entry, `(caller+0x84/0x150 <- really_probe)` a
//! return. Tools that print bare addresses there, as trace-cmd and perf do, are understood if the event's
//! name contains the function's as `perf probe` and tracefs choose it by default.

use std::collections::BTreeMap;

use memchr::{
    memchr,
    memmem::{self, Finder},
};

use crate::{
    event::Hook,
    source::text::{
        Parsed,
        envelope::trace_head::{self, Head},
        scan::{around, hexadecimal, last_word, word},
    },
};

/// What stands before the function; before that, perhaps with more blanks, the event's name and a colon.
pub(in crate::source::text) const OPENING: &[u8] = b" (";

/// Bytes from a function's start within which a probe is one on its entry: behind a landing pad and the
/// call that tracing patches.
const ENTRY: u64 = 16;

/// The beginning of a function's name that is taken for one.
const SHORTEST: usize = 6;

/// A function event.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source::text) struct FunctionLine<'a> {
    pub(in crate::source::text) head: Head,
    pub(in crate::source::text) hook: Hook,
    /// The function returns; else it is entered.
    pub(in crate::source::text) returns: bool,
    /// Where it returns to, if that function has a hook.
    pub(in crate::source::text) caller: Option<Hook>,
    /// Where it returns to, as it stands there: `i2c_device_probe+0x10c/0x330 <ffffffff81b6f4bc>`.
    pub(in crate::source::text) returns_to: Option<&'a [u8]>,
    /// Where it is entered or returns to, where only an address stands there.
    pub(in crate::source::text) address: Option<u64>,
    /// `name=value`, separated by blanks.
    pub(in crate::source::text) arguments: &'a [u8],
}

/// Where [`OPENING`], which `finder` finds, follows an event's name and a colon, for the first time.
pub(in crate::source::text) fn find(line: &[u8], finder: &Finder<'_>) -> Option<usize> {
    places(line, finder).next()
}

/// Every place where [`OPENING`], which `finder` finds, follows an event's name and a colon.
pub(in crate::source::text) fn places<'a>(
    line: &'a [u8],
    finder: &'a Finder<'_>,
) -> impl Iterator<Item = usize> {
    finder.find_iter(line).filter(|at| {
        line.get(..*at)
            .is_some_and(|before| before.trim_ascii_end().ends_with(b":"))
    })
}

/// Whether a line begins with what can stand behind an event's name: the rest of a line that was wrapped there.
pub(in crate::source::text) fn goes_on(line: &[u8]) -> bool {
    line.strip_prefix(b"(").is_some_and(is_place)
}

/// Whether a line begins with an argument: then it goes on with the event in the line before.
pub(in crate::source::text) fn goes_on_with_argument(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let length = line
        .iter()
        .position(|byte| !(byte.is_ascii_lowercase() || *byte == b'_'));
    length.is_some_and(|length| (1..=16).contains(&length) && line.get(length) == Some(&b'='))
}

/// Whether a place in a function stands here, or what returns have instead.
fn is_place(text: &[u8]) -> bool {
    word(text).is_some_and(|(first, _)| {
        let name = first.strip_suffix(b")").unwrap_or(first);
        function(name).is_some()
            || around(name, b"+0x").is_some()
            || name.starts_with(b"[unknown")
            || name.starts_with(b"0xffff")
    })
}

/// Reads a line in which [`OPENING`] begins at `at`.
pub(in crate::source::text) fn read(line: &[u8], at: usize) -> Parsed<FunctionLine<'_>> {
    let Some((before, place)) = line.split_at_checked(at) else {
        return Parsed::Other;
    };
    let Some((before, event)) = before
        .trim_ascii_end()
        .strip_suffix(b":")
        .and_then(last_word)
    else {
        return Parsed::Other;
    };
    let place = place.get(OPENING.len()..).unwrap_or_default();
    let Some(end) = memchr(b')', place) else {
        let known = is_place(place) || begins_function(place);
        let returning = memmem::find(place, b" <- ").is_some();
        return if known || returning {
            Parsed::Cut
        } else {
            Parsed::Other
        };
    };
    let (place, arguments) = place.split_at(end);
    let (caller, probed) = match around(place, b"<- ") {
        Some((caller, probed)) => (Some(caller), probed),
        None => (None, place),
    };
    let Some(hook) = word(probed)
        .and_then(|(probed, _)| function(probed))
        .or_else(|| by_event(event, probed))
        .or_else(|| by_own_name(event))
    else {
        return Parsed::Other;
    };
    Parsed::Event(FunctionLine {
        head: trace_head::head_of_any(before),
        hook,
        returns: caller.is_some(),
        caller: caller.and_then(calling),
        returns_to: caller,
        address: word(place).and_then(|(first, _)| address(first)),
        arguments: arguments.get(1..).unwrap_or_default(),
    })
}

/// The hook on the function of `device_remove+0x0/0x60`, if the offset is that of its entry.
fn function(place: &[u8]) -> Option<Hook> {
    let (name, offset) = match memchr(b'+', place) {
        Some(plus) => place.split_at(plus),
        None => (place, &b""[..]),
    };
    if let Some(offset) = offset.strip_prefix(b"+0x") {
        let offset = offset.split(|byte| *byte == b'/').next()?;
        if hexadecimal(offset)? > ENTRY {
            return None;
        }
    }
    hook(name)
}

/// Whether nothing follows but the beginning of the name of a function that has a hook.
fn begins_function(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    text.len() >= SHORTEST
        && Hook::ALL
            .into_iter()
            .flat_map(|hook| hook.description().symbols)
            .any(|symbol| symbol.as_bytes().starts_with(text))
}

/// The hook on the function of `device_del+0x297/0x410`, at whatever offset.
fn calling(place: &[u8]) -> Option<Hook> {
    let (caller, _) = word(place)?;
    hook(caller.split(|byte| *byte == b'+').next()?)
}

/// The hook on a function, by the name that it has on any kernel from 5.10 on, if function events show what is told of it.
pub(super) fn hook(name: &[u8]) -> Option<Hook> {
    let name = name.split(|byte| *byte == b'.').next()?;
    Hook::named(name).filter(|hook| hook.description().is_told_by_arguments())
}

/// Functions by the addresses at which they were seen to be entered.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Entries(BTreeMap<u64, Hook>);

impl Entries {
    /// Bytes behind the entry of a function within which an address is taken for one in it.
    const NEAR: u64 = 0x800;

    /// Learns from an entry; gives a return the caller that its address says.
    pub(in crate::source::text) fn complete(&mut self, event: &mut FunctionLine<'_>) {
        let Some(address) = event.address else { return };
        if !event.returns {
            self.0.insert(address, event.hook);
        } else if event.caller.is_none() {
            let near = address.saturating_sub(Self::NEAR)..address;
            event.caller = self.0.range(near).next_back().map(|(_, hook)| *hook);
        }
    }
}

/// An address and nothing else.
fn address(word: &[u8]) -> Option<u64> {
    hexadecimal(word.strip_prefix(b"0x").unwrap_or(word))
}

/// The hook by the name that the kernel gives a probe on a function's first byte: `p_really_probe_0`. In a buffer that
/// outlived a reset the addresses are those of the kernel before, and have the wrong names now.
fn by_own_name(event: &[u8]) -> Option<Hook> {
    let name = event.rsplit(|byte| *byte == b':').next()?;
    let name = name.strip_prefix(b"p_").or(name.strip_prefix(b"r_"))?;
    hook(name.strip_suffix(b"_0")?)
}

/// The hook by an event's name, where only addresses stand in the parentheses: `probe:add_dr`,
/// `probe:really_probe__return`, `p_really_probe_0`.
fn by_event(event: &[u8], place: &[u8]) -> Option<Hook> {
    let (first, _) = word(place)?;
    address(first)?;
    of_event(event)
}

/// The hook on the function in an event's name, as tools and the kernel choose it where nobody does.
pub(in crate::source::text) fn of_event(event: &[u8]) -> Option<Hook> {
    let mut name = event.rsplit(|byte| *byte == b':').next()?;
    name = name
        .strip_prefix(b"p_")
        .or(name.strip_prefix(b"r_"))
        .unwrap_or(name);
    if let Some(number) = name.iter().rposition(|byte| *byte == b'_')
        && let (counted, [_, digits @ ..]) = name.split_at(number)
        && !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
    {
        name = counted;
    }
    for ending in [
        &b"__return"[..],
        b"_return",
        b"_ret",
        b"_exit",
        b"_entry",
        b"_enter",
    ] {
        name = name.strip_suffix(ending).unwrap_or(name);
    }
    hook(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(event: &str) -> Option<(Hook, bool)> {
        let line = format!("init-1 [000] ..... 6.512727: {event} dev=0x10");
        let at = line.find(" (").unwrap();
        match read(line.as_bytes(), at) {
            Parsed::Event(found) => {
                assert_eq!(found.head.task.tid, 1, "{line}");
                assert_eq!(found.arguments, b" dev=0x10", "{line}");
                Some((found.hook, found.returns))
            }
            Parsed::Cut | Parsed::Other => None,
        }
    }

    #[test]
    fn functions_are_recognised_by_what_is_probed() {
        for (event, expected) in [
            (
                "anything: (device_remove+0x0/0x60 <ffffffff816f3af0>)",
                (Hook::Remove, false),
            ),
            ("anything: (device_remove+0x0/0x60)", (Hook::Remove, false)),
            (
                "anything: (device_del+0x4/0x3e0 <ffffffff8191a634>)",
                (Hook::Delete, false),
            ),
            ("x: (device_del)", (Hook::Delete, false)),
            ("x: (device_del.cold+0x0/0x10)", (Hook::Delete, false)),
            (
                "x: (__device_release_driver+0x0/0x250 <ffffffff81660840>)",
                (Hook::Unbind, false),
            ),
            (
                "x: (__driver_probe_device+0x84/0x150 <ffffffff816f4494> <- really_probe <ffffffff816f4090>)",
                (Hook::Probe, true),
            ),
            (
                "x: (i2c_device_probe+0x10c/0x330 <- devres_release_group)",
                (Hook::ReleaseGroup, true),
            ),
            (
                "x: ([unknown/kretprobe'd] <ffffffff81076840> <- dev_pm_domain_detach <ffffffff81702070>)",
                (Hook::PmDetach, true),
            ),
            (
                "x: (pvpanic_init+0x5d0/0x1000 [pvpanic_mmio] <ffffffffc03c75d0> <- devres_release_group <ffffffff816f92a0>)",
                (Hook::ReleaseGroup, true),
            ),
            ("probe:add_dr: (ffffffff816f93b0)", (Hook::AddDr, false)),
            (
                "probe:really_probe__return: (ffffffff816f4494 <- ffffffff816f4090)",
                (Hook::Probe, true),
            ),
            (
                "really_probe:         (ffffffff81922330)",
                (Hook::Probe, false),
            ),
            ("p_device_del_0: (kfree+0x30/0x60)", (Hook::Delete, false)),
            (
                "r_really_probe_0: (kfree+0x30/0x60 <- kmem_cache_free+0x8/0x90)",
                (Hook::Probe, true),
            ),
            (
                "p_really_probe_0: (0xffffffff816f4494)",
                (Hook::Probe, false),
            ),
            (
                "devres_release_all_ret: (ffffffff816f4494 <- ffffffff816f4090)",
                (Hook::ReleaseAll, true),
            ),
        ] {
            assert_eq!(found(event), Some(expected), "{event}");
        }
    }

    #[test]
    fn the_caller_of_what_returns_is_told() {
        for (place, caller) in [
            (
                "device_del+0x297/0x410 <ffffffff816ed707> <- devres_release_all <ffffffff816fa420>",
                Some(Hook::Delete),
            ),
            (
                "__device_release_driver+0x186/0x250 <- devres_release_all",
                Some(Hook::Unbind),
            ),
            (
                "0xffffffffc0489723 <ffffffffc0489723> <- devres_release_all",
                None,
            ),
        ] {
            let line = format!("x: ({place}) cnt=7");
            let Parsed::Event(found) = read(line.as_bytes(), 2) else {
                panic!("{line}");
            };
            assert_eq!(
                (found.hook, found.caller),
                (Hook::ReleaseAll, caller),
                "{line}"
            );
        }
    }

    #[test]
    fn addresses_tell_the_caller_of_what_returns() {
        let mut entries = Entries::default();
        let mut caller = |line: &str| {
            let Parsed::Event(mut found) = read(line.as_bytes(), line.find(" (").unwrap()) else {
                panic!("{line}");
            };
            entries.complete(&mut found);
            found.caller
        };
        assert_eq!(caller("probe:device_del: (ffffffff8165a960)"), None);
        for (place, expected) in [
            ("ffffffff8165aa60", Some(Hook::Delete)),
            ("ffffffff8165c960", None),
            ("ffffffff8165a960", None),
        ] {
            let line =
                format!("probe:devres_release_all__return: ({place} <- ffffffff81666b20) cnt=7");
            assert_eq!(caller(&line), expected, "{line}");
        }
    }

    #[test]
    fn lines_that_go_on_begin_with_an_argument() {
        assert!(goes_on_with_argument(b" node=0x10"));
        assert!(!goes_on_with_argument(b"A=1"));
        assert!(!goes_on_with_argument(b"= 1"));
        assert!(!goes_on_with_argument(b"init-1 [000] x=1"));
    }

    #[test]
    fn other_functions_and_places_within_functions_are_not() {
        for event in [
            "device_remove: (kfree+0x0/0x60 <ffffffff816f3af0>)",
            "x: (device_remove+0x40/0x60 <ffffffff816f3b30>)",
            "x: (some remark)",
            "x: (device_remove_file+0x0/0x60)",
            "myprobe: (ffffffff816f3af0)",
            "p_device_del_64: (device_del+0x40/0x60)",
        ] {
            assert_eq!(found(event), None, "{event}");
        }
    }
}
