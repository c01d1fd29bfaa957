//! The tracer on ARM and RISC-V: whether everything can be traced there, and the real-time clock of QEMU's machine: on ARM
//! a device on the bus amba, on RISC-V a platform device. Neither has a PM domain. 32-bit ARM is traced by the kernel alone.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::recording::{Recording, operation, text};
use super::{Session, Test, never};

pub(super) static ARM64: Session = Session {
    name: "arm64",
    script: r"
        run doctor devres-tracer doctor
        run stacks devres-tracer stacks --json --device 9010000.pl031
        trace_script rebind '
            echo 9010000.pl031 >/sys/bus/amba/drivers/rtc-pl031/unbind
            echo 9010000.pl031 >/sys/bus/amba/drivers/rtc-pl031/bind
        '
    ",
    tests: &[
        Test {
            name: "arm64_is_traced_completely",
            skipped: never,
            check: everything_is_traced,
        },
        Test {
            name: "arm64_snapshot_has_the_clock",
            skipped: never,
            check: the_clock_owns_resources,
        },
        Test {
            name: "arm64_amba_order_is_seen",
            skipped: never,
            check: order_is_seen,
        },
    ],
};

pub(super) static RISCV64: Session = Session {
    name: "riscv64",
    script: r"
        run interpreted devres-tracer doctor
        echo 1 >/proc/sys/net/core/bpf_jit_enable
        run doctor devres-tracer doctor
        run stacks devres-tracer stacks --json --device 101000.rtc
        trace_script rebind '
            echo 101000.rtc >/sys/bus/platform/drivers/goldfish_rtc/unbind
            echo 101000.rtc >/sys/bus/platform/drivers/goldfish_rtc/bind
        '
    ",
    tests: &[
        Test {
            name: "riscv64_is_traced_completely",
            skipped: never,
            check: everything_is_traced,
        },
        Test {
            name: "riscv64_says_how_to_switch_the_compiler_on",
            skipped: never,
            check: compiler_is_missed,
        },
        Test {
            name: "riscv64_snapshot_has_the_clock",
            skipped: never,
            check: the_clock_owns_resources,
        },
        Test {
            name: "riscv64_platform_order_is_seen",
            skipped: never,
            check: order_is_seen,
        },
    ],
};

pub(super) static ARMHF: Session = Session {
    name: "armhf",
    script: r"
        run doctor devres-tracer doctor
        run probes devres-tracer trace --for 1s
        trace_script rebind '
            echo 9010000.pl031 >/sys/bus/amba/drivers/rtc-pl031/unbind
            echo 9010000.pl031 >/sys/bus/amba/drivers/rtc-pl031/bind
        ' --via tracefs
    ",
    tests: &[
        Test {
            name: "armhf_is_traced_by_the_kernel",
            skipped: never,
            check: tracefs_is_proposed,
        },
        Test {
            name: "armhf_amba_order_is_seen",
            skipped: never,
            check: order_is_seen_without_types,
        },
    ],
};

/// The clocks, with driver and bus.
const CLOCKS: [(&str, &str, &str); 2] = [
    ("9010000.pl031", "rtc-pl031", "amba"),
    ("101000.rtc", "goldfish_rtc", "platform"),
];

fn everything_is_traced(evidence: &Evidence) -> Result<()> {
    evidence.exited("doctor", 0)
}

/// There are no probes: whoever asks for them is told what there is.
fn tracefs_is_proposed(evidence: &Evidence) -> Result<()> {
    evidence.exited("probes", 4)?;
    for said in ["probes.stderr", "doctor.stdout"] {
        let text = evidence.text(said)?;
        ensure!(text.contains("--via tracefs"), "{said}: {text}");
    }
    Ok(())
}

fn compiler_is_missed(evidence: &Evidence) -> Result<()> {
    let said = evidence.text("interpreted.stdout")?;
    ensure!(said.contains("sysctl net.core.bpf_jit_enable=1"), "{said}");
    Ok(())
}

fn the_clock_owns_resources(evidence: &Evidence) -> Result<()> {
    evidence.succeeded("stacks")?;
    let devices = evidence.json_lines("stacks.stdout")?;
    let [device] = devices.as_slice() else {
        anyhow::bail!("there must be one device: {devices:?}");
    };
    let found = ["/device", "/driver", "/bus"].map(|member| text(device, member));
    ensure!(
        CLOCKS
            .iter()
            .any(|&(name, driver, bus)| found == [name, driver, bus]),
        "not the clock: {device}"
    );
    let owned = device["stack"].as_array().map_or(0, Vec::len);
    ensure!(owned >= 4, "the clock owns only {owned} resources");
    Ok(())
}

/// Before 6.18 the bus detaches the PM domain before the resources are released. Without a domain that does no harm,
/// and is no finding.
fn order_is_seen(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("rebind")?;
    recording.ensure_nothing_wrong()?;
    recording.ensure_whole()?;
    recording.ensure_exited(0)?;
    is_in_order(evidence, &recording)
}

/// Debian's kernel for 32-bit ARM has no BTF, so that nobody knows whether there was a PM domain.
fn order_is_seen_without_types(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("rebind")?;
    recording.ensure_nothing_wrong()?;
    recording.ensure_nothing_missing()?;
    recording.ensure_exited(3)?;
    ensure!(recording.is_undecided("DR001"), "DR001 is decided");
    is_in_order(evidence, &recording)
}

fn is_in_order(evidence: &Evidence, recording: &Recording) -> Result<()> {
    let is_clock = |name| CLOCKS.iter().any(|(clock, ..)| *clock == name);
    let position = |wanted: &dyn Fn(&Value) -> bool| {
        recording
            .events
            .iter()
            .position(|event| is_clock(text(event, "/device")) && wanted(event))
    };
    let detach = position(&|event| {
        text(event, "/event") == "enter"
            && text(event, "/detail/function") == "dev_pm_domain_detach"
    });
    let release = position(&|event| operation(event) == Some("REL"));
    let (Some(detach), Some(release)) = (detach, release) else {
        anyhow::bail!("detach or release were not seen: {detach:?}, {release:?}");
    };
    let detached_first = detach < release;
    ensure!(
        detached_first == (evidence.series() < (6, 18)),
        "detached {}",
        if detached_first { "first" } else { "last" }
    );
    Ok(())
}
