//! What the user looks at: one state machine for everything that is typed, clicked and drawn.

mod mouse;
mod navigation;
mod prompt;

pub use prompt::{Prompt, Question};

use ratatui::layout::Rect;

use super::{
    filter::Filter,
    keymap::{Action, Key, Keymap},
    rows::Sort,
};
use crate::{event::Time, finding::Severity, model::InstanceKey, tui::playback::Playback};

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All devices.
    Devices,
    /// One device's stack.
    Stack,
    /// All findings.
    Findings,
    /// One finding.
    Finding,
    /// What ran when.
    Timeline,
    /// The keys.
    Help,
}

impl View {
    /// Those that have a number.
    pub const NUMBERED: [Self; 4] = [Self::Devices, Self::Stack, Self::Findings, Self::Timeline];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Devices => "Devices",
            Self::Stack => "Stack",
            Self::Findings => "Findings",
            Self::Finding => "Finding",
            Self::Timeline => "Timeline",
            Self::Help => "Keys",
        }
    }

    /// The numbered view that it belongs to.
    #[must_use]
    pub const fn tab(self) -> Self {
        match self {
            Self::Finding => Self::Findings,
            view => view,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// In words.
    pub text: String,
    /// How bad it is.
    pub severity: Severity,
}

/// A list of which only a part is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scroll {
    /// The selected line.
    pub cursor: usize,
    /// The first line that is seen.
    pub top: usize,
}

impl Scroll {
    /// Keeps the cursor in a list of so many lines, and in the part of `height` lines that is seen.
    pub fn keep(&mut self, lines: usize, height: usize) {
        self.cursor = self.cursor.min(lines.saturating_sub(1));
        self.top = self
            .top
            .min(self.cursor)
            .max((self.cursor + 1).saturating_sub(height.max(1)))
            .min(lines.saturating_sub(height));
    }

    /// Keeps a text of so many lines in sight, without a cursor.
    pub fn keep_text(&mut self, lines: usize, height: usize) {
        self.top = self.cursor.min(lines.saturating_sub(height));
        self.cursor = self.top;
    }

    fn by(&mut self, lines: isize) {
        self.cursor = self.cursor.saturating_add_signed(lines);
    }
}

/// The part of time that the timeline shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Window {
    /// All of it.
    #[default]
    All,
    /// So many nanoseconds up to now.
    Last(u64),
    /// From here to there.
    Fixed(Time, Time),
}

/// Where things were drawn last, for the mouse.
#[derive(Debug, Clone, Default)]
pub struct Areas {
    /// The names of views.
    pub tabs: Vec<(Rect, View)>,
    /// The lines of the list, or of the text that scrolls.
    pub list: Rect,
    /// The line that stands for the history.
    pub scrub: Rect,
    /// The columns of the timeline, and the time that they stand for.
    pub timeline: Option<(Rect, Time, Time)>,
}

/// What the rest of the program has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// End.
    Quit,
    /// Stop until the shell goes on.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Write a finding, by its number, to a file.
    SaveFinding(usize, String),
    /// Write what is held to a file.
    SaveTrace(String),
    /// Copy a finding, by its number.
    Copy(usize),
}

/// What the user looks at.
#[derive(Debug, Clone)]
pub struct State {
    /// What fills the screen.
    pub view: View,
    /// Where one came from.
    came_from: Vec<View>,
    /// The selected device.
    pub device: Option<InstanceKey>,
    /// The devices.
    pub devices: Scroll,
    /// The selected device's stack.
    pub stack: Scroll,
    /// The findings; the cursor is the selected one's number.
    pub findings: Scroll,
    /// The text of one finding.
    pub finding: Scroll,
    /// The lanes of the timeline.
    pub timeline: Scroll,
    /// The help.
    pub help: Scroll,
    /// The part of time that the timeline shows.
    pub window: Window,
    /// Whether the timeline shows all devices.
    pub all_devices: bool,
    /// A line that is being typed.
    pub prompt: Option<Prompt>,
    /// A message, until a key is pressed.
    pub message: Option<Message>,
    /// Where things were drawn last.
    pub areas: Areas,
    /// Whether the history still grows.
    pub growing: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            view: View::Devices,
            came_from: Vec::new(),
            device: None,
            devices: Scroll::default(),
            stack: Scroll::default(),
            findings: Scroll::default(),
            finding: Scroll::default(),
            timeline: Scroll::default(),
            help: Scroll::default(),
            window: Window::All,
            all_devices: false,
            prompt: None,
            message: None,
            areas: Areas::default(),
            growing: true,
        }
    }
}

