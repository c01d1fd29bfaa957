//! Lines of the source by debug info: of files that `demo/build.sh` has made. What is right is read from the source itself:
//! each function `called_…` is called in one line of it, and the calls' places are the relocations of the code.
#![cfg(feature = "source-lines")]
#![expect(clippy::unwrap_used, reason = "a test may fail like one")]

mod commands;
mod hostile;
mod server;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use devres_tracer::{
    debug_info::{DebugFiles, Recorded, SourceLines},
    event::{
        DeviceAddress, Event, EventKind, Function, SourceLine, StackDefinition, StackFrame,
        StackId, Text, Time,
    },
    kernel::{Address, CodeSection, KernelImage, LoadedModule},
    source::recording::Annotator as _,
};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};

/// Where the kernel lies in the recording.
const KERNEL: u64 = 0xffff_ffff_9a20_0000;
/// Where it lies in its file.
const LINKED: u64 = 0xffff_ffff_8100_0000;
/// Where the module's sections lie.
const SECTIONS: [(&str, u64); 3] = [
    (".text", 0xffff_ffff_c020_1000),
    (".text.unlikely", 0xffff_ffff_c020_1400),
    (".init.text", 0xffff_ffff_c020_9000),
];

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/source_lines/demo")
        .join(name)
}

fn build_id(name: &str) -> String {
    let bytes = fs::read(demo(name)).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    devres_tracer::kernel::digits(file.build_id().unwrap().unwrap())
}

/// A directory with this one file of the demo in it, named so.
fn directory_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (file, name) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(demo(file), path).unwrap();
    }
    directory
}

/// The calls in a file: what is called, by which function, how far into it the call returns, and where that function lies.
struct Call {
    caller: String,
    offset: u64,
    section: String,
    /// The function's address in the file.
    begins: u64,
}

fn calls(name: &str) -> BTreeMap<String, Call> {
    let bytes = fs::read(demo(name)).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let mut calls = BTreeMap::new();
    for section in file.sections() {
        if !section.name().unwrap().contains("text") {
            continue;
        }
        for (at, relocation) in section.relocations() {
            let RelocationTarget::Symbol(symbol) = relocation.target() else {
                continue;
            };
            let called = file.symbol_by_index(symbol).unwrap().name().unwrap();
            if !called.starts_with("called_") {
                continue;
            }
            let returns = at + 4;
            let function = file
                .symbols()
                .find(|symbol| {
                    symbol.kind() == SymbolKind::Text
                        && symbol.section_index() == Some(section.index())
                        && symbol.size() > 0
                        && (symbol.address()..symbol.address() + symbol.size()).contains(&at)
                })
                .unwrap();
            let call = Call {
                caller: function.name().unwrap().to_owned(),
                offset: returns - function.address(),
                section: section.name().unwrap().to_owned(),
                begins: function.address(),
            };
            calls.insert(called.to_owned(), call);
        }
    }
    assert_eq!(calls.len(), 8, "{name}");
    calls
}

/// Where the source calls this function: `FILE:LINE`.
fn line_with(text: &str) -> String {
    for file in ["a.c", "b.c", "inline.h"] {
        let source = fs::read_to_string(demo(file)).unwrap();
        let found = source
            .lines()
            .position(|line| line.trim() == format!("{text}();"));
        if let Some(line) = found {
            return format!("{file}:{}", line + 1);
        }
    }
    panic!("nothing calls {text}");
}

/// What a frame that calls this function has to show.
fn expected(called: &str) -> String {
    if called == "called_when_inlined" {
        return format!(
            "{} (inlined outer at {}, inner at {})",
            line_with("outer"),
            line_with("inner"),
            line_with(called)
        );
    }
    line_with(called)
}

/// Frames as a text has them: by names.
fn by_name(call: &Call, module: Option<&str>) -> StackFrame {
    StackFrame {
        address: 0,
        function: Some(Arc::new(Function {
            address: 0,
            name: Some(Text::from(call.caller.as_str())),
            module: module.map(Text::from),
        })),
        offset: call.offset,
        line: None,
    }
}

/// A frame as the live source has it.
fn placed(call: &Call, module: Option<&str>) -> StackFrame {
    let begins = match module {
        Some(_) => base(&call.section) + call.begins,
        None => call.begins - LINKED + KERNEL,
    };
    let mut frame = by_name(call, module);
    frame.address = begins + call.offset;
    let function = Arc::make_mut(frame.function.as_mut().unwrap());
    function.address = begins;
    frame
}

fn base(section: &str) -> u64 {
    let found = SECTIONS.iter().find(|(name, _)| *name == section);
    found.unwrap().1
}

fn loaded(build_id: Option<String>) -> LoadedModule {
    LoadedModule {
        name: "demo".into(),
        build_id,
        sections: SECTIONS
            .map(|(name, address)| CodeSection {
                name: name.into(),
                address: Address(address),
            })
            .to_vec(),
    }
}

