//! The operation in a line of the tracepoint: a word, or the address of that word. The tracepoint's record keeps only a
//! pointer to it (`REC->op`), and tools that print the record later, outside the kernel, print that pointer: `perf script`,
//! `perf trace` and `trace-cmd report`.

use super::resource::{Operation, Pointer, pointer};
use crate::{event::StackFrame, kernel};

/// How a line says what happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) enum OperationWord {
    Named(Operation),
    /// The address of the name in the kernel that was traced.
    At(u64),
}

impl OperationWord {
    /// Reads a word as a name or an address of one.
    pub(in crate::source::text) fn read(word: &[u8]) -> Option<Self> {
        if let Some(operation) = Operation::named(word) {
            return Some(Self::Named(operation));
        }
        match pointer(word)? {
            Pointer::Short(address) | Pointer::Long(address) if address != 0 => {
                Some(Self::At(address))
            }
            _ => None,
        }
    }
}

/// The operations that stand at addresses.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Operations {
    places: Vec<(u64, Place)>,
}

/// What stands at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Known(Operation),
    /// A stack may still show it.
    Open,
    Hopeless,
}

/// Bytes of the longest name, with the zero behind it.
const LONGEST: usize = 8;
/// Addresses that are looked at. A kernel has four.
const MOST: usize = 16;

impl Operations {
    /// What a word stands for, if that is known.
    pub(in crate::source::text) fn of(&self, word: OperationWord) -> Option<Operation> {
        match word {
            OperationWord::Named(operation) => Some(operation),
            OperationWord::At(address) => match self.place(address) {
                Some(Place::Known(operation)) => Some(operation),
                Some(Place::Open | Place::Hopeless) | None => None,
            },
        }
    }

    /// Whether a stack may still show what stands at an address. One that was not heard of yet is looked up in the running
    /// kernel: if the text was recorded on this machine since it was booted, the name stands there.
    pub(in crate::source::text) fn is_open(&mut self, address: u64) -> bool {
        if let Some(place) = self.place(address) {
            return place == Place::Open;
        }
        if self.places.len() >= MOST {
            return false;
        }
        let here = kernel::memory::<LONGEST>(address).and_then(|bytes| {
            let end = bytes.iter().position(|byte| *byte == 0)?;
            Operation::named(bytes.get(..end)?)
        });
        self.places
            .push((address, here.map_or(Place::Open, Place::Known)));
        here.is_none()
    }

    /// The event at this address was logged on this stack, innermost frame first.
    pub(in crate::source::text) fn learn(&mut self, address: u64, stack: &[StackFrame]) {
        if let Some(operation) = stack.iter().find_map(by_function) {
            self.settle(address, Place::Known(operation));
        }
    }

    /// Nothing that may show what stands there comes any more.
    pub(in crate::source::text) fn give_up(&mut self, address: u64) {
        self.settle(address, Place::Hopeless);
    }

    fn place(&self, address: u64) -> Option<Place> {
        let mut places = self.places.iter();
        places.find_map(|(known, place)| (*known == address).then_some(*place))
    }

    fn settle(&mut self, address: u64, settled: Place) {
        for (known, place) in &mut self.places {
            if *known == address && *place == Place::Open {
                *place = settled;
            }
        }
    }
}

/// What a function of drivers/base/devres.c logs, itself or by one that is inlined into it.
fn by_function(frame: &StackFrame) -> Option<Operation> {
    let name = frame.function.as_ref()?.name.as_deref()?;
    // The compiler marks its copies: `release_nodes.isra.0`.
    let name = name.split('.').next().unwrap_or(name);
    match name {
        "add_dr"
        | "devres_add"
        | "devres_node_add"
        | "devres_get"
        | "devres_open_group"
        | "devres_close_group"
        | "devm_kmalloc"
        | "__devm_add_action"
        | "devm_add_action"
        | "devm_get_free_pages"
        | "__devm_alloc_percpu" => Some(Operation::Add),
        "devres_remove"
        | "devres_destroy"
        | "devres_release"
        | "devres_node_remove"
        | "devres_remove_group"
        | "remove_action"
        | "devm_kfree"
        | "devm_free_pages"
        | "devm_free_percpu"
        | "devm_remove_action"
        | "devm_remove_action_nowarn"
        | "devm_release_action" => Some(Operation::Remove),
        "release_nodes" | "devres_release_all" | "devres_release_group" => Some(Operation::Release),
        "replace_dr" | "devm_krealloc" => Some(Operation::Replace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::text::record::call_chain;

    #[test]
    fn the_innermost_function_of_devres_says_what_was_logged() {
        for (stack, expected) in [
            ("=> add_dr\n=> devm_krealloc\n", Some(Operation::Add)),
            (
                "=> devm_kmalloc\n=> foo_probe [foo]\n",
                Some(Operation::Add),
            ),
            (
                "=> devm_krealloc\n=> foo_resize [foo]\n",
                Some(Operation::Replace),
            ),
            (
                "=> release_nodes.isra.0\n=> devres_release_all\n",
                Some(Operation::Release),
            ),
            (
                "=> devres_remove\n=> devres_release\n=> release_nodes\n",
                Some(Operation::Remove),
            ),
            ("=> foo_probe [foo]\n=> platform_probe\n", None),
        ] {
            let mut operations = Operations::default();
            // No kernel has a name there.
            assert!(operations.is_open(0x10));
            operations.learn(0x10, &call_chain::read(stack.as_bytes()));
            assert_eq!(operations.of(OperationWord::At(0x10)), expected, "{stack}");
        }
    }

    #[test]
    fn names_and_addresses_are_words() {
        for (word, expected) in [
            ("REM", Some(OperationWord::Named(Operation::Remove))),
            (
                "ffffffff8281b36a",
                Some(OperationWord::At(0xffff_ffff_8281_b36a)),
            ),
            ("0xc0a1b2c3", Some(OperationWord::At(0xc0a1_b2c3))),
            ("rem", None),
            ("0x0", None),
            ("12", None),
        ] {
            assert_eq!(OperationWord::read(word.as_bytes()), expected, "{word}");
        }
    }
}
