//! `devres-tracer demo`.

use anyhow::Context as _;
use clap::Args;

use super::{Exit, run::Run, trace::OutputOptions};
use crate::{
    filter::DeviceFilter, rules::RuleSet, sink::stacks::DeviceStack, source::lines::Lines,
};

/// Made with `trace --json` in a stock Debian kernel by `cargo xtask record-demo`.
const RECORDING: &[u8] = include_bytes!("../../demo/pvpanic-6.1.jsonl");

/// Shows the tool at work on a recording of a stock kernel; needs no privilege
///
/// The recording is of Linux 6.1 unbinding the pvpanic driver, which detaches the device from its PM domain
/// before the driver's resources are released. It goes through the same model and rules as a live kernel,
/// and ends with the same exit code: 1, for the finding.
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    output: OutputOptions,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut lines = Lines::new(RECORDING).context("the embedded recording is damaged")?;
        let mut sink = self.output.sink()?;
        let information = lines.information().clone();
        let mut run = Run::begin(
            &information,
            DeviceFilter::default(),
            RuleSet::checked(),
            self.output.fail_on,
            sink.as_mut(),
        );
        let mut shown = false;
        while let Some(event) = lines
            .next_event()
            .context("the embedded recording is damaged")?
        {
            // The stack as it was when the unbind began, after which it is taken down.
            let unbinds = matches!(&event.kind, crate::event::EventKind::Enter(call) if call.hook == tracer_ebpf::Hook::Unbind);
            if unbinds && !shown && self.output.is_text() {
                shown = true;
                run.flush();
                if let Some(device) = run.model().device(event.device) {
                    println!("\nWhat the device owns before the unbind, newest on top:\n");
                    DeviceStack::of(device).write(&mut std::io::stdout())?;
                    println!();
                }
            }
            run.event(&event);
        }
        run.end(Vec::new())
    }
}