fn kernel(build_id: Option<String>) -> Recorded {
    Recorded {
        release: Some("6.1.0-demo".to_owned()),
        image: KernelImage {
            build_id,
            text: Some(Address(KERNEL)),
        },
    }
}

fn in_directory(directory: &Path, recorded: Recorded) -> SourceLines {
    let files = DebugFiles {
        directories: vec![directory.to_owned()],
        ..DebugFiles::default()
    };
    SourceLines::new(files, recorded).unwrap()
}

fn look_up(lines: &mut SourceLines, frame: &StackFrame) -> Option<Arc<SourceLine>> {
    let definition = StackDefinition {
        id: StackId(1),
        frames: Arc::from([frame.clone()]),
    };
    let event = Event::outside_tasks(Time(1), DeviceAddress::NONE, EventKind::Stack(definition));
    let EventKind::Stack(definition) = lines.annotated(&event)?.kind else {
        panic!("it is another event");
    };
    definition.frames[0].line.clone()
}

fn told(lines: &mut SourceLines, frame: &StackFrame) -> Option<String> {
    look_up(lines, frame).map(|line| line.to_string())
}

#[test]
fn each_call_in_a_module_has_its_line() {
    for (file, name) in [
        ("demo.ko", "demo.ko"),
        (
            "demo.ko",
            "lib/modules/6.1.0-demo/kernel/drivers/demo.ko.debug",
        ),
        ("demo-zlib.ko.debug", "demo.ko.debug"),
        ("demo-zstd.ko.debug", "demo.ko.debug"),
        ("arm64.ko", "demo.ko"),
    ] {
        let directory = directory_with(&[(file, name)]);
        let mut lines = in_directory(directory.path(), Recorded::default());
        lines.loaded(&[loaded(Some(build_id(file)))]);
        for (called, call) in calls(file) {
            let line = told(&mut lines, &placed(&call, Some("demo")));
            assert_eq!(line, Some(expected(&called)), "{file}: {called}");
        }
        assert_eq!(lines.remarks(), [""; 0], "{file}");
    }
}

#[test]
fn each_call_in_the_kernel_has_its_line_wherever_it_lay() {
    for files in [
        DebugFiles {
            vmlinux: Some(demo("vmlinux")),
            ..DebugFiles::default()
        },
        DebugFiles {
            directories: vec![demo("")],
            ..DebugFiles::default()
        },
    ] {
        let mut lines = SourceLines::new(files, kernel(Some(build_id("vmlinux")))).unwrap();
        for (called, call) in calls("vmlinux") {
            let line = told(&mut lines, &placed(&call, None));
            assert_eq!(line, Some(expected(&called)), "{called}");
        }
        assert_eq!(lines.remarks(), [""; 0]);
    }
}

#[test]
fn a_build_is_found_by_its_number() {
    let id = build_id("demo.ko");
    let name = format!(".build-id/{}/{}.debug", &id[..2], &id[2..]);
    let directory = directory_with(&[("demo-zstd.ko.debug", &name)]);
    let mut lines = in_directory(directory.path(), Recorded::default());
    lines.loaded(&[loaded(Some(id))]);
    let call = &calls("demo.ko")["called_in_probe"];
    assert_eq!(
        told(&mut lines, &placed(call, Some("demo"))),
        Some(line_with("called_in_probe"))
    );
}

#[test]
fn of_names_alone_only_what_is_unique_has_a_line() {
    let directory = directory_with(&[("demo.ko", "demo.ko")]);
    let mut lines = in_directory(directory.path(), Recorded::default());
    for (called, call) in calls("demo.ko") {
        let line = told(&mut lines, &by_name(&call, Some("demo")));
        let is_common = call.caller == "common";
        assert_eq!(line, (!is_common).then(|| expected(&called)), "{called}");
    }
    assert_eq!(
        lines.remarks(),
        [
            "the recording has no build id of module demo: the lines are right only if the debug info is of the same build",
            "no line for common [demo]: several functions have the name",
        ]
    );
}

