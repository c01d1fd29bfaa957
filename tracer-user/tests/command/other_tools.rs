//! Files of other tools are read through these tools.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use landlock::{ABI, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};
use tempfile::TempDir;

use super::{Place, Ran};

/// What such a tool prints of a driver that probes and is unbound.
const TEXT: &str = "\
insmod-9 [000] 1.000000001: devres_log: foo.0 ADD 0000000011111111 devm_kzalloc_release (8 bytes)
CPU:0 [LOST 3 EVENTS]
insmod-9 [000] 1.000000005: devres_log: foo.0 REL 0000000011111111 devm_kzalloc_release (8 bytes)
";

/// Imports a file that begins so, where `tool` is all that is installed. Returns the tool's arguments as well.
fn import(file: &str, beginning: &[u8], tool: &str, script: &str) -> (Ran, String) {
    let place = Place::new();
    place.write(file, beginning);
    place.write("text", TEXT);
    let programs = install(&place, tool, script);
    let ran = place.run_among(&programs, &["import", "--json", file]);
    let arguments = fs::read_to_string(place.path("arguments")).unwrap_or_default();
    (ran, arguments)
}

/// Makes a script the only program; yields where programs are to be looked for.
fn install(place: &Place, tool: &str, script: &str) -> String {
    fs::create_dir(place.path("programs")).expect("a directory can be made");
    let tool = format!("programs/{tool}");
    let directory = place.path("");
    let directory = directory.display();
    place.write(
        &tool,
        format!("#!/bin/sh\ncd {directory}\necho \"$*\" >arguments\n{script}\n"),
    );
    fs::set_permissions(place.path(&tool), fs::Permissions::from_mode(0o755))
        .expect("a script can be run");
    place.path("programs").display().to_string()
}

/// Prints the text with what a shell has built in.
const PRINT: &str = "while read -r line; do echo \"$line\"; done <text";

#[test]
fn each_is_read_with_the_options_that_lose_nothing() {
    for (file, beginning, tool, expected) in [
        (
            "trace.dat",
            &b"\x17\x08\x44tracing6\0"[..],
            "trace-cmd",
            "report -t -i trace.dat\n",
        ),
        (
            "perf.data",
            b"PERFILE2",
            "perf",
            "script --ns --show-lost-events -i perf.data\n",
        ),
        ("-log.gz", b"\x1f\x8b\x08\0", "zcat", "./-log.gz\n"),
        (
            "system.journal",
            b"LPKSHHRH",
            "journalctl",
            "-k -o short-monotonic --file system.journal\n",
        ),
    ] {
        let file = if file.starts_with('-') {
            format!("./{file}")
        } else {
            file.to_owned()
        };
        let (ran, arguments) = import(&file, beginning, tool, PRINT);
        assert_eq!(arguments, expected, "{}", ran.error);
        assert_eq!(ran.code, 3, "{}", ran.error);
        assert_eq!(ran.output.matches("\"event\":\"add\"").count(), 1, "{file}");
        assert!(ran.output.contains("\"time\":1000000005"), "{}", ran.output);
        assert!(ran.output.contains("\"lost\":3"), "{}", ran.output);
    }
}

