//! Loads the probes, attaches them, takes the snapshot, and yields events.

mod first_look;
mod setup;

use std::time::Duration;

use aya::{
    Btf, Ebpf, Endianness,
    maps::{MapData, PerCpuArray, RingBuf},
};
use tokio::io::unix::AsyncFd;
use tracer_ebpf::{Hook, Layout};

use super::{
    addition_check::AdditionCheck,
    attach,
    cost::{Burst, CostError},
    decode::Decoder,
    error::LiveError,
    layout::layout,
    limits,
    options::Options,
    probe_log::ProbeLog,
    skipped::Skipped,
    snapshot::{BpfMemory, Memory, NoMemory, Walk},
    stacks::Stacks,
    switches::Switches,
    symbol_service::SymbolService,
    timing::{Step, StopWatch, Timing},
    unnamed::Unnamed,
    waiting::Waiting,
    watched,
};
use crate::{
    event::{Event, EventKind},
    evidence::{Coverage, HookState},
    kernel::{DeviceSetLayout, KernelFacts, now},
    source::chain,
};
pub(super) use setup::loader_without_types;
use setup::{attach, coverage, ensure_possible, in_background, load, ring_buffer, take_map};

/// The running kernel, traced.
pub struct Live {
    /// Keeps the probes attached, and reads memory.
    ebpf: Ebpf,
    ring: AsyncFd<RingBuf<MapData>>,
    lost: PerCpuArray<MapData, LostByHook>,
    skipped: Skipped,
    switches: Switches,
    uninterrupted: bool,
    /// A record that was taken out of the ring buffer before it was known what the kernel had skipped before it.
    held: Option<Vec<u8>>,
    decoder: Decoder,
    check: AdditionCheck,
    probe_log: Option<ProbeLog>,
    unnamed: Unnamed,
    waiting: Waiting,
    coverage: Coverage,
    /// Events that the snapshot has taken out of the ring buffer, and the snapshot itself, in order.
    first: std::vec::IntoIter<Event>,
    set: DeviceSetLayout,
    layout: Layout,
    timing: Timing,
}

/// Lost records by hook number, on one CPU.
type LostByHook = [u64; tracer_ebpf::LOST_SLOTS];

impl Live {
    /// Loads and attaches the probes and takes the snapshot.
    ///
    /// # Errors
    /// When nothing can be traced at all. A hook that can't attach is no error: the
    /// [`coverage`](Self::coverage) says so.
    pub fn start(options: &Options) -> Result<Self, LiveError> {
        ensure_possible(options)?;
        let mut timing = Timing::begin();
        let symbols = SymbolService::start();
        let loader = in_background(loader_without_types)?;
        let facts = KernelFacts::of_running_kernel()?;
        let layout = layout(&facts, options)?;
        let set = facts.device_set();
        let btf = Btf::parse(&facts.attach_targets(), Endianness::default())
            .map_err(|error| LiveError::Load(chain(&error)))?;
        timing.done(Step::Types);
        limits::make_room_for_maps();
        let mut loader = loader
            .join()
            .map_err(|_| LiveError::Load("the loader can't be started".to_owned()))?;
        loader.btf(None);
        timing.done(Step::Loader);
        let verifier = StopWatch::default();
        let (mut ebpf, uninterrupted) = load(loader, &facts, &layout, options, &verifier)?;

        let probe_log = options
            .probe_log
            .then(|| ProbeLog::open(&mut ebpf))
            .transpose()
            .map_err(|error| {
                LiveError::Load(format!("the probes' log can't be opened: {error}"))
            })?;
        let ring = ring_buffer(&mut ebpf)?;
        let stacks = take_map(&mut ebpf, "STACKS")?;
        let lost = take_map(&mut ebpf, "LOST")?;
        timing.done_apart_from(Step::Maps, (Step::Verifier, verifier.total()));
        let hooks = attach(&mut ebpf, &btf, &facts, options, &mut timing)?;
        let sees = |hook| {
            hooks
                .iter()
                .any(|entry| entry.hook == hook && matches!(entry.state, HookState::Attached(_)))
        };
        if sees(Hook::ModuleLoad) {
            attach::keep_names(&mut ebpf);
        }
        let logged = sees(Hook::DevresLog);
        let sees_lives = sees(Hook::Initialise) && sees(Hook::FinalPut);
        let concluded = options.attach && !logged && !facts.has_tracepoint("devres_log");
        let switches = Switches::of(&hooks);
        let coverage = Coverage {
            unread_switches: switches.unread().to_vec(),
            ..coverage(hooks, concluded, options.stacks)
        };
        let skipped = Skipped::open(&ebpf);
        let mut live = Self {
            ebpf,
            ring,
            lost,
            skipped,
            switches,
            uninterrupted,
            held: None,
            check: AdditionCheck::default(),
            probe_log,
            unnamed: Unnamed::new(sees_lives),
            waiting: Waiting::default(),
            decoder: Decoder::new(
                layout,
                facts.modules(),
                set.node_name.is_some(),
                symbols,
                Stacks::new(Some(stacks)),
            ),
            coverage,
            first: Vec::new().into_iter(),
            set,
            layout,
            timing,
        };
        live.take_snapshot(&layout, &set);
        watched::begin(&mut live.ebpf, options, live.first.as_slice());
        Ok(live)
    }

