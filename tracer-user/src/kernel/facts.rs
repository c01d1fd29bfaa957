//! What tracing asks of the kernel's types. The answers are few, and kept as long as the kernel runs: to find them anew at
//! every start takes longer than to attach, and more memory than a small board has to spare.

use serde::{Deserialize, Serialize};
use tracer_ebpf::{Description, Hook, KernelFunction, Layout, Point};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{
    btf::{self, Numbers},
    types::{DeviceSetLayout, KernelTypes, LayoutError, ModuleLayout, typedef},
};

/// The answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFacts {
    /// A [`Layout`] as the probes read it.
    layout: Vec<u8>,
    device_set: DeviceSetLayout,
    modules: Option<ModuleLayout>,
    /// Of all that a hook may be attached to, and that the probes call.
    functions: Numbers,
    /// Of the typedefs by which BTF knows tracepoints.
    tracepoints: Numbers,
}

impl KernelFacts {
    /// What the types say.
    pub(super) fn of_types(types: &KernelTypes) -> Result<Self, LayoutError> {
        let rows = || Hook::TABLE.iter();
        let hooked = rows()
            .filter(|row| row.point == Point::Function)
            .flat_map(Description::candidates);
        let called = KernelFunction::ALL.iter().map(|function| function.symbol());
        let functions = hooked
            .chain(called)
            .filter_map(|name| Some((name.to_owned(), types.function_number(name)?)))
            .collect();
        let tracepoints = rows()
            .filter(|row| row.point == Point::Tracepoint)
            .map(|row| row.hook.symbol())
            .filter_map(|name| Some((typedef(name), types.tracepoint_number(name)?)))
            .collect();
        Ok(Self {
            layout: types.layout()?.as_bytes().to_vec(),
            device_set: types.device_set()?,
            modules: types.modules(),
            functions,
            tracepoints,
        })
    }

    /// What the probes must know.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        Layout::read_from_bytes(&self.layout).map_err(|_| {
            LayoutError::Unreadable("what an earlier start has kept of it is damaged".to_owned())
        })
    }

    /// What the walk over the device set must know.
    #[must_use]
    pub fn device_set(&self) -> DeviceSetLayout {
        self.device_set
    }

    /// Where a module's symbols are; `None` on kernels without them.
    #[must_use]
    pub fn modules(&self) -> Option<ModuleLayout> {
        self.modules
    }

    /// The number, in the kernel's BTF, of a function that a hook is attached to, or that the probes call.
    #[must_use]
    pub fn function_number(&self, name: &str) -> Option<u32> {
        self.functions.get(name).copied()
    }

    /// Whether the kernel has a tracepoint that a hook is attached to.
    #[must_use]
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoints.contains_key(&typedef(name))
    }

    #[cfg(test)]
    pub(super) fn functions_mut(&mut self) -> &mut Numbers {
        &mut self.functions
    }

    /// BTF with nothing but what the hooks can be attached to, for the loader.
    pub(crate) fn attach_targets(&self) -> Vec<u8> {
        btf::names_only(&self.functions, &self.tracepoints)
    }
}
