//! Modules that come and go, and what their functions are called.

use tracer_ebpf::{
    Hook,
    wire::{Header, ModuleRecord},
};
use zerocopy::FromBytes;

use super::{
    super::{module_symbols, pages::OfTask, snapshot::Memory, symbols::ModuleSymbols},
    Decoder, event,
};
use crate::event::{Event, EventKind, ModuleCode};

impl Decoder {
    /// A module was loaded, or freed.
    pub(super) fn module(
        &mut self,
        header: &Header,
        record: &[u8],
        memory: &mut dyn Memory,
        sink: &mut impl FnMut(Event),
    ) -> Option<()> {
        let (module, _) = ModuleRecord::read_from_prefix(record).ok()?;
        let name = self.texts.get(&module.name)?;
        let range = |begin, size| (size > 0).then_some(ModuleCode { begin, size });
        let code = range(module.text, module.text_size);
        let init = range(module.init_text, module.init_text_size);
        // Either way what an address in module space means is not what it meant before.
        self.stacks.forget_modules();
        if Hook::from_number(header.hook) == Some(Hook::ModuleLoad) {
            let sent = self.pages.take(header.tid);
            let there = ModuleSymbols {
                name,
                code,
                init,
                functions: Vec::new(),
            };
            self.loaded(&module, there, sent, memory);
        } else {
            self.symbols.remove_module(&name);
            let kind = EventKind::ModuleFree { module: name, code };
            sink(event(header, None, kind));
        }
        Some(())
    }

    /// A module was loaded. By now it may be gone already, and its memory another's: what the probe has `sent` of
    /// its symbol table is sure, and only where that is not whole `memory` is read.
    fn loaded(
        &mut self,
        record: &ModuleRecord,
        module: ModuleSymbols,
        mut sent: OfTask,
        memory: &mut dyn Memory,
    ) {
        let read = |memory: &mut dyn Memory, table| {
            module_symbols::read(memory, self.modules.as_ref()?, table).ok()
        };
        if let Some(functions) = read(&mut sent, record.symbols) {
            self.symbols.add_module(ModuleSymbols {
                functions,
                ..module
            });
            return;
        }
        let place = record
            .module
            .wrapping_add(u64::from(self.layout.module_text));
        let is_there = |memory: &mut dyn Memory| {
            module
                .code
                .is_none_or(|code| memory.word(place).is_ok_and(|begin| begin == code.begin))
        };
        let was_there = is_there(memory);
        let functions = self
            .modules
            .filter(|_| was_there)
            .and_then(|layout| module_symbols::table(memory, &layout, record.module).ok())
            .and_then(|table| read(memory, table))
            .filter(|_| is_there(memory));
        if let Some(functions) = functions {
            self.symbols.add_module(ModuleSymbols {
                functions,
                ..module
            });
            return;
        }
        if module.code.is_some() {
            self.symbols.add_module(module);
        }
        if was_there {
            self.symbols.read_again();
        }
    }
}
