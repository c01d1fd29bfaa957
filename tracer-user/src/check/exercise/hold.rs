//! Files of a device that are held open while it is unbound, and used and closed behind that.

use std::{
    fs::{self, File, OpenOptions},
    io::Read as _,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::Roots;

/// How long an unbind may wait for a file before that is closed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a file of a device that has just been bound may take to be there.
const APPEARS: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What came of holding files across an unbind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// What each file said when it was used after the unbind, in words.
    pub used: Vec<String>,
    /// The unbind did not return until the files were closed.
    pub waited: bool,
    /// The kernel warned or died of something meanwhile.
    pub splat: Option<&'static str>,
}

/// Does `unbind` while these files are open. Behind it they are used and closed; where it waits for them, they are only
/// closed.
pub(super) fn across<T>(
    files: &[PathBuf],
    roots: &Roots,
    unbind: impl FnOnce() -> T,
) -> Result<(T, Held), String> {
    across_for(PATIENCE, files, roots, unbind)
}

fn across_for<T>(
    patience: Duration,
    files: &[PathBuf],
    roots: &Roots,
    unbind: impl FnOnce() -> T,
) -> Result<(T, Held), String> {
    let open: Vec<(PathBuf, File)> = files
        .iter()
        .map(|path| Ok((path.clone(), open(path)?)))
        .collect::<Result<_, String>>()?;
    let before = Taint::of(roots);
    let (done, unbound) = channel();
    let holder = thread::Builder::new()
        .spawn(move || hold(open, &unbound, patience))
        .map_err(|error| format!("a thread can't be started: {error}"))?;
    let result = unbind();
    // The holder may have given up waiting.
    let _ = done.send(());
    let mut held = holder
        .join()
        .map_err(|_| "the files can't be used".to_owned())?;
    held.splat = Taint::of(roots).new_since(before);
    Ok((result, held))
}

fn hold(open: Vec<(PathBuf, File)>, unbound: &Receiver<()>, patience: Duration) -> Held {
    let waited = unbound.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
    let used = if waited {
        Vec::new()
    } else {
        open.iter().map(|(path, file)| use_it(path, file)).collect()
    };
    drop(open);
    Held {
        used,
        waited,
        splat: None,
    }
}

/// Opens a file, to read and write where that is allowed. What a bind makes may take its time.
fn open(path: &Path) -> Result<File, String> {
    let try_open = |write| {
        OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
    };
    let deadline = Instant::now() + APPEARS;
    loop {
        match try_open(true).or_else(|_| try_open(false)) {
            Ok(file) => return Ok(file),
            Err(_) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
            Err(error) => return Err(format!("{} can't be held: {error}", path.display())),
        }
    }
}

/// Polls the file and reads a little of it, and says what came of it.
fn use_it(path: &Path, mut file: &File) -> String {
    let mut asked = [PollFd::new(
        file.as_fd(),
        PollFlags::POLLIN | PollFlags::POLLPRI,
    )];
    let polled = match poll(&mut asked, PollTimeout::ZERO) {
        Ok(_) => asked[0].revents().unwrap_or(PollFlags::empty()),
        Err(error) => return format!("{}: poll fails with {error:?}", path.display()),
    };
    let mut buffer = [0; 64];
    let read = if polled.is_empty() {
        "nothing to read".to_owned()
    } else {
        match file.read(&mut buffer) {
            Ok(length) => format!("read gives {length} bytes"),
            Err(error) => {
                let number = error.raw_os_error().unwrap_or_default();
                format!("read fails with {:?}", Errno::from_raw(number))
            }
        }
    };
    format!("{}: {read}", path.display())
}

/// What the kernel has noted against itself, by `/proc/sys/kernel/tainted`.
#[derive(Debug, Clone, Copy, Default)]
struct Taint(u64);

impl Taint {
    /// `TAINT_DIE`.
    const DIED: u64 = 1 << 7;
    /// `TAINT_WARN`.
    const WARNED: u64 = 1 << 9;

    fn of(roots: &Roots) -> Self {
        let text = fs::read_to_string(roots.proc.join("sys/kernel/tainted")).unwrap_or_default();
        Self(text.trim().parse().unwrap_or_default())
    }

    /// What is noted that was not before. What was noted before can't be noted again.
    fn new_since(self, before: Self) -> Option<&'static str> {
        let new = self.0 & !before.0;
        if new & Self::DIED != 0 {
            Some("the kernel oopsed")
        } else if new & Self::WARNED != 0 {
            Some("the kernel warned")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(directory: &Path, taint: &str) -> Roots {
        let roots = Roots {
            sys: directory.join("sys"),
            proc: directory.join("proc"),
            modules: directory.join("modules"),
        };
        let kernel = roots.proc.join("sys/kernel");
        fs::create_dir_all(&kernel).unwrap();
        fs::write(kernel.join("tainted"), taint).unwrap();
        roots
    }

    #[test]
    fn a_file_is_used_after_the_unbind_and_a_new_taint_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let roots = roots(directory.path(), "512\n");
        let file = directory.path().join("attribute");
        fs::write(&file, "22000\n").unwrap();
        let (result, held) = across(std::slice::from_ref(&file), &roots, || {
            fs::write(roots.proc.join("sys/kernel/tainted"), "640\n").unwrap();
            7
        })
        .unwrap();
        assert_eq!(result, 7);
        let used = format!("{}: read gives 6 bytes", file.display());
        assert_eq!(
            held,
            Held {
                used: vec![used],
                waited: false,
                splat: Some("the kernel oopsed"),
            }
        );
        let (_, again) = across(&[file], &roots, || ()).unwrap();
        assert_eq!(again.splat, None);
    }

    #[test]
    fn an_unbind_that_waits_gets_its_file_closed() {
        let directory = tempfile::tempdir().unwrap();
        let roots = roots(directory.path(), "0\n");
        let path = directory.path().join("node");
        fs::write(&path, "").unwrap();
        let is_open = || {
            let mut descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
            descriptors.any(|one| fs::read_link(one.path()).is_ok_and(|to| to == path))
        };
        let files = [path.clone()];
        let ((), held) = across_for(LOOK_EVERY, &files, &roots, || {
            while is_open() {
                thread::sleep(LOOK_EVERY);
            }
        })
        .unwrap();
        assert!(held.waited && held.used.is_empty(), "{held:?}");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let roots = roots(directory.path(), "0\n");
        let missing = directory.path().join("hwmon0");
        let mut unbound = false;
        let error = across(&[missing], &roots, || unbound = true).unwrap_err();
        assert!(error.contains("hwmon0 can't be held"), "{error}");
        assert!(!unbound);
    }
}
