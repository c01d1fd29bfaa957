//! The configuration file: keys, colours, and how much is kept.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use ratatui::style::{Color, Style};
use toml::{Table, Value};

use super::{
    keymap::{ACTIONS, BadKey, Key, Keymap},
    theme::{Ability, Colours, ROLES, THEMES, Theme, nearest_of_sixteen},
};
use crate::escape::Escaped;

/// What can be configured.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Which key does what.
    pub keymap: Keymap,
    /// The colours.
    pub theme: Theme,
    /// How many events are kept of a running kernel.
    pub history: usize,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Whether the terminal's other screen is used.
    pub alternate_screen: bool,
}

/// Events that are kept of a running kernel unless the configuration says otherwise.
pub const HISTORY: usize = 250_000;
/// The least that can be kept: what lies between two checkpoints.
const LEAST_HISTORY: usize = 1 << 14;

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It can't be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// It is not TOML.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// There is nothing of this name.
    #[error("unknown {what} {:?}; did you mean {nearest:?}?", Escaped(.name).to_string())]
    Unknown {
        /// Of what kind.
        what: &'static str,
        /// The name.
        name: String,
        /// The name that is most like it.
        nearest: &'static str,
    },
    /// Something has a value that it can't have.
    #[error("`{name}` must be {expected}")]
    Value {
        /// What.
        name: String,
        /// What its value can be.
        expected: &'static str,
    },
    /// A key's name is none.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// Two actions have one key.
    #[error("the key {key} does both `{one}` and `{other}`")]
    Twice {
        /// The key.
        key: String,
        /// The first of them.
        one: &'static str,
        /// The second.
        other: &'static str,
    },
}

const SECTIONS: [&str; 3] = ["keys", "theme", "live"];
const SETTINGS: [&str; 3] = ["history", "mouse", "alternate-screen"];

impl Configuration {
    /// What holds where nothing is configured.
    #[must_use]
    pub fn new(ability: Ability) -> Self {
        Self {
            keymap: Keymap::default(),
            theme: Theme::dark(ability),
            history: HISTORY,
            mouse: ability.screens,
            alternate_screen: ability.screens,
        }
    }

    /// Reads a configuration.
    pub fn read(text: &str, ability: Ability) -> Result<Self, ConfigurationError> {
        let mut configuration = Self::new(ability);
        let table: Table = text.parse()?;
        for (name, value) in &table {
            known("section", name, &SECTIONS)?;
            let Value::Table(section) = value else {
                return Err(ConfigurationError::Value {
                    name: name.clone(),
                    expected: "a section, such as [keys]",
                });
            };
            match name.as_str() {
                "keys" => configuration.read_keys(section)?,
                "theme" => configuration.read_theme(section, ability)?,
                _ => configuration.read_live(section, ability)?,
            }
        }
        Ok(configuration)
    }

    /// Reads the configuration at `path`, or the one at its usual place if there is one.
    pub fn load(
        path: Option<&Path>,
        ability: Ability,
    ) -> Result<Self, (PathBuf, ConfigurationError)> {
        let (path, must_exist) = match path {
            Some(path) => (path.to_owned(), true),
            None => match usual_place() {
                Some(path) => (path, false),
                None => return Ok(Self::new(ability)),
            },
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self::read(&text, ability).map_err(|error| (path, error)),
            Err(error) if !must_exist && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::new(ability))
            }
            Err(error) => Err((path, error.into())),
        }
    }

    fn read_keys(&mut self, section: &Table) -> Result<(), ConfigurationError> {
        let mut bound: Vec<(Key, &'static str)> = Vec::new();
        for (name, value) in section {
            let names: Vec<&'static str> = ACTIONS.iter().map(|info| info.name).collect();
            let name = known("action", name, &names)?;
            let expected = || ConfigurationError::Value {
                name: format!("keys.{name}"),
                expected: "a key, such as \"q\", or a list of keys",
            };
            let keys = match value {
                Value::String(key) => vec![Key::parse(key)?],
                Value::Array(keys) => keys
                    .iter()
                    .map(|key| Ok(Key::parse(key.as_str().ok_or_else(expected)?)?))
                    .collect::<Result<_, ConfigurationError>>()?,
                _ => return Err(expected()),
            };
            for key in &keys {
                if let Some((_, one)) = bound.iter().find(|(known, _)| known == key) {
                    return Err(ConfigurationError::Twice {
                        key: key.to_string(),
                        one,
                        other: name,
                    });
                }
                bound.push((*key, name));
            }
            if let Some(info) = ACTIONS.iter().find(|info| info.name == name) {
                self.keymap.bind(info.action, &keys);
            }
        }
        Ok(())
    }

    fn read_theme(&mut self, section: &Table, ability: Ability) -> Result<(), ConfigurationError> {
        let expected = |name: &str, expected| ConfigurationError::Value {
            name: format!("theme.{name}"),
            expected,
        };
        if let Some(base) = section.get("base") {
            let name = base
                .as_str()
                .ok_or_else(|| expected("base", "the name of a theme"))?;
            let name = known("theme", name, &THEMES)?;
            if let Some(theme) = Theme::named(name, ability) {
                self.theme = theme;
            }
        }
        let mut roles = ROLES.to_vec();
        roles.push("base");
        for (name, value) in section.iter().filter(|(name, _)| *name != "base") {
            let name = known("role", name, &roles)?;
            let style = value
                .as_str()
                .and_then(|text| style(text, ability))
                .ok_or_else(|| {
                    expected(
                        name,
                        "colours and attributes, such as \"red\", \"bold #ff8800\" or \"black on white\"",
                    )
                })?;
            if let Some(role) = self.theme.role(name) {
                *role = style;
            }
        }
        Ok(())
    }

    fn read_live(&mut self, section: &Table, ability: Ability) -> Result<(), ConfigurationError> {
        for (name, value) in section {
            let name = known("setting", name, &SETTINGS)?;
            let expected = |expected| ConfigurationError::Value {
                name: format!("live.{name}"),
                expected,
            };
            if name == "history" {
                self.history = value
                    .as_integer()
                    .and_then(|number| usize::try_from(number).ok())
                    .filter(|number| *number >= LEAST_HISTORY)
                    .ok_or_else(|| expected("a number of events, at least 16384"))?;
                continue;
            }
            let wanted = value.as_bool().ok_or_else(|| expected("true or false"))?;
            if name == "mouse" {
                self.mouse = wanted && ability.screens;
            } else {
                self.alternate_screen = wanted && ability.screens;
            }
        }
        Ok(())
    }
}

