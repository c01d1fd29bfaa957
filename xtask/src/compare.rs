//! `cargo xtask compare`: the same work under trace-cmd, perf, bpftrace and this tool, in a stock kernel.
//!
//! The test module's scenario `many` adds that many resources in a probe and has them released at the unbind. Each tool
//! is asked for what its user would ask: every `devres_log` event, once plain and once with the kernel stack.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::architecture::Architecture;
use crate::guest::Guest;
use crate::kernel::Kernel;
use crate::{debian_programs, kmod, tracer, workspace};

/// The suite that the others are taken from.
const SUITE: &str = "trixie";

/// The others, and a shell for them.
const PACKAGES: [&str; 4] = ["trace-cmd", "linux-perf", "bpftrace", "busybox-static"];

/// Arguments of `cargo xtask compare`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel, as in `cargo xtask vm`.
    #[arg(long, value_name = "NAME", default_value = "6.12")]
    kernel: String,
    /// How many resources are added and released.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    resources: u32,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Runs in the guest. Of each tool it leaves NAME.time (seconds that the work took) and NAME.log (what the tool said).
const SCRIPT: &str = r#"
set -u
peers=/mnt/peers
mkdir -p $peers
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro peers $peers
for place in proc sys dev; do mount --rbind /$place $peers/$place; done
mount -t tmpfs tmpfs $peers/tmp
insmod /devres_test.ko
cp /usr/local/bin/devres-tracer $peers/tmp/

cat >$peers/tmp/work <<END
#!/usr/bin/busybox sh
read -r begin _ </proc/uptime
echo many $resources >/sys/kernel/debug/devres_test/run
read -r end _ </proc/uptime
echo \$begin \$end >/tmp/time
END
chmod +x $peers/tmp/work

# measure NAME COMMAND...
measure() {
	name=$1
	shift
	rm -f $peers/tmp/time $peers/tmp/out*
	if chroot $peers "$@" >/mnt/share/$name.log 2>&1; then :; else echo "exit code $?" >>/mnt/share/$name.log; fi
	awk '{ printf "%.2f\n", $2 - $1 }' $peers/tmp/time >/mnt/share/$name.time
	# What was written, whatever it is called.
	du -ck $peers/tmp/out* 2>/dev/null | tail -n 1 | cut -f 1 >/mnt/share/$name.size
}

measure nobody /tmp/work
measure trace-cmd trace-cmd record -q -e dev:devres_log -o /tmp/out.dat /tmp/work
chroot $peers trace-cmd report --stat -i /tmp/out.dat >>/mnt/share/trace-cmd.log 2>&1
chroot $peers trace-cmd report -i /tmp/out.dat 2>/dev/null | grep -c devres_log: >/mnt/share/trace-cmd.events
measure trace-cmd-stacks trace-cmd record -q -T -e dev:devres_log -o /tmp/out.dat /tmp/work
chroot $peers trace-cmd report -i /tmp/out.dat 2>/dev/null | grep -c devres_log: >/mnt/share/trace-cmd-stacks.events
measure perf perf record -q -a -e dev:devres_log -o /tmp/out.data /tmp/work
chroot $peers perf script -i /tmp/out.data 2>/dev/null | grep -c dev:devres_log: >/mnt/share/perf.events
measure perf-stacks perf record -q -a -g -e dev:devres_log -o /tmp/out.data /tmp/work
chroot $peers perf script -i /tmp/out.data 2>/dev/null | grep -c dev:devres_log: >/mnt/share/perf-stacks.events
measure bpftrace bpftrace -o /tmp/out.txt -c '/usr/bin/busybox sh /tmp/work' -e \
	'tracepoint:dev:devres_log { printf("%llu %s %s %p %s %d\n", nsecs, str(args.devname), str(args.op), args.node, str(args.name), args.size); }'
grep -c '\(ADD\|REL\|REM\) 0x' $peers/tmp/out.txt >/mnt/share/bpftrace.events
measure bpftrace-stacks bpftrace -o /tmp/out.txt -c '/usr/bin/busybox sh /tmp/work' -e \
	'tracepoint:dev:devres_log { printf("%llu %s %s %p %s %d%s\n", nsecs, str(args.devname), str(args.op), args.node, str(args.name), args.size, kstack); }'
