//! `check --exercise DRIVER --fail-probe`: probes that fail at each of their managed acquisitions in turn. No stock kernel has fault
//! injection or lets eBPF replace what a function returns, so that is by the module.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{check_function, ensure_status, exercises::ensure_exercised, results, test};
use crate::guest_tests::{Session, Test, evidence::Evidence, without_log};

pub(in crate::guest_tests) static SESSION: Session = Session {
    name: "fail-probe",
    script: concat!(
        check_function!(),
        r#"
        make_sensor
        # It is not installed for this kernel, and so can't be loaded by its name.
        check unable --exercise lm75 --fail-probe
        check without-faults --exercise lm75 --fail-probe=fail-nth
        check without-override --exercise lm75 --fail-probe=bpf

        insmod /devres_fail.ko
        parameters=/sys/module/devres_fail/parameters
        # What is armed for another device, or in another process, concerns no one.
        echo 1/$sensor/lm75 >$parameters/arm
        sh -c "echo $sensor >/sys/bus/i2c/drivers/lm75/unbind; echo $sensor >/sys/bus/i2c/drivers/lm75/bind"
        echo 1/0-0001/lm75 >$parameters/arm
        echo $sensor >/sys/bus/i2c/drivers/lm75/unbind
        echo $sensor >/sys/bus/i2c/drivers/lm75/bind
        cat $parameters/result >spared

        check lm75 --exercise lm75 --fail-probe --report junit=lm75.xml
        [ -e /sys/bus/i2c/drivers/lm75/$sensor ]
        echo 0x48 >$bus/delete_device

        load_test_module
        # Whatever an earlier session had it do at its next binding.
        echo devres-test.0 >/sys/bus/platform/drivers/devres-test-platform/unbind
        echo devres-test.0 >/sys/bus/platform/drivers/devres-test-platform/bind
        check platform --exercise devres-test-platform --fail-probe=module
        echo unwind-register >$scenarios/run
        check wrong --exercise /sys/bus/platform/devices/devres-test-unwind --fail-probe
        check right --exercise /sys/bus/platform/devices/devres-test-unwind-ok --fail-probe
        echo unwind-unregister >$scenarios/run
        cat $parameters/result >disarmed
        rmmod devres_fail
        rmmod lm75
        rmmod i2c-stub
    "#
    ),
    tests: &[
        Test {
            name: "check_fails_the_probe_of_lm75",
            skipped: without_log,
            check: fails_lm75,
        },
        Test {
            name: "check_fails_every_kind_of_acquisition",
            skipped: without_log,
            check: fails_every_kind,
        },
        Test {
            name: "check_finds_a_wrong_unwinding",
            skipped: without_log,
            check: finds_a_wrong_unwinding,
        },
        Test {
            name: "check_says_where_no_probe_can_be_made_to_fail",
            skipped: without_log,
            check: says_that_it_is_unable,
        },
    ],
};

const NAME: &str = "failed probes";

/// What the report says of each acquisition that was made to fail.
fn lines(results: &Value) -> Vec<&str> {
    let groups = results["groups"].as_array().into_iter().flatten();
    groups
        .flat_map(|group| group["tests"].as_array().into_iter().flatten())
        .filter(|test| test["name"] == NAME)
        .flat_map(|test| test["lines"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect()
}

fn fails_lm75(evidence: &Evidence) -> Result<()> {
    let spared = evidence.text("spared")?;
    ensure!(spared == "armed\n", "it was not spared: {spared}");
    let found = results(evidence, "lm75", 0)?;
    ensure_exercised(&found)?;
    let (status, message) = test(&found, "exercise", NAME)?;
    ensure!(status == "noted", "{status}: {message}");
    let lines = lines(&found);
    let failed = |function: &str| {
        lines.iter().any(|line| {
            line.contains(&format!("{function} in lm75_"))
                && line.contains("[lm75]: the probe failed with -ENOMEM")
        })
    };
    ensure!(
        failed("devm_kmalloc") && failed("devm_hwmon_device_register_with_info"),
        "{lines:#?}"
    );
    // The bus releases them, as a group.
    let none = |line: &&str| line.ends_with(", 0 resources were released");
    ensure!(lines.last().is_some_and(|last| !none(last)), "{lines:#?}");
    for report in ["lm75.stdout", "lm75.xml"] {
        let text = evidence.text(report)?;
        ensure!(
            text.contains("acquisition 1, ") && text.contains("by the module devres_fail"),
            "{report} does not tell:\n{text}"
        );
    }
    Ok(())
}

fn fails_every_kind(evidence: &Evidence) -> Result<()> {
    let found = results(evidence, "platform", 0)?;
    ensure_exercised(&found)?;
    let lines = lines(&found);
    for function in [
        "devm_kmalloc",
        // devm_kstrdup() in older kernels, devm_kmemdup() in newer ones.
        "devm_k",
        "devm_kasprintf",
        "devm_get_free_pages",
        "__devm_alloc_percpu",
        "devm_add_action",
        "devm_request_threaded_irq",
    ] {
        ensure!(
            lines.iter().any(|line| line.contains(function)),
            "{function} was not made to fail: {lines:#?}"
        );
    }
    Ok(())
}

fn finds_a_wrong_unwinding(evidence: &Evidence) -> Result<()> {
    let wrong = results(evidence, "wrong", 1)?;
    ensure_exercised(&wrong)?;
    ensure_status(&wrong, "platform/devres-test-unwind", "DR013", "failed")?;
    let right = results(evidence, "right", 0)?;
    ensure_exercised(&right)?;
    ensure_status(&right, "platform/devres-test-unwind-ok", "DR013", "passed")?;
    let disarmed = evidence.text("disarmed")?;
    ensure!(disarmed == "idle\n", "{disarmed}");
    Ok(())
}

fn says_that_it_is_unable(evidence: &Evidence) -> Result<()> {
    let unable = results(evidence, "unable", 3)?;
    ensure_exercised(&unable)?;
    let (status, message) = test(&unable, "exercise", NAME)?;
    ensure!(
        status == "inconclusive"
            && message.contains("CONFIG_FAULT_INJECTION")
            && message.contains("CONFIG_BPF_KPROBE_OVERRIDE")
            && message.contains("the module devres_fail is not loaded"),
        "{status}: {message}"
    );
    for (run, reason) in [
        ("without-faults", "CONFIG_FAULT_INJECTION"),
        ("without-override", "CONFIG_BPF_KPROBE_OVERRIDE"),
    ] {
        let found = results(evidence, run, 3)?;
        ensure_exercised(&found)?;
        let (status, message) = test(&found, "exercise", NAME)?;
        ensure!(
            status == "inconclusive"
                && message.contains(reason)
                && !message.contains("devres_fail"),
            "{run}: {status}: {message}"
        );
    }
    Ok(())
}
