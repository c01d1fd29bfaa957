//! Options of the commands that look at the running kernel.

use clap::Args;

use tracer_ebpf::Trait;

use super::usage::UsageError;
use crate::{
    event::Hook,
    evidence::Attachment,
    filter::DeviceFilter,
    source::live::{Options, Via, WAYS},
};

/// Which devices are wanted.
#[derive(Debug, Args)]
pub(super) struct FilterOptions {
    /// Only devices whose name matches this glob; can be repeated
    #[arg(long, value_name = "GLOB")]
    device: Vec<String>,
    /// Only devices whose driver matches this glob; can be repeated
    #[arg(long, value_name = "GLOB")]
    driver: Vec<String>,
    /// Only devices whose bus (or class) matches this glob; can be repeated
    #[arg(long, value_name = "GLOB")]
    bus: Vec<String>,
}

impl FilterOptions {
    /// Whether devices were chosen.
    pub(super) fn is_given(&self) -> bool {
        !(self.device.is_empty() && self.driver.is_empty() && self.bus.is_empty())
    }

    /// The filter.
    pub(super) fn filter(&self) -> Result<DeviceFilter, UsageError> {
        DeviceFilter::new(&self.device, &self.driver, &self.bus).map_err(UsageError::new)
    }
}

/// The options of [`ProbeOptions`], which mean nothing where a recording is read.
pub(super) const PROBE_OPTIONS: [&str; 6] = [
    "via",
    "ring_size",
    "no_stacks",
    "with",
    "probe_log",
    "attach",
];

/// How the running kernel is observed.
#[derive(Debug, Args)]
pub(super) struct ProbeOptions {
    /// How to trace the kernel
    #[arg(long, value_enum, default_value_t = Via::Probes, value_name = "WAY")]
    via: Via,
    /// Ring buffer size, such as 64M [default: a 64th of the memory, from 8M to 32M]
    #[arg(long, value_name = "SIZE", value_parser = ring_size)]
    ring_size: Option<u32>,
    /// Record no kernel stacks: cheaper, but findings don't show who added a resource
    #[arg(long)]
    no_stacks: bool,
    /// Attach this optional probe: `free_irq`, `irq_handler_entry`, one of those by which drivers switch clocks, regulators
    /// and runtime PM by hand, or all of these: `power`; `frees`: memory that is freed by hand; `registrations`: timers, work
    /// items, character devices, notifiers and input handlers in memory that is released; comma-separated or repeated
    #[arg(long, value_name = "HOOK", value_delimiter = ',', value_parser = optional_hooks)]
    with: Vec<OptionalHooks>,
    /// Print the probes' diagnostics on standard error
    #[arg(long)]
    pub(super) probe_log: bool,
    /// Attach hooks only in these ways: `tp_btf`, `raw_tp`, `fentry` or `kprobe`; comma-separated or repeated
    #[arg(long, value_name = "WAY", value_delimiter = ',', value_parser = way)]
    attach: Vec<Attachment>,
}

impl ProbeOptions {
    /// Options for the live source.
    pub(super) fn options(&self, filter: &DeviceFilter) -> Options {
        Options {
            via: self.via,
            ring_bytes: self.ring_size.unwrap_or_else(Options::default_ring_bytes),
            stacks: !self.no_stacks,
            probe_log: self.probe_log,
            ways: if self.attach.is_empty() {
                WAYS.to_vec()
            } else {
                self.attach.clone()
            },
            optional: self.with.iter().flat_map(|some| some.0.clone()).collect(),
            filters: filter.for_probes(),
            attach: true,
        }
    }
}

/// Hooks that are attached on request.
#[derive(Debug, Clone)]
struct OptionalHooks(Vec<Hook>);

/// Names for what belongs together: what drivers switch by hand, what they free by hand, what they leave pending.
const GROUPS: [&str; 3] = ["power", "frees", "registrations"];

/// The group to which an optional probe belongs.
fn group(hook: Hook) -> Option<&'static str> {
    let row = hook.description();
    let [power, frees, registrations] = GROUPS;
    match hook {
        Hook::Free => Some(frees),
        _ if row.has(Trait::Beside) => Some(power),
        _ if row.has(Trait::InMemory) => Some(registrations),
        _ => None,
    }
}

fn optional_hooks(text: &str) -> Result<OptionalHooks, String> {
    let optional = || Hook::ALL.into_iter().filter(|hook| hook.is_optional());
    let chosen: Vec<Hook> = optional()
        .filter(|hook| hook.symbol() == text || group(*hook) == Some(text))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = optional().map(Hook::symbol).chain(GROUPS).collect();
        return Err(format!("the optional probes are {}", names.join(", ")));
    }
    Ok(OptionalHooks(chosen))
}

fn way(text: &str) -> Result<Attachment, String> {
    let known = WAYS.into_iter().find(|way| way.to_string() == text);
    known.ok_or_else(|| {
        format!(
            "the ways are {}",
            WAYS.map(|way| way.to_string()).join(", ")
        )
    })
}

/// The kernel wants a power of two that is a multiple of the page size.
fn ring_size(text: &str) -> Result<u32, String> {
    let bytes = size(text)?;
    let page = page_size();
    if !(page..=1 << 30).contains(&bytes) {
        return Err(format!("the size must be from {page} bytes to 1G"));
    }
    u32::try_from(bytes.next_power_of_two()).map_err(|error| error.to_string())
}

/// A number of bytes, with or without a unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes() {
        [number @ .., b'k' | b'K'] => (number.len(), 1 << 10),
        [number @ .., b'm' | b'M'] => (number.len(), 1 << 20),
        [number @ .., b'g' | b'G'] => (number.len(), 1 << 30),
        number => (number.len(), 1),
    };
    let number = &text[..number];
    let number: u64 = number
        .parse()
        .map_err(|_| "a size is a number such as 65536, 512K or 16M".to_owned())?;
    Ok(number.saturating_mul(unit))
}

fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| size.try_into().ok())
        .unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::ring_size;

    #[test]
    fn sizes_have_units_and_become_powers_of_two() {
        assert_eq!(ring_size("16M"), Ok(16 << 20));
        assert_eq!(ring_size("65536"), Ok(65536));
        assert_eq!(ring_size("100k"), Ok(128 << 10));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for text in [
            "",
            "M",
            "12",
            "4G",
            "-1",
            "16 M",
            "16MM",
            "99999999999999999999G",
        ] {
            assert!(ring_size(text).is_err(), "{text}");
        }
    }
}
