//! The command line where a transcript can't show it: files that are written, and bytes that are no text.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with a recording in it as JSON lines, and the program to run there.
struct Place {
    directory: TempDir,
}

/// What came of running it.
struct Ran {
    code: i32,
    output: String,
    error: String,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            directory: TempDir::new().expect("a directory can be made"),
        };
        let ran = place.run(&["demo", "--json", "--output", "whole.jsonl"]);
        assert_eq!(ran.code, 1, "{}", ran.error);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file can be read")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("the file can be written");
    }

    fn lines(&self) -> Vec<String> {
        self.read("whole.jsonl")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
            .args(arguments)
            .current_dir(&self.directory)
            .env("COLUMNS", "100")
            .stdin(Stdio::null())
            .output()
            .expect("it can be run");
        Ran::of(&output)
    }

    /// The summary of `trace --json --from`, with the exit code.
    fn judged(&self, arguments: &[&str]) -> (i32, Value) {
        let ran = self.run(&[&["trace", "--json", "--quiet", "--from"], arguments].concat());
        let last = ran.output.lines().last().unwrap_or_default();
        let summary = serde_json::from_str(last).unwrap_or_else(|_| panic!("{}", ran.error));
        (ran.code, summary)
    }
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or_else(|| {
                panic!("it was killed by {:?}", output.status.signal());
            }),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/pvpanic-6.1.dvrt");