/// `$XDG_CONFIG_HOME/devres-tracer/config.toml`, where that variable has its usual default.
#[must_use]
pub fn usual_place() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let home = set("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")))?;
    Some(home.join("devres-tracer/config.toml"))
}

/// Finds a name among those that there are.
fn known(
    what: &'static str,
    name: &str,
    names: &[&'static str],
) -> Result<&'static str, ConfigurationError> {
    names
        .iter()
        .find(|known| **known == name)
        .copied()
        .ok_or_else(|| ConfigurationError::Unknown {
            what,
            name: name.to_owned(),
            nearest: names
                .iter()
                .min_by_key(|known| strsim::damerau_levenshtein(name, known))
                .copied()
                .unwrap_or_default(),
        })
}

/// Colours and attributes: `bold red`, `black on #ffcc00`, `reversed`.
fn style(text: &str, ability: Ability) -> Option<Style> {
    let mut style = Style::new();
    let mut background = false;
    for word in text.split_whitespace() {
        match word {
            "on" => background = true,
            "bold" => style = style.bold(),
            "dim" => style = style.dim(),
            "italic" => style = style.italic(),
            "underlined" => style = style.underlined(),
            "reversed" => style = style.reversed(),
            _ => {
                let colour = Color::from_str(word).ok()?;
                let colour = match ability.colours {
                    Colours::None => continue,
                    Colours::Sixteen => nearest_of_sixteen(colour),
                    Colours::Many => colour,
                };
                style = if background {
                    style.bg(colour)
                } else {
                    style.fg(colour)
                };
            }
        }
    }
    Some(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::Action;

    fn read(text: &str) -> Result<Configuration, String> {
        Configuration::read(text, Ability::full()).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_colours_and_settings_are_taken_over() {
        let configuration = read(
            r#"
            [keys]
            quit = ["x", "Ctrl-q"]
            sort = "o"
            [theme]
            base = "light"
            error = "bold white on #aa0000"
            [live]
            history = 100000
            mouse = false
            "#,
        )
        .unwrap();
        assert_eq!(configuration.keymap.keys(Action::Quit), ["x", "Ctrl-q"]);
        assert_eq!(configuration.keymap.key(Action::Sort), "o");
        assert_eq!(configuration.theme.error.bg, Some(Color::Rgb(170, 0, 0)));
        assert_eq!(configuration.history, 100_000);
        assert!(!configuration.mouse && configuration.alternate_screen);
    }

    #[test]
    fn what_is_unknown_is_an_error_with_the_nearest_name() {
        for (text, error) in [
            ("[key]\n", r#"unknown section "key"; did you mean "keys"?"#),
            (
                "[keys]\npauze = \"p\"\n",
                r#"unknown action "pauze"; did you mean "pause"?"#,
            ),
            (
                "[theme]\nerorr = \"red\"\n",
                r#"unknown role "erorr"; did you mean "error"?"#,
            ),
            (
                "[theme]\nbase = \"drak\"\n",
                r#"unknown theme "drak"; did you mean "dark"?"#,
            ),
            (
                "[live]\nmous = true\n",
                r#"unknown setting "mous"; did you mean "mouse"?"#,
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), error);
        }
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for text in [
            "keys = 3",
            "[keys]\nquit = 3",
            "[keys]\nquit = \"Hyper-q\"",
            "[keys]\nquit = \"x\"\nsort = \"x\"",
            "[theme]\nerror = \"redd\"",
            "[live]\nhistory = -1",
            "[live]\nhistory = 10",
            "[live]\nmouse = \"yes\"",
            "[keys",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_terminal_without_colours_gets_none() {
        let ability = Ability {
            colours: Colours::None,
            ..Ability::full()
        };
        let configuration =
            Configuration::read("[theme]\nerror = \"bold red on white\"", ability).unwrap();
        let style = configuration.theme.error;
        assert_eq!((style.fg, style.bg), (None, None));
    }
}
