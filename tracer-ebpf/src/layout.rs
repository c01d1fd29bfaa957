//! What userspace passes to the probes about the running kernel, found in its BTF.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Offsets in bytes of the structure members that the probes read, and a few switches.
///
/// Filled in by userspace before the probes are loaded, and constant from then on, so that the verifier
/// removes what a kernel does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Layout {
    /// `device.kobj.name`.
    pub device_name: u32,
    /// `device.init_name`.
    pub device_init_name: u32,
    /// `device.parent`.
    pub device_parent: u32,
    /// `device.bus`.
    pub device_bus: u32,
    /// `device.class`.
    pub device_class: u32,
    /// `device.driver`.
    pub device_driver: u32,
    /// `device.pm_domain`.
    pub device_pm_domain: u32,
    /// `device.devres_head`.
    pub device_devres_head: u32,
    /// `dev_pm_domain.detach`.
    pub pm_domain_detach: u32,
    /// `device_driver.name`.
    pub driver_name: u32,
    /// `bus_type.name`.
    pub bus_name: u32,
    /// `class.name`.
    pub class_name: u32,
    /// `module.name`.
    pub module_name: u32,
    /// Where a module's code begins: `module.mem[MOD_TEXT].base`, before 6.4 `module.core_layout.base`.
    pub module_text: u32,
    /// How large it is: `module.mem[MOD_TEXT].size`, before 6.4 `module.core_layout.text_size`; zero where the
    /// kernel has neither.
    pub module_text_size: u32,
    /// The same of the code that a module needs only while it is loaded: `mem[MOD_INIT_TEXT]`, before 6.4
    /// `init_layout`.
    pub module_init_text: u32,
    /// How large that is; zero where the kernel has neither.
    pub module_init_text_size: u32,
    /// `module.kallsyms`; zero where the kernel has no symbols of modules.
    pub module_kallsyms: u32,
    /// `mod_kallsyms.symtab`.
    pub kallsyms_symtab: u32,
    /// `irqaction.dev_id`.
    pub irqaction_dev_id: u32,
    /// `clk_core.name`; zero where the kernel has no clocks.
    pub clk_core_name: u32,
    /// `clk_core.hw`.
    pub clk_core_hw: u32,
    /// `clk_core.flags`.
    pub clk_core_flags: u32,
    /// `clk_core.enable_count`; zero where the kernel has no clocks.
    pub clk_core_enable_count: u32,
    /// `clk_core.children`.
    pub clk_core_children: u32,
    /// `clk_core.clks`: the users of the clock.
    pub clk_core_clks: u32,
    /// `clk.clks_node`.
    pub clk_clks_node: u32,
    /// `clk_hw.clk`: the user that is the clock's own driver.
    pub clk_hw_clk: u32,
    /// `regulator.enable_count`; zero where the kernel has no regulators.
    pub regulator_enable_count: u32,
    /// `regulator.supply_name`.
    pub regulator_supply_name: u32,
    /// `kobject.kref`.
    pub kobject_kref: u32,
    /// `cdev.dev`.
    pub cdev_number: u32,
    /// `notifier_block.notifier_call`.
    pub notifier_call: u32,
    /// `notifier_block.next`.
    pub notifier_next: u32,
    /// `raw_notifier_head.head`.
    pub raw_notifier_head: u32,
    /// `blocking_notifier_head.head`.
    pub blocking_notifier_head: u32,
    /// `atomic_notifier_head.head`.
    pub atomic_notifier_head: u32,
    /// `srcu_notifier_head.head`.
    pub srcu_notifier_head: u32,
    /// `input_handler.connect`; zero where the kernel has no input devices.
    pub input_handler_connect: u32,
    /// `input_handler.node`; zero where the kernel has no input devices.
    pub input_handler_node: u32,
    /// `devres_node.release`.
    pub node_release: u32,
    /// Size of `struct devres_node`: what a kind of node adds to it begins here.
    pub node_size: u32,
    /// `devres.data`: the payload.
    pub payload: u32,
    /// `devres_group.id`.
    pub group_id: u32,
    /// `task_struct.comm`; zero where a probe can't have the running task by its type, as before 5.11, or the name is not
    /// aligned.
    pub task_name: u32,
    /// One where a node's own release function lies behind the node (`devres.release`,
    /// `devres_action`), as from 7.1 on.
    pub release_behind_node: u32,
    /// One where the kernel logs each node itself, by name and size.
    pub logged: u32,
    /// One where kernel stacks are wanted.
    pub stacks: u32,
    /// One where it is to be known which task probes or unbinds a device, for the hooks beside devres.
    pub beside: u32,
    /// One where frees of memory are wanted to which resources point.
    pub frees: u32,
    /// One where it is wanted what is pending or registered in memory that is released.
    pub pending: u32,
    /// One where the probes' own diagnostics are wanted.
    pub log: u32,
    /// Unread bytes in the ring buffer from which on userspace is woken at once.
    pub wake_up_at: u32,
}

/// What userspace sets the probes' count of modules to, once every module that is loaded is counted: from then on the probes
/// keep the names that they have read, until the count changes.
pub const NAMES_ARE_KEPT: u64 = 1 << 32;
