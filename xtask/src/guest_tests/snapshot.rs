//! What the tracer reads from the kernel's memory, against what the test module reads under the kernel's locks.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::recording::{address, operation, text};
use super::{Session, Test, never, without_log};

const DEVICE: &str = "devres-test.0";

pub(super) static SESSION: Session = Session {
    name: "snapshot",
    script: r"
        load_test_module
        export scenarios
        # Once more if a device came or went meanwhile.
        for attempt in 1 2 3; do
            cat $scenarios/stacks >kernel
            run stacks devres-tracer stacks --all --json
            cat $scenarios/stacks >kernel-after
            if cmp -s kernel kernel-after; then
                break
            fi
        done
        trace_script added '
            echo platform-unregister >$scenarios/run
            echo platform-register >$scenarios/run
            echo 5 >/sys/bus/platform/devices/devres-test.0/grow
            echo 2 >/sys/bus/platform/devices/devres-test.0/shrink
            cat $scenarios/stacks >added.kernel
            devres-tracer stacks --json --device devres-test.0 >added.stacks
        '
    ",
    tests: &[
        Test {
            name: "snapshot_is_what_the_kernel_has",
            skipped: never,
            check: is_what_the_kernel_has,
        },
        Test {
            name: "additions_without_releases_are_what_the_kernel_has",
            skipped: without_log,
            check: additions_are_what_the_kernel_has,
        },
        Test {
            name: "snapshot_names_the_variable_that_an_action_is_about",
            skipped: never,
            check: variables_are_named,
        },
    ],
};

/// A node as both show it: what one of them leaves out is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    address: u64,
    name: Option<String>,
    size: Option<u64>,
    release: Option<String>,
}

/// The nodes of each device that has some, oldest first, by the device's address and name.
type Stacks = BTreeMap<(u64, String), Vec<Node>>;

fn is_what_the_kernel_has(evidence: &Evidence) -> Result<()> {
    evidence.succeeded("stacks")?;
    let kernel = kernel_stacks(&evidence.text("kernel")?)?;
    ensure!(
        kernel_stacks(&evidence.text("kernel-after")?)? == kernel,
        "the system never stood still"
    );
    let ours = tracer_stacks(&evidence.json_lines("stacks.stdout")?)?;
    let nodes: usize = kernel.values().map(Vec::len).sum();
    ensure!(
        kernel.len() >= 10 && nodes >= 50,
        "the kernel has only {nodes} nodes on {} devices",
        kernel.len()
    );
    compare(&kernel, &ours)?;
    snapshot_of_the_test_device(evidence)
}

/// The second snapshot was taken while a trace was running.
fn snapshot_of_the_test_device(evidence: &Evidence) -> Result<()> {
    let mut kernel = kernel_stacks(&evidence.text("added.kernel")?)?;
    kernel.retain(|(_, name), _| name == DEVICE);
    compare(
        &kernel,
        &tracer_stacks(&evidence.json_lines("added.stacks")?)?,
    )
}

fn variables_are_named(evidence: &Evidence) -> Result<()> {
    let devices = evidence.json_lines("added.stacks")?;
    let entries = devices
        .iter()
        .filter_map(|device| device["stack"].as_array());
    let grown = entries
        .flatten()
        .filter(|entry| text(entry, "/function") == "undo_growth [devres_test]")
        .filter(|entry| text(entry, "/data") == "grown [devres_test]")
        .count();
    ensure!(grown == 3, "{grown} of 3 actions are about it: {devices:?}");
    Ok(())
}

