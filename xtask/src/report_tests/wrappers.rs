//! The scripts of `docs/ci` for test runners: each is run on recordings that pass, fail and are inconclusive, on one that
//! can't be read, and without a tracer.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Readers, tracer};
use crate::{command, workspace};

/// Runs a wrapper.
type Running = fn(&Readers, &Place) -> Result<()>;

/// The tests.
pub(super) const TESTS: [(&str, Running); 4] = [
    ("check_report_wrapper_of_kselftest", kselftest),
    ("check_report_wrapper_of_lava", lava),
    ("check_report_wrapper_of_avocado", avocado),
    ("check_report_wrapper_in_a_loop", in_a_loop),
];

/// Recordings, with what `check` says of them.
const PASSES: &str = "docs/recordings/dr001-fixed.dvrt";
const FAILS: &str = "docs/recordings/dr001.dvrt";
const INCONCLUSIVE: &str = "tracer-user/tests/cli/lm75.log";
const UNREADABLE: &str = "docs/recordings/none.dvrt";

/// Where the wrappers run.
pub(super) struct Place {
    directory: PathBuf,
    /// The path on which the programs are found, the tracer among them.
    path: String,
}

impl Place {
    /// A directory with the tracer on the path, and with what LAVA has there.
    pub(super) fn make() -> Result<Self> {
        let directory = workspace::root().join("target/report-tests/wrappers");
        workspace::remove_if_present(&directory)?;
        let programs = directory.join("programs");
        fs::create_dir_all(&programs).context("cannot create the wrappers' directory")?;
        symlink(tracer().get_program(), programs.join("devres-tracer"))
            .context("cannot put the tracer on the path")?;
        let case = programs.join("lava-test-case");
        fs::write(&case, "#!/bin/sh\necho \"case $*\"\n")
            .and_then(|()| fs::set_permissions(&case, fs::Permissions::from_mode(0o755)))
            .context("cannot put LAVA's program on the path")?;
        let path = std::env::var("PATH").unwrap_or_default();
        Ok(Self {
            path: format!("{}:{path}", programs.display()),
            directory,
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        command::run(
            Command::new(program)
                .args(arguments)
                .current_dir(workspace::root())
                .env("PATH", &self.path),
        )
    }
}

/// Fails unless a program has ended with this code.
fn ended(output: &Output, code: i32, what: &str) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.code() == Some(code),
        "{what} ended with {} instead of {code}:\n{said}{}",
        output.status,
        command::error_text(output)
    );
    Ok(said)
}

fn kselftest(readers: &Readers, place: &Place) -> Result<()> {
    let script = "docs/ci/kselftest/devres.sh";
    let parsed = |text: &str| {
        let file = place.directory.join("ktap");
        fs::write(&file, text).context("cannot write the KTAP")?;
        readers.validate(&[Path::new("ktap"), &readers.kunit, &file])
    };
    for (recording, code) in [(PASSES, 0), (FAILS, 1), (INCONCLUSIVE, 1)] {
        let said = ended(&place.run("sh", &[script, recording])?, code, recording)?;
        let found = parsed(&said)?;
        let failed = found["failed"].as_u64().unwrap_or_default();
        ensure!((failed > 0) == (code == 1), "{recording}: {found}");
    }
    ended(&place.run("sh", &[script, UNREADABLE])?, 1, UNREADABLE)?;
    let behind = ["--fail-on", "warn", UNREADABLE];
    ended(
        &place.run("sh", &[&[script], &behind[..]].concat())?,
        1,
        "behind options",
    )?;
    let nothing = command::run(
        Command::new("/bin/sh")
            .arg(script)
            .current_dir(workspace::root())
            .env("PATH", "/nonexistent"),
    )?;
    let said = ended(&nothing, 4, "without a tracer")?;
    let found = parsed(&said)?;
    ensure!(found["failed"] == 0 && found["crashed"] == 0, "{found}");
    Ok(())
}

