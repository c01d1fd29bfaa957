//! What an argument of a kernel function is for: arguments are known by role, whatever their place or name.

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident $name:literal,)*) => {
        /// What an argument is for, or what else is reported of a call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Role {
            $($(#[$doc])* $role,)*
        }

        impl Role {
            /// Every role.
            pub const ALL: &[Self] = &[$(Self::$role),*];

            /// Its name: mostly the argument's in the kernel.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$role => $name,)*
                }
            }
        }
    };
}

roles! {
    /// The `struct device *`.
    Device "dev",
    /// The `struct kobject *` within a device, which is its first member: the device's address.
    Kobject "kobj",
    /// The device's name, which is read, not passed.
    Name "dev_name",
    /// The `struct device_driver *`.
    Driver "drv",
    /// The `struct device *` of the parent.
    Parent "parent",
    /// What `devres_log` says has happened.
    Operation "op",
    /// The `struct devres_node *`.
    Node "node",
    /// Where a payload begins.
    Payload "res",
    /// The first words of a payload, which are read, not passed.
    Contents "payload",
    /// Bytes.
    Size "size",
    /// Allocation flags.
    Flags "gfp",
    /// The id of a group; NULL is the newest that is open.
    Group "id",
    /// The release function of a node, or by which one is found.
    Release "release",
    /// The function that compares payloads.
    Match "match",
    /// What that is given to compare with.
    MatchData "match_data",
    /// The function of an action.
    Action "action",
    /// The argument of an action.
    Data "data",
    /// The address of pages.
    Pages "addr",
    /// The address of per-CPU memory.
    Percpu "pdata",
    /// Whether to power up.
    PowerOn "power_on",
    /// Whether to power down.
    PowerOff "power_off",
    /// `dev->pm_domain` and its `detach`, which are read, not passed.
    PmDomain "pm_domain",
    /// `dev->pm_domain->detach`, which is read, not passed.
    Detach "detach",
    /// The number of an interrupt.
    Irq "irq",
    /// What its handler is called with.
    DevId "dev_id",
    /// The name of a clock or regulator.
    Supply "name",
    /// Where memory begins that is freed.
    Memory "ptr",
    /// The function that a timer, work item, notifier or input handler calls, or the number of a character device: what it
    /// is known by. It is read, not passed.
    Callback "function",
    /// The `struct aggregate_device *`.
    Aggregate "adev",
    /// The `struct component *`.
    Component "component",
    /// The `struct module *`.
    Module "mod",
    /// What the function returns.
    Returned "ret",
}

const _: () = assert!(Role::ALL.len() <= 32, "sets of roles are 32 bits");

impl Role {
    /// Whether this is the device's address.
    #[must_use]
    pub const fn is_device(self) -> bool {
        matches!(self, Self::Device | Self::Kobject)
    }

    /// Its bit in a set of roles.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}
