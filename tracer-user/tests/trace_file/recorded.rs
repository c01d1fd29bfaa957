//! A file gives what the run gave that it was made from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use devres_tracer::{
    engine::{Engine, Summary},
    event::{Event, EventKind, Hook, LossCause},
    rules::RuleSet,
    sink::{Sink as _, json::JsonSink},
    trace_file::{End, LostAt, Recorder, RecorderOptions},
};

use crate::{
    Dev, Story, header, healthy, judged, missing, read,
    support::{DOMAIN, whole},
};

/// A directory of its own, which goes with it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dvrt-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the tracer writes to standard output.
fn devres_tracer(arguments: &[&str], file: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(arguments)
        .arg(file)
        .output()
        .unwrap();
    assert!(
        !output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A device whose PM domain is detached too early, and one that has lost events, again and again.
pub(crate) fn eventful(rounds: u64) -> Vec<Event> {
    let mut story = Story::new();
    for round in 0..rounds {
        let device = Dev(0xff11_0000_0500_0000 + round % 7 * 0x800);
        story
            .task("kworker/1:2", 70 + u32::try_from(round % 3).unwrap())
            .enter(device, Hook::Initialise)
            .named(device, &format!("dev{}", round % 7), "platform", "driver")
            .enter(device, Hook::Probe)
            .attach(device)
            .stack(&["driver_probe@driver", "really_probe"])
            .add(device, 0x1000 + round * 0x100, "devm_clk_release", 8)
            .stack(&["driver_init@driver", "driver_probe@driver", "really_probe"])
            .add(device, 0x2000 + round * 0x100, "devm_kzalloc_release", 64)
            .bound(device)
            .enter(device, Hook::Unbind)
            .enter(device, Hook::Remove);
        if round % 3 == 0 {
            story.detach(device);
        }
        story
            .leave(device, Hook::Remove)
            .enter(device, Hook::Cleanup)
            .enter(device, Hook::ReleaseAll)
            .rel(device, 0x2000 + round * 0x100, "devm_kzalloc_release", 64)
            .rel(device, 0x1000 + round * 0x100, "devm_clk_release", 8)
            .end_unbind(device, 2)
            .enter(device, Hook::FinalPut)
            .release_nothing(device)
            .leave(device, Hook::FinalPut);
        if round == 5 {
            story.lose(3);
        }
    }
    assert!(DOMAIN.detaches());
    story.events
}

/// The JSON lines of a run, as `trace --json` writes them while it records to `path`.
fn live(events: &[Event], path: &Path, lost_by: &[LostAt]) -> String {
    let mut recorder = Recorder::start(path, header(), RecorderOptions::default()).unwrap();
    let mut engine = Engine::new(whole().into(), RuleSet::checked());
    let mut lines = Vec::new();
    let mut sink = JsonSink::new(&mut lines, true);
    sink.begin(&header().source).unwrap();
    for event in events {
        recorder.event(event);
        let findings = engine.apply(event).to_vec();
        sink.event(event, engine.model()).unwrap();
        for finding in &findings {
            sink.finding(finding).unwrap();
        }
    }
    let known = engine.findings().to_vec();
    let outcome = engine.finish();
    for finding in &outcome.findings {
        if !known
            .iter()
            .any(|known| known.fingerprint == finding.fingerprint)
        {
            sink.finding(finding).unwrap();
        }
    }
    let summary = Summary::new(
        &outcome,
        whole(),
        devres_tracer::evidence::SourceEnd::of_kernel(lost_by.iter().map(Into::into).collect()),
        devres_tracer::finding::Severity::Error,
    );
    sink.end(&outcome.findings, &summary).unwrap();
    let file = recorder.finish(lost_by.to_vec()).unwrap();
    assert_eq!(file.unwritten, 0);
    assert_eq!(file.events, events.len() as u64);
    assert_eq!(file.bytes, fs::metadata(path).unwrap().len());
    String::from_utf8(lines).unwrap()
}

#[test]
fn a_file_gives_the_json_of_the_run_byte_for_byte() {
    let directory = Directory::new("same");
    let path = directory.path("run.dvrt");
    let lost_by = [LostAt {
        cpu: 1,
        hook: Hook::DevresLog,
        count: 3,
    }];
    let events = eventful(200);
    let live = live(&events, &path, &lost_by);
    assert!(live.contains("\"rule\":\"DR001\""));
    assert!(live.contains("\"lost_by\":[{\"cpu\":1,\"hook\":\"devres_log\",\"count\":3}]"));
    assert_eq!(devres_tracer(&["trace", "--json", "--from"], &path), live);
    assert_eq!(devres_tracer(&["export", "--format=json"], &path), live);
}

#[test]
fn json_lines_become_a_file_that_gives_the_same_json_lines() {
    let directory = Directory::new("lines");
    let (lines, file) = (directory.path("run.jsonl"), directory.path("run.dvrt"));
    let live = live(&eventful(50), &directory.path("live.dvrt"), &[]);
    fs::write(&lines, &live).unwrap();
    let converted = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .arg("import")
        .arg(&lines)
        .arg("--output")
        .arg(&file)
        .output()
        .unwrap();
    assert!(converted.status.success(), "{converted:?}");
    assert_eq!(devres_tracer(&["trace", "--json", "--from"], &file), live);
    assert_eq!(devres_tracer(&["trace", "--json", "--from"], &lines), live);
}

#[test]
fn a_recorder_that_is_killed_leaves_what_it_had_seen() {
    let directory = Directory::new("killed");
    let path = directory.path("killed.dvrt");
    let events = eventful(2_000);
    let mut recorder = Recorder::start(&path, header(), RecorderOptions::default()).unwrap();
    for event in &events {
        recorder.event(event);
    }
    // Half a second later everything is on its way to the disk, although no block is full.
    std::thread::sleep(std::time::Duration::from_millis(600));
    recorder.pause();
    let bytes = loop {
        let bytes = fs::read(&path).unwrap();
        let complete = read(&bytes).is_ok_and(|(_, back, _)| back.len() > events.len());
        if complete {
            break bytes;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    // It never gets to finish the file.
    std::mem::forget(recorder);
    let (found, back, ending) = read(&bytes).unwrap();
    assert_eq!(back[..events.len()], events);
    assert_eq!(back.len(), events.len() + 1, "the loss of what came after");
    assert!(ending.problems()[0].starts_with("not cleanly finished"));
    let (live, _) = judged(&found, &events);
    let (left, _) = judged(&found, &back);
    assert!(!live.is_empty());
    assert_eq!(left, live);
}

#[test]
fn a_recording_in_step_with_the_disk_has_every_event() {
    let directory = Directory::new("in-step");
    let path = directory.path("in-step.dvrt");
    let options = RecorderOptions {
        sync: true,
        ..RecorderOptions::default()
    };
    let mut recorder = Recorder::start(&path, header(), options).unwrap();
    let events = eventful(1_000);
    for event in &events {
        recorder.event(event);
    }
    let all = recorder.finish(Vec::new()).unwrap();
    assert_eq!(all.unwritten, 0);
    assert_eq!(all.events, events.len() as u64);
    assert_eq!(fs::metadata(&path).unwrap().len(), all.bytes);
}

/// Names the file that the test records to when it is run a second time, on a disk that is soon full.
const FULL: &str = "DEVRES_TRACER_TEST_FULL";

#[test]
fn a_disk_that_is_full_is_told_and_what_was_written_stays() {
    if let Some(path) = std::env::var_os(FULL) {
        let mut recorder =
            Recorder::start(Path::new(&path), header(), RecorderOptions::default()).unwrap();
        let events = eventful(1_000);
        for event in events.iter().cycle().take(10_000_000) {
            recorder.event(event);
            if recorder.has_failed() {
                let error = recorder.finish(Vec::new()).unwrap_err();
                assert!(error.to_string().contains("can't be written any more"));
                return;
            }
        }
        panic!("there was room for everything");
    }
    let directory = Directory::new("full");
    let path = directory.path("full.dvrt");
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 300; exec \"$0\" --exact \"$1\"")
        .arg(std::env::current_exe().unwrap())
        .arg("recorded::a_disk_that_is_full_is_told_and_what_was_written_stays")
        .env(FULL, &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let (_, back, ending) = read(&fs::read(&path).unwrap()).unwrap();
    let events = eventful(1_000);
    assert!(back.len() > events.len() / 2, "{} events", back.len());
    let written = events.iter().cycle().take(back.len() - 1);
    assert!(back[..back.len() - 1].iter().eq(written));
    assert_eq!(ending.damages, [], "it ends with a whole block");
    assert!(ending.problems()[0].starts_with("not cleanly finished"));
}

#[test]
fn what_can_not_be_begun_is_an_error() {
    for path in ["/dev/full", "/no/such/directory/run.dvrt"] {
        let begun = Recorder::start(Path::new(path), header(), RecorderOptions::default());
        let error = begun.err().unwrap().to_string();
        assert_eq!(error, format!("{path} can't be written"));
    }
}

#[test]
fn a_pipe_can_be_recorded_to_and_read_from() {
    let directory = Directory::new("pipe");
    let path = directory.path("run.dvrt");
    let live = live(&eventful(20), &path, &[]);
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "cat {} | {} trace --json --from -",
            path.display(),
            env!("CARGO_BIN_EXE_devres-tracer")
        ))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), live);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let directory = Directory::new("head");
    let path = directory.path("run.dvrt");
    live(&eventful(5_000), &path, &[]);
    for command in [
        "trace --json --from",
        "trace --from",
        "export --format chrome",
    ] {
        let output = Command::new("bash")
            .arg("-c")
            .arg(format!(
                "{} {command} {} | head -n 1; echo ${{PIPESTATUS[0]}} >&2",
                env!("CARGO_BIN_EXE_devres-tracer"),
                path.display()
            ))
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            ["0\n", "1\n", "3\n"].contains(&errors.as_str()),
            "{command}: {errors}"
        );
    }
}

