//! Names that want to be more than names.

use std::{sync::Mutex, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use devres_tracer::{
    escape::steers,
    event::{EventKind, Hook, Message, ModuleCode, Text},
    evidence::{CommandEnd, SourceInformation},
};
use sha2::{Digest as _, Sha256};

use crate::{
    forms::{FORMS, Form, Material, Reader},
    perfetto,
    support::{Dev, Story, added, reference, whole},
};

const HOSTILE: [&str; 26] = [
    "\u{1b}[31mred\u{1b}]0;title\u{7}\u{1b}[2J",
    "\u{9b}31m\u{9d}0;x\u{9c}",
    "\u{202e}gpj.exe\u{2066}x\u{200b}\u{feff}",
    "a\u{2028}::error::x\u{2029}y\u{85}z",
    "a\n::error::pwn\r::stop-commands::x\u{b}\u{c}y",
    "::set-output name=x::y",
    "   ::error file=a,line=1::b",
    "%0A::error file=a::b%0D%25",
    "##[error]x ##vso[task.complete result=Failed]x ##teamcity[x]",
    "a##[error]x###[error]y",
    "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x RESULT=pass>",
    "TEST_CASE_ID=1 RESULT=pass>",
    "x # SKIP y # TODO z",
    "#",
    "# Subtest: x",
    "Subtest: x",
    "ok 1 all is well",
    "not ok 2",
    "KTAP version 1",
    "1..0 # SKIP",
    "Bail out! x",
    "]]></failure><testcase name=\"x\"/><!-- & &lt;",
    "\"]\n[[expect]]\nfingerprint = '''x\"\"\"",
    "../../etc/passwd",
    "\0a\\x1b\\",
    "\u{fffd}\u{e0041}\u{ad}",
];

pub(crate) fn hostile() -> Vec<String> {
    let mut names: Vec<String> = HOSTILE.map(str::to_owned).to_vec();
    // Long ones: with blanks, and without, where a line is broken anywhere.
    names.push("::error::long ".repeat(300));
    names.push(format!("{}::error::x", "a".repeat(78)));
    names.push("::e".repeat(1400));
    names.push(format!("{}##[error]", "x-".repeat(2000)));
    names
}

const NODE: u64 = 0xff11_0000_0001_0000;

/// Everything that has a name has this one, and as much is found as one can find.
pub(crate) fn material(name: &str) -> Material {
    let mut story = Story::new();
    let device = Dev(0xff11_0000_0513_1000);
    let other = Dev(0xff11_0000_0513_2000);
    for device in [device, other] {
        story
            .task(name, 7)
            .enter(device, Hook::Initialise)
            .named(device, name, name, name);
        for round in 0..2_u64 {
            let node = NODE + 0x1000 * round + (device.0 & 0xf000) * 0x10;
            story
                .enter(device, Hook::Probe)
                .attach(device)
                .stack(&[name, "really_probe"])
                .add(device, node, name, 8)
                .add(device, node + 0x100, "devm_irq_release", 8)
                .add_action(device, node + 0x200, &format!("{name}@{name}"))
                .stack(&["devres_open_group", name])
                .open_group(device, 0x10, node + 0x300)
                .bound(device)
                .rem(device, node, name, 8)
                .enter(device, Hook::Unbind)
                .enter(device, Hook::Remove)
                .detach(device)
                .leave(device, Hook::Remove)
                .enter(device, Hook::Cleanup)
                .enter(device, Hook::ReleaseAll)
                .rel(device, node + 0x200, "devm_action_release", 16)
                .rel(device, node + 0x100, "devm_irq_release", 8)
                .returned(device, Hook::ReleaseAll, Some(2))
                .add(device, node + 0x400, name, 4)
                .leave(device, Hook::Cleanup)
                .leave(device, Hook::Unbind);
        }
        story.add(device, NODE + 0x9_0000 + (device.0 & 0xf000), name, 16);
    }
    story.push(
        Dev(0),
        EventKind::ModuleFree {
            module: Text::from(name),
            code: Some(ModuleCode {
                begin: 0xffff_ffff_c000_0000,
                size: 0x1000,
            }),
        },
    );
    let messages = [
        Message::ProbeRefused,
        Message::Warning {
            function: Some(Text::from(name)),
            line: Some(1),
        },
        Message::FreedActive {
            object: Text::from(name),
            hint: Some(Text::from(name)),
            block: reference(NODE, name, 8),
        },
    ];
    for message in messages {
        for device in [device, Dev(0)] {
            story.push(device, EventKind::Message(message.clone()));
        }
    }
    let third = Dev(0xff11_0000_0513_3000);
    story.snapshot(third, name, &[added(NODE + 0x5_0000, name, 8)]);
    // As many bytes of it as a task's name has, valid or not.
    for (event, shift) in story.events.iter_mut().zip((0..4).cycle()) {
        let bytes = name.as_bytes().iter().skip(shift).take(15);
        event.task.comm.0 = [0; 16];
        for (place, byte) in event.task.comm.0.iter_mut().zip(bytes) {
            *place = if shift == 3 { *byte | 0x80 } else { *byte };
        }
    }
    let mut coverage = whole();
    coverage.before = devres_tracer::evidence::Before::Unknown(name.to_owned());
    if let Some(entry) = coverage.hooks.last_mut() {
        entry.state = devres_tracer::evidence::HookState::Missing(name.to_owned());
    }
    Material {
        name: name.to_owned(),
        information: SourceInformation {
            tool: name.to_owned(),
            kernel: Some(name.to_owned()),
            machine: Some(name.to_owned()),
            coverage,
            filters: Vec::new(),
        },
        events: story.events,
        command: CommandEnd {
            command: name.to_owned(),
            code: 1,
            signal: None,
        },
    }
}

/// What holds of every form, whoever reads it.
fn check_lines(text: &str, reader: Reader) -> Result<(), String> {
    if let Some(bad) = text.chars().find(|one| *one != '\n' && steers(*one)) {
        return Err(format!("{bad:?} is there as it is"));
    }
    for line in text.lines() {
        let own_command = reader == Reader::Github
            && ["::error title=", "::warning title=", "::notice title="]
                .iter()
                .any(|command| line.starts_with(command));
        if line.trim_start().starts_with("::") && !own_command {
            return Err(format!("a command of GitHub: {line}"));
        }
        if ["##[", "##vso[", "##teamcity["]
            .iter()
            .any(|command| line.contains(command))
        {
            return Err(format!("a command of Azure or TeamCity: {line}"));
        }
        if line.contains("<LAVA_SIGNAL") && reader != Reader::Lava {
            return Err(format!("a signal of LAVA: {line}"));
        }
    }
    Ok(())
}

fn check_ktap(text: &str) -> Result<(), String> {
    for line in text.lines() {
        let line = line.trim_start_matches(' ');
        let told = line.starts_with("# ");
        let result = line
            .strip_prefix("not ")
            .unwrap_or(line)
            .strip_prefix("ok ")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        let plan = line
            .strip_prefix("1..")
            .is_some_and(|count| count.parse::<u32>().is_ok());
        if !(told || result || plan || line == "KTAP version 1") {
            return Err(format!("no line of KTAP: {line}"));
        }
        if result {
            let directives: Vec<&str> = line.split('#').skip(1).collect();
            let known = [" SKIP", " XFAIL", " ERROR inconclusive"];
            let own = directives.len() <= 1
                && directives
                    .iter()
                    .all(|one| known.iter().any(|known| one.starts_with(known)));
            if !own {
                return Err(format!("a directive that is a name's: {line}"));
            }
        }
    }
    Ok(())
}

fn check_lava(text: &str) -> Result<(), String> {
    for line in text.lines() {
        let inside = line
            .strip_prefix("<LAVA_SIGNAL_")
            .and_then(|rest| rest.strip_suffix('>'))
            .ok_or_else(|| format!("no signal: {line}"))?;
        if inside.contains(['<', '>']) || inside.matches("TEST_CASE_ID=").count() > 1 {
            return Err(format!("a signal in a signal: {line}"));
        }
    }
    Ok(())
}

fn check_github(text: &str) -> Result<(), String> {
    for line in text.lines() {
        let (properties, _) = line
            .strip_prefix("::")
            .and_then(|rest| rest.split_once("::"))
            .ok_or_else(|| format!("no command: {line}"))?;
        let known = |one: &str| one.starts_with("file=") || one.starts_with("line=");
        let (_, properties) = properties
            .split_once(" title=")
            .ok_or_else(|| format!("no title: {line}"))?;
        if !properties.split(',').skip(1).all(known) {
            return Err(format!("a property that is a name's: {line}"));
        }
        for (at, _) in line.match_indices('%') {
            let code = line.get(at + 1..at + 3).unwrap_or_default();
            if !["25", "3A", "2C"].contains(&code) {
                return Err(format!("%{code}: {line}"));
            }
        }
    }
    Ok(())
}

fn check_xml(text: &str) -> Result<(), String> {
    use quick_xml::{Reader, events::Event};
    let mut reader = Reader::from_str(text);
    let (mut suites, mut cases) = (0, 0);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) | Event::Empty(element) => {
                suites += u32::from(element.name().as_ref() == "testsuite");
                cases += u32::from(element.name().as_ref() == "testcase");
            }
            Event::Comment(_) | Event::CData(_) | Event::PI(_) => {
                return Err("something that nobody writes".to_owned());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let declared = text
        .lines()
        .find_map(|line| line.split_once("tests=\"")?.1.split_once('"'))
        .and_then(|(count, _)| count.parse::<u32>().ok());
    if suites == 0 || declared != Some(cases) {
        return Err(format!("{cases} test cases, {declared:?} declared"));
    }
    Ok(())
}

fn check_json(text: &str) -> Result<(), String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
    if value.is_object() {
        Ok(())
    } else {
        Err("no object".to_owned())
    }
}

