//! Records from the ring buffer become events.

mod modules;
mod nodes;

use std::sync::Arc;

use tracer_ebpf::{
    Hook, Layout, Role, Trait,
    wire::{
        CallRecord, DeviceRecord, Header, Kind, NO_STACK, NamedCallRecord, PageRecord,
        STACK_BEFORE, StackRecord,
    },
};
use zerocopy::FromBytes;

use super::{
    pages::Pages, snapshot::Memory, stacks::Stacks, symbol_service::SymbolService, texts::Texts,
};
use crate::{
    event::{
        Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, Event, EventKind, Loss, LossCause,
        StackId, Task, Text, Time,
        raw_call::{Phase, RawCall, Reading},
    },
    kernel::ModuleLayout,
};
pub(super) use nodes::NodeFacts;

/// Turns records into events. One for each source, because records refer to earlier ones.
pub struct Decoder {
    layout: Layout,
    modules: Option<ModuleLayout>,
    /// Whether node events come from `devres_log`; else from the functions that it would be in.
    logged: bool,
    symbols: SymbolService,
    stacks: Stacks,
    texts: Texts,
    /// Symbol tables of modules whose own records are still to come.
    pages: Pages,
    /// The value of [`Header::lost`] in the last record.
    lost: u32,
    /// The latest time in a record.
    latest: Time,
    /// The stack that came in front of the next record of a task.
    stack_before: Option<(u32, StackId)>,
}

impl Decoder {
    /// A decoder for records of a kernel with this layout.
    #[must_use]
    pub fn new(
        layout: Layout,
        modules: Option<ModuleLayout>,
        logged: bool,
        symbols: SymbolService,
        stacks: Stacks,
    ) -> Self {
        Self {
            layout,
            modules,
            logged,
            symbols,
            stacks,
            texts: Texts::default(),
            pages: Pages::default(),
            lost: 0,
            latest: Time(0),
            stack_before: None,
        }
    }

    /// The symbols that the decoder resolves addresses with.
    pub fn symbols(&mut self) -> &mut SymbolService {
        &mut self.symbols
    }

    /// When a record was written; zero where that can't be read.
    pub(super) fn time(record: &[u8]) -> Time {
        Time(Header::read_from_prefix(record).map_or(0, |(header, _)| header.time))
    }

    /// Decodes one record and hands the events it stands for to `sink`, in order: often one, more where a
    /// stack must be defined first or records were lost before this one.
    /// What a record refers to is looked up in `memory`.
    pub fn decode(&mut self, record: &[u8], memory: &mut dyn Memory, sink: &mut impl FnMut(Event)) {
        let Ok((header, _)) = Header::read_from_prefix(record) else {
            undecodable(sink, Time(0));
            return;
        };
        // A probe takes its record's place in the buffer before the time. A processor that stands still in between, as one
        // of a virtual machine may, makes the record look younger than what others write behind it: the place is right.
        let time = if header.time < self.latest.0 {
            Time(self.latest.0.saturating_add(1))
        } else {
            Time(header.time)
        };
        self.latest = time;
        let sink = &mut |mut event: Event| {
            event.time = time;
            sink(event);
        };
        let lost = header.lost.wrapping_sub(self.lost);
        if lost > 0 && lost < u32::MAX / 2 {
            self.lost = header.lost;
            sink(event(
                &header,
                None,
                EventKind::Loss(Loss {
                    count: u64::from(lost),
                    cause: LossCause::RingFull,
                }),
            ));
        }
        if self.record(&header, record, memory, sink).is_none() {
            undecodable(sink, time);
        }
    }

    /// The stacks, to define another.
    pub(super) fn stacks(&mut self) -> &mut Stacks {
        &mut self.stacks
    }

