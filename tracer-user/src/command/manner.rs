//! How much is said, and whether in colours: the same options for every command.

use std::sync::OnceLock;

use clap::{Args, ValueEnum};

/// How much is said, and whether in colours.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Manner {
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    color: Colours,
    /// Print less: no events and no remarks; check lists only what is not ok
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print details on standard error: what is attached or read, and how long it takes
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Colours {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// As it was asked for when the program was started.
static MANNER: OnceLock<Manner> = OnceLock::new();

impl Manner {
    /// Every command follows this from now on.
    pub(super) fn adopt(self) {
        let choice = match self.color {
            Colours::Auto => anstream::ColorChoice::Auto,
            Colours::Always => anstream::ColorChoice::Always,
            Colours::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        MANNER.get_or_init(|| self);
    }
}

fn adopted() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// Whether only what matters is to be said.
pub(super) fn is_quiet() -> bool {
    adopted().quiet
}

/// Whether details are to be said.
pub(super) fn is_verbose() -> bool {
    adopted().verbose
}

/// Whether the live view is to be drawn without colours, whatever the terminal can.
pub(super) fn is_colourless() -> bool {
    adopted().color == Colours::Never
}
