//! The loop: what is typed comes first, then a slice of what has happened, then the screen.

use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use crossterm::event::{self, Event as Input};
use nix::sys::signal::{SigSet, Signal};

use super::{
    Session, Sight,
    pace::Pace,
    session::SourceState,
    source::Source,
    state::Effect,
    terminal::{self, Screen, Use},
};
use crate::{
    event::Event,
    finding::{Severity, text::Text},
    kernel::now,
};

/// How long events are taken in before the next look at the keyboard while a recording is being read.
const READING_SLICE: Duration = Duration::from_millis(60);
/// How often the ages on the screen are brought up to date.
const TICK: Duration = Duration::from_millis(250);
/// Events that are taken in between two looks at the clock.
const BETWEEN_LOOKS: usize = 256;

/// How the view is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether the terminal's other screen is used.
    pub alternate_screen: bool,
    /// Whether the mouse is.
    pub mouse: bool,
}

/// Why the view can't be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no terminal.
    #[error("this is not a terminal")]
    NoTerminal,
    /// The terminal can't be used.
    #[error("the terminal can't be used: {0}")]
    Terminal(#[from] io::Error),
    /// Signals can't be handled.
    #[error("signals can't be handled: {0}")]
    Signals(#[from] nix::Error),
}

/// What wakes the loop.
enum Message {
    Input(Input),
    Signal(Signal),
    /// The source has something.
    Source,
    /// Nothing can be typed any more.
    NoInput,
}

/// How the loop ended.
enum End {
    Quit,
    Signal(Signal),
}

/// Whether there is a terminal for the view.
pub fn check() -> Result<(), RunError> {
    if terminal::is_there() {
        Ok(())
    } else {
        Err(RunError::NoTerminal)
    }
}

/// Runs the view of a source on the terminal until the user ends it. `start` makes source and session once
/// signals are handled.
pub fn run<E: From<RunError>>(
    options: Options,
    start: impl FnOnce() -> Result<(Source, Session), E>,
) -> Result<(), E> {
    check()?;
    // Before any thread starts.
    let signals = terminal::block_ending_signals().map_err(RunError::from)?;
    let (sender, receiver) = mpsc::channel();
    wait_for_signals(signals, sender.clone())?;
    let (source, mut session) = start()?;
    let wake = sender.clone();
    source.wake_with(move || drop(wake.send(Message::Source)));
    let screen = Screen::open(Use {
        alternate_screen: options.alternate_screen,
        mouse: options.mouse,
    })
    .map_err(RunError::from)?;
    read_input(sender)?;
    let end = Loop {
        screen,
        source,
        messages: receiver,
        pending: VecDeque::new(),
        events: Vec::new().into_iter(),
        changed: true,
        pace: Pace::default(),
    }
    .run(&mut session);
    match end {
        Ok(End::Quit) => Ok(()),
        Ok(End::Signal(signal)) => {
            terminal::die_of(signal);
            Ok(())
        }
        Err(error) => Err(RunError::from(error).into()),
    }
}

fn wait_for_signals(signals: SigSet, sender: Sender<Message>) -> Result<(), RunError> {
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            while let Ok(signal) = signals.wait() {
                if sender.send(Message::Signal(signal)).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}

fn read_input(sender: Sender<Message>) -> Result<(), RunError> {
    thread::Builder::new()
        .name("keyboard".to_owned())
        .spawn(move || {
            while let Ok(input) = event::read() {
                if sender.send(Message::Input(input)).is_err() {
                    return;
                }
            }
            let _ = sender.send(Message::NoInput);
        })?;
    Ok(())
}

struct Loop {
    screen: Screen,
    source: Source,
    messages: Receiver<Message>,
    pending: VecDeque<Message>,
    /// Events that were taken from the source and not yet taken in.
    events: std::vec::IntoIter<Event>,
    /// Whether something has changed since the last picture.
    changed: bool,
    pace: Pace,
}

impl Loop {
    fn run(mut self, session: &mut Session) -> io::Result<End> {
        loop {
            let moves = session.sight == Sight::Live && session.playback.is_following();
            let wait = if self.has_events() {
                Duration::ZERO
            } else if self.changed {
                self.pace.due_in(Instant::now())
            } else if moves {
                TICK
            } else {
                Duration::from_secs(3600)
            };
            match self.messages.recv_timeout(wait) {
                Ok(message) => self.pending.push_back(message),
                Err(RecvTimeoutError::Timeout) => self.changed |= moves,
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Quit),
            }
            self.pending.extend(self.messages.try_iter());
            while let Some(message) = self.pending.pop_front() {
                if let Some(end) = self.message(message, session)? {
                    return Ok(end);
                }
            }
            self.take_in(session);
            let began = Instant::now();
            if self.changed && self.pace.due_in(began).is_zero() {
                if session.sight == Sight::Live {
                    session.tell_time(now());
                    if !self.has_events()
                        && let Some(until) = self.source.taken_until()
                    {
                        session.pass(until);
                    }
                }
                self.screen.draw(session)?;
                self.changed = false;
                self.pace.drew(began, Instant::now());
            }
        }
    }

    fn has_events(&mut self) -> bool {
        if self.events.len() == 0
            && let Some(batch) = self.source.take()
        {
            self.events = batch.into_iter();
        }
        self.events.len() > 0
    }

    fn message(&mut self, message: Message, session: &mut Session) -> io::Result<Option<End>> {
        match message {
            Message::Signal(signal) => return Ok(Some(End::Signal(signal))),
            Message::NoInput => return Ok(Some(End::Quit)),
            Message::Source => {}
            Message::Input(input) => {
                self.changed = true;
                match session.input(&input) {
                    Effect::Quit => return Ok(Some(End::Quit)),
                    Effect::Suspend => self.screen.suspend()?,
                    Effect::Redraw => self.screen.redraw()?,
                    Effect::Copy(number) => copy(session, number)?,
                    Effect::None | Effect::SaveFinding(..) | Effect::SaveTrace(_) => {}
                }
            }
        }
        Ok(None)
    }

    /// Takes in what has happened, for as long as nobody notices.
    fn take_in(&mut self, session: &mut Session) {
        let began = Instant::now();
        let until = match session.sight {
            Sight::Live => self.pace.take_in_until(began),
            Sight::Recording(_) => began + READING_SLICE,
        };
        while self.has_events() {
            self.changed = true;
            for event in self.events.by_ref().take(BETWEEN_LOOKS) {
                session.take(event);
            }
            if Instant::now() >= until {
                return;
            }
        }
        if session.source == SourceState::Running
            && let Some(end) = self.source.ended()
        {
            self.changed = true;
            session.know_problems(self.source.problems());
            match (end, &session.sight) {
                (Some(reason), _) => session.fail(reason),
                (None, Sight::Live) => session.fail("the cause is unknown".to_owned()),
                (None, Sight::Recording(_)) => session.end(),
            }
        }
    }
}

fn copy(session: &mut Session, number: usize) -> io::Result<()> {
    let Some(finding) = session.playback.history().findings().get(number) else {
        return Ok(());
    };
    Screen::copy(&Text(finding).to_string())?;
    let rule = finding.rule;
    session.state.tell(
        Severity::Info,
        format!("{rule} sent to the terminal's clipboard (if the terminal supports OSC 52)"),
    );
    Ok(())
}
