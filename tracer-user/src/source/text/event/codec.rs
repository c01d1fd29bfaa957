//! Records in few bytes. What a record consists of is said once, for both directions.

use std::{borrow::Cow, num::NonZeroU32};

use super::{
    call::{Call, Release},
    entry::{Facts, NodeRecord, Record, RecordKind},
    names::NameId,
};
use crate::{
    event::{
        Hook, Role,
        raw_call::{Phase, RawCall},
    },
    source::text::record::resource::Operation,
    trace_file::bytes::{Cursor, Put as _, fold_sign, unfold_sign},
};

/// One direction.
trait Coder {
    fn word(&mut self, word: &mut u64);

    fn small<T: Copy + Default + Into<u64> + TryFrom<u64>>(&mut self, small: &mut T) {
        let mut word = (*small).into();
        self.word(&mut word);
        *small = T::try_from(word).unwrap_or_default();
    }

    fn name(&mut self, name: &mut Option<NameId>) {
        let mut word = name.map_or(0, |name| u64::from(name.number()));
        self.word(&mut word);
        *name = u32::try_from(word).ok().and_then(NameId::from_number);
    }

    /// Something that may be missing.
    fn optional<T: Copy + Default>(
        &mut self,
        optional: &mut Option<T>,
        code: impl FnOnce(&mut Self, &mut T),
    ) {
        let mut there = u64::from(optional.is_some());
        self.word(&mut there);
        *optional = (there != 0).then(|| {
            let mut value = optional.unwrap_or_default();
            code(self, &mut value);
            value
        });
    }
}

/// Encodes records.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Encoder {
    bytes: Writer,
    time: u64,
}

#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Coder for Writer {
    fn word(&mut self, word: &mut u64) {
        self.0.put_varint(*word);
    }
}

impl Encoder {
    pub(in crate::source::text) fn record(&mut self, record: &mut Record) {
        code_record(&mut self.bytes, &mut self.time, record);
    }

    pub(in crate::source::text) fn len(&self) -> usize {
        self.bytes.0.len()
    }

    pub(in crate::source::text) fn bytes(&self) -> &[u8] {
        &self.bytes.0
    }

    pub(in crate::source::text) fn into_bytes(self) -> Vec<u8> {
        self.bytes.0
    }
}

/// Decodes what one [`Encoder`] has encoded.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Decoder<'a> {
    bytes: Cow<'a, [u8]>,
    at: usize,
    time: u64,
}

impl<'a> Decoder<'a> {
    pub(in crate::source::text) fn new(bytes: Cow<'a, [u8]>) -> Self {
        Self {
            bytes,
            at: 0,
            time: 0,
        }
    }

    pub(in crate::source::text) fn record(&mut self) -> Record {
        let mut record = Record::default();
        let mut reader = Cursor::new(self.bytes.get(self.at..).unwrap_or_default());
        let before = reader.left();
        code_record(&mut reader, &mut self.time, &mut record);
        self.at += before - reader.left();
        record
    }
}

impl Coder for Cursor<'_> {
    fn word(&mut self, word: &mut u64) {
        *word = self.varint().unwrap_or_default();
    }
}

fn code_record(coder: &mut impl Coder, last: &mut u64, record: &mut Record) {
    let mut difference = fold_sign(record.time.wrapping_sub(*last));
    coder.word(&mut difference);
    record.time = last.wrapping_add(unfold_sign(difference));
    *last = record.time;
    coder.small(&mut record.task);
    coder.small(&mut record.cpu);
    let mut stack = record.stack.map_or(0, NonZeroU32::get);
    coder.small(&mut stack);
    record.stack = NonZeroU32::new(stack);
    let mut kind = match record.kind {
        RecordKind::Node(_) => 0,
        RecordKind::Call(_) => 1,
        RecordKind::Message(_) => 2,
        RecordKind::Lost(_) => 3,
    };
    let before = kind;
    coder.word(&mut kind);
    if kind != before {
        record.kind = match kind {
            0 => RecordKind::Node(NodeRecord::default()),
            1 => RecordKind::Call(Call::new(Hook::Probe, Phase::Enter)),
            2 => RecordKind::Message(0),
            _ => RecordKind::Lost(0),
        };
    }
    match &mut record.kind {
        RecordKind::Node(node) => code_node(coder, node),
        RecordKind::Call(call) => code_call(coder, call),
        RecordKind::Message(number) => coder.small(number),
        RecordKind::Lost(count) => coder.word(count),
    }
}

