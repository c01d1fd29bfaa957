//! Lines within a report: what each of them says.

use super::forms::words;
use crate::{
    event::{Comm, StackFrame, Text, splat::Role},
    source::text::{
        record::backtrace,
        scan::{around, digits, hexadecimal, word},
    },
};

/// A line within a report.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// A frame of a stack; `None` for one that the kernel itself doubts.
    Frame(Option<StackFrame>),
    /// The first frame of a stack whose line names both ends of a call: the function that was called.
    Call(StackFrame, StackFrame),
    /// A stack begins.
    Stack(Role, Option<u32>),
    /// A stack begins with this frame, of this task.
    StackAt(Role, Option<u32>, StackFrame),
    /// What follows was interrupted.
    Interrupted,
    /// The registers: the function in which it happened, if the address lies in one.
    Registers(Machine, Option<StackFrame>),
    /// The registers of the process that has called the kernel.
    ProcessRegisters,
    /// The function that has called where the registers point to.
    Link(StackFrame),
    /// The task.
    Task(Who),
    /// The modules: the one that is being loaded or unloaded.
    Modules(Option<Text>),
    /// The code at which it happened: whether it is an instruction by which the kernel reports.
    Code(bool),
    /// The memory has the tag of what is free.
    FreeMemory,
    /// The address of the last page fault.
    FaultAddress(u64),
    /// The stack of a task begins or ends.
    Bound(bool),
    /// What belongs to it and says nothing.
    Filling,
    /// It ends here.
    End,
    /// A line of `=`, which ends reports of KASAN and UBSAN.
    Rule,
    /// Nothing of it.
    Other,
}

/// The task of a report.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Who {
    pub(super) tid: Option<u32>,
    pub(super) comm: Option<Comm>,
    pub(super) cpu: Option<u16>,
}

/// Of which reports a machine prints its registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    /// Of warnings, too.
    TellsOfAll,
    /// Only of what the kernel doesn't survive.
    TellsAtItsEnd,
}

/// What the line begins with that names the function in which it happened.
const REGISTERS: [(&[u8], Machine); 17] = [
    (b"RIP: 0010:", Machine::TellsOfAll),
    (b"RIP: e030:", Machine::TellsOfAll),
    (b"EIP: ", Machine::TellsOfAll),
    // x86 before 5.0.
    (b"IP: ", Machine::TellsAtItsEnd),
    (b"EIP is at ", Machine::TellsOfAll),
    // arm64; arm has another one in front.
    (b"pc : ", Machine::TellsOfAll),
    (b"PC is at ", Machine::TellsAtItsEnd),
    // riscv; mips has more blanks.
    (b"epc : ", Machine::TellsOfAll),
    (b"epc   : ", Machine::TellsAtItsEnd),
    // powerpc, s390, loongarch, parisc, sparc, alpha.
    (b"NIP [", Machine::TellsOfAll),
    (b"Krnl PSW : ", Machine::TellsOfAll),
    (b"ERA: ", Machine::TellsOfAll),
    (b"IAOQ[0]: ", Machine::TellsOfAll),
    (b"TPC: <", Machine::TellsOfAll),
    (b"pc is at ", Machine::TellsAtItsEnd),
    // The debuggers xmon and crash.
    (b"pc: ", Machine::TellsAtItsEnd),
    (b"[exception RIP: ", Machine::TellsAtItsEnd),
];

