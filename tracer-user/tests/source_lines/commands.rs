//! The commands that show call stacks, on a recording whose functions are the demo's.

use std::{
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use devres_tracer::{
    event::{Event, EventKind, StackFrame},
    source::recording::Recording,
    trace_file::{End, EndedBy, TraceFileWriter},
};
use serde_json::Value;

use super::{build_id, calls, directory_with, kernel, line_with, loaded, placed};

/// The recording of `devres-tracer demo`, with other functions in its stacks: `demo_probe` for what is of `pvpanic`, and the
/// `common` of `b.c` for what is of `pvpanic_mmio`.
pub(super) fn recording(directory: &Path, build_id_of: &str) -> PathBuf {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/pvpanic-6.1.dvrt");
    let mut original = Recording::open(&original).unwrap();
    let mut header = original.header().cloned().unwrap();
    header.image = Some(kernel(Some(build_id("vmlinux"))).image);
    let path = directory.join("demo.dvrt");
    let mut writer = TraceFileWriter::begin(File::create(&path).unwrap(), &header).unwrap();
    writer
        .modules(&[loaded(Some(build_id(build_id_of)))])
        .unwrap();
    let calls = calls("demo.ko");
    let replaced = |frame: &StackFrame| {
        let module = frame.function.as_ref()?.module.as_deref()?;
        let called = match module {
            "pvpanic" => "called_in_probe",
            "pvpanic_mmio" => "called_in_common_of_b",
            _ => return None,
        };
        Some(placed(&calls[called], Some("demo")))
    };
    let end = original.replay(|event| {
        let mut event = Event::clone(event);
        if let EventKind::Stack(definition) = &mut event.kind {
            let frames = definition.frames.iter();
            let frames = frames.map(|frame| replaced(frame).unwrap_or_else(|| frame.clone()));
            definition.frames = frames.collect::<Arc<[_]>>();
        }
        writer.event(&event).unwrap();
        ControlFlow::Continue(())
    });
    let end = End {
        ended: Some(EndedBy::Run),
        until: end.until.map(|until| until.0),
        ..End::default()
    };
    writer.finish(end).unwrap();
    path
}

fn run(arguments: &[&str], recording: &Path, debug: &Path) -> Output {
    let (command, options) = arguments.split_first().unwrap();
    Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .arg(command)
        .arg("--debug-dir")
        .arg(debug)
        .args(options)
        .arg(recording)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn each_command_shows_the_lines() {
    let directory = directory_with(&[("demo.ko", "debug/demo.ko")]);
    let file = recording(directory.path(), "demo.ko");
    let debug = directory.path().join("debug");
    let probe = format!("demo_probe+0xd [demo] at {}", line_with("called_in_probe"));
    let common = format!(
        "common+0x9 [demo] at {}",
        line_with("called_in_common_of_b")
    );
    for (arguments, code) in [
        (&["report", "--no-pager"][..], 1),
        (&["report", "--json"], 1),
        (&["report", "--mail"], 1),
        (&["report", "--redact"], 1),
        (&["report", "--resource", "pvpanic_remove"], 1),
        (&["trace", "--from"], 1),
        (&["import"], 1),
        (&["export", "--format", "chrome"], 0),
    ] {
        let output = run(arguments, &file, &debug);
        let (text, errors) = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(&probe), "{arguments:?}: {text}");
        if !arguments.contains(&"--resource") {
            assert!(words.join(" ").contains(&common), "{arguments:?}: {text}");
        }
        assert_eq!(
            errors, "devres-tracer: no debug info for the kernel\n",
            "{arguments:?}"
        );
    }
}

#[test]
fn events_and_findings_have_the_lines_as_data() {
    let directory = directory_with(&[("demo.ko", "debug/demo.ko")]);
    let file = recording(directory.path(), "demo.ko");
    let debug = directory.path().join("debug");
    let (text, _) = said(&run(&["export", "--format", "json"], &file, &debug));
    let line = line_with("called_in_probe");
    let (path, number) = line.split_once(':').unwrap();
    let number: u64 = number.parse().unwrap();
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let frames = objects.iter().filter(|one| one["event"] == "stack");
    let mut frames = frames.flat_map(|one| one["detail"]["frames"].as_array().unwrap());
    assert!(frames.any(|frame| frame["line"]["file"] == path && frame["line"]["line"] == number));

    let (text, _) = said(&run(&["report", "--json"], &file, &debug));
    let finding: Value = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|one| one["type"] == "finding")
        .unwrap();
    let added = &finding["resources"][0]["added"]["line"];
    assert_eq!(
        (&added["file"], &added["line"]),
        (&path.into(), &number.into())
    );

    let (text, _) = said(&run(&["check", "--report", "sarif=-"], &file, &debug));
    let log: Value = serde_json::from_str(&text).unwrap();
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], path);
    assert_eq!(place["region"]["startLine"], number);

    let page = directory.path().join("page.html");
    let arguments = ["report", "--html", page.to_str().unwrap()];
    assert_eq!(run(&arguments, &file, &debug).status.code(), Some(1));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&format!("[demo] at {line}")));
}