impl State {
    /// Shows a message.
    pub fn tell(&mut self, severity: Severity, text: impl Into<String>) {
        self.message = Some(Message {
            text: text.into(),
            severity,
        });
    }

    /// A key was pressed.
    pub fn key(&mut self, key: Key, keymap: &Keymap, playback: &mut Playback) -> Effect {
        self.message = None;
        if self.prompt.is_some() {
            return self.type_key(key, playback);
        }
        if let Some(action) = keymap.action(key) {
            return self.act(action, playback);
        }
        let help = keymap.key(Action::Help);
        self.tell(
            Severity::Info,
            format!("{key} does nothing here; {help} shows the keys"),
        );
        Effect::None
    }

    fn scroll_of_view(&mut self) -> &mut Scroll {
        match self.view {
            View::Devices => &mut self.devices,
            View::Stack => &mut self.stack,
            View::Findings => &mut self.findings,
            View::Finding => &mut self.finding,
            View::Timeline => &mut self.timeline,
            View::Help => &mut self.help,
        }
    }

    /// The cursor has moved: what it is on now is selected.
    fn selected(&mut self, playback: &Playback) {
        match self.view {
            View::Devices => {
                let last = playback.rows().shown().len().saturating_sub(1);
                self.devices.cursor = self.devices.cursor.min(last);
                if let Some(row) = playback.rows().at(self.devices.cursor)
                    && self.device != Some(row.key)
                {
                    self.device = Some(row.key);
                    self.stack = Scroll::default();
                    self.timeline = Scroll::default();
                }
            }
            View::Findings => {
                let last = playback.history().findings().len().saturating_sub(1);
                self.findings.cursor = self.findings.cursor.min(last);
                self.finding = Scroll::default();
                self.select_device_of_finding(playback);
            }
            _ => {}
        }
    }

    /// Selects the device of the selected finding, unless it is one of several that it was found on.
    fn select_device_of_finding(&mut self, playback: &Playback) {
        let number = self.findings.cursor;
        if let Some(finding) = playback.history().findings().get(number) {
            let found = playback.history().found();
            let is_one_of_them = self
                .device
                .is_some_and(|device| found.on(device).iter().any(|on| on.finding == number));
            if !is_one_of_them {
                self.select_device(finding.instance);
            }
        }
    }

    fn select_device(&mut self, device: InstanceKey) {
        if self.device != Some(device) {
            self.device = Some(device);
            self.stack = Scroll::default();
        }
    }

    /// The device that is looked at, which must not fade.
    #[must_use]
    pub fn pinned(&self) -> Option<InstanceKey> {
        self.device.filter(|_| self.view != View::Devices)
    }

    fn go(&mut self, view: View) {
        if view != self.view {
            self.came_from.retain(|known| *known != view);
            self.came_from.push(self.view);
            self.view = view;
        }
    }

    fn back(&mut self, playback: &mut Playback) {
        if let Some(view) = self.came_from.pop() {
            self.view = view;
        } else if self.view != View::Devices {
            self.view = View::Devices;
        } else {
            playback.choose(|choice| {
                choice.filter = Filter::default();
                choice.only_findings = false;
            });
        }
    }

    fn turn(&mut self, forward: bool) {
        let here = View::NUMBERED
            .iter()
            .position(|view| *view == self.view.tab())
            .unwrap_or(0);
        let count = View::NUMBERED.len();
        let next = if forward { here + 1 } else { here + count - 1 } % count;
        if let Some(view) = View::NUMBERED.get(next) {
            self.go(*view);
        }
    }