    /// What is seen of this kernel, and what is not.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Whether the probes keep the kernel from preempting them (`bpf_preempt_disable()`). Where they can't, a
    /// preemptible kernel skips a probe now and then, and counts it.
    #[must_use]
    pub fn is_uninterrupted(&self) -> bool {
        self.uninterrupted
    }

    /// Why functions have no names, if they have none.
    pub fn nameless(&mut self) -> Option<String> {
        self.decoder.symbols().error().map(ToString::to_string)
    }

    /// How long the steps of the start took.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Measures what one addition costs the traced kernel, as the mean of so many. The events are made up and
    /// dropped: this is to be called before anything else is traced.
    pub fn addition_cost(&mut self, additions: u32) -> Result<Duration, CostError> {
        /// So few that they find room in the ring buffer.
        const AT_ONCE: u32 = 1000;
        let (device, node) = self
            .first
            .as_slice()
            .iter()
            .find_map(|event| match &event.kind {
                EventKind::Snapshot(snapshot) => Some((event.device, snapshot.nodes.first()?.node)),
                _ => None,
            })
            .ok_or(CostError::NoNode)?;
        Burst::load(&mut self.ebpf)?;
        let name = memory(&self.ebpf).word(device.0 + u64::from(self.layout.device_name))?;
        let burst =
            Burst::of_additions(&self.ebpf, [device.0, node.0, name, 64], self.set.task_name)?;
        let mut total = Duration::ZERO;
        let mut rounds = 0;
        while rounds == 0 || rounds * AT_ONCE < additions {
            total += burst.run(AT_ONCE)?;
            rounds += 1;
            while self.ring.get_mut().next().is_some() {}
        }
        Ok(total / rounds)
    }

    /// Waits until the ring buffer fills up. Records don't wake the reader one by one: call
    /// [`drain`](Self::drain) every few milliseconds as well.
    pub async fn filling_up(&mut self) -> std::io::Result<()> {
        let mut guard = self.ring.readable().await?;
        guard.clear_ready();
        Ok(())
    }

    /// Hands up to `most` records' events to `sink`, in order, and returns how many records there were.
    ///
    /// What the kernel skipped is reported before the events that follow it. For that, what happens during this call
    /// is left to the next one.
    pub fn drain(&mut self, most: usize, sink: &mut impl FnMut(Event)) -> usize {
        let Self {
            ebpf,
            ring,
            decoder,
            check,
            probe_log,
            skipped,
            switches,
            held,
            first,
            unnamed,
            waiting,
            set,
            layout,
            ..
        } = self;
        // Before anything is read: where this process is stopped meanwhile, what happened then is still to be read.
        let began = now();
        if let Some(log) = probe_log {
            log.write();
        }
        let mut memory = memory(ebpf);
        let mut records = 0;
        let mut pass = |event: Event| {
            unnamed.see(&event);
            waiting.see(&event);
            sink(event);
        };
        if let Some(event) = first.as_slice().first() {
            skipped.tell(&mut pass);
            switches.tell(event.time, &mut pass);
        }
        first.for_each(&mut pass);
        // When it was last known what was skipped.
        let mut told = None;
        while records < most {
            let kept = held.take();
            let taken = match kept {
                Some(_) => None,
                None => ring.get_mut().next(),
            };
            let Some(record) = kept.as_deref().or(taken.as_deref()) else {
                break;
            };
            let time = Decoder::time(record);
            let told = *told.get_or_insert_with(|| {
                switches.tell(time, &mut pass);
                skipped.tell(&mut pass)
            });
            if time > told {
                *held = Some(record.to_vec());
                break;
            }
            decoder.decode(record, &mut *memory, &mut |event| {
                check.pass(event, &mut pass);
            });
            records += 1;
        }
        if records < most {
            let mut walk = Walk::new(&mut *memory, layout, set, now);
            unnamed.look(|device| walk.identity(device).ok(), sink);
            waiting.look(began, decoder.stacks(), sink);
        }
        records
    }

    /// Hands what is left to `sink`, and what the kernel has not delivered, so that nothing is missing
    /// that happened before this call.
    pub fn drain_all(&mut self, sink: &mut impl FnMut(Event)) {
        let end = now();
        loop {
            let records = self.drain(usize::MAX, sink);
            // What happens from now on is left, or this might never end.
            let is_later = |record: &Vec<u8>| Decoder::time(record) > end;
            if records == 0 && self.held.as_ref().is_none_or(is_later) {
                break;
            }
        }
        self.switches.tell(now(), sink);
        self.skipped.tell(sink);
        self.decoder.account_for_loss(
            self.lost_by_hook().iter().map(|(_, _, count)| count).sum(),
            now(),
            sink,
        );
    }

    /// Records that found no room in the ring buffer: CPU, hook, how many.
    #[must_use]
    pub fn lost_by_hook(&self) -> Vec<(usize, Hook, u64)> {
        let Ok(cpus) = self.lost.get(&0, 0) else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        for (cpu, slots) in cpus.iter().enumerate() {
            for hook in Hook::ALL {
                match slots.get(hook as usize) {
                    Some(count) if *count > 0 => lost.push((cpu, hook, *count)),
                    _ => {}
                }
            }
        }
        lost
    }
}

/// A way to read the kernel's memory, if the program for it could be loaded.
fn memory(ebpf: &Ebpf) -> Box<dyn Memory + '_> {
    match BpfMemory::new(ebpf) {
        Ok(memory) => Box::new(memory),
        Err(_) => Box::new(NoMemory),
    }
}
