//! The kernel functions and tracepoints that the tracer observes: everything that is known of each stands in one
//! row of [`hooks!`](crate::hooks).

mod description;

use crate::role::Role;
pub use description::{Description, Point, Programs, Returns, Trait};

/// Hands every row of the table to the macro `$rows`, which makes of it what it needs: the enum and the
/// descriptions here, the programs in the probes.
///
/// A row: name = number, what it is, its symbol and older or newer names for it, the roles of its arguments,
/// what it returns, the programs that observe it (fentry and kprobe, fexit and kretprobe, each also written `by_hand`), its
/// [`Trait`]s, and what is missing without it.
///
/// The rows stand in the order in which they are attached: first what opens a frame's outermost part, so that no
/// frame is seen to end that wasn't seen to begin. A number is what a record carries, so numbers are never reused for
/// something else.
#[macro_export]
macro_rules! hooks {
    ($rows:ident) => {
        $rows! {
            /// Tracepoint `dev:devres_log`: every addition, removal, release and replacement of a node.
            DevresLog = 1: tracepoint ["devres_log"] (Device, Operation, Node, Name, Size) -> Nothing,
                by_hand devres_log raw_devres_log, [Stack],
                "individual removals and releases are not seen";
            /// Tracepoint `module:module_load`, for symbols of modules that come while tracing.
            ModuleLoad = 29: tracepoint ["module_load"] (Module) -> Nothing,
                by_hand module_load raw_module_load, [],
                "functions of modules loaded while tracing may have no names";
            /// Tracepoint `module:module_free`, for symbols of modules that go while tracing.
            ModuleFree = 30: tracepoint ["module_free"] (Module) -> Nothing,
                by_hand module_free raw_module_free, [],
                "functions of modules loaded while tracing may have no names";
            /// Tracepoint `irq:irq_handler_entry(irq, action)`: a handler is about to run. The `dev_id` is read from
            /// the action.
            IrqHandler = 32: tracepoint ["irq_handler_entry"] (Irq, DevId) -> Nothing,
                by_hand irq_handler_entry raw_irq_handler_entry, [Optional],
                "whether an interrupt is handled after the driver's remove is unknown";
            /// Tracepoint `clk:clk_enable(core)`: a clock that was off goes on, in a task that probes or unbinds a device.
            /// This one and those that follow are reported for that device.
            ClkEnable = 34: tracepoint ["clk_enable"] (Supply) -> Nothing,
                by_hand clk_enable clk_enable, [Optional Beside Stack],
                "clocks that are switched by hand are not seen";
            /// Tracepoint `clk:clk_disable(core)`: a clock goes off.
            ClkDisable = 35: tracepoint ["clk_disable"] (Supply) -> Nothing,
                by_hand clk_disable clk_disable, [Optional Beside Stack],
                "clocks that are switched by hand are not seen";
            /// Tracepoint `clk:clk_prepare(core)`.
            ClkPrepare = 36: tracepoint ["clk_prepare"] (Supply) -> Nothing,
                by_hand clk_prepare clk_prepare, [Optional Beside Stack],
                "clocks that are switched by hand are not seen";
            /// Tracepoint `clk:clk_unprepare(core)`.
            ClkUnprepare = 37: tracepoint ["clk_unprepare"] (Supply) -> Nothing,
                by_hand clk_unprepare clk_unprepare, [Optional Beside Stack],
                "clocks that are switched by hand are not seen";
            /// Tracepoint `regulator:regulator_enable(name)`.
            RegulatorEnable = 38: tracepoint ["regulator_enable"] (Supply) -> Nothing,
                by_hand regulator_enable regulator_enable, [Optional Beside Stack],
                "regulators that are switched by hand are not seen";
            /// Tracepoint `regulator:regulator_disable(name)`: a regulator goes off.
            RegulatorDisable = 39: tracepoint ["regulator_disable"] (Supply) -> Nothing,
                by_hand regulator_disable regulator_disable, [Optional Beside Stack],
                "regulators that are switched by hand are not seen";
            /// Tracepoint `rpm:rpm_resume(dev, flags)`: a device is to be resumed, in a task that probes or unbinds one.
            RpmResume = 40: tracepoint ["rpm_resume"] (Device, Flags) -> Nothing,
                by_hand rpm_resume rpm_resume, [Optional Beside],
                "runtime PM is not seen";
            /// Tracepoint `rpm:rpm_suspend(dev, flags)`: a device is to be suspended.
            RpmSuspend = 41: tracepoint ["rpm_suspend"] (Device, Flags) -> Nothing,
                by_hand rpm_suspend rpm_suspend, [Optional Beside],
                "runtime PM is not seen";
            /// `clk_put(clk)`: a clock is given back while it is on, and nobody else has it who could have switched it on. The
            /// name is read from the clock.
            ClkPut = 42: function ["clk_put"] (Supply) -> Nothing,
                by_hand enter_clk_put kprobe_clk_put, [Optional Beside Stack],
                "clocks that are given back while they are on are not seen";
            /// `regulator_put(regulator)`: a regulator is given back by a user that has enabled it, and not disabled it. The
            /// name is what the user calls it.
            RegulatorPut = 43: function ["regulator_put"] (Supply) -> Nothing,
                by_hand enter_regulator_put kprobe_regulator_put, [Optional Beside Stack],
                "regulators that are given back while they are enabled are not seen";
            /// Tracepoint `kmem:kfree(call_site, ptr)`: memory is freed in a task that probes or unbinds a device, and a
            /// resource has pointed to its beginning. Reported for that device.
            Free = 44: tracepoint ["kfree"] (Memory) -> Nothing,
                by_hand memory_free memory_free, [Optional Beside Stack],
                "memory that is freed by hand is not seen";
            /// Tracepoint `timer:timer_start(timer, ...)`. Reported when memory is released in which a timer is pending, with
            /// the name of what it calls, right before that release.
            TimerStart = 45: tracepoint ["timer_start"] (Callback) -> Nothing,
                by_hand timer_start timer_start, [Optional InMemory],
                "timers in memory that is released are not seen";
            /// Tracepoint `workqueue:workqueue_queue_work(cpu, pwq, work)`. The same of a work item that is queued.
            QueueWork = 46: tracepoint ["workqueue_queue_work"] (Callback) -> Nothing,
                by_hand queue_work queue_work, [Optional InMemory],
                "work items in memory that is released are not seen";
            /// `cdev_add(p, dev, count)`. The same of a character device that is registered, or still open, with its number.
            CdevAdd = 47: function ["cdev_add"] (Callback) -> Int,
                by_hand enter_cdev_add kprobe_cdev_add, leave_by_hand leave_cdev_add kretprobe_cdev_add,
                [Optional InMemory],
                "character devices in memory that is released are not seen";
            /// `raw_notifier_chain_register(nh, n)`. The same of a notifier that is in its chain.
            RawNotifier = 48: function ["raw_notifier_chain_register"] (Callback) -> Nothing,
                by_hand enter_raw_notifier kprobe_raw_notifier, [Optional InMemory],
                "notifiers in memory that is released are not seen";
            /// `blocking_notifier_chain_register(nh, n)`. Likewise.
            BlockingNotifier = 49: function ["blocking_notifier_chain_register"] (Callback) -> Nothing,
                by_hand enter_blocking_notifier kprobe_blocking_notifier, [Optional InMemory],
                "notifiers in memory that is released are not seen";
            /// `atomic_notifier_chain_register(nh, n)`. Likewise.
            AtomicNotifier = 50: function ["atomic_notifier_chain_register"] (Callback) -> Nothing,
                by_hand enter_atomic_notifier kprobe_atomic_notifier, [Optional InMemory],
                "notifiers in memory that is released are not seen";
            /// `srcu_notifier_chain_register(nh, n)`. Likewise.
            SrcuNotifier = 51: function ["srcu_notifier_chain_register"] (Callback) -> Nothing,
                by_hand enter_srcu_notifier kprobe_srcu_notifier, [Optional InMemory],
                "notifiers in memory that is released are not seen";
            /// `input_register_handler(handler)`. The same of an input handler that is registered, with its `connect`.
            InputRegister = 52: function ["input_register_handler"] (Callback) -> Nothing,
                by_hand enter_input_register kprobe_input_register, [Optional InMemory],
                "input handlers in memory that is released are not seen";
            /// `add_dr(dev, node)`: every addition, on kernels without the tracepoint.
            AddDr = 3: function ["add_dr"] (Device, Node) -> Nothing,
                by_hand enter_add_dr kprobe_add_dr, [WithoutLog Stack],
                "some additions or removals are missed";
            /// `devres_remove(dev, release, match, data)`, on kernels without the tracepoint. What it returns shows
            /// what was removed.
            DevresRemove = 23: function ["devres_remove"] (Device, Release, Match, MatchData) -> Pointer,
                leave leave_devres_remove kretprobe_devres_remove, [WithoutLog],
                "some additions or removals are missed";
            /// `devm_kfree(dev, p)`, on kernels without the tracepoint.
            Kfree = 24: function ["devm_kfree"] (Device, Payload) -> Nothing,
                enter enter_kfree kprobe_kfree, [WithoutLog],
                "some additions or removals are missed";
            /// `devm_remove_action(dev, action, data)`, on kernels without the tracepoint. From 6.16 on an inline
            /// function around the other.
            RemoveAction = 25: function ["devm_remove_action", "devm_remove_action_nowarn"] (Device, Action, Data) -> Nothing,
                enter enter_remove_action kprobe_remove_action, [WithoutLog],
                "some additions or removals are missed";
            /// `devm_free_pages(dev, addr)`, on kernels without the tracepoint.
            FreePages = 26: function ["devm_free_pages"] (Device, Pages) -> Nothing,
                enter enter_free_pages kprobe_free_pages, [WithoutLog],
                "some additions or removals are missed";
            /// `devm_free_percpu(dev, pdata)`, on kernels without the tracepoint.
            FreePercpu = 27: function ["devm_free_percpu"] (Device, Percpu) -> Nothing,
                enter enter_free_percpu kprobe_free_percpu, [WithoutLog],
                "some additions or removals are missed";
            /// `driver_deferred_probe_add(dev)`, on kernels without the tracepoint, where a probe does not return its
            /// error.
            Defer = 33: function ["driver_deferred_probe_add"] (Device) -> Nothing,
                enter enter_defer kprobe_defer, [WithoutLog],
                "whether a probe was deferred is unknown";
            /// `devres_add(dev, res)`: additions through the public call, with the payload's address.
            DevresAdd = 2: function ["devres_add"] (Device, Payload) -> Nothing,
                enter enter_devres_add kprobe_devres_add, [],
                "additions are not cross-checked: a missed one goes unnoticed";
            /// `device_initialize(dev)`: a device instance begins.
            Initialise = 16: function ["device_initialize"] (Device) -> Nothing,
                enter enter_initialise kprobe_initialise, [Unfiltered],
                "the start or end of a device's life is unknown";
            /// `driver_bound(dev)`.
            Bound = 5: function ["driver_bound"] (Device) -> Nothing,
                enter enter_bound kprobe_bound, [Unfiltered],
                "a device bound without a probe looks unbound";
            /// `devres_release_all(dev)`.
            ReleaseAll = 9: function ["devres_release_all"] (Device) -> Int,
                enter enter_release_all kprobe_release_all, leave leave_release_all kretprobe_release_all, [Stack],
                "which releases belong together is unknown";
            /// `devres_release_group(dev, id)`.
            ReleaseGroup = 10: function ["devres_release_group"] (Device, Group) -> Int,
                enter enter_release_group kprobe_release_group, leave leave_release_group kretprobe_release_group, [Stack],
                "group calls are unknown";
            /// `devres_open_group(dev, id, gfp)`.
            OpenGroup = 11: function ["devres_open_group"] (Device, Group, Flags) -> Pointer,
                enter enter_open_group kprobe_open_group, [Stack],
                "group calls are unknown";
            /// `devres_close_group(dev, id)`.
            CloseGroup = 12: function ["devres_close_group"] (Device, Group) -> Nothing,
                enter enter_close_group kprobe_close_group, [Stack],
                "group calls are unknown";
            /// `devres_remove_group(dev, id)`.
            RemoveGroup = 13: function ["devres_remove_group"] (Device, Group) -> Nothing,
                enter enter_remove_group kprobe_remove_group, [Stack],
                "group calls are unknown";
            /// `devm_krealloc(dev, ptr, new_size, gfp)`.
            Krealloc = 19: function ["devm_krealloc"] (Device, Payload, Size, Flags) -> Pointer,
                enter enter_krealloc kprobe_krealloc, leave leave_krealloc kretprobe_krealloc, [],
                "the new address of a reallocated block is unknown";
            /// `devres_destroy(dev, release, match, data)`: removes a node without running its release.
            Destroy = 20: function ["devres_destroy"] (Device, Release, Match, MatchData) -> Int,
                enter enter_destroy kprobe_destroy, leave leave_destroy kretprobe_destroy, [Stack],
                "whether a removed resource was released is unknown";
            /// `devres_release(dev, release, match, data)`: removes a node and runs its release.
            Release = 21: function ["devres_release"] (Device, Release, Match, MatchData) -> Int,
                enter enter_release kprobe_release, leave leave_release kretprobe_release, [Stack],
                "whether a removed resource was released is unknown";
            /// `devm_release_action(dev, action, data)`: removes an action and runs it.
            ReleaseAction = 22: function ["devm_release_action"] (Device, Action, Data) -> Nothing,
                enter enter_release_action kprobe_release_action, leave leave_release_action kretprobe_release_action, [],
                "whether a removed resource was released is unknown";
            /// `dev_pm_domain_attach(dev, power_on)`.
            PmAttach = 14: function ["dev_pm_domain_attach"] (Device, PowerOn) -> Int,
                enter enter_pm_attach kprobe_pm_attach, leave leave_pm_attach kretprobe_pm_attach, [PmDomain],
                "when the PM domain is attached and detached is unknown";
            /// `dev_pm_domain_detach(dev, power_off)`.
            PmDetach = 15: function ["dev_pm_domain_detach"] (Device, PowerOff) -> Nothing,
                enter enter_pm_detach kprobe_pm_detach, leave leave_pm_detach kretprobe_pm_detach, [PmDomain Stack],
                "when the PM domain is attached and detached is unknown";
            /// `try_to_bring_up_aggregate_device(adev, component)`; before 5.18 `try_to_bring_up_master`. The
            /// framework's own structures, not devices.
            ComponentBringUp = 28: function ["try_to_bring_up_aggregate_device", "try_to_bring_up_master"] (Aggregate, Component) -> Int,
                enter enter_component_bring_up kprobe_component_bring_up,
                leave leave_component_bring_up kretprobe_component_bring_up, [],
                "resources of a component master's bind can't be told from those of its driver";
            /// `device_remove(dev)`: the driver's and the bus's `remove` callbacks.
            Remove = 7: function ["device_remove"] (Device) -> Nothing,
                enter enter_remove kprobe_remove, leave leave_remove kretprobe_remove, [],
                "the driver's remove can't be told from the rest of the unbind";
            /// `device_unbind_cleanup(dev)`.
            Cleanup = 8: function ["device_unbind_cleanup"] (Device) -> Nothing,
                enter enter_cleanup kprobe_cleanup, leave leave_cleanup kretprobe_cleanup, [],
                "the end of the unbind is not marked";
            /// `device_release(kobj)`: the last reference is gone and the instance ends.
            FinalPut = 18: function ["device_release"] (Kobject) -> Nothing,
                enter enter_final_put kprobe_final_put, leave leave_final_put kretprobe_final_put, [Unfiltered Stack],
                "the start or end of a device's life is unknown";
            /// `device_del(dev)`.
            Delete = 17: function ["device_del"] (Device) -> Nothing,
                enter enter_delete kprobe_delete, leave leave_delete kretprobe_delete, [Stack],
                "the start or end of a device's life is unknown";
            /// `free_irq(irq, dev_id)`: an interrupt is freed, by whatever way.
            FreeIrq = 31: function ["free_irq"] (Irq, DevId) -> Nothing,
                enter enter_free_irq kprobe_free_irq, [Optional Stack],
                "whether a managed interrupt was freed by free_irq() is unknown";
            /// `device_release_driver_internal(dev, drv, parent)`; before 5.18 `__device_release_driver(dev, parent)`.
            /// Where that is a function of its own, not all of its callers go through the other.
            Unbind = 6: function ["device_release_driver_internal", "__device_release_driver"] (Device, Driver, Parent) -> Nothing,
                enter enter_unbind kprobe_unbind, leave leave_unbind kretprobe_unbind, [AliasFirst Unfiltered Stack],
                "unbinds are unknown";
            /// `really_probe(dev, drv)`.
            Probe = 4: function ["really_probe"] (Device, Driver) -> Int,
                enter enter_probe kprobe_probe, leave leave_probe kretprobe_probe, [PmDomain Unfiltered],
                "the start and end of probes are unknown";
        }
    };
}

