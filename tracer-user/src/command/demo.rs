//! `devres-tracer demo`.

use std::{
    io::{self, Write as _},
    ops::ControlFlow,
};

use clap::Args;
use tracer_ebpf::Hook;

use super::{Exit, pager::unless_unread, trace::OutputOptions};
use crate::{
    event::EventKind,
    model::Device,
    rules::RuleSet,
    run::{Purpose, Run, Wanted},
    sink::stacks::DeviceStack,
    source::recording::Recording,
};

/// The events of one device, traced in a stock Debian kernel by `cargo xtask record-demo`.
const RECORDING: &[u8] = include_bytes!("../../demo/pvpanic-6.1.dvrt");

/// Replays an embedded recording of a stock kernel; needs no root
///
/// Linux 6.1 unbinds the pvpanic driver: the platform bus, which detaches the device from its PM domain before the
/// driver's resources are released, gives one finding, hence exit code 1. The recording takes the same way through
/// model and rules as a live kernel.
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    output: OutputOptions,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let name = "the embedded recording".to_owned();
        let mut recording = Recording::read(Box::new(RECORDING), name)?;
        let mut sink = self.output.sink()?;
        let information = recording.information().clone();
        let mut run = Run::begin(
            &information,
            Wanted::default(),
            (RuleSet::checked(), ()),
            Purpose::Judge(self.output.fail_on()),
            sink.as_mut(),
        );
        let mut shown = false;
        let mut shown_stack = Ok(());
        let end = recording.replay(|event| {
            // The stack as it was when the unbind began, after which it is taken down.
            let unbinds =
                matches!(&event.kind, EventKind::Enter(call) if call.hook == Hook::Unbind);
            if unbinds && !shown && self.output.tells_all() {
                shown = true;
                run.flush();
                if let Some(device) = run.model().device(event.device) {
                    shown_stack = show(device);
                }
            }
            run.event(event);
            ControlFlow::Continue(())
        });
        unless_unread(shown_stack)?;
        Exit::of_run(run.end(end))
    }
}

fn show(device: Device<'_>) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(
        output,
        "\nThe device's resources before the unbind, newest on top:\n"
    )?;
    DeviceStack::of(device).write(&mut output)?;
    writeln!(output)
}
