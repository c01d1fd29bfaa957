//! Steps of a driver that devres doesn't know: clocks, regulators and runtime PM that are switched by hand. They are of
//! interest only in a task that probes or unbinds a device, and all that happens elsewhere is left alone.

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_get_current_pid_tgid,
    macros::{fentry, kprobe, map, raw_tracepoint},
    maps::{Array, LruHashMap},
    programs::{FEntryContext, ProbeContext, RawTracePointContext},
};
use tracer_ebpf::{
    Hook,
    wire::{Kind, NamedCallRecord},
};

use crate::{
    arguments::{Context, kernel_string, kernel_word, registers, words},
    calls::call,
    device::announce,
    maps::{count, count_down, layout, value_of},
    preemption::uninterrupted,
    record::{begin, lost, reserve, stack, wake_up},
};

/// The devices that a task probes or unbinds, by its thread id.
#[map]
static TASKS: LruHashMap<u32, Frames> = LruHashMap::with_max_entries(1024, 0);

/// How many tasks are in [`TASKS`]: where something fires all the time, that is asked first. One that is pushed out of there
/// stays counted, which costs a look into it.
#[map]
static BUSY: Array<u64> = Array::with_max_entries(1, 0);

/// How many frames of a task are told apart. What is switched further inside is counted as lost.
const MOST: usize = 8;

/// The devices that a task probes or unbinds, outermost first.
#[derive(Clone, Copy)]
#[repr(C)]
struct Frames {
    depth: u64,
    devices: [u64; MOST],
}

/// A task begins to probe or unbind a device.
///
/// A function of its own: room for the frames would not fit into the 512 bytes of stack that its caller has together with
/// the others that it calls.
#[inline(never)]
pub(crate) fn frame_begins(device: u64) {
    if layout!(beside) == 0 {
        return;
    }
    let task = bpf_get_current_pid_tgid() as u32;
    let Some(frames) = TASKS.get_ptr_mut(task) else {
        let first = Frames {
            depth: 1,
            devices: [device, 0, 0, 0, 0, 0, 0, 0],
        };
        if TASKS.insert(task, first, 0).is_ok() {
            count(&BUSY);
        }
        return;
    };
    // SAFETY: the place is a map's value, which only its task writes.
    unsafe {
        let depth = (*frames).depth as usize;
        if depth < MOST {
            (*frames).devices[depth & (MOST - 1)] = device;
        }
        (*frames).depth += 1;
    }
}

/// A task is done with a device.
#[inline(never)]
pub(crate) fn frame_ends() {
    if layout!(beside) == 0 {
        return;
    }
    let task = bpf_get_current_pid_tgid() as u32;
    if let Some(frames) = TASKS.get_ptr_mut(task) {
        // SAFETY: as above.
        let depth = unsafe {
            (*frames).depth = (*frames).depth.wrapping_sub(1);
            (*frames).depth
        };
        if (depth == 0 || depth > 64) && TASKS.remove(task).is_ok() {
            count_down(&BUSY);
        }
    }
}

/// Whether any task probes or unbinds a device.
#[inline(always)]
pub(crate) fn is_any_busy() -> bool {
    value_of(&BUSY) != 0
}

/// The device that the current task probes or unbinds; zero if it does neither.
#[inline(always)]
pub(crate) fn device_in_hand(hook: Hook) -> u64 {
    let task = bpf_get_current_pid_tgid() as u32;
    let Some(frames) = TASKS.get_ptr_mut(task) else {
        return 0;
    };
    // SAFETY: as above. The device is read before the check, so that the verifier sees the mask.
    let (innermost, device) = unsafe {
        let innermost = ((*frames).depth as usize).wrapping_sub(1);
        let place = &raw const (*frames).devices[innermost & (MOST - 1)];
        (innermost, place.read_volatile())
    };
    if innermost >= MOST {
        lost(hook);
        return 0;
    }
    device
}

/// Something with this name is switched.
#[inline(never)]
fn switched(context: Context, hook: u64, name: u64) {
    let Some(known) = Hook::from_number(hook as u8) else {
        return;
    };
    let device = device_in_hand(known);
    if device == 0 || !announce(device, 0, hook) {
        return;
    }
    let stack = stack(context, hook);
    let hook = known;
    let Some(mut entry) = reserve::<NamedCallRecord>(hook) else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as the record.
    let time = unsafe {
        kernel_string(name, &raw mut (*record).name);
        begin(
            &raw mut (*record).header,
            Kind::EnterNamed,
            hook,
            device,
            stack,
        )
    };
    entry.submit(wake_up(time));
}

