//! The kernel that is to record.

use std::{collections::HashMap, fs, io, path::Path};

use object::{
    Endianness, Object as _, ObjectSection as _,
    elf::{FileHeader32, FileHeader64},
    read::elf::{ElfFile, FileHeader},
};

use super::Machine;
use crate::kernel::{KernelTypes, LayoutError};

/// A kernel that is to record: what it has, and where its structures' members are.
pub struct Target {
    machine: Option<Machine>,
    types: Option<KernelTypes>,
    /// The functions outside of modules; only of the running kernel.
    functions: Option<HashMap<String, Found>>,
    /// Bytes of the command line that is there already.
    command_line: usize,
    /// Whether it is the running kernel.
    running: bool,
}

/// A function that the running kernel lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    /// How many have its name.
    count: u32,
    /// Where the last one is; zero where the kernel keeps that to itself.
    address: u64,
}

/// Why a target is not known.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The file can't be read.
    #[error("{name} can't be read")]
    Read {
        /// The file's name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The file is a program or kernel without types.
    #[error(
        "{0} has no section .BTF: it must be the vmlinux of a kernel built with CONFIG_DEBUG_INFO_BTF=y, or a copy of that \
         kernel's /sys/kernel/btf/vmlinux"
    )]
    NoBtf(String),
    /// The file is none.
    #[error("{name} is not BTF: {source}")]
    Unreadable {
        /// The file's name.
        name: String,
        /// Why not.
        source: LayoutError,
    },
    /// The architecture given is not the file's.
    #[error(
        "{name} is for {found}, not {asked}: leave out --arch, or give the right kernel's file"
    )]
    OtherMachine {
        /// The file's name.
        name: String,
        /// Its architecture.
        found: Machine,
        /// The one asked for.
        asked: Machine,
    },
}

/// The first bytes of BTF, in either byte order.
const BTF_MAGIC: [[u8; 2]; 2] = [[0x9f, 0xeb], [0xeb, 0x9f]];

impl Target {
    /// The running kernel, with what it publishes of itself.
    #[must_use]
    pub fn running() -> Self {
        let machine = nix::sys::utsname::uname()
            .ok()
            .and_then(|names| Machine::of_uname(&names.machine().to_string_lossy()));
        let command_line = fs::read("/proc/cmdline").unwrap_or_default();
        let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        Self {
            machine,
            types: KernelTypes::of_running_kernel().ok(),
            functions: Some(functions(&symbols)).filter(|functions| !functions.is_empty()),
            command_line: command_line.trim_ascii().len(),
            running: true,
        }
    }

    /// The kernel whose types a file holds: a copy of `/sys/kernel/btf/vmlinux`, or a vmlinux. Which architecture that
    /// is, the types say.
    pub fn of_file(path: &Path, asked: Option<Machine>) -> Result<Self, TargetError> {
        let name = path.display().to_string();
        let content = fs::read(path).map_err(|source| TargetError::Read {
            name: name.clone(),
            source,
        })?;
        let types = match content.get(..2) {
            Some(magic) if BTF_MAGIC.iter().any(|known| known == magic) => {
                KernelTypes::of_bytes(content)
            }
            _ => match section(&content) {
                Some(section) => KernelTypes::of_bytes(section.to_vec()),
                None => return Err(TargetError::NoBtf(name)),
            },
        };
        let types = types.map_err(|source| TargetError::Unreadable {
            name: name.clone(),
            source,
        })?;
        let found = Machine::ALL.into_iter().find(|machine| {
            let (structure, member) = machine.of_registers();
            types.offset_of(structure, &[member]).is_some()
        });
        if let (Some(found), Some(asked)) = (found, asked)
            && found != asked
        {
            return Err(TargetError::OtherMachine { name, found, asked });
        }
        Ok(Self {
            machine: found.or(asked),
            types: Some(types),
            functions: None,
            command_line: 0,
            running: false,
        })
    }

    /// A kernel of this architecture of which nothing else is known.
    #[must_use]
    pub fn unknown(machine: Machine) -> Self {
        Self {
            machine: Some(machine),
            types: None,
            functions: None,
            command_line: 0,
            running: false,
        }
    }