#[test]
fn a_tool_has_what_reading_takes_and_can_gain_nothing() {
    let status = "while read -r line; do echo \"$line\"; done </proc/self/status >status";
    let place = Place::new();
    let script = format!("cd {}\n{status}\n{PRINT}", place.path("").display());
    place.write("text", TEXT);
    let (ran, _) = import("trace.dat", b"\x17\x08\x44tracing6\0", "trace-cmd", &script);
    assert_eq!(ran.code, 3, "{}", ran.error);
    let status = place.read("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(field("NoNewPrivs:"), "1");
    // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, SYS_RAWIO, SYSLOG.
    let most = 0b1111_u64 | 1 << 17 | 1 << 34;
    for set in ["CapPrm:", "CapEff:", "CapAmb:"] {
        let has = u64::from_str_radix(&field(set), 16);
        assert!(
            has.as_ref().is_ok_and(|has| has & !most == 0),
            "{set} {has:?}"
        );
    }
}

#[test]
fn nothing_is_written_but_outputs_by_whatever_reads_a_recording() {
    let elsewhere = directory_elsewhere();
    let stranger = elsewhere.path().join("written");
    let script = format!("(echo x >{}) 2>/dev/null\n{PRINT}", stranger.display());
    for arguments in [
        &["import", "trace.dat"][..],
        &["report", "trace.dat"],
        &["export", "--format", "json", "trace.dat"],
        &["diff", "trace.dat", "trace.dat"],
        &["stacks", "trace.dat"],
        &["trace", "--from", "trace.dat"],
        &["check", "trace.dat"],
    ] {
        let place = Place::new();
        place.write("trace.dat", b"\x17\x08\x44tracing6\0");
        place.write("text", TEXT);
        let ran = place.run_among(&install(&place, "trace-cmd", &script), arguments);
        assert!(ran.code <= 3, "{arguments:?}: {}", ran.error);
        assert!(place.path("arguments").exists(), "{arguments:?}");
        assert_eq!(stranger.exists(), !landlock_works(), "{arguments:?}");
    }
    let page = elsewhere.path().join("page.html");
    let place = Place::new();
    place.write("text.log", TEXT);
    let ran = place.run(&["report", "--html", &page.display().to_string(), "text.log"]);
    assert!(ran.code <= 3 && page.exists(), "{}", ran.error);
}

/// A directory that is not among those for temporary files, where everything may be written. The repository may lie there.
fn directory_elsewhere() -> TempDir {
    let home = std::env::var("HOME").unwrap_or_default();
    let temporary = std::env::temp_dir();
    [env!("CARGO_TARGET_TMPDIR"), &home, "/var/lib", "/opt"]
        .into_iter()
        .map(Path::new)
        .filter(|place| {
            let shared = ["/tmp", "/var/tmp", "/dev"].map(Path::new);
            let mut allowed = shared.into_iter().chain([temporary.as_path()]);
            place.is_absolute() && !allowed.any(|allowed| place.starts_with(allowed))
        })
        .find_map(|place| tempfile::tempdir_in(place).ok())
        .expect("a directory can be made somewhere")
}

/// Whether this kernel has landlock, and nobody has switched it off.
fn landlock_works() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok()
}

#[test]
fn a_tool_that_is_missing_or_fails_is_named_with_its_words() {
    let place = Place::new();
    place.write("perf.data", b"PERFILE2");
    let ran = place.run_among("", &["import", "perf.data"]);
    assert_eq!(ran.code, 2);
    let command = "`perf script --ns --show-lost-events -i FILE`";
    assert_eq!(
        ran.error,
        format!(
            "devres-tracer: perf.data is a recording of perf: use the output of {command}: {command} can't be run: No such file or directory (os error 2)\n"
        )
    );
    let (ran, _) = import(
        "perf.data",
        b"PERFILE2",
        "perf",
        "echo 'no such event' >&2; exit 4",
    );
    assert_eq!(ran.code, 2);
    assert!(
        ran.error
            .ends_with("failed (exit status: 4): no such event\n"),
        "{}",
        ran.error
    );
}

#[test]
fn what_a_tool_printed_before_it_failed_is_judged_and_never_clean() {
    let script = format!("{PRINT}; echo 'it is cut off' >&2; exit 1");
    let (ran, _) = import("trace.dat", b"\x17\x08\x44tracing6\0", "trace-cmd", &script);
    assert_eq!(ran.output.matches("\"event\":\"add\"").count(), 1);
    assert!(ran.output.contains("it is cut off"), "{}", ran.output);
    assert!(ran.code >= 2, "{}", ran.output);
}
