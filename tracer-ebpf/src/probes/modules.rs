//! Modules that come and go, because symbols come and go with them.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::bpf_probe_read_kernel,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use tracer_ebpf::{
    Hook,
    wire::{Kind, ModuleRecord, NO_STACK, PAGE, PageRecord},
};

use crate::{
    arguments::{Context, kernel_string, kernel_word, words},
    maps::{MODULES_CHANGED, RECORDS, count, layout},
    preemption::uninterrupted,
    record::{begin, reserve},
};

/// `module_load(mod)`.
#[btf_tracepoint(function = "module_load")]
pub(crate) fn module_load(context: BtfTracePointContext) -> i32 {
    uninterrupted(|| module(context.as_ptr(), Hook::ModuleLoad))
}

/// `module_free(mod)`.
#[btf_tracepoint(function = "module_free")]
pub(crate) fn module_free(context: BtfTracePointContext) -> i32 {
    uninterrupted(|| module(context.as_ptr(), Hook::ModuleFree))
}

/// `module_load(mod)` without BTF.
#[raw_tracepoint(tracepoint = "module_load")]
pub(crate) fn raw_module_load(context: RawTracePointContext) -> i32 {
    uninterrupted(|| module(context.as_ptr(), Hook::ModuleLoad))
}

/// `module_free(mod)` without BTF.
#[raw_tracepoint(tracepoint = "module_free")]
pub(crate) fn raw_module_free(context: RawTracePointContext) -> i32 {
    uninterrupted(|| module(context.as_ptr(), Hook::ModuleFree))
}

#[inline(always)]
fn module(context: Context, hook: Hook) -> i32 {
    count(&MODULES_CHANGED);
    let [module] = words(context);
    let at = |offset: u32| module.wrapping_add(u64::from(offset));
    let name = at(layout!(module_name));
    let text = at(layout!(module_text));
    let init_text = at(layout!(module_init_text));
    let text_size = size(module, layout!(module_text_size));
    let init_text_size = size(module, layout!(module_init_text_size));
    let symbols = if hook as u8 == Hook::ModuleLoad as u8 && layout!(module_kallsyms) != 0 {
        kernel_word(at(layout!(module_kallsyms)))
    } else {
        0
    };
    if symbols != 0 {
        table(symbols);
    }
    let Some(mut entry) = reserve::<ModuleRecord>(hook) else {
        return 0;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    unsafe {
        begin(&raw mut (*record).header, Kind::Module, hook, 0, NO_STACK);
        (*record).module = module;
        (*record).symbols = symbols;
        (*record).text = kernel_word(text);
        (*record).text_size = text_size;
        (*record).init_text = kernel_word(init_text);
        (*record).init_text_size = init_text_size;
        kernel_string(name, &raw mut (*record).name);
    }
    // Where its table could not be sent, its symbols can be read for as long as it is there, which may be a moment.
    entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
    0
}

/// Sends the whole symbol table of a module that is about to be initialised, because one whose initialisation fails
/// is gone before userspace could read it. Symbols, names and the `struct mod_kallsyms` itself lie one behind the
/// other at the end of the module's initial data (`layout_symtab()`).
#[inline(never)]
fn table(symbols: u64) {
    /// A larger table is read by userspace: so large a module takes its time.
    const MOST_PAGES: u64 = 256;
    let page = |address: u64| address & !(PAGE as u64 - 1);
    let first = page(kernel_word(
        symbols.wrapping_add(u64::from(layout!(kallsyms_symtab))),
    ));
    // The structure may reach into one page more.
    let pages = (page(symbols).wrapping_sub(first) / PAGE as u64).wrapping_add(2);
    if pages > MOST_PAGES {
        return;
    }
    let mut sent = 0;
    while sent < MOST_PAGES && sent < pages {
        let address = first.wrapping_add(sent * PAGE as u64);
        // One that finds no room is no loss: userspace misses it and reads the table itself.
        if RECORDS.query(u64::from(BPF_RB_AVAIL_DATA)) >= u64::from(layout!(wake_up_at)) {
            return;
        }
        let Some(mut entry) = RECORDS.reserve::<PageRecord>(0) else {
            return;
        };
        let record = entry.as_mut_ptr();
        // SAFETY: the entry is as large as the record; the helper checks the address.
        let result = unsafe {
            begin(
                &raw mut (*record).header,
                Kind::Page,
                Hook::ModuleLoad,
                0,
                NO_STACK,
            );
            (*record).address = address;
            bpf_probe_read_kernel(
                (&raw mut (*record).bytes).cast(),
                PAGE as u32,
                address as *const _,
            )
        };
        if result != 0 {
            entry.discard(u64::from(BPF_RB_NO_WAKEUP));
            return;
        }
        entry.submit(u64::from(BPF_RB_NO_WAKEUP));
        sent += 1;
    }
}

/// The kernel's `unsigned int` at an offset that is zero where there is none.
#[inline(always)]
fn size(module: u64, offset: u32) -> u64 {
    if offset == 0 {
        return 0;
    }
    kernel_word(module.wrapping_add(u64::from(offset))) & u64::from(u32::MAX)
}
