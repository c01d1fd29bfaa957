//! Modules that come and go, because symbols come and go with them.

use aya_ebpf::{EbpfContext as _, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{
    Hook,
    wire::{Kind, ModuleRecord, NO_STACK},
};

use crate::{
    arguments::{Context, kernel_string, kernel_word, words},
    maps::layout,
    record::{begin, reserve, wake_up},
};

/// `module_load(mod)`.
#[btf_tracepoint(function = "module_load")]
pub(crate) fn module_load(context: BtfTracePointContext) -> i32 {
    module(context.as_ptr(), Hook::ModuleLoad)
}

/// `module_free(mod)`.
#[btf_tracepoint(function = "module_free")]
pub(crate) fn module_free(context: BtfTracePointContext) -> i32 {
    module(context.as_ptr(), Hook::ModuleFree)
}

#[inline(always)]
fn module(context: Context, hook: Hook) -> i32 {
    let [module] = words(context);
    let Some(mut entry) = reserve::<ModuleRecord>(hook) else {
        return 0;
    };
    let record = entry.as_mut_ptr();
    let at = |offset: u32| module.wrapping_add(u64::from(offset));
    let (name, text, size) = (
        at(layout!(module_name)),
        at(layout!(module_text)),
        at(layout!(module_text_size)),
    );
    let known = layout!(module_text_size) != 0;
    // SAFETY: the entry is as large as the record.
    unsafe {
        begin(&raw mut (*record).header, Kind::Module, hook, 0, NO_STACK);
        (*record).module = module;
        (*record).text = kernel_word(text);
        // The kernel's `unsigned int`, and whatever lies behind it.
        (*record).text_size = if known {
            kernel_word(size) & u64::from(u32::MAX)
        } else {
            0
        };
        kernel_string(name, &raw mut (*record).name);
    }
    entry.submit(wake_up());
    0
}
