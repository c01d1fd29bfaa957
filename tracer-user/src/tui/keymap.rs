//! Which key does what. The help is made from this, and the configuration changes it.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Something that a key can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the program.
    Quit,
    /// Go back to where one came from.
    Back,
    /// Show the keys.
    Help,
    /// Stop the program until the shell continues it.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Show the devices.
    Devices,
    /// Show the selected device's stack.
    Stack,
    /// Show the findings.
    Findings,
    /// Show the timeline.
    Timeline,
    /// The next of these.
    NextView,
    /// The previous of these.
    PreviousView,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// To the first line.
    Top,
    /// To the last line.
    Bottom,
    /// Open what is selected.
    Open,
    /// Type a filter.
    Filter,
    /// Sort by something else.
    Sort,
    /// Only devices with findings.
    OnlyFindings,
    /// Also devices of which there is nothing to say.
    Idle,
    /// Freeze the view, or follow again.
    Pause,
    /// To the end.
    Live,
    /// One event back.
    StepBack,
    /// One event on.
    Step,
    /// To the previous event of the selected device.
    DeviceStepBack,
    /// To the next event of the selected device.
    DeviceStep,
    /// To where the previous finding was made.
    PreviousFinding,
    /// To where the next finding was made.
    NextFinding,
    /// A twentieth of the history back.
    ScrubBack,
    /// A twentieth of the history on.
    Scrub,
    /// Type a time or the number of an event.
    Goto,
    /// Show less time in more detail.
    ZoomIn,
    /// Show more time in less detail.
    ZoomOut,
    /// Show an earlier time.
    PanLeft,
    /// Show a later time.
    PanRight,
    /// Show all time.
    ZoomAll,
    /// All devices, or the selected one.
    AllDevices,
    /// Save the finding as text.
    SaveFinding,
    /// Save what is held as a trace.
    SaveTrace,
    /// Copy the finding to the terminal's clipboard.
    Copy,
}

/// What is known of an action.
#[derive(Debug, Clone, Copy)]
pub struct ActionInfo {
    /// Which.
    pub action: Action,
    /// Its name in the configuration.
    pub name: &'static str,
    /// The keys that do it unless the configuration says otherwise.
    pub keys: &'static [&'static str],
    /// Under which heading the help has it.
    pub section: &'static str,
    /// What it does, for the help.
    pub description: &'static str,
}

const fn info(
    section: &'static str,
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    description: &'static str,
) -> ActionInfo {
    ActionInfo {
        action,
        name,
        keys,
        section,
        description,
    }
}

const VIEWS: &str = "Views";
const MOVE: &str = "Moving";
const LIST: &str = "Devices";
const TIME: &str = "Time";
const LINE: &str = "Timeline";
const KEEP: &str = "Keeping";

