//! Orders to the kernel through sysfs, carried out by a process of its own. A write that never returns can't be taken back,
//! and no process ends before it does: so that this one can, another one makes it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::kernel::where_task_waits;

/// By this name this program knows that it is to carry out orders, and by nothing that a user would type.
const NAME: &str = "devres-tracer-orders";

/// Carries out orders until there are no more, if this process was started for that.
#[must_use]
pub fn carried_out() -> bool {
    if std::env::args_os().next().is_none_or(|name| name != NAME) {
        return false;
    }
    // Traces show who has unbound a device by this name. It is no harm if they don't.
    let _ = fs::write("/proc/self/comm", "devres-tracer");
    let mut lines = io::stdin().lines();
    while let (Some(Ok(path)), Some(Ok(text))) = (lines.next(), lines.next()) {
        let number = match write(&path, &text) {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
        };
        if writeln!(io::stdout(), "{number}").is_err() {
            break;
        }
    }
    true
}

/// In one write: each is an order of its own.
fn write(path: &str, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The kernel said no, or could not be asked.
    #[error("failed: {0}")]
    Refused(#[from] io::Error),
    /// It had not returned when the time was over, and is left to itself.
    #[error("has not ended within {} s{}", .patience.as_secs_f64(), waits(.place))]
    Hangs {
        /// How long it had.
        patience: Duration,
        /// The functions that it is in, innermost first, as far as they are known.
        place: Vec<String>,
    },
}

/// Where it waits, behind a statement.
fn waits(place: &[String]) -> String {
    match place {
        [] => "; where it waits is unknown".to_owned(),
        [only] => format!(": it waits in {only}"),
        [innermost, callers @ ..] => {
            format!(
                ": it waits in {innermost}, called by {}",
                callers.join(", ")
            )
        }
    }
}

/// Whom orders are given to.
#[derive(Debug)]
pub(super) struct Orders {
    /// Who carries them out.
    program: &'static str,
    arguments: &'static [&'static str],
    patience: Duration,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    orders: ChildStdin,
    answers: ChildStdout,
}

impl Orders {
    /// Orders each of which may take so long.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            program: "/proc/self/exe",
            arguments: &[],
            patience,
            process: None,
        }
    }

    /// Orders that a script carries out.
    #[cfg(test)]
    pub(super) fn by_script(script: &'static [&'static str; 2], patience: Duration) -> Self {
        Self {
            program: "sh",
            arguments: script,
            patience,
            process: None,
        }
    }

    /// Writes a text to a file, both without a line's end in them.
    pub(super) fn write(&mut self, path: &Path, text: &str) -> Result<(), OrderError> {
        let path = path.to_str().filter(|path| !path.contains('\n'));
        let (Some(path), false) = (path, text.contains('\n')) else {
            return Err(io::Error::from(io::ErrorKind::InvalidFilename).into());
        };
        let mut process = match self.process.take() {
            Some(process) => process,
            None => Process::start(self.program, self.arguments)?,
        };
        // One that somebody has ended meanwhile has taken nothing in.
        if process.child.try_wait()?.is_some() {
            process = Process::start(self.program, self.arguments)?;
        }
        process
            .orders
            .write_all(format!("{path}\n{text}\n").as_bytes())?;
        let answer = process.answer(self.patience)?;
        let Some(number) = answer else {
            // Whatever comes of it, it is no longer waited for, nor is the process.
            return Err(OrderError::Hangs {
                patience: self.patience,
                place: place(process.child.id()),
            });
        };
        self.process = Some(process);
        match number {
            0 => Ok(()),
            number => Err(io::Error::from_raw_os_error(number).into()),
        }
    }
}

impl Drop for Orders {
    /// Without more orders it ends; one that hangs is not among these any more.
    fn drop(&mut self) {
        if let Some(Process {
            mut child, orders, ..
        }) = self.process.take()
        {
            drop(orders);
            let _ = child.wait();
        }
    }
}

