//! Lines of the source for stacks through the test module, by its debug info, against the source itself.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, without_log};
use crate::workspace;

/// The functions in `platform.c` that must occur: what they do is traced.
const FUNCTIONS: [&str; 3] = ["platform_probe", "grow_store", "add_group"];

pub(super) static SESSION: Session = Session {
    name: "source_lines",
    script: r"
        load_test_module
        export scenarios
        run record devres-tracer record --output lines.dvrt -- sh -euc '
            echo platform-unregister >$scenarios/run
            echo platform-register >$scenarios/run
            echo 2 >/sys/bus/platform/devices/devres-test.0/grow
        '
        mkdir -p debug other
        cp /devres_test.ko debug
        # Another build of the same name.
        cp /devres_test_callback.ko other/devres_test.ko
        rmmod devres_test
        run lines devres-tracer export --format json --debug-dir debug lines.dvrt
        run refused devres-tracer report --no-pager --debug-dir other lines.dvrt
        load_test_module
        run stacks devres-tracer stacks --debug-dir debug
    ",
    tests: &[
        Test {
            name: "source_lines_of_a_module_are_those_of_its_source",
            skipped: without_log,
            check: are_right,
        },
        Test {
            name: "source_lines_by_another_build_are_refused",
            skipped: without_log,
            check: are_refused,
        },
    ],
};

/// A place that a frame shows: the function, and the line in it.
struct Place<'a> {
    function: &'a str,
    file: &'a str,
    line: usize,
}

fn are_right(evidence: &Evidence) -> Result<()> {
    evidence.succeeded("record")?;
    let lines = evidence.json_lines("lines.stdout")?;
    let stacks = lines.iter().filter(|line| text(line, "/event") == "stack");
    let frames: Vec<&Value> = stacks
        .filter_map(|stack| stack["detail"]["frames"].as_array())
        .flatten()
        .filter(|frame| text(frame, "/function/module") == "devres_test")
        .collect();
    let mut seen: Vec<String> = Vec::new();
    for frame in &frames {
        ensure!(frame["line"].is_object(), "a frame has no line: {frame}");
        let mut places = vec![Place {
            function: text(frame, "/function/name"),
            file: text(frame, "/line/file"),
            line: number(&frame["line"])?,
        }];
        for call in frame["line"]["inlined"].as_array().into_iter().flatten() {
            places.push(Place {
                function: text(call, "/function"),
                file: text(call, "/file"),
                line: number(call)?,
            });
        }
        verify(&places).with_context(|| format!("the frame {frame}"))?;
        seen.extend(places.iter().map(|place| place.function.to_owned()));
    }
    for function in FUNCTIONS {
        ensure!(
            seen.iter().any(|seen| seen == function),
            "{function} is not among {seen:?}"
        );
    }
    Ok(())
}

fn number(line: &Value) -> Result<usize> {
    let number = line["line"].as_u64().context("a line has no number")?;
    usize::try_from(number).context("a line's number is too large")
}

/// Each line lies within its function's definition, and names what is called there: the function that was inlined, or a part
/// of devres.
fn verify(places: &[Place<'_>]) -> Result<()> {
    for (number, place) in places.iter().enumerate() {
        let Some((_, file)) = place.file.rsplit_once('/').or(Some(("", place.file))) else {
            continue;
        };
        let path = workspace::root().join("tests/kmod").join(file);
        // What is inlined from the kernel's headers is not at hand.
        let Ok(source) = fs::read_to_string(&path) else {
            ensure!(number > 0, "{file} is no file of the module");
            continue;
        };
        let lines: Vec<&str> = source.lines().collect();
        let line = place.line.checked_sub(1).and_then(|line| lines.get(line));
        let line = line.with_context(|| format!("{file} has no line {}", place.line))?;
        let before = lines.get(..place.line).unwrap_or_default();
        let begins = |line: &&&str| {
            line.starts_with(|first: char| first.is_ascii_alphabetic()) && line.contains('(')
        };
        let definition = before.iter().rfind(begins).copied().unwrap_or_default();
        // Compilers append to the name of a part.
        let name = place.function.split('.').next().unwrap_or_default();
        ensure!(
            definition.contains(&format!("{name}(")),
            "{file}:{} is in {definition}",
            place.line
        );
        let called = match places.get(number + 1) {
            Some(inlined) => line.contains(inlined.function) || line.contains("devm_"),
            None => ["devm_", "devres_", "dt_", "("]
                .iter()
                .any(|word| line.contains(word)),
        };
        ensure!(called, "{file}:{} is {line}", place.line);
    }
    Ok(())
}

fn are_refused(evidence: &Evidence) -> Result<()> {
    let said = evidence.text("refused.stderr")?;
    ensure!(
        said.contains("other/devres_test.ko is not used: it is of another build"),
        "the tracer said: {said}"
    );
    let report = evidence.text("refused.stdout")?;
    ensure!(!report.contains("] at "), "there are lines: {report}");
    // For the running kernel nothing of the module's is refused.
    let said = evidence.text("stacks.stderr")?;
    ensure!(!said.contains("is not used"), "the tracer said: {said}");
    evidence.succeeded("stacks")
}
