//! The kernel functions and tracepoints that the tracer observes.

/// One observation point in the kernel.
///
/// The number is what a record carries, so numbers are never reused for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Hook {
    /// Tracepoint `dev:devres_log`: every addition, removal, release and replacement of a node.
    DevresLog = 1,
    /// `devres_add(dev, res)`: additions through the public call, with the payload's address.
    DevresAdd = 2,
    /// `add_dr(dev, node)`: every addition, on kernels without the tracepoint.
    AddDr = 3,
    /// `really_probe(dev, drv)`.
    Probe = 4,
    /// `driver_bound(dev)`.
    Bound = 5,
    /// `device_release_driver_internal(dev, drv, parent)`; before 5.18 `__device_release_driver`.
    Unbind = 6,
    /// `device_remove(dev)`: the driver's and the bus's `remove` callbacks.
    Remove = 7,
    /// `device_unbind_cleanup(dev)`.
    Cleanup = 8,
    /// `devres_release_all(dev)`.
    ReleaseAll = 9,
    /// `devres_release_group(dev, id)`.
    ReleaseGroup = 10,
    /// `devres_open_group(dev, id, gfp)`.
    OpenGroup = 11,
    /// `devres_close_group(dev, id)`.
    CloseGroup = 12,
    /// `devres_remove_group(dev, id)`.
    RemoveGroup = 13,
    /// `dev_pm_domain_attach(dev, …)`.
    PmAttach = 14,
    /// `dev_pm_domain_detach(dev, power_off)`.
    PmDetach = 15,
    /// `device_initialize(dev)`: a device instance begins.
    Initialise = 16,
    /// `device_del(dev)`.
    Delete = 17,
    /// `device_release(kobj)`: the last reference is gone and the instance ends.
    FinalPut = 18,
    /// `devm_krealloc(dev, ptr, new_size, gfp)`.
    Krealloc = 19,
    /// `devres_destroy(dev, release, match, data)`: removes a node without running its release.
    Destroy = 20,
    /// `devres_release(dev, release, match, data)`: removes a node and runs its release.
    Release = 21,
    /// `devm_release_action(dev, action, data)`: removes an action and runs it.
    ReleaseAction = 22,
    /// `devres_remove(dev, release, match, data)`, on kernels without the tracepoint.
    DevresRemove = 23,
    /// `devm_kfree(dev, p)`, on kernels without the tracepoint.
    Kfree = 24,
    /// `devm_remove_action(dev, action, data)`, on kernels without the tracepoint.
    RemoveAction = 25,
    /// `devm_free_pages(dev, addr)`, on kernels without the tracepoint.
    FreePages = 26,
    /// `devm_free_percpu(dev, pdata)`, on kernels without the tracepoint.
    FreePercpu = 27,
    /// `try_to_bring_up_aggregate_device(adev, component)`; before 5.18 `try_to_bring_up_master`.
    ComponentBringUp = 28,
    /// Tracepoint `module:module_load`, for symbols of modules that come while tracing.
    ModuleLoad = 29,
    /// Tracepoint `module:module_free`, for symbols of modules that go while tracing.
    ModuleFree = 30,
    /// `free_irq(irq, dev_id)`: an interrupt is freed, by whatever way. Optional: not attached unless wanted.
    FreeIrq = 31,
    /// Tracepoint `irq:irq_handler_entry`: a handler is about to run. Optional: not attached unless wanted.
    IrqHandler = 32,
    /// `driver_deferred_probe_add(dev)`, on kernels without the tracepoint, where a probe does not return its error.
    Defer = 33,
}

impl Hook {
    /// Every hook, in the order of their numbers.
    pub const ALL: [Self; 33] = [
        Self::DevresLog,
        Self::DevresAdd,
        Self::AddDr,
        Self::Probe,
        Self::Bound,
        Self::Unbind,
        Self::Remove,
        Self::Cleanup,
        Self::ReleaseAll,
        Self::ReleaseGroup,
        Self::OpenGroup,
        Self::CloseGroup,
        Self::RemoveGroup,
        Self::PmAttach,
        Self::PmDetach,
        Self::Initialise,
        Self::Delete,
        Self::FinalPut,
        Self::Krealloc,
        Self::Destroy,
        Self::Release,
        Self::ReleaseAction,
        Self::DevresRemove,
        Self::Kfree,
        Self::RemoveAction,
        Self::FreePages,
        Self::FreePercpu,
        Self::ComponentBringUp,
        Self::ModuleLoad,
        Self::ModuleFree,
        Self::FreeIrq,
        Self::IrqHandler,
        Self::Defer,
    ];

    /// The hook with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number == 0 || number as usize > Self::ALL.len() {
            return None;
        }
        Some(Self::ALL[number as usize - 1])
    }

    /// The name of the kernel function or tracepoint, as on current kernels.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::DevresLog => "devres_log",
            Self::DevresAdd => "devres_add",
            Self::AddDr => "add_dr",
            Self::Probe => "really_probe",
            Self::Bound => "driver_bound",
            Self::Unbind => "device_release_driver_internal",
            Self::Remove => "device_remove",
            Self::Cleanup => "device_unbind_cleanup",
            Self::ReleaseAll => "devres_release_all",
            Self::ReleaseGroup => "devres_release_group",
            Self::OpenGroup => "devres_open_group",
            Self::CloseGroup => "devres_close_group",
            Self::RemoveGroup => "devres_remove_group",
            Self::PmAttach => "dev_pm_domain_attach",
            Self::PmDetach => "dev_pm_domain_detach",
            Self::Initialise => "device_initialize",
            Self::Delete => "device_del",
            Self::FinalPut => "device_release",
            Self::Krealloc => "devm_krealloc",
            Self::Destroy => "devres_destroy",
            Self::Release => "devres_release",
            Self::ReleaseAction => "devm_release_action",
            Self::DevresRemove => "devres_remove",
            Self::Kfree => "devm_kfree",
            Self::RemoveAction => "devm_remove_action",
            Self::FreePages => "devm_free_pages",
            Self::FreePercpu => "devm_free_percpu",
            Self::ComponentBringUp => "try_to_bring_up_aggregate_device",
            Self::ModuleLoad => "module_load",
            Self::ModuleFree => "module_free",
            Self::FreeIrq => "free_irq",
            Self::IrqHandler => "irq_handler_entry",
            Self::Defer => "driver_deferred_probe_add",
        }
    }

    /// Whether it is attached only where it is wanted: it costs something, or few need it.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::FreeIrq | Self::IrqHandler)
    }

    /// Whether the tracer also observes this function's return. The others are points in time.
    #[must_use]
    pub const fn returns(self) -> bool {
        matches!(
            self,
            Self::Probe
                | Self::Unbind
                | Self::Remove
                | Self::Cleanup
                | Self::ReleaseAll
                | Self::ReleaseGroup
                | Self::PmAttach
                | Self::PmDetach
                | Self::Delete
                | Self::FinalPut
                | Self::Krealloc
                | Self::Destroy
                | Self::Release
                | Self::ReleaseAction
                | Self::ComponentBringUp
        )
    }
}

const _: () = {
    let mut index = 0;
    while index < Hook::ALL.len() {
        assert!(Hook::ALL[index] as usize == index + 1);
        index += 1;
    }
};
