//! What makes a kernel record by itself, for kernels described by types that are made up here.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

use std::{fs, path::Path};

use devres_tracer::boot::{
    LAST_BOOT_DIRECTORY, Machine, PERSISTENT_INSTANCE, Setup, SetupOptions, Shortfall, Target,
    TargetError, bootconfig::bootconfig, install, parameters, script::script,
};

/// Types in the kernel's format.
struct Types {
    encoded: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

const STRUCT: u32 = 4;
const TYPEDEF: u32 = 8;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

impl Types {
    fn new() -> Self {
        Self {
            encoded: Vec::new(),
            strings: vec![0],
            count: 0,
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        let offset = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.encoded.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn head(&mut self, name: &str, kind: u32, length: u32, size_or_type: u32) -> u32 {
        let name = if name.is_empty() {
            0
        } else {
            self.string(name)
        };
        self.words(&[name, kind << 24 | length, size_or_type]);
        self.count += 1;
        self.count
    }

    /// A structure with members of a type at offsets in bytes.
    fn structure(&mut self, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let length = u32::try_from(members.len()).unwrap();
        let id = self.head(name, STRUCT, length, 1024);
        for (member, of, offset) in members {
            let member = self.string(member);
            self.words(&[member, *of, offset * 8]);
        }
        id
    }

    fn function(&mut self, name: &str) {
        let prototype = self.head("", FUNC_PROTO, 0, 0);
        self.head(name, FUNC, 0, prototype);
    }

    fn bytes(&self) -> Vec<u8> {
        let types = u32::try_from(self.encoded.len()).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            bytes.extend_from_slice(&u32::to_le_bytes(word));
        }
        bytes.extend_from_slice(&self.encoded);
        bytes.extend_from_slice(&self.strings);
        bytes
    }
}

/// What a kernel has.
#[derive(Clone, Copy)]
struct Has {
    registers: (&'static str, &'static str),
    tracepoint: bool,
    probe_events: bool,
}

const USUAL: Has = Has {
    registers: ("pt_regs", "orig_ax"),
    tracepoint: true,
    probe_events: true,
};

fn kernel(has: Has) -> Vec<u8> {
    let mut types = Types::new();
    let word = types.structure("word", &[]);
    let kobject = types.structure("kobject", &[("name", word, 8)]);
    types.structure("bus_type", &[("name", word, 0)]);
    types.structure("devres", &[("data", word, 48)]);
    types.structure("action_devres", &[("data", word, 0), ("action", word, 8)]);
    let members = [
        ("kobj", kobject, 16),
        ("bus", word, 112),
        ("pm_domain", word, 640),
    ];
    types.structure("device", &members);
    types.structure("dev_pm_domain", &[("detach", word, 72)]);
    types.structure("device_driver", &[("name", word, 4)]);
    types.structure("devres_node", &[("release", word, 32)]);
    let (structure, member) = has.registers;
    types.structure(structure, &[(member, word, 0)]);
    if has.tracepoint {
        types.head("btf_trace_devres_log", TYPEDEF, 0, word);
    }
    if has.probe_events {
        types.structure("trace_kprobe", &[]);
    }
    for function in [
        "really_probe",
        "dev_pm_domain_detach",
        "devres_release_all",
        "device_release_driver_internal",
        "add_dr",
        "devres_add",
        "devres_remove",
    ] {
        types.function(function);
    }
    types.bytes()
}

const WISHES: SetupOptions = SetupOptions {
    buffer: 8 << 20,
    stacks: false,
    persistent: None,
    dump: false,
    free_irq: false,
};

fn target(directory: &Path, has: Has, asked: Option<Machine>) -> Result<Target, TargetError> {
    let path = directory.join("vmlinux.btf");
    fs::write(&path, kernel(has)).unwrap();
    Target::of_file(&path, asked)
}

fn line_of(has: Has) -> (String, Setup) {
    let directory = tempfile::tempdir().unwrap();
    let target = target(directory.path(), has, None).unwrap();
    let setup = Setup::of(&target, WISHES);
    let parameters = parameters::parameters(&setup, target.machine(), 100);
    assert_eq!(parameters.left_out, []);
    (parameters.line, setup)
}

#[test]
fn offsets_are_the_kernels_and_registers_the_architectures() {
    let (line, _) = line_of(USUAL);
    for part in [
        "trace_event=dev:devres_log ",
        "kprobe_event=p,really_probe,dev=%di,name=+0(+24(%di)):string,drv=+0(+4(%si)):string,bus=+0(+0(+112(%di))):string,comm=$comm;r32,really_probe,ret=$retval;",
        ";p,dev_pm_domain_detach,dev=%di,pmd=+640(%di),detach=+72(+640(%di));",
        ";p,add_dr,dev=%di,node=%si,rel=+32(%si):symbol,act=+56(%si):symbol,data=+48(%si),w0=+48(%si),w1=+56(%si)",
    ] {
        assert!(line.contains(part), "{part}\n{line}");
    }
    assert!(!line.contains("p,devres_remove"), "{line}");

    let (line, _) = line_of(Has {
        registers: ("user_pt_regs", "pstate"),
        ..USUAL
    });
    assert!(line.contains("pmd=+640(%x0)"), "{line}");
    let (line, _) = line_of(Has {
        registers: ("pt_regs", "epc"),
        ..USUAL
    });
    assert!(line.contains("node=%a1"), "{line}");
}

#[test]
fn what_a_kernel_lacks_is_said_and_the_rest_is_recorded() {
    let (line, setup) = line_of(Has {
        tracepoint: false,
        ..USUAL
    });
    assert!(!line.contains("trace_event="), "{line}");
    assert!(line.contains("r32,devres_remove,ret=$retval"), "{line}");
    assert!(setup.shortfalls.contains(&Shortfall::NoTracepoint));

    let (line, setup) = line_of(Has {
        probe_events: false,
        ..USUAL
    });
    assert!(
        line.starts_with("trace_event=") && !line.contains("kprobe_event"),
        "{line}"
    );
    assert!(setup.shortfalls.contains(&Shortfall::NoProbeEvents));
}

#[test]
fn a_buffer_outlives_a_reset_only_where_the_kernel_can_reserve_it() {
    let directory = tempfile::tempdir().unwrap();
    let target = target(directory.path(), USUAL, None).unwrap();
    let setup = Setup::of(
        &target,
        SetupOptions {
            persistent: Some(4 << 20),
            ..WISHES
        },
    );
    assert!(setup.shortfalls.contains(&Shortfall::NotPersistent));
    assert!(
        !parameters::parameters(&setup, None, 0)
            .line
            .contains("reserve_mem")
    );
}

#[test]
fn a_file_of_another_architecture_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let found = target(directory.path(), USUAL, Some(Machine::Arm));
    assert!(matches!(found, Err(TargetError::OtherMachine { .. })));
    let path = directory.path().join("vmlinux.btf");
    fs::write(&path, "no types").unwrap();
    assert!(matches!(
        Target::of_file(&path, None),
        Err(TargetError::NoBtf(_))
    ));
    fs::write(&path, [0x9f, 0xeb, 1]).unwrap();
    assert!(matches!(
        Target::of_file(&path, None),
        Err(TargetError::Unreadable { .. })
    ));
}

/// A setup with everything that formats differ in.
fn setup() -> Setup {
    let options = SetupOptions {
        stacks: true,
        persistent: Some(4 << 20),
        dump: true,
        ..WISHES
    };
    Setup::of(&Target::unknown(Machine::X86_64), options)
}

#[test]
fn every_format_has_everything() {
    let setup = setup();
    let line = parameters::parameters(&setup, Some(Machine::X86_64), 0).line;
    for word in [
        "trace_clock=mono",
        "trace_buf_size=8M",
        "trace_options=stacktrace",
        "ftrace_dump_on_oops",
        "log_buf_len=4M",
        "reserve_mem=4M:4096:devres",
        "trace_instance=devres@devres",
    ] {
        assert!(line.split(' ').any(|given| given == word), "{word}\n{line}");
    }
    for probe in setup.all_probes() {
        assert!(
            script(&setup).contains(&format!("define {} ", probe.event())),
            "{probe:?}"
        );
    }
}

/// Bytes of a bootconfig that a kernel takes, with the NUL at its end.
const LARGEST_BOOTCONFIG: usize = 32 * 1024 - 1;

/// Keys with their values, in the order of a bootconfig in the form that is written here: `word.word`, perhaps with a
/// value behind `=` or keys within braces. Fails at whatever the kernel's parser would not take.
fn keys(bootconfig: &str) -> Vec<(String, Option<String>)> {
    assert!(bootconfig.len() < LARGEST_BOOTCONFIG && bootconfig.is_ascii());
    let is_key = |word: &str| {
        let part = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_'))
        };
        word.split('.').all(part)
    };
    let mut keys = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for line in bootconfig.lines().map(str::trim) {
        if line == "}" {
            open.pop().expect("a brace was opened");
            continue;
        }
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        assert!(is_key(key), "{line}");
        let full = open.iter().map(String::as_str).chain([key]);
        let full = full.collect::<Vec<_>>().join(".");
        if rest == "{" {
            open.push(key.to_owned());
            continue;
        }
        let value = (!rest.is_empty()).then(|| {
            let value = rest.strip_prefix("= ").unwrap_or_else(|| panic!("{line}"));
            let bare = value.trim_matches('"');
            let quoted = value == format!("\"{bare}\"");
            assert!(!bare.contains(['"', '\'']), "{line}");
            assert!(
                quoted || !bare.contains([',', ';', '#', '}', ' ']),
                "{line}"
            );
            bare.to_owned()
        });
        assert!(keys.iter().all(|(known, _)| *known != full), "{full} twice");
        keys.push((full, value));
    }
    assert!(open.is_empty(), "{open:?}");
    keys
}

