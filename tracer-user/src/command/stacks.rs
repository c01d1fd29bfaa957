//! `devres-tracer stacks`.

use std::{
    io::{self, BufWriter, ErrorKind, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;

use super::{
    Exit,
    moment::{Extent, HOW, Moment},
    reading,
    source_options::FilterOptions,
};
use crate::{
    coverage::{Before, Coverage},
    event::Time,
    filter::DeviceFilter,
    model::Model,
    sink::stacks::DeviceStack,
    source::live::{Live, Options},
};

/// Shows what each device owns right now, or owned at some time in a recording
///
/// Without FILE the lists are read from the kernel's memory without its locks, each one twice. A device whose
/// list changed meanwhile is marked. Devices that are not yet added to the system are not found. With FILE it
/// is what the recording or log tells until --at, or until its end.
#[derive(Debug, Args)]
#[command(after_help = HOW)]
pub(super) struct Stacks {
    #[command(flatten)]
    filter: FilterOptions,
    /// Write JSON lines: one object a device
    #[arg(long)]
    json: bool,
    /// Show devices that own nothing as well
    #[arg(long)]
    all: bool,
    /// The time in the recording; without, its end
    #[arg(
        long,
        value_name = "TIME",
        requires = "file",
        allow_hyphen_values = true
    )]
    at: Option<Moment>,
    /// A recording or log to read instead of the running kernel, or - for standard input
    file: Option<PathBuf>,
}

impl Stacks {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let (coverage, model) = match &self.file {
            Some(file) => self.recorded(file)?,
            None => live()?,
        };
        let shown = self.show(&model, &filter)?;
        if let Before::Unknown(reason) = &coverage.before {
            eprintln!("devres-tracer: not every device is shown: {reason}");
            return Ok(if shown == 0 && self.file.is_none() {
                Exit::CouldNotRun
            } else {
                Exit::Inconclusive
            });
        }
        let lost = model.tally().lost;
        if lost > 0 {
            eprintln!("devres-tracer: {lost} events were lost until then");
            return Ok(Exit::Inconclusive);
        }
        Ok(Exit::Clean)
    }

    /// The model of a recording as it was at the time that is asked for; `None` if that can't be told, which
    /// has been said then.
    fn recorded(&self, file: &Path) -> anyhow::Result<(Coverage, Model)> {
        let mut until = None;
        if let Some(at) = self.at {
            reading::can_be_read_twice(file)?;
            until = Some(Extent::of(file)?.find(at)?);
        }
        let mut recording = reading::open(file)?;
        let mut coverage = recording.information().coverage.clone();
        let mut model = Model::new(Arc::new(coverage.clone()));
        let read = recording.for_each(|event| {
            if until.is_some_and(|until: Time| event.time > until) {
                return ControlFlow::Break(());
            }
            model.apply(event);
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            let error = anyhow::Error::new(error);
            eprintln!("devres-tracer: {error:#}; what is shown is of what comes before");
            coverage.before = Before::Unknown("the recording is damaged".to_owned());
        }
        for problem in recording.problems() {
            eprintln!("devres-tracer: {problem}");
        }
        Ok((coverage, model))
    }

    /// Writes the stacks, and says how many.
    fn show(&self, model: &Model, filter: &DeviceFilter) -> anyhow::Result<usize> {
        let mut stacks: Vec<DeviceStack> = model
            .devices()
            .filter(|device| filter.wants(device.identity()))
            .map(DeviceStack::of)
            .filter(|stack| self.all || !stack.stack.is_empty() || self.is_doubtful(stack))
            .collect();
        stacks.sort_by(|one, other| {
            (&one.bus, &one.device, &one.address).cmp(&(&other.bus, &other.device, &other.address))
        });
        let mut writer = BufWriter::new(io::stdout().lock());
        let written = stacks.iter().try_for_each(|stack| {
            if self.json {
                serde_json::to_writer(&mut writer, stack)?;
                writeln!(writer)
            } else {
                stack.write(&mut writer)
            }
        });
        match written.and_then(|()| writer.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(stacks.len()),
        }
    }

    /// In a recording every device may have begun before it, which says nothing of any one.
    fn is_doubtful(&self, stack: &DeviceStack) -> bool {
        self.file.is_none() && !stack.doubts.is_empty()
    }
}

/// The running kernel.
fn live() -> anyhow::Result<(Coverage, Model)> {
    let mut live = Live::start(&Options {
        attach: false,
        ..Options::default()
    })?;
    let coverage = live.coverage().clone();
    let mut model = Model::new(coverage.clone().into());
    live.drain(0, &mut |event| {
        model.apply(&event);
    });
    Ok((coverage, model))
}
