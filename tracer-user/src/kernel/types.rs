//! Structure offsets of the running kernel, from its BTF.

use std::{fs, io};

use serde::{Deserialize, Serialize};
use tracer_ebpf::Layout;

use super::btf::{Kind, Type, Types};

/// Where the kernel publishes its own types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why the kernel's types could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// There is no BTF file.
    #[error(
        "this kernel has no BTF ({KERNEL_BTF} is missing): it must be built with CONFIG_DEBUG_INFO_BTF=y, as \
         distribution kernels since 2020 are"
    )]
    NoBtf,
    /// The BTF can't be read or parsed.
    #[error("{KERNEL_BTF} can't be read: {0}")]
    Unreadable(String),
    /// A structure or member that every known kernel has is not there.
    #[error(
        "this kernel's BTF has no `{0}`: this tool does not support the kernel yet; please report it"
    )]
    Missing(String),
}

impl From<io::Error> for LayoutError {
    /// Reading [`KERNEL_BTF`] has failed.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoBtf,
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

/// The types of the running kernel.
pub struct KernelTypes {
    types: Types,
}

/// Offsets that only the snapshot's walk over the device set needs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSetLayout {
    /// Size of `struct device`.
    pub device_size: usize,
    /// `device.kobj.entry`: the link in its set.
    pub device_entry: usize,
    /// `kset.list`.
    pub set_list: usize,
    /// `kset.kobj`.
    pub set_object: usize,
    /// `kobject.name`.
    pub object_name: usize,
    /// `task_struct.comm`.
    pub task_name: usize,
    /// `task_struct.files`, `files_struct.fdt`, `fdtable.fd`: what leads from a task to its open files.
    pub open_files: [usize; 3],
    /// `file.f_inode`, `inode.i_private`, `kernfs_node.priv`: what leads from a file of sysfs to its object.
    pub object_of_file: [usize; 3],
    /// `devres_node.entry`.
    pub node_entry: usize,
    /// `devres_node.name`, on kernels that keep it.
    pub node_name: Option<usize>,
    /// `devres_node.size`, on kernels that keep it.
    pub node_size: Option<usize>,
}

/// Offsets that finding a module's symbols needs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleLayout {
    /// `module.kallsyms`.
    pub kallsyms: u64,
    /// `mod_kallsyms.symtab`.
    pub symbols: u64,
    /// `mod_kallsyms.num_symtab`.
    pub count: u64,
    /// `mod_kallsyms.strtab`.
    pub strings: u64,
}

/// `enum mod_mem_type`; `MOD_TEXT` is the first.
const MOD_INIT_TEXT: u32 = 4;

impl KernelTypes {
    /// Reads the running kernel's BTF.
    pub fn of_running_kernel() -> Result<Self, LayoutError> {
        Self::of_bytes(fs::read(KERNEL_BTF)?)
    }

