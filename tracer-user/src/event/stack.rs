//! Kernel stacks and functions, resolved to names by the source that saw them.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SourceLine, Text, hex};

/// A number that stands for a kernel stack from its definition on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct StackId(pub u32);

/// What a stack number means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StackDefinition {
    /// The number.
    pub id: StackId,
    /// The frames, innermost first, without those of the tracer's own machinery.
    pub frames: Arc<[StackFrame]>,
}

impl StackDefinition {
    /// A name for one of this stack's functions that is the same in every run, without what compilers append. What a
    /// module does while it is being loaded has none: its symbols are gone a moment later, so that they are known in one
    /// run and not in the next.
    #[must_use]
    pub fn lasting_name<'f>(&self, function: &'f Function) -> Option<&'f str> {
        function.base_name().filter(|_| !self.initialises(function))
    }

    /// Whether the function is code of a module that the module's initialisation has called, without going through
    /// anybody else. Where not even the module is known, the frame has no function, and its caller stands for it.
    fn initialises(&self, function: &Function) -> bool {
        if is_initcall(function) {
            return true;
        }
        if function.module.is_none() {
            return false;
        }
        let functions = || self.frames.iter().map(|frame| frame.function.as_deref());
        functions()
            .skip_while(|known| *known != Some(function))
            .find(|known| known.is_none_or(|known| known.module != function.module))
            .flatten()
            .is_some_and(is_initcall)
    }
}

/// Whether this is what the kernel calls a module's initialisation from.
fn is_initcall(function: &Function) -> bool {
    let name = function.base_name();
    function.module.is_none() && matches!(name, Some("do_one_initcall" | "do_init_module"))
}

/// One frame of a kernel stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct StackFrame {
    /// The return address, or zero where the source gives none, or the module has been loaded elsewhere before.
    #[serde(with = "hex")]
    #[schemars(with = "hex::Hexadecimal")]
    pub address: u64,
    /// The function it lies in, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Arc<Function>>,
    /// Bytes from the function's start; zero also where the source does not tell it: no call returns to a function's
    /// first byte.
    pub offset: u64,
    /// The line of the call in the source, where debug info was looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Arc<SourceLine>>,
}

/// A kernel function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Function {
    /// Its address; zero where the source gives only the name, or its module has been loaded elsewhere before.
    #[serde(with = "hex")]
    #[schemars(with = "hex::Hexadecimal")]
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
                    formatter.write_str(name)?;
                    if self.offset != 0 {
                        write!(formatter, "+{:#x}", self.offset)?;
                    }
                    if let Some(module) = &function.module {
                        write!(formatter, " [{module}]")?;
                    }
                }
                None => write!(formatter, "{function}")?,
            },
            None => write!(formatter, "{:#x}", self.address)?,
        }
        match &self.line {
            Some(line) => write!(formatter, " at {line}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack, innermost first: `function@module`, `@module` where the function's name is not known, or `?` where
    /// nothing is.
    fn stack(frames: &[&str]) -> StackDefinition {
        let frame = |text: &&str| {
            let (name, module) = match text.split_once('@') {
                Some((name, module)) => (name, Some(Text::from(module))),
                None => (*text, None),
            };
            StackFrame {
                address: 0xffff_ffff_c000_1000,
                function: (*text != "?").then(|| {
                    Arc::new(Function {
                        address: 0,
                        name: (!name.is_empty()).then(|| Text::from(name)),
                        module,
                    })
                }),
                offset: 0,
                line: None,
            }
        };
        StackDefinition {
            id: StackId(0),
            frames: frames.iter().map(frame).collect(),
        }
    }

    /// The lasting name of the function at this depth.
    fn lasting(frames: &[&str], depth: usize) -> Option<String> {
        let stack = stack(frames);
        let function = stack.frames.get(depth)?.function.clone()?;
        stack.lasting_name(&function).map(str::to_owned)
    }

    #[test]
    fn what_a_module_does_while_it_is_loaded_has_no_name_that_lasts() {
        for innermost in ["drv_init@drv", "init_module@drv", "@drv"] {
            let frames = [
                "devres_open_group",
                innermost,
                "do_one_initcall",
                "do_init_module",
            ];
            assert_eq!(lasting(&frames, 1), None, "{innermost}");
        }
        assert_eq!(
            lasting(&["helper@drv", "drv_init@drv", "do_one_initcall"], 0),
            None
        );
        // Not even the module is known, and the caller stands for it.
        assert_eq!(lasting(&["?", "do_one_initcall"], 1), None);
    }

    #[test]
    fn other_functions_keep_their_names() {
        let probed = [
            "drv_probe.cold@drv",
            "really_probe",
            "drv_init@drv",
            "do_one_initcall",
        ];
        assert_eq!(lasting(&probed, 0).as_deref(), Some("drv_probe"));
        // A library that another module's initialisation calls.
        let library = ["lib_add@lib", "@drv", "do_one_initcall"];
        assert_eq!(lasting(&library, 0).as_deref(), Some("lib_add"));
        let built_in = ["drv_init", "do_one_initcall"];
        assert_eq!(lasting(&built_in, 0).as_deref(), Some("drv_init"));
        assert_eq!(
            lasting(&["drv_remove@drv"], 0).as_deref(),
            Some("drv_remove")
        );
    }
}