fn lava(readers: &Readers, place: &Place) -> Result<()> {
    let definition = workspace::root().join("docs/ci/lava/devres.yaml");
    let schema = place.directory.join("lava.schema.json");
    fs::write(&schema, include_str!("lava.schema.json")).context("cannot write the schema")?;
    command::output(
        readers
            .python()
            .args(["-m", "check_jsonschema", "--schemafile"])
            .arg(&schema)
            .arg(&definition),
    )?;
    let found = readers.validate(&[Path::new("yaml"), &definition])?;
    let steps: Vec<&str> = found["content"]["run"]["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (recording, result) in [
        (PASSES, "pass"),
        (FAILS, "fail"),
        (INCONCLUSIVE, "unknown"),
        (UNREADABLE, "fail"),
    ] {
        // LAVA ends a test at the first step that fails, and has this program on the path.
        let mut script = "set -e\n".to_owned();
        for (name, value) in found["content"]["params"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            writeln!(script, "{name}='{value}'")?;
        }
        writeln!(script, "RECORDING='{recording}'\n{}", steps.join("\n"))?;
        let said = ended(&place.run("sh", &["-c", &script])?, 0, recording)?;
        let last = said.lines().last().unwrap_or_default();
        ensure!(
            last == format!("case devres-tracer --result {result}"),
            "{recording}: {said}"
        );
        ensure!(
            recording == UNREADABLE || said.contains("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=DR001 "),
            "{recording}: {said}"
        );
    }
    Ok(())
}

fn avocado(readers: &Readers, place: &Place) -> Result<()> {
    let run = |recording: &str| {
        let results = place.directory.join(recording.replace('/', "-"));
        let mut avocado = readers.python();
        avocado
            .args(["-m", "avocado", "run", "--job-results-dir"])
            .arg(&results)
            .arg(workspace::root().join("docs/ci/avocado/devres.py"))
            .arg("-p")
            .arg(format!(
                "recording={}",
                workspace::root().join(recording).display()
            ))
            .env("PATH", &place.path);
        command::run(&mut avocado)
    };
    let recordings = [
        (PASSES, "PASS 1 ", 0),
        (FAILS, "FAIL 1 ", 1),
        (INCONCLUSIVE, "ERROR 1 ", 1),
    ];
    // Each spends its time waiting.
    std::thread::scope(|scope| {
        let running = recordings.map(|(recording, counted, code)| {
            (
                recording,
                counted,
                code,
                scope.spawn(move || run(recording)),
            )
        });
        for (recording, counted, code, run) in running {
            let output = run
                .join()
                .map_err(|_| anyhow::anyhow!("avocado's thread died"))??;
            let said = ended(&output, code, recording)?;
            ensure!(said.contains(counted), "{recording}: {said}");
        }
        Ok(())
    })
}

fn in_a_loop(_: &Readers, place: &Place) -> Result<()> {
    let script = "docs/ci/loop/check-devres.sh";
    let directory = place.directory.join("loop");
    let kept = directory.display().to_string();
    let run = |recording| place.run("bash", &[script, "-f", recording, "-l", "2", "-o", &kept]);
    let said = ended(&run(PASSES)?, 0, PASSES)?;
    ensure!(said.ends_with("PASS: 2 loops\n"), "{said}");
    ensure!(directory.join("loop-2.json").is_file(), "no reports");
    for recording in [FAILS, INCONCLUSIVE, UNREADABLE] {
        let said = ended(&run(recording)?, 1, recording)?;
        ensure!(said.contains("\nFAIL: "), "{recording}: {said}");
    }
    ended(&place.run("bash", &[script])?, 1, "without a module")?;
    for loops in ["0", "-1", "2x", "abc"] {
        let run = place.run("bash", &[script, "-f", FAILS, "-l", loops])?;
        ended(&run, 1, loops)?;
    }
    Ok(())
}
