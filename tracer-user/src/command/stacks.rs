//! `devres-tracer stacks`.

use std::io::{self, BufWriter, ErrorKind, Write as _};

use clap::Args;

use super::{Exit, source_options::FilterOptions};
use crate::{
    coverage::Before,
    model::Model,
    sink::stacks::DeviceStack,
    source::live::{Live, Options},
};

/// Shows what each device owns right now
///
/// The lists are read from the kernel's memory without its locks, each one twice. A device whose list
/// changed meanwhile is marked. Devices that are not yet added to the system are not found.
#[derive(Debug, Args)]
pub(super) struct Stacks {
    #[command(flatten)]
    filter: FilterOptions,
    /// Write JSON lines: one object a device
    #[arg(long)]
    json: bool,
    /// Show devices that own nothing as well
    #[arg(long)]
    all: bool,
}

impl Stacks {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = match self.filter.filter() {
            Ok(filter) => filter,
            Err(error) => {
                eprintln!("devres-tracer: {error}");
                return Ok(Exit::Usage);
            }
        };
        let mut live = Live::start(&Options {
            attach: false,
            ..Options::default()
        })?;
        let coverage = live.coverage().clone();
        let mut model = Model::new(coverage.clone().into());
        live.drain(0, &mut |event| {
            model.apply(&event);
        });
        let mut stacks: Vec<DeviceStack> = model
            .devices()
            .filter(|device| filter.wants(device.identity()))
            .map(DeviceStack::of)
            .filter(|stack| self.all || !stack.stack.is_empty() || !stack.doubts.is_empty())
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
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        match &coverage.before {
            Before::Unknown(reason) => {
                eprintln!("devres-tracer: not every device is shown: {reason}");
                Ok(if stacks.is_empty() {
                    Exit::CouldNotRun
                } else {
                    Exit::Inconclusive
                })
            }
            _ => Ok(Exit::Clean),
        }
    }
}
