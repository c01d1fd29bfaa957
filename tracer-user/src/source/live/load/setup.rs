//! What has to be there before events come: the loader, the probes, their maps, and what they are attached to.

use std::thread::{self, JoinHandle};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Map, MapData, MapError, RingBuf},
    programs::RawTracePoint,
};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::chroot,
};
use tokio::io::unix::AsyncFd;
use tracer_ebpf::Layout;
use zerocopy::IntoBytes as _;

use super::super::{
    attach::{self, Kernel},
    error::{LiveError, locked_down},
    limits,
    object::{self, FittedObject},
    options::Options,
    switches,
    timing::{Step, StopWatch, Timing},
    watched,
};
use crate::{
    evidence::{Addresses, Before, Coverage, HookCoverage, NodeEvents},
    filter::ProbeFilters,
    kernel::KernelFacts,
};

/// One of the object's maps, as what it is.
pub(super) fn take_map<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &str,
) -> Result<M, LiveError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| LiveError::Load(format!("the eBPF object has no map {name}")))?;
    M::try_from(map).map_err(|error| LiveError::Load(error.to_string()))
}

/// Fails where it is known already that nothing could be traced.
pub(super) fn ensure_possible(options: &Options) -> Result<(), LiveError> {
    if !object::has_probes() {
        return Err(LiveError::NoProbes);
    }
    if locked_down() {
        return Err(LiveError::LockedDown);
    }
    if switches::compiler_is_off() {
        return Err(LiveError::NoCompiler);
    }
    limits::suffice_for_stacks()?;
    if options.attach {
        limits::suffice(options.ring_bytes)?;
        limits::suffice_in_cgroup(options.ring_bytes)?;
    }
    Ok(())
}

/// A loader that has not read the kernel's types.
///
/// Creating one reads them all, wanted or not, until aya 0.15, which takes tens of milliseconds and of MiB. So it is created
/// where it does not find them: the thread that runs this sees `/proc` as its root directory from then on. Where that is
/// not permitted they are read in vain.
pub(in crate::source::live) fn loader_without_types() -> EbpfLoader<'static> {
    if unshare(CloneFlags::CLONE_FS).is_ok() {
        let _ = chroot("/proc");
    }
    EbpfLoader::new()
}

/// Begins work that takes its time on a thread of its own.
pub(super) fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LiveError> {
    thread::Builder::new()
        .spawn(work)
        .map_err(LiveError::Thread)
}

/// The probes, loaded but not attached, and whether they can keep from being preempted.
pub(super) fn load<'data>(
    mut loader: EbpfLoader<'data>,
    facts: &KernelFacts,
    layout: &'data Layout,
    options: &'data Options,
    verifier: &StopWatch,
) -> Result<(Ebpf, bool), LiveError> {
    loader
        .override_global("LAYOUT", layout.as_bytes(), true)
        .map_max_entries("RECORDS", options.ring_bytes);
    watched::make_room(&mut loader, options);
    let ProbeFilters {
        device,
        driver,
        bus,
    } = &options.filters;
    for (name, filter) in [
        ("DEVICE_FILTER", device),
        ("DRIVER_FILTER", driver),
        ("BUS_FILTER", bus),
    ] {
        if let Some(filter) = filter {
            loader.override_global(name, filter.as_bytes(), true);
        }
    }
    let mut load = |object: &FittedObject| {
        loader
            .load(object.bytes())
            .map_err(|error| LiveError::of(&error))
    };
    let calling = FittedObject::new(|function| facts.function_number(function.symbol()));
    let mut ebpf = load(&calling)?;
    if verifier.time(|| calls_kernel_functions(&mut ebpf)) {
        return Ok((ebpf, true));
    }
    Ok((load(&FittedObject::new(|_| None))?, false))
}

/// The ring buffer, to be waited for.
pub(super) fn ring_buffer(ebpf: &mut Ebpf) -> Result<AsyncFd<RingBuf<MapData>>, LiveError> {
    let ring: RingBuf<MapData> = take_map(ebpf, "RECORDS")?;
    // SAFETY: the ring buffer owns its descriptor and lives as long as the registration that it is moved into.
    unsafe { AsyncFd::register_with_interest(ring, tokio::io::Interest::READABLE) }
        .map_err(|error| LiveError::Load(format!("the ring buffer can't be polled: {error}")))
}

/// Attaches the probes, where that is wanted. That none could be attached is an error.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    btf: &Btf,
    facts: &KernelFacts,
    options: &Options,
    timing: &mut Timing,
) -> Result<Vec<HookCoverage>, LiveError> {
    if !options.attach {
        return Ok(Vec::new());
    }
    let kernel = Kernel {
        btf,
        facts,
        ways: &options.ways,
        optional: &options.optional,
        verifier: StopWatch::default(),
    };
    let hooks = attach::attach(ebpf, &kernel);
    timing.done_apart_from(Step::Attach, (Step::Verifier, kernel.verifier.total()));
    match attach::nothing(&hooks) {
        Some(reason) => Err(LiveError::NoHook(reason)),
        None => Ok(hooks),
    }
}

/// What the probes see, as far as the attached hooks report it.
pub(super) fn coverage(hooks: Vec<HookCoverage>, concluded: bool, stacks: bool) -> Coverage {
    Coverage {
        untold: attach::untold(&hooks),
        hooks,
        unread_switches: Vec::new(),
        nodes: if concluded {
            NodeEvents::Concluded
        } else {
            NodeEvents::Logged
        },
        node_addresses: Addresses::Real,
        device_addresses: Addresses::Real,
        times: true,
        stacks,
        before: Before::Snapshot,
    }
}

/// Whether the kernel accepts the calls of its functions that the probes contain.
fn calls_kernel_functions(ebpf: &mut Ebpf) -> bool {
    ebpf.program_mut("call_kernel_functions")
        .and_then(|program| <&mut RawTracePoint>::try_from(program).ok())
        .is_some_and(|program| program.load().is_ok())
}
