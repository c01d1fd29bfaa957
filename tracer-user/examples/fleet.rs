//! Writes made-up recordings of a lab, each of one machine on one day: `fleet DIRECTORY COUNT`. The tests of the tables
//! (`cargo xtask test --lab`) know what is in them:
//!
//! - from day 35 on the machines run another kernel, which detaches the PM domain of `acme-panel` too early, and on which
//!   `acme-flash` takes one and a half seconds to switch off;
//! - on the last seven days the `acme-late` of every fifth machine adds a resource after its unbind;
//! - on machine 7 the `acme-hub` holds one resource more every five days;
//! - `acme-idle` is never unbound;
//! - the recording of machine 3 on day 5 has lost events.

use std::{env, error::Error, fs::File, io::BufWriter, path::Path, sync::Arc};

use devres_tracer::{
    event::{
        AddedNode, Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, Event, EventKind, Hook,
        LossCause, NodeAddress, NodeReference, PmDomain, Return, Task, Text, Time,
    },
    evidence::{
        Addresses, Attachment, Before, Coverage, HookCoverage, HookState, NodeEvents,
        SourceInformation,
    },
    kernel::System,
    trace_file::{Clock, End, Header, TraceFileWriter},
};

const MACHINES: u64 = 20;
/// The day from which on the second kernel runs.
const UPGRADE: u64 = 35;
const KERNELS: [&str; 2] = ["6.11.7-lab", "6.12.3-lab"];
/// Midnight on 1 January 2026, in seconds since 1970.
const FIRST_DAY: u64 = 1_767_225_600;
const DAY: u64 = 86_400;
const MILLISECOND: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [directory, count] = &arguments[..] else {
        return Err("usage: fleet DIRECTORY COUNT".into());
    };
    let count: u64 = count.parse()?;
    let days = count.div_ceil(MACHINES);
    for number in 0..count {
        let (machine, day) = (number % MACHINES, number / MACHINES);
        let path = Path::new(directory).join(format!("machine-{machine:02}-day-{day:03}.dvrt"));
        write(&path, machine, day, days)?;
    }
    Ok(())
}

fn write(path: &Path, machine: u64, day: u64, days: u64) -> Result<(), Box<dyn Error>> {
    let file = BufWriter::new(File::create(path)?);
    let mut writer = TraceFileWriter::begin(file, &header(machine, day))?;
    for event in story(machine, day, days).events {
        writer.event(&event)?;
    }
    writer.finish(End::default())?;
    Ok(())
}

fn header(machine: u64, day: u64) -> Header {
    let kernel = KERNELS[usize::from(day >= UPGRADE)];
    Header {
        boot: Some(format!("{machine}-{day}")),
        system: Some(System {
            version: Some("#1 SMP made up".to_owned()),
            board: Some(format!("Acme Board {machine:02}")),
            taint: Some(0),
        }),
        clock: Some(Clock {
            monotonic: 1_000_000_000,
            real: (FIRST_DAY + day * DAY + machine * 60) * 1_000_000_000,
        }),
        ..Header::of_recording(SourceInformation {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: Some(kernel.to_owned()),
            machine: Some("x86_64".to_owned()),
            coverage: whole(),
            filters: Vec::new(),
        })
    }
}

/// Everything was seen from the beginning.
fn whole() -> Coverage {
    let state = || HookState::Attached(Attachment::Fentry);
    let hooks = Hook::ALL.into_iter();
    Coverage {
        hooks: hooks
            .map(|hook| HookCoverage {
                hook,
                state: state(),
            })
            .collect(),
        untold: Vec::new(),
        unread_switches: Vec::new(),
        nodes: NodeEvents::Logged,
        node_addresses: Addresses::Real,
        device_addresses: Addresses::Real,
        times: true,
        stacks: true,
        before: Before::Nothing,
    }
}

/// What happens on one machine on one day.
fn story(machine: u64, day: u64, days: u64) -> Story {
    let upgraded = day >= UPGRADE;
    let mut story = Story::new();
    let mut panel = Device::new(1, "panel.0", "acme-panel");
    story.bind(&mut panel, 4);
    story.unbind(&mut panel, upgraded, MILLISECOND);
    let mut flash = Device::new(2, "flash.0", "acme-flash");
    story.bind(&mut flash, 3);
    story.unbind(
        &mut flash,
        false,
        if upgraded {
            1_500 * MILLISECOND
        } else {
            MILLISECOND
        },
    );
    let mut hub = Device::new(3, "hub.0", "acme-hub");
    let growth = if machine == 7 { day / 5 } else { 0 };
    story.bind(&mut hub, 10 + growth);
    story.unbind(&mut hub, false, MILLISECOND);
    let mut late = Device::new(4, "late.0", "acme-late");
    story.bind(&mut late, 2);
    story.unbind(&mut late, false, MILLISECOND);
    if machine.is_multiple_of(5) && day + 7 >= days {
        story.add(&mut late);
    }
    let mut idle = Device::new(5, "idle.0", "acme-idle");
    story.bind(&mut idle, 6);
    if (machine, day) == (3, 5) {
        let now = story.time;
        story
            .events
            .push(Event::loss(Time(now), 12, LossCause::RingFull));
    }
    story
}

