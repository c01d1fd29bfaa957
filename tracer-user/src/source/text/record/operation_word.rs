//! The operation in a line of the tracepoint: a word, or the address of that word. The tracepoint's record keeps only a
//! pointer to it (`REC->op`), and tools that print the record later, outside the kernel, print that pointer: `perf script`,
//! `perf trace` and `trace-cmd report`, and a kernel that finds what the one before has recorded.

use smallvec::SmallVec;

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
    places: Vec<Place>,
}

/// An address, and what is known of it.
#[derive(Debug)]
struct Place {
    address: u64,
    state: State,
    /// What the calls around its events prove, each once.
    proved: SmallVec<[Operation; 1]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Known(Operation),
    /// What is still to come may show it.
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
            OperationWord::At(address) => match self.place(address)?.state {
                State::Known(operation) => Some(operation),
                State::Open | State::Hopeless => None,
            },
        }
    }

    /// Whether it may still be shown what stands at an address. One that was not heard of yet is looked up in the running
    /// kernel: if the text was recorded on this machine since it was booted, the name stands there.
    pub(in crate::source::text) fn is_open(&mut self, address: u64) -> bool {
        if let Some(place) = self.place(address) {
            return place.state == State::Open;
        }
        if self.places.len() >= MOST {
            return false;
        }
        let here = kernel::memory::<LONGEST>(address).and_then(|bytes| {
            let end = bytes.iter().position(|byte| *byte == 0)?;
            Operation::named(bytes.get(..end)?)
        });
        self.places.push(Place {
            address,
            state: here.map_or(State::Open, State::Known),
            proved: SmallVec::new(),
        });
        here.is_none()
    }

    /// The event at this address was logged on this stack, innermost frame first: that settles it.
    pub(in crate::source::text) fn logged_on(&mut self, address: u64, stack: &[StackFrame]) {
        if let Some(operation) = stack.iter().find_map(by_function)
            && let Some(place) = self.open_place(address)
        {
            place.state = State::Known(operation);
        }
    }

    /// The calls before an event at this address prove what it is, unless one of them is missing from the text.
    pub(in crate::source::text) fn proved(&mut self, address: u64, operation: Operation) {
        if let Some(place) = self.open_place(address)
            && !place.proved.contains(&operation)
        {
            place.proved.push(operation);
        }
    }

    /// Nothing more comes that may show what stands there: it is what was proved, if that was one thing, and that
    /// of no other address. A name has one.
    pub(in crate::source::text) fn settle(&mut self, address: u64) {
        let operation = self.place(address).and_then(|place| match *place.proved {
            [operation] => Some(operation),
            _ => None,
        });
        let operation = operation.filter(|operation| {
            let others = self.places.iter().filter(|place| place.address != address);
            !others.into_iter().any(|other| {
                other.proved.contains(operation) || other.state == State::Known(*operation)
            })
        });
        if let Some(place) = self.open_place(address) {
            place.state = operation.map_or(State::Hopeless, State::Known);
        }
    }

    fn place(&self, address: u64) -> Option<&Place> {
        self.places.iter().find(|place| place.address == address)
    }

    fn open_place(&mut self, address: u64) -> Option<&mut Place> {
        let mut places = self.places.iter_mut();
        places.find(|place| place.address == address && place.state == State::Open)
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
            operations.logged_on(0x10, &call_chain::read(stack.as_bytes()));
            assert_eq!(operations.of(OperationWord::At(0x10)), expected, "{stack}");
        }
    }

    #[test]
    fn what_calls_prove_must_be_one_thing_at_one_address() {
        use Operation::{Add, Release};
        let at = |address| OperationWord::At(address);
        for (proofs, expected) in [
            (&[(0x10, Add)][..], [Some(Add), None]),
            (&[(0x10, Add), (0x20, Release)], [Some(Add), Some(Release)]),
            (&[(0x10, Add), (0x10, Release)], [None, None]),
            (&[(0x10, Add), (0x20, Add)], [None, None]),
        ] {
            let mut operations = Operations::default();
            assert!(operations.is_open(0x10) && operations.is_open(0x20));
            for (address, operation) in proofs {
                operations.proved(*address, *operation);
            }
            assert_eq!(operations.of(at(0x10)), None, "more may come");
            operations.settle(0x10);
            operations.settle(0x20);
            assert_eq!([operations.of(at(0x10)), operations.of(at(0x20))], expected);
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
