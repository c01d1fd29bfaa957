//! The decoder takes whatever lies in the ring buffer: events or a loss come of it, and nothing breaks, neither here nor
//! in what the events go through.

use std::sync::Arc;

use devres_tracer::{
    engine::Engine,
    event::{Event, EventKind, Hook, LossCause},
    evidence::{Attachment, Before, Coverage, HookCoverage, HookState},
    kernel::ModuleLayout,
    rules::RuleSet,
    source::live::{Decoder, Memory, NoMemory, Stacks, SymbolService, Symbols, Unreadable},
};
use proptest::{collection::vec, prelude::*};
use tracer_ebpf::{
    Layout,
    wire::{
        AddRecord, CallRecord, DeviceRecord, Header, Kind, ModuleRecord, NodeRecord, PAGE,
        PageRecord, StackRecord,
    },
};
use zerocopy::{FromBytes as _, FromZeros as _, IntoBytes as _};

/// A symbol table with functions at both ends of what an address can be.
const SYMBOLS: &str = "\
0000000000000001 t first
ffffffff81001000 t devm_action_release
ffffffff81002000 t dr_node_release
ffffffff81003000 t group_open_release
ffffffffc0001000 t drv_probe\t[drv]
ffffffffffffffff t last
";

/// Memory that answers everything, with words that mean nothing.
#[derive(Debug, Clone, Copy)]
struct Noise(u64);

impl Memory for Noise {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        for byte in into {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(address | 1);
            *byte = (self.0 >> 56) as u8;
            // Tables of a size that a module may have, now and then.
            if self.0.is_multiple_of(4) {
                *byte = 0;
            }
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

/// Numbers as they break things: at the ends, around known functions, and any.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => any::<u64>(),
        2 => prop::sample::select(vec![
            0,
            1,
            u64::MAX,
            u64::MAX - 1,
            u64::MAX - 40,
            1 << 63,
            0xffff_ffff_8100_1000,
            0xffff_ffff_8100_2000,
            0xffff_ffff_8100_3000,
            0xffff_ffff_c000_1000,
        ]),
        2 => 0_u64..64,
    ]
}

/// A record that begins with a header of which kind and hook exist, and goes on with anything.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let sizes = [
        size_of::<CallRecord>(),
        size_of::<AddRecord>() + 24,
        size_of::<NodeRecord>() + 24,
        size_of::<DeviceRecord>(),
        size_of::<StackRecord>(),
        size_of::<ModuleRecord>(),
    ];
    let longest = sizes.into_iter().max().unwrap_or_default();
    (
        (
            0_u8..=11,
            0_u8..=40,
            prop::sample::select(vec![-2, -1, 0, 7]),
            any::<u32>(),
        ),
        (1_u32..4, word(), word()),
        vec(word(), longest / 8),
        0..=longest,
    )
        .prop_map(
            |((kind, hook, stack, lost), (task, time, device), words, length)| {
                let mut header = Header::new_zeroed();
                header.time = time;
                header.device = device;
                header.tid = task;
                header.tgid = task;
                header.stack = stack;
                header.lost = lost & 3;
                header.kind = kind;
                header.hook = hook;
                let mut bytes = header.as_bytes().to_vec();
                bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
                bytes.truncate(length.max(8));
                bytes
            },
        )
}

fn coverage() -> Coverage {
    let hooks = Hook::ALL.into_iter().map(|hook| HookCoverage {
        hook,
        state: HookState::Attached(Attachment::Fentry),
    });
    Coverage {
        hooks: hooks.collect(),
        stacks: true,
        times: true,
        before: Before::Snapshot,
        ..Coverage::default()
    }
}

/// What comes of a record.
fn decoded(decoder: &mut Decoder, record: &[u8], memory: &mut dyn Memory) -> Vec<Event> {
    let mut events = Vec::new();
    decoder.decode(record, memory, &mut |event| events.push(event));
    events
}

fn is_undecodable(event: &Event) -> bool {
    matches!(&event.kind, EventKind::Loss(loss) if loss.cause == LossCause::Undecodable)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_events_or_a_loss(records in vec(vec(any::<u8>(), 0..400), 1..20)) {
        let mut decoder = decoder(true, 40);
        for record in &records {
            let events = decoded(&mut decoder, record, &mut NoMemory);
            let known = Header::read_from_prefix(record).is_ok_and(|(header, _)| {
                Kind::from_number(header.kind).is_some() && Hook::from_number(header.hook).is_some()
            });
            if !known {
                prop_assert!(events.last().is_some_and(is_undecodable), "{:?}", events);
            }
        }
    }

    #[test]
    fn any_record_goes_through_the_judge(
        records in vec(record(), 1..40),
        modules: bool,
        payload in prop::sample::select(vec![0, 24, 40, 128, u32::MAX]),
        seed: u64,
    ) {
        let mut decoder = decoder(modules, payload);
        let mut engine = Engine::new(Arc::new(coverage()), RuleSet::all());
        let mut memory = Noise(seed);
        let mut lost = 0;
        for record in &records {
            for event in decoded(&mut decoder, record, &mut memory) {
                if let EventKind::Loss(loss) = &event.kind {
                    lost += loss.count;
                }
                engine.apply(&event);
            }
        }
        prop_assert_eq!(engine.finish().lost, lost);
    }
}

