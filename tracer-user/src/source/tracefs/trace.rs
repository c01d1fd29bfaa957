//! The running kernel, recorded by its own tracing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{Instance, TracefsError};
use crate::{
    boot::{Setup, SetupOptions, Shortfall, Target},
    event::{DeviceAddress, Event, EventKind, Hook, Loss, LossCause, Role, Task, Time},
    evidence::{
        Addresses, Attachment, Before, Coverage, HookCoverage, HookState, NodeEvents, Untold,
    },
    source::text::{self, Stream},
};

/// Bytes that are read at once.
const AT_ONCE: usize = 64 * 1024;

/// Bytes of which events are made at the latest. Until no more come, later lines may tell something of earlier ones: a
/// stack, or what a function returns.
const MOST_HELD: usize = 1 << 20;

/// How long the last event waits for its stack, which the kernel writes behind it, at its own pace.
const STACK_COMES_WITHIN: Duration = Duration::from_millis(100);

/// The running kernel, recorded by its own tracing.
pub struct Trace {
    instance: Instance,
    stream: Stream,
    coverage: Coverage,
    space: Vec<u8>,
    /// Bytes that were read, and of which no events were made yet.
    held: usize,
    /// Since when the last event waits for a stack that may follow it.
    waiting: Option<Instant>,
    /// Losses that were handed on.
    lost_told: u64,
    missed_told: u64,
    last: Time,
}

impl Trace {
    /// Makes the instance. From here on nothing is missed.
    pub fn start(tracing: &Path, options: SetupOptions) -> Result<Self, TracefsError> {
        let target = Target::running();
        let setup = Setup::of(&target, options);
        let payload_offset = target
            .offset("devres", &["data"])
            .and_then(|offset| u64::try_from(offset).ok());
        let instance = Instance::create(tracing, &setup)?;
        let coverage = coverage(&setup, &instance);
        Ok(Self {
            stream: Stream::new(!setup.tracepoint, payload_offset),
            instance,
            coverage,
            space: vec![0; AT_ONCE],
            held: 0,
            waiting: None,
            lost_told: 0,
            missed_told: 0,
            last: Time(0),
        })
    }

    /// What can be seen this way.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Takes in some of what was recorded until now, and hands it on once that is all, or much. Returns whether there may
    /// be more.
    pub fn drain(&mut self, each: &mut dyn FnMut(Event)) -> Result<bool, TracefsError> {
        let count = self.instance.read(&mut self.space)?;
        self.stream
            .bytes(self.space.get(..count).unwrap_or_default());
        self.held += count;
        if self.held > 0 && (count == 0 || self.held >= MOST_HELD) {
            self.held = 0;
            self.waiting = Some(Instant::now());
            // Before what it may be the cause of.
            self.tell_missed(each);
            self.hand_on(each);
        } else if count == 0
            && self
                .waiting
                .is_some_and(|since| since.elapsed() >= STACK_COMES_WITHIN)
        {
            // Its stack would have come by now, and the machine may die before another event does.
            self.waiting = None;
            self.stream.complete();
            self.hand_on(each);
        }
        Ok(count > 0)
    }

    /// Records nothing more, and hands on the rest.
    pub fn finish(&mut self, each: &mut dyn FnMut(Event)) -> Result<(), TracefsError> {
        self.instance.stop()?;
        while self.drain(each)? {}
        self.stream.end();
        self.hand_on(each);
        self.tell_missed(each);
        let lost: u64 = self.instance.lost().iter().map(|(_, count)| count).sum();
        // What the kernel has reported in its place is no loss a second time.
        let rest = lost.saturating_sub(self.lost_told);
        if rest > 0 {
            self.lost_told = lost;
            each(self.loss(rest, LossCause::RingFull));
        }
        Ok(())
    }

    /// What found no room, by CPU.
    #[must_use]
    pub fn lost(&self) -> Vec<(usize, u64)> {
        self.instance.lost()
    }

