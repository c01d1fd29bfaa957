//! The command line: what the tool says about the kernel, and how it treats the command it runs.

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::{Session, Test, never};

pub(super) static SESSION: Session = Session {
    name: "command_line",
    script: r"
        run doctor devres-tracer doctor
        mkdir -p /etc
        echo 'root:x:0:0:root:/:/bin/sh' >/etc/passwd
        echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >>/etc/passwd
        trace output -- sh -c 'echo to standard output; echo to standard error >&2; exit 7'
        trace user --user nobody -- id -u
        trace missing -- /no/such/command
        trace time --for 1s
    ",
    tests: &[
        Test {
            name: "doctor_tells_what_can_be_traced",
            skipped: never,
            check: doctor,
        },
        Test {
            name: "output_of_the_command_is_left_alone",
            skipped: never,
            check: output,
        },
        Test {
            name: "command_runs_as_the_user",
            skipped: never,
            check: user,
        },
        Test {
            name: "missing_command_is_one_clear_error",
            skipped: never,
            check: missing,
        },
        Test {
            name: "tracing_ends_after_the_time",
            skipped: never,
            check: time,
        },
    ],
};

fn doctor(evidence: &Evidence) -> Result<()> {
    let (code, expected) = if evidence.series() < (5, 15) {
        (3, "this kernel has no tracepoint devres_log")
    } else {
        (0, "Everything can be traced.")
    };
    evidence.exited("doctor", code)?;
    let text = evidence.text("doctor.stdout")?;
    ensure!(text.contains(expected), "`{expected}` is missing:\n{text}");
    Ok(())
}

fn output(evidence: &Evidence) -> Result<()> {
    // No device gains or loses a resource by these commands.
    evidence.exited("output", 3)?;
    for (file, expected) in [
        ("output.stdout", "to standard output\n"),
        ("output.stderr", "to standard error\n"),
    ] {
        let text = evidence.text(file)?;
        ensure!(text == expected, "{file} is {text:?}");
    }
    Ok(())
}

fn user(evidence: &Evidence) -> Result<()> {
    evidence.exited("user", 3)?;
    let text = evidence.text("user.stdout")?;
    ensure!(text == "65534\n", "the user is {text:?}");
    Ok(())
}

fn missing(evidence: &Evidence) -> Result<()> {
    evidence.exited("missing", 2)?;
    let text = evidence.text("missing.stderr")?;
    ensure!(
        text.lines().count() == 1
            && text.contains("/no/such/command")
            && text.contains("No such file"),
        "not one clear line: {text:?}"
    );
    Ok(())
}

fn time(evidence: &Evidence) -> Result<()> {
    evidence.recording("time")?.ensure_exited(3)
}
