//! What is read: parts of recordings, bad lines, encodings, what is no text at all.

use std::{fs, process::Command};

use serde_json::Value;

use super::Place;

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