fn check_toml(text: &str) -> Result<(), String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    let unknown = table.keys().find(|key| *key != "expect");
    let entries = table.get("expect").and_then(toml::Value::as_array);
    match (unknown, entries) {
        (None, Some(entries)) if !entries.is_empty() => Ok(()),
        _ => Err(format!("no expectations, or {unknown:?}")),
    }
}

/// Nothing in the page but what it is made of, and its own policy lets only that run.
fn check_html(text: &str) -> Result<(), String> {
    const TAGS: [&str; 45] = [
        "!doctype",
        "article",
        "aside",
        "body",
        "button",
        "canvas",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "h1",
        "h2",
        "h3",
        "head",
        "header",
        "html",
        "input",
        "label",
        "li",
        "main",
        "meta",
        "noscript",
        "ol",
        "p",
        "pre",
        "script",
        "section",
        "span",
        "strong",
        "style",
        "summary",
        "title",
        "ul",
        "a",
        "b",
        "i",
        "figcaption",
        "figure",
        "path",
        "rect",
        "svg",
        "text",
        "g",
    ];
    let between = |begin: &str, end: &str| {
        let (_, rest) = text.split_once(begin)?;
        rest.split_once(end).map(|(inside, _)| inside)
    };
    let style = between("<style>", "</style>").ok_or("no style")?;
    let script = between("<script>", "</script>").ok_or("no script")?;
    let data = between(
        "<script type=\"application/json\" id=\"data\">",
        "</script>",
    )
    .ok_or("no data")?;
    check_json(data)?;
    let policy = between("Content-Security-Policy\" content=\"", "\">").ok_or("no policy")?;
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let (style_hash, script_hash) = (hash(style), hash(script));
    if policy != format!("default-src 'none'; style-src {style_hash}; script-src {script_hash}") {
        return Err(format!("the policy is {policy}"));
    }
    let page = text
        .replacen(style, "", 1)
        .replacen(script, "", 1)
        .replacen(data, "", 1);
    for (at, _) in page.match_indices('<') {
        let rest = page[at + 1..].trim_start_matches('/');
        let tag: String = rest
            .chars()
            .take_while(|one| one.is_ascii_alphanumeric() || *one == '!')
            .collect();
        if !TAGS.contains(&tag.as_str()) {
            return Err(format!("an element that is a name's: <{tag}"));
        }
    }
    if page.matches("<script").count() != 2 {
        return Err("a script too many".to_owned());
    }
    Ok(())
}

