//! The command that is traced.

use std::ffi::{CString, OsString};

use anyhow::{Context as _, bail};
use nix::unistd::{Gid, Uid, User, getgrouplist, setgid, setgroups, setuid};
use tokio::process::{Child, Command};

/// Starts the command. Its input and output stay its own, and it runs with this process's identity, or as
/// `user`.
pub(super) fn start(command: &[OsString], user: Option<&str>) -> anyhow::Result<Child> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("there is no command to run");
    };
    let mut process = Command::new(program);
    process.args(arguments).kill_on_drop(false);
    if let Some(name) = user {
        become_user(&mut process, name)?;
    }
    process
        .spawn()
        .with_context(|| format!("the command {} can't be started", program.to_string_lossy()))
}

fn become_user(process: &mut Command, name: &str) -> anyhow::Result<()> {
    let user = User::from_name(name)
        .with_context(|| format!("the user {name:?} can't be looked up"))?
        .with_context(|| format!("there is no user {name:?}"))?;
    let groups = getgrouplist(&CString::new(name)?, user.gid)
        .with_context(|| format!("the groups of {name:?} can't be looked up"))?;
    let (uid, gid): (Uid, Gid) = (user.uid, user.gid);
    process
        .env("USER", name)
        .env("LOGNAME", name)
        .env("HOME", &user.dir);
    // SAFETY: between fork and exec only async-signal-safe functions may be called: these are system calls,
    // and what they need was allocated before.
    unsafe {
        process.pre_exec(move || {
            setgroups(&groups)?;
            setgid(gid)?;
            setuid(uid)?;
            Ok(())
        });
    }
    Ok(())
}
