//! Which kernel functions stand for which hook, and which programs observe them.

use tracer_ebpf::Hook;

/// The programs that observe a function's entry or return, by way of attachment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Programs {
    /// The fentry or fexit program.
    pub(super) fentry: &'static str,
    /// The kprobe or kretprobe program.
    pub(super) kprobe: &'static str,
}

/// On which kernels a hook is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// On all.
    Always,
    /// On kernels without the `devres_log` tracepoint, where additions and removals are told by functions.
    WithoutLog,
}

/// How one hook on a function is attached.
#[derive(Debug, Clone, Copy)]
pub(super) struct FunctionHook {
    /// The hook.
    pub(super) hook: Hook,
    /// The kernel functions it may be, the first that exists counts.
    pub(super) functions: &'static [&'static str],
    /// The programs for the function's entry.
    pub(super) enter: Option<Programs>,
    /// The programs for the function's return.
    pub(super) leave: Option<Programs>,
    /// On which kernels.
    pub(super) need: Need,
}

macro_rules! function {
    ($hook:ident, $functions:expr, $need:ident $(, enter $fentry:literal $kprobe:literal)? $(, leave $fexit:literal $kretprobe:literal)?) => {
        FunctionHook {
            hook: Hook::$hook,
            functions: &$functions,
            enter: [$(Some(Programs { fentry: $fentry, kprobe: $kprobe }),)? None][0],
            leave: [$(Some(Programs { fentry: $fexit, kprobe: $kretprobe }),)? None][0],
            need: Need::$need,
        }
    };
}

/// Every hook that is a function, in the order in which they are attached: first what opens a frame's
/// outermost part, so that no frame is seen to end that wasn't seen to begin.
#[rustfmt::skip]
pub(super) const FUNCTIONS: [FunctionHook; 29] = [
    function!(AddDr, ["add_dr"], WithoutLog, enter "enter_add_dr" "kprobe_add_dr"),
    function!(DevresRemove, ["devres_remove"], WithoutLog, leave "leave_devres_remove" "kretprobe_devres_remove"),
    function!(Kfree, ["devm_kfree"], WithoutLog, enter "enter_kfree" "kprobe_kfree"),
    function!(RemoveAction, ["devm_remove_action"], WithoutLog, enter "enter_remove_action" "kprobe_remove_action"),
    function!(FreePages, ["devm_free_pages"], WithoutLog, enter "enter_free_pages" "kprobe_free_pages"),
    function!(FreePercpu, ["devm_free_percpu"], WithoutLog, enter "enter_free_percpu" "kprobe_free_percpu"),
    function!(Defer, ["driver_deferred_probe_add"], WithoutLog, enter "enter_defer" "kprobe_defer"),
    function!(DevresAdd, ["devres_add"], Always, enter "enter_devres_add" "kprobe_devres_add"),
    function!(Initialise, ["device_initialize"], Always, enter "enter_initialise" "kprobe_initialise"),
    function!(Bound, ["driver_bound"], Always, enter "enter_bound" "kprobe_bound"),
    function!(ReleaseAll, ["devres_release_all"], Always, enter "enter_release_all" "kprobe_release_all", leave "leave_release_all" "kretprobe_release_all"),
    function!(ReleaseGroup, ["devres_release_group"], Always, enter "enter_release_group" "kprobe_release_group", leave "leave_release_group" "kretprobe_release_group"),
    function!(OpenGroup, ["devres_open_group"], Always, enter "enter_open_group" "kprobe_open_group"),
    function!(CloseGroup, ["devres_close_group"], Always, enter "enter_close_group" "kprobe_close_group"),
    function!(RemoveGroup, ["devres_remove_group"], Always, enter "enter_remove_group" "kprobe_remove_group"),
    function!(Krealloc, ["devm_krealloc"], Always, enter "enter_krealloc" "kprobe_krealloc", leave "leave_krealloc" "kretprobe_krealloc"),
    function!(Destroy, ["devres_destroy"], Always, enter "enter_destroy" "kprobe_destroy", leave "leave_destroy" "kretprobe_destroy"),
    function!(Release, ["devres_release"], Always, enter "enter_release" "kprobe_release", leave "leave_release" "kretprobe_release"),
    function!(ReleaseAction, ["devm_release_action"], Always, enter "enter_release_action" "kprobe_release_action", leave "leave_release_action" "kretprobe_release_action"),
    function!(PmAttach, ["dev_pm_domain_attach"], Always, enter "enter_pm_attach" "kprobe_pm_attach", leave "leave_pm_attach" "kretprobe_pm_attach"),
    function!(PmDetach, ["dev_pm_domain_detach"], Always, enter "enter_pm_detach" "kprobe_pm_detach", leave "leave_pm_detach" "kretprobe_pm_detach"),
    function!(ComponentBringUp, ["try_to_bring_up_aggregate_device", "try_to_bring_up_master"], Always, enter "enter_component_bring_up" "kprobe_component_bring_up", leave "leave_component_bring_up" "kretprobe_component_bring_up"),
    function!(Remove, ["device_remove"], Always, enter "enter_remove" "kprobe_remove", leave "leave_remove" "kretprobe_remove"),
    function!(Cleanup, ["device_unbind_cleanup"], Always, enter "enter_cleanup" "kprobe_cleanup", leave "leave_cleanup" "kretprobe_cleanup"),
    function!(FinalPut, ["device_release"], Always, enter "enter_final_put" "kprobe_final_put", leave "leave_final_put" "kretprobe_final_put"),
    function!(Delete, ["device_del"], Always, enter "enter_delete" "kprobe_delete", leave "leave_delete" "kretprobe_delete"),
    function!(FreeIrq, ["free_irq"], Always, enter "enter_free_irq" "kprobe_free_irq"),
    // Where `__device_release_driver` is a function of its own, not all of its callers go through the other.
    function!(Unbind, ["__device_release_driver", "device_release_driver_internal"], Always, enter "enter_unbind" "kprobe_unbind", leave "leave_unbind" "kretprobe_unbind"),
    function!(Probe, ["really_probe"], Always, enter "enter_probe" "kprobe_probe", leave "leave_probe" "kretprobe_probe"),
];

/// Hooks that are tracepoints: the hook, the tracepoint, the program typed by BTF, and the one without.
pub(super) const TRACEPOINTS: [(Hook, &str, &str, Option<&str>); 4] = [
    (
        Hook::DevresLog,
        "devres_log",
        "devres_log",
        Some("raw_devres_log"),
    ),
    (Hook::ModuleLoad, "module_load", "module_load", None),
    (Hook::ModuleFree, "module_free", "module_free", None),
    (
        Hook::IrqHandler,
        "irq_handler_entry",
        "irq_handler_entry",
        Some("raw_irq_handler_entry"),
    ),
];
