//! Functions that do to memory what their callers tell them to: they know nothing of what was wrong with it.

use super::{
    frames::{is_devres, is_of_allocator, named},
    is_of_reporting,
};
use crate::event::{Function, StackFrame};

/// What the names of functions begin with that take locks, count references, copy, or put something onto a list or queue.
const BEGINNINGS: &[&str] = &[
    "raw_spin_",
    "raw_read_",
    "raw_write_",
    "do_raw_spin_",
    "do_raw_read_",
    "do_raw_write_",
    "queued_spin_",
    "native_queued_spin_",
    "rt_spin_",
    "rt_mutex_",
    "mutex_",
    "ww_mutex_",
    "lock_acquire",
    "down_read",
    "down_write",
    "up_read",
    "up_write",
    "rwsem_",
    "refcount_",
    "kref_",
    "kobject_get",
    "kobject_put",
    "list_add_",
    "list_del_",
    "hlist_",
    "copy_to_",
    "copy_from_",
    "wake_up",
    "queue_work",
    "queue_delayed_work",
    "mod_timer",
    "mod_delayed_work",
    "del_timer",
    "timer_delete",
    "cancel_work",
    "cancel_delayed_work",
    "flush_work",
    "wait_for_completion",
    "prepare_to_wait",
];

/// Whether a function is one of the kernel's library: its caller has the memory.
fn is_of_library(function: &Function, name: &str) -> bool {
    let plain = name.trim_start_matches('_');
    let is_one = matches!(
        plain,
        "memcpy"
            | "memmove"
            | "memset"
            | "memcmp"
            | "memchr"
            | "strlen"
            | "strnlen"
            | "strcmp"
            | "strncmp"
            | "strcasecmp"
            | "strcpy"
            | "strncpy"
            | "strscpy"
            | "strlcpy"
            | "strchr"
            | "strstr"
            | "string"
            | "string_nocheck"
            | "vsnprintf"
            | "vscnprintf"
            | "snprintf"
            | "scnprintf"
            | "sprintf"
            | "seq_printf"
            | "seq_puts"
            | "sysfs_emit"
            | "get_device"
            | "put_device"
            | "complete"
            | "complete_all"
            | "finish_wait"
            | "add_wait_queue"
            | "remove_wait_queue"
            | "up"
            | "down"
    );
    let begins = || BEGINNINGS.iter().any(|words| plain.starts_with(words));
    function.module.is_none() && (is_one || begins())
}

/// Who called a function of the kernel's library on this stack; nobody, where it is none.
pub(super) fn caller_of_library<'a>(
    frames: &'a [StackFrame],
    own: &Function,
) -> Option<&'a Function> {
    let name = own.base_name()?;
    let mut outward = named(frames).skip_while(|(_, function, _)| function.name != own.name);
    let caller = outward.find(|(_, function, name)| {
        !is_of_library(function, name)
            && !is_of_reporting(name)
            && !is_of_allocator(name)
            && !is_devres(function)
    });
    caller
        .filter(|_| is_of_library(own, name))
        .map(|(_, function, _)| function)
}
