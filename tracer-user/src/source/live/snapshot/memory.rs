//! Reading the kernel's memory.

use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _},
};

/// The address can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("kernel memory at {0:#x} can't be read")]
pub struct Unreadable(pub u64);

/// A way to read the kernel's memory.
pub trait Memory {
    /// Fills `into` from `address` on.
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable>;

    /// One word.
    fn word(&mut self, address: u64) -> Result<u64, Unreadable> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl<M: Memory + ?Sized> Memory for &mut M {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        (**self).read(address, into)
    }
}

/// The most bytes that the probe reads at once.
const CAPACITY: usize = 1024;

/// Reads with a small eBPF program that is never attached, only run. It needs no more privilege than the
/// probes themselves.
pub(in crate::source::live) struct BpfMemory<'ebpf> {
    program: &'ebpf RawTracePoint,
    place: Array<&'ebpf MapData, [u8; CAPACITY]>,
}

impl<'ebpf> BpfMemory<'ebpf> {
    /// Loads the program; an error says why it could not be.
    pub(in crate::source::live) fn load(ebpf: &mut Ebpf) -> Result<(), String> {
        let program: &mut RawTracePoint = ebpf
            .program_mut(PROGRAM)
            .ok_or_else(missing)?
            .try_into()
            .map_err(|_| missing())?;
        program.load().map_err(|error| error.to_string())
    }

    /// Reads with the program that has been loaded.
    pub(in crate::source::live) fn new(ebpf: &'ebpf Ebpf) -> Result<Self, String> {
        let program = ebpf
            .program(PROGRAM)
            .ok_or_else(missing)?
            .try_into()
            .map_err(|_| missing())?;
        let place = ebpf.map("MEMORY").ok_or_else(missing)?;
        let place = Array::try_from(place).map_err(|error| error.to_string())?;
        Ok(Self { program, place })
    }
}

impl BpfMemory<'_> {
    /// The address of the `task_struct` of the thread that asks.
    pub(in crate::source::live) fn own_task(&mut self) -> Result<u64, Unreadable> {
        self.run(0, 0)?;
        let place = self.place.get(&0, 0).map_err(|_| Unreadable(0))?;
        let (word, _) = place.split_first_chunk().ok_or(Unreadable(0))?;
        Ok(u64::from_ne_bytes(*word))
    }

    fn run(&mut self, address: u64, length: usize) -> Result<(), Unreadable> {
        let mut options = RawTracePointRunOptions::default();
        options.args[0] = address;
        options.args[1] = length as u64;
        match self.program.test_run(options) {
            Ok(run) if run.return_value == 0 => Ok(()),
            _ => Err(Unreadable(address)),
        }
    }
}

const PROGRAM: &str = "read_memory";

fn missing() -> String {
    "the eBPF object has no program to read memory".to_owned()
}

/// Memory that can't be read at all.
#[derive(Debug, Clone, Copy)]
pub struct NoMemory;

impl Memory for NoMemory {
    fn read(&mut self, address: u64, _into: &mut [u8]) -> Result<(), Unreadable> {
        Err(Unreadable(address))
    }
}

impl Memory for BpfMemory<'_> {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut at = address;
        for part in into.chunks_mut(CAPACITY) {
            self.run(at, part.len())?;
            let bytes = self.place.get(&0, 0).map_err(|_| Unreadable(at))?;
            part.copy_from_slice(bytes.get(..part.len()).ok_or(Unreadable(at))?);
            at = at.wrapping_add(part.len() as u64);
        }
        Ok(())
    }
}