grep -c '\(ADD\|REL\|REM\) 0x' $peers/tmp/out.txt >/mnt/share/bpftrace-stacks.events

for stacks in '' -stacks; do
	option=--no-stacks
	[ -z "$stacks" ] || option=
	measure devres-tracer$stacks /tmp/devres-tracer record $option -o /tmp/out.dvrt -- /tmp/work
	chroot $peers /tmp/devres-tracer export --format json /tmp/out.dvrt |
		grep -c '"event":"\(add\|release\|remove\)"' >/mnt/share/devres-tracer$stacks.events
done
"#;

/// The tools in the order in which they are shown, each with its command.
const TOOLS: [(&str, &str); 9] = [
    ("nobody", "none"),
    ("trace-cmd", "`trace-cmd record -e dev:devres_log`"),
    ("perf", "`perf record -a -e dev:devres_log`"),
    ("bpftrace", "`bpftrace`, a line for each event"),
    ("devres-tracer", "`devres-tracer record --no-stacks`"),
    (
        "trace-cmd-stacks",
        "`trace-cmd record -T -e dev:devres_log`",
    ),
    ("perf-stacks", "`perf record -a -g -e dev:devres_log`"),
    ("bpftrace-stacks", "`bpftrace`, with `kstack`"),
    ("devres-tracer-stacks", "`devres-tracer record`"),
];

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mirror = args.mirror.as_deref();
    let kernel = Kernel::obtain(&args.kernel, false, mirror)?;
    ensure!(
        kernel.architecture() == Architecture::Amd64,
        "the comparison is made on x86-64 only"
    );
    let peers = debian_programs::unpacked("peers", Architecture::Amd64, SUITE, &PACKAGES, mirror)?;
    // What an installed system has besides its packages.
    for place in ["proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(peers.join(place)).context("cannot prepare the other tools' root")?;
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        let path = peers.join(link);
        if path.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(format!("usr/{link}"), &path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
    }
    let directory = workspace::root()
        .join("target/compare")
        .join(&kernel.release);
    workspace::remove_if_present(&directory)?;
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;

    let mut guest = Guest::new(kernel.clone());
    guest.files = vec![
        (tracer::build_static()?, tracer::PATH_IN_GUEST.to_owned()),
        (kmod::build(&kernel, mirror)?, "/devres_test.ko".to_owned()),
    ];
    guest.share = Some(directory.clone());
    guest.qemu_arguments = [
        "-fsdev".to_owned(),
        format!(
            "local,id=peers,path={},security_model=none,readonly=on",
            peers.display()
        ),
        "-device".to_owned(),
        "virtio-9p-pci,fsdev=peers,mount_tag=peers".to_owned(),
        "-m".to_owned(),
        "3G".to_owned(),
    ]
    .to_vec();
    guest.timeout = Duration::from_secs(1800);
    guest.silence = None;
    let run = guest.run(&format!("resources={}\n{SCRIPT}", args.resources))?;
    ensure!(
        run.exit_code == 0,
        "the guest's script failed:\n{}{}",
        run.stdout,
        run.stderr
    );
    println!(
        "{}, {} resources added and released\n",
        kernel.release, args.resources
    );
    println!("| traced by | seconds | kB written | events |");
    println!("|---|---|---|---|");
    for (name, what) in TOOLS {
        let told = |suffix: &str| {
            fs::read_to_string(directory.join(format!("{name}.{suffix}")))
                .map_or_else(|_| String::new(), |text| text.trim().to_owned())
        };
        if told("time").is_empty() {
            println!("| {what} | failed, see {name}.log | | |");
            continue;
        }
        println!(
            "| {what} | {} | {} | {} |",
            told("time"),
            told("size"),
            told("events")
        );
    }
    println!("\nWhat each said: {}", directory.display());
    Ok(ExitCode::SUCCESS)
}
