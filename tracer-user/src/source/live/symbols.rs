//! The kernel's own symbols, from `/proc/kallsyms`.

use std::{
    fs::File,
    io::{self, BufReader},
    sync::Arc,
};

use hashbrown::HashMap;

use crate::event::{Function, ModuleCode, StackFrame, Text};

/// Where the kernel lists its symbols.
pub const KALLSYMS: &str = "/proc/kallsyms";

/// Why the symbols could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The file can't be read.
    #[error("{KALLSYMS} can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// All addresses are zero.
    #[error(
        "{KALLSYMS} shows no addresses: run as root with CAP_SYSLOG, or set the sysctl kernel.kptr_restrict to 1 or 0"
    )]
    Hidden,
}

/// A symbol table.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Functions by address.
    functions: Vec<Symbol>,
    /// Modules that came after the table was read, the newest last.
    newer: Vec<ModuleSymbols>,
    /// Modules that were in the table and have gone, by index plus one.
    gone: Vec<u16>,
    /// The names of all functions, one behind another.
    names: String,
    /// Module names; a symbol refers to them by index plus one.
    modules: Vec<Text>,
    /// Addresses that have been looked up.
    known: HashMap<u64, Arc<Function>>,
}

/// The functions of one module, with their sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleSymbols {
    /// The module's name.
    pub name: Text,
    /// Where its code lies, if known.
    pub code: Option<ModuleCode>,
    /// Where the code lies that it needs only while it is loaded, if known. That memory is another's before long.
    pub init: Option<ModuleCode>,
    /// Its functions by address.
    pub functions: Vec<ModuleFunction>,
}

/// A function of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFunction {
    /// Where it begins.
    pub address: u64,
    /// How many bytes it takes.
    pub size: u64,
    /// Its name.
    pub name: Text,
}

impl ModuleSymbols {
    /// Where its code lies, from the first function's beginning to the last one's end if that is not known.
    fn range(&self) -> std::ops::Range<u64> {
        if let Some(code) = self.code {
            return code.begin..code.begin.saturating_add(code.size);
        }
        let start = self
            .functions
            .first()
            .map_or(0, |function| function.address);
        let end = self
            .functions
            .iter()
            .map(|function| function.address.saturating_add(function.size))
            .max();
        start..end.unwrap_or(start)
    }

    fn find(&self, address: u64) -> Option<&ModuleFunction> {
        let behind = self
            .functions
            .partition_point(|function| function.address <= address);
        let nearest = self.functions.get(behind.checked_sub(1)?)?;
        if address - nearest.address >= nearest.size {
            return None;
        }
        // Of several names for one address the kernel prints the first in the table, as `demo_init` and not the
        // `init_module` that every module has.
        let first = self
            .functions
            .partition_point(|function| function.address < nearest.address);
        self.functions.get(first)
    }
}

/// A line of `/proc/kallsyms`.
pub(super) struct Line<'text> {
    pub(super) address: u64,
    /// As `nm` shows it, one letter.
    pub(super) kind: &'text str,
    pub(super) name: &'text str,
    pub(super) module: Option<&'text str>,
}