/// Reads a line, without its prefix.
pub(super) fn read(line: &[u8]) -> Part {
    let line = line.trim_ascii();
    if let Some(part) = stack(line) {
        return part;
    }
    // On s390 the last branch follows, which is no part of the stack.
    if line.starts_with(b"---[ end trace")
        || line.starts_with(b"---[ end Kernel panic")
        || line.starts_with(b"Last Breaking-Event-Address")
    {
        return Part::End;
    }
    if line.len() >= 20 && line.iter().all(|byte| *byte == b'=') {
        return Part::Rule;
    }
    if let Some((at, machine)) = REGISTERS
        .iter()
        .find_map(|(name, machine)| Some((line.strip_prefix(*name)?, *machine)))
    {
        return Part::Registers(machine, backtrace::frame(backtrace::behind_addresses(at)));
    }
    if line.starts_with(b"RIP: 0033:") || line.starts_with(b"RIP: 0023:") {
        return Part::ProcessRegisters;
    }
    let caller = [&b"lr : "[..], b"LR is at ", b"ra : "]
        .iter()
        .find_map(|name| backtrace::frame(line.strip_prefix(*name)?));
    if let Some(frame) = caller {
        return Part::Link(frame);
    }
    if let Some(part) = facts(line) {
        return part;
    }
    match line {
        b"<TASK>" | b"TASK>" => return Part::Bound(true),
        b"</TASK>" | b"/TASK>" => return Part::Bound(false),
        b"<IRQ>" | b"IRQ>" | b"<NMI>" | b"..." | b"" => return Part::Filling,
        b"</IRQ>" | b"/IRQ>" | b"<EOI>" | b"</NMI>" | b"</SOFTIRQ>" | b"<EOE>" | b"<<EOE>>" => {
            return Part::Interrupted;
        }
        _ => {}
    }
    if interrupts(line) {
        return Part::Interrupted;
    }
    if line.starts_with(b"? ") || around(line, b"] ? ").is_some() {
        return Part::Frame(None);
    }
    frame(line)
}

/// Whether a line says that what follows was interrupted, as powerpc does by the vector: `--- interrupt: 500 at`,
/// `--- Exception: 501 (Hardware Interrupt) at`. What a fault interrupts has caused it.
fn interrupts(line: &[u8]) -> bool {
    let vector = line
        .strip_prefix(b"--- interrupt: ")
        .or_else(|| line.strip_prefix(b"--- Exception: "));
    let vector = vector.and_then(word).map(|(vector, _)| vector);
    matches!(
        vector,
        Some(b"500" | b"501" | b"900" | b"901" | b"a00" | b"a01" | b"e80" | b"ea0")
    )
}

/// A frame; its first line on 32-bit ARM has two.
fn frame(line: &[u8]) -> Part {
    let line = line
        .strip_prefix(b"<EOI> ")
        .unwrap_or(line)
        .trim_ascii_start();
    let Some(frame) = backtrace::frame(line).or_else(|| backtrace::in_parentheses(line)) else {
        return Part::Other;
    };
    match around(line, b" from ").and_then(|(called, _)| called_by(called)) {
        Some(called) => Part::Call(called, frame),
        None => Part::Frame(Some(frame)),
    }
}

/// `[<bf00010c>] (demo_release [demo])` or `demo_release [demo]` in front of ` from `.
fn called_by(text: &[u8]) -> Option<StackFrame> {
    let text = match text.strip_prefix(b"[<") {
        Some(address) => around(address, b">]")?.1.trim_ascii(),
        None => text,
    };
    let text = text.strip_prefix(b"(").unwrap_or(text);
    let text = text.strip_suffix(b")").unwrap_or(text);
    // Written like a frame, so that names are read in one way.
    let (name, module) = word(text)?;
    let line = [name, b"+0x0/0x0", module].concat();
    backtrace::frame(&line)
}

