//! Tools that print the tracepoint outside the kernel have the address of `ADD`, `REL` and `REM` only: on the machine that was
//! traced these are looked up.

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::{number, operation, text};
use super::{Session, Test, without_log};

pub(super) static SESSION: Session = Session {
    name: "pointers",
    // A histogram has the addresses in the kernel's records, as perf and trace-cmd have them.
    script: r#"
        log=/sys/kernel/tracing/events/dev/devres_log
        histogram='hist:keys=common_timestamp,op.hex,node.hex:sort=common_timestamp if devname == "QEMU0001:00"'
        driver=/sys/bus/platform/drivers/pvpanic-mmio
        if [ -e $log/trigger ]; then
            echo "$histogram" >$log/trigger
            echo QEMU0001:00 >$driver/unbind
            echo QEMU0001:00 >$driver/bind
            awk '/common_timestamp: *[0-9]/ {
                gsub(",", "")
                printf "sh-1 [000] %d.%09d: devres_log: QEMU0001:00 %s 0x%s devm_kzalloc_release (8 bytes)\n",
                    $3 / 1000000000, $3 % 1000000000, $5, $7
            }' $log/hist >events.txt
            echo "!$histogram" >$log/trigger
            run pointers devres-tracer import --json events.txt
        fi
    "#,
    tests: &[Test {
        name: "addresses_of_operations_are_looked_up",
        skipped: without_log,
        check: looked_up,
    }],
};

fn looked_up(evidence: &Evidence) -> Result<()> {
    let printed = evidence.text("pointers.stdout")?;
    let lines: Vec<serde_json::Value> = printed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let operations: Vec<&str> = lines.iter().filter_map(operation).collect();
    let count = |wanted: &str| {
        let found = operations.iter().filter(|operation| **operation == wanted);
        found.count()
    };
    // What the unbind releases is what the probe adds and keeps.
    ensure!(
        operations.first() == Some(&"REL")
            && count("REL") + count("REM") == count("ADD")
            && operations
                .iter()
                .skip_while(|operation| **operation == "REL")
                .all(|operation| *operation != "REL"),
        "the operations are {operations:?}"
    );
    let summary = lines.iter().find(|line| text(line, "/type") == "summary");
    let lost = summary
        .map(|summary| number(summary, "/lost"))
        .transpose()?;
    ensure!(lost == Some(0), "of what was printed {lost:?} is lost");
    evidence.exited("pointers", 3)
}