/// A clock: the tracepoint has its `struct clk_core`.
#[inline(always)]
fn clock(context: Context, hook: Hook) {
    let [core] = words(context);
    let name = core.wrapping_add(u64::from(layout!(clk_core_name)));
    switched(context, hook as u64, kernel_word(name));
}

/// A regulator: the tracepoint has its name.
#[inline(always)]
fn regulator(context: Context, hook: Hook) {
    let [name] = words(context);
    switched(context, hook as u64, name);
}

/// Runtime PM, of whichever device.
#[inline(always)]
fn runtime_pm(context: Context, hook: Hook) {
    let [device, flags] = words(context);
    if device_in_hand(hook) != 0 {
        call(context, hook as u64, device, flags, 0);
    }
}

/// The kernel's `CLK_IS_CRITICAL`: the clock is on without a user.
const CRITICAL: u64 = 1 << 11;

/// Where a member lies.
#[inline(always)]
fn member(structure: u64, offset: u32) -> u64 {
    structure.wrapping_add(u64::from(offset))
}

/// A clock is given back by one of its users. That it is on is told only where no other user can have switched it on: none
/// but this one and the clock's own driver has it, no other clock hangs on it, and the kernel does not need it.
#[inline(never)]
fn clock_put(context: Context, clock: u64) {
    let count = layout!(clk_core_enable_count);
    if count == 0 || device_in_hand(Hook::ClkPut) == 0 {
        return;
    }
    // `clk.core` is its first member.
    let core = kernel_word(clock);
    if kernel_word(member(core, count)) as u32 == 0
        || kernel_word(member(core, layout!(clk_core_children))) != 0
        || kernel_word(member(core, layout!(clk_core_flags))) & CRITICAL != 0
    {
        return;
    }
    let own = kernel_word(member(
        kernel_word(member(core, layout!(clk_core_hw))),
        layout!(clk_hw_clk),
    ));
    let mut user = kernel_word(member(core, layout!(clk_core_clks)));
    for _ in 0..2 {
        let known = [clock, own].map(|known| member(known, layout!(clk_clks_node)));
        if user != known[0] && user != known[1] {
            break;
        }
        user = kernel_word(user);
    }
    if user == 0 {
        let name = member(core, layout!(clk_core_name));
        switched(context, Hook::ClkPut as u64, kernel_word(name));
    }
}

/// A regulator is given back by one of its users, who may have left it enabled: the kernel counts that for each.
#[inline(never)]
fn regulator_put(context: Context, regulator: u64) {
    let count = layout!(regulator_enable_count);
    if count == 0
        || device_in_hand(Hook::RegulatorPut) == 0
        || kernel_word(member(regulator, count)) as u32 == 0
    {
        return;
    }
    let name = member(regulator, layout!(regulator_supply_name));
    switched(context, Hook::RegulatorPut as u64, kernel_word(name));
}

/// A function whose first argument is all that is wanted.
macro_rules! function {
    ($function:literal, $enter:ident, $kprobe:ident, $handler:ident) => {
        #[fentry(function = $function)]
        pub(crate) fn $enter(context: FEntryContext) -> i32 {
            let [first] = words(context.as_ptr());
            uninterrupted(|| $handler(context.as_ptr(), first));
            0
        }

        #[kprobe]
        pub(crate) fn $kprobe(context: ProbeContext) -> u32 {
            let [first, _, _] = registers(&context);
            $handler(context.as_ptr(), first);
            0
        }
    };
}

function!("clk_put", enter_clk_put, kprobe_clk_put, clock_put);
function!(
    "regulator_put",
    enter_regulator_put,
    kprobe_regulator_put,
    regulator_put
);

/// A tracepoint. Its arguments are read as words in any case, so that nothing is gained by their types.
macro_rules! tracepoint {
    ($tracepoint:ident, $hook:ident, $handler:ident) => {
        #[raw_tracepoint]
        pub(crate) fn $tracepoint(context: RawTracePointContext) -> i32 {
            uninterrupted(|| $handler(context.as_ptr(), Hook::$hook));
            0
        }
    };
}

tracepoint!(clk_enable, ClkEnable, clock);
tracepoint!(clk_disable, ClkDisable, clock);
tracepoint!(clk_prepare, ClkPrepare, clock);
tracepoint!(clk_unprepare, ClkUnprepare, clock);
tracepoint!(regulator_enable, RegulatorEnable, regulator);
tracepoint!(regulator_disable, RegulatorDisable, regulator);
tracepoint!(rpm_resume, RpmResume, runtime_pm);
tracepoint!(rpm_suspend, RpmSuspend, runtime_pm);