#[test]
fn a_part_of_a_recording_says_that_it_is_one() {
    let place = Place::new();
    let part = |device: &str| {
        let arguments = ["export", "whole.jsonl", "--format", "json", "-o", "part"];
        let ran = place.run(&[&arguments[..], &["--device", device]].concat());
        assert!(ran.code == 0 || device == "nix", "{}", ran.error);
    };
    part("nix");
    let text = place.read("part");
    assert_eq!(
        text.lines().count(),
        2,
        "no stack of others is left: {text}"
    );
    assert!(text.contains(r#""filters":[{"device":["nix"]}]"#), "{text}");
    let (code, summary) = place.judged(&["part"]);
    assert_eq!((code, &summary["verdict"]), (3, &"inconclusive".into()));
    let reasons = summary["reasons"].to_string();
    assert!(
        reasons.contains("only devices that match --device nix"),
        "{reasons}"
    );
    part("QEMU*");
    let (code, summary) = place.judged(&["part", "--device", "QEMU*"]);
    assert_eq!((code, &summary["reasons"]), (1, &Value::Null), "{summary}");
    // The whole has nothing that another rule would find, and neither has what was chosen of it.
    for (arguments, expected) in [
        (["part", "--device", "QEMU*", "--rule", "DR003"], 0),
        (["part", "--device", "*", "--rule", "DR003"], 3),
    ] {
        assert_eq!(place.judged(&arguments).0, expected, "{arguments:?}");
    }
    let ran = place.run(&["import", "part", "-o", "part.dvrt"]);
    assert_eq!(ran.code, 0, "{}", ran.error);
    assert_eq!(place.judged(&["part.dvrt", "--rule", "DR003"]).0, 3);
    assert_eq!(
        place.run(&["check", "part.dvrt", "--report", "lava"]).code,
        1
    );
}

#[test]
fn events_that_are_missing_count_as_lost() {
    let place = Place::new();
    let mut lines = place.lines();
    lines.drain(20..25);
    place.write("thinned", lines.join("\n"));
    let (_, summary) = place.judged(&["thinned"]);
    assert_eq!(summary["lost"], 5, "{summary}");
    let problems = summary["problems"].to_string();
    assert!(problems.contains("5 lines are missing"), "{problems}");
    // Streams of older versions have no numbers.
    let unnumbered = |line: &String| match line.split_once("\"number\":") {
        Some((before, rest)) => {
            format!("{before}{}", rest.split_once(',').expect("more follows").1)
        }
        None => line.clone(),
    };
    let older: Vec<String> = lines.iter().map(unnumbered).collect();
    place.write("older", older.join("\n"));
    let (_, summary) = place.judged(&["older"]);
    assert_eq!(summary["lost"], 5, "{summary}");
    let problems = summary["problems"].to_string();
    assert!(problems.contains("fewer events"), "{problems}");
}

#[test]
fn lines_that_are_there_twice_or_in_another_place_are_known() {
    let place = Place::new();
    let whole = place.judged(&["whole.jsonl"]);
    let told = |lines: Vec<String>| {
        place.write("changed", lines.join("\n"));
        place.judged(&["changed"])
    };
    let mut doubled = place.lines();
    doubled.insert(27, doubled[25].clone());
    let (code, summary) = told(doubled);
    assert_eq!((code, &summary["lost"]), (whole.0, &whole.1["lost"]));
    assert_eq!(summary["events"], whole.1["events"]);
    let problems = summary["problems"].to_string();
    assert!(
        problems.contains("1 line is there twice or too late"),
        "{problems}"
    );
    let mut swapped = place.lines();
    swapped.swap(25, 26);
    let (_, summary) = told(swapped);
    assert_eq!(summary["lost"], 1, "{summary}");
    let (_, summary) = told([place.lines(), place.lines()].concat());
    assert_eq!(summary["lost"], 1, "{summary}");
    let problems = summary["problems"].to_string();
    assert!(
        problems.contains("another stream begins in it"),
        "{problems}"
    );
}

#[test]
fn a_bad_line_is_a_loss_and_the_rest_is_judged() {
    let place = Place::new();
    let mut lines = place.lines();
    lines[30] = "{\"type\":\"event\", and nothing more".to_owned();
    lines[31] = "\u{1b}[31m".to_owned();
    place.write("bad", lines.join("\n") + "\n");
    let (code, summary) = place.judged(&["bad", "--rule", "DR003"]);
    assert_eq!(code, 3, "{summary}");
    assert_eq!(summary["lost"], 2);
    let problems = summary["problems"].to_string();
    assert!(
        problems.contains("line 31 can't be read") && problems.contains("line 32"),
        "{problems}"
    );
    let ran = place.run(&["import", "--quiet", "bad"]);
    assert!(ran.output.contains("the input: line 31"), "{}", ran.output);
    let ran = place.run(&["export", "bad", "--format", "chrome"]);
    assert_eq!(ran.code, 3, "{}", ran.error);
    let whole: Value = serde_json::from_str(&ran.output).expect("it is whole JSON");
    assert!(whole["traceEvents"].is_array());
    let ran = place.run(&["check", "bad", "--report", "lava"]);
    assert!(
        ran.output.contains("run-is-complete RESULT=unknown"),
        "{}",
        ran.output
    );
}

#[test]
fn an_encoding_that_an_editor_has_left_is_taken_off() {
    let place = Place::new();
    let text = place.read("whole.jsonl");
    let units = || "\u{feff}".encode_utf16().chain(text.encode_utf16());
    place.write("marked", format!("\u{feff}{text}"));
    place.write(
        "little",
        units().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
    );
    place.write(
        "big",
        units().flat_map(u16::to_be_bytes).collect::<Vec<u8>>(),
    );
    let whole = place.judged(&["whole.jsonl"]);
    for name in ["marked", "little", "big"] {
        assert_eq!(place.judged(&[name]), whole, "{name}");
    }
}

const REPORTS: [&str; 10] = [
    "--report",
    "ktap=ktap",
    "--report",
    "junit=junit",
    "--report",
    "sarif=sarif",
    "--report",
    "json=json",
    "--report",
    "github=github",
];

/// That none of the reports can be taken for a pass.
#[track_caller]
fn none_passes(place: &Place) {
    let ktap = place.read("ktap");
    assert!(ktap.contains("\nnot ok 1 "), "{ktap}");
    let junit = place.read("junit");
    assert!(
        junit.contains("<error ") || junit.contains("<failure "),
        "{junit}"
    );
    let sarif: Value = serde_json::from_str(&place.read("sarif")).expect("it is JSON");
    let run = &sarif["runs"][0];
    let unsuccessful = run["invocations"][0]["executionSuccessful"] == false;
    let results = run["results"]
        .as_array()
        .is_some_and(|results| !results.is_empty());
    assert!(unsuccessful || results, "{sarif}");
    let json: Value = serde_json::from_str(&place.read("json")).expect("it is JSON");
    assert_ne!(json["verdict"], "clean");
    let github = place.read("github");
    assert!(
        github.contains("::error") || github.contains("::warning"),
        "{github}"
    );
}

#[test]
fn no_report_of_an_earlier_run_outlives_one_that_failed() {
    let place = Place::new();
    place.write("wrong.toml", "[limits]\nnix = 1\n");
    place.write("empty", "");
    for (arguments, code) in [
        (&["--exercise", "no-such-driver"][..], 2),
        (&["nowhere"], 4),
        (&["empty"], 2),
        (&["whole.jsonl", "--policy", "wrong.toml"], 2),
        (&["whole.jsonl", "--device", "[a"], 2),
        (&["--", "/no/such/command"], 2),
    ] {
        for name in ["ktap", "junit", "sarif", "json", "github"] {
            place.write(name, "ok, as it was yesterday");
        }
        let ran = place.run(&[&["check"], &REPORTS[..], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.error);
        assert_eq!(ran.error.lines().count(), 1, "{}", ran.error);
        assert_eq!(ran.output, "", "{arguments:?}");
        none_passes(&place);
    }
}

#[test]
fn what_is_read_is_never_overwritten() {
    let place = Place::new();
    let before = place.read("whole.jsonl");
    for arguments in [
        &["export", "whole.jsonl", "--format", "json", "-o", "link"][..],
        &["check", "whole.jsonl", "--report", "ktap=link"],
        &["check", "whole.jsonl", "--write-expectations", "link"],
        &["import", "whole.jsonl", "-o", "hard"],
        &["trace", "--from", "link", "-o", "hard"],
        &["record", "-o", "whole.jsonl", "--", "/no/such/command"],
        &["trace", "--record", "whole.jsonl", "--", "no-such-command"],
    ] {
        let _ = std::os::unix::fs::symlink("whole.jsonl", place.path("link"));
        let _ = fs::hard_link(place.path("whole.jsonl"), place.path("hard"));
        let ran = place.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.error);
        assert_eq!(place.read("whole.jsonl"), before, "{arguments:?}");
    }
}

#[test]
fn a_recording_is_private_and_replaced_only_if_asked_for() {
    let place = Place::new();
    let import =
        |more: &[&str]| place.run(&[&["import", "whole.jsonl", "-o", "new.dvrt"], more].concat());
    assert_eq!(import(&[]).code, 0);
    let mode = fs::metadata(place.path("new.dvrt")).map(|it| it.permissions().mode() & 0o777);
    assert_eq!(mode.ok(), Some(0o600));
    let again = import(&[]);
    assert_eq!(again.code, 2, "{}", again.error);
    assert!(again.error.contains("new.dvrt exists"), "{}", again.error);
    assert_eq!(import(&["--overwrite"]).code, 0);
    for arguments in [
        &["record", "-o", "new.dvrt", "--", "true"][..],
        &["trace", "--record", "new.dvrt", "--", "true"],
        &["check", "--record", "new.dvrt", "--", "true"],
        &["policy", "init", "new.dvrt"],
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.error);
        assert!(
            ran.error.contains("--overwrite"),
            "{arguments:?}: {}",
            ran.error
        );
    }
    // A report is replaced.
    for _ in 0..2 {
        assert_eq!(place.run(&["demo", "--quiet", "-o", "report"]).code, 1);
    }
}

#[test]
fn a_run_in_which_nothing_happened_is_inconclusive() {
    let place = Place::new();
    // The stream up to the first thing that happens: what was there before.
    let lines = place.lines();
    let happens = |line: &&String| {
        let value: Value = serde_json::from_str(line).expect("each line is JSON");
        value["type"] == "event"
            && !matches!(
                value["event"].as_str(),
                Some("device" | "stack" | "snapshot")
            )
    };
    let first = lines
        .iter()
        .position(|line| happens(&line))
        .expect("something happens");
    let last = lines.last().expect("there is a summary");
    let mut summary: Value = serde_json::from_str(last).expect("each line is JSON");
    summary["events"] = (first - 1).into();
    place.write(
        "idle",
        format!("{}\n{summary}\n", lines[..first].join("\n")),
    );
    let (code, summary) = place.judged(&["idle"]);
    assert_eq!(code, 3, "{summary}");
    let reasons = summary["reasons"].to_string();
    assert!(
        reasons.contains("no device gained or lost a resource"),
        "{reasons}"
    );
    let report = place.run(&["report", "idle"]);
    assert_eq!(report.code, 3, "{}", report.output);
    assert!(
        report
            .output
            .contains("no device gained or lost a resource")
    );
    // To write it in another form nothing is missing.
    let export = place.run(&["export", "idle", "--format", "json"]);
    assert_eq!(export.code, 0, "{}", export.error);
}

#[test]
fn what_is_neither_a_trace_file_nor_text_is_called_that() {
    let place = Place::new();
    let program = fs::read(env!("CARGO_BIN_EXE_devres-tracer")).expect("the program can be read");
    place.write("program", &program[..100_000]);
    for command in ["report", "import", "check", "stacks"] {
        let ran = place.run(&[command, "program"]);
        assert_eq!(ran.code, 2, "{command}: {}", ran.error);
        assert!(
            ran.error
                .contains("program is neither a trace file nor text"),
            "{command}: {}",
            ran.error
        );
    }
    place.write("text", "nothing of devres\n");
    let ran = place.run(&["report", "text"]);
    assert!(ran.error.contains("the only line is not"), "{}", ran.error);
}

#[test]
fn a_command_that_would_never_end_is_refused_where_nobody_looks_on() {
    let place = Place::new();
    for (arguments, words) in [
        (&["check"][..], "nothing to judge"),
        (&["check", "--policy", "none.toml"], "nothing to judge"),
        (&["check", "--"], "no command after `--`"),
        (&["trace", "--"], "no command after `--`"),
        (&["record", "-o", "x.dvrt", "--"], "no command after `--`"),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.error);
        assert!(ran.error.contains(words), "{arguments:?}: {}", ran.error);
    }
    for (value, words) in [
        ("-1s", "a time can't be negative"),
        ("ten", "a number with a unit"),
        ("1e9", "a number with a unit"),
    ] {
        let ran = place.run(&["trace", "--for", value]);
        assert_eq!(ran.code, 2, "{value}: {}", ran.error);
        assert!(ran.error.contains(words), "{value}: {}", ran.error);
    }
}