/// What introduces a stack.
fn stack(line: &[u8]) -> Option<Part> {
    if line.eq_ignore_ascii_case(b"call trace:") || line.starts_with(b"Backtrace:") {
        return Some(Part::Stack(Role::Report, None));
    }
    if line.starts_with(b"Call Trace:") || line.starts_with(b"Call trace:") {
        return Some(Part::Stack(Role::Report, None));
    }
    for (words, role) in [
        (&b"Allocated by task"[..], Role::Allocated),
        (b"allocated by task", Role::Allocated),
        (b"Freed by task", Role::Freed),
        (b"freed by task", Role::Freed),
    ] {
        if let Some(behind) = line.strip_prefix(words) {
            let tid =
                digits(behind.trim_ascii_start()).and_then(|(tid, _)| u32::try_from(tid).ok());
            return Some(Part::Stack(role, tid));
        }
    }
    for (words, role) in [
        (&b"Allocated in "[..], Role::Allocated),
        (b"INFO: Allocated in ", Role::Allocated),
        (b"Freed in ", Role::Freed),
        (b"INFO: Freed in ", Role::Freed),
    ] {
        if let Some(frame) = line.strip_prefix(words).and_then(backtrace::frame) {
            let tid = around(line, b" pid=").and_then(|(_, tid)| digits(tid));
            let tid = tid.and_then(|(tid, _)| u32::try_from(tid).ok());
            return Some(Part::StackAt(role, tid, frame));
        }
    }
    if line.starts_with(b"Last potentially related work creation")
        || line.starts_with(b"Second to last potentially related")
        || line.starts_with(b"Last call_rcu()")
        || line.starts_with(b"Uninit was ")
        || line.starts_with(b"-> #")
        || line.starts_with(b"kfence-#")
        || line.starts_with(b"last unloaded: ")
        // Where a lock was taken before, where preemption was disabled: what lockdep keeps of earlier times.
        || line.ends_with(b" at:")
    {
        return Some(Part::Stack(Role::Other, None));
    }
    // The two accesses of a data race, as KCSAN writes: `read to 0xffff88811b79fb00 of 8 bytes by task 213 on cpu 0:`.
    if line.ends_with(b":")
        && let Some((_, access)) = around(line, b" bytes by task ")
        && around(line, b" to 0x").is_some()
    {
        let tid = digits(access).and_then(|(tid, _)| u32::try_from(tid).ok());
        return Some(Part::Stack(Role::Report, tid));
    }
    // Who allocated what nobody points to any more, as kmemleak writes.
    if line == b"backtrace:" || line.starts_with(b"backtrace (crc ") {
        return Some(Part::Stack(Role::Allocated, None));
    }
    // Who made the access, as KFENCE writes: its stack follows without a line of its own.
    if around(line, b"(in kfence-#").is_some() {
        return Some(Part::Stack(Role::Report, None));
    }
    None
}

