//! Where the code of a file lay in memory, as far as that is known.

use crate::kernel::{KernelImage, LoadedModule};

/// Where the code of a file lay.
#[derive(Debug, Clone, Copy)]
pub(super) enum Placement<'a> {
    /// Nobody knows.
    Unknown,
    /// The kernel's first byte of code lay here.
    Kernel(u64),
    /// The sections of a module's file lay where it says.
    Module(&'a LoadedModule),
}

impl<'a> Placement<'a> {
    pub(super) fn of_kernel(image: &KernelImage) -> Self {
        image
            .text
            .map_or(Self::Unknown, |text| Self::Kernel(text.0))
    }

    pub(super) fn of_module(loaded: Option<&'a LoadedModule>) -> Self {
        match loaded {
            Some(loaded) if !loaded.sections.is_empty() => Self::Module(loaded),
            _ => Self::Unknown,
        }
    }
}
