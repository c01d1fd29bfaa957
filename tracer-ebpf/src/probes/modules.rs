//! Modules that come and go, because symbols come and go with them.

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_RB_FORCE_WAKEUP,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use tracer_ebpf::{
    Hook,
    wire::{Kind, ModuleRecord, NO_STACK},
};

use crate::{
    arguments::{Context, kernel_string, kernel_word, words},
    maps::layout,
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
    let [module] = words(context);
    let at = |offset: u32| module.wrapping_add(u64::from(offset));
    let name = at(layout!(module_name));
    let text = at(layout!(module_text));
    let init_text = at(layout!(module_init_text));
    let text_size = size(module, layout!(module_text_size));
    let init_text_size = size(module, layout!(module_init_text_size));
    let Some(mut entry) = reserve::<ModuleRecord>(hook) else {
        return 0;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    unsafe {
        begin(&raw mut (*record).header, Kind::Module, hook, 0, NO_STACK);
        (*record).module = module;
        (*record).text = kernel_word(text);
        (*record).text_size = text_size;
        (*record).init_text = kernel_word(init_text);
        (*record).init_text_size = init_text_size;
        kernel_string(name, &raw mut (*record).name);
    }
    // Its symbols can be read for as long as it is there, which may be a moment.
    entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
    0
}

/// The kernel's `unsigned int` at an offset that is zero where there is none.
#[inline(always)]
fn size(module: u64, offset: u32) -> u64 {
    if offset == 0 {
        return 0;
    }
    kernel_word(module.wrapping_add(u64::from(offset))) & u64::from(u32::MAX)
}