    fn hand_on(&mut self, each: &mut dyn FnMut(Event)) {
        let (lost_told, last) = (&mut self.lost_told, &mut self.last);
        self.stream.for_each(&mut |event| {
            *last = event.time;
            if let EventKind::Loss(loss) = &event.kind {
                *lost_told += loss.count;
            }
            each(event);
        });
    }

    /// A return that was not observed leaves no gap in the buffer: only its count says.
    fn tell_missed(&mut self, each: &mut dyn FnMut(Event)) {
        let missed = self.instance.missed();
        let more = missed.saturating_sub(self.missed_told);
        if more > 0 {
            self.missed_told = missed;
            each(self.loss(more, LossCause::ProbeSkipped));
        }
    }

    fn loss(&self, count: u64, cause: LossCause) -> Event {
        Event {
            time: self.last,
            task: Task::default(),
            cpu: 0,
            device: DeviceAddress::NONE,
            stack: None,
            kind: EventKind::Loss(Loss { count, cause }),
        }
    }
}

/// What an instance with this setup sees.
fn coverage(setup: &Setup, instance: &Instance) -> Coverage {
    let recorded: Vec<Hook> = instance
        .events()
        .iter()
        .filter_map(|event| text::hook_of_event(event))
        .collect();
    let adders = recorded.contains(&Hook::AddDr);
    let hooks: Vec<HookCoverage> = Hook::ALL
        .into_iter()
        .map(|hook| {
            let seen = match hook {
                Hook::DevresLog => setup.tracepoint,
                _ => recorded.contains(&hook),
            };
            let state = if seen {
                HookState::Attached(Attachment::Recorded)
            } else {
                let refused = instance
                    .refused()
                    .iter()
                    .find(|refused| refused.starts_with(hook.symbol()));
                HookState::Missing(
                    refused
                        .cloned()
                        .unwrap_or_else(|| "ftrace does not record it".to_owned()),
                )
            };
            HookCoverage { hook, state }
        })
        .collect();
    Coverage {
        untold: untold(setup, &hooks),
        unread_switches: Vec::new(),
        hooks,
        nodes: if setup.tracepoint {
            NodeEvents::Logged
        } else {
            NodeEvents::Concluded
        },
        // `add_dr` gives the address of each node whose hash the tracepoint prints.
        node_addresses: if adders {
            Addresses::Real
        } else {
            Addresses::Hashed
        },
        device_addresses: Addresses::Real,
        times: true,
        stacks: instance.stacks(),
        before: Before::Unknown(
            "ftrace does not show the resources from before it started".to_owned(),
        ),
    }
}

/// What the events of this setup don't say about their calls.
fn untold(setup: &Setup, hooks: &[HookCoverage]) -> Vec<Untold> {
    let attached = |hook: Hook| {
        let mut hooks = hooks.iter();
        hooks.any(|entry| entry.hook == hook && matches!(entry.state, HookState::Attached(_)))
    };
    let lacks = |hook: Hook, name: &str| {
        setup.shortfalls.iter().any(|shortfall| match shortfall {
            Shortfall::NoTypes => true,
            Shortfall::NoArgument(of, argument) => *of == hook && *argument == name,
            _ => false,
        })
    };
    // What lies in a resource is recorded at `add_dr`, for the tracepoint as well.
    let no_contents = !attached(Hook::AddDr) || lacks(Hook::AddDr, "w0");
    [
        (Hook::DevresLog, Role::Contents, no_contents),
        (Hook::AddDr, Role::Contents, no_contents),
        (Hook::PmDetach, Role::PmDomain, lacks(Hook::PmDetach, "pmd")),
        // A return probe has only what is returned.
        (Hook::Probe, Role::PmDomain, true),
    ]
    .into_iter()
    .filter(|(hook, _, lacking)| *lacking && attached(*hook))
    .map(|(hook, role, _)| Untold {
        hook,
        role,
        reason: "ftrace does not record it".to_owned(),
    })
    .collect()
}
