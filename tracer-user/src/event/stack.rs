//! Kernel stacks and functions, resolved to names by the source that saw them.

use std::{fmt, sync::Arc};

use super::Text;

/// A number that stands for a kernel stack from its definition on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId(pub u32);

/// What a stack number means.
#[derive(Debug, Clone, PartialEq)]
pub struct StackDefinition {
    /// The number.
    pub id: StackId,
    /// The frames, innermost first, without those of the tracer's own machinery.
    pub frames: Arc<[StackFrame]>,
}

/// One frame of a kernel stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackFrame {
    /// The return address, or zero where the source gives none.
    pub address: u64,
    /// The function it lies in, if known.
    pub function: Option<Arc<Function>>,
    /// Bytes from the function's start.
    pub offset: u64,
}

/// A kernel function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// Its address; zero where the source gives only the name.
    pub address: u64,
    /// Its name in kallsyms; `None` for an address that no symbol covers.
    pub name: Option<Text>,
    /// The module it belongs to; `None` for the kernel itself.
    pub module: Option<Text>,
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => formatter.write_str(name)?,
            None => write!(formatter, "{:#x}", self.address)?,
        }
        if let Some(module) = &self.module {
            write!(formatter, " [{module}]")?;
        }
        Ok(())
    }
}

impl fmt::Display for StackFrame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some(function) => match &function.name {
                Some(name) => {
                    write!(formatter, "{name}+{:#x}", self.offset)?;
                    if let Some(module) = &function.module {
                        write!(formatter, " [{module}]")?;
                    }
                    Ok(())
                }
                None => write!(formatter, "{function}"),
            },
            None => write!(formatter, "{:#x}", self.address),
        }
    }
}
