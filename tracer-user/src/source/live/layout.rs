//! What the probes are given: offsets in the running kernel, and what is wanted of them.

use tracer_ebpf::{Hook, Layout, Trait};

use super::{error::LiveError, options::Options, watched};
use crate::kernel::KernelFacts;

/// What the probes are given about the running kernel.
pub(super) fn layout(facts: &KernelFacts, options: &Options) -> Result<Layout, LiveError> {
    let mut layout = facts.layout()?;
    layout.stacks = u32::from(options.stacks);
    let is_beside = |hook: &Hook| hook.description().has(Trait::Beside);
    layout.beside = u32::from(options.optional.iter().any(is_beside));
    layout.frees = u32::from(watched::frees(options));
    // Without sizes nothing is known to lie in a payload.
    layout.pending = u32::from(watched::pending(options) && layout.logged != 0);
    layout.log = u32::from(options.probe_log);
    layout.wake_up_at = options.ring_bytes / 4;
    Ok(layout)
}
