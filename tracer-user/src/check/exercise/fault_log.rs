//! Where the kernel let an allocation fail, as it says in its log.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
};

use nix::libc;

/// More than the kernel writes as one record.
const RECORD: usize = 16 * 1024;

/// The kernel's log, from some moment on.
#[derive(Debug)]
pub(super) struct FaultLog(Option<File>);

impl FaultLog {
    /// From now on. Where the log can't be read it is empty.
    pub(super) fn from_now() -> Self {
        let open = || {
            let mut file = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open("/dev/kmsg")?;
            file.seek(SeekFrom::End(0))?;
            io::Result::Ok(file)
        };
        Self(open().ok())
    }

    /// The function whose allocation failed, and its callers, innermost first, if this task was made to fail.
    pub(super) fn failure_of(self, task: u32) -> Vec<String> {
        let mut records = Vec::new();
        let Some(mut file) = self.0 else {
            return records;
        };
        let mut buffer = vec![0; RECORD];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => records.push(String::from_utf8_lossy(&buffer[..length]).into_owned()),
                // Some were overwritten meanwhile; the next read yields the oldest one there is.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        failure_in(records.iter().map(String::as_str), task)
    }
}

/// The same, of records as `/dev/kmsg` yields them.
fn failure_in<'r>(records: impl Iterator<Item = &'r str>, task: u32) -> Vec<String> {
    let mut frames = Vec::new();
    let mut lines = records
        .filter_map(|record| text_of(record, task))
        .skip_while(|line| !line.starts_with(FAILURE))
        .peekable();
    while lines.next().is_some() {
        // Up to the next failure, which may be somebody else's.
        let mut dump = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with(FAILURE)) {
            dump.push(line);
        }
        if dump.iter().any(|line| is_about(line, task)) {
            frames = stack(&dump);
            break;
        }
    }
    without_allocator(frames)
}

/// A failure's functions from the one on that has asked for memory.
pub(super) fn without_allocator(functions: Vec<String>) -> Vec<String> {
    functions
        .into_iter()
        .skip_while(|function| is_of_allocator(function))
        .collect()
}

const FAILURE: &str = "FAULT_INJECTION: forcing a failure";

/// A record's text. Nothing if another task has written it, as kernels with `CONFIG_PRINTK_CALLER` tell.
fn text_of(record: &str, task: u32) -> Option<&str> {
    let (prefix, text) = record.split_once(';')?;
    let mut fields = prefix.split(',');
    let is_foreign = fields
        .find_map(|field| field.strip_prefix("caller="))
        .is_some_and(|caller| caller != format!("T{task}"));
    (!is_foreign).then(|| text.lines().next().unwrap_or_default())
}

/// Whether a line says that this task's stack follows: `CPU: 0 PID: 87 Comm: devres-tracer ...`.
fn is_about(line: &str, task: u32) -> bool {
    let mut words = line.split_ascii_whitespace();
    line.starts_with("CPU: ")
        && words.any(|word| word == "PID:")
        && words.next().and_then(|word| word.parse().ok()) == Some(task)
}

/// The functions of the stack in a dump, without those that the kernel only guesses.
fn stack(dump: &[&str]) -> Vec<String> {
    let is_heading = |line: &&str| line.eq_ignore_ascii_case("call trace:");
    let behind = dump.iter().copied().skip_while(|line| !is_heading(line));
    behind
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter_map(frame)
        .collect()
}

/// A frame as the kernel prints it: ` lm75_probe+0x5a/0x2c0 [lm75]`, a build id may follow the module.
fn frame(line: &str) -> Option<String> {
    let line = line.trim();
    let (name, rest) = line.split_once("+0x")?;
    if name.contains(' ') {
        return None;
    }
    let module = rest
        .split_once('[')
        .and_then(|(_, module)| module.split([' ', ']']).next());
    Some(match module {
        Some(module) => format!("{name} [{module}]"),
        None => name.to_owned(),
    })
}

/// Whether a function is of what lets allocations fail, or of the allocator.
fn is_of_allocator(function: &str) -> bool {
    const STARTS: [&str; 13] = [
        "dump_stack",
        "dump_backtrace",
        "show_stack",
        "fail_dump",
        "should_fail",
        "slab_",
        "kmem_cache_alloc",
        "kmalloc",
        "kvmalloc",
        "kzalloc",
        "krealloc",
        "do_kmalloc",
        "do_krealloc",
    ];
    let name = function.trim_start_matches('_');
    STARTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure of task 87, as a 6.1 logs it.
    const LOG: [&str; 15] = [
        "5,401,1200,-;FAULT_INJECTION: forcing a failure.\\x0aname failslab, interval 1, probability 0, space 0, times 1\n",
        "4,402,1201,-;CPU: 1 PID: 87 Comm: devres-tracer Not tainted 6.1.172-fail #1\n",
        "4,403,1202,-;Hardware name: QEMU Standard PC\n",
        "4,404,1203,-;Call Trace:\n",
        "4,405,1204,-; <TASK>\n",
        "4,406,1205,-; dump_stack_lvl+0x34/0x48\n",
        "4,407,1206,-; should_fail_ex.cold+0x32/0x37\n",
        "4,408,1207,-; __kmem_cache_alloc_node+0x3f/0x2f0\n",
        "4,409,1208,-; ? devm_kmalloc+0x1b/0xb0\n",
        "4,410,1209,-; __kmalloc_node_track_caller+0x4a/0x150\n",
        "4,411,1210,-; devm_kmalloc+0x5b/0xe0\n",
        "4,412,1211,-; lm75_probe+0x56/0x2f0 [lm75 0123abcd]\n",
        "4,413,1212,-; really_probe+0xdb/0x380\n",
        "4,414,1213,-; </TASK>\n",
        "6,415,1214,-;lm75: probe of 0-0048 failed with error -12\n SUBSYSTEM=i2c\n",
    ];

    fn failure(log: &[&str], task: u32) -> Vec<String> {
        failure_in(log.iter().copied(), task)
    }

    #[test]
    fn the_function_that_failed_and_its_callers_are_read() {
        let functions = ["devm_kmalloc", "lm75_probe [lm75]", "really_probe"];
        assert_eq!(failure(&LOG, 87), functions);
        // Behind somebody else's failure too.
        let other = LOG.map(|line| line.replace("PID: 87", "PID: 8"));
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        assert_eq!(failure(&[&other[..], &LOG].concat(), 87), functions);
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        assert!(failure(&[], 87).is_empty());
        assert!(failure(&LOG, 8).is_empty());
        assert!(failure(&LOG[1..], 87).is_empty());
        // Without its stack (failslab/verbose).
        assert!(failure(&[LOG[0], LOG[14]], 87).is_empty());
    }

    #[test]
    fn lines_of_other_tasks_in_between_are_left_out_where_the_kernel_tells_them() {
        let by = |line: &str, task: u32| line.replacen("-;", &format!("-,caller=T{task};"), 1);
        let mut log: Vec<String> = LOG.iter().map(|line| by(line, 87)).collect();
        log.insert(12, by("4,500,1210,-; vfs_read+0x12/0x34\n", 9));
        let log: Vec<&str> = log.iter().map(String::as_str).collect();
        assert_eq!(failure(&log, 87), failure(&LOG, 87));
    }
}