    fn act(&mut self, action: Action, playback: &mut Playback) -> Effect {
        let page = isize::try_from(self.areas.list.height.max(2) - 1).unwrap_or(1);
        match action {
            Action::Quit => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::Redraw => return Effect::Redraw,
            Action::Back => self.back(playback),
            Action::Help => self.go(View::Help),
            Action::Devices => self.go(View::Devices),
            Action::Stack => self.go(View::Stack),
            Action::Findings => self.go(View::Findings),
            Action::Timeline => self.go(View::Timeline),
            Action::NextView => self.turn(true),
            Action::PreviousView => self.turn(false),
            Action::Up => self.scroll(-1, playback),
            Action::Down => self.scroll(1, playback),
            Action::PageUp => self.scroll(-page, playback),
            Action::PageDown => self.scroll(page, playback),
            Action::Top => self.scroll(-isize::MAX, playback),
            // Enough for any list, and far from overflow.
            Action::Bottom => self.scroll(isize::MAX / 2, playback),
            Action::Open => self.open(playback),
            Action::Filter => {
                self.go(View::Devices);
                self.ask(Question::Filter, playback.rows().choice().filter.text());
            }
            Action::Sort => {
                playback.choose(|choice| choice.sort = choice.sort.next());
                let sort = Sort::name(playback.rows().choice().sort);
                self.tell(Severity::Info, format!("sorted by {sort}"));
            }
            Action::OnlyFindings => playback.choose(|choice| {
                choice.only_findings = !choice.only_findings;
            }),
            Action::Idle => playback.choose(|choice| choice.idle = !choice.idle),
            Action::Pause => self.pause(playback),
            Action::Live => {
                playback.follow();
                self.window = Window::All;
            }
            Action::PanLeft | Action::PanRight if self.view == View::Timeline => {
                self.pan(action == Action::PanRight, playback);
            }
            Action::Step | Action::PanRight => self.step(1, playback),
            Action::StepBack | Action::PanLeft => {
                self.seek(playback.position().saturating_sub(1), playback);
            }
            Action::DeviceStep => self.device_step(true, playback),
            Action::DeviceStepBack => self.device_step(false, playback),
            Action::NextFinding => self.jump(true, playback),
            Action::PreviousFinding => self.jump(false, playback),
            Action::Scrub => self.scrub(u64::saturating_add, playback),
            Action::ScrubBack => self.scrub(u64::saturating_sub, playback),
            Action::Goto => self.ask(Question::Goto, ""),
            Action::ZoomIn => self.zoom(true, playback),
            Action::ZoomOut => self.zoom(false, playback),
            Action::ZoomAll => self.window = Window::All,
            Action::AllDevices => {
                self.all_devices = !self.all_devices;
                self.go(View::Timeline);
            }
            Action::SaveFinding | Action::Copy => return self.keep_finding(action, playback),
            Action::SaveTrace => self.ask(Question::SaveTrace, "devres-trace.dvrt"),
        }
        Effect::None
    }

    /// Opens what is selected.
    fn open(&mut self, playback: &mut Playback) {
        match self.view {
            View::Devices if self.device.is_some() => self.go(View::Stack),
            View::Findings if !playback.history().findings().is_empty() => {
                self.select_device_of_finding(playback);
                self.finding = Scroll::default();
                self.go(View::Finding);
            }
            View::Finding => self.go(View::Stack),
            _ => {}
        }
    }

    /// Goes a twentieth of the recording on or back.
    fn scrub(&mut self, to: fn(u64, u64) -> u64, playback: &mut Playback) {
        let history = playback.history();
        let stride = ((history.end() - history.first()) / 20).max(1);
        self.seek(to(playback.position(), stride), playback);
    }

    fn keep_finding(&mut self, action: Action, playback: &Playback) -> Effect {
        let number = self.findings.cursor;
        let Some(finding) = playback.history().findings().get(number) else {
            self.tell(Severity::Info, "no finding");
            return Effect::None;
        };
        if action == Action::Copy {
            return Effect::Copy(number);
        }
        let device: String = finding
            .device
            .chars()
            .map(|character| {
                if character.is_ascii_alphanumeric() || "-_.".contains(character) {
                    character
                } else {
                    '_'
                }
            })
            .collect();
        let name = format!("{}-{device}.txt", finding.rule);
        self.ask(Question::SaveFinding, &name);
        Effect::None
    }

    /// Before drawing: selects something where nothing is, and follows the selected device in the table.
    pub fn settle(&mut self, playback: &Playback) {
        let rows = playback.rows();
        if let Some(place) = self.device.and_then(|device| rows.place(device)) {
            self.devices.cursor = place;
            return;
        }
        // Elsewhere than in the table a device stays selected although the filter hides it or it is no more.
        if self.view == View::Devices || self.device.is_none() {
            let last = rows.shown().len().saturating_sub(1);
            self.devices.cursor = self.devices.cursor.min(last);
            self.device = rows.at(self.devices.cursor).map(|row| row.key);
        }
    }
}
