//! Modules that are gone before userspace could ask the kernel for their symbols.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, without_log};

pub(super) static SESSION: Session = Session {
    name: "modules",
    script: r#"
        load_test_module
        export scenarios
        trace_script failing '
            for attempt in 1 2 3 4 5; do
                ! insmod /devres_test_callback.ko fails=1 2>/dev/null
                echo unloaded-callback-clean >$scenarios/run
            done
        '
    "#,
    tests: &[Test {
        name: "functions_of_a_module_whose_init_fails_have_their_names",
        skipped: without_log,
        check: failing,
    }],
};

/// How often the module is loaded.
const LOADED: usize = 5;

fn failing(evidence: &Evidence) -> Result<()> {
    const MODULE: &str = "devres_test_callback";
    let recording = evidence.recording("failing")?;
    recording.ensure_whole()?;

    let additions: Vec<_> = recording
        .events
        .iter()
        .filter(|event| text(event, "/event") == "add")
        .filter(|event| text(event, "/device") == "devres-test-callback-host")
        .collect();
    ensure!(additions.len() == LOADED, "{} additions", additions.len());
    for addition in additions {
        let function = &addition["detail"]["function"];
        let named =
            text(function, "/name") == "guest_callback" && text(function, "/module") == MODULE;
        ensure!(named, "the action has no name: {addition}");
    }

    let unloaded: Vec<_> = recording
        .findings
        .iter()
        .filter(|finding| text(finding, "/rule") == "DR020")
        .collect();
    let fingerprint = format!("DR020/?/?/{MODULE}/guest_callback");
    ensure!(!unloaded.is_empty(), "there is no finding");
    for finding in unloaded {
        ensure!(
            text(finding, "/fingerprint") == fingerprint,
            "not {fingerprint}: {finding}"
        );
        let stack = finding
            .pointer("/resources/0/added/stack")
            .and_then(Value::as_array);
        let by_init = stack.into_iter().flatten().any(|frame| {
            let frame = frame.as_str().unwrap_or_default();
            frame.starts_with("guest_init+") && frame.ends_with("[devres_test_callback]")
        });
        ensure!(by_init, "the initialisation is not in the stack: {finding}");
    }
    Ok(())
}