macro_rules! table {
    (@point tracepoint) => { Point::Tracepoint };
    (@point function) => { Point::Function };
    ($(
        $(#[$doc:meta])*
        $hook:ident = $number:literal: $point:ident [$($symbol:literal),+] ($($role:ident),*) -> $returns:ident,
        $(enter $enter:ident $kprobe:ident,)?
        $(leave $leave:ident $kretprobe:ident,)?
        $(by_hand $best:ident $plain:ident,)?
        $(leave_by_hand $best_leave:ident $plain_leave:ident,)?
        [$($trait:ident)*], $without:literal;
    )*) => {
        /// One observation point in the kernel.
        ///
        /// The number is what a record carries, so numbers are never reused for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Hook {
            $($(#[$doc])* $hook = $number,)*
        }

        impl Hook {
            /// How many hooks there are.
            pub const COUNT: usize = [$(Self::$hook),*].len();

            /// What is known of every hook, in the order in which they are attached.
            pub const TABLE: [Description; Self::COUNT] = [$(Description {
                hook: Self::$hook,
                point: table!(@point $point),
                symbols: &[$($symbol),+],
                arguments: &[$(Role::$role),*],
                returns: Returns::$returns,
                enter: [
                    $(Some(Programs { best: stringify!($enter), plain: stringify!($kprobe) }),)?
                    $(Some(Programs { best: stringify!($best), plain: stringify!($plain) }),)?
                    None,
                ][0],
                leave: [
                    $(Some(Programs { best: stringify!($leave), plain: stringify!($kretprobe) }),)?
                    $(Some(Programs { best: stringify!($best_leave), plain: stringify!($plain_leave) }),)?
                    None,
                ][0],
                traits: &[$(Trait::$trait),*],
                without: $without,
            }),*];
        }
    };
}

hooks!(table);

/// The table in the order of the hooks' numbers.
static BY_NUMBER: [Description; Hook::COUNT] = {
    let mut sorted = Hook::TABLE;
    let mut index = 0;
    while index < Hook::COUNT {
        let row = Hook::TABLE[index];
        sorted[row.hook as usize - 1] = row;
        index += 1;
    }
    sorted
};

/// For the first byte of a name a bit for each length that a hook's name with that byte has.
static LENGTHS: [u64; 128] = {
    let mut lengths = [0; 128];
    let mut index = 0;
    while index < Hook::COUNT {
        let symbols = Hook::TABLE[index].symbols;
        let mut known = 0;
        while known < symbols.len() {
            let name = symbols[known].as_bytes();
            lengths[name[0] as usize] |= 1 << name.len();
            known += 1;
        }
        index += 1;
    }
    lengths
};

/// Whether a hook's name begins with the same byte and is as long.
fn may_be_known(name: &[u8]) -> bool {
    let lengths = name
        .first()
        .and_then(|first| LENGTHS.get(usize::from(*first)));
    lengths.is_some_and(|lengths| name.len() < 64 && lengths >> name.len() & 1 != 0)
}

impl Hook {
    /// Every hook, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = {
        let mut sorted = [Self::DevresLog; Self::COUNT];
        let mut index = 0;
        while index < Self::COUNT {
            let hook = Self::TABLE[index].hook;
            sorted[hook as usize - 1] = hook;
            index += 1;
        }
        sorted
    };

    /// The hook with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number == 0 || number as usize > Self::ALL.len() {
            return None;
        }
        Some(Self::ALL[number as usize - 1])
    }

    /// What is known of it.
    #[must_use]
    pub fn description(self) -> &'static Description {
        &BY_NUMBER[self as usize - 1]
    }

    /// The hook on the kernel function or tracepoint of this name, as on any kernel.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        // Most names in a text are no hook's.
        if !may_be_known(name) {
            return None;
        }
        let is_it = |row: &&Description| row.symbols.iter().any(|known| known.as_bytes() == name);
        BY_NUMBER.iter().find(is_it).map(|row| row.hook)
    }

    /// The name of the kernel function or tracepoint, as on current kernels.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        self.description().symbols[0]
    }

    /// Whether it is attached only where it is wanted: it costs something, or few need it.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        self.is_in(const { Self::with(Trait::Optional) })
    }

    /// Whether both its entry and its return are observed and told, so that it is known to run in between. The others are
    /// points in time.
    #[must_use]
    pub const fn is_frame(self) -> bool {
        const FRAMES: u64 = {
            let mut hooks = 0;
            let mut index = 0;
            while index < Hook::COUNT {
                let row = &Hook::TABLE[index];
                if row.enter.is_some() && row.leave.is_some() {
                    hooks |= row.hook.bit();
                }
                index += 1;
            }
            hooks
        };
        self.is_in(FRAMES & !const { Self::with(Trait::InMemory) })
    }

    /// Whether its first argument is a device.
    #[must_use]
    pub const fn has_device(self) -> bool {
        const DEVICES: u64 = {
            let mut hooks = 0;
            let mut index = 0;
            while index < Hook::COUNT {
                let row = &Hook::TABLE[index];
                if row.arguments[0].is_device() {
                    hooks |= row.hook.bit();
                }
                index += 1;
            }
            hooks
        };
        self.is_in(DEVICES)
    }

    /// How many arguments it has.
    #[must_use]
    pub const fn arity(self) -> usize {
        let mut index = 0;
        while Self::TABLE[index].hook as u8 != self as u8 {
            index += 1;
        }
        Self::TABLE[index].arguments.len()
    }

    /// A bit for each hook with this trait.
    #[must_use]
    pub const fn with(wanted: Trait) -> u64 {
        let mut hooks = 0;
        let mut index = 0;
        while index < Self::COUNT {
            let row = &Self::TABLE[index];
            let mut known = 0;
            while known < row.traits.len() {
                if row.traits[known] as u8 == wanted as u8 {
                    hooks |= row.hook.bit();
                }
                known += 1;
            }
            index += 1;
        }
        hooks
    }

    /// All hooks with this trait, as many as there are.
    #[must_use]
    pub const fn having<const HOOKS: usize>(wanted: Trait) -> [Self; HOOKS] {
        let mut hooks = [Self::DevresLog; HOOKS];
        let (mut index, mut found) = (0, 0);
        while index < Self::COUNT {
            let hook = Self::ALL[index];
            if hook.is_in(Self::with(wanted)) {
                hooks[found] = hook;
                found += 1;
            }
            index += 1;
        }
        hooks
    }

    /// Its bit in a set of hooks.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u64
    }

    /// Whether it is in a set of hooks.
    #[must_use]
    pub const fn is_in(self, hooks: u64) -> bool {
        self.bit() & hooks != 0
    }
}

const _: () = {
    let mut index = 0;
    while index < Hook::COUNT {
        let hook = Hook::ALL[index];
        assert!(hook as usize == index + 1, "the numbers have gaps");
        index += 1;
    }
};