#[test]
fn what_is_not_certain_has_no_line() {
    let directory = directory_with(&[("demo.ko", "demo.ko")]);
    let mut lines = in_directory(directory.path(), Recorded::default());
    lines.loaded(&[loaded(Some(build_id("demo.ko")))]);
    let call = &calls("demo.ko")["called_in_probe"];
    let frame = |change: &dyn Fn(&mut StackFrame, &mut Function)| {
        let mut frame = placed(call, Some("demo"));
        let mut function = Function::clone(frame.function.as_deref().unwrap());
        change(&mut frame, &mut function);
        frame.function = Some(Arc::new(function));
        frame
    };
    assert!(told(&mut lines, &frame(&|_, _| ())).is_some());
    for (why, frame) in [
        (
            "it lies elsewhere",
            frame(&|_, function| function.address += 16),
        ),
        (
            "it is longer than the function",
            frame(&|frame, _| frame.offset = 0x40),
        ),
        (
            "no such function",
            frame(&|_, function| function.name = Some("other".into())),
        ),
        ("no name", frame(&|_, function| function.name = None)),
        (
            "no such module",
            frame(&|_, function| function.module = Some("other".into())),
        ),
        (
            "nobody knows how far into the function",
            frame(&|frame, function| {
                (frame.address, frame.offset, function.address) = (0, 0, 0);
            }),
        ),
    ] {
        assert_eq!(told(&mut lines, &frame), None, "{why}");
    }
    assert_eq!(lines.remarks(), ["no debug info for module other"]);
}

#[test]
fn files_that_are_of_no_use_are_refused_with_the_reason() {
    let right = build_id("demo.ko");
    let call = &calls("demo.ko")["called_in_probe"];
    let random = tempfile::tempdir().unwrap();
    fs::write(random.path().join("demo.ko"), [0x7f; 4096]).unwrap();
    for (directory, build_id, why) in [
        (
            directory_with(&[("demo.ko", "demo.ko")]),
            "0123".to_owned(),
            format!("demo.ko is not used: it is of another build: its build id is {right}, the recording's kernel had 0123"),
        ),
        (
            directory_with(&[("stripped.ko", "demo.ko")]),
            right.clone(),
            "demo.ko is not used: it has no debug info (DWARF): it was stripped, or built without CONFIG_DEBUG_INFO".to_owned(),
        ),
        (
            random,
            right.clone(),
            "demo.ko is not used: it is no ELF file, or damaged: Unknown file magic".to_owned(),
        ),
        (
            directory_with(&[("demo.ko", "other.ko")]),
            right,
            String::new(),
        ),
    ] {
        let mut lines = in_directory(directory.path(), Recorded::default());
        lines.loaded(&[loaded(Some(build_id))]);
        assert_eq!(told(&mut lines, &placed(call, Some("demo"))), None, "{why}");
        let mut remarks = lines.remarks();
        assert_eq!(remarks.pop().as_deref(), Some("no debug info for module demo"));
        let refused = remarks.pop().unwrap_or_default();
        assert!(refused.ends_with(&why) && remarks.is_empty(), "{refused}");
    }
}

#[test]
fn the_kernels_own_file_is_refused_at_once() {
    for (file, recorded, why) in [
        (
            "vmlinux",
            kernel(Some("0123".to_owned())),
            "it is of another build",
        ),
        ("stripped.ko", kernel(None), "it has no debug info"),
        ("a.c", kernel(None), "it is no ELF file"),
        ("missing", kernel(None), "it can't be read"),
    ] {
        let files = DebugFiles {
            vmlinux: Some(demo(file)),
            ..DebugFiles::default()
        };
        let error = SourceLines::new(files, recorded).err().unwrap();
        assert!(error.to_string().starts_with(why), "{file}: {error}");
    }
}

#[test]
fn of_several_builds_one_is_taken_only_if_it_is_known_which() {
    let directory = directory_with(&[
        ("demo.ko", "6.1.0-demo/demo.ko"),
        ("arm64.ko", "6.1.0-other/demo.ko"),
    ]);
    let call = &calls("demo.ko")["called_in_probe"];
    let look = |release: Option<&str>, build_id: Option<String>| {
        let recorded = Recorded {
            release: release.map(str::to_owned),
            ..Recorded::default()
        };
        let mut lines = in_directory(directory.path(), recorded);
        lines.loaded(&[loaded(build_id)]);
        (
            told(&mut lines, &placed(call, Some("demo"))),
            lines.remarks(),
        )
    };
    let line = Some(line_with("called_in_probe"));
    assert_eq!(
        look(None, Some(build_id("demo.ko"))),
        (line.clone(), Vec::new())
    );
    assert_eq!(look(Some("6.1.0-demo"), None).0, line);
    let (none, remarks) = look(None, None);
    assert_eq!(none, None);
    assert!(remarks[0].contains("neither is used"), "{remarks:?}");
}

#[test]
fn a_module_that_comes_back_may_be_another_build() {
    let directory = directory_with(&[("demo.ko", "a/demo.ko"), ("arm64.ko", "b/demo.ko")]);
    let mut lines = in_directory(directory.path(), Recorded::default());
    for file in ["demo.ko", "arm64.ko", "demo.ko"] {
        lines.loaded(&[loaded(Some(build_id(file)))]);
        for (called, call) in calls(file) {
            let line = told(&mut lines, &placed(&call, Some("demo")));
            assert_eq!(line, Some(expected(&called)), "{file}: {called}");
        }
    }
}