/// What else a line says.
fn facts(line: &[u8]) -> Option<Part> {
    let number =
        |name: &[u8]| around(line, name).and_then(|(_, rest)| digits(rest.trim_ascii_start()));
    if let Some((_, comm)) = around(line, b" Comm: ") {
        let name = word(comm).map(|(name, _)| name).unwrap_or_default();
        return Some(Part::Task(Who {
            tid: number(b"PID: ").and_then(|(tid, _)| u32::try_from(tid).ok()),
            comm: Some(Comm::new(&String::from_utf8_lossy(name))),
            cpu: number(b"CPU: ").and_then(|(cpu, _)| u16::try_from(cpu).ok()),
        }));
    }
    // `Read of size 4 at addr ffff8000304743f0 by task sh/227`
    if let Some((_, task)) = around(line, b" by task ")
        && let Some((task, _)) = word(task)
        && let Some(slash) = task.iter().rposition(|byte| *byte == b'/')
    {
        let (name, tid) = task.split_at(slash);
        return Some(Part::Task(Who {
            tid: tid
                .get(1..)
                .and_then(digits)
                .and_then(|(tid, _)| u32::try_from(tid).ok()),
            comm: Some(Comm::new(&String::from_utf8_lossy(name))),
            cpu: None,
        }));
    }
    // `comm "modprobe", pid 412, jiffies 4294743123`
    if let Some(task) = line.strip_prefix(b"comm \"")
        && let Some((name, behind)) = around(task, b"\", pid ")
    {
        return Some(Part::Task(Who {
            tid: digits(behind).and_then(|(tid, _)| u32::try_from(tid).ok()),
            comm: Some(Comm::new(&String::from_utf8_lossy(name))),
            cpu: None,
        }));
    }
    // xmon: `pid   = 1517, comm = rmmod`
    if let Some(task) = line.strip_prefix(b"pid ")
        && let Some((pid, name)) = around(task, b", comm = ")
    {
        let pid = pid.trim_ascii_start().strip_prefix(b"= ");
        return Some(Part::Task(Who {
            tid: pid
                .and_then(digits)
                .and_then(|(tid, _)| u32::try_from(tid).ok()),
            comm: Some(Comm::new(&String::from_utf8_lossy(name))),
            cpu: None,
        }));
    }
    // `task:rmmod           state:D stack:0     pid:1517`; behind a blank old kernels write an address.
    if let Some(task) = line.strip_prefix(b"task:")
        && !task.starts_with(b" ")
        && let Some((name, _)) = word(task)
    {
        return Some(Part::Task(Who {
            tid: number(b" pid:").and_then(|(tid, _)| u32::try_from(tid).ok()),
            comm: Some(Comm::new(&String::from_utf8_lossy(name))),
            cpu: None,
        }));
    }
    if let Some(modules) = line.strip_prefix(b"Modules linked in:") {
        let moving = modules
            .split(u8::is_ascii_whitespace)
            .find_map(|module| {
                module
                    .strip_suffix(b"-)")
                    .or_else(|| module.strip_suffix(b"+)"))
            })
            .and_then(|module| module.split(|byte| *byte == b'(').next());
        return Some(Part::Modules(moving.and_then(words)));
    }
    if let Some(code) = line.strip_prefix(b"Code: ") {
        return marked(code).map(|(marked, behind)| Part::Code(reports(marked, behind)));
    }
    if line.starts_with(b"Pointer tag: [") && line.ends_with(b"memory tag: [fe]") {
        return Some(Part::FreeMemory);
    }
    if let Some(address) = line.strip_prefix(b"CR2: ") {
        let (address, _) = word(address)?;
        return hexadecimal(address).map(Part::FaultAddress);
    }
    None
}

/// The instruction at which it happened, as far as the line marks it, and what follows it.
fn marked(code: &[u8]) -> Option<(&[u8], &[u8])> {
    [(b'<', &b">"[..]), (b'(', b")")]
        .iter()
        .find_map(|(open, close)| {
            let at = code.iter().position(|byte| byte == open)?;
            around(code.get(at + 1..)?, close)
        })
}