fn code_node(coder: &mut impl Coder, node: &mut NodeRecord) {
    let mut operation = match node.operation {
        Operation::Add => 0,
        Operation::Remove => 1,
        Operation::Release => 2,
        Operation::Replace => 3,
    };
    coder.word(&mut operation);
    node.operation = match operation {
        0 => Operation::Add,
        1 => Operation::Remove,
        2 => Operation::Release,
        _ => Operation::Replace,
    };
    let mut device = Some(node.device);
    coder.name(&mut device);
    node.device = device.unwrap_or_default();
    coder.name(&mut node.driver);
    coder.name(&mut node.name);
    coder.word(&mut node.size);
    coder.word(&mut node.node);
    coder.word(&mut node.real.device);
    coder.word(&mut node.real.node);
    coder.optional(&mut node.facts, code_facts);
}

fn code_facts(coder: &mut (impl Coder + ?Sized), facts: &mut Facts) {
    coder.optional(&mut facts.release, code_release);
    coder.word(&mut facts.payload);
    coder.optional(&mut facts.action, code_release);
    coder.optional(&mut facts.words, |coder, words| {
        words.iter_mut().for_each(|word| coder.word(word));
    });
    coder.word(&mut facts.action_data);
    coder.word(&mut facts.group);
}

fn code_release(coder: &mut (impl Coder + ?Sized), release: &mut Release) {
    let (mut symbol, mut module, mut address) = match *release {
        Release::Symbol(symbol, module) => (Some(symbol), module, 0),
        Release::Address(address) => (None, None, address),
    };
    coder.name(&mut symbol);
    coder.name(&mut module);
    coder.word(&mut address);
    *release = match symbol {
        Some(symbol) => Release::Symbol(symbol, module),
        None => Release::Address(address),
    };
}

fn code_call(coder: &mut impl Coder, call: &mut Call) {
    let mut hook = call.hook() as u8;
    coder.small(&mut hook);
    let mut returns = u64::from(call.returns());
    coder.word(&mut returns);
    let phase = if returns == 0 {
        Phase::Enter
    } else {
        Phase::Leave
    };
    let told: Vec<(Role, u64)> = call.raw.told().collect();
    let mut count = told.len() as u64;
    coder.word(&mut count);
    let mut raw = RawCall::new(Hook::from_number(hook).unwrap_or(Hook::Probe), phase);
    for place in 0..count {
        let (role, mut word) = usize::try_from(place)
            .ok()
            .and_then(|place| told.get(place).copied())
            .unwrap_or((Role::Device, 0));
        let mut role = role as u8;
        coder.small(&mut role);
        coder.word(&mut word);
        if let Some(role) = Role::ALL.get(usize::from(role)) {
            raw.set(*role, word);
        }
    }
    call.raw = raw;
    coder.word(&mut call.device);
    coder.name(&mut call.name);
    coder.name(&mut call.driver);
    coder.name(&mut call.bus);
    coder.word(&mut call.node);
    coder.optional(&mut call.release, code_release);
    coder.optional(&mut call.action, code_release);
    for word in &mut call.words {
        coder.optional(word, Coder::word);
    }
    coder.optional(&mut call.of, |coder, (device, name)| {
        coder.word(device);
        coder.name(name);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> NameId {
        NameId::from_number(number).unwrap()
    }

    #[test]
    fn every_record_comes_back() {
        let node = NodeRecord {
            operation: Operation::Release,
            device: name(3),
            driver: Some(name(300)),
            name: None,
            size: 40,
            node: 0xff11_0000_1234_5678,
            ..NodeRecord::default()
        };
        let mut added = NodeRecord {
            operation: Operation::Add,
            ..node
        };
        added.real.device = u64::MAX;
        added.real.node = 7;
        added.facts = Some(Facts {
            release: Some(Release::Symbol(name(1), Some(name(2)))),
            payload: 1,
            action: Some(Release::Address(0xffff_ffff_8100_0000)),
            words: Some([1, u64::MAX]),
            action_data: 2,
            group: 3,
        });
        let mut call = Call::new(Hook::PmDetach, Phase::Leave);
        call.raw.set(Role::PmDomain, 5);
        call.raw.set(Role::Returned, u64::MAX);
        call.device = 9;
        call.name = Some(name(8));
        call.words = [Some(1), None];
        call.of = Some((4, Some(name(5))));
        let kinds = [
            RecordKind::Node(node),
            RecordKind::Node(added),
            RecordKind::Call(call),
            RecordKind::Call(Call::new(Hook::AddDr, Phase::Enter)),
            RecordKind::Message(12),
            RecordKind::Lost(u64::MAX),
        ];
        let mut encoder = Encoder::default();
        let mut records = Vec::new();
        for (time, kind) in [1_000, 900, u64::MAX, 0, 5, 5].into_iter().zip(kinds) {
            let mut record = Record {
                time,
                task: 70_000,
                cpu: 3,
                stack: NonZeroU32::new(6),
                kind,
            };
            encoder.record(&mut record);
            records.push(record);
        }
        let mut decoder = Decoder::new(Cow::Borrowed(encoder.bytes()));
        for record in records {
            assert_eq!(decoder.record(), record);
        }
    }
}