    /// Its architecture, if it is one whose registers are known.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        self.machine
    }

    /// Whether it is the running kernel.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Whether its types are known.
    #[must_use]
    pub fn has_types(&self) -> bool {
        self.types.is_some()
    }

    /// Bytes of the command line that is there already.
    #[must_use]
    pub fn command_line(&self) -> usize {
        self.command_line
    }

    /// Whether it has the tracepoint `devres_log`. Where nothing is known it is taken to: kernels from 5.15 on have it.
    #[must_use]
    pub fn has_tracepoint(&self) -> bool {
        match (&self.types, &self.functions) {
            (Some(types), _) => types.has_tracepoint("devres_log"),
            (None, Some(functions)) => functions.contains_key("__traceiter_devres_log"),
            (None, None) => true,
        }
    }

    /// Whether it can probe functions (`CONFIG_KPROBE_EVENTS`). Where nothing is known it is taken to.
    #[must_use]
    pub fn has_probe_events(&self) -> bool {
        match (&self.types, &self.functions) {
            (Some(types), _) => types.has_structure("trace_kprobe"),
            (None, Some(functions)) => functions.contains_key("kprobe_dispatcher"),
            (None, None) => true,
        }
    }

    /// Whether memory can be reserved by name for a buffer that outlives a reset (`reserve_mem=`, from 6.12 on).
    #[must_use]
    pub fn can_persist(&self) -> bool {
        const FINDS_RESERVED: &str = "reserve_mem_find_by_name";
        match (&self.types, &self.functions) {
            (Some(types), _) => types.has_function(FINDS_RESERVED),
            (None, Some(functions)) => functions.contains_key(FINDS_RESERVED),
            (None, None) => true,
        }
    }

    /// Whether a probe on this function finds it, and only it.
    #[must_use]
    pub fn has(&self, function: &str) -> bool {
        match (&self.functions, &self.types) {
            (Some(functions), _) => functions
                .get(function)
                .is_some_and(|found| found.count == 1),
            (None, Some(types)) => types.has_function(function),
            (None, None) => false,
        }
    }

    /// Where the running kernel has this function, if it says so. Unlike its name, which a module may use for a function
    /// of its own, that is unmistakable.
    #[must_use]
    pub fn address(&self, function: &str) -> Option<u64> {
        let found = self.functions.as_ref()?.get(function)?;
        Some(found.address).filter(|address| *address != 0)
    }

    /// Whether it is known which functions it has.
    #[must_use]
    pub fn knows_functions(&self) -> bool {
        self.functions.is_some() || self.types.is_some()
    }

    /// The offset of a member in bytes; `None` where it is not known.
    #[must_use]
    pub fn offset(&self, structure: &str, path: &[&str]) -> Option<usize> {
        self.types.as_ref()?.offset_of(structure, path)
    }

    /// Bytes of a pointer.
    #[must_use]
    pub fn word_size(&self) -> Option<usize> {
        self.machine.map(Machine::word_size)
    }
}

/// The functions outside of modules, by the text of kallsyms.
fn functions(symbols: &str) -> HashMap<String, Found> {
    let mut functions: HashMap<String, Found> = HashMap::new();
    for line in symbols.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(kind), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if matches!(kind, "t" | "T") {
            let found = functions.entry(name.to_owned()).or_default();
            found.count += 1;
            found.address = u64::from_str_radix(address, 16).unwrap_or_default();
        }
    }
    functions
}

/// The types in a program or kernel.
fn section(file: &[u8]) -> Option<&[u8]> {
    fn of<Header: FileHeader>(file: &[u8]) -> Option<&[u8]> {
        let file = ElfFile::<Header>::parse(file).ok()?;
        file.section_by_name(".BTF")?.data().ok()
    }
    of::<FileHeader64<Endianness>>(file).or_else(|| of::<FileHeader32<Endianness>>(file))
}

#[cfg(test)]
mod tests {
    use super::{Found, functions};

    #[test]
    fn functions_of_modules_do_not_count() {
        let symbols = "ffffffff81928390 t add_dr\n\
                       ffffffffc0310000 t add_dr\t[drm]\n\
                       ffffffff81928000 T devres_add\n\
                       ffffffff81928000 t twice\n\
                       ffffffff81929000 t twice\n\
                       ffffffff82000000 D data\n";
        let functions = functions(symbols);
        let found = |count, address| Some(Found { count, address });
        assert_eq!(
            functions.get("add_dr").copied(),
            found(1, 0xffff_ffff_8192_8390)
        );
        assert_eq!(
            functions.get("twice").copied(),
            found(2, 0xffff_ffff_8192_9000)
        );
        assert_eq!(functions.get("data"), None);
    }
}
