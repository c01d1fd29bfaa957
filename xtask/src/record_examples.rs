//! `cargo xtask record-examples`: the recordings that the guide and the rule pages replay.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::{guest::Guest, kernel::Kernel, kmod, tracer, workspace};

/// Where the recordings are kept in the workspace.
const RECORDINGS: &str = "docs/recordings";

/// The kernel: the last longterm series in which the platform bus detaches the PM domain before the release.
const KERNEL: &str = "6.1";

/// Each recording and the scenario of the test module that it shows: a bug, or a bug fixed (`-fixed`).
const EXAMPLES: [(&str, &str); 34] = [
    ("dr001", "pm-detach-platform"),
    ("dr001-fixed", "pm-detach-platform-ok"),
    ("dr002", "pm-leak-bus"),
    ("dr003", "group-foreign-release"),
    ("dr003-fixed", "group-foreign-release-ok"),
    ("dr004", "group-left-open"),
    ("dr004-fixed", "group-left-open-ok"),
    ("dr005", "group-same-id"),
    ("dr006", "group-null-id-picks-other"),
    ("dr007", "resource-before-probe"),
    ("dr007-fixed", "resource-before-probe-ok"),
    ("dr008", "add-in-release"),
    ("dr008-fixed", "add-in-release-ok"),
    ("dr009", "add-after-unbind"),
    ("dr009-fixed", "add-after-unbind-ok"),
    ("dr010", "add-in-remove"),
    ("dr011", "self-reference-late"),
    ("dr012", "outlives-creator"),
    ("dr012-fixed", "outlives-creator-ok"),
    ("dr013", "kfree-below-irq"),
    ("dr013-fixed", "kfree-below-irq-ok"),
    ("dr014", "irq-after-remove"),
    ("dr014-fixed", "irq-after-remove-ok"),
    ("dr015", "kfree-out-of-order"),
    ("dr016", "destroy-missing"),
    ("dr017", "growth-resume"),
    ("dr017-fixed", "growth-resume-ok"),
    ("dr018", "deferral-churn"),
    ("dr018-fixed", "deferral-churn-ok"),
    ("dr019", "slow-release"),
    ("dr019-fixed", "slow-release-ok"),
    ("dr020", "unloaded-callback"),
    ("dr021", "irq-double-free"),
    ("dr021-fixed", "irq-double-free-ok"),
];

/// Runs in the guest, before the examples.
const PRELUDE: &str = r#"
set -e
insmod /devres_test.ko
scenarios=/sys/kernel/debug/devres_test

example() {
	case $2 in
	unloaded-callback) set -- $1 'insmod /devres_test_callback.ko; rmmod devres_test_callback' ;;
	*) set -- $1 "echo $2 >$scenarios/run" ;;
	esac
	devres-tracer record --with free_irq --with irq_handler_entry --output /mnt/share/$1.dvrt -- sh -c "$2"
	# What some of them leave behind.
	echo unloaded-callback-clean >$scenarios/run
	echo self-reference-clean >$scenarios/run
}
"#;

/// Makes the recordings that the guide and the rule pages replay.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Debian mirror to fetch the kernel from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Boots the kernel, records each scenario, and replaces the committed recordings.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mirror = args.mirror.as_deref();
    let kernel = Kernel::obtain(KERNEL, false, mirror)?;
    let module = kmod::build(&kernel, mirror)?;
    let mut guest = Guest::new(kernel);
    guest.files = vec![
        (tracer::build_static()?, tracer::PATH_IN_GUEST.to_owned()),
        (
            module.with_file_name(kmod::CALLBACK_MODULE),
            format!("/{}", kmod::CALLBACK_MODULE),
        ),
        (module, format!("/{}", kmod::MODULE)),
    ];
    guest.timeout = Duration::from_secs(900);
    let mut script = PRELUDE.to_owned();
    for (name, scenario) in EXAMPLES {
        writeln!(script, "example {name} {scenario}")?;
    }
    let run = guest.run(&script)?;
    ensure!(
        run.exit_code == 0,
        "the guest exited with {}:\n{}{}",
        run.exit_code,
        run.stdout,
        run.stderr
    );
    let directory = workspace::root().join(RECORDINGS);
    for (name, _) in EXAMPLES {
        let file = format!("{name}.dvrt");
        fs::copy(run.share_dir.join(&file), directory.join(&file))
            .with_context(|| format!("the guest left no {file}"))?;
    }
    println!("{} recordings in {RECORDINGS} are new", EXAMPLES.len());
    Ok(())
}
