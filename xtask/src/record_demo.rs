//! `cargo xtask record-demo`: the recording that `devres-tracer demo` shows.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::{guest::Guest, kernel::Kernel, tracer, workspace};

/// Where the recording lies in the workspace.
const RECORDING: &str = "tracer-user/demo/pvpanic-6.1.dvrt";

/// The kernel: the last series but one in which the platform bus detaches the PM domain too early.
const KERNEL: &str = "6.1";

/// Binds the driver, so that who adds what is seen, and unbinds it.
const SCRIPT: &str = r#"
set -e
driver=/sys/bus/platform/drivers/pvpanic-mmio
echo QEMU0001:00 > $driver/unbind
status=0
devres-tracer trace --json --device QEMU0001:00 --output /mnt/share/demo.jsonl -- \
    sh -c "echo QEMU0001:00 > $driver/bind; echo QEMU0001:00 > $driver/unbind" || status=$?
# The demo stands for a whole run, in which nothing else has happened.
sed -i '1s/,"filters":\[{[^}]*}\]//' /mnt/share/demo.jsonl
# The device's own events: a trace file of the run would have the snapshots of all devices as well.
devres-tracer import /mnt/share/demo.jsonl --output /mnt/share/demo.dvrt
exit $status
"#;

/// The exit code of `trace` when it has found something.
const FINDINGS: u8 = 1;

/// Makes the recording that `devres-tracer demo` shows.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Debian mirror to fetch the kernel from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Boots the kernel, records, and replaces the committed recording.
pub(crate) fn run(args: &Args) -> Result<()> {
    let kernel = Kernel::obtain(KERNEL, false, args.mirror.as_deref())?;
    let mut guest = Guest::new(kernel);
    guest
        .files
        .push((tracer::build_static()?, tracer::PATH_IN_GUEST.to_owned()));
    let run = guest.run(SCRIPT)?;
    ensure!(
        run.exit_code == FINDINGS,
        "the tracer should have found the wrong order, but exited with {}:\n{}{}",
        run.exit_code,
        run.stdout,
        run.stderr
    );
    let recorded = run.share_dir.join("demo.dvrt");
    let recording = workspace::root().join(RECORDING);
    fs::copy(&recorded, &recording)
        .with_context(|| format!("the recording can't be copied to {}", recording.display()))?;
    println!("{RECORDING} is new");
    Ok(())
}