/// Every action, in the order of the help.
pub const ACTIONS: [ActionInfo; 42] = [
    info(VIEWS, Action::Devices, "devices", &["1"], "devices"),
    info(
        VIEWS,
        Action::Stack,
        "stack",
        &["2"],
        "stack of the selected device",
    ),
    info(VIEWS, Action::Findings, "findings", &["3"], "findings"),
    info(VIEWS, Action::Timeline, "timeline", &["4"], "timeline"),
    info(VIEWS, Action::NextView, "next-view", &["Tab"], "next view"),
    info(
        VIEWS,
        Action::PreviousView,
        "previous-view",
        &["BackTab"],
        "previous view",
    ),
    info(
        VIEWS,
        Action::Open,
        "open",
        &["Enter"],
        "open the selected item",
    ),
    info(
        VIEWS,
        Action::Back,
        "back",
        &["Esc", "Backspace"],
        "back, or clear the filter",
    ),
    info(VIEWS, Action::Help, "help", &["?", "F1"], "this help"),
    info(VIEWS, Action::Redraw, "redraw", &["Ctrl-l"], "redraw"),
    info(
        VIEWS,
        Action::Suspend,
        "suspend",
        &["Ctrl-z"],
        "suspend; `fg` resumes",
    ),
    info(VIEWS, Action::Quit, "quit", &["q", "Ctrl-c"], "quit"),
    info(MOVE, Action::Up, "up", &["Up", "k"], "one line up"),
    info(MOVE, Action::Down, "down", &["Down", "j"], "one line down"),
    info(
        MOVE,
        Action::PageUp,
        "page-up",
        &["PageUp", "Ctrl-b"],
        "one page up",
    ),
    info(
        MOVE,
        Action::PageDown,
        "page-down",
        &["PageDown", "Ctrl-f"],
        "one page down",
    ),
    info(MOVE, Action::Top, "top", &["Home", "g"], "first line"),
    info(MOVE, Action::Bottom, "bottom", &["End", "G"], "last line"),
    info(
        LIST,
        Action::Filter,
        "filter",
        &["/"],
        "filter: words, or name: driver: bus: state: resource: finding:",
    ),
    info(LIST, Action::Sort, "sort", &["s"], "next sort order"),
    info(
        LIST,
        Action::OnlyFindings,
        "only-findings",
        &["f"],
        "only devices with findings, or all",
    ),
    info(
        LIST,
        Action::Idle,
        "idle",
        &["a"],
        "show or hide devices that hold nothing",
    ),
    info(
        TIME,
        Action::Pause,
        "pause",
        &["Space"],
        "freeze the view, or follow again",
    ),
    info(TIME, Action::Live, "live", &["L"], "to the end, and follow"),
    info(
        TIME,
        Action::PreviousFinding,
        "previous-finding",
        &["["],
        "to the previous finding",
    ),
    info(
        TIME,
        Action::NextFinding,
        "next-finding",
        &["]"],
        "to the next finding",
    ),
    info(
        TIME,
        Action::StepBack,
        "step-back",
        &[","],
        "one event back",
    ),
    info(TIME, Action::Step, "step", &["."], "one event forward"),
    info(
        TIME,
        Action::DeviceStepBack,
        "device-step-back",
        &["<"],
        "previous event of the selected device",
    ),
    info(
        TIME,
        Action::DeviceStep,
        "device-step",
        &[">"],
        "next event of the selected device",
    ),
    info(
        TIME,
        Action::ScrubBack,
        "scrub-back",
        &["{"],
        "a twentieth of the history back",
    ),
    info(
        TIME,
        Action::Scrub,
        "scrub",
        &["}"],
        "a twentieth of the history forward",
    ),
    info(
        TIME,
        Action::Goto,
        "goto",
        &["t"],
        "to a time in seconds, or to an event: #123",
    ),
    info(LINE, Action::ZoomIn, "zoom-in", &["+", "="], "zoom in"),
    info(LINE, Action::ZoomOut, "zoom-out", &["-"], "zoom out"),
    info(LINE, Action::PanLeft, "pan-left", &["Left", "h"], "earlier"),
    info(
        LINE,
        Action::PanRight,
        "pan-right",
        &["Right", "l"],
        "later",
    ),
    info(LINE, Action::ZoomAll, "zoom-all", &["0"], "all time"),
    info(
        LINE,
        Action::AllDevices,
        "all-devices",
        &["d"],
        "all devices, or the selected one",
    ),
    info(
        KEEP,
        Action::SaveFinding,
        "save-finding",
        &["w"],
        "save the finding as text",
    ),
    info(
        KEEP,
        Action::SaveTrace,
        "save-trace",
        &["W"],
        "save the held events as a trace",
    ),
    info(
        KEEP,
        Action::Copy,
        "copy",
        &["y"],
        "copy the finding to the terminal's clipboard",
    ),
];

/// A key with what is held down with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    control: bool,
    alt: bool,
}