impl Process {
    fn start(program: &str, arguments: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg0(NAME)
            .args(arguments)
            // Ctrl-C ends an exercise after its cycle, and is not for this process.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Whoever reads this program's output must not wait for a process that hangs.
            .stderr(Stdio::null())
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(orders), Some(answers)) => Ok(Self {
                child,
                orders,
                answers,
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// The error's number, or zero; nothing if the time is over.
    fn answer(&mut self, patience: Duration) -> io::Result<Option<i32>> {
        let mut asked = [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        if poll(&mut asked, patience)? == 0 {
            return Ok(None);
        }
        // It is written at once, and is shorter than what a pipe takes at once.
        let mut buffer = [0; 16];
        let length = self.answers.read(&mut buffer)?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
        let number = text.trim().parse();
        number.map(Some).map_err(|_| {
            let why = "the process that writes to sysfs has ended";
            io::Error::new(io::ErrorKind::BrokenPipe, why)
        })
    }
}

/// How often to look where a process waits, and how long to wait in between: one that wakes now and then shows no stack while it is
/// awake.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(7);

/// The functions that a process is in, from the innermost one to what the write to sysfs called.
fn place(process: u32) -> Vec<String> {
    let look = |again| {
        if again > 0 {
            thread::sleep(BETWEEN_LOOKS);
        }
        Some(where_task_waits(process)).filter(|frames| !frames.is_empty())
    };
    let frames = (0..LOOKS).find_map(look).unwrap_or_default();
    let functions = frames.iter().filter_map(|frame| frame.function.as_deref());
    let is_below = |function: &&crate::event::Function| {
        let name = function.base_name().unwrap_or_default();
        !matches!(
            name,
            "unbind_store" | "bind_store" | "drv_attr_store" | "vfs_write"
        )
    };
    functions
        .take_while(is_below)
        .map(ToString::to_string)
        .collect()
}

/// A script that never answers a text that says so.
#[cfg(test)]
pub(super) const HANGS: &[&str; 2] = &[
    "-c",
    r#"while read -r path && read -r text; do
        [ "$text" != hangs ] || exec sleep 20
        echo 0
    done"#,
];

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn an_order_has_an_answer() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("unbind");
        let script = &[
            "-c",
            r#"while read -r path && read -r text; do
                printf %s "$text" >"$path"
                [ "$text" = busy ] && echo 16 || echo 0
            done"#,
        ];
        let mut orders = Orders::by_script(script, LONG);
        orders.write(&file, "0-0048").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "0-0048");
        let process = orders.process.as_ref().unwrap().child.id();
        let error = orders.write(&file, "busy").unwrap_err();
        assert!(
            matches!(&error, OrderError::Refused(error) if error.raw_os_error() == Some(libc::EBUSY)),
            "{error}"
        );
        orders.write(&file, "0-0049").unwrap();
        assert_eq!(orders.process.as_ref().unwrap().child.id(), process);
        assert!(orders.write(&file, "two\nlines").is_err());
    }

    #[test]
    fn what_hangs_is_left_and_the_next_order_is_carried_out() {
        let file = Path::new("unbind");
        let mut orders = Orders::by_script(HANGS, Duration::from_millis(200));
        let error = orders.write(file, "hangs").unwrap_err();
        assert!(matches!(error, OrderError::Hangs { .. }), "{error}");
        assert!(error.to_string().starts_with("has not ended within 0.2 s"));
        orders.patience = LONG;
        orders.write(file, "0-0048").unwrap();
    }

    #[test]
    fn a_process_that_ends_is_no_success() {
        let mut orders = Orders::by_script(&["-c", "read -r path"], LONG);
        let error = orders.write(Path::new("/x"), "0-0048").unwrap_err();
        assert!(matches!(error, OrderError::Refused(_)), "{error}");
        assert!(orders.process.is_none());
    }

    #[test]
    fn where_it_waits_is_said_in_words() {
        let place = |names: &[&str]| {
            let place = names.iter().map(ToString::to_string).collect();
            let patience = Duration::from_secs(60);
            OrderError::Hangs { patience, place }.to_string()
        };
        assert_eq!(
            place(&["msleep", "acme_remove [acme]", "device_remove"]),
            "has not ended within 60 s: it waits in msleep, called by acme_remove [acme], device_remove"
        );
        assert_eq!(
            place(&[]),
            "has not ended within 60 s; where it waits is unknown"
        );
    }
}
