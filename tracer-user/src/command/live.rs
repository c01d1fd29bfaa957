//! `devres-tracer live`, and `devres-tracer` without a command.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit, manner, privileges, reading,
    rules::RuleOptions,
    say::{plainly, say, shown},
    source_options::{FilterOptions, PROBE_OPTIONS, ProbeOptions},
    usage::UsageError,
};
use crate::{
    run::Wanted,
    tui::{
        self, RunError, Session,
        configuration::Configuration,
        source::{Source, SourceError},
        theme::Ability,
    },
};

/// Shows live what every device holds, or what it held at any moment of a recording
///
/// Without a file it traces this kernel. `?` shows the keys. Exit code 0 when you quit,
/// whatever was found; use `trace` or `import` for a verdict. 2 for a usage error or a wrong configuration, 4
/// if there is nothing to show.
#[derive(Debug, Args)]
pub(super) struct Live {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    probes: ProbeOptions,
    /// Read keys, colours and settings from this file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Draw on the normal screen, as on a serial console
    #[arg(long)]
    no_alternate_screen: bool,
    /// Show this recording instead of this kernel; - is standard input
    #[arg(conflicts_with_all = PROBE_OPTIONS)]
    file: Option<PathBuf>,
}

/// What else there is, where this can't run.
const OFFER: &str = "\
`devres-tracer demo` shows an example without root, `devres-tracer live FILE` opens a recording,
and `devres-tracer doctor` shows what can be traced here.";

/// Why it could not start.
enum Failure {
    Run(RunError),
    Source(SourceError),
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl Live {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        if self.file.is_some() && !filter.is_empty() {
            let problem = "--device, --driver and --bus choose what is traced; in a recording press / to filter";
            return Err(UsageError::new(problem).into());
        }
        let rules = self.rules.rules()?;
        let ability = Ability::of(|name| match name {
            "NO_COLOR" if manner::is_colourless() => Some("1".to_owned()),
            _ => env::var(name).ok(),
        });
        let configuration = match Configuration::load(self.config.as_deref(), ability) {
            Ok(configuration) => configuration,
            Err((path, error)) => {
                let problem = format!("{}: {error}", shown(&path));
                return Err(UsageError::new(problem).into());
            }
        };
        if let Err(error) = tui::check() {
            let Some(file) = &self.file else {
                say(format_args!(
                    "{error}: `live` needs one to draw on; `trace` writes lines"
                ));
                plainly(OFFER);
                return Ok(Exit::CouldNotRun);
            };
            let file = shown(file);
            say(format_args!(
                "{error}: `live` needs one to draw on; `devres-tracer report {file}` writes the same as text"
            ));
            return Ok(Exit::CouldNotRun);
        }
        let options = tui::Options {
            alternate_screen: configuration.alternate_screen && !self.no_alternate_screen,
            mouse: configuration.mouse,
        };
        let probes = self.probes.options(&filter);
        let file = self.file;
        let is_live = file.is_none();
        if !is_live {
            // What is saved goes where its user says.
            privileges::keep_for_reading([Path::new("/")]);
        }
        let result = tui::run(options, || {
            let source = match file {
                Some(path) => Source::recording(path)?,
                None => Source::live(probes)?,
            };
            let session = Session::new(
                source.sight.clone(),
                Wanted::new(filter).of_source(&source.information),
                rules,
                configuration,
            );
            Ok((source, session))
        });
        match result {
            Ok(()) => Ok(Exit::Clean),
            Err(Failure::Run(error)) => Err(error.into()),
            Err(Failure::Source(error)) if is_live => {
                say(format_args!("this kernel can't be traced: {error}"));
                plainly(OFFER);
                Ok(Exit::CouldNotRun)
            }
            Err(Failure::Source(SourceError::Recording(error))) => {
                reading::told(Err(error)).map(|_| Exit::CouldNotRun)
            }
            Err(Failure::Source(error)) => {
                Err(anyhow::Error::new(error).context("the recording can't be shown"))
            }
        }
    }
}

/// What `devres-tracer` does without a command.
pub(super) fn without_command() -> anyhow::Result<Live> {
    use clap::Parser as _;
    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        live: Live,
    }
    let alone = Alone::try_parse_from(["devres-tracer"])
        .context("the options of `live` have no defaults")?;
    Ok(alone.live)
}
