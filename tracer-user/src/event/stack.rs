//! Kernel stacks and functions, resolved to names by the source that saw them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Text, hex};

/// A number that stands for a kernel stack from its definition on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StackId(pub u32);

/// What a stack number means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackDefinition {
    /// The number.
    pub id: StackId,
    /// The frames, innermost first, without those of the tracer's own machinery.
    pub frames: Arc<[StackFrame]>,
}

/// One frame of a kernel stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackFrame {
    /// The return address, or zero where the source gives none.
    #[serde(with = "hex")]
    pub address: u64,
    /// The function it lies in, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Arc<Function>>,
    /// Bytes from the function's start.
    pub offset: u64,
}

/// A kernel function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Function {
    /// Its address; zero where the source gives only the name.
    #[serde(with = "hex")]
    pub address: u64,
    /// Its name in kallsyms; `None` for an address that no symbol covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The module it belongs to; `None` for the kernel itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Text>,
}

impl Function {
    /// Its name in the source: without what the compiler puts behind that of a part or a variant, as in
    /// `foo.isra.0`, `foo.part.3.cold` or `foo.llvm.123`, which is another with each compiler.
    #[must_use]
    pub fn base_name(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        // A name in the source has no dot. One that begins with a dot is left alone.
        Some(match name.find('.') {
            Some(dot) if dot > 0 => name.get(..dot).unwrap_or(name),
            _ => name,
        })
    }
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