fn check_mail(text: &str) -> Result<(), String> {
    let wide = text.lines().find(|line| line.chars().count() > 72);
    wide.map_or(Ok(()), |line| Err(format!("too wide: {line}")))
}

fn check(text: &str, reader: Reader) -> Result<(), String> {
    check_lines(text, reader)?;
    match reader {
        // Lines that are read as they are; and what `check_bytes` has read otherwise.
        Reader::Lines | Reader::Perfetto => Ok(()),
        Reader::JsonLines => text.lines().try_for_each(check_json),
        Reader::Json => check_json(text),
        Reader::Toml => check_toml(text),
        Reader::Xml => check_xml(text),
        Reader::Ktap => check_ktap(text),
        Reader::Github => check_github(text),
        Reader::Lava => check_lava(text),
        Reader::Html => check_html(text),
        Reader::Mail => check_mail(text),
    }
}

/// Everything is text, but for what Perfetto reads.
fn check_bytes(bytes: &[u8], reader: Reader) -> Result<(), String> {
    if reader == Reader::Perfetto {
        return perfetto::check(bytes);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    check(text, reader)
}

/// What is wrong with one name in any form.
fn problems_with(name: &str) -> Vec<String> {
    let material = material(name);
    let problem = |form: &Form| {
        let bytes = (form.write)(&material);
        assert!(!bytes.is_empty(), "{}: nothing is written", form.name);
        let problem = check_bytes(&bytes, form.reader).err()?;
        let name: String = name.chars().take(60).collect();
        let problem: String = problem.chars().take(300).collect();
        Some(format!("{} with {name:?}: {problem}", form.name))
    };
    FORMS.iter().filter_map(problem).collect()
}

#[test]
fn names_are_inert_in_every_form() {
    let names = Mutex::new(hostile());
    let next = || names.lock().unwrap().pop();
    let work = || {
        let mut wrong = Vec::new();
        while let Some(name) = next() {
            wrong.extend(problems_with(&name));
        }
        wrong
    };
    let wrong = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut wrong = work();
        wrong.extend(other.join().unwrap());
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_material_says_something_in_every_form() {
    let material = material("harmless");
    for form in &FORMS {
        let bytes = (form.write)(&material);
        let text = String::from_utf8_lossy(&bytes);
        // LAVA has no place for all of it, but for the device's name.
        assert!(text.contains("harmless"), "{}: {text}", form.name);
        check_bytes(&bytes, form.reader).unwrap_or_else(|error| panic!("{}: {error}", form.name));
    }
    let findings = FORMS.iter().find(|form| form.name == "finding").unwrap();
    let text = String::from_utf8((findings.write)(&material)).unwrap();
    for rule in ["DR004 warning", "DR015 warning"] {
        assert!(text.contains(rule), "{rule}: {text}");
    }
}

#[test]
fn what_is_not_inert_is_noticed() {
    for (text, reader) in [
        ("a\u{1b}[31m", Reader::Lines),
        ("  ::error::x", Reader::Lines),
        ("x ##[error]", Reader::Lines),
        ("<LAVA_SIGNAL_X>", Reader::Lines),
        ("::add-mask::x", Reader::Github),
        ("::error title=a,title=b::x", Reader::Github),
        ("ok 1 x # SKIP y # TODO", Reader::Ktap),
        ("Bail out!", Reader::Ktap),
        ("<LAVA_SIGNAL_X TEST_CASE_ID=a<b>", Reader::Lava),
        ("[other]\na = 1", Reader::Toml),
        ("{} {}", Reader::Json),
        (&"x".repeat(73), Reader::Mail),
        (
            "<testsuites tests=\"2\"><testsuite><testcase/></testsuite></testsuites>",
            Reader::Xml,
        ),
    ] {
        assert!(check(text, reader).is_err(), "{text:?}");
    }
}
