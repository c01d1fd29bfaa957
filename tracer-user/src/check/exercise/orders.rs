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

use super::fail_nth;
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
        let answer = match fail_nth::split(&path) {
            None => number(&write(&path, &text)).to_string(),
            Some((nth, path)) => match fail_nth::write(path, &text, nth) {
                Ok((written, left)) => format!("{} {left}", number(&written)),
                Err(error) => number(&Err(error)).to_string(),
            },
        };
        if writeln!(io::stdout(), "{answer}").is_err() {
            break;
        }
    }
    true
}

/// What is answered: the error's number, or zero.
fn number(written: &io::Result<()>) -> i32 {
    match written {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
    }
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
        let (answer, _) = self.give(&line(path, text)?)?;
        Ok(answer.written()?)
    }

    /// The same, with the allocation of this number (from 1 on) failing in it. An error if it can't be made to fail.
    pub(super) fn write_failing(
        &mut self,
        path: &Path,
        text: &str,
        nth: u32,
    ) -> Result<Disturbed, OrderError> {
        let order = format!("{nth} {}", line(path, text)?);
        let (answer, process) = self.give(&order)?;
        let written = answer.written();
        let Some(left) = answer.left else {
            let error = written.err();
            let unanswered = || io::ErrorKind::InvalidData.into();
            return Err(error.unwrap_or_else(unanswered).into());
        };
        Ok(Disturbed {
            written,
            left,
            process,
        })
    }

    /// The process that carries them out, which has one thread; it is started if there is none.
    pub(super) fn process(&mut self) -> io::Result<u32> {
        let process = self.running()?;
        let id = process.child.id();
        self.process = Some(process);
        Ok(id)
    }

    /// The process, taken out.
    fn running(&mut self) -> io::Result<Process> {
        if let Some(mut process) = self.process.take()
            // One that somebody has ended meanwhile takes nothing in.
            && process.child.try_wait()?.is_none()
        {
            return Ok(process);
        }
        Process::start(self.program, self.arguments)
    }

    /// Gives an order: what is answered, and the process that has carried it out.
    fn give(&mut self, order: &str) -> Result<(Answer, u32), OrderError> {
        let mut process = self.running()?;
        process.orders.write_all(order.as_bytes())?;
        let answer = process.answer(self.patience)?;
        let Some(answer) = answer else {
            // Whatever comes of it, it is no longer waited for, nor is the process.
            return Err(OrderError::Hangs {
                patience: self.patience,
                place: place(process.child.id()),
            });
        };
        let id = process.child.id();
        self.process = Some(process);
        Ok((answer, id))
    }
}

/// An order as it is given: the file's path and the text, each with its line's end.
fn line(path: &Path, text: &str) -> io::Result<String> {
    match path.to_str() {
        Some(path) if !path.contains('\n') && !text.contains('\n') => {
            Ok(format!("{path}\n{text}\n"))
        }
        _ => Err(io::ErrorKind::InvalidFilename.into()),
    }
}

/// What came of a write in which an allocation was to fail.
#[derive(Debug)]
pub(super) struct Disturbed {
    /// What it returned.
    pub(super) written: io::Result<()>,
    /// By how many allocations the one was missed that was to fail; zero if it failed.
    pub(super) left: u32,
    /// The process that has written.
    pub(super) process: u32,
}

/// What is answered to an order.
#[derive(Debug)]
struct Answer {
    /// The error's number, or zero.
    number: i32,
    left: Option<u32>,
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let (number, left) = match text.trim().split_once(' ') {
            Some((number, left)) => (number, Some(left.parse().ok()?)),
            None => (text.trim(), None),
        };
        let number = number.parse().ok()?;
        Some(Self { number, left })
    }

    fn written(&self) -> io::Result<()> {
        match self.number {
            0 => Ok(()),
            number => Err(io::Error::from_raw_os_error(number)),
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

    /// What is answered; nothing if the time is over.
    fn answer(&mut self, patience: Duration) -> io::Result<Option<Answer>> {
        let mut asked = [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        if poll(&mut asked, patience)? == 0 {
            return Ok(None);
        }
        // It is written at once, and is shorter than what a pipe takes at once.
        let mut buffer = [0; 32];
        let length = self.answers.read(&mut buffer)?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
        Answer::parse(text).map(Some).ok_or_else(|| {
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
    fn a_write_in_which_an_allocation_fails_says_so() {
        let script = &[
            "-c",
            r"while read -r path && read -r text; do
                case $path in
                    3\ /bind) echo 12 0 ;;
                    9\ /bind) echo 0 2 ;;
                    *) echo 2 ;;
                esac
            done",
        ];
        let mut orders = Orders::by_script(script, LONG);
        let failed = orders.write_failing(Path::new("/bind"), "x", 3).unwrap();
        let error = failed.written.unwrap_err();
        assert_eq!((error.raw_os_error(), failed.left), (Some(libc::ENOMEM), 0));
        let not = orders.write_failing(Path::new("/bind"), "x", 9).unwrap();
        assert!(not.written.is_ok() && not.left == 2);
        assert_eq!(not.process, failed.process);
        // It could not be made to fail.
        let error = orders.write_failing(Path::new("/other"), "x", 3);
        assert!(matches!(error, Err(OrderError::Refused(_))), "{error:?}");
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
