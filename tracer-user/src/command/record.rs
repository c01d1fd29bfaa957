//! `devres-tracer record`.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Exit,
    capture::{Capture, CaptureOptions, Receiver},
    files::OverwriteOption,
    say::{plainly, remark, shown},
    source_options::{FilterOptions, ProbeOptions, size},
    usage::UsageError,
};
use crate::{
    command::capture::say_if_missing,
    event::{Event, Time},
    evidence::{CommandEnd, LostBy},
    number::plural,
    run::{Sighting, Wanted},
    trace_file::{Header, LostAt, Recorded, Recorder, RecorderError, RecorderOptions, Rotation},
};

/// Records this kernel to a trace file until the command ends, --for is over or Ctrl-C is pressed
///
/// Read the file with report, trace --from, check, live, export and others. Nothing is
/// judged here; the exit code only shows whether the recording succeeded. The file is readable at any
/// time, even if the recorder is killed or the machine goes down.
#[derive(Debug, Args)]
pub(super) struct Record {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    capture: CaptureOptions,
    #[command(flatten)]
    overwrite: OverwriteOption,
    /// The trace file to write, such as trace.dvrt; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Sync each block to disk before the next: a machine that dies loses 0.1 s of events instead of 1.5 s. With a slow
    /// disk, bursts of events are lost (and counted)
    #[arg(long)]
    sync: bool,
    /// Start a new file before one exceeds this size, such as 100M: trace.0001.dvrt, trace.0002.dvrt and so on
    #[arg(long, value_name = "SIZE", value_parser = file_size)]
    max_size: Option<u64>,
    /// Keep only the newest NUMBER files
    #[arg(long, value_name = "NUMBER", requires = "max_size", value_parser = clap::value_parser!(u32).range(1..))]
    max_files: Option<u32>,
}

/// What is recorded, and whether a device was there that is wanted.
struct Recording {
    recorder: Recorder,
    sighting: Sighting,
}

/// The smallest size of the files of a recording: what each starts with needs room as well.
const LEAST_SIZE: u64 = 16 << 10;

fn file_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes < LEAST_SIZE => Err(format!(
            "the minimum is {}K: each file starts with a snapshot of every device",
            LEAST_SIZE >> 10
        )),
        bytes => Ok(bytes),
    }
}

impl Receiver for Recording {
    fn event(&mut self, event: &Event) {
        self.sighting.event(event);
        self.recorder.event(event);
    }

    fn snapshot_taken(&mut self) -> anyhow::Result<()> {
        self.recorder.snapshot_taken()?;
        say_if_missing(self.sighting.missing());
        Ok(())
    }

    fn pause(&mut self, _until: Time) -> ControlFlow<()> {
        self.recorder.pause();
        if self.recorder.has_failed() {
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
            let problem = "--max-size does not work with standard output";
            return Err(UsageError::new(problem).into());
        }
        self.capture.verify()?;
        if self.max_size.is_some() {
            self.overwrite.clear_parts(&self.output)?;
        } else {
            self.overwrite.refuse_existing(Some(&self.output))?;
        }
        let mut capture = Capture::start(&self.probes.options(&filter))?;
        let rotation = self.max_size.map(|max_size| Rotation {
            max_size,
            max_files: self.max_files,
        });
        let recorder = Recorder::start(
            &self.output,
            Header::of_this_machine(Wanted::new(filter.clone()).of_source(&capture.information())),
            RecorderOptions {
                rotation,
                sync: self.sync,
                overwrite: self.overwrite.overwrite,
            },
        )?;
        let mut recording = Recording {
            recorder,
            sighting: Sighting::new(filter),
        };
        let captured = match capture.run_last(&self.capture, &mut recording).await {
            Ok(captured) => captured,
            Err(error) => return Err(self.too_small(error)),
        };
        let lost_by = capture.finish(&mut recording);
        let lost: u64 = lost_by.iter().map(|lost| lost.count).sum();
        let Recording { recorder, sighting } = recording;
        let what = recorder.finish(lost_at(&lost_by))?;
        tell(&what, &self.output, rotation);
        if lost > 0 {
            let events = plural(lost, "event", "events");
            plainly(format_args!(
                "{lost} {events} did not fit into the ring buffer: enlarge it with --ring-size"
            ));
        }
        if let Some(missing) = sighting.missing() {
            plainly(missing);
        }
        // A command that was ended with the recording has not failed by itself.
        let failure = captured
            .status_of_its_own()
            .and_then(|status| CommandEnd::of(&self.capture.command, status).failure());
        if let Some(failure) = failure {
            plainly(failure);
        }
        Ok(Exit::Clean)
    }
}

impl Record {
    /// A size that turns out to be too small is a mistake on the command line, and leaves nothing behind.
    fn too_small(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast_ref() {
            Some(RecorderError::TooSmall { .. }) => {
                // What can't be removed is a recording that says that it was cut off.
                let _ = fs::remove_file(Rotation::name(&self.output, 1));
                UsageError::new(format!("--max-size: {error}")).into()
            }
            _ => error,
        }
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

/// Says what was recorded, and to which files.
pub(super) fn tell(recorded: &Recorded, path: &Path, rotation: Option<Rotation>) {
    let Recorded {
        events,
        bytes,
        unwritten,
        ..
    } = recorded;
    let name = in_words(recorded, path, rotation);
    remark(format_args!(
        "{name}: {events} {}, {bytes} bytes",
        plural(*events, "event", "events")
    ));
    if let Some(rotation) = rotation
        && recorded.largest > rotation.max_size
    {
        plainly(format_args!(
            "the largest file has {} bytes, more than {}: the snapshot at its start has grown",
            recorded.largest, rotation.max_size
        ));
    }
    if *unwritten > 0 {
        plainly(format_args!(
            "{unwritten} {} could not be written in time",
            plural(*unwritten, "event", "events")
        ));
    }
}

/// The files that are there, by name.
fn in_words(recorded: &Recorded, path: &Path, rotation: Option<Rotation>) -> String {
    if path.as_os_str() == "-" {
        return "standard output".to_owned();
    }
    let Some(rotation) = rotation else {
        return shown(path);
    };
    let part = |number| shown(&Rotation::name(path, number));
    let last = recorded.files;
    let kept = rotation.max_files.unwrap_or(last).clamp(1, last.max(1));
    let first = last - kept + 1;
    let removed = match first {
        1 => String::new(),
        2 => " (an older one was removed)".to_owned(),
        _ => format!(" ({} older ones were removed)", first - 1),
    };
    let names = match kept {
        1 => part(last),
        _ => format!("{} to {}", part(first), part(last)),
    };
    format!("{names}{removed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_are_there_are_named() {
        let named = |files, max_files| {
            let recorded = Recorded {
                events: 1,
                bytes: 1,
                files,
                largest: 1,
                unwritten: 0,
            };
            let rotation = Rotation {
                max_size: 1,
                max_files,
            };
            in_words(&recorded, Path::new("z.dvrt"), Some(rotation))
        };
        assert_eq!(named(1, None), "z.0001.dvrt");
        assert_eq!(named(3, None), "z.0001.dvrt to z.0003.dvrt");
        assert_eq!(named(2, Some(1)), "z.0002.dvrt (an older one was removed)");
        assert_eq!(
            named(9, Some(2)),
            "z.0008.dvrt to z.0009.dvrt (7 older ones were removed)"
        );
        assert_eq!(named(2, Some(5)), "z.0001.dvrt to z.0002.dvrt");
    }
}
