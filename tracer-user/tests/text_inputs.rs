//! Logs and captures that were found in the wild or recorded on stock kernels, where they are at hand.
#[path = "support/text.rs"]
mod support;

use std::{
    fs::{self, File},
    io::{self, BufReader, Write as _},
    path::PathBuf,
};

use devres_tracer::{
    engine::Verdict,
    evidence::{Addresses, NodeEvents},
    finding::{Certainty, Severity},
    rules::RuleSet,
    source::text::{self, Import, ImportError},
};
use support::judge_by;

/// The input with this name beside the workspace; `None` if there is none.
fn input(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/inputs")
        .join(name);
    // A worktree lies one directory deeper.
    let deeper = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/inputs")
        .join(name);
    let found = [path, deeper].into_iter().find(|path| path.exists());
    if found.is_none() {
        // Past the capture of tests' output, so that it is seen.
        let told = io::stderr().write_all(format!("SKIPPED: no input {name}\n").as_bytes());
        assert!(told.is_ok());
    }
    found
}

fn read(name: &str) -> Option<Result<Import, ImportError>> {
    let path = input(name)?;
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(text::read(BufReader::new(file)))
}

/// The rule for which the captures have all that it needs.
fn only_dr001() -> RuleSet {
    RuleSet::all()
        .only(&["DR001"])
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn captures_of_stock_kernels_are_read_whole_and_judged() {
    for (name, other_lines, devices, error) in [
        ("5.10-i2c-lm75", 2, 6, false),
        ("6.1-i2c-lm75", 2, 6, false),
        ("6.1-pvpanic", 0, 3, true),
        ("6.1-vgem", 0, 3, false),
        ("6.12-i2c-lm75", 2, 6, false),
        ("6.12-pvpanic", 0, 3, true),
        ("6.12-vgem", 0, 3, false),
        ("7.3-i2c-lm75", 2, 6, false),
        ("7.3-pvpanic", 0, 3, false),
        ("7.3-vgem", 0, 3, false),
    ] {
        let Some(import) = read(&format!("ftrace/{name}.txt")) else {
            continue;
        };
        let import = import.unwrap();
        assert_eq!(import.statistics().other_lines, other_lines, "{name}");
        let coverage = import.coverage();
        assert_eq!(coverage.node_addresses, Addresses::Real, "{name}");
        assert_eq!(coverage.device_addresses, Addresses::Real, "{name}");
        let concluded = coverage.nodes == NodeEvents::Concluded;
        assert_eq!(concluded, name.starts_with("5.10"), "{name}");

        let outcome = judge_by(&import, RuleSet::all());
        assert_eq!(outcome.desync_details, Vec::<String>::new(), "{name}");
        assert_eq!((outcome.lost, outcome.devices), (0, devices), "{name}");
        let found: Vec<_> = outcome
            .findings
            .iter()
            .map(|finding| {
                (
                    finding.rule,
                    finding.severity,
                    finding.certainty,
                    &*finding.device,
                )
            })
            .collect();
        let expected = (
            "DR001",
            Severity::Error,
            Certainty::Confirmed,
            "QEMU0001:00",
        );
        let expected = if error { vec![expected] } else { Vec::new() };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn logs_from_mails_are_read_whole() {
    use Addresses::{Absent, Hashed};
    for (name, events, other_lines, nodes, times, devices) in [
        ("01-component-i915-snd-hda-2021", 7, 5, Hashed, true, 2),
        ("05-gpio-sim-action-2023-03-08", 16, 0, Hashed, true, 1),
        ("07-boot-desktop-2023-03-10", 58, 0, Hashed, true, 10),
        ("08-spi-geni-probe-defer-2024", 11, 0, Absent, true, 1),
        ("10-mlxreg-hotplug-irq-2019", 15, 11, Absent, false, 1),
        ("12-nvme-hwmon-wrong-device-2020", 2, 2, Hashed, false, 1),
        ("13-ftrace-stm32-counter-null-2021", 46, 0, Hashed, true, 2),
    ] {
        let Some(import) = read(&format!("kernel-log/{name}.txt")) else {
            continue;
        };
        let import = import.unwrap();
        let statistics = import.statistics();
        assert_eq!(
            statistics.kernel_log + statistics.tracepoint,
            events,
            "{name}"
        );
        assert_eq!(
            statistics.event_lines,
            events + statistics.messages,
            "{name}"
        );
        assert_eq!(statistics.other_lines, other_lines, "{name}");
        assert_eq!(import.coverage().node_addresses, nodes, "{name}");
        assert_eq!(import.coverage().device_addresses, Absent, "{name}");
        assert_eq!(import.coverage().times, times, "{name}");
        let outcome = judge_by(&import, only_dr001());
        assert_eq!(outcome.devices, devices, "{name}");
        assert_eq!((outcome.desyncs, outcome.findings.len()), (0, 0), "{name}");
        assert_ne!(outcome.undecided, [], "{name}");
    }
}

/// What every rule together finds in a log: severity, certainty, fingerprint and how often.
fn found(name: &str) -> Option<Vec<(Severity, Certainty, String, u64)>> {
    let import = read(&format!("kernel-log/{name}.txt"))?;
    let import = import.unwrap_or_else(|error| panic!("{name}: {error}"));
    let outcome = judge_by(&import, RuleSet::all());
    assert_eq!(outcome.desync_details, Vec::<String>::new(), "{name}");
    let findings = outcome.findings.into_iter().map(|finding| {
        (
            finding.severity,
            finding.certainty,
            finding.fingerprint,
            finding.count,
        )
    });
    Some(findings.collect())
}

#[test]
fn logs_from_mails_get_their_verdicts() {
    use Certainty::{Confirmed, Likely};
    use Severity::{Error, Info, Warn};
    let finding = |severity, certainty, fingerprint: &str, count| {
        (severity, certainty, fingerprint.to_owned(), count)
    };
    for (name, expected) in [
        (
            "01-component-i915-snd-hda-2021",
            vec![finding(
                Error,
                Likely,
                "DR003/?/snd_hda_intel/pcim_iomap_release",
                1,
            )],
        ),
        ("05-gpio-sim-action-2023-03-08", vec![]),
        ("07-boot-desktop-2023-03-10", vec![]),
        ("08-spi-geni-probe-defer-2024", vec![]),
        (
            "10-mlxreg-hotplug-irq-2019",
            vec![finding(
                Error,
                Likely,
                "DR013/?/?/mlxreg_hotplug_work_handler",
                1,
            )],
        ),
        (
            "12-nvme-hwmon-wrong-device-2020",
            vec![
                finding(Info, Likely, "DR011/nvme-fabrics/?/devm_kzalloc_release", 1),
                finding(Warn, Likely, "DR011/nvme-fabrics/?/devm_hwmon_release", 1),
            ],
        ),
        (
            "13-ftrace-stm32-counter-null-2021",
            vec![finding(
                Info,
                Confirmed,
                "DR011/?/?/devm_kzalloc_release",
                44,
            )],
        ),
        (
            "15-resources-present-before-probing",
            [
                "pci/?/0000:00:00.2",
                "platform/?/thinkpad_acpi",
                "spi/?/spi0.0",
                "platform/?/serial8250",
                "mdio_bus/?/4a101000.mdio:00",
                "pci/?/0000:23:00.1",
                "pci/?/0000:a2:00.1",
            ]
            .into_iter()
            .map(|device| finding(Error, Confirmed, &format!("DR007/{device}"), 1))
            .collect(),
        ),
        (
            "16-warn-drivers-base-devres",
            [
                "DR016/?/?/devm_kfree/devm_drm_panel_bridge_release",
                "DR005/?/?/not-found/devres_release_group",
                "DR016/?/?/devm_kfree/cw_bat_remove",
                "DR016/?/?/devm_kfree/ice_free_hw_tbls",
                "DR016/?/?/devm_kfree",
                "DR005/?/?/not-found/devres_release_group/component_unbind",
            ]
            .into_iter()
            .map(|fingerprint| {
                // Of this one nothing is left but its registers and its stack.
                let bare = fingerprint.ends_with("component_unbind");
                let certainty = if bare { Likely } else { Confirmed };
                finding(Warn, certainty, fingerprint, 1)
            })
            .collect(),
        ),
    ] {
        if let Some(found) = found(name) {
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// Whatever is cut off a capture, or missing in it: nothing else is accused, and what shows a culprit is not
/// called clean where the rest of it is missing.
#[test]
fn captures_that_are_cut_are_not_taken_for_whole_ones() {
    for (name, culprit) in [
        ("5.10-i2c-lm75", false),
        ("6.1-i2c-lm75", false),
        ("6.1-pvpanic", true),
        ("6.1-vgem", false),
        ("6.12-pvpanic", true),
        ("7.3-i2c-lm75", false),
        ("7.3-pvpanic", false),
        ("7.3-vgem", false),
    ] {
        let Some(path) = input(&format!("ftrace/{name}.txt")) else {
            continue;
        };
        let whole = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        // Of the innocent a sample does.
        let step = if culprit { 1 } else { 7 };
        for at in (1..lines.len()).step_by(step) {
            for (what, part) in [("begin", &lines[at..]), ("end", &lines[..at])] {
                let Ok(import) = text::read(part.concat().as_bytes()) else {
                    continue;
                };
                let outcome = judge_by(&import, RuleSet::all());
                assert_eq!(outcome.desync_details, Vec::<String>::new(), "{name} {at}");
                let accused: Vec<_> = outcome
                    .findings
                    .iter()
                    .filter(|finding| finding.severity > Severity::Info)
                    .map(|finding| finding.rule)
                    .filter(|rule| !culprit || *rule != "DR001")
                    .collect();
                assert_eq!(accused, Vec::<&str>::new(), "{name}: the {what} at {at}");
                let verdict = judge_by(&import, only_dr001()).verdict(Severity::Error);
                assert!(
                    !culprit || verdict != Verdict::Clean,
                    "{name}: the {what} at {at}"
                );
            }
        }
    }
}

#[test]
fn every_input_is_listed_here() {
    let source = include_str!("text_inputs.rs");
    for directory in ["ftrace", "kernel-log"] {
        let Some(directory) = input(directory) else {
            continue;
        };
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            assert!(source.contains(stem), "{stem} is tested nowhere");
        }
    }
}
