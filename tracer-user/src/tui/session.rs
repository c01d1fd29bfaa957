//! Everything between a source of events and a screen.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossterm::event::{Event as Input, KeyEventKind};

use super::{
    configuration::Configuration,
    keymap::{BadKey, Key},
    save,
    state::{Effect, State},
};
use crate::{
    event::{Event, Time},
    evidence::SourceInformation,
    finding::Severity,
    rules::RuleSet,
    tui::playback::Playback,
};

/// How often the screen follows while a recording is read.
const BETWEEN_CATCHING_UP: Duration = Duration::from_millis(300);

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// The running kernel.
    Live,
    /// A recording of this name.
    Recording(String),
}

/// How it is with the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// More may come.
    Running,
    /// Everything has come.
    Ended,
    /// Nothing comes any more, for this reason.
    Failed(String),
}

/// A session of the live view: events and keys go in, a screen comes out.
#[derive(Debug)]
pub struct Session {
    pub(super) playback: Playback,
    pub(super) state: State,
    pub(super) configuration: Configuration,
    pub(super) information: SourceInformation,
    pub(super) sight: Sight,
    pub(super) source: SourceState,
    /// What keeps a recording from being all there was.
    pub(super) problems: Vec<String>,
    /// When what is looked at was last brought to the end of what was read.
    caught_up: Instant,
}

impl Session {
    /// A session that has seen nothing yet.
    #[must_use]
    pub fn new(
        sight: Sight,
        information: SourceInformation,
        rules: RuleSet,
        configuration: Configuration,
    ) -> Self {
        let most = (sight == Sight::Live).then_some(configuration.history);
        Self {
            playback: Playback::new(Arc::new(information.coverage.clone()), rules, most),
            state: State::default(),
            configuration,
            information,
            sight,
            source: SourceState::Running,
            problems: Vec::new(),
            caught_up: Instant::now(),
        }
    }

    /// Takes one event of the source in.
    pub fn take(&mut self, event: Event) {
        if self.sight == Sight::Live {
            self.playback.take(event);
        } else {
            self.playback.take_quickly(event);
        }
    }

    /// The source has ended.
    pub fn end(&mut self) {
        self.source = SourceState::Ended;
        self.state.growing = false;
        self.playback.conclude();
    }

    /// What keeps a recording from being all there was.
    pub fn know_problems(&mut self, problems: Vec<String>) {
        self.problems = problems;
    }

    /// The source has failed.
    pub fn fail(&mut self, reason: String) {
        self.playback.conclude();
        self.state.growing = false;
        self.source = SourceState::Failed(reason);
    }

    /// What time it is, for a running kernel.
    pub fn tell_time(&mut self, now: Time) {
        self.playback.tell_time(now);
    }

    /// Nothing has happened until then that was not taken in.
    pub fn pass(&mut self, until: Time) {
        self.playback.pass(until);
    }

    /// Takes what the terminal says in. What it returns is left to do.
    pub fn input(&mut self, input: &Input) -> Effect {
        // What the cursor is on must be what was drawn, or would be.
        self.settle();
        let effect = match input {
            Input::Key(event) if event.kind != KeyEventKind::Release => self.state.key(
                Key::pressed(*event),
                &self.configuration.keymap,
                &mut self.playback,
            ),
            Input::Mouse(event) => {
                self.state.message = None;
                self.state.mouse(*event, &mut self.playback);
                Effect::None
            }
            Input::Paste(text) => {
                self.state.paste(text, &mut self.playback);
                Effect::None
            }
            _ => Effect::None,
        };
        self.carry_out(effect)
    }

    /// Presses keys by their names, with blanks between them.
    pub fn press(&mut self, keys: &str) -> Result<Effect, BadKey> {
        let mut effect = Effect::None;
        for key in keys.split(' ').filter(|key| !key.is_empty()) {
            let key = Key::parse(key)?;
            effect = self.input(&Input::Key(key.event()));
        }
        Ok(effect)
    }

    /// Saves what is to be saved; the rest is left to who has the terminal.
    fn carry_out(&mut self, effect: Effect) -> Effect {
        let saved = match &effect {
            Effect::SaveFinding(number, path) => save::finding(&self.playback, *number, path),
            Effect::SaveTrace(path) => save::trace(&self.playback, &self.information, path),
            _ => return effect,
        };
        match saved {
            Ok(message) => self.state.tell(Severity::Info, message),
            Err(error) => self.state.tell(Severity::Error, error.to_string()),
        }
        Effect::None
    }

    pub(super) fn settle(&mut self) {
        // While a recording is read, every picture would cost as much as many events.
        let reading = self.source == SourceState::Running && self.sight != Sight::Live;
        if !reading || self.caught_up.elapsed() >= BETWEEN_CATCHING_UP {
            self.playback.catch_up();
            self.caught_up = Instant::now();
        }
        self.playback.pin(self.state.pinned());
        self.playback.settle();
        self.state.settle(&self.playback);
    }

    /// What is looked at.
    #[must_use]
    pub fn playback(&self) -> &Playback {
        &self.playback
    }

    /// What the user looks at.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }
}
