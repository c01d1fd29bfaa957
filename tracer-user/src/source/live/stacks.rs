//! Kernel stacks: from a number in the map to named frames.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher as _},
    sync::Arc,
};

use aya::maps::{MapData, StackTraceMap};
use hashbrown::{HashMap, HashSet};

use super::symbol_service::SymbolService;
use crate::event::{Function, Hook, StackDefinition, StackFrame, StackId};

/// Numbers for stacks, in the order in which they are first seen.
pub struct Stacks {
    map: Option<StackTraceMap<MapData>>,
    by_number: HashMap<u32, Known>,
    /// Stacks that came in a record of their own, by the hash of their addresses.
    by_hash: HashMap<u64, Known>,
    /// All that were defined, by the hash of their frames: a module that is loaded again at the same place brings the same stacks,
    /// and whoever is downstream keeps each definition.
    defined: HashMap<u64, StackId>,
    /// Those through modules, by the hash of their frames without what depends on where a module was loaded.
    through_modules: HashSet<u64>,
    next: u32,
}

#[derive(Clone, Copy)]
struct Known {
    id: StackId,
    /// Whether its meaning may change when a module comes or goes.
    in_module: bool,
}

impl Stacks {
    /// Resolves numbers with the map that the probes fill; without one there are no numbers to resolve.
    #[must_use]
    pub fn new(map: Option<StackTraceMap<MapData>>) -> Self {
        Self {
            map,
            by_number: HashMap::new(),
            by_hash: HashMap::new(),
            defined: HashMap::new(),
            through_modules: HashSet::new(),
            next: 0,
        }
    }

    /// The stack that has this number in the map, with its definition if it was not defined before.
    pub(super) fn resolve(
        &mut self,
        number: u32,
        symbols: &mut SymbolService,
    ) -> Option<(StackId, Option<StackDefinition>)> {
        if let Some(known) = self.by_number.get(&number) {
            return Some((known.id, None));
        }
        let trace = self.map.as_ref()?.get(&number, 0).ok()?;
        let addresses: Vec<u64> = trace.frames().iter().map(|frame| frame.ip).collect();
        let (known, definition) = self.new_stack(&addresses, symbols);
        self.by_number.insert(number, known);
        Some((known.id, definition))
    }

    /// The stack with these addresses.
    pub(super) fn define(
        &mut self,
        addresses: &[u64],
        symbols: &mut SymbolService,
    ) -> (StackId, Option<StackDefinition>) {
        let hash = hash_of(addresses);
        if let Some(known) = self.by_hash.get(&hash) {
            return (known.id, None);
        }
        let (known, definition) = self.new_stack(addresses, symbols);
        self.by_hash.insert(hash, known);
        (known.id, definition)
    }

    /// A stack that is known by the names of its functions only.
    pub(super) fn define_by_names(&mut self, frames: Vec<StackFrame>) -> StackDefinition {
        let id = StackId(self.next);
        self.next += 1;
        StackDefinition {
            id,
            frames: frames.into(),
        }
    }

    /// Forgets the stacks that go through modules: their addresses may mean something else from now on.
    pub(super) fn forget_modules(&mut self) {
        self.by_number.retain(|_, known| !known.in_module);
        self.by_hash.retain(|_, known| !known.in_module);
    }

    /// The stack with these addresses as they are named now, with its definition if it was not defined before.
    fn new_stack(
        &mut self,
        addresses: &[u64],
        symbols: &mut SymbolService,
    ) -> (Known, Option<StackDefinition>) {
        let mut frames: Vec<StackFrame> = addresses
            .iter()
            .take_while(|address| **address != 0)
            .map(|address| symbols.frame(*address))
            .collect();
        // Where no frame has a name, none can be told to be the tracer's own.
        let own = frames.iter().position(|frame| !is_own(frame)).unwrap_or(0);
        frames.drain(..own);
        drop_trampolines(&mut frames);
        let in_module = frames.iter().any(|frame| {
            frame
                .function
                .as_ref()
                .is_none_or(|function| function.module.is_some())
        });
        let mut hash = hash_of(&frames);
        if in_module && !self.defined.contains_key(&hash) {
            let placeless: Vec<StackFrame> = frames.iter().map(placeless).collect();
            let without_places = hash_of(&placeless);
            // A module that is loaded again elsewhere: its stacks are told once more, for wherever it will be.
            if !self.through_modules.insert(without_places) {
                (frames, hash) = (placeless, without_places);
            }
        }
        if let Some(&id) = self.defined.get(&hash) {
            return (Known { id, in_module }, None);
        }
        let definition = self.define_by_names(frames);
        let id = definition.id;
        self.defined.insert(hash, id);
        (Known { id, in_module }, Some(definition))
    }
}