#[test]
fn colours_and_words_are_as_wanted() {
    let place = Place::new();
    let coloured = place.run(&["demo", "--quiet", "--color", "always"]);
    assert!(coloured.output.contains("\u{1b}["), "{}", coloured.output);
    let plain = place.run(&["demo", "-q", "--color=never"]);
    assert!(!plain.output.contains('\u{1b}'), "{}", plain.output);
    let whole = place.run(&["check", "whole.jsonl"]);
    let brief = place.run(&["check", "-q", "whole.jsonl"]);
    let is_ok = |line: &&str| line.trim_start().starts_with("ok ");
    assert!(
        whole.output.lines().any(|line| is_ok(&line)),
        "{}",
        whole.output
    );
    assert!(
        !brief.output.lines().any(|line| is_ok(&line)),
        "{}",
        brief.output
    );
    for words in ["not ok 1", "DR001", "FAIL: "] {
        assert!(brief.output.contains(words), "{}", brief.output);
    }
    let detailed = place.run(&["report", "-v", "whole.jsonl"]);
    assert!(
        detailed.error.contains("whole.jsonl opened in"),
        "{}",
        detailed.error
    );
}

#[test]
fn globs_beyond_all_bounds_are_errors_with_their_place() {
    let place = Place::new();
    let glob = format!("{}b{}", "{a,".repeat(126), "}".repeat(126));
    let ran = place.run(&["trace", "--from", "whole.jsonl", "--device", &glob]);
    assert_eq!(ran.code, 2, "{}", ran.error);
    for policy in [
        format!("[devices]\ninclude = [\"{glob}\"]"),
        format!("[sources]\n\"{glob}\" = \"drivers/x.c\""),
        format!("[require]\ndrivers = [\"{glob}\"]"),
        format!("[[assert]]\ndriver = \"{glob}\"\nmost-resources = 1"),
    ] {
        place.write("policy.toml", &policy);
        let ran = place.run(&["policy", "check", "policy.toml"]);
        assert_eq!(ran.code, 2, "{policy}: {}", ran.error);
        assert!(ran.error.contains("policy.toml:2:"), "{}", ran.error);
        assert!(ran.error.contains("nests more than"), "{}", ran.error);
    }
}

