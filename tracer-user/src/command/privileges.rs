//! The privileges of this process: it drops those that the rest of its work doesn't need.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};

/// To read and write files wherever root may, and to give them to whoever called `sudo`.
const FILES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER);

/// To see the kernel's addresses: `perf` and `trace-cmd` look for what those in a recording mean.
const ADDRESSES: CapabilitySet = CapabilitySet::SYSLOG;

/// To read the running kernel's memory (`/proc/kcore`): what `devres_log` points to is looked up there.
const MEMORY: CapabilitySet = CapabilitySet::SYS_RAWIO;

/// What is known of landlock: files from 5.13 on, TCP from 6.7, `ioctl()` of devices from 6.10. An older kernel forbids what it can.
const LANDLOCK: ABI = ABI::V5;

/// Where every command may write: terminals, and temporary files, which import of a very large text needs.
const PLACES: [&str; 3] = ["/dev", "/tmp", "/var/tmp"];

/// To ask the probes' maps and counters, and to read kernel memory through programs that are loaded.
const PROBES: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);

/// To end a command that runs as another user.
const ENDING: CapabilitySet = CapabilitySet::KILL;

/// Drops what reading a recording doesn't need, for this process and what it starts, a tool that makes text of the recording or a
/// pager: capabilities, writing to anything but `outputs` and temporary files, connections to other machines. To be called
/// before the recording is opened, on the only thread.
pub(super) fn keep_for_reading<'a>(outputs: impl IntoIterator<Item = &'a Path>) {
    // A sandbox that forbids dropping them is no reason not to read.
    let _ = set_no_new_privs(true);
    let _ = keep(FILES | ADDRESSES | MEMORY);
    // Nor is a kernel without landlock, or one that knows less of it: what it knows is forbidden.
    let _ = forbid_writing(outputs, true);
}

/// Like [`keep_for_reading`], where `debuginfod-find` is to fetch debug info: it may connect, and write to its cache.
pub(super) fn keep_for_fetching<'a>(outputs: impl IntoIterator<Item = &'a Path>) {
    let home = |below: &str| env::var_os("HOME").map(|home| Path::new(&home).join(below));
    let cache = env::var_os("DEBUGINFOD_CACHE_PATH")
        .or_else(|| env::var_os("XDG_CACHE_HOME"))
        .map(PathBuf::from)
        .or_else(|| home(".cache"));
    let old = home(".debuginfod_client_cache");
    let outputs = outputs.into_iter().map(Path::to_path_buf);
    let places: Vec<PathBuf> = outputs.chain(cache).chain(old).collect();
    // As above.
    let _ = set_no_new_privs(true);
    let _ = keep(FILES | ADDRESSES | MEMORY);
    let _ = forbid_writing(places.iter().map(PathBuf::as_path), false);
}

/// Drops every capability that tracing doesn't need once the probes are attached and the command runs.
pub(super) fn keep_for_tracing() {
    // Tracing goes on with more than it needs where dropping is forbidden.
    let _ = keep(FILES | ADDRESSES | PROBES | ENDING);
}

/// Has the kernel refuse what changes files outside the directories of `outputs`, of temporary files and of devices, and TCP
/// unless that is needed.
fn forbid_writing<'a>(
    outputs: impl IntoIterator<Item = &'a Path>,
    forbids_tcp: bool,
) -> Result<(), RulesetError> {
    let writing = AccessFs::from_write(LANDLOCK);
    let directories = outputs
        .into_iter()
        .flat_map(directories_of)
        .chain(PLACES.map(PathBuf::from))
        .chain(env::var_os("TMPDIR").map(PathBuf::from));
    // One that is missing or can't be opened needs no rule: nothing can be written there.
    let rules = directories
        .filter_map(|directory| PathFd::new(directory).ok())
        .map(|directory| Ok::<_, RulesetError>(PathBeneath::new(directory, writing)));
    let mut ruleset = Ruleset::default().handle_access(writing)?;
    if forbids_tcp {
        ruleset = ruleset.handle_access(AccessNet::from_all(LANDLOCK))?;
    }
    ruleset
        .create()?
        .add_rules(rules)?
        .restrict_self()
        .map(drop)
}

/// Where a new file or directory of this name lies, and where the file lies that it leads to: `/dev/stdout` may be anywhere.
fn directories_of(output: &Path) -> impl Iterator<Item = PathBuf> {
    let target = fs::canonicalize(output).ok();
    let named = env::current_dir().map(|here| here.join(output)).ok();
    [named, target].into_iter().flatten().filter_map(|path| {
        let above = path.ancestors().skip(1);
        above
            .chain([path.as_path()])
            .find(|directory| directory.is_dir())
            .map(Path::to_path_buf)
    })
}

fn keep(kept: CapabilitySet) -> rustix::io::Result<()> {
    let CapabilitySets {
        effective,
        permitted,
        inheritable,
    } = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: effective & kept,
            permitted: permitted & kept,
            inheritable: inheritable & kept,
        },
    )
}
