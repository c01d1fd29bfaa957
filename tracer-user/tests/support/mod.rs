//! Events for tests, told like a story: one call per thing that happens in the kernel.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test program uses its own part of it, and a helper of tests may fail like one"
)]

pub(crate) mod devres;

use std::sync::Arc;

use devres_tracer::{
    engine::{Engine, Outcome},
    event::{
        AddedNode, Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, DeviceSnapshot, Event,
        EventKind, Function, GroupId, Hook, Loss, LossCause, NodeAddress, NodeReference, PmDomain,
        Return, StackDefinition, StackFrame, StackId, Task, Text, Time,
    },
    evidence::{Addresses, Attachment, Before, Coverage, HookCoverage, HookState, NodeEvents},
    finding::{Finding, Severity},
    model::{Change, Changes, Device, Model},
    rules::RuleSet,
};

/// A PM domain that is really detached.
pub(crate) const DOMAIN: PmDomain = PmDomain {
    domain: 0xffff_ffff_82b9_fc20,
    detach: 0xffff_ffff_815f_0ba0,
};
/// No PM domain.
pub(crate) const NO_DOMAIN: PmDomain = PmDomain {
    domain: 0,
    detach: 0,
};

/// A source that saw everything from the beginning, by fentry and the tracepoint.
pub(crate) fn whole() -> Coverage {
    Coverage {
        hooks: Hook::ALL
            .into_iter()
            .map(|hook| HookCoverage {
                hook,
                state: HookState::Attached(Attachment::Fentry),
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

/// Like [`whole`], with hooks that another tool recorded without their returns.
pub(crate) fn recorded() -> Coverage {
    let mut coverage = whole();
    for entry in &mut coverage.hooks {
        entry.state = HookState::Attached(Attachment::Recorded);
    }
    coverage.before = Before::Unknown("the text begins in the middle".to_owned());
    coverage
}

/// Kernel 5.10: no tracepoint, neither `device_remove` nor `device_unbind_cleanup`.
pub(crate) fn reduced() -> Coverage {
    let mut coverage = whole();
    coverage.nodes = NodeEvents::Concluded;
    without(coverage, &[Hook::DevresLog, Hook::Remove, Hook::Cleanup])
}

/// The coverage without these hooks.
pub(crate) fn without(mut coverage: Coverage, hooks: &[Hook]) -> Coverage {
    for entry in &mut coverage.hooks {
        if hooks.contains(&entry.hook) {
            entry.state = HookState::Missing("not on this kernel".to_owned());
        }
    }
    coverage
}

/// Events, in the order of telling, a microsecond apart unless told otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    time: u64,
    task: Task,
    stack: Option<StackId>,
    stacks: u32,
}

/// A device in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dev(pub(crate) u64);

impl Dev {
    pub(crate) fn address(self) -> DeviceAddress {
        DeviceAddress(self.0)
    }
}

impl Story {
    pub(crate) fn new() -> Self {
        let mut story = Self {
            time: 1_000_000_000,
            ..Self::default()
        };
        story.task("init", 1);
        story
    }

    /// What follows happens on this task.
    pub(crate) fn task(&mut self, comm: &str, tid: u32) -> &mut Self {
        self.task = Task {
            tid,
            tgid: tid,
            comm: Comm::new(comm),
        };
        self
    }

    /// What follows happens this much later.
    pub(crate) fn wait(&mut self, microseconds: u64) -> &mut Self {
        self.time += microseconds * 1_000;
        self
    }

    /// The next event has this stack, given innermost first.
    pub(crate) fn stack(&mut self, frames: &[&str]) -> &mut Self {
        self.stacks += 1;
        let id = StackId(self.stacks);
        let frames: Vec<_> = frames
            .iter()
            .map(|frame| {
                let (name, module) = match frame.split_once('@') {
                    Some((name, module)) => (name, Some(Text::from(module))),
                    None => (*frame, None),
                };
                let (name, offset) = match name.split_once('+') {
                    Some((name, offset)) => (name, offset.parse().unwrap()),
                    None => (name, 0x2b),
                };
                StackFrame {
                    address: 0,
                    function: Some(Arc::new(Function {
                        address: 0,
                        name: Some(Text::from(name)),
                        module,
                    })),
                    offset,
                    line: None,
                }
            })
            .collect();
        let definition = StackDefinition {
            id,
            frames: frames.into(),
        };
        self.push(Dev(0), EventKind::Stack(definition));
        self.stack = Some(id);
        self
    }

    pub(crate) fn push(&mut self, device: Dev, kind: EventKind) -> &mut Self {
        self.time += 1_000;
        let stack = match kind {
            // The marker that it adds has the same.
            EventKind::Enter(Call {
                hook: Hook::OpenGroup,
                ..
            }) => self.stack,
            EventKind::Add(_) | EventKind::Enter(_) | EventKind::Message(_) => self.stack.take(),
            _ => None,
        };
        self.events.push(Event {
            time: Time(self.time),
            task: self.task,
            cpu: 0,
            device: device.address(),
            stack,
            kind,
        });
        self
    }

    pub(crate) fn named(&mut self, device: Dev, name: &str, bus: &str, driver: &str) -> &mut Self {
        let some = |text: &str| (!text.is_empty()).then(|| Text::from(text));
        let identity = DeviceIdentity {
            name: some(name),
            driver: some(driver),
            bus: some(bus),
            parent: DeviceAddress::NONE,
        };
        self.push(device, EventKind::Device(Arc::new(identity)))
    }

    pub(crate) fn call(&mut self, device: Dev, hook: Hook, detail: CallDetail) -> &mut Self {
        self.push(device, EventKind::Enter(Call { hook, detail }))
    }

    pub(crate) fn enter(&mut self, device: Dev, hook: Hook) -> &mut Self {
        self.call(device, hook, CallDetail::None)
    }

    pub(crate) fn leave(&mut self, device: Dev, hook: Hook) -> &mut Self {
        self.returned(device, hook, None)
    }

    pub(crate) fn returned(&mut self, device: Dev, hook: Hook, value: Option<i64>) -> &mut Self {
        let returned = Return {
            hook,
            value,
            pm: None,
            node: None,
        };
        self.push(device, EventKind::Leave(returned))
    }

    pub(crate) fn krealloc(&mut self, device: Dev, before: u64, after: u64) -> &mut Self {
        self.call(device, Hook::Krealloc, CallDetail::Pointer(before + 40));
        self.push(
            device,
            EventKind::Replace(reference(before, "devm_kzalloc_release", 40)),
        );
        let returned = Return {
            hook: Hook::Krealloc,
            value: Some(1),
            pm: None,
            node: Some(NodeAddress(after)),
        };
        self.push(device, EventKind::Leave(returned))
    }

    pub(crate) fn add(&mut self, device: Dev, node: u64, name: &str, size: u64) -> &mut Self {
        self.push(device, EventKind::Add(added(node, name, size)))
    }

    /// An action as kernels before 6.4 log it: only its function says what it is.
    pub(crate) fn add_action(&mut self, device: Dev, node: u64, function: &str) -> &mut Self {
        let (name, module) = match function.split_once('@') {
            Some((name, module)) => (name, Some(Text::from(module))),
            None => (function, None),
        };
        let mut action = added(node, "devm_action_release", 16);
        action.function = Some(Arc::new(Function {
            address: 0xffff_ffff_c000_0000 + name.len() as u64,
            name: Some(Text::from(name)),
            module,
        }));
        action.action_data = 0xff11_0000_0699_0000;
        self.push(device, EventKind::Add(action))
    }

    pub(crate) fn rem(&mut self, device: Dev, node: u64, name: &str, size: u64) -> &mut Self {
        self.push(device, EventKind::Remove(reference(node, name, size)))
    }

    pub(crate) fn rel(&mut self, device: Dev, node: u64, name: &str, size: u64) -> &mut Self {
        self.push(device, EventKind::Release(reference(node, name, size)))
    }

    pub(crate) fn open_group(&mut self, device: Dev, id: u64, node: u64) -> &mut Self {
        self.call(device, Hook::OpenGroup, CallDetail::Group(GroupId(id)));
        let mut marker = added(node, "grp<", 0);
        marker.group = Some(GroupId(if id == 0 { node } else { id }));
        self.push(device, EventKind::Add(marker))
    }

    pub(crate) fn close_group(&mut self, device: Dev, id: u64, node: u64) -> &mut Self {
        self.call(device, Hook::CloseGroup, CallDetail::Group(GroupId(id)));
        self.add(device, node + 0x28, "grp>", 0)
    }

    pub(crate) fn remove_group(&mut self, device: Dev, id: u64, node: u64) -> &mut Self {
        self.call(device, Hook::RemoveGroup, CallDetail::Group(GroupId(id)));
        self.rem(device, node, "grp<", 0)
    }

    pub(crate) fn release_group(&mut self, device: Dev, id: u64) -> &mut Self {
        self.call(device, Hook::ReleaseGroup, CallDetail::Group(GroupId(id)))
    }

    pub(crate) fn pm(&mut self, device: Dev, hook: Hook, domain: PmDomain) -> &mut Self {
        self.call(device, hook, CallDetail::Pm(domain))
    }

    /// `dev_pm_domain_attach`, which finds a domain.
    pub(crate) fn attach(&mut self, device: Dev) -> &mut Self {
        self.pm(device, Hook::PmAttach, NO_DOMAIN);
        let returned = Return {
            hook: Hook::PmAttach,
            value: Some(0),
            pm: Some(DOMAIN),
            node: None,
        };
        self.push(device, EventKind::Leave(returned))
    }

    /// `dev_pm_domain_detach` of a domain.
    pub(crate) fn detach(&mut self, device: Dev) -> &mut Self {
        self.pm(device, Hook::PmDetach, DOMAIN)
            .leave(device, Hook::PmDetach)
    }

    /// The probe succeeds.
    pub(crate) fn bound(&mut self, device: Dev) -> &mut Self {
        self.enter(device, Hook::Bound)
            .returned(device, Hook::Probe, Some(0))
    }

    /// An unbind up to where resources are released; `remove` does nothing to them.
    pub(crate) fn begin_unbind(&mut self, device: Dev) -> &mut Self {
        self.enter(device, Hook::Unbind)
            .enter(device, Hook::Remove)
            .leave(device, Hook::Remove)
            .enter(device, Hook::Cleanup)
            .enter(device, Hook::ReleaseAll)
    }

    /// The end of an unbind, in which so many were released.
    pub(crate) fn end_unbind(&mut self, device: Dev, released: i64) -> &mut Self {
        self.returned(device, Hook::ReleaseAll, Some(released))
            .leave(device, Hook::Cleanup)
            .leave(device, Hook::Unbind)
    }

    /// The last reference goes.
    pub(crate) fn last_put(&mut self, device: Dev) -> &mut Self {
        self.enter(device, Hook::FinalPut)
            .leave(device, Hook::FinalPut)
    }

    /// The two nodes that pin control adds and removes on every probe.
    pub(crate) fn pinctrl(&mut self, device: Dev) -> &mut Self {
        self.add(device, 0xa5_cde0, "devm_kzalloc_release", 40)
            .add(device, 0x99_6880, "devm_pinctrl_release", 8)
            .rem(device, 0x99_6880, "devm_pinctrl_release", 8)
            .rem(device, 0xa5_cde0, "devm_kzalloc_release", 40)
    }

    /// `devres_release_all` with nothing to release.
    pub(crate) fn release_nothing(&mut self, device: Dev) -> &mut Self {
        self.enter(device, Hook::ReleaseAll)
            .returned(device, Hook::ReleaseAll, Some(0))
    }

    pub(crate) fn snapshot(&mut self, device: Dev, driver: &str, nodes: &[AddedNode]) -> &mut Self {
        let some = |text: &str| (!text.is_empty()).then(|| Text::from(text));
        let snapshot = DeviceSnapshot {
            identity: DeviceIdentity {
                name: Some(Text::from("snapped")),
                driver: some(driver),
                bus: Some(Text::from("platform")),
                parent: DeviceAddress::NONE,
            },
            nodes: nodes.to_vec(),
            pm: DOMAIN,
            consistent: true,
        };
        self.push(device, EventKind::Snapshot(Box::new(snapshot)))
    }

    pub(crate) fn lose(&mut self, count: u64) -> &mut Self {
        let loss = Loss {
            count,
            cause: LossCause::RingFull,
        };
        self.push(Dev(0), EventKind::Loss(loss))
    }

    /// All changes of the story, and the model after it.
    pub(crate) fn run(&self, coverage: Coverage) -> (Vec<Changes>, Model) {
        let mut model = Model::new(Arc::new(coverage));
        let changes = self.events.iter().map(|event| model.apply(event)).collect();
        (changes, model)
    }

    /// What one rule has to say.
    pub(crate) fn judge_by(&self, rule: &str, coverage: Coverage) -> Outcome {
        let rules = RuleSet::all().only(&[rule]).unwrap();
        let mut engine = Engine::new(Arc::new(coverage), rules);
        for event in &self.events {
            engine.apply(event);
        }
        engine.finish()
    }

    /// What all rules have to say.
    pub(crate) fn judge(&self, coverage: Coverage) -> Outcome {
        let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
        for event in &self.events {
            engine.apply(event);
        }
        engine.finish()
    }
}

pub(crate) fn added(node: u64, name: &str, size: u64) -> AddedNode {
    AddedNode {
        node: NodeAddress(node),
        name: Some(Text::from(name)),
        size: Some(size),
        ..AddedNode::default()
    }
}

pub(crate) fn reference(node: u64, name: &str, size: u64) -> NodeReference {
    NodeReference {
        node: NodeAddress(node),
        name: Some(Text::from(name)),
        size: Some(size),
    }
}

/// The addresses on a device's list, oldest first.
pub(crate) fn list(model: &Model, device: Dev) -> Vec<u64> {
    model
        .device(device.address())
        .into_iter()
        .flat_map(Device::nodes)
        .map(|(_, node)| node.address().0)
        .collect()
}

pub(crate) fn desyncs(changes: &[Changes]) -> Vec<String> {
    changes
        .iter()
        .flatten()
        .filter_map(|change| match change {
            Change::Desynced(desync) => Some(desync.kind.to_string()),
            _ => None,
        })
        .collect()
}

/// The only finding, which must have this severity.
pub(crate) fn only(outcome: &Outcome, severity: Severity) -> &Finding {
    let [finding] = &outcome.findings[..] else {
        panic!("one finding expected: {:#?}", outcome.findings);
    };
    assert_eq!(finding.severity, severity, "{finding:#?}");
    finding
}
