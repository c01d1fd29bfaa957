//! What is written: reports, recordings, pages, colours.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::{DEMO, Place, Ran};

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

/// Each way to have a file written, with its name.
const WRITTEN: [(&str, &[&str]); 10] = [
    (
        "events",
        &["trace", "--from", "whole.jsonl", "-o", "events"],
    ),
    (
        "lines",
        &["export", "whole.jsonl", "--format", "json", "-o", "lines"],
    ),
    (
        "spans",
        &["export", "whole.jsonl", "--format", "chrome", "-o", "spans"],
    ),
    (
        "tracks",
        &[
            "export",
            "whole.jsonl",
            "--format",
            "perfetto",
            "-o",
            "tracks",
        ],
    ),
    (
        "import.dvrt",
        &["import", "whole.jsonl", "-o", "import.dvrt"],
    ),
    ("page", &["report", "whole.jsonl", "--html", "page"]),
    ("page2", &["check", "whole.jsonl", "--html", "page2"]),
    (
        "junit",
        &["check", "whole.jsonl", "--report", "junit=junit"],
    ),
    (
        "sarif",
        &["check", "whole.jsonl", "--report", "sarif=sarif"],
    ),
    ("demo", &["demo", "--output", "demo"]),
];

#[test]
fn what_may_hold_addresses_is_private_and_follows_no_link() {
    let place = Place::new();
    let mode = |name: &str| {
        let metadata = fs::metadata(place.path(name));
        metadata.map(|it| it.permissions().mode() & 0o777).ok()
    };
    for (name, arguments) in WRITTEN {
        let ran = place.run(arguments);
        assert!(ran.code < 2, "{arguments:?}: {}", ran.error);
        assert_eq!(mode(name), Some(0o600), "{arguments:?}");
        fs::remove_file(place.path(name)).expect("it is there");
        place.write("kept", "kept");
        let _ = std::os::unix::fs::symlink("kept", place.path(name));
        let ran = place.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.error);
        assert_eq!(place.read("kept"), "kept", "{arguments:?}");
    }
    // A policy is for everybody, as far as the umask goes.
    assert_eq!(place.run(&["policy", "init", "policy.toml"]).code, 0);
    assert_ne!(mode("policy.toml"), Some(0o600));
}

#[test]
fn in_a_shared_directory_files_are_the_callers_and_those_of_others_stay() {
    let place = Place::new();
    let directory = place.directory.path();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o1777)).expect("it is ours");
    place.write("theirs", "theirs");
    if std::os::unix::fs::chown(place.path("theirs"), Some(1234), Some(123)).is_err() {
        eprintln!("SKIPPED: only root can give a file away");
        return;
    }
    for arguments in [
        &["export", "whole.jsonl", "--format", "json", "-o", "theirs"][..],
        &["report", "whole.jsonl", "--html", "theirs"],
        &["check", "whole.jsonl", "--report", "junit=theirs"],
        &["import", "whole.jsonl", "-o", "theirs", "--overwrite"],
        &["record", "-o", "theirs", "--overwrite", "--", "true"],
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.error);
        assert_eq!(ran.error.lines().count(), 1, "{}", ran.error);
        assert!(
            ran.error.contains("belongs to another user (uid 1234)"),
            "{}",
            ran.error
        );
        assert_eq!(place.read("theirs"), "theirs", "{arguments:?}");
    }
    let owner = |name: &str| {
        let metadata = fs::metadata(place.path(name)).expect("it is there");
        (metadata.uid(), metadata.gid())
    };
    for (name, arguments) in WRITTEN {
        let through_sudo = place
            .command(arguments)
            .env("SUDO_UID", "1234")
            .env("SUDO_GID", "123")
            .output();
        let ran = Ran::of(&through_sudo.expect("it can be run"));
        assert!(ran.code < 2, "{arguments:?}: {}", ran.error);
        assert_eq!(owner(name), (1234, 123), "{arguments:?}");
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

#[test]
fn a_redacted_trace_file_is_judged_the_same() {
    let place = Place::new();
    let export = |more: &[&str]| {
        let arguments = ["export", DEMO, "--format", "dvrt", "-o", "tokens.dvrt"];
        place.run(&[&arguments[..], more].concat())
    };
    assert_eq!(export(&["--redact"]).code, 0);
    let again = export(&[]);
    assert_eq!(again.code, 2, "{}", again.error);
    assert!(again.error.contains("--overwrite"), "{}", again.error);
    let findings = |file: &str| {
        let report = place.run(&["trace", "--from", file, "--json"]);
        let lines = report.output.lines();
        let values = lines.map(|line| serde_json::from_str(line).expect("each line is JSON"));
        let findings = values.filter(|value: &Value| value["type"] == "finding");
        let told: Vec<_> = findings
            .map(|value| (value["fingerprint"].clone(), value["severity"].clone()))
            .collect();
        (report.code, told)
    };
    let (code, told) = findings(DEMO);
    assert_eq!((code, told.len()), (1, 1));
    assert_eq!(findings("tokens.dvrt"), (code, told));
    let text = |arguments: &[&str]| place.run(arguments).output;
    let plain = text(&["export", DEMO, "--format", "json"]);
    let tokens = text(&["export", "tokens.dvrt", "--format", "json"]);
    let header = text(&["report", "tokens.dvrt", "--mail"]);
    for secret in ["0xff", "0xffff"] {
        assert!(
            plain.contains(secret) && !tokens.contains(secret),
            "{secret}"
        );
    }
    // The command line is not there.
    assert!(header.contains("Command:    unknown"), "{header}");
    // Without the option it is a copy.
    assert_eq!(export(&["--overwrite"]).code, 0);
    assert_eq!(text(&["export", "tokens.dvrt", "--format", "json"]), plain);
}
