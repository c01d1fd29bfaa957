//! The terminal: taken over, and given back whatever happens.

use std::{
    env,
    ffi::c_int,
    io::{self, BufWriter, IsTerminal as _, Stdout, Write as _},
    mem::MaybeUninit,
    panic,
    sync::{
        Once, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor, event, execute, queue,
    terminal::{self, ClearType},
};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction, sigprocmask,
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use super::Session;

/// Whether the terminal is taken over, and in which way: what there is to undo.
static TAKEN: AtomicBool = AtomicBool::new(false);
static ALTERNATE: AtomicBool = AtomicBool::new(false);
static MOUSE: AtomicBool = AtomicBool::new(false);

/// The size of a terminal that says none, such as a serial line's.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// How the terminal is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    /// Whether its other screen is used.
    pub(super) alternate_screen: bool,
    /// Whether the mouse is.
    pub(super) mouse: bool,
}

/// A terminal that is taken over, until this value goes away.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// The size, where the terminal doesn't know it.
    fixed: Option<Rect>,
    usage: Use,
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn is_there() -> bool {
    let reads = io::stdin().is_terminal() || std::fs::File::open("/dev/tty").is_ok();
    reads && io::stdout().is_terminal()
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open(usage: Use) -> io::Result<Self> {
        restore_on_panic();
        restore_on_abort();
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout()));
        let fixed = match terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => None,
            _ => {
                let (width, height) = told_size();
                Some(Rect::new(0, 0, width, height))
            }
        };
        let viewport = fixed.map_or(Viewport::Fullscreen, Viewport::Fixed);
        take(usage)?;
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport });
        let terminal = terminal.inspect_err(|_| restore())?;
        let mut screen = Self {
            terminal,
            fixed,
            usage,
        };
        screen.redraw()?;
        Ok(screen)
    }

    /// Draws a session.
    pub(super) fn draw(&mut self, session: &mut Session) -> io::Result<()> {
        self.terminal.draw(|frame| {
            if let Some(cursor) = session.draw(frame.buffer_mut()) {
                frame.set_cursor_position(cursor);
            }
        })?;
        Ok(())
    }

    /// Forgets what is on the terminal, so that everything is drawn anew.
    ///
    /// `Terminal::clear` would ask the terminal where its cursor is. A serial line may never answer, and the
    /// answer would have to get past the thread that reads the keyboard.
    pub(super) fn redraw(&mut self) -> io::Result<()> {
        let area = match self.fixed {
            Some(area) => area,
            None => self.terminal.size()?.into(),
        };
        self.terminal.resize(area)
    }

    /// Gives the terminal back, stops until the shell goes on, and takes it over again.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        restore();
        raise(Signal::SIGTSTP)?;
        take(self.usage)?;
        self.redraw()
    }

    /// Puts a text on the clipboard of the terminal, if it has one (OSC 52).
    pub(super) fn copy(text: &str) -> io::Result<()> {
        execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// The size that the environment says.
fn told_size() -> (u16, u16) {
    let told = |name| {
        let number: u16 = env::var(name).ok()?.trim().parse().ok()?;
        (number > 0).then_some(number)
    };
    (
        told("COLUMNS").unwrap_or(USUAL_SIZE.0),
        told("LINES").unwrap_or(USUAL_SIZE.1),
    )
}

fn take(usage: Use) -> io::Result<()> {
    terminal::enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut output = io::stdout();
    if usage.alternate_screen {
        ALTERNATE.store(true, Ordering::SeqCst);
        queue!(
            output,
            terminal::EnterAlternateScreen,
            event::EnableBracketedPaste
        )?;
    }
    if usage.mouse {
        MOUSE.store(true, Ordering::SeqCst);
        queue!(output, event::EnableMouseCapture)?;
    }
    output.flush()
}

/// Gives the terminal back, if it was taken. What fails here can't be helped.
pub(super) fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut output = io::stdout();
    if MOUSE.swap(false, Ordering::SeqCst) {
        let _ = queue!(output, event::DisableMouseCapture);
    }
    if ALTERNATE.swap(false, Ordering::SeqCst) {
        let _ = queue!(
            output,
            event::DisableBracketedPaste,
            terminal::LeaveAlternateScreen
        );
    } else {
        let (_, height) = terminal::size()
            .ok()
            .filter(|(_, height)| *height > 0)
            .unwrap_or_else(told_size);
        let _ = queue!(
            output,
            cursor::MoveTo(0, height - 1),
            terminal::Clear(ClearType::CurrentLine)
        );
    }
    let _ = queue!(output, cursor::Show);
    let _ = output.flush();
    let _ = terminal::disable_raw_mode();
}

/// A panic's message is to be read, and the shell to be used, after it.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |information| {
            restore();
            before(information);
        }));
    });
}

/// How the terminal on standard input was before it was taken over.
static BEFORE: OnceLock<libc::termios> = OnceLock::new();

/// Whoever calls `abort`, as the allocator does when it fails, runs nothing else of the program: this is left to the
/// signal's handler.
fn restore_on_abort() {
    let mut before = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the pointer is valid for writing, and the value is used only if it was written.
    if unsafe { libc::tcgetattr(libc::STDIN_FILENO, before.as_mut_ptr()) } == 0 {
        // SAFETY: the call has succeeded, so it has written it.
        BEFORE.get_or_init(|| unsafe { before.assume_init() });
    }
    let action = SigAction::new(
        SigHandler::Handler(give_back),
        SaFlags::SA_RESETHAND,
        SigSet::empty(),
    );
    // SAFETY: the handler calls only what may be called in one.
    let _ = unsafe { sigaction(Signal::SIGABRT, &action) };
}

/// Gives the terminal back with nothing but calls that are allowed in a signal's handler, and goes on to abort.
extern "C" fn give_back(signal: c_int) {
    const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1015l\x1b[?1003l\x1b[?1002l\x1b[?1000l";
    const SCREEN_OFF: &[u8] = b"\x1b[?2004l\x1b[?1049l";
    const CURSOR_ON: &[u8] = b"\x1b[?25h\r\n";
    if TAKEN.load(Ordering::SeqCst) {
        let put = |bytes: &[u8]| {
            // SAFETY: write(2) is async-signal-safe, and the bytes are there.
            unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        };
        if MOUSE.load(Ordering::SeqCst) {
            put(MOUSE_OFF);
        }
        if ALTERNATE.load(Ordering::SeqCst) {
            put(SCREEN_OFF);
        }
        put(CURSOR_ON);
        if let Some(before) = BEFORE.get() {
            // SAFETY: tcsetattr(3) is async-signal-safe, and the pointer is valid.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) };
        }
    }
    // SAFETY: raise(3) is async-signal-safe. The signal has its default action again, which it takes when this returns.
    unsafe { libc::raise(signal) };
}

/// The signals that end the program. They are blocked in every thread started from here on, and are to be
/// waited for.
pub(super) fn block_ending_signals() -> nix::Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    Ok(signals)
}

/// Ends as one does who doesn't know the signal. Returns only if that doesn't work.
pub(super) fn die_of(signal: Signal) {
    restore();
    let mut signals = SigSet::empty();
    signals.add(signal);
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&signals), None);
    let _ = raise(signal);
}
