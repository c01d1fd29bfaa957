//! Records as the probes write them into the ring buffer: each is events, a loss, or nothing, and goes to the judge.

use std::sync::Arc;

use devres_tracer::{
    engine::Engine,
    event::{Event, EventKind, Hook, LossCause},
    kernel::ModuleLayout,
    rules::RuleSet,
    source::live::{Decoder, Memory, Stacks, SymbolService, Symbols, Unreadable},
};
use tracer_ebpf::{
    Layout,
    wire::{Header, Kind},
};
use zerocopy::{FromBytes as _, FromZeros as _};

use super::{Bound, Target};
use crate::support::whole;

pub(super) const TARGET: Target = Target {
    name: "wire",
    run,
    size: <[u8]>::len,
    held: Bound::new(16 << 20, 60),
    asked_for: Bound::new(16 << 20, 200),
};

/// A symbol table with functions at both ends of what an address can be.
const SYMBOLS: &str = "\
0000000000000001 t first
ffffffff81001000 t devm_action_release
ffffffff81002000 t dr_node_release
ffffffff81003000 t group_open_release
ffffffffc0001000 t drv_probe\t[drv]
ffffffffffffffff t last
";

/// Where a payload lies behind its node.
const PAYLOADS: [u32; 5] = [0, 24, 40, 128, u32::MAX];

/// Memory that answers everything, with words that mean nothing, until it has answered enough: it is no part of the input.
struct Noise {
    word: u64,
    left: usize,
}

/// Bytes of memory that are answered, within what the bounds allow besides the input.
const ANSWERED: usize = 1 << 18;

impl Memory for Noise {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let left = self.left.checked_sub(into.len());
        self.left = left.unwrap_or(0);
        if left.is_none() {
            return Err(Unreadable(address));
        }
        for byte in into {
            self.word = self
                .word
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(address | 1);
            // Tables of a size that a module may have, now and then.
            let small = self.word.is_multiple_of(4);
            *byte = if small { 0 } else { self.word.to_le_bytes()[7] };
        }
        Ok(())
    }
}

fn decoder(modules: bool, payload: u32) -> Decoder {
    let mut layout = Layout::new_zeroed();
    layout.payload = payload;
    layout.module_text = u32::MAX;
    let modules = modules.then_some(ModuleLayout {
        kallsyms: u64::MAX,
        symbols: 0,
        count: 8,
        strings: u64::MAX,
    });
    let symbols = Symbols::read(SYMBOLS.as_bytes()).unwrap_or_default();
    let symbols = SymbolService::fixed(symbols);
    Decoder::new(layout, modules, true, symbols, Stacks::new(None))
}

/// The first two bytes say what kernel it is; then come records, each with its length in two bytes.
fn run(input: &[u8]) -> String {
    let (&[kernel, seed], mut rest) = input.split_first_chunk().unwrap_or((&[0, 0], &[]));
    let payload = PAYLOADS[usize::from(kernel / 2) % PAYLOADS.len()];
    let mut decoder = decoder(!kernel.is_multiple_of(2), payload);
    let mut memory = Noise {
        word: u64::from(seed),
        left: ANSWERED,
    };
    let mut engine = Engine::new(Arc::new(whole()), RuleSet::all());
    let mut lost = 0_u64;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (record, behind) = behind.split_at(length);
        rest = behind;
        let mut events = Vec::new();
        decoder.decode(record, &mut memory, &mut |event| events.push(event));
        assert!(
            is_known(record) || events.last().is_some_and(is_undecodable),
            "{events:?}"
        );
        for event in events {
            if let EventKind::Loss(loss) = &event.kind {
                lost = lost.saturating_add(loss.count);
            }
            engine.apply(&event);
        }
    }
    let outcome = engine.finish();
    assert_eq!(outcome.lost, lost);
    format!("{outcome:?}")
}

fn is_known(record: &[u8]) -> bool {
    Header::read_from_prefix(record).is_ok_and(|(header, _)| {
        Kind::from_number(header.kind).is_some() && Hook::from_number(header.hook).is_some()
    })
}

fn is_undecodable(event: &Event) -> bool {
    matches!(&event.kind, EventKind::Loss(loss) if loss.cause == LossCause::Undecodable)
}