#[test]
fn a_bootconfig_is_one_and_has_everything() {
    let setup = setup();
    let keys = keys(&bootconfig(&setup));
    let value = |key: &str| {
        let found = keys.iter().find(|(known, _)| known == key);
        found
            .unwrap_or_else(|| panic!("{key} is missing: {keys:?}"))
            .1
            .as_deref()
    };
    assert_eq!(value("kernel.ftrace_dump_on_oops"), None);
    assert_eq!(value("kernel.reserve_mem"), Some("4M:4096:devres"));
    assert_eq!(value("kernel.trace_instance"), Some("devres@devres"));
    assert_eq!(value("ftrace.trace_clock"), Some("mono"));
    assert_eq!(value("ftrace.buffer_size"), Some("8M"));
    assert_eq!(value("ftrace.options"), Some("stacktrace"));
    assert_eq!(value("ftrace.event.dev.devres_log.enable"), None);
    for probe in setup.all_probes() {
        let event = format!("ftrace.event.kprobes.{}", probe.event());
        let place = if probe.returns { "%return" } else { "" };
        let words: Vec<String> = [format!("{}{place}", probe.function)]
            .into_iter()
            .chain(probe.arguments.iter().cloned())
            .collect();
        assert_eq!(
            value(&format!("{event}.probes")),
            Some(words.join(" ").as_str())
        );
        assert_eq!(value(&format!("{event}.enable")), None);
    }
}

