//! What the commands take on recordings of many sizes: how each grows with events, with devices, and with what one device
//! holds.
//!
//! The program of this build is run as a user runs it. Each run is measured by a process of its own, which is this program
//! once more: what the kernel accounts for ended children is then one run's.
//!
//! Numbers in the arguments are more counts of events to be tried: `cargo bench --bench sizes -- 100000000`.

mod cycle;
mod recording;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use devres_tracer::event::{Event, Hook};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use support::{Dev, Story};

/// Comes first where one command is to be measured.
const ONE: &str = "--one";

/// How often each is measured: the faster run counts, since what else the machine does only adds to it.
const RUNS: usize = 2;

/// The commands, with what comes before the file; `diff` has the file twice.
const COMMANDS: [(&str, &[&str]); 4] = [
    ("report", &["report"]),
    ("check", &["check"]),
    ("stacks", &["stacks"]),
    ("diff", &["diff"]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, command @ ..] = &arguments[..]
        && first == ONE
    {
        measure(command);
        return;
    }
    let path = std::env::temp_dir().join(format!("sizes-{}.dvrt", std::process::id()));
    println!(
        "| recording | events | MB | command | s of computing | MiB at most |\n|---|---|---|---|---|---|"
    );
    let events = cycle::cycle();
    let more = arguments.iter().filter_map(|count| count.parse().ok());
    for count in [100_000, 1_000_000, 10_000_000].into_iter().chain(more) {
        recording::write(&path, &events, count);
        row("devices that come and go", count, &path);
    }
    for (devices, resources) in [
        (100, 5_000),
        (1_000, 500),
        (10_000, 50),
        (100_000, 5),
        (1, 100_000),
        (1, 1_000_000),
    ] {
        let events = bound_at_once(devices, resources);
        recording::write(&path, &events, events.len());
        let what = if devices == 1 {
            format!("one device, {resources} resources")
        } else {
            format!("{devices} devices at once, {resources} resources each")
        };
        row(&what, events.len(), &path);
    }
    fs::remove_file(&path).expect("it was just written");
}

/// Runs all commands on a recording.
fn row(what: &str, events: usize, path: &Path) {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    for (name, arguments) in COMMANDS {
        let mut one = Command::new(std::env::current_exe().expect("every program has a path"));
        one.arg(ONE).args(arguments).arg(path);
        if name == "diff" {
            one.arg(path);
        }
        let output = (0..RUNS)
            .map(|_| one.output().expect("this program can run itself").stdout)
            .min_by(|one, other| seconds(one).total_cmp(&seconds(other)))
            .expect("it runs more than once");
        #[expect(clippy::cast_precision_loss, reason = "a length is shown")]
        let megabytes = bytes as f64 / 1e6;
        println!(
            "| {what} | {events} | {megabytes:.1} | `{name}` | {} |",
            String::from_utf8_lossy(&output).trim()
        );
    }
}

/// What a run says of its time; one that failed without a word counts as the slowest.
fn seconds(printed: &[u8]) -> f64 {
    let printed = String::from_utf8_lossy(printed);
    let first = printed.split_whitespace().next();
    first
        .and_then(|first| first.parse().ok())
        .unwrap_or(f64::INFINITY)
}

/// Runs the tracer to its end, and prints what it took. What it says of the recording is of no interest here.
fn measure(command: &[String]) {
    let status = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(command)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the tracer was built");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel tells it");
    let computing = usage.user_time() + usage.system_time();
    #[expect(clippy::cast_precision_loss, reason = "a time is shown")]
    let seconds = computing.num_microseconds() as f64 / 1e6;
    let failed = match status.code() {
        Some(0 | 1 | 3) => String::new(),
        _ => format!(" FAILED: {status}"),
    };
    println!("{seconds:.2}{failed} | {}", usage.max_rss() / 1024);
}

/// So many devices are bound, and only then unbound, in the right order.
fn bound_at_once(devices: u64, resources: u64) -> Vec<Event> {
    let mut story = Story::new();
    let device = |number| Dev(0xff11_0000_0500_0000 + number * 0x800);
    let node = |number, index| 0xff12_0000_0000_0000 + (number * resources + index) * 0x80;
    for number in 0..devices {
        let device = device(number);
        story
            .task("kworker/0:1", 40)
            .enter(device, Hook::Initialise)
            .named(device, &format!("dev{number}"), "platform", "driver")
            .enter(device, Hook::Probe);
        for index in 0..resources {
            story.add(device, node(number, index), "devm_kzalloc_release", 64);
        }
        story.bound(device);
    }
    for number in 0..devices {
        let device = device(number);
        story.task("init", 1).begin_unbind(device);
        for index in (0..resources).rev() {
            story.rel(device, node(number, index), "devm_kzalloc_release", 64);
        }
        story
            .returned(device, Hook::ReleaseAll, i64::try_from(resources).ok())
            .leave(device, Hook::Cleanup)
            .leave(device, Hook::Unbind);
    }
    story.events
}