#[test]
fn a_file_of_another_build_is_refused_and_the_report_goes_on() {
    let directory = directory_with(&[("arm64.ko", "debug/demo.ko")]);
    let file = recording(directory.path(), "demo.ko");
    let debug = directory.path().join("debug");
    let output = run(&["report", "--no-pager"], &file, &debug);
    let (text, errors) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("demo_probe+0xd [demo]\n"), "{text}");
    let lines: Vec<&str> = errors.lines().collect();
    let (found, wanted) = (build_id("arm64.ko"), build_id("demo.ko"));
    let expected = format!(
        "debug/demo.ko is not used: it is of another build: its build id is {found}, the recording's kernel had {wanted}"
    );
    assert!(lines[0].ends_with(&expected), "{errors}");
    assert_eq!(
        lines[1],
        "devres-tracer: no debug info for module demo, the kernel"
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_copy_of_a_recording_keeps_where_its_modules_lay() {
    let directory = directory_with(&[("demo.ko", "debug/demo.ko")]);
    let file = recording(directory.path(), "demo.ko");
    let debug = directory.path().join("debug");
    for redact in [&["--redact"][..], &[]] {
        let copy = directory.path().join("copy.dvrt");
        let exported = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
            .args(["export", "--format", "dvrt", "--overwrite", "--output"])
            .arg(&copy)
            .args(redact)
            .arg(&file)
            .output()
            .unwrap();
        assert!(exported.status.success(), "{exported:?}");
        let (text, errors) = said(&run(&["report", "--no-pager"], &copy, &debug));
        let common = format!("[demo] at {}", line_with("called_in_common_of_b"));
        assert!(text.contains(&common), "{redact:?}: {text}");
        assert_eq!(errors, "devres-tracer: no debug info for the kernel\n");
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let directory = directory_with(&[("demo.ko", "debug/demo.ko")]);
    let file = recording(directory.path(), "demo.ko");
    let debug = directory.path().join("debug");
    for (arguments, debug, words) in [
        (
            &["report"][..],
            directory.path().join("missing"),
            "is no directory",
        ),
        (
            &["report", "--vmlinux", "/dev/null"],
            debug.clone(),
            "/dev/null: ",
        ),
        (
            &["report", "--vmlinux", "/nonexistent"],
            debug.clone(),
            "can't be read",
        ),
        (
            &["export", "--format", "dvrt"],
            debug,
            "holds no source lines",
        ),
    ] {
        let output = run(arguments, &file, &debug);
        let (_, errors) = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
    let live = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(["trace", "--debug-dir", "/", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(live.status.code(), Some(2));
    assert!(said(&live).1.contains("record first"));
}