    /// Reads the BTF of some kernel from memory.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self, LayoutError> {
        let types =
            Types::parse(bytes).map_err(|error| LayoutError::Unreadable(error.to_string()))?;
        Ok(Self { types })
    }

    /// The offset of a member, or of a member of a member, in bytes; `None` where the kernel has no such.
    #[must_use]
    pub fn offset_of(&self, structure: &str, path: &[&str]) -> Option<usize> {
        self.offset(structure, path).ok()
    }

    /// Whether the kernel has a structure of this name.
    #[must_use]
    pub fn has_structure(&self, name: &str) -> bool {
        self.structure(name).is_ok()
    }

    /// Whether the kernel has a function of this name that BTF describes, so that fentry could attach.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.function_number(name).is_some()
    }

    /// The number of a kernel function in the kernel's BTF.
    pub(super) fn function_number(&self, name: &str) -> Option<u32> {
        let (number, _) = self.types.named(name, Kind::Function)?;
        Some(number)
    }

    /// Whether the kernel has this tracepoint.
    #[must_use]
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoint_number(name).is_some()
    }

    pub(super) fn tracepoint_number(&self, name: &str) -> Option<u32> {
        let (number, _) = self.types.named(&typedef(name), Kind::Typedef)?;
        Some(number)
    }

    /// How many parameters a kernel function takes.
    #[must_use]
    pub fn parameters(&self, name: &str) -> Option<usize> {
        let (_, function) = self.types.named(name, Kind::Function)?;
        let prototype = self.types.get(function.last)?;
        (prototype.kind == Kind::Prototype).then_some(prototype.parts)
    }

    /// What the probes must know.
    pub(super) fn layout(&self) -> Result<Layout, LayoutError> {
        let (module_text, module_text_size) = self.module_text(0, "core_layout").unwrap_or((0, 0));
        let (module_init_text, module_init_text_size) = self
            .module_text(MOD_INIT_TEXT, "init_layout")
            .unwrap_or((0, 0));
        let release_behind_node = self.offset("devres", &["release"]).is_ok();
        // Zero stands for what the kernel does not have.
        let optional = |name, member| self.word(name, &[member]).unwrap_or(0);
        Ok(Layout {
            device_name: self.word("device", &["kobj", "name"])?,
            device_init_name: self.word("device", &["init_name"])?,
            device_parent: self.word("device", &["parent"])?,
            device_bus: self.word("device", &["bus"])?,
            device_class: self.word("device", &["class"])?,
            device_driver: self.word("device", &["driver"])?,
            device_pm_domain: self.word("device", &["pm_domain"])?,
            device_devres_head: self.word("device", &["devres_head"])?,
            pm_domain_detach: self.word("dev_pm_domain", &["detach"])?,
            driver_name: self.word("device_driver", &["name"])?,
            bus_name: self.word("bus_type", &["name"])?,
            class_name: self.word("class", &["name"])?,
            module_name: self.word("module", &["name"])?,
            module_text,
            module_text_size,
            module_init_text,
            module_init_text_size,
            module_kallsyms: self.word("module", &["kallsyms"]).unwrap_or(0),
            kallsyms_symtab: self.word("mod_kallsyms", &["symtab"]).unwrap_or(0),
            irqaction_dev_id: self.word("irqaction", &["dev_id"])?,
            clk_core_name: optional("clk_core", "name"),
            clk_core_hw: optional("clk_core", "hw"),
            clk_core_flags: optional("clk_core", "flags"),
            clk_core_enable_count: optional("clk_core", "enable_count"),
            clk_core_children: optional("clk_core", "children"),
            clk_core_clks: optional("clk_core", "clks"),
            clk_clks_node: optional("clk", "clks_node"),
            clk_hw_clk: optional("clk_hw", "clk"),
            regulator_enable_count: optional("regulator", "enable_count"),
            regulator_supply_name: optional("regulator", "supply_name"),
            kobject_kref: optional("kobject", "kref"),
            cdev_number: optional("cdev", "dev"),
            notifier_call: optional("notifier_block", "notifier_call"),
            notifier_next: optional("notifier_block", "next"),
            raw_notifier_head: optional("raw_notifier_head", "head"),
            blocking_notifier_head: optional("blocking_notifier_head", "head"),
            atomic_notifier_head: optional("atomic_notifier_head", "head"),
            srcu_notifier_head: optional("srcu_notifier_head", "head"),
            input_handler_connect: optional("input_handler", "connect"),
            input_handler_node: optional("input_handler", "node"),
            node_release: self.word("devres_node", &["release"])?,
            node_size: word(self.size("devres_node")?)?,
            payload: self.word("devres", &["data"])?,
            group_id: self.word("devres_group", &["id"])?,
            task_name: self.typed_task_name(),
            release_behind_node: u32::from(release_behind_node),
            logged: u32::from(self.has_tracepoint("devres_log")),
            beside: 0,
            frees: 0,
            pending: 0,
            stacks: 1,
            log: 0,
            wake_up_at: 0,
        })
    }

    /// Where the running task has its name, if a probe may load it as two words; else zero.
    fn typed_task_name(&self) -> u32 {
        let name = self.word("task_struct", &["comm"]).unwrap_or(0);
        let is_loaded = self.has_function("bpf_get_current_task_btf") && name.is_multiple_of(8);
        if is_loaded { name } else { 0 }
    }

    /// Where a module's code of one kind begins, and its size: from 6.4 on one of its memories, before one of two
    /// layouts.
    fn module_text(&self, memory: u32, layout: &str) -> Option<(u32, u32)> {
        let offset = |name, path: &[&str]| self.word(name, path).ok();
        if let Some(memories) = offset("module", &["mem"]) {
            let place = memories + memory * word(self.size("module_memory").ok()?).ok()?;
            return Some((
                place + offset("module_memory", &["base"])?,
                place + offset("module_memory", &["size"])?,
            ));
        }
        Some((
            offset("module", &[layout, "base"])?,
            offset("module", &[layout, "text_size"])?,
        ))
    }

    /// What the walk over the device set must know.
    pub(super) fn device_set(&self) -> Result<DeviceSetLayout, LayoutError> {
        Ok(DeviceSetLayout {
            device_size: self.size("device")?,
            device_entry: self.offset("device", &["kobj", "entry"])?,
            set_list: self.offset("kset", &["list"])?,
            set_object: self.offset("kset", &["kobj"])?,
            object_name: self.offset("kobject", &["name"])?,
            task_name: self.offset("task_struct", &["comm"])?,
            open_files: [
                self.offset("task_struct", &["files"])?,
                self.offset("files_struct", &["fdt"])?,
                self.offset("fdtable", &["fd"])?,
            ],
            object_of_file: [
                self.offset("file", &["f_inode"])?,
                self.offset("inode", &["i_private"])?,
                self.offset("kernfs_node", &["priv"])?,
            ],
            node_entry: self.offset("devres_node", &["entry"])?,
            node_name: self.offset("devres_node", &["name"]).ok(),
            node_size: self.offset("devres_node", &["size"]).ok(),
        })
    }

    /// Where a module's symbols are; `None` on kernels without them.
    pub(super) fn modules(&self) -> Option<ModuleLayout> {
        let offset = |name, path: &[&str]| self.offset(name, path).ok().map(|offset| offset as u64);
        Some(ModuleLayout {
            kallsyms: offset("module", &["kallsyms"])?,
            symbols: offset("mod_kallsyms", &["symtab"])?,
            count: offset("mod_kallsyms", &["num_symtab"])?,
            strings: offset("mod_kallsyms", &["strtab"])?,
        })
    }

    fn structure(&self, name: &str) -> Result<Type, LayoutError> {
        self.types
            .named(name, Kind::Structure)
            .map(|(_, structure)| structure)
            .ok_or_else(|| LayoutError::Missing(format!("struct {name}")))
    }

    fn size(&self, name: &str) -> Result<usize, LayoutError> {
        Ok(self.structure(name)?.last as usize)
    }

    fn word(&self, name: &str, path: &[&str]) -> Result<u32, LayoutError> {
        word(self.offset(name, path)?)
    }

    /// The offset of a member, or of a member of a member, also inside anonymous structures and unions.
    fn offset(&self, name: &str, path: &[&str]) -> Result<usize, LayoutError> {
        let missing = || LayoutError::Missing(format!("struct {name}, member {}", path.join(".")));
        let mut structure = self.structure(name)?;
        let mut bits = 0;
        for (depth, wanted) in path.iter().enumerate() {
            let (offset, member) = self.member(structure, wanted, 0).ok_or_else(missing)?;
            bits = offset.checked_add(bits).ok_or_else(missing)?;
            if depth + 1 < path.len() {
                structure = self
                    .types
                    .resolved(member)
                    .filter(|inner| inner.kind == Kind::Structure)
                    .ok_or_else(missing)?;
            }
        }
        Ok(bits as usize / 8)
    }

    /// The offset of a member in bits, and the number of its type.
    fn member(&self, of: Type, wanted: &str, depth: u32) -> Option<(u32, u32)> {
        /// Anonymous members nest two or three levels deep in the kernel.
        const DEEPEST: u32 = 8;
        for member in self.types.members(of) {
            if member.name == wanted.as_bytes() {
                return Some((member.offset, member.number));
            }
            if !member.name.is_empty() || depth == DEEPEST {
                continue;
            }
            let inner = self.types.get(member.number)?;
            if matches!(inner.kind, Kind::Structure | Kind::Union)
                && let Some((offset, found)) = self.member(inner, wanted, depth + 1)
            {
                return Some((member.offset.checked_add(offset)?, found));
            }
        }
        None
    }
}

/// How BTF calls a tracepoint.
pub(super) fn typedef(tracepoint: &str) -> String {
    format!("btf_trace_{tracepoint}")
}

fn word(offset: usize) -> Result<u32, LayoutError> {
    u32::try_from(offset)
        .map_err(|_| LayoutError::Missing("a member within four gigabytes".to_owned()))
}
