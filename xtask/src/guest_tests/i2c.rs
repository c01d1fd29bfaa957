//! A sensor on a bus without hardware, the resources of which are released as a group.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, never, without_log};

pub(super) static SESSION: Session = Session {
    name: "i2c",
    script: r"
        modprobe i2c-stub chip_addr=0x48
        modprobe lm75
        name=$(grep -l 'SMBus stub' /sys/bus/i2c/devices/i2c-*/name)
        export bus=${name%/name}
        export device=${bus##*-}-0048
        export driver=/sys/bus/i2c/drivers/lm75
        trace_script lm75 '
            echo lm75 0x48 >$bus/new_device
            [ -e $driver/$device ]
            devres-tracer stacks --all --json --device $device >bound.json
            echo $device >$driver/unbind
            devres-tracer stacks --all --json --device $device >unbound.json
            echo $device >$driver/bind
            echo 0x48 >$bus/delete_device
        '
        rmmod lm75
        rmmod i2c-stub
    ",
    tests: &[
        Test {
            name: "i2c_sensor_is_clean",
            skipped: never,
            check: is_clean,
        },
        Test {
            name: "i2c_sensor_owns_nothing_after_unbind",
            skipped: never,
            check: owns_nothing_after_unbind,
        },
        Test {
            name: "i2c_sensor_gives_everything_back",
            skipped: without_log,
            check: gives_everything_back,
        },
    ],
};

fn is_clean(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("lm75")?;
    recording.ensure_nothing_wrong()?;
    recording.ensure_whole()?;
    recording.ensure_exited(0)
}

fn owns_nothing_after_unbind(evidence: &Evidence) -> Result<()> {
    let owned = |file: &str| -> Result<usize> {
        let devices = evidence.json_lines(file)?;
        let [device] = devices.as_slice() else {
            anyhow::bail!("{file} must have one device: {devices:?}");
        };
        Ok(device["stack"].as_array().map_or(0, Vec::len))
    };
    let (bound, unbound) = (owned("bound.json")?, owned("unbound.json")?);
    ensure!(bound >= 3, "the bound device owns only {bound} resources");
    ensure!(unbound == 0, "the unbound device owns {unbound} resources");
    Ok(())
}

fn gives_everything_back(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("lm75")?;
    let mut owned = BTreeMap::new();
    let (mut added, mut released) = (0, 0);
    for event in recording.node_events()? {
        if !event.device.ends_with("-0048") {
            continue;
        }
        match event.operation {
            "ADD" => {
                added += 1;
                let earlier = owned.insert(event.node, event.name.clone());
                ensure!(earlier.is_none(), "added twice: {event:?}");
            }
            operation => {
                released += usize::from(operation == "REL");
                // The closing marker of a group goes without an event.
                if owned.remove(&event.node).as_deref() == Some("grp<") {
                    owned.retain(|_, name| name != "grp>");
                }
            }
        }
    }
    ensure!(owned.is_empty(), "never given back: {owned:?}");
    ensure!(
        added >= 10 && released >= 6,
        "too few events: {added} added, {released} released"
    );
    let unbinds = recording
        .events
        .iter()
        .filter(|event| {
            text(event, "/event") == "enter"
                && text(event, "/detail/function") == "device_release_driver_internal"
                && text(event, "/device").ends_with("-0048")
        })
        .count();
    ensure!(unbinds >= 2, "only {unbinds} unbinds were seen");
    Ok(())
}
