//! Functions that stand on a splat's stack because it is printed: they say nothing of what it is about.

/// What the names of functions begin with that print reports.
const BEGINNINGS: &[&str] = &[
    "kasan_",
    "asan_",
    "hwasan_",
    "ubsan_handle_",
    "print_circular_bug",
    "print_unlock_imbalance",
    "print_usage_bug",
    "print_bad_irq_dependency",
    "print_irq_inversion_bug",
    "print_deadlock_bug",
    "kmsan_",
    "msan_",
    "kdb_",
    "kgdb_",
    "oops_end",
    "crash_kexec",
    "machine_kexec",
];

/// Whether a function only prints a report, or puts a task to sleep.
pub(crate) fn is_of_reporting(name: &str) -> bool {
    let plain = name.trim_start_matches('_');
    matches!(
        plain,
        "dump_stack"
            | "dump_stack_lvl"
            | "show_stack"
            | "dump_backtrace"
            | "unwind_backtrace"
            | "warn"
            | "warn_slowpath_fmt"
            | "warn_slowpath_null"
            | "warn_slowpath_common"
            | "WARN_trap"
            | "schedule_bug"
            | "might_resched"
            | "might_sleep"
            | "lock_release"
            | "warn_printk"
            | "print_report"
            | "print_address_description"
            | "die"
            | "die_body"
            | "die_addr"
            | "panic"
            | "nmi_panic"
            | "refcount_warn_saturate"
            | "ubsan_epilogue"
            | "check_panic_on_warn"
            | "end_report"
            | "check_slab_allocation"
            | "print_stack_trace"
            | "dump_header"
            | "walk_stackframe"
            | "show_regs"
            | "debug_locks_off"
            | "lockdep_rcu_suspicious"
            | "list_del_entry_valid"
            | "list_del_entry_valid_or_report"
            | "list_add_valid"
            | "list_add_valid_or_report"
            | "sysfs_warn_dup"
            | "schedule"
            | "schedule_timeout"
            | "schedule_preempt_disabled"
            | "io_schedule"
            | "context_switch"
            | "switch_to"
            | "check_noncircular"
            | "check_prev_add"
            | "check_prevs_add"
            | "validate_chain"
            | "lock_acquire"
            | "wait_for_common"
            | "do_wait_for_common"
            | "mark_lock"
            | "mark_lock_irq"
            | "mark_held_locks"
            | "check_irq_usage"
            | "check_deadlock"
            | "spin_bug"
            | "bad_page"
            | "warn_alloc"
            | "should_fail"
            | "should_fail_ex"
            | "should_failslab"
            | "should_fail_alloc_page"
    ) || is_of_exceptions(plain)
        || BEGINNINGS
            .iter()
            .any(|beginning| plain.starts_with(beginning))
}

/// Whether a function is on the way from an exception of the processor, such as that of a BUG or a bad address, to its report.
fn is_of_exceptions(plain: &str) -> bool {
    matches!(
        plain,
        "exc_invalid_op"
            | "asm_exc_invalid_op"
            | "do_error_trap"
            | "do_trap"
            | "do_invalid_op"
            | "invalid_op"
            | "fixup_bug"
            | "bug_handler"
            | "call_break_hook"
            | "brk_handler"
            | "do_debug_exception"
            | "el1_dbg"
            | "el1_brk64"
            | "do_el1_brk64"
            | "do_trap_break"
            | "handle_break"
            | "program_check_exception"
            | "do_program_check"
            | "program_check_common"
            | "program_check_common_virt"
            | "monitor_event_exception"
            | "arm64_serror_panic"
            | "do_serror"
            | "el1h_64_error"
            | "el1h_64_error_handler"
            | "do_bp"
            | "handle_bp"
            | "handle_bug"
            | "report_bug"
            | "page_fault_oops"
            | "asm_exc_page_fault"
            | "exc_page_fault"
            | "no_context"
            | "bad_area_nosemaphore"
            | "do_page_fault"
            | "page_fault"
            | "do_kernel_fault"
            | "do_bad_area"
            | "do_tag_check_fault"
            | "do_translation_fault"
            | "do_mem_abort"
            | "el1_abort"
            | "el1h_64_sync"
            | "el1h_64_sync_handler"
    )
}

/// Whether a function is what an interrupt or an NMI enters the kernel by: what lies outward of it was interrupted.
pub(crate) fn is_interrupt_entry(name: &str) -> bool {
    name.starts_with("asm_sysvec_")
        || matches!(
            name,
            "asm_common_interrupt"
                | "asm_exc_nmi"
                | "apic_timer_interrupt"
                | "ret_from_intr"
                | "common_interrupt_return"
                | "el1_irq"
                | "el1h_64_irq"
                | "el1_interrupt"
                | "__irq_svc"
                | "do_irq"
                | "do_vint"
                | "ext_int_handler"
                | "io_int_handler"
                | "hardware_interrupt_common_virt"
                | "decrementer_common_virt"
                | "plat_irq_dispatch"
        )
}