/// A key's name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a key; examples: q, Q, /, Space, Enter, Esc, Tab, BackTab, Up, PageDown, Home, F1, Ctrl-c, Alt-x"
)]
pub struct BadKey(pub String);

const NAMED: [(&str, KeyCode); 17] = [
    ("Space", KeyCode::Char(' ')),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("BackTab", KeyCode::BackTab),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PageUp", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("Null", KeyCode::Null),
];

impl Key {
    /// The key with this name.
    pub fn parse(name: &str) -> Result<Self, BadKey> {
        let mut rest = name;
        let (mut control, mut alt) = (false, false);
        loop {
            if let Some(behind) = rest.strip_prefix("Ctrl-").filter(|rest| !rest.is_empty()) {
                control = true;
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix("Alt-").filter(|rest| !rest.is_empty()) {
                alt = true;
                rest = behind;
            } else {
                break;
            }
        }
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (Some(character), None) if !character.is_control() && character != ' ' => {
                KeyCode::Char(character)
            }
            _ => NAMED
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(rest))
                .map(|(_, code)| *code)
                .or_else(|| {
                    let number = rest.strip_prefix(['F', 'f'])?.parse().ok()?;
                    (1..=24).contains(&number).then_some(KeyCode::F(number))
                })
                .ok_or_else(|| BadKey(name.to_owned()))?,
        };
        Ok(Self { code, control, alt })
    }

    /// What the terminal says was pressed.
    #[must_use]
    pub fn pressed(event: KeyEvent) -> Self {
        Self {
            code: event.code,
            control: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
        }
    }

    /// As the terminal says it.
    #[must_use]
    pub fn event(self) -> KeyEvent {
        let mut modifiers = KeyModifiers::NONE;
        modifiers.set(KeyModifiers::CONTROL, self.control);
        modifiers.set(KeyModifiers::ALT, self.alt);
        KeyEvent::new(self.code, modifiers)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.control {
            formatter.write_str("Ctrl-")?;
        }
        if self.alt {
            formatter.write_str("Alt-")?;
        }
        if let Some((name, _)) = NAMED.iter().find(|(_, code)| *code == self.code) {
            return formatter.write_str(name);
        }
        match self.code {
            KeyCode::Char(character) => write!(formatter, "{character}"),
            KeyCode::F(number) => write!(formatter, "F{number}"),
            _ => formatter.write_str("?"),
        }
    }
}

/// Which key does what.
#[derive(Debug, Clone)]
pub struct Keymap {
    bindings: Vec<(Key, Action)>,
}

impl Default for Keymap {
    fn default() -> Self {
        let bindings = ACTIONS
            .iter()
            .flat_map(|info| info.keys.iter().map(move |key| (key, info.action)))
            .filter_map(|(key, action)| Some((Key::parse(key).ok()?, action)))
            .collect();
        Self { bindings }
    }
}

impl Keymap {
    /// What a key does.
    #[must_use]
    pub fn action(&self, key: Key) -> Option<Action> {
        self.bindings
            .iter()
            .find(|(bound, _)| *bound == key)
            .map(|(_, action)| *action)
    }

    /// These keys, and no others, do this; what they did before nothing does.
    pub fn bind(&mut self, action: Action, keys: &[Key]) {
        self.bindings
            .retain(|(key, bound)| *bound != action && !keys.contains(key));
        self.bindings.extend(keys.iter().map(|key| (*key, action)));
    }

    /// The keys that do something, in words.
    #[must_use]
    pub fn keys(&self, action: Action) -> Vec<String> {
        self.bindings
            .iter()
            .filter(|(_, bound)| *bound == action)
            .map(|(key, _)| key.to_string())
            .collect()
    }

    /// The first key that does something, in words; a dash if none does.
    #[must_use]
    pub fn key(&self, action: Action) -> String {
        self.keys(action).into_iter().next().unwrap_or("-".into())
    }
}

#[cfg(test)]
mod tests;