/// A frame without the addresses that change when its module is loaded again; one without a name has nothing else.
fn placeless(frame: &StackFrame) -> StackFrame {
    let Some(function) = &frame.function else {
        return frame.clone();
    };
    if function.module.is_none() || function.name.is_none() {
        return frame.clone();
    }
    StackFrame {
        address: 0,
        function: Some(Arc::new(Function {
            address: 0,
            ..Function::clone(function)
        })),
        ..frame.clone()
    }
}

fn hash_of(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Takes out what attaching fentry to a function puts between its frame and its caller's: the trampoline,
/// which has no name in a symbol table that was read before, and below it the function's first instruction,
/// the call into the trampoline. Where the function has no other frame, because it ended in a jump to the
/// one above, that one stays.
fn drop_trampolines(frames: &mut Vec<StackFrame>) {
    /// The call into the trampoline is among the function's first bytes.
    const BEGINNING: u64 = 16;
    let name = |frame: &StackFrame| {
        frame
            .function
            .as_ref()
            .and_then(|function| function.name.clone())
    };
    let is_call = |frame: &StackFrame| {
        frame.offset <= BEGINNING
            && name(frame).is_some_and(|name| Hook::named(name.as_bytes()).is_some())
    };
    let returns = |frame: &StackFrame| {
        name(frame)
            .and_then(|name| Hook::named(name.as_bytes()))
            .is_some_and(|hook| hook.description().leave.is_some())
    };
    let mut kept: Vec<StackFrame> = Vec::with_capacity(frames.len());
    let mut rest = frames.drain(..).peekable();
    while let Some(frame) = rest.next() {
        let nameless = frame.function.is_none()
            || name(&frame).is_some_and(|name| {
                name.starts_with("bpf_trampoline_") || &*name == "ftrace_trampoline"
            });
        match rest.peek() {
            Some(next) if nameless && is_call(next) => {
                if kept.last().is_some_and(|above| name(above) == name(next)) {
                    rest.next();
                }
            }
            // From 6.19 on the kernel jumps into the trampoline, and there is no call below it.
            _ if nameless && kept.last().is_some_and(returns) => {}
            _ => kept.push(frame),
        }
    }
    drop(rest);
    *frames = kept;
}

/// Whether an innermost frame belongs to the way from the kernel's code into the probe. The probes came
/// after the symbol table was read, so they have no names there.
fn is_own(frame: &StackFrame) -> bool {
    let Some(function) = &frame.function else {
        return true;
    };
    let Some(name) = function.name.as_deref() else {
        return false;
    };
    [
        "bpf_",
        "__bpf_",
        "__traceiter_",
        "trace_call_bpf",
        "kprobe_",
        "kretprobe_",
        "ftrace_",
        "__ftrace",
        "arch_rethook",
        "rethook_",
        "trace_event_raw_event",
        "perf_trace",
        "__probestub",
        "aggr_pre_handler",
        "opt_pre_handler",
        "optimized_callback",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
        || name == "devres_log"
}

#[cfg(test)]
mod tests {
    use super::{super::symbols::Symbols, *};

    fn frame(name: Option<&str>, offset: u64) -> StackFrame {
        let function = name.map(|name| {
            Arc::new(Function {
                address: 0,
                name: Some(name.into()),
                module: None,
            })
        });
        StackFrame {
            address: 0x1000,
            function,
            offset,
            line: None,
        }
    }

    #[test]
    fn a_module_that_comes_again_at_its_place_brings_no_new_stacks() {
        let service = |module: &str| {
            let table = format!(
                "ffffffff81000000 T really_probe\nffffffffc0000000 t acme_probe\t[{module}]\n"
            );
            SymbolService::fixed(Symbols::read(table.as_bytes()).unwrap())
        };
        let addresses = [0xffff_ffff_c000_0020, 0xffff_ffff_8100_0040];
        let mut stacks = Stacks::new(None);
        let mut acme = service("acme");
        let (first, definition) = stacks.define(&addresses, &mut acme);
        assert!(definition.is_some());
        assert_eq!(stacks.define(&addresses, &mut acme), (first, None));
        stacks.forget_modules();
        assert_eq!(stacks.define(&addresses, &mut acme), (first, None));
        // Another module there has functions of its own.
        stacks.forget_modules();
        let (other, definition) = stacks.define(&addresses, &mut service("other"));
        assert_ne!(other, first);
        assert!(definition.is_some_and(|definition| definition.id == other));
    }

    #[test]
    fn a_module_that_comes_again_elsewhere_brings_its_stacks_once_more() {
        let mut stacks = Stacks::new(None);
        let mut load_at = |place: u64| {
            let table =
                format!("ffffffff81000000 T really_probe\n{place:x} t acme_probe\t[acme]\n");
            let mut symbols = SymbolService::fixed(Symbols::read(table.as_bytes()).unwrap());
            stacks.forget_modules();
            stacks.define(&[place + 0x20, 0xffff_ffff_8100_0040], &mut symbols)
        };
        let addresses = |definition: StackDefinition| {
            let frames = definition.frames.iter();
            frames
                .map(|frame| (frame.to_string(), frame.address))
                .collect::<Vec<_>>()
        };
        let in_kernel = ("really_probe+0x40".to_owned(), 0xffff_ffff_8100_0040);
        let in_module = |address| ("acme_probe+0x20 [acme]".to_owned(), address);
        let (first, definition) = load_at(0xffff_ffff_c000_0000);
        assert_eq!(
            definition.map(addresses),
            Some(vec![in_module(0xffff_ffff_c000_0020), in_kernel.clone()])
        );
        let (anywhere, definition) = load_at(0xffff_ffff_c100_0000);
        assert_eq!(
            definition.map(addresses),
            Some(vec![in_module(0), in_kernel])
        );
        assert_eq!(load_at(0xffff_ffff_c200_0000), (anywhere, None));
        assert_eq!(load_at(0xffff_ffff_c000_0000), (first, None));
    }

    fn without_trampolines(frames: &[(Option<&str>, u64)]) -> Vec<String> {
        let mut frames: Vec<_> = frames
            .iter()
            .map(|(name, offset)| frame(*name, *offset))
            .collect();
        drop_trampolines(&mut frames);
        frames.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_trampoline_and_the_call_into_it_are_no_frames() {
        let frames = [
            (Some("pinctrl_bind_pins"), 0x40),
            (Some("really_probe"), 0x80),
            (None, 0),
            (Some("really_probe"), 5),
            (Some("__driver_probe_device"), 0x7),
        ];
        assert_eq!(
            without_trampolines(&frames),
            [
                "pinctrl_bind_pins+0x40",
                "really_probe+0x80",
                "__driver_probe_device+0x7"
            ]
        );
    }

    #[test]
    fn a_function_that_ended_in_a_jump_keeps_its_call() {
        let frames = [
            (Some("i2c_device_remove"), 0x40),
            (None, 0),
            (Some("device_remove"), 9),
            (Some("unbind_store"), 0x20),
        ];
        assert_eq!(
            without_trampolines(&frames),
            [
                "i2c_device_remove+0x40",
                "device_remove+0x9",
                "unbind_store+0x20"
            ]
        );
    }

    #[test]
    fn a_trampoline_that_was_jumped_into_is_no_frame() {
        let frames = [
            (Some("platform_probe"), 0x3c),
            (Some("really_probe"), 0xde),
            (None, 0),
            (Some("__driver_probe_device"), 0x87),
        ];
        assert_eq!(
            without_trampolines(&frames),
            [
                "platform_probe+0x3c",
                "really_probe+0xde",
                "__driver_probe_device+0x87"
            ]
        );
    }

    #[test]
    fn an_address_without_a_name_stays_where_no_function_is_hooked() {
        let frames = [
            (Some("devm_kmalloc"), 0x40),
            (None, 0),
            (Some("do_one_initcall"), 5),
        ];
        assert_eq!(
            without_trampolines(&frames),
            ["devm_kmalloc+0x40", "0x1000", "do_one_initcall+0x5"]
        );
    }
}
