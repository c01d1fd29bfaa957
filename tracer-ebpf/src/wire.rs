//! Records in the ring buffer.
//!
//! Every record begins with a [`Header`] whose `kind` says which structure follows. Numbers are in the
//! machine's own byte order: a record never leaves the machine in this form.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Longest resource name that a record carries, with its terminating zero.
pub const NODE_NAME_CAPACITY: usize = 64;
/// Room for the name in the records of most nodes, whose names are shorter.
pub const SHORT_NODE_NAME: usize = 24;
/// Longest device name that a record carries, with its terminating zero.
pub const DEVICE_NAME_CAPACITY: usize = 64;
/// Longest driver or bus name that a record carries, with its terminating zero.
pub const DRIVER_NAME_CAPACITY: usize = 32;
/// Longest name of a clock or regulator that a record carries, with its terminating zero.
pub const SUPPLY_NAME_CAPACITY: usize = 48;
/// Longest module name (`MODULE_NAME_LEN`).
pub const MODULE_NAME_CAPACITY: usize = 56;
/// Size of the pieces of kernel memory that a [`PageRecord`] carries, and what their addresses are multiples of.
pub const PAGE: usize = 4096;
/// The innermost frames of a kernel stack that are kept: a driver's probe below three other devices' has fewer.
pub const STACK_DEPTH: usize = 48;
/// No kernel stack was taken.
pub const NO_STACK: i32 = -1;
/// The stack is in a [`StackRecord`] of the same task, right before this record.
pub const STACK_BEFORE: i32 = -2;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`DeviceRecord`].
    Device = 1,
    /// [`AddRecord`], `devres_log` ADD.
    Add = 2,
    /// [`NodeRecord`], `devres_log` REM.
    Remove = 3,
    /// [`NodeRecord`], `devres_log` REL.
    Release = 4,
    /// [`NodeRecord`], `devres_log` REPLACE.
    Replace = 5,
    /// [`CallRecord`], a function was entered.
    Enter = 6,
    /// [`CallRecord`], a function returned.
    Leave = 7,
    /// [`StackRecord`].
    Stack = 8,
    /// [`ModuleRecord`].
    Module = 9,
    /// [`PageRecord`].
    Page = 10,
    /// [`NamedCallRecord`], a function was entered.
    EnterNamed = 11,
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Device,
            2 => Self::Add,
            3 => Self::Remove,
            4 => Self::Release,
            5 => Self::Replace,
            6 => Self::Enter,
            7 => Self::Leave,
            8 => Self::Stack,
            9 => Self::Module,
            10 => Self::Page,
            11 => Self::EnterNamed,
            _ => return None,
        })
    }
}

/// What every record begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// `bpf_ktime_get_ns()`.
    pub time: u64,
    /// The `struct device *`.
    pub device: u64,
    /// Thread id.
    pub tid: u32,
    /// Thread group id.
    pub tgid: u32,
    /// `current->comm`.
    pub comm: [u8; 16],
    /// A number in the stack map, [`NO_STACK`] or [`STACK_BEFORE`].
    pub stack: i32,
    /// How many records had been lost for want of room before this one, modulo 2^32.
    pub lost: u32,
    /// The CPU.
    pub cpu: u16,
    /// A [`Kind`].
    pub kind: u8,
    /// A [`Hook`](crate::Hook).
    pub hook: u8,
    /// Always zero.
    pub reserved: u32,
}

/// Who a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DeviceRecord {
    /// The beginning of every record.
    pub header: Header,
    /// `dev->parent`.
    pub parent: u64,
    /// `dev_name()`, empty before it is set.
    pub name: [u8; DEVICE_NAME_CAPACITY],
    /// The driver's name, empty where there is none.
    pub driver: [u8; DRIVER_NAME_CAPACITY],
    /// The bus's name, else the class's.
    pub bus: [u8; DRIVER_NAME_CAPACITY],
}

/// A node that is being added. The name follows, with its terminating zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AddRecord {
    /// The beginning of every record.
    pub header: Header,
    /// The `struct devres_node *`.
    pub node: u64,
    /// The size that the kernel logs.
    pub size: u64,
    /// `node->release`.
    pub release: u64,
    /// The two words behind the node, where [`release_behind_node`](crate::Layout::release_behind_node).
    pub behind: [u64; 2],
    /// The first words of the payload; for an opening group marker the first is the group's id.
    pub payload: [u64; 4],
}

/// A node that is being removed, released or replaced. The name follows, with its terminating zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NodeRecord {
    /// The beginning of every record.
    pub header: Header,
    /// The `struct devres_node *`.
    pub node: u64,
    /// The size that the kernel logs.
    pub size: u64,
}

/// A function that was entered or has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CallRecord {
    /// The beginning of every record.
    pub header: Header,
    /// On entry the first argument behind the device; on return the returned value.
    pub first: u64,
    /// On entry the second argument behind the device.
    pub second: u64,
    /// `dev->pm_domain`, for the hooks that have to do with it.
    pub pm_domain: u64,
    /// `dev->pm_domain->detach`.
    pub pm_detach: u64,
}

/// A function that was entered, for something that has a name and is no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NamedCallRecord {
    /// The beginning of every record; the device is the one that the task probes or unbinds.
    pub header: Header,
    /// The name.
    pub name: [u8; SUPPLY_NAME_CAPACITY],
}

/// A kernel stack that found no place in the stack map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StackRecord {
    /// The beginning of every record.
    pub header: Header,
    /// Return addresses, innermost first, zero behind the last.
    pub addresses: [u64; STACK_DEPTH],
}

/// A module that was loaded or is being freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ModuleRecord {
    /// The beginning of every record; `device` is zero.
    pub header: Header,
    /// The `struct module *`.
    pub module: u64,
    /// Of a module that was loaded: its `struct mod_kallsyms *` at that moment; zero where that is not known.
    pub symbols: u64,
    /// Where its code begins.
    pub text: u64,
    /// How many bytes of code it has; zero where that is not known.
    pub text_size: u64,
    /// Where the code lies that it needs only while it is loaded; given back before long.
    pub init_text: u64,
    /// How many bytes that has; zero where that is not known.
    pub init_text_size: u64,
    /// The module's name.
    pub name: [u8; MODULE_NAME_CAPACITY],
}

/// A page of the symbol table of a module that was loaded. All of them come before the module's own record, from the
/// same task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PageRecord {
    /// The beginning of every record; `device` is zero.
    pub header: Header,
    /// Where the page lies.
    pub address: u64,
    /// What is in it.
    pub bytes: [u8; PAGE],
}

const _: () = {
    assert!(size_of::<Header>() == 56);
    assert!(size_of::<DeviceRecord>() == 192);
    assert!(size_of::<AddRecord>() == 128);
    assert!(size_of::<NodeRecord>() == 72);
    assert!(size_of::<CallRecord>() == 88);
    assert!(size_of::<NamedCallRecord>() == 104);
    assert!(size_of::<StackRecord>() == 56 + 8 * STACK_DEPTH);
    assert!(size_of::<ModuleRecord>() == 160);
    assert!(size_of::<PageRecord>() == 64 + PAGE);
    assert!(align_of::<StackRecord>() == 8);
};
