//! A release that does not end: reported while it hangs, and at the end of a recording that stops before it ends.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::{Session, Test, without_log};

pub(super) static SESSION: Session = Session {
    name: "hanging",
    script: r#"
        load_test_module
        # await FILE TEXT: waits until the file has the text.
        await() {
            tries=0
            until grep -qF -- "$2" $1 2>/dev/null; do
                tries=$((tries + 1))
                [ $tries -lt 300 ] || { echo "no '$2' in $1" >&2; return 1; }
                sleep 0.2
            done
        }
        # One trace ends while the release still hangs, the other sees all of it.
        touch hangs
        devres-tracer trace --json --output cut.jsonl -- sh -c 'while [ -e hangs ]; do sleep 0.2; done' >/dev/null 2>&1 &
        cut=$!
        await cut.jsonl '"type":"source"'
        run whole devres-tracer trace --json --output whole.jsonl -- sh -c "echo slow-release 12000 >$scenarios/run" &
        whole=$!
        await whole.jsonl '"rule":"DR019"'
        grep -F '"rule":"DR019"' whole.jsonl >meanwhile.jsonl
        [ ! -e whole.exit ]
        sleep 1
        rm hangs
        wait $cut || :
        wait $whole
    "#,
    tests: &[
        Test {
            name: "a_release_that_hangs_is_told_while_it_hangs",
            skipped: without_log,
            check: meanwhile,
        },
        Test {
            name: "a_release_that_hangs_is_told_at_the_end_of_a_recording",
            skipped: without_log,
            check: cut,
        },
    ],
};

/// The findings of DR019 in a recording, in the order in which they were written.
fn slow_releases(evidence: &Evidence, name: &str) -> Result<Vec<Value>> {
    let mut lines = evidence.json_lines(&format!("{name}.jsonl"))?;
    lines.retain(|line| line["type"] == "finding" && line["rule"] == "DR019");
    Ok(lines)
}

/// What a finding says happened.
fn summary(finding: &Value) -> Result<&str> {
    finding["summary"]
        .as_str()
        .context("a finding without a summary")
}

fn meanwhile(evidence: &Evidence) -> Result<()> {
    let told = slow_releases(evidence, "meanwhile")?;
    let first = told
        .first()
        .context("nothing was told while the release hung")?;
    ensure!(summary(first)?.contains("has not ended"), "{first}");
    let all = slow_releases(evidence, "whole")?;
    ensure!(
        !summary(all.last().context("no finding at the end")?)?.contains("has not ended"),
        "{all:?}"
    );
    Ok(())
}

fn cut(evidence: &Evidence) -> Result<()> {
    let told = slow_releases(evidence, "cut")?;
    let last = told
        .last()
        .context("nothing was told at the end of the recording")?;
    ensure!(summary(last)?.contains("has not ended"), "{last}");
    Ok(())
}
