//! Colours and signs, as far as the terminal has them.

use ratatui::style::{Color, Modifier, Style};

use crate::finding::Severity;

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability {
    /// How many colours.
    pub colours: Colours,
    /// Whether lines, arrows and the like can be shown, or only ASCII.
    pub signs: bool,
    /// Whether there is another screen to draw on, and a mouse.
    pub screens: bool,
}

/// How many colours a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colours {
    /// None, or none are wanted.
    None,
    /// The sixteen of ANSI.
    Sixteen,
    /// More.
    Many,
}

impl Ability {
    /// What the environment says of the terminal: `variable` gives its variables.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        let has = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let plain = ["", "dumb", "unknown"].contains(&term.as_str());
        let serial = plain || term.starts_with("vt");
        let colours = if serial || has("NO_COLOR") || term.ends_with("-m") {
            Colours::None
        } else if term.contains("256color") || has("COLORTERM") {
            Colours::Many
        } else {
            Colours::Sixteen
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()))
            .unwrap_or_default()
            .to_lowercase();
        let unicode = locale.contains("utf-8") || locale.contains("utf8");
        Self {
            colours,
            signs: unicode && !serial && term != "linux",
            screens: !serial,
        }
    }

    /// A modern terminal.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            colours: Colours::Many,
            signs: true,
            screens: true,
        }
    }
}

/// The colours of what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Ordinary text.
    pub text: Style,
    /// What matters less, or fades.
    pub faint: Style,
    /// Headings of columns and parts.
    pub heading: Style,
    /// The top and bottom lines.
    pub bar: Style,
    /// What is selected.
    pub selected: Style,
    /// Errors.
    pub error: Style,
    /// Warnings, and what is not certain.
    pub warning: Style,
    /// What is only worth knowing.
    pub info: Style,
    /// What was added, and what is well.
    pub added: Style,
    /// What was released.
    pub released: Style,
    /// Markers of groups.
    pub group: Style,
    /// Functions and frames of stacks.
    pub function: Style,
    /// Keys.
    pub key: Style,
    /// Signs.
    pub signs: Signs,
}

/// Characters that stand for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// A line down.
    pub down: &'static str,
    /// The upper corner of a bracket.
    pub top: &'static str,
    /// The lower corner of a bracket.
    pub bottom: &'static str,
    /// A line across.
    pub across: &'static str,
    /// The part of a bar that is behind.
    pub full: &'static str,
    /// The part of a bar that is ahead.
    pub empty: &'static str,
    /// Where one is.
    pub here: &'static str,
    /// Something follows.
    pub arrow: &'static str,
    /// Text was cut.
    pub cut: &'static str,
    /// Done.
    pub done: &'static str,
    /// Wrong.
    pub wrong: &'static str,
    /// The begin of a span.
    pub span_begin: &'static str,
    /// The inside of a span.
    pub span: &'static str,
    /// The end of a span.
    pub span_end: &'static str,
    /// Several marks in one place.
    pub several: &'static str,
}

impl Signs {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> [&'static str; 15] {
        let Self {
            down,
            top,
            bottom,
            across,
            full,
            empty,
            here,
            arrow,
            cut,
            done,
            wrong,
            span_begin,
            span,
            span_end,
            several,
        } = *self;
        [
            down, top, bottom, across, full, empty, here, arrow, cut, done, wrong, span_begin,
            span, span_end, several,
        ]
    }
}

const UNICODE: Signs = Signs {
    down: "│",
    top: "┌",
    bottom: "└",
    across: "─",
    full: "━",
    empty: "─",
    here: "●",
    arrow: "→",
    cut: "…",
    done: "✓",
    wrong: "✗",
    span_begin: "╞",
    span: "═",
    span_end: "╡",
    several: "*",
};

const ASCII: Signs = Signs {
    down: "|",
    top: ",",
    bottom: "`",
    across: "-",
    full: "=",
    empty: "-",
    here: "o",
    arrow: "->",
    cut: "~",
    done: "v",
    wrong: "x",
    span_begin: "[",
    span: "=",
    span_end: "]",
    several: "*",
};

