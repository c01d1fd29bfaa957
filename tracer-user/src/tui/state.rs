//! What the user looks at: one state machine for everything that is typed, clicked and drawn.

use crossterm::event::{KeyCode, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{
    filter::Filter,
    keymap::{Action, Key, Keymap},
    rows::Sort,
    world::World,
};
use crate::{event::Time, finding::Severity, model::InstanceKey};

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

/// Something to tell.
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
    /// Something to tell, until a key is pressed.
    pub message: Option<Message>,
    /// Where things were drawn last.
    pub areas: Areas,
    /// Whether the history still grows.
    pub growing: bool,
}

/// Lines that a turn of the wheel moves.
const WHEEL: isize = 3;

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
    /// Tells something.
    pub fn tell(&mut self, severity: Severity, text: impl Into<String>) {
        self.message = Some(Message {
            text: text.into(),
            severity,
        });
    }

    /// A key was pressed.
    pub fn key(&mut self, key: Key, keymap: &Keymap, world: &mut World) -> Effect {
        self.message = None;
        if self.prompt.is_some() {
            return self.type_key(key, world);
        }
        if let Some(action) = keymap.action(key) {
            return self.act(action, world);
        }
        let help = keymap.key(Action::Help);
        self.tell(
            Severity::Info,
            format!("{key} does nothing here; {help} shows the keys"),
        );
        Effect::None
    }

    /// Text was pasted.
    pub fn paste(&mut self, text: &str, world: &mut World) {
        if let Some(prompt) = &mut self.prompt {
            prompt
                .text
                .extend(text.chars().filter(|character| !character.is_control()));
            self.typed(world);
        }
    }

    /// The mouse was moved, clicked or scrolled.
    pub fn mouse(&mut self, event: MouseEvent, world: &mut World) {
        let place = Position::new(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.scroll(-WHEEL, world),
            MouseEventKind::ScrollDown => self.scroll(WHEEL, world),
            MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left) => {
                let clicked = matches!(event.kind, MouseEventKind::Down(_));
                self.click(place, clicked, world);
            }
            _ => {}
        }
    }

    fn click(&mut self, place: Position, clicked: bool, world: &mut World) {
        let tab = self
            .areas
            .tabs
            .iter()
            .find(|(area, _)| area.contains(place));
        if let Some((_, view)) = tab.filter(|_| clicked) {
            let view = *view;
            self.go(view);
        } else if self.areas.scrub.contains(place) {
            let area = self.areas.scrub;
            let history = world.history();
            let span = history.end() - history.first();
            let column = u64::from(place.x - area.x);
            let width = u64::from(area.width.saturating_sub(1)).max(1);
            let position = history.first() + span * column / width;
            self.seek(position, world);
        } else if let Some((area, begin, end)) = self.areas.timeline
            && area.contains(place)
        {
            let column = u64::from(place.x - area.x);
            let width = u64::from(area.width.saturating_sub(1)).max(1);
            let time = Time(begin.0 + scaled(end.since(begin), column, width));
            let position = world.history().position_at(time);
            self.seek(position, world);
        } else if self.areas.list.contains(place) && clicked {
            let line = usize::from(place.y - self.areas.list.y);
            let view = self.view;
            let scroll = self.scroll_of_view();
            let target = scroll.top + line;
            match view {
                View::Finding | View::Help | View::Timeline => {}
                _ if target == scroll.cursor => {
                    self.act(Action::Open, world);
                }
                _ => {
                    scroll.cursor = target;
                    self.selected(world);
                }
            }
        }
    }

    fn scroll(&mut self, lines: isize, world: &World) {
        self.scroll_of_view().by(lines);
        self.selected(world);
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
    fn selected(&mut self, world: &World) {
        match self.view {
            View::Devices => {
                let last = world.rows().shown().len().saturating_sub(1);
                self.devices.cursor = self.devices.cursor.min(last);
                if let Some(row) = world.rows().at(self.devices.cursor)
                    && self.device != Some(row.key)
                {
                    self.device = Some(row.key);
                    self.stack = Scroll::default();
                    self.timeline = Scroll::default();
                }
            }
            View::Findings => {
                let last = world.history().findings().len().saturating_sub(1);
                self.findings.cursor = self.findings.cursor.min(last);
                self.finding = Scroll::default();
                self.select_device_of_finding(world);
            }
            _ => {}
        }
    }

    fn select_device_of_finding(&mut self, world: &World) {
        if let Some(finding) = world.history().findings().get(self.findings.cursor)
            && self.device != Some(finding.instance)
        {
            self.device = Some(finding.instance);
            self.stack = Scroll::default();
        }
    }

    fn go(&mut self, view: View) {
        if view != self.view {
            self.came_from.retain(|known| *known != view);
            self.came_from.push(self.view);
            self.view = view;
        }
    }

    fn back(&mut self, world: &mut World) {
        if let Some(view) = self.came_from.pop() {
            self.view = view;
        } else if self.view != View::Devices {
            self.view = View::Devices;
        } else {
            let mut choice = world.rows().choice().clone();
            choice.filter = Filter::default();
            choice.only_findings = false;
            world.choose(choice);
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

    fn act(&mut self, action: Action, world: &mut World) -> Effect {
        let page = isize::try_from(self.areas.list.height.max(2) - 1).unwrap_or(1);
        match action {
            Action::Quit => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::Redraw => return Effect::Redraw,
            Action::Back => self.back(world),
            Action::Help => self.go(View::Help),
            Action::Devices => self.go(View::Devices),
            Action::Stack => self.go(View::Stack),
            Action::Findings => self.go(View::Findings),
            Action::Timeline => self.go(View::Timeline),
            Action::NextView => self.turn(true),
            Action::PreviousView => self.turn(false),
            Action::Up => self.scroll(-1, world),
            Action::Down => self.scroll(1, world),
            Action::PageUp => self.scroll(-page, world),
            Action::PageDown => self.scroll(page, world),
            Action::Top => self.scroll(-isize::MAX, world),
            // Enough for any list, and far from overflow.
            Action::Bottom => self.scroll(isize::MAX / 2, world),
            Action::Open => match self.view {
                View::Devices if self.device.is_some() => self.go(View::Stack),
                View::Findings if !world.history().findings().is_empty() => {
                    self.select_device_of_finding(world);
                    self.finding = Scroll::default();
                    self.go(View::Finding);
                }
                View::Finding => self.go(View::Stack),
                _ => {}
            },
            Action::Filter => {
                self.go(View::Devices);
                self.ask(Question::Filter, world.rows().choice().filter.text());
            }
            Action::Sort => {
                let mut choice = world.rows().choice().clone();
                choice.sort = choice.sort.next();
                self.tell(
                    Severity::Info,
                    format!("sorted by {}", Sort::name(choice.sort)),
                );
                world.choose(choice);
            }
            Action::OnlyFindings => {
                let mut choice = world.rows().choice().clone();
                choice.only_findings = !choice.only_findings;
                world.choose(choice);
            }
            Action::Idle => {
                let mut choice = world.rows().choice().clone();
                choice.idle = !choice.idle;
                world.choose(choice);
            }
            Action::Pause => self.pause(world),
            Action::Live => {
                world.follow();
                self.window = Window::All;
            }
            Action::PanLeft | Action::PanRight if self.view == View::Timeline => {
                self.pan(action == Action::PanRight, world);
            }
            Action::Step | Action::PanRight => self.step(1, world),
            Action::StepBack | Action::PanLeft => {
                self.seek(world.position().saturating_sub(1), world);
            }
            Action::DeviceStep => self.device_step(true, world),
            Action::DeviceStepBack => self.device_step(false, world),
            Action::NextFinding => self.jump(true, world),
            Action::PreviousFinding => self.jump(false, world),
            Action::Scrub | Action::ScrubBack => {
                let history = world.history();
                let stride = ((history.end() - history.first()) / 20).max(1);
                let position = if action == Action::Scrub {
                    world.position().saturating_add(stride)
                } else {
                    world.position().saturating_sub(stride)
                };
                self.seek(position, world);
            }
            Action::Goto => self.ask(Question::Goto, ""),
            Action::ZoomIn => self.zoom(true, world),
            Action::ZoomOut => self.zoom(false, world),
            Action::ZoomAll => self.window = Window::All,
            Action::AllDevices => {
                self.all_devices = !self.all_devices;
                self.go(View::Timeline);
            }
            Action::SaveFinding | Action::Copy => return self.keep_finding(action, world),
            Action::SaveTrace => self.ask(Question::SaveTrace, "devres-trace.dvrt"),
        }
        Effect::None
    }

    fn keep_finding(&mut self, action: Action, world: &World) -> Effect {
        let number = self.findings.cursor;
        let Some(finding) = world.history().findings().get(number) else {
            self.tell(Severity::Info, "there is no finding");
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

    fn ask(&mut self, question: Question, text: &str) {
        self.prompt = Some(Prompt {
            question,
            text: text.to_owned(),
        });
    }

    fn type_key(&mut self, key: Key, world: &mut World) -> Effect {
        let Some(prompt) = &mut self.prompt else {
            return Effect::None;
        };
        let event = key.event();
        match event.code {
            KeyCode::Enter => return self.answer(world),
            KeyCode::Esc => {
                if prompt.question == Question::Filter {
                    prompt.text.clear();
                    self.typed(world);
                }
                self.prompt = None;
            }
            KeyCode::Char('c') if !event.modifiers.is_empty() => self.prompt = None,
            KeyCode::Char('u') if !event.modifiers.is_empty() => {
                prompt.text.clear();
                self.typed(world);
            }
            KeyCode::Backspace => {
                prompt.text.pop();
                self.typed(world);
            }
            KeyCode::Char(character) if event.modifiers.is_empty() => {
                prompt.text.push(character);
                self.typed(world);
            }
            _ => {}
        }
        Effect::None
    }

    /// What was typed has changed: a filter holds at once.
    fn typed(&mut self, world: &mut World) {
        if let Some(prompt) = &self.prompt
            && prompt.question == Question::Filter
        {
            let mut choice = world.rows().choice().clone();
            choice.filter = Filter::new(&prompt.text);
            world.choose(choice);
            self.devices = Scroll::default();
            self.device = None;
        }
    }

    fn answer(&mut self, world: &mut World) -> Effect {
        let Some(Prompt { question, text }) = self.prompt.take() else {
            return Effect::None;
        };
        let text = text.trim().to_owned();
        match question {
            Question::Filter => Effect::None,
            _ if text.is_empty() => Effect::None,
            Question::Goto => {
                match position_of(&text, world) {
                    Some(position) => self.seek(position, world),
                    None => self.tell(
                        Severity::Warn,
                        "that is neither a time in seconds nor an event such as #123",
                    ),
                }
                Effect::None
            }
            Question::SaveFinding => Effect::SaveFinding(self.findings.cursor, text),
            Question::SaveTrace => Effect::SaveTrace(text),
        }
    }

    fn pause(&mut self, world: &mut World) {
        if !world.is_following() {
            world.follow();
        } else if self.growing {
            world.pause();
        } else {
            self.tell(
                Severity::Info,
                "this is the end of the recording; step back from here",
            );
        }
    }

    fn seek(&mut self, position: u64, world: &mut World) {
        let first = world.history().first();
        if position < first {
            self.tell(
                Severity::Warn,
                format!(
                    "what was before {} s is no longer held",
                    world.history().time(first)
                ),
            );
        }
        world.seek(position);
    }

    fn step(&mut self, events: u64, world: &mut World) {
        if world.position() >= world.history().end() {
            self.tell(Severity::Info, "there is no later event yet");
        }
        world.pause();
        world.step(events);
    }

    fn device_step(&mut self, forward: bool, world: &mut World) {
        let Some(device) = self.device else {
            self.tell(Severity::Info, "no device is selected");
            return;
        };
        let history = world.history();
        let here = world.position();
        let is_its = |position: &u64| {
            history
                .event(*position)
                .is_some_and(|event| event.device == device.address)
        };
        let found = if forward {
            (here + 1..=history.end()).find(is_its)
        } else {
            (history.first() + 1..here).rev().find(is_its)
        };
        match found {
            Some(position) => self.seek(position, world),
            None => self.tell(
                Severity::Info,
                if forward {
                    "no later event of this device"
                } else {
                    "no earlier event of this device"
                },
            ),
        }
    }

    fn jump(&mut self, forward: bool, world: &mut World) {
        let history = world.history();
        let here = world.position();
        let count = history.findings().len();
        let found = if forward {
            Some(history.found_until(here)).filter(|next| *next < count)
        } else {
            (0..count)
                .rev()
                .find(|finding| history.found_at(*finding) < here)
        };
        match found {
            Some(finding) => {
                let position = history.found_at(finding);
                self.findings.cursor = finding;
                self.finding = Scroll::default();
                self.select_device_of_finding(world);
                self.seek(position, world);
            }
            None if count == 0 => self.tell(Severity::Info, "nothing was found"),
            None => self.tell(
                Severity::Info,
                if forward {
                    "no later finding"
                } else {
                    "no earlier finding"
                },
            ),
        }
    }

    /// The part of time that the timeline shows: its begin and end.
    #[must_use]
    pub fn shown_time(&self, world: &World) -> (Time, Time) {
        let history = world.history();
        let first = history.time(history.first() + 1);
        let last = history.time(history.end()).max(world.now());
        let (begin, end) = match self.window {
            Window::All if !self.all_devices => self
                .device
                .and_then(|device| life(device, world))
                .unwrap_or((first, last)),
            Window::All => (first, last),
            Window::Last(length) => (Time(last.0.saturating_sub(length)), last),
            Window::Fixed(begin, end) => (begin, end),
        };
        (begin, end.max(Time(begin.0 + 1)))
    }

    fn zoom(&mut self, into: bool, world: &World) {
        let (begin, end) = self.shown_time(world);
        let length = end.since(begin);
        let length = if into {
            (length / 2).max(100)
        } else {
            length.saturating_mul(2)
        };
        let whole = Self {
            window: Window::All,
            all_devices: true,
            ..Self::default()
        };
        let (first, last) = whole.shown_time(world);
        self.window = if length >= last.since(first) {
            Window::All
        } else if world.is_following() && self.growing {
            Window::Last(length)
        } else {
            let now = world.now();
            let centre = if now >= begin && now <= end {
                now
            } else {
                Time(begin.0 + end.since(begin) / 2)
            };
            let begin = centre
                .0
                .saturating_sub(length / 2)
                .clamp(first.0, last.0.saturating_sub(length).max(first.0));
            Window::Fixed(Time(begin), Time(begin + length))
        };
    }

    fn pan(&mut self, later: bool, world: &World) {
        let (begin, end) = self.shown_time(world);
        let by = (end.since(begin) / 4).max(1);
        self.window = if later {
            Window::Fixed(Time(begin.0 + by), Time(end.0 + by))
        } else {
            let by = by.min(begin.0);
            Window::Fixed(Time(begin.0 - by), Time(end.0 - by))
        };
    }

    /// Before drawing: selects something where nothing is, and follows the selected device in the table.
    pub fn settle(&mut self, world: &World) {
        let rows = world.rows();
        if let Some(place) = self.device.and_then(|device| rows.place(device)) {
            self.devices.cursor = place;
            return;
        }
        // Elsewhere than in the table a device stays selected although the filter hides it or it is no more.
        let is_known = self.device.is_some_and(|device| {
            let of_finding = world
                .history()
                .findings()
                .get(self.findings.cursor)
                .is_some_and(|finding| finding.instance == device);
            rows.of(device).is_some() || of_finding
        });
        if self.view == View::Devices || !is_known {
            let last = rows.shown().len().saturating_sub(1);
            self.devices.cursor = self.devices.cursor.min(last);
            self.device = rows.at(self.devices.cursor).map(|row| row.key);
        }
    }
}

/// The time from a device's first to its last activity that is held, with a little around it.
fn life(device: InstanceKey, world: &World) -> Option<(Time, Time)> {
    let timeline = world.history().timeline();
    let is_its = |of: InstanceKey| of == device;
    let span = timeline.spans().find(|span| is_its(span.device));
    let mark = timeline.all_marks().find(|mark| is_its(mark.device));
    let begin = match (span, mark) {
        (Some(span), Some(mark)) => span.begin.min(mark.time),
        (Some(span), None) => span.begin,
        (None, Some(mark)) => mark.time,
        (None, None) => return None,
    };
    let ends = timeline
        .spans()
        .rev()
        .filter(|span| is_its(span.device))
        .take(100)
        .map(|span| span.end.unwrap_or_else(|| world.now()));
    let mark = timeline.all_marks().rev().find(|mark| is_its(mark.device));
    let end = ends.chain(mark.map(|mark| mark.time)).max()?;
    let around = end.since(begin) / 50;
    Some((
        Time(begin.0.saturating_sub(around)),
        Time(end.0.saturating_add(around)),
    ))
}

/// `length * part / whole`, without overflow.
fn scaled(length: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(length) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// The position that was typed: `#123`, or seconds with decimals.
fn position_of(text: &str, world: &World) -> Option<u64> {
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
    Some(world.history().position_at(Time(time)))
}