impl<'text> Line<'text> {
    /// Reads a line, unless it is in another format or its address is hidden.
    pub(super) fn read(line: &'text str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let (kind, name) = (fields.next()?, fields.next()?);
        let module = fields.next();
        (address != 0).then_some(Self {
            address,
            kind,
            name,
            module: module.map(|module| module.trim_start_matches('[').trim_end_matches(']')),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Symbol {
    address: u64,
    name: u32,
    length: u16,
    module: u16,
}

/// The longest distance from a function's start at which an address is still taken to lie in it: the table
/// has no ends, but functions are smaller than this.
const LONGEST_FUNCTION: u64 = 1 << 16;
/// Modules and generated code begin at pages.
const PAGE: u64 = 1 << 12;

impl Symbols {
    /// Reads the running kernel's table.
    pub fn of_running_kernel() -> Result<Self, SymbolError> {
        let symbols = Self::read(BufReader::with_capacity(1 << 16, File::open(KALLSYMS)?))?;
        if symbols.functions.is_empty() {
            Err(SymbolError::Hidden)
        } else {
            Ok(symbols)
        }
    }

    /// Reads a table in the format of `/proc/kallsyms`; lines that are not in it are passed over.
    pub fn read(mut table: impl io::BufRead) -> io::Result<Self> {
        let mut symbols = Self::default();
        let mut modules: HashMap<Text, u16> = HashMap::new();
        let mut line = Vec::with_capacity(128);
        while table.read_until(b'\n', &mut line)? > 0 {
            if let Ok(text) = std::str::from_utf8(&line) {
                symbols.line(text.trim_end(), &mut modules);
            }
            line.clear();
        }
        symbols.functions.sort_by_key(|symbol| symbol.address);
        Ok(symbols)
    }

    fn line(&mut self, line: &str, modules: &mut HashMap<Text, u16>) {
        let Some(Line {
            address,
            kind: "t" | "T" | "w" | "W",
            name,
            module,
        }) = Line::read(line)
        else {
            return;
        };
        let module = module.map_or(0, |module| {
            if let Some(index) = modules.get(module) {
                return *index;
            }
            let name: Text = module.into();
            self.modules.push(name.clone());
            let index = u16::try_from(self.modules.len()).unwrap_or(0);
            modules.insert(name, index);
            index
        });
        let (Ok(start), Ok(length)) = (u32::try_from(self.names.len()), u16::try_from(name.len()))
        else {
            return;
        };
        self.names.push_str(name);
        self.functions.push(Symbol {
            address,
            name: start,
            length,
            module,
        });
    }

    /// Whether there is a function of this name.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.functions
            .iter()
            .any(|symbol| self.name(*symbol) == name)
    }

    /// The function that begins at, or holds, this address.
    pub fn function(&mut self, address: u64) -> Arc<Function> {
        if let Some(known) = self.known.get(&address) {
            return Arc::clone(known);
        }
        let found = self.newer.iter().rev().find_map(|module| {
            let function = module.find(address);
            let mut codes = module.code.iter().chain(&module.init);
            (function.is_some() || codes.any(|code| code.holds(address)))
                .then_some((module, function))
        });
        let function = match (found, self.find(address)) {
            (Some((module, function)), _) => Function {
                address: function.map_or(address, |function| function.address),
                name: function.map(|function| function.name.clone()),
                module: Some(module.name.clone()),
            },
            (None, Some(symbol)) => Function {
                address: symbol.address,
                name: Some(self.name(symbol).into()),
                module: self.module(symbol),
            },
            (None, None) => Function {
                address,
                name: None,
                module: None,
            },
        };
        let function = Arc::new(function);
        self.known.insert(address, Arc::clone(&function));
        function
    }

    /// One frame of a stack.
    pub fn frame(&mut self, address: u64) -> StackFrame {
        // A return address lies behind its call, which may be the function's last instruction.
        let function = self.function(address.saturating_sub(1));
        let offset = address.saturating_sub(function.address);
        let known = function.name.is_some();
        StackFrame {
            address,
            function: (known || function.module.is_some()).then_some(function),
            offset: if known { offset } else { 0 },
            line: None,
        }
    }

    /// Takes in the functions of a module that came after the table was read. What lay at their addresses
    /// before is gone.
    pub fn add_module(&mut self, mut module: ModuleSymbols) {
        module.functions.sort_by_key(|function| function.address);
        let range = module.range();
        self.newer.retain(|earlier| {
            let other = earlier.range();
            earlier.name != module.name && (other.end <= range.start || range.end <= other.start)
        });
        self.known
            .retain(|_, function| function.module.is_none() && function.name.is_some());
        self.newer.push(module);
    }

    /// A module has gone: its addresses mean nothing any more.
    pub fn remove_module(&mut self, name: &str) {
        self.newer.retain(|module| &*module.name != name);
        let index = self.modules.iter().position(|known| &**known == name);
        let index = index.and_then(|index| u16::try_from(index + 1).ok());
        if let Some(index) = index
            && !self.gone.contains(&index)
        {
            self.gone.push(index);
        }
        self.known
            .retain(|_, function| function.module.is_none() && function.name.is_some());
    }

    /// Takes over the modules that an earlier table had been told of and whose functions could not be read: this one
    /// does not have them either, if they were gone when it was read.
    pub(super) fn take_over(&mut self, earlier: Self) {
        let nameless = earlier
            .newer
            .into_iter()
            .filter(|module| module.functions.is_empty());
        self.newer.splice(0..0, nameless);
    }

    /// Whether the address lies in a function of the kernel itself, not of a module.
    #[must_use]
    pub fn is_of_kernel_itself(&self, address: u64) -> bool {
        self.find(address).is_some_and(|symbol| symbol.module == 0)
    }

    fn find(&self, address: u64) -> Option<Symbol> {
        let behind = self
            .functions
            .partition_point(|symbol| symbol.address <= address);
        let mut symbol = *self.functions.get(behind.checked_sub(1)?)?;
        if address - symbol.address >= LONGEST_FUNCTION || self.gone.contains(&symbol.module) {
            return None;
        }
        // Between modules lie trampolines and programs that the table may not have. A module's last function
        // is taken to end with its page.
        let last = self
            .functions
            .get(behind)
            .is_none_or(|next| next.module != symbol.module);
        let generated = self.module(symbol).is_some_and(|module| &*module == "bpf");
        if symbol.module != 0 && (last || generated) && address / PAGE > symbol.address / PAGE {
            return None;
        }
        // Of several names for one address the first in the table is the one that the kernel prints.
        for earlier in self.functions[..behind - 1].iter().rev() {
            if earlier.address != symbol.address {
                break;
            }
            symbol = *earlier;
        }
        Some(symbol)
    }

    fn name(&self, symbol: Symbol) -> &str {
        let start = symbol.name as usize;
        self.names
            .get(start..start + usize::from(symbol.length))
            .unwrap_or_default()
    }

    fn module(&self, symbol: Symbol) -> Option<Text> {
        self.modules
            .get(usize::from(symbol.module).checked_sub(1)?)
            .cloned()
    }
}

#[cfg(test)]
mod tests;