/// A device and what it holds, oldest first.
struct Device {
    address: u64,
    name: &'static str,
    driver: &'static str,
    held: Vec<NodeReference>,
    added: u64,
}

impl Device {
    fn new(number: u64, name: &'static str, driver: &'static str) -> Self {
        Self {
            address: 0xffff_8881_0000_0000 + number * 0x10_0000,
            name,
            driver,
            held: Vec::new(),
            added: 0,
        }
    }
}

/// Events, one after the other.
struct Story {
    time: u64,
    events: Vec<Event>,
}

impl Story {
    const DOMAIN: PmDomain = PmDomain {
        domain: 0xffff_ffff_82b9_fc20,
        detach: 0xffff_ffff_815f_0ba0,
    };

    fn new() -> Self {
        Self {
            time: 1_000_000_000,
            events: Vec::new(),
        }
    }

    fn push(&mut self, device: &Device, kind: EventKind) {
        self.time += 10_000;
        self.events.push(Event {
            time: Time(self.time),
            task: Task {
                tid: 42,
                tgid: 42,
                comm: Comm::new("modprobe"),
            },
            cpu: 0,
            device: DeviceAddress(device.address),
            stack: None,
            kind,
        });
    }

    fn named(&mut self, device: &Device, driver: bool) {
        let identity = DeviceIdentity {
            name: Some(Text::from(device.name)),
            driver: driver.then(|| Text::from(device.driver)),
            bus: Some(Text::from("platform")),
            parent: DeviceAddress::NONE,
        };
        self.push(device, EventKind::Device(Arc::new(identity)));
    }

    fn enter(&mut self, device: &Device, hook: Hook, detail: CallDetail) {
        self.push(device, EventKind::Enter(Call { hook, detail }));
    }

    fn leave(&mut self, device: &Device, hook: Hook, value: Option<i64>, pm: Option<PmDomain>) {
        let node = None;
        self.push(
            device,
            EventKind::Leave(Return {
                hook,
                value,
                pm,
                node,
            }),
        );
    }

    fn add(&mut self, device: &mut Device) {
        const NAMES: [&str; 4] = [
            "devm_kzalloc_release",
            "devm_clk_release",
            "devm_regulator_release",
            "devm_irq_release",
        ];
        let number = device.added;
        device.added += 1;
        let node = NodeReference {
            node: NodeAddress(device.address + 0x1000 + number * 0x80),
            name: Some(Text::from(NAMES[usize::try_from(number % 4).unwrap_or(0)])),
            size: Some(16 + number),
        };
        let added = AddedNode {
            node: node.node,
            name: node.name.clone(),
            size: node.size,
            payload_address: node.node.0 + 0x28,
            ..AddedNode::default()
        };
        self.push(device, EventKind::Add(added));
        device.held.push(node);
    }

    fn bind(&mut self, device: &mut Device, resources: u64) {
        self.named(device, false);
        self.enter(device, Hook::Initialise, CallDetail::None);
        self.named(device, true);
        self.enter(device, Hook::Probe, CallDetail::None);
        self.enter(device, Hook::PmAttach, CallDetail::Pm(PmDomain::default()));
        self.leave(device, Hook::PmAttach, Some(0), Some(Self::DOMAIN));
        for _ in 0..resources {
            self.add(device);
        }
        self.enter(device, Hook::Bound, CallDetail::None);
        self.leave(device, Hook::Probe, Some(0), Some(Self::DOMAIN));
    }

    /// The driver goes. Each release takes so many nanoseconds; the PM domain is detached before or after all of them.
    fn unbind(&mut self, device: &mut Device, detach_first: bool, release: u64) {
        self.enter(device, Hook::Unbind, CallDetail::None);
        self.enter(device, Hook::Remove, CallDetail::None);
        if detach_first {
            self.detach(device);
        }
        self.leave(device, Hook::Remove, None, None);
        self.enter(device, Hook::Cleanup, CallDetail::None);
        self.enter(device, Hook::ReleaseAll, CallDetail::None);
        let count = i64::try_from(device.held.len()).unwrap_or(i64::MAX);
        while let Some(node) = device.held.pop() {
            self.push(device, EventKind::Release(node));
            self.time += release;
        }
        self.leave(device, Hook::ReleaseAll, Some(count), None);
        if !detach_first {
            self.detach(device);
        }
        self.leave(device, Hook::Cleanup, None, None);
        self.leave(device, Hook::Unbind, None, None);
        self.named(device, false);
    }

    fn detach(&mut self, device: &Device) {
        self.enter(device, Hook::PmDetach, CallDetail::Pm(Self::DOMAIN));
        self.leave(device, Hook::PmDetach, None, None);
    }
}
