//! What the decoder makes of what a loaded module's record refers to: its symbols, and those at the ends of memory. What it
//! makes of any record is fuzzed (`tests/fuzz`).

use devres_tracer::{
    event::{Event, Hook, Time},
    kernel::ModuleLayout,
    source::live::{Decoder, Memory, NoMemory, Stacks, SymbolService, Symbols},
};
use tracer_ebpf::{
    Layout,
    wire::{CallRecord, Kind, ModuleRecord, PAGE, PageRecord},
};
use zerocopy::{FromZeros as _, IntoBytes as _};

/// A symbol table with functions at both ends of what an address can be.
const SYMBOLS: &str = "\
0000000000000001 t first
ffffffffffffffff t last
";

/// What comes of a record.
fn decoded(decoder: &mut Decoder, record: &[u8], memory: &mut dyn Memory) -> Vec<Event> {
    let mut events = Vec::new();
    decoder.decode(record, memory, &mut |event| events.push(event));
    events
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

#[test]
fn a_record_that_took_its_time_late_is_no_later_than_those_behind_it() {
    let mut decoder = sent_decoder();
    let mut times = Vec::new();
    for (cpu, time) in [(1, 100), (1, 5_000_200), (0, 300), (0, 400), (1, 5_000_500)] {
        let mut call = CallRecord::new_zeroed();
        call.header.kind = Kind::Enter as u8;
        call.header.hook = Hook::Delete as u8;
        call.header.tid = 7 + u32::from(cpu);
        call.header.cpu = cpu;
        call.header.time = time;
        let events = decoded(&mut decoder, call.as_bytes(), &mut NoMemory);
        times.extend(events.iter().map(|event| event.time));
    }
    let expected = [100, 5_000_200, 5_000_201, 5_000_202, 5_000_500];
    assert_eq!(times, expected.map(Time));
}
