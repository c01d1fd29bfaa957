//! `devres-tracer record`.

use std::{ops::ControlFlow, path::PathBuf, process::ExitStatus};

use clap::Args;

use super::{
    Exit,
    capture::{Capture, CaptureOptions, Captured, Ending, Receiver},
    source_options::{FilterOptions, ProbeOptions, size},
    usage::UsageError,
};
use crate::{
    event::Event,
    sink::LostBy,
    trace_file::{Header, LostAt, Recorded, Recorder, RecorderOptions, Rotation},
};

/// Records this kernel to a trace file until a command ends, the time is over or Ctrl-C is pressed
///
/// Every command that reads takes the file: report, trace --from, check, export and the others. Nothing is
/// judged here, and the exit code tells only whether it was recorded. What is written can be read at any
/// moment, even if the recorder is killed or the machine goes down.
#[derive(Debug, Args)]
pub(super) struct Record {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    capture: CaptureOptions,
    /// The trace file to write, such as trace.dvrt; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Begin another file when one has about this size, such as 100M: trace.0001.dvrt, trace.0002.dvrt and so on
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Keep only so many files, the newest
    #[arg(long, value_name = "NUMBER", requires = "max_size", value_parser = clap::value_parser!(u32).range(1..))]
    max_files: Option<u32>,
}

impl Receiver for Recorder {
    fn event(&mut self, event: &Event) {
        Recorder::event(self, event);
    }

    fn pause(&mut self) -> ControlFlow<()> {
        Recorder::pause(self);
        if self.has_failed() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl Record {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let to_output = self.output.as_os_str() == "-";
        if to_output && self.max_size.is_some() {
            let problem = "standard output can't be several files: leave out --max-size";
            return Err(UsageError::new(problem).into());
        }
        let mut capture = Capture::start(&self.probes.options(&filter))?;
        let rotation = self.max_size.map(|max_size| Rotation {
            max_size,
            max_files: self.max_files,
        });
        let mut recorder = Recorder::start(
            &self.output,
            Header::of_this_machine(capture.information()),
            RecorderOptions { rotation },
        )?;
        let captured = capture.run(&self.capture, &mut recorder).await?;
        let lost_by = capture.finish(&mut recorder);
        let lost: u64 = lost_by.iter().map(|lost| lost.count).sum();
        let what = recorder.finish(lost_at(&lost_by))?;
        let name = self.output.display().to_string();
        tell(&what, if to_output { "standard output" } else { &name });
        if lost > 0 {
            eprintln!(
                "{lost} events found no room in the ring buffer: give it more with --ring-size"
            );
        }
        tell_command(captured);
        Ok(Exit::Clean)
    }
}

/// What is lost, as a file says it.
pub(super) fn lost_at(lost_by: &[LostBy]) -> Vec<LostAt> {
    lost_by
        .iter()
        .filter_map(|lost| {
            let hook = tracer_ebpf::Hook::ALL
                .into_iter()
                .find(|hook| hook.symbol() == lost.hook)?;
            Some(LostAt {
                cpu: lost.cpu,
                hook,
                count: lost.count,
            })
        })
        .collect()
}

/// Says what was recorded.
pub(super) fn tell(recorded: &Recorded, name: &str) {
    let Recorded {
        events,
        bytes,
        files,
        unwritten,
    } = recorded;
    match files {
        1 => eprintln!("{name}: {events} events, {bytes} bytes"),
        _ => eprintln!("{name}: {events} events, {bytes} bytes in {files} files"),
    }
    if *unwritten > 0 {
        eprintln!("{unwritten} events could not be written in time");
    }
}

/// Says how the command ended, where that is not as expected.
fn tell_command(captured: Captured) {
    match captured.status {
        Some(status) if captured.ending == Ending::CommandEnded && !status.success() => {
            eprintln!("the command ended with {}", in_words(status));
        }
        _ => {}
    }
}

fn in_words(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}
