//! `devres-tracer check` in a stock kernel: what CI asks of it.

mod exercises;
pub(super) mod fail_probe;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Session, Test, evidence::Evidence, never, recording::text, without_log};
use exercises::{
    catches_growth, ensure_exercised, exercises_every_device, exercises_faux, exercises_lm75,
    exercises_pvpanic, gives_up_what_hangs, holds_a_file, stops_and_restores, without_faux_devices,
};

/// A function for the scripts.
macro_rules! check_function {
    () => {
        r#"
        # check NAME ARGUMENTS...: runs `devres-tracer check`, with KTAP in NAME.stdout and JSON in NAME.json.
        check() {
            check_name=$1
            shift
            run "$check_name" devres-tracer check --report ktap --report json="$check_name.json" "$@"
        }
    "#
    };
}
use check_function;

pub(super) static SESSION: Session = Session {
    name: "check",
    script: concat!(
        check_function!(),
        r#"
        # 5.10 has an ACPI driver for it, later kernels have a platform driver.
        directory=/sys/bus/acpi/devices/QEMU0001:00
        [ -e $directory/driver ] || directory=$(readlink -f $directory/physical_node)
        export device=${directory##*/}
        export driver=$(readlink -f $directory/driver)
        unbind='echo $device >$driver/unbind'

        cat >expected.toml <<END
[[expect]]
fingerprint = "DR001/platform/pvpanic-mmio"
reason = "the platform bus detaches too early up to 6.16"
END
        cat >ended.toml <<END
[[expect]]
fingerprint = "DR001/platform/pvpanic-mmio"
reason = "was to be mended by then"
until = 2020-12-31
END
        check plain --write-expectations written.toml --record plain.dvrt -- sh -c "$unbind"
        echo $device >$driver/bind
        check expected --expectations expected.toml -- sh -c "$unbind"
        echo $device >$driver/bind
        check ended --expectations ended.toml -- sh -c "$unbind"
        echo $device >$driver/bind
        check written --expectations written.toml -- sh -c "$unbind"
        echo $device >$driver/bind
        check idle --expectations expected.toml -- true
        check replayed plain.dvrt
        check propagated --propagate -- sh -c 'exit 7'
        check unpropagated -- sh -c "$unbind; exit 7"
        echo $device >$driver/bind
        check pvpanic --exercise ${driver##*/} --cycles 50
        [ -e $driver/$device ]
    "#
    ),
    tests: &[
        Test {
            name: "check_names_the_rule",
            skipped: without_log,
            check: names_the_rule,
        },
        Test {
            name: "check_expects_what_is_known",
            skipped: without_log,
            check: expects_what_is_known,
        },
        Test {
            name: "check_exercises_pvpanic",
            skipped: without_log,
            check: exercises_pvpanic,
        },
        Test {
            name: "check_passes_on_the_exit_code",
            skipped: without_log,
            check: passes_on_the_exit_code,
        },
    ],
};

pub(super) static EXERCISE: Session = Session {
    name: "exercise",
    script: concat!(
        check_function!(),
        r#"
        make_sensor
        check lm75 --exercise lm75 --cycles 200
        [ -e /sys/bus/i2c/drivers/lm75/$sensor ]
        check sensor --exercise i2c/$sensor --cycles 3 --driver lm75
        check module --exercise-module lm75 --cycles 5
        hwmon=$(echo /sys/bus/i2c/devices/$sensor/hwmon/hwmon*)
        check held --exercise lm75 --cycles 2 --hold /sys/bus/i2c/devices/$sensor/hwmon/${hwmon##*/}/temp1_input
        check every --exercise-all --bus i2c --bus virtio --cycles 2 --resume every.journal
        check resumed --exercise-all --bus i2c --bus virtio --cycles 2 --resume every.journal
        [ -e /sys/bus/i2c/drivers/lm75/$sensor ]

        devres-tracer check --exercise lm75 --cycles 1000000 --report json=stopped.json >stopped.stdout 2>stopped.stderr &
        tracer=$!
        sleep 8
        kill -TERM $tracer
        if wait $tracer; then echo 0 >stopped.exit; else echo $? >stopped.exit; fi
        ls /sys/bus/i2c/drivers/lm75 >stopped.bound

        echo 0x48 >$bus/delete_device
        rmmod lm75
        rmmod i2c-stub

        load_test_module
        export scenarios
        cat >growth.toml <<END
[limits]
growth-per-rebind = 0

[[assert]]
driver = "devres-test-growth-rebind"
same-stack-on-rebind = 3
nothing-left-after-unbind = true
END
        check growth --policy growth.toml -- sh -c 'echo growth-rebind >$scenarios/run'
        check steady --policy growth.toml -- sh -c 'echo growth-rebind-ok >$scenarios/run'
        check platform --exercise devres-test-platform --cycles 5
        echo 1 >/sys/module/devres_test/parameters/growing
        check growing --exercise devres-test-platform --cycles 5
        echo 0 >/sys/module/devres_test/parameters/growing
        check small --ring-size 4096 -- sh -c 'echo many 100000 >$scenarios/run'

        echo unwind-register >$scenarios/run
        echo 1 >/sys/module/devres_test/parameters/hanging
        check hanging --exercise-all --driver 'devres-test-*' --cycles 1 --timeout 5s --resume hanging.journal
        check hung --exercise-all --driver 'devres-test-*' --cycles 1 --timeout 5s --resume hanging.journal
        echo 0 >/sys/module/devres_test/parameters/hanging
        echo unwind-unregister >$scenarios/run

        # Whatever the console hangs on, and can be unbound.
        read -r consoles </sys/class/tty/console/active
        port=$(readlink -f /sys/class/tty/${consoles##* })
        while [ "$port" != / ] && [ ! -e "$port/driver/unbind" ]; do port=$(dirname "$port"); done
        echo "$port" >console.path
        [ "$port" = / ] || check console --exercise "$port" --cycles 1
    "#
    ),
    tests: &[
        Test {
            name: "check_exercises_lm75",
            skipped: without_log,
            check: exercises_lm75,
        },
        Test {
            name: "check_gives_up_a_device_that_hangs",
            skipped: without_log,
            check: gives_up_what_hangs,
        },
        Test {
            name: "check_holds_a_file",
            skipped: without_log,
            check: holds_a_file,
        },
        Test {
            name: "check_exercises_every_device",
            skipped: without_log,
            check: exercises_every_device,
        },
        Test {
            name: "check_stops_and_restores",
            skipped: without_log,
            check: stops_and_restores,
        },
        Test {
            name: "check_catches_growth",
            skipped: without_log,
            check: catches_growth,
        },
        Test {
            name: "check_is_inconclusive_after_loss",
            skipped: never,
            check: is_inconclusive_after_loss,
        },
        Test {
            name: "check_spares_the_console",
            skipped: never,
            check: spares_the_console,
        },
    ],
};

/// Its module's device is on the faux bus from 7.0 on, whose driver is the kernel's own.
pub(super) static FAUX: Session = Session {
    name: "faux",
    script: concat!(
        check_function!(),
        r"
        modprobe vgem
        ls /sys/bus/faux/devices >faux.devices
        check faux --exercise-module vgem --cycles 3
        rmmod vgem
    "
    ),
    tests: &[Test {
        name: "check_exercises_a_module_on_the_faux_bus",
        skipped: without_faux_devices,
        check: exercises_faux,
    }],
};

pub(super) static EXAMPLE: Session = Session {
    name: "example",
    script: concat!(
        r"
        cat >policy.toml <<'END OF FILE'
",
        include_str!("../../../../docs/ci/example/policy.toml"),
        r"
END OF FILE
        cat >in-guest.sh <<'END OF FILE'
",
        include_str!("../../../../docs/ci/example/in-guest.sh"),
        r"
END OF FILE
        mkdir reports
        [ ! -d $scenarios ] || rmmod devres_test
        export MODULE_PARAMETERS=platform=1
        run example sh in-guest.sh /devres_test.ko devres-test-platform reports
        [ -d $scenarios ]
    "
    ),
    tests: &[Test {
        name: "check_example_runs",
        skipped: without_log,
        check: example_runs,
    }],
};

/// Whether the platform bus detaches the PM domain too early.
fn detaches_early(evidence: &Evidence) -> bool {
    evidence.series() < (6, 17)
}

/// A check's results, once its exit code is as expected.
fn results(evidence: &Evidence, name: &str, exit_code: i32) -> Result<Value> {
    let code = evidence.exit_code(name)?;
    let ktap = evidence.text(&format!("{name}.stdout"))?;
    ensure!(
        code == exit_code,
        "{name} ended with {code} instead of {exit_code}:\n{ktap}{}",
        evidence.text(&format!("{name}.stderr"))?
    );
    let json = evidence.json_lines(&format!("{name}.json"))?;
    json.into_iter().next().context("there are no results")
}

/// The status and message of a test.
fn test<'a>(results: &'a Value, group: &str, name: &str) -> Result<(&'a str, &'a str)> {
    let groups = results["groups"].as_array();
    groups
        .into_iter()
        .flatten()
        .filter(|one| text(one, "/name") == group)
        .flat_map(|group| group["tests"].as_array().into_iter().flatten())
        .find(|test| text(test, "/name") == name)
        .map(|test| (text(test, "/status"), text(test, "/message")))
        .with_context(|| format!("there is no test {name:?} in {group:?}: {results}"))
}

/// Fails unless a test ended like this.
fn ensure_status(results: &Value, group: &str, name: &str, expected: &str) -> Result<()> {
    let (status, message) = test(results, group, name)?;
    ensure!(
        status == expected,
        "{group}: {name} {status} instead of {expected}: {message}"
    );
    Ok(())
}

fn names_the_rule(evidence: &Evidence) -> Result<()> {
    let early = detaches_early(evidence);
    let found = results(evidence, "plain", i32::from(early))?;
    let status = if early { "failed" } else { "passed" };
    ensure_status(&found, "platform/QEMU0001:00", "DR001", status)?;
    let ktap = evidence.text("plain.stdout")?;
    let line = if early {
        "    not ok 1 DR001"
    } else {
        "    ok 1 DR001"
    };
    ensure!(
        ktap.starts_with("KTAP version 1\n") && ktap.lines().any(|own| own == line),
        "the report does not say {line:?}:\n{ktap}"
    );
    let replayed = results(evidence, "replayed", i32::from(early))?;
    ensure_status(&replayed, "platform/QEMU0001:00", "DR001", status)
}

fn expects_what_is_known(evidence: &Evidence) -> Result<()> {
    const FINGERPRINT: &str = "DR001/platform/pvpanic-mmio";
    let early = detaches_early(evidence);
    let expected = results(evidence, "expected", i32::from(!early))?;
    let (status, message) = test(&expected, "expectations", FINGERPRINT)?;
    if early {
        ensure!(status == "passed", "{status}: {message}");
        ensure_status(&expected, "platform/QEMU0001:00", "DR001", "excused")?;
    } else {
        ensure!(
            status == "failed" && message.contains("unexpected pass"),
            "{status}: {message}"
        );
    }
    let ended = results(evidence, "ended", 1)?;
    if early {
        let (status, message) = test(&ended, "platform/QEMU0001:00", "DR001")?;
        ensure!(
            status == "failed" && message.contains("expired on 2020-12-31"),
            "{status}: {message}"
        );
    }
    results(evidence, "written", 0)?;
    let idle = results(evidence, "idle", 3)?;
    let (status, message) = test(&idle, "expectations", FINGERPRINT)?;
    ensure!(
        status == "skipped" && message.contains("not unbound"),
        "{status}: {message}"
    );
    ensure_status(&idle, "evidence", "something to judge", "inconclusive")
}

fn is_inconclusive_after_loss(evidence: &Evidence) -> Result<()> {
    let small = results(evidence, "small", 3)?;
    ensure!(text(&small, "/verdict") == "inconclusive");
    ensure_status(&small, "evidence", "nothing lost", "inconclusive")?;
    let passed = small["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|group| text(group, "/kind") == "device")
        .flat_map(|group| group["tests"].as_array().into_iter().flatten())
        .filter(|test| text(test, "/status") == "passed")
        .count();
    ensure!(
        passed == 0,
        "{passed} tests passed although events were lost"
    );
    let ktap = evidence.text("small.stdout")?;
    ensure!(
        ktap.contains("not ok 1 nothing lost # ERROR inconclusive: "),
        "{ktap}"
    );
    Ok(())
}

fn passes_on_the_exit_code(evidence: &Evidence) -> Result<()> {
    evidence.exited("propagated", 7)?;
    let early = detaches_early(evidence);
    let told = results(evidence, "unpropagated", i32::from(early))?;
    ensure!(
        told.pointer("/command/code").and_then(Value::as_u64) == Some(7),
        "{}",
        told["command"]
    );
    Ok(())
}

fn spares_the_console(evidence: &Evidence) -> Result<()> {
    let path = evidence.text("console.path")?;
    if path.trim() == "/" {
        // There is nothing that could be unbound.
        return Ok(());
    }
    evidence.exited("console", 4)?;
    let said = fs::read_to_string(evidence.path("console.stderr"))?;
    ensure!(said.contains("a console"), "{said}");
    Ok(())
}

fn example_runs(evidence: &Evidence) -> Result<()> {
    evidence.succeeded("example")?;
    let ktap = evidence.text("example.stdout")?;
    ensure!(ktap.starts_with("KTAP version 1\n"), "{ktap}");
    ensure!(
        evidence.text("reports/ktap.txt")? == ktap,
        "the report in the file is another one"
    );
    for (file, begin) in [
        ("junit.xml", "<?xml"),
        ("devres.sarif", "{"),
        ("results.json", "{"),
    ] {
        let text = evidence.text(&format!("reports/{file}"))?;
        ensure!(
            text.starts_with(begin),
            "{file} does not begin with {begin}"
        );
    }
    let results = evidence.json_lines("reports/results.json")?;
    let results = results.first().context("there are no results")?;
    ensure_exercised(results)?;
    ensure_status(
        results,
        "assertions",
        "devres-test-platform: same-stack-on-rebind",
        "passed",
    )
}
