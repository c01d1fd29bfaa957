//! The line that is typed at the bottom of the screen, and what comes of it.

use crossterm::event::KeyCode;

use super::{Effect, Scroll, State};
use crate::{
    event::Time,
    finding::Severity,
    tui::{filter::Filter, keymap::Key, playback::Playback},
};

/// What is asked for on the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// A filter.
    Filter,
    /// A time or an event.
    Goto,
    /// Where to save a finding.
    SaveFinding,
    /// Where to save the trace.
    SaveTrace,
}

impl Question {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Filter => "filter: ",
            Self::Goto => "go to (seconds, or #event): ",
            Self::SaveFinding => "save the finding as: ",
            Self::SaveTrace => "save the trace as: ",
        }
    }
}

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub question: Question,
    /// What was typed so far.
    pub text: String,
}

impl State {
    /// Text was pasted.
    pub fn paste(&mut self, text: &str, playback: &mut Playback) {
        if let Some(prompt) = &mut self.prompt {
            prompt
                .text
                .extend(text.chars().filter(|character| !character.is_control()));
            self.typed(playback);
        }
    }

    pub(super) fn ask(&mut self, question: Question, text: &str) {
        self.prompt = Some(Prompt {
            question,
            text: text.to_owned(),
        });
    }

    pub(super) fn type_key(&mut self, key: Key, playback: &mut Playback) -> Effect {
        let Some(prompt) = &mut self.prompt else {
            return Effect::None;
        };
        let event = key.event();
        match event.code {
            KeyCode::Enter => return self.answer(playback),
            KeyCode::Esc => {
                if prompt.question == Question::Filter {
                    prompt.text.clear();
                    self.typed(playback);
                }
                self.prompt = None;
            }
            KeyCode::Char('c') if !event.modifiers.is_empty() => self.prompt = None,
            KeyCode::Char('u') if !event.modifiers.is_empty() => {
                prompt.text.clear();
                self.typed(playback);
            }
            KeyCode::Backspace => {
                prompt.text.pop();
                self.typed(playback);
            }
            KeyCode::Char(character) if event.modifiers.is_empty() => {
                prompt.text.push(character);
                self.typed(playback);
            }
            _ => {}
        }
        Effect::None
    }

    /// What was typed has changed: a filter holds at once.
    fn typed(&mut self, playback: &mut Playback) {
        if let Some(prompt) = &self.prompt
            && prompt.question == Question::Filter
        {
            playback.choose(|choice| choice.filter = Filter::new(&prompt.text));
            self.devices = Scroll::default();
            self.device = None;
        }
    }

    fn answer(&mut self, playback: &mut Playback) -> Effect {
        let Some(Prompt { question, text }) = self.prompt.take() else {
            return Effect::None;
        };
        let text = text.trim().to_owned();
        match question {
            Question::Filter => Effect::None,
            _ if text.is_empty() => Effect::None,
            Question::Goto => {
                match position_of(&text, playback) {
                    Some(position) => self.seek(position, playback),
                    None => self.tell(
                        Severity::Warn,
                        "give a time in seconds or an event such as #123",
                    ),
                }
                Effect::None
            }
            Question::SaveFinding => Effect::SaveFinding(self.findings.cursor, text),
            Question::SaveTrace => Effect::SaveTrace(text),
        }
    }
}

/// The position that was typed: `#123`, or seconds with decimals.
fn position_of(text: &str, playback: &Playback) -> Option<u64> {
    if let Some(number) = text.strip_prefix('#') {
        return number.parse().ok();
    }
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u64 = seconds.parse().ok()?;
    let mut nanoseconds = 0_u64;
    if !decimals.is_empty() {
        let digits: String = decimals
            .chars()
            .chain("000000000".chars())
            .take(9)
            .collect();
        nanoseconds = digits.parse().ok()?;
        // What was typed stands for the whole interval that is shown alike.
        if decimals.len() < 9 {
            let shown = u32::try_from(decimals.len()).ok()?;
            nanoseconds += 10_u64.pow(9 - shown) - 1;
        }
    }
    let time = seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nanoseconds)?;
    Some(playback.history().position_at(Time(time)))
}
