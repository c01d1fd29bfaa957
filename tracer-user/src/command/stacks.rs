//! `devres-tracer stacks`.

use std::{
    fs,
    io::{self, BufWriter, ErrorKind, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;

use super::{
    Exit,
    after_boot::AfterBoot,
    debug_options::{DebugOptions, tell_remarks},
    reading,
    say::say,
    source_options::FilterOptions,
};
use crate::{
    command::time::{Extent, HOW, TimeArgument},
    event::{EventKind, Time},
    evidence::{Before, Coverage},
    filter::DeviceFilter,
    model::Model,
    number::plural,
    run::Wanted,
    sink::{stacks::DeviceStack, stacks_data::Targets},
    source::live::{self, Live, Options},
};

/// Shows what each device holds now, or held at some time in a recording
///
/// Without FILE the lists are read from the kernel's memory without its locks, each one twice; a device whose
/// list changed meanwhile is marked. Devices not yet added to the system are not found. Who added a resource is shown
/// if the kernel has recorded it since boot (`devres-tracer boot`). With FILE it shows the state at --at, or at the end.
/// Exit codes: 0 if everything is shown, 2 for a usage error, 3 if something may be missing or no device matches the
/// filter, 4 if nothing could be read.
#[derive(Debug, Args)]
#[command(after_help = HOW)]
pub(super) struct Stacks {
    #[command(flatten)]
    filter: FilterOptions,
    /// Write JSON lines, one object per device
    #[arg(long)]
    json: bool,
    /// Also show devices that hold nothing
    #[arg(long)]
    all: bool,
    /// The time in the recording [default: its end]
    #[arg(
        long,
        value_name = "TIME",
        requires = "file",
        allow_hyphen_values = true
    )]
    at: Option<TimeArgument>,
    #[command(flatten)]
    debug: DebugOptions,
    /// A recording or log to read instead of the running kernel, or - for standard input
    file: Option<PathBuf>,
}

