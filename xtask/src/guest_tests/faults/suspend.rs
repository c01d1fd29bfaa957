//! Suspend and resume, in a guest of its own: the shared directories don't survive it, so that the results go to the
//! console.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Recording, cycles_are_alike, is_harmless};
use crate::guest_tests::boot_and_crash::mortal_guest;
use crate::guest_tests::{Programs, Series};
use crate::kernel::Kernel;

/// The test's name.
pub(in crate::guest_tests) const NAME: &str = "fault_suspend_and_resume_lose_nothing";

/// What begins the lines of the console that are results.
const RESULT: &str = "RESULT ";

/// The kernel is suspended up to each of these levels, and resumes after a second.
const SCRIPT: &str = r#"
    # The shell has read all of this before it begins.
    {
    set -eu
    # The emulated card reader does not wake up, and nothing can be frozen then.
    rmmod sdhci_pci
    insmod /devres_test.ko platform=1
    export driver=/sys/bus/platform/drivers/devres-test-platform
    export device=devres-test.0
    echo 1 >/sys/module/suspend/parameters/pm_test_delay
    # Nothing more can be left there.
    echo 0 >/job/exit-code
    cd /tmp
    exec >/dev/null 2>&1
    cat >suspend <<'END'
cycle() {
    echo $device >$driver/unbind
    echo $device >$driver/bind
}
cycle
for level in freezer devices platform; do
    echo $level >/sys/power/pm_test
    echo freeze >/sys/power/state
    cycle
done
END
    devres-tracer trace --json --output all.jsonl -- sh -eu ./suspend && code=0 || code=$?
    dmesg -n 1
    grep -F -e '"type":"source"' -e '"type":"loss"' -e '"type":"finding"' -e '"type":"summary"' -e '"device":"devres-test.0"' all.jsonl |
        sed 's/^/RESULT /' >/dev/console
    echo "RESULT $code $(cat /sys/power/suspend_stats/success)" >/dev/console
    sleep 1
    # Shutting devices down would wait for the shared directories.
    echo b >/proc/sysrq-trigger
    sleep 60
    }
"#;

/// How often the script suspends.
const SUSPENDED: u32 = 3;

/// Suspends a machine while it is traced.
pub(in crate::guest_tests) fn check(
    kernel: &Kernel,
    programs: &Programs,
    directory: &Path,
    series: Series,
    mirror: Option<&str>,
) -> Result<()> {
    let mut guest = mortal_guest(kernel, programs, directory, mirror)?;
    let console = directory.join("console.log");
    guest.console_log = Some(console.clone());
    guest.run(SCRIPT)?;
    let log = fs::read(&console).context("the guest left no log")?;
    let log = String::from_utf8_lossy(&log);
    let mut results: Vec<&str> = log
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix(RESULT))
        .collect();
    let end = results.pop().context("the guest did not wake up")?;
    let (code, suspended) = end.split_once(' ').context("the results have no end")?;
    let file = directory.join("suspended.jsonl");
    fs::write(&file, results.join("\n")).context("cannot write the recording")?;
    let recording = Recording::read(&file, code.parse()?)?;
    ensure!(
        suspended.parse() == Ok(SUSPENDED),
        "it was suspended {suspended} times"
    );
    is_harmless(&recording)?;
    // Without the tracepoint the order of what is concluded is another.
    if series >= (5, 15) {
        recording.ensure_whole()?;
        recording.ensure_exited(0)?;
        cycles_are_alike(&recording, 4)?;
    }
    Ok(())
}