/// The roles that the configuration can colour.
pub const ROLES: [&str; 13] = [
    "text", "faint", "heading", "bar", "selected", "error", "warning", "info", "added", "released",
    "group", "function", "key",
];

/// The themes that there are.
pub const THEMES: [&str; 3] = ["dark", "light", "plain"];

impl Theme {
    /// The theme of this name, as far as the terminal can show it.
    #[must_use]
    pub fn named(name: &str, ability: Ability) -> Option<Self> {
        match name {
            "dark" => Some(Self::dark(ability)),
            "light" => Some(Self::coloured(true, ability)),
            "plain" => Some(Self::plain(ability)),
            _ => None,
        }
    }

    /// The theme for a dark background.
    #[must_use]
    pub fn dark(ability: Ability) -> Self {
        Self::coloured(false, ability)
    }

    fn plain(ability: Ability) -> Self {
        let style = Style::new;
        let bold = |style: Style| style.add_modifier(Modifier::BOLD);
        let signs = if ability.signs { UNICODE } else { ASCII };
        Self {
            text: style(),
            faint: if ability.screens {
                style().add_modifier(Modifier::DIM)
            } else {
                style()
            },
            heading: bold(style()),
            bar: style().add_modifier(Modifier::REVERSED),
            selected: style().add_modifier(Modifier::REVERSED),
            error: bold(style()),
            warning: bold(style()),
            info: style(),
            added: style(),
            released: style(),
            group: style(),
            function: style(),
            key: bold(style()),
            signs,
        }
    }

    fn coloured(light: bool, ability: Ability) -> Self {
        let plain = Self::plain(ability);
        if ability.colours == Colours::None {
            return plain;
        }
        let style = Style::new;
        let colour = |colour| Style::new().fg(colour);
        let bold = |style: Style| style.add_modifier(Modifier::BOLD);
        Self {
            // On white the light grey of the sixteen can't be read.
            faint: colour(Color::DarkGray),
            heading: bold(colour(if light { Color::Blue } else { Color::Cyan })),
            bar: if light {
                style().fg(Color::Black).bg(Color::Gray)
            } else {
                style().fg(Color::White).bg(Color::Blue)
            },
            error: bold(colour(Color::Red)),
            warning: bold(colour(if light { Color::Magenta } else { Color::Yellow })),
            info: colour(if light { Color::Blue } else { Color::Cyan }),
            added: colour(Color::Green),
            released: colour(Color::Magenta),
            group: colour(Color::Blue),
            function: colour(if light { Color::Blue } else { Color::Cyan }),
            ..plain
        }
    }

    /// The role of this name.
    pub fn role(&mut self, name: &str) -> Option<&mut Style> {
        Some(match name {
            "text" => &mut self.text,
            "faint" => &mut self.faint,
            "heading" => &mut self.heading,
            "bar" => &mut self.bar,
            "selected" => &mut self.selected,
            "error" => &mut self.error,
            "warning" => &mut self.warning,
            "info" => &mut self.info,
            "added" => &mut self.added,
            "released" => &mut self.released,
            "group" => &mut self.group,
            "function" => &mut self.function,
            "key" => &mut self.key,
            _ => return None,
        })
    }

    /// The colour of findings that are so bad.
    #[must_use]
    pub const fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Error => self.error,
            Severity::Warn => self.warning,
            Severity::Info => self.info,
        }
    }
}