impl Stacks {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let found = match &self.file {
            Some(file) => self.recorded(file, filter)?,
            None => running(filter, &self.debug)?,
        };
        let shown = self.show(&found)?;
        let mut whole = true;
        for gap in found.wanted.gaps() {
            say(gap);
            whole = false;
        }
        if let Before::Unknown(reason) = &found.coverage.before {
            say(format_args!("not every device is shown: {reason}"));
            if shown == 0 && self.file.is_none() {
                return Ok(Exit::CouldNotRun);
            }
            whole = false;
        }
        let lost = found.model.tally().lost;
        if lost > 0 {
            let events = plural(lost, "event was", "events were");
            say(format_args!("{lost} {events} lost until then"));
            whole = false;
        }
        // On standard error, so that a list of nothing stays one.
        if shown == 0 && whole {
            say("no device holds devres resources (--all shows devices without any)");
        }
        Ok(if whole {
            Exit::Clean
        } else {
            Exit::Inconclusive
        })
    }

    /// The state that a recording shows at the time that is asked for.
    fn recorded(&self, file: &Path, filter: DeviceFilter) -> anyhow::Result<Found> {
        self.debug.keep_for_reading(None);
        let mut until = None;
        if let Some(at) = self.at {
            reading::can_be_read_twice(file)?;
            until = Some(Extent::of(file)?.find(at)?);
        }
        let mut recording = reading::open(file)?;
        self.debug.attach(&mut recording)?;
        let mut wanted = Wanted::of_recording(filter, &recording);
        let mut coverage = recording.information().coverage.clone();
        let mut model = Model::new(Arc::new(coverage.clone()));
        let end = recording.replay(|event| {
            if until.is_some_and(|until: Time| event.time > until) {
                return ControlFlow::Break(());
            }
            model.apply(event);
            wanted.event(event, &model);
            ControlFlow::Continue(())
        });
        tell_remarks(&recording);
        if let Some(damage) = end.damage {
            say(format_args!("{damage}; the state before that is shown"));
            coverage.before = Before::Unknown("the recording is damaged".to_owned());
        }
        for problem in end.problems {
            say(problem);
        }
        Ok(Found {
            coverage,
            model,
            wanted,
        })
    }

    /// Writes the stacks, and says how many.
    fn show(&self, found: &Found) -> anyhow::Result<usize> {
        let mut stacks: Vec<DeviceStack> = found
            .model
            .devices()
            .filter(|device| found.wanted.device(device.identity()))
            .map(DeviceStack::of)
            .map(|stack| self.with_module(stack))
            .filter(|stack| self.all || !stack.stack.is_empty() || self.is_doubtful(stack))
            .collect();
        stacks.sort_by(|one, other| {
            (&one.bus, &one.device, &one.address).cmp(&(&other.bus, &other.device, &other.address))
        });
        let mut targets = Targets::of(&found.model);
        if self.file.is_none() {
            let pointers = stacks.iter().flat_map(|stack| &stack.stack);
            let pointers = pointers.flat_map(|entry| entry.pointers.iter().copied());
            // Where there are no symbols, fewer names are reported.
            let variables = live::variables(&targets.unknown(pointers)).unwrap_or_default();
            targets.add_variables(variables);
        }
        for stack in &mut stacks {
            stack.name_data(&targets);
        }
        let mut writer = BufWriter::new(io::stdout().lock());
        let written = stacks.iter().try_for_each(|stack| {
            if self.json {
                stack.write_json(&mut writer)
            } else {
                stack.write(&mut writer)
            }
        });
        match written.and_then(|()| writer.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(stacks.len()),
        }
    }

    /// With the module of the driver, which sysfs has for the running kernel.
    fn with_module(&self, mut stack: DeviceStack) -> DeviceStack {
        if self.file.is_none()
            && let (Some(bus), Some(driver)) = (&stack.bus, &stack.driver)
        {
            let link = Path::new("/sys/bus").join(bus).join("drivers").join(driver);
            let module = fs::read_link(link.join("module")).ok();
            let name = module.as_ref().and_then(|module| module.file_name());
            stack.driver_module = name.map(|name| name.to_string_lossy().into_owned());
        }
        stack
    }

    /// In a recording every device may have begun before it, which says nothing of any one.
    fn is_doubtful(&self, stack: &DeviceStack) -> bool {
        self.file.is_none() && !stack.doubts.is_empty()
    }
}

/// What there is to show.
struct Found {
    coverage: Coverage,
    model: Model,
    wanted: Wanted,
}

/// The running kernel.
fn running(filter: DeviceFilter, debug: &DebugOptions) -> anyhow::Result<Found> {
    let mut lines = debug.of_running_kernel()?;
    let after_boot = AfterBoot::find();
    let mut live = Live::start(&Options {
        attach: false,
        ..Options::default()
    })?;
    let coverage = live.coverage().clone();
    let mut model = Model::new(coverage.clone().into());
    let mut wanted = Wanted::new(filter);
    if let Some(after_boot) = after_boot {
        let read = after_boot.hand_on(&mut |event| {
            if matches!(event.kind, EventKind::Loss(_)) {
                // What is missing may have gone, and another of its kind may have come to the same place.
                model = Model::new(coverage.clone().into());
            } else if let Some(event) = lines.as_mut().and_then(|lines| lines.annotated(event)) {
                model.apply(&event);
            } else {
                model.apply(event);
            }
        });
        if let Err(error) = read {
            say(format_args!("who added what is not known: {error:#}"));
        }
    }
    live.drain(0, &mut |event| {
        let with_lines = lines.as_mut().and_then(|lines| lines.annotated(&event));
        let event = with_lines.unwrap_or(event);
        model.apply(&event);
        wanted.event(&event, &model);
    });
    if let Some(lines) = lines {
        lines.remarks().iter().for_each(say);
    }
    Ok(Found {
        coverage,
        model,
        wanted,
    })
}