fn additions_are_what_the_kernel_has(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("added")?;
    recording.ensure_whole()?;
    let kernel = kernel_stacks(&evidence.text("added.kernel")?)?;
    let ((device, _), expected) = kernel
        .iter()
        .find(|((_, name), _)| name == DEVICE)
        .context("the kernel has no test device")?;
    let expected: Vec<u64> = expected.iter().map(|node| node.address).collect();
    // A device's address can be that of the one before it.
    let begin = recording
        .events
        .iter()
        .rposition(|event| {
            text(event, "/detail/function") == "device_initialize"
                && address(event, "/address").ok() == Some(*device)
        })
        .context("the test device's beginning was not seen")?;
    let own = recording
        .events
        .get(begin..)
        .unwrap_or_default()
        .iter()
        .filter(|event| address(event, "/address").ok() == Some(*device));
    let mut owned: Vec<u64> = Vec::new();
    let mut replaced = None;
    for event in own {
        let node = || address(event, "/detail/node");
        match operation(event) {
            Some("ADD") => owned.push(node()?),
            Some("REPLACE") => {
                let old = node()?;
                replaced = owned.iter().position(|known| *known == old);
                ensure!(replaced.is_some(), "an unknown node is replaced: {event}");
            }
            Some(_) => {
                let gone = node()?;
                let before = owned.len();
                owned.retain(|known| *known != gone);
                ensure!(before == owned.len() + 1, "an unknown node goes: {event}");
            }
            None if text(event, "/event") == "leave"
                && text(event, "/detail/function") == "devm_krealloc" =>
            {
                if let Some(place) = replaced.take().and_then(|index| owned.get_mut(index)) {
                    *place = node()?;
                }
            }
            None => {}
        }
    }
    ensure!(
        owned == expected,
        "the trace leaves {owned:x?}, the kernel has {expected:x?}"
    );
    Ok(())
}

/// Reads the test module's list.
fn kernel_stacks(text: &str) -> Result<Stacks> {
    let mut stacks = Stacks::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [device, device_name, node, name, size, release] = fields[..] else {
            bail!("the test module's list has the line {line:?}");
        };
        let hexadecimal = |text: &str| {
            u64::from_str_radix(text, 16).with_context(|| format!("{text:?} is no address"))
        };
        let recorded = |text: &str| (text != "-").then(|| text.to_owned());
        let node = Node {
            address: hexadecimal(node)?,
            name: recorded(name),
            size: recorded(size)
                .map(|size| size.parse())
                .transpose()
                .with_context(|| format!("{size:?} is no size"))?,
            // Of an action the tracer names what it calls.
            release: (release != "devm_action_release").then(|| release.to_owned()),
        };
        stacks
            .entry((hexadecimal(device)?, device_name.to_owned()))
            .or_default()
            .push(node);
    }
    Ok(stacks)
}

/// Reads the JSON lines of `devres-tracer stacks`.
fn tracer_stacks(devices: &[Value]) -> Result<Stacks> {
    let mut stacks = Stacks::new();
    for device in devices {
        ensure!(
            device["doubts"].as_array().is_some_and(Vec::is_empty),
            "not certain: {device}"
        );
        let nodes: Vec<Node> = device["stack"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| {
                Ok(Node {
                    address: address(entry, "/node")?,
                    name: entry["name"].as_str().map(str::to_owned),
                    size: entry["size"].as_u64(),
                    release: entry["function"].as_str().map(str::to_owned),
                })
            })
            .collect::<Result<_>>()?;
        if !nodes.is_empty() {
            let key = (
                address(device, "/address")?,
                text(device, "/device").to_owned(),
            );
            ensure!(stacks.insert(key, nodes).is_none(), "told twice: {device}");
        }
    }
    Ok(stacks)
}

/// Fails with the first device on which the two differ.
fn compare(kernel: &Stacks, ours: &Stacks) -> Result<()> {
    for (device, expected) in kernel {
        let nodes = ours
            .get(device)
            .with_context(|| format!("{device:x?} is missing, which has {expected:x?}"))?;
        let same = nodes.len() == expected.len()
            && expected.iter().zip(nodes).all(|(expected, node)| {
                expected.address == node.address
                    && (expected.name.is_none() || expected.name == node.name)
                    && (expected.size.is_none() || expected.size == node.size)
                    && (expected.release.is_none() || expected.release == node.release)
            });
        ensure!(
            same,
            "{device:x?} differs:\nthe kernel has {expected:#x?}\nthe tracer shows {nodes:#x?}"
        );
    }
    let extra: Vec<_> = ours
        .keys()
        .filter(|device| !kernel.contains_key(device))
        .collect();
    ensure!(
        extra.is_empty(),
        "the kernel has nothing on {extra:x?}, the tracer does"
    );
    Ok(())
}