/// Whether an instruction is one by which the kernel reports: `ud2` on x86, `brk #0x800` on arm64, `ebreak` on riscv.
fn reports(marked: &[u8], behind: &[u8]) -> bool {
    let next = word(behind).map(|(next, _)| next);
    match marked {
        b"0f" => next == Some(b"0b"),
        // From 6.13 on some kernels warn by `ud1`.
        b"67" => behind.trim_ascii_start().starts_with(b"48 0f b9"),
        b"48" => behind.trim_ascii_start().starts_with(b"0f b9"),
        _ => matches!(marked, b"d4210000" | b"00100073" | b"9002"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_that_report_are_told_from_accesses() {
        for (line, expected) in [
            ("Code: 5e c3 <0f> 0b eb f7", Part::Code(true)),
            ("Code: 5e c3 <48> 8b 57 28", Part::Code(false)),
            ("Code: f9400000 b4000060 (d4210000)", Part::Code(true)),
            ("Code: f9400000 b4000060 (f9400402)", Part::Code(false)),
            ("Code: Unable to access opcode bytes", Part::Other),
        ] {
            assert_eq!(read(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_function_is_read_from_the_registers_of_all_machines() {
        for line in [
            "RIP: 0010:demo_off+0x14/0x40 [demo]",
            "RIP: 0010:[<ffffffffa0001014>]  [<ffffffffa0001014>] demo_off+0x14/0x40 [demo]",
            "IP: [<ffffffffa0001014>] demo_off+0x14/0x40 [demo]",
            "EIP is at demo_off+0x14/0x40 [demo]",
            "pc : demo_off+0x14/0x40 [demo]",
            "PC is at demo_off+0x14/0x40 [demo]",
            "epc : demo_off+0x14/0x40 [demo]",
            "epc   : 82e90044 demo_off+0x14/0x40 [demo]",
            "NIP [c008000001a30014] demo_off+0x14/0x40 [demo]",
            "Krnl PSW : 0704c00180000000 000003ff8012345a (demo_off+0x14/0x40 [demo])",
            "  ERA: ffff800002101054 demo_off+0x14/0x40 [demo]",
            " IAOQ[0]: demo_off+0x14/0x40 [demo]",
            "TPC: <demo_off+0x14/0x40 [demo]>",
            "pc is at demo_off+0x14/0x40 [demo]",
            "    pc: c008000001a30014: demo_off+0x14/0x40 [demo]",
        ] {
            let Part::Registers(_, Some(frame)) = read(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(frame.to_string(), "demo_off+0x14 [demo]", "{line}");
        }
    }

    #[test]
    fn stacks_are_introduced_in_many_ways() {
        for (line, role, tid) in [
            ("Call Trace:", Role::Report, None),
            ("Call trace:", Role::Report, None),
            ("Backtrace: ", Role::Report, None),
            ("Allocated by task 12:", Role::Allocated, Some(12)),
            ("Freed by task 227:", Role::Freed, Some(227)),
            (
                "freed by task 12 on cpu 1 at 3.201s:",
                Role::Freed,
                Some(12),
            ),
            ("-> #1 (&dev->mutex){....}-{3:3}:", Role::Other, None),
            ("Last potentially related work creation:", Role::Other, None),
        ] {
            assert_eq!(read(line.as_bytes()), Part::Stack(role, tid), "{line}");
        }
    }

    #[test]
    fn a_line_of_32_bit_arm_tells_both_ends_of_a_call() {
        for line in [
            "[<bf00010c>] (demo_release [demo]) from [<c0512345>] (release_nodes+0x1b0/0x220)",
            "demo_release [demo] from release_nodes+0x1b0/0x220",
        ] {
            let Part::Call(called, calls) = read(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(called.to_string(), "demo_release [demo]");
            assert_eq!(calls.to_string(), "release_nodes+0x1b0");
        }
    }

    #[test]
    fn the_task_is_read() {
        for (line, tid, comm) in [
            (
                "CPU: 1 UID: 0 PID: 2622 Comm: rmmod Tainted: G        W",
                2622,
                "rmmod",
            ),
            ("    pid   = 1517, comm = rmmod", 1517, "rmmod"),
            (
                "Read of size 4 at addr ffff8000304743f0 by task sh/227",
                227,
                "sh",
            ),
            (
                "task:kworker/0:1     state:D stack:0     pid:12    tgid:12",
                12,
                "kworker/0:1",
            ),
        ] {
            let Part::Task(who) = read(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(who.tid, Some(tid), "{line}");
            assert_eq!(
                who.comm.map(|comm| comm.name().into_owned()).as_deref(),
                Some(comm)
            );
        }
    }

    #[test]
    fn the_address_of_a_task_is_no_name() {
        for line in [
            "task: 9b492300 ti: 9d3f0000 task.ti: 9d3f0000",
            "task: ffff8800b9a38000 task.stack: ffffc90000d2c000",
        ] {
            assert_eq!(read(line.as_bytes()), Part::Other, "{line}");
        }
    }

    #[test]
    fn the_module_that_comes_or_goes_is_read() {
        let line = b"Modules linked in: a demo(O-) b(+) [last unloaded: c]";
        assert_eq!(read(line), Part::Modules(Some("demo".into())));
        assert_eq!(
            read(b"Modules linked in: a b(+)"),
            Part::Modules(Some("b".into()))
        );
        assert_eq!(read(b"Modules linked in: a b(E)"), Part::Modules(None));
    }
}