/// Checks a script's grammar with the shell that will read it.
fn is_shell(script: &str) {
    use std::io::Write as _;
    let mut shell = std::process::Command::new("sh")
        .arg("-n")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(shell.wait().unwrap().success(), "{script}");
}

#[test]
fn scripts_are_shell_and_write_scripts_that_are() {
    let setup = setup();
    is_shell(&script(&setup));
    for installer in [install::initramfs_tools(&setup), install::dracut(&setup)] {
        is_shell(&installer);
        let written = installer
            .split("<<'END_OF_DEVRES_SCRIPT'\n")
            .skip(1)
            .filter_map(|rest| rest.split("END_OF_DEVRES_SCRIPT\n").next());
        let mut count = 0;
        for script in written {
            is_shell(script);
            count += 1;
        }
        assert!(count > 0);
    }
}

/// An initramfs made by klibc's tools has no `grep`.
#[test]
fn a_script_needs_only_what_every_initramfs_has() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    for program in ["cat", "mkdir"] {
        fs::create_dir_all(path("bin")).unwrap();
        let from = ["/bin", "/usr/bin"]
            .map(|directory| Path::new(directory).join(program))
            .into_iter()
            .find(|from| from.exists());
        std::os::unix::fs::symlink(from.unwrap(), path("bin").join(program)).unwrap();
    }
    let instance = path("tracing/instances").join(PERSISTENT_INSTANCE);
    fs::create_dir_all(instance.join("events/dev/devres_log")).unwrap();
    let left = "# tracer: nop\n sh-1 [000] ..... 1.0: devres_log: x REL 1 y (8 bytes)\n";
    for (file, content) in [
        ("last_boot_info", "1000 [kernel]\n"),
        ("set_event", ""),
        ("trace", left),
        ("trace_clock", "local global [mono]\n"),
    ] {
        fs::write(instance.join(file), content).unwrap();
    }
    fs::write(path("tracing/trace"), "").unwrap();
    let options = SetupOptions {
        persistent: Some(4 << 20),
        ..WISHES
    };
    let text = script(&Setup::of(&Target::unknown(Machine::X86_64), options))
        .replace("/sys/kernel/tracing", path("tracing").to_str().unwrap())
        .replace(LAST_BOOT_DIRECTORY, path("kept").to_str().unwrap());
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", &text])
        .env("PATH", path("bin"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let kept = path("kept").join(format!("{PERSISTENT_INSTANCE}.trace"));
    assert_eq!(fs::read_to_string(kept).unwrap(), left);
    let read = |file: &str| fs::read_to_string(instance.join(file)).unwrap();
    assert_eq!(read("trace"), "");
    assert_eq!(read("trace_clock"), "local\n");
    assert_eq!(read("events/dev/devres_log/enable"), "1\n");
}