#[test]
fn nothing_that_steers_a_terminal_gets_through() {
    let place = Place::new();
    let name = "a\u{1b}[31mb\u{9b}\u{202e}";
    let hostile = |text: &str| {
        text.chars()
            .any(|letter| matches!(letter, '\u{1b}' | '\u{7f}' | '\u{9b}' | '\u{202e}'))
    };
    for arguments in [
        &["trace", "--from", name][..],
        &["check", name],
        &["check", "--", name],
        &["diff", name, name],
        &["stacks", "--at", "1", name],
        &["policy", "check", name],
        &["live", "--config", name],
        &["explain", name],
        &["check", "--exercise", name],
        &["trace", "--fail-on", name],
        &[name],
    ] {
        let ran = place.run(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}");
        let said = ran.output + &ran.error;
        assert!(!hostile(&said), "{arguments:?}: {said:?}");
        let escaped = ["\\x9b", "\\u{9b}"].iter().any(|code| said.contains(code));
        assert!(escaped, "{arguments:?}: {said}");
        assert!(!said.contains("\\\\x1b"), "{arguments:?}: {said}");
    }
    let text = place.read("whole.jsonl");
    place.write(
        "steered",
        text.replace("QEMU0001:00", "Q\\u001b\\u009b\u{202e}\u{7f}"),
    );
    for arguments in [
        &["trace", "--json", "--from", "steered"][..],
        &["trace", "--from", "steered"],
        &["report", "--json", "steered"],
        &["report", "steered"],
        &["report", "--mail", "steered"],
        &["report", "--resource", "*", "steered"],
        &["stacks", "--json", "--all", "steered"],
        &["export", "steered", "--format", "chrome"],
        &["diff", "--json", "steered", "whole.jsonl"],
        &["check", "steered", "--report", "sarif"],
        &["check", "steered", "--report", "json"],
        &["check", "steered", "--report", "junit"],
        &["check", "steered"],
    ] {
        let ran = place.run(arguments);
        assert!(!hostile(&ran.output), "{arguments:?}: {}", ran.output);
        assert!(!hostile(&ran.error), "{arguments:?}: {}", ran.error);
    }
    let ran = place.run(&["export", "steered", "--format", "json"]);
    assert!(
        ran.output.contains("Q\\u001b\\u009b\\u202e\\u007f"),
        "{}",
        ran.output
    );
}