#[test]
fn a_file_that_was_cut_off_is_inconclusive_and_says_why() {
    let directory = Directory::new("cut");
    let path = directory.path("cut.dvrt");
    let whole = crate::file(&healthy(), 4);
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(["trace", "--from"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the input: damaged at byte"), "{text}");
    fs::write(&path, &whole).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(["trace", "--quiet", "--from"])
        .arg(&path)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn json_lines_that_were_cut_off_are_inconclusive_and_say_why() {
    let directory = Directory::new("cut-lines");
    let path = directory.path("cut.jsonl");
    let file = directory.path("run.dvrt");
    fs::write(&file, crate::file(&healthy(), 4)).unwrap();
    let lines = devres_tracer(&["export", "--format=json"], &file);
    for cut in [
        lines.len() - 2,
        lines.len() - 500,
        lines.rfind("{\"type\":\"summary\"").unwrap(),
    ] {
        fs::write(&path, &lines[..cut]).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
            .args(["trace", "--quiet", "--from"])
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("it has no summary"), "{text}");
    }
}

#[test]
fn chrome_gets_a_json_object_with_spans_that_end() {
    let directory = Directory::new("chrome");
    let path = directory.path("run.dvrt");
    let mut events = eventful(10);
    // A function that never returns, and one that was entered before.
    events.truncate(events.len() - 1);
    let first = events
        .iter()
        .position(|event| matches!(&event.kind, EventKind::Enter(call) if call.hook == Hook::Probe))
        .unwrap();
    events.remove(first);
    live(&events, &path, &[]);
    let text = devres_tracer(&["export", "--format=chrome"], &path);
    let trace: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = trace["traceEvents"].as_array().unwrap();
    let mut open: Vec<(u64, &str)> = Vec::new();
    for entry in entries {
        let (tid, name) = (
            entry["tid"].as_u64().unwrap(),
            entry["name"].as_str().unwrap(),
        );
        match entry["ph"].as_str().unwrap() {
            "B" => open.push((tid, name)),
            "E" => {
                let position = open.iter().rposition(|span| span.0 == tid).unwrap();
                assert_eq!(open.remove(position), (tid, name));
            }
            "X" => assert!(entry["dur"].as_f64().unwrap() >= 0.0, "{entry}"),
            "i" | "M" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(open, []);
    let count = |name: &str| entries.iter().filter(|entry| entry["name"] == name).count();
    assert_eq!(count("ADD devm_clk_release"), 10);
    assert_eq!(count("REL devm_clk_release"), 10);
    assert_eq!(count("really_probe"), 2 * 9);
    assert!(count("DR001") > 0);
    // On the tracks of their devices, each resource and each phase is a span.
    assert_eq!(count("devm_clk_release"), 10);
    assert!(count("unbind") > 0);
}

#[test]
fn what_a_recording_lost_stays_lost() {
    let events = eventful(8);
    let bytes = crate::file(&events, 100);
    let (_, back, ending) = read(&bytes).unwrap();
    let lost = back.iter().any(|event| {
        matches!(&event.kind, EventKind::Loss(loss) if loss.cause == LossCause::RingFull && loss.count == 3)
    });
    assert!(lost);
    assert_eq!(missing(&back), 0);
    assert_eq!(
        ending.end.unwrap(),
        End {
            events: events.len() as u64,
            ..End::default()
        }
    );
}
