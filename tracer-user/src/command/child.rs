//! The command that is traced.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    libc,
    sys::prctl,
    unistd::{Gid, Uid, User, getgrouplist, setgid, setgroups, setuid},
};
use tokio::process::{Child, Command};

use super::{say::shown, usage::UsageError};

/// What is wrong with the command line, if there is no such program to run or no such user to run it.
pub(super) fn verify(program: &OsStr, user: Option<&str>) -> Result<(), UsageError> {
    if let Some(name) = user
        && let Ok(None) = User::from_name(name)
    {
        return Err(UsageError::new(format!("no such user: {name:?}")));
    }
    let path = Path::new(program);
    if program.as_bytes().contains(&b'/') {
        let wrong = match fs::metadata(path) {
            Err(error) => error.to_string(),
            Ok(metadata) if !metadata.is_file() => "not a file".to_owned(),
            Ok(metadata) if !is_executable(&metadata) => "not executable".to_owned(),
            Ok(_) => return Ok(()),
        };
        let name = shown(path);
        return Err(UsageError::new(format!(
            "cannot start the command {name}: {wrong}"
        )));
    }
    // Without the variable the system has paths of its own.
    let found = env::var_os("PATH").is_none_or(|paths| {
        env::split_paths(&paths).any(|directory| {
            fs::metadata(directory.join(path))
                .is_ok_and(|metadata| metadata.is_file() && is_executable(&metadata))
        })
    });
    if found {
        return Ok(());
    }
    let name = shown(path);
    Err(UsageError::new(format!("command not found: {name}")))
}

fn is_executable(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o111 != 0
}

/// Starts the command. Its input and output stay its own, and it runs with this process's identity, or as
/// `user`, with no way back.
pub(super) fn start(command: &[OsString], user: Option<&str>) -> anyhow::Result<Child> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("no command to run");
    };
    let mut process = Command::new(program);
    process.args(arguments).kill_on_drop(false);
    if let Some(name) = user {
        become_user(&mut process, name)?;
    }
    process
        .spawn()
        .with_context(|| format!("cannot start the command {}", shown(Path::new(program))))
}

fn become_user(process: &mut Command, name: &str) -> anyhow::Result<()> {
    let user = User::from_name(name)
        .with_context(|| format!("cannot look up the user {name:?}"))?
        .with_context(|| format!("no such user: {name:?}"))?;
    let groups = getgrouplist(&CString::new(name)?, user.gid)
        .with_context(|| format!("cannot look up the groups of {name:?}"))?;
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
            keep_no_privileges()
        });
    }
    Ok(())
}

/// Drops what a change of the user leaves: capabilities that a process without root hands on, and those that a program
/// with a set-user-ID bit, or with capabilities of its own, would give back.
fn keep_no_privileges() -> io::Result<()> {
    let (clear, unused): (libc::c_ulong, libc::c_ulong) = (libc::PR_CAP_AMBIENT_CLEAR_ALL as _, 0);
    // SAFETY: this operation takes numbers only. It is a system call, and so async-signal-safe.
    let cleared = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, unused, unused, unused) };
    Errno::result(cleared)?;
    Ok(prctl::set_no_new_privs()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_of_another_user_keeps_nothing_of_root() {
        if !Uid::effective().is_root() {
            eprintln!("SKIPPED: only root can become another user");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path(), everybody).unwrap();
        let path = directory.path().join("status");
        let script = format!("cat /proc/self/status >{}", path.display());
        let command = ["sh", "-c", &script].map(OsString::from);
        let mut child = start(&command, Some("nobody")).unwrap();
        assert!(child.wait().await.unwrap().success());
        let user = User::from_name("nobody").unwrap().unwrap();
        let status = fs::read_to_string(path).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().split_whitespace().collect::<Vec<_>>()
        };
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        assert_eq!(field("Uid:"), vec![uid; 4]);
        assert_eq!(field("Gid:"), vec![gid.clone(); 4]);
        assert_eq!(field("Groups:"), [gid]);
        for set in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(field(set), ["0000000000000000"], "{set}");
        }
        assert_eq!(field("NoNewPrivs:"), ["1"]);
    }
}