#[test]
fn a_hostile_kernel_name_is_no_expectation() {
    let place = Place::new();
    let text = place.read("whole.jsonl");
    let kernel = "6.1\\n[[expect]]\\nfingerprint = \\\"DR001/*\\\"\\nreason = \\\"x\\\"\\n#";
    place.write("hostile", text.replacen("6.1.0-56-amd64", kernel, 1));
    place.run(&["check", "hostile", "--write-expectations", "known.toml"]);
    let written = place.read("known.toml");
    assert_eq!(written.matches("\n[[expect]]").count(), 1, "{written}");
    let ran = place.run(&["policy", "check", "known.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.error);
    assert!(ran.output.contains("1 expectation"), "{}", ran.output);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    for arguments in [&["demo"][..], &["trace", "--from", DEMO], &["rules"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
            .args(arguments)
            .current_dir(directory)
            .stdout(writer)
            .output()
            .expect("it can be run");
        let ran = Ran::of(&output);
        assert!(ran.code < 2, "{arguments:?}: {}", ran.error);
        assert_eq!(ran.error, "", "{arguments:?}");
    }
}

#[test]
fn a_report_that_can_not_be_written_keeps_no_other_from_telling() {
    let place = Place::new();
    let reports = ["--report", "ktap=/dev/full", "--report", "lava=lava"];
    let ran = place.run(&[&["check", "whole.jsonl"], &reports[..]].concat());
    assert_eq!(ran.code, 1, "{}", ran.error);
    assert!(
        ran.error.contains("/dev/full can't be written"),
        "{}",
        ran.error
    );
    let lava = place.read("lava");
    assert!(lava.contains("TEST_CASE_ID=DR001 RESULT=fail"), "{lava}");
}

#[test]
fn limits_that_leave_no_room_are_one_clear_error() {
    let program = env!("CARGO_BIN_EXE_devres-tracer");
    for files in 4..=8 {
        for arguments in ["trace -- true", "import tests/cli/lm75.log", "doctor"] {
            let command = format!("ulimit -n {files}; exec {program} {arguments}");
            let output = Command::new("sh").args(["-c", &command]).output();
            let output = output.expect("the shell can be run");
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(4), "{command}: {error}");
            assert!(error.contains("raise it (ulimit -n"), "{command}: {error}");
            assert_eq!(error.lines().count(), 1, "{command}: {error}");
        }
    }
}

#[test]
fn a_check_has_a_page_even_if_it_could_not_run() {
    let place = Place::new();
    let arguments = ["check", "whole.jsonl", "--html", "page.html"];
    let ran = place.run(&arguments);
    assert_eq!(ran.code, 1, "{}", ran.error);
    assert!(ran.output.starts_with("KTAP version 1"), "{}", ran.output);
    let page = place.read("page.html");
    for wanted in [
        "<li class=\"bad\"><strong>failed</strong> ",
        "<svg ",
        "id=\"data\"",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    // Devices that are not judged are not shown.
    let none = [&arguments[..], &["--device", "nix"]].concat();
    assert_eq!(place.run(&none).code, 3);
    assert!(!place.read("page.html").contains("QEMU0001:00"));
    let ran = place.run(&["check", "missing", "--html", "page.html"]);
    assert_eq!(ran.code, 4, "{}", ran.error);
    let page = place.read("page.html");
    assert!(
        page.contains("input can be read") && !page.contains("<svg "),
        "{page}"
    );
    let ran = place.run(&["check", "whole.jsonl", "--html", "whole.jsonl"]);
    assert_eq!(ran.code, 2, "{}", ran.error);
    assert!(place.lines().len() > 30, "it is still there");
}

#[test]
fn a_page_shows_recordings_beside_each_other() {
    let place = Place::new();
    place.write("again.jsonl", place.read("whole.jsonl"));
    let text: Vec<String> = place.lines();
    let kept =
        |line: &&String| line.contains("\"source\"") || !line.contains("dev_pm_domain_detach");
    let cut = text.iter().filter(kept);
    place.write("other.jsonl", cut.cloned().collect::<Vec<_>>().join("\n"));
    let files = ["whole.jsonl", "again.jsonl", "other.jsonl"];
    let ran = place.run(&[&["report", "--html", "page.html"], &files[..]].concat());
    assert_eq!(ran.code, 1, "{}", ran.error);
    let page = place.read("page.html");
    let section = |number: u32| {
        let heading = format!("and {number} ");
        let (_, rest) = page
            .split_once(&heading)
            .expect("the differences are there");
        rest.split_once("</section>").expect("it ends").0.to_owned()
    };
    assert!(section(2).contains("SAME:"), "{}", section(2));
    assert!(section(3).contains("detached"), "{}", section(3));
    for lane in ["1: QEMU0001:00", "2: QEMU0001:00", "3: QEMU0001:00"] {
        assert!(page.contains(lane), "{lane}");
    }
    assert_eq!(place.run(&[&["report"], &files[..]].concat()).code, 2);
}

#[test]
fn an_export_for_perfetto_says_what_is_missing() {
    let place = Place::new();
    let export = |file: &str| place.run(&["export", file, "--format", "perfetto", "-o", "trace"]);
    assert_eq!(export("whole.jsonl").code, 0);
    let whole = fs::read(place.path("trace")).expect("it is there");
    let cut = place.lines();
    place.write("cut.jsonl", cut[..cut.len() / 2].join("\n"));
    let ran = export("cut.jsonl");
    assert_eq!(ran.code, 3, "{}", ran.error);
    let trace = fs::read(place.path("trace")).expect("it is there");
    let says = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(says(&whole, "pvpanic_remove") && !says(&whole, "incomplete"));
    assert!(says(&trace, "incomplete"));
}

#[test]
fn a_picture_has_more_room_than_a_text() {
    let place = Place::new();
    let line = |operation: &str| {
        format!(
            "[    1.000000] foo 0-0048: DEVRES {operation} 0000000000000010 devm_kzalloc_release (8 bytes)\n"
        )
    };
    let pair = line("ADD") + &line("REM");
    place.write("busy.log", pair.repeat(1_300));
    let text = place.run(&["report", "busy.log"]).output;
    assert!(text.contains("600 more steps (not kept)"), "{text}");
    place.run(&["report", "--html", "page.html", "busy.log"]);
    let page = place.read("page.html");
    assert_eq!(page.matches("\"hidden\":").count(), 1);
    assert!(page.contains("\"hidden\":0"));
}