    /// Reports records that were lost after the last one that was decoded; `lost` is their number since
    /// the beginning.
    pub(super) fn account_for_loss(&mut self, lost: u64, time: Time, sink: &mut impl FnMut(Event)) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the probes count modulo 2^32"
        )]
        let since = (lost as u32).wrapping_sub(self.lost);
        if since > 0 && since < u32::MAX / 2 {
            self.lost = self.lost.wrapping_add(since);
            sink(Event::loss(time, u64::from(since), LossCause::RingFull));
        }
    }

    fn record(
        &mut self,
        header: &Header,
        record: &[u8],
        memory: &mut dyn Memory,
        sink: &mut impl FnMut(Event),
    ) -> Option<()> {
        let hook = Hook::from_number(header.hook)?;
        match Kind::from_number(header.kind)? {
            Kind::Device => {
                let identity = self.identity(record)?;
                sink(event(header, None, EventKind::Device(Arc::new(identity))));
            }
            Kind::Add => {
                let node = self.added(record)?;
                let stack = self.stack(header, sink);
                sink(event(header, stack, EventKind::Add(node)));
            }
            kind @ (Kind::Remove | Kind::Release | Kind::Replace) => {
                let node = self.reference(record)?;
                let stack = self.stack(header, sink);
                let kind = match kind {
                    Kind::Remove => EventKind::Remove(node),
                    Kind::Release => EventKind::Release(node),
                    _ => EventKind::Replace(node),
                };
                sink(event(header, stack, kind));
            }
            Kind::Enter => {
                let (call, _) = CallRecord::read_from_prefix(record).ok()?;
                let stack = self.stack(header, sink);
                let kind = if hook.is_in(const { Hook::with(Trait::InMemory) }) {
                    let detail = CallDetail::Supply(self.known_by(hook, call.first));
                    Some(EventKind::Enter(Call { hook, detail }))
                } else {
                    raw_call(hook, Phase::Enter, &call).event(self.reading())
                };
                if let Some(kind) = kind {
                    sink(event(header, stack, kind));
                }
            }
            Kind::Leave => {
                let (call, _) = CallRecord::read_from_prefix(record).ok()?;
                if let Some(kind) = raw_call(hook, Phase::Leave, &call).event(self.reading()) {
                    sink(event(header, None, kind));
                }
            }
            Kind::EnterNamed => {
                let (call, _) = NamedCallRecord::read_from_prefix(record).ok()?;
                let name = self.texts.get(&call.name);
                let detail = name.map_or(CallDetail::None, CallDetail::Supply);
                let stack = self.stack(header, sink);
                sink(event(
                    header,
                    stack,
                    EventKind::Enter(Call { hook, detail }),
                ));
            }
            Kind::Stack => {
                let (stack, _) = StackRecord::read_from_prefix(record).ok()?;
                let (id, definition) = self.stacks.define(&stack.addresses, &mut self.symbols);
                if let Some(definition) = definition {
                    sink(event(header, None, EventKind::Stack(definition)));
                }
                self.stack_before = Some((header.tid, id));
            }
            Kind::Page => {
                let (page, _) = PageRecord::read_from_prefix(record).ok()?;
                self.pages.add(&page);
            }
            Kind::Module => self.module(header, record, memory, sink)?,
        }
        Some(())
    }

    fn identity(&mut self, record: &[u8]) -> Option<DeviceIdentity> {
        let (device, _) = DeviceRecord::read_from_prefix(record).ok()?;
        Some(DeviceIdentity {
            name: self.texts.get(&device.name),
            driver: self.texts.get(&device.driver),
            bus: self.texts.get(&device.bus),
            parent: DeviceAddress(device.parent),
        })
    }

    fn reading(&self) -> Reading {
        Reading {
            logged: self.logged,
            payload_offset: Some(u64::from(self.layout.payload)),
        }
    }

    /// The name of what something that lies in managed memory calls, or its number.
    fn known_by(&mut self, hook: Hook, word: u64) -> Text {
        /// Bits of a minor number in the kernel's `dev_t`.
        const MINOR_BITS: u32 = 20;
        if hook == Hook::CdevAdd {
            let (major, minor) = (word >> MINOR_BITS, word & ((1 << MINOR_BITS) - 1));
            return self.texts.of(&format!("{major}:{minor}"));
        }
        let function = self.symbols.function(word);
        self.texts
            .of(function.name.as_deref().unwrap_or("an unknown function"))
    }

    fn stack(&mut self, header: &Header, sink: &mut impl FnMut(Event)) -> Option<StackId> {
        match header.stack {
            NO_STACK => None,
            STACK_BEFORE => self
                .stack_before
                .take()
                .filter(|(tid, _)| *tid == header.tid)
                .map(|(_, id)| id),
            number => {
                let (id, definition) = self
                    .stacks
                    .resolve(u32::try_from(number).ok()?, &mut self.symbols)?;
                if let Some(definition) = definition {
                    sink(event(header, None, EventKind::Stack(definition)));
                }
                Some(id)
            }
        }
    }
}

/// What a record holds of a call. On entry its words are the first arguments behind the device.
fn raw_call(hook: Hook, phase: Phase, record: &CallRecord) -> RawCall {
    const WITH_PM_DOMAIN: u64 = Hook::with(Trait::PmDomain);
    let mut call = RawCall::new(hook, phase);
    match phase {
        Phase::Enter => {
            let roles = hook.description().arguments.iter();
            let roles = roles.skip(usize::from(hook.has_device()));
            for (role, word) in roles.zip([record.first, record.second]) {
                call.set(*role, word);
            }
        }
        Phase::Leave => call.set(Role::Returned, record.first),
    }
    // A kretprobe doesn't know its function's device.
    if hook.is_in(WITH_PM_DOMAIN) && record.header.device != 0 {
        call.set(Role::PmDomain, record.pm_domain);
        call.set(Role::Detach, record.pm_detach);
    }
    call
}

fn event(header: &Header, stack: Option<StackId>, kind: EventKind) -> Event {
    Event {
        time: Time(header.time),
        task: Task {
            tid: header.tid,
            tgid: header.tgid,
            comm: Comm::of_kernel(header.comm),
        },
        cpu: header.cpu,
        device: DeviceAddress(header.device),
        stack,
        kind,
    }
}

fn undecodable(sink: &mut impl FnMut(Event), time: Time) {
    sink(Event::loss(time, 1, LossCause::Undecodable));
}
