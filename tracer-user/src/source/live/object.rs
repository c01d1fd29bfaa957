//! The eBPF object that the program carries, fitted to the running kernel.

use object::{Endianness, Object as _, ObjectSection as _, SectionKind, read::elf::ElfFile64};
use tracer_ebpf::KernelFunction;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The probes, built from `tracer-ebpf` and compressed; empty on an architecture without probes.
#[cfg(probes)]
static COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probes.zst"));
#[cfg(not(probes))]
static COMPRESSED: &[u8] = &[];

/// Whether this program carries probes for its architecture.
pub(super) const fn has_probes() -> bool {
    !COMPRESSED.is_empty()
}

/// The probes as they were built; empty where there are none.
fn object() -> Vec<u8> {
    // The build has compressed it. If that had gone wrong, the loader would refuse what is no object.
    zstd::decode_all(COMPRESSED).unwrap_or_default()
}

/// An eBPF object, aligned as the ELF reader wants it.
pub(super) struct FittedObject {
    words: Vec<u64>,
    bytes: usize,
}

impl FittedObject {
    /// The probes with calls of those kernel functions that `number_of` knows in the kernel's BTF, and with nothing
    /// in the place of the others.
    pub(super) fn new(number_of: impl Fn(KernelFunction) -> Option<u32>) -> Self {
        let object = object();
        let mut fitted = Self {
            words: vec![0; object.len().div_ceil(8)],
            bytes: object.len(),
        };
        if let Some(place) = fitted.words.as_mut_bytes().get_mut(..object.len()) {
            place.copy_from_slice(&object);
        }
        let all: Option<Vec<_>> = KernelFunction::ALL
            .into_iter()
            .map(|function| Some((function, number_of(function)?)))
            .collect();
        for (begin, length) in code(&object) {
            let code = fitted.words.as_mut_bytes().get_mut(begin..begin + length);
            for word in code
                .unwrap_or_default()
                .chunks_exact_mut(size_of::<Instruction>())
            {
                if let Ok(instruction) = Instruction::mut_from_bytes(word) {
                    instruction.fit(all.as_deref().unwrap_or_default());
                }
            }
        }
        fitted
    }

    /// The object.
    pub(super) fn bytes(&self) -> &[u8] {
        self.words.as_bytes().get(..self.bytes).unwrap_or_default()
    }
}

/// Where the object has instructions: offset and length in bytes.
fn code(object: &[u8]) -> Vec<(usize, usize)> {
    let Ok(file) = ElfFile64::<Endianness>::parse(object) else {
        // What can't be parsed is refused when it is loaded.
        return Vec::new();
    };
    file.sections()
        .filter(|section| section.kind() == SectionKind::Text)
        .filter_map(|section| section.file_range())
        .filter_map(|(begin, length)| {
            Some((usize::try_from(begin).ok()?, usize::try_from(length).ok()?))
        })
        .collect()
}

/// An eBPF instruction (`struct bpf_insn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// Destination in the lower half, source in the upper one.
    registers: u8,
    offset: [u8; 2],
    immediate: [u8; 4],
}

impl Instruction {
    /// `BPF_JMP | BPF_CALL`.
    const CALL: u8 = 0x85;
    /// `BPF_PSEUDO_KFUNC_CALL` as the source.
    const KERNEL_FUNCTION: u8 = 2 << 4;
    /// `r0 = 0`: what a call without arguments leaves of a kernel function that is not there.
    const NOTHING: Self = Self {
        code: 0xb7,
        registers: 0,
        offset: [0; 2],
        immediate: [0; 4],
    };

    /// Turns a placeholder into the call that it stands for, or into nothing where the function is not `known`.
    fn fit(&mut self, known: &[(KernelFunction, u32)]) {
        if self.code != Self::CALL || self.registers != 0 {
            return;
        }
        let number = u32::from_le_bytes(self.immediate);
        if !KernelFunction::ALL
            .iter()
            .any(|function| function.placeholder() == number)
        {
            return;
        }
        *self = match known
            .iter()
            .find(|(function, _)| function.placeholder() == number)
        {
            Some((_, number)) => Self {
                registers: Self::KERNEL_FUNCTION,
                immediate: number.to_le_bytes(),
                ..*self
            },
            None => Self::NOTHING,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All instructions of an object.
    fn instructions(object: &[u8]) -> Vec<Instruction> {
        code(object)
            .into_iter()
            .flat_map(|(begin, length)| object[begin..begin + length].chunks_exact(8))
            .map(|word| Instruction::read_from_bytes(word).unwrap())
            .collect()
    }

    fn calls(object: &[u8], registers: u8, number: u32) -> usize {
        instructions(object)
            .iter()
            .filter(|instruction| {
                instruction.code == Instruction::CALL
                    && instruction.registers == registers
                    && u32::from_le_bytes(instruction.immediate) == number
            })
            .count()
    }

    /// The calls of each kernel function, which have these numbers in the kernel or are placeholders.
    fn calls_of_all(
        object: &[u8],
        number: impl Fn(KernelFunction) -> u32,
        registers: u8,
    ) -> [usize; 4] {
        KernelFunction::ALL.map(|function| calls(object, registers, number(function)))
    }

    #[test]
    fn placeholders_become_calls_of_the_kernels_functions() {
        let placeholders = calls_of_all(&object(), KernelFunction::placeholder, 0);
        assert!(placeholders.into_iter().all(|calls| calls > 0));
        let number = |function: KernelFunction| function.placeholder() - 0x7d00_0000 + 4711;
        let fitted = FittedObject::new(|function| Some(number(function)));
        assert_eq!(
            calls_of_all(fitted.bytes(), number, Instruction::KERNEL_FUNCTION),
            placeholders
        );
        assert_eq!(
            calls_of_all(fitted.bytes(), KernelFunction::placeholder, 0),
            [0; 4]
        );
    }

    #[test]
    fn a_kernel_that_lacks_one_of_the_functions_gets_none_of_the_calls() {
        let fitted = FittedObject::new(|function| {
            (function != KernelFunction::LocalIrqRestore).then_some(4711)
        });
        assert_eq!(
            calls_of_all(fitted.bytes(), KernelFunction::placeholder, 0),
            [0; 4]
        );
        assert_eq!(calls(fitted.bytes(), Instruction::KERNEL_FUNCTION, 4711), 0);
        assert_eq!(fitted.bytes().len(), object().len());
    }
}
