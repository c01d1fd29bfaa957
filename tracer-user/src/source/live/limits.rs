//! Limits of this process that leave no room for tracing.
//!
//! Libraries below are not prepared for them all: an allocation that fails ends the process on the spot.

use std::fs;

use nix::libc::RLIM_INFINITY;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::error::LiveError;
use crate::kernel::{Kernel, MemoryLimit, is_before, memory_limit};

/// Files that are open at once: each program, its link, and the count of how often it was skipped.
const FILES: u64 = 256;
/// Bytes of address space, besides the ring buffer: the kernel's types and symbols, and what threads reserve.
const MEMORY: u64 = 256 << 20;

/// Bytes that are held besides maps, at least: with less the kernel kills the tracer, or it starves.
const HELD: u64 = 16 << 20;
/// Bytes of the maps besides the ring buffer, at least.
const MAPS: u64 = 16 << 20;
/// Bytes more with which it works, where it doesn't with what is held and the maps (measured on 6.12).
const SPARE: u64 = 8 << 20;
/// The first series that counts the memory of maps against the limit of the cgroup that made them.
const MAPS_COUNT: (u32, u32) = (5, 11);

/// Frames of a stack in the map for them.
const FRAMES: u64 = 127;
/// The sysctl that says how many frames the kernel takes of a stack; it refuses maps for more.
const MOST_FRAMES: &str = "/proc/sys/kernel/perf_event_max_stack";

/// Refuses to begin where it would end halfway.
pub(super) fn suffice(ring_bytes: u32) -> Result<(), LiveError> {
    let limit = |resource| match getrlimit(resource) {
        Ok((soft, _)) if soft != RLIM_INFINITY => widened(soft),
        _ => u64::MAX,
    };
    // The ring buffer's data is mapped twice, one behind the other.
    let memory = MEMORY + 2 * u64::from(ring_bytes);
    verify(
        limit(Resource::RLIMIT_NOFILE),
        limit(Resource::RLIMIT_AS),
        memory,
    )
}

/// Refuses to begin where a cgroup's limit would have it killed without a word.
pub(super) fn suffice_in_cgroup(ring_bytes: u32) -> Result<(), LiveError> {
    let old = is_before(&Kernel::running().release, MAPS_COUNT);
    let maps = if old { 0 } else { MAPS + u64::from(ring_bytes) };
    verify_cgroup(memory_limit(), HELD + maps)
}

fn verify_cgroup(limit: Option<MemoryLimit>, needed: u64) -> Result<(), LiveError> {
    match limit {
        Some(limit) if limit.bytes < needed => Err(LiveError::TightCgroup {
            file: limit.file,
            limit: limit.bytes >> 20,
            needed: (needed + SPARE) >> 20,
        }),
        _ => Ok(()),
    }
}

/// Before 5.11 the memory of maps counts against a limit. Where it can't be raised, the kernel says what it lacks.
pub(super) fn make_room_for_maps() {
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
}

/// On 32-bit machines limits have 32 bits.
fn widened(limit: impl Into<u64>) -> u64 {
    limit.into()
}

fn verify(files: u64, memory: u64, needed: u64) -> Result<(), LiveError> {
    if files < FILES {
        return Err(LiveError::FewFiles {
            limit: files,
            needed: FILES,
        });
    }
    if memory < needed {
        return Err(LiveError::LittleMemory {
            limit: memory >> 20,
            needed: needed >> 20,
        });
    }
    Ok(())
}

/// Refuses to begin where the kernel takes so few frames of a stack that it refuses the map for them.
pub(super) fn suffice_for_stacks() -> Result<(), LiveError> {
    deep_enough(&fs::read_to_string(MOST_FRAMES).unwrap_or_default())
}

/// A kernel that does not say how many it takes takes enough.
fn deep_enough(most_frames: &str) -> Result<(), LiveError> {
    match most_frames.trim().parse() {
        Ok(limit) if limit < FRAMES => Err(LiveError::ShallowStacks {
            limit,
            needed: FRAMES,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named_with_what_is_needed() {
        assert!(verify(FILES, 1 << 40, MEMORY).is_ok());
        let files = verify(8, u64::MAX, MEMORY).unwrap_err().to_string();
        assert!(
            files.contains("is 8, ") && files.contains("ulimit -n"),
            "{files}"
        );
        let memory = verify(1024, 100 << 20, 288 << 20).unwrap_err().to_string();
        assert!(
            memory.contains("100 MiB") && memory.contains("288 MiB"),
            "{memory}"
        );
        let cgroup = |bytes| {
            let file = "/sys/fs/cgroup/ci/memory.max".into();
            verify_cgroup(Some(MemoryLimit { file, bytes }), 64 << 20)
        };
        assert!(cgroup(64 << 20).is_ok() && verify_cgroup(None, 64 << 20).is_ok());
        let tight = cgroup(40 << 20).unwrap_err().to_string();
        assert!(
            tight.contains("/ci/memory.max allows 40 MiB") && tight.contains("about 72 MiB"),
            "{tight}"
        );
        assert!(deep_enough("127\n").is_ok() && deep_enough("").is_ok());
        let frames = deep_enough("16\n").unwrap_err().to_string();
        assert!(
            frames.contains("is 16") && frames.contains("sysctl kernel.perf_event_max_stack=127"),
            "{frames}"
        );
    }
}