/// Where the module of the test below has its symbols, and where its functions begin.
const TABLE: u64 = 0xffff_ffff_c010_0000;
const INIT: u64 = 0xffff_ffff_c020_0000;
const ACTION: u64 = 0xffff_ffff_c000_5000;

/// A module's symbol table as the kernel lays it out: symbols, names, and what shows where they are, over two pages.
fn table() -> Vec<PageRecord> {
    let symbol = |name: u32, kind: u8, address: u64, size: u64| {
        let mut bytes = name.to_ne_bytes().to_vec();
        bytes.extend([kind, 0, 1, 0]);
        bytes.extend([address, size].iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    };
    let symbols = [
        symbol(0, 0, 0, 0),
        symbol(1, 2, INIT, 64),
        symbol(11, 2, ACTION, 16),
        // What every module has besides, and it is the same function.
        symbol(23, 0x12, INIT, 64),
    ]
    .concat();
    // The names begin so that the page ends within them.
    let names = PAGE - 14;
    let mut bytes = symbols;
    bytes.resize(names, 0);
    bytes.extend(b"\0acme_init\0acme_action\0init_module\0");
    bytes.resize(PAGE + 512, 0);
    let structure = [TABLE, 4, TABLE + names as u64];
    bytes.extend(structure.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.resize(2 * PAGE, 0);
    let pages = bytes.as_chunks::<PAGE>().0.iter().zip(0..);
    pages
        .map(|(bytes, number)| {
            let mut page = PageRecord::new_zeroed();
            page.header.kind = Kind::Page as u8;
            page.header.hook = Hook::ModuleLoad as u8;
            page.header.tid = 7;
            page.address = TABLE + number * PAGE as u64;
            page.bytes = *bytes;
            page
        })
        .collect()
}

fn loaded() -> ModuleRecord {
    let mut module = ModuleRecord::new_zeroed();
    module.header.kind = Kind::Module as u8;
    module.header.hook = Hook::ModuleLoad as u8;
    module.header.tid = 7;
    module.symbols = TABLE + PAGE as u64 + 512;
    module.text = ACTION & !0xfff;
    module.text_size = 0x2000;
    module.init_text = INIT;
    module.init_text_size = 0x1000;
    module.name[..4].copy_from_slice(b"acme");
    module
}

fn sent_decoder() -> Decoder {
    let layout = ModuleLayout {
        kallsyms: 0,
        symbols: 0,
        count: 8,
        strings: 16,
    };
    let symbols = Symbols::read(SYMBOLS.as_bytes()).unwrap_or_default();
    Decoder::new(
        Layout::new_zeroed(),
        Some(layout),
        true,
        SymbolService::fixed(symbols),
        Stacks::new(None),
    )
}

#[test]
fn a_module_that_is_gone_already_has_the_symbols_that_the_probe_has_sent() {
    let mut decoder = sent_decoder();
    for page in table() {
        assert_eq!(decoded(&mut decoder, page.as_bytes(), &mut NoMemory), []);
    }
    assert_eq!(
        decoded(&mut decoder, loaded().as_bytes(), &mut NoMemory),
        []
    );
    let symbols = decoder.symbols();
    let name = |symbols: &mut SymbolService, address| symbols.function(address).to_string();
    assert_eq!(name(symbols, ACTION), "acme_action [acme]");
    // The kernel prints the first of two names.
    assert_eq!(name(symbols, INIT + 0x20), "acme_init [acme]");
}

#[test]
fn a_table_that_came_in_part_or_from_another_task_names_nothing() {
    let whole = table();
    let mut other = table();
    for page in &mut other {
        page.header.tid = 8;
    }
    for pages in [&whole[..1], &whole[1..], &other[..]] {
        let mut decoder = sent_decoder();
        for page in pages {
            decoded(&mut decoder, page.as_bytes(), &mut NoMemory);
        }
        decoded(&mut decoder, loaded().as_bytes(), &mut NoMemory);
        let action = decoder.symbols().function(ACTION);
        assert_eq!(action.name, None);
        assert_eq!(action.module.as_deref(), Some("acme"));
    }
}

#[test]
fn symbols_at_the_ends_of_memory_are_found_or_not_and_nothing_overflows() {
    let mut symbols = Symbols::read(SYMBOLS.as_bytes()).unwrap_or_default();
    for address in [0, 1, 2, u64::MAX, u64::MAX - 1] {
        let frame = symbols.frame(address);
        assert_eq!(frame.address, address);
    }
    assert_eq!(symbols.function(u64::MAX).name.as_deref(), Some("last"));
    assert_eq!(symbols.function(1).name.as_deref(), Some("first"));
}