/// The nearest of the sixteen colours, for terminals that have no more.
#[must_use]
pub fn nearest_of_sixteen(colour: Color) -> Color {
    const SIXTEEN: [(Color, [u8; 3]); 16] = [
        (Color::Black, [0, 0, 0]),
        (Color::Red, [170, 0, 0]),
        (Color::Green, [0, 170, 0]),
        (Color::Yellow, [170, 85, 0]),
        (Color::Blue, [0, 0, 170]),
        (Color::Magenta, [170, 0, 170]),
        (Color::Cyan, [0, 170, 170]),
        (Color::Gray, [170, 170, 170]),
        (Color::DarkGray, [85, 85, 85]),
        (Color::LightRed, [255, 85, 85]),
        (Color::LightGreen, [85, 255, 85]),
        (Color::LightYellow, [255, 255, 85]),
        (Color::LightBlue, [85, 85, 255]),
        (Color::LightMagenta, [255, 85, 255]),
        (Color::LightCyan, [85, 255, 255]),
        (Color::White, [255, 255, 255]),
    ];
    let Color::Rgb(red, green, blue) = colour else {
        return colour;
    };
    let distance = |known: &[u8; 3]| {
        [red, green, blue]
            .iter()
            .zip(known)
            .map(|(one, other)| u32::from(one.abs_diff(*other)).pow(2))
            .sum::<u32>()
    };
    SIXTEEN
        .iter()
        .min_by_key(|(_, known)| distance(known))
        .map_or(colour, |(colour, _)| *colour)
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::{Ability, Colours, Theme, nearest_of_sixteen};

    fn ability(variables: &[(&str, &str)]) -> Ability {
        Ability::of(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_says_what_the_terminal_can() {
        let modern = ability(&[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")]);
        assert_eq!(modern, Ability::full());
        let console = ability(&[("TERM", "linux"), ("LANG", "C.UTF-8")]);
        assert_eq!((console.colours, console.signs), (Colours::Sixteen, false));
        for term in ["vt100", "vt220", "dumb", ""] {
            let serial = ability(&[("TERM", term), ("LANG", "C.UTF-8")]);
            assert_eq!(serial.colours, Colours::None, "{term}");
            assert!(!serial.signs && !serial.screens, "{term}");
        }
        let unwanted = ability(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]);
        assert_eq!(unwanted.colours, Colours::None);
    }

    #[test]
    fn without_colours_no_style_has_one() {
        let mut theme = Theme::dark(Ability {
            colours: Colours::None,
            ..Ability::full()
        });
        for role in super::ROLES {
            let style = theme.role(role).unwrap();
            assert_eq!((style.fg, style.bg), (None, None), "{role}");
        }
    }

    /// How much lighter one is than the other, as the guidelines for web content count it.
    fn contrast(one: Color, other: [f64; 3]) -> f64 {
        let channel = |value: f64| {
            let value = value / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let light = |[red, green, blue]: [f64; 3]| {
            0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue) + 0.05
        };
        let rgb = match one {
            Color::Black => [0.0, 0.0, 0.0],
            Color::Red => [170.0, 0.0, 0.0],
            Color::Green => [0.0, 170.0, 0.0],
            Color::Blue => [0.0, 0.0, 170.0],
            Color::Magenta => [170.0, 0.0, 170.0],
            Color::Gray => [170.0, 170.0, 170.0],
            Color::DarkGray => [85.0, 85.0, 85.0],
            unexpected => panic!("{unexpected:?} is not looked up here"),
        };
        let (one, other) = (light(rgb), light(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn the_light_theme_can_be_read_on_white() {
        let mut theme = Theme::named("light", Ability::full()).unwrap();
        for role in super::ROLES {
            let style = theme.role(role).unwrap();
            if let (Some(colour), None) = (style.fg, style.bg) {
                let contrast = contrast(colour, [255.0, 255.0, 255.0]);
                assert!(contrast >= 3.0, "{role}: {contrast}");
            }
        }
        assert_eq!(theme.faint.fg, Some(Color::DarkGray));
    }

    #[test]
    fn true_colours_become_the_nearest_of_sixteen() {
        assert_eq!(nearest_of_sixteen(Color::Rgb(250, 80, 90)), Color::LightRed);
        assert_eq!(nearest_of_sixteen(Color::Rgb(10, 5, 0)), Color::Black);
        assert_eq!(nearest_of_sixteen(Color::Green), Color::Green);
    }
}
