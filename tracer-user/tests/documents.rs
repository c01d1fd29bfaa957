//! The documents show what the program does: `console` blocks are run, other commands are parsed, links lead somewhere.
//!
//! `UPDATE_DOCUMENTS=1 cargo test -p devres-tracer --test documents` writes what the commands print into the blocks; a
//! line `...` in a block stands for any lines.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use clap::CommandFactory as _;
use devres_tracer::{command::Arguments, rules::RuleSet, sink::lab};

/// Held by who writes documents.
static WRITING: Mutex<()> = Mutex::new(());

/// Ends the output of each command of a block.
const MARK: &str = "\u{1}end of output\u{1}";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All Markdown files that people read.
fn documents() -> Vec<PathBuf> {
    let root = root();
    let mut found: Vec<PathBuf> = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .into_iter()
    .map(|name| root.join(name))
    .collect();
    for directory in [
        "docs",
        "docs/guide",
        "tests/kmod",
        "tracer-user/src/rules",
        ".github/ISSUE_TEMPLATE",
    ] {
        let entries = fs::read_dir(root.join(directory)).unwrap();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
            .collect();
        files.sort();
        found.extend(files);
    }
    found
}

/// A fenced block: what it is, where its first line is in the document (from 0), and its lines.
struct Block<'a> {
    kind: &'a str,
    begin: usize,
    lines: Vec<&'a str>,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for (number, line) in document.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(kind) if !open => {
                open = true;
                found.push(Block {
                    kind,
                    begin: number + 1,
                    lines: Vec::new(),
                });
            }
            Some(_) => open = false,
            None if open => found.last_mut().unwrap().lines.push(line),
            None => {}
        }
    }
    assert!(!open, "a block has no end");
    found
}

/// The commands of a `console` block, each with what is shown of its output.
fn session<'a>(lines: &[&'a str]) -> Vec<(Vec<&'a str>, Vec<&'a str>)> {
    let mut commands: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for line in lines {
        let goes_on = commands.last().is_some_and(|(command, output)| {
            output.is_empty() && command.last().is_some_and(|last| last.ends_with('\\'))
        });
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((vec![command], Vec::new()));
        } else {
            let (command, output) = commands.last_mut().expect("a block begins with a command");
            if goes_on { command } else { output }.push(line);
        }
    }
    commands
}

/// What each command prints, run one after the other in one shell.
fn run(commands: &[(Vec<&str>, Vec<&str>)], directory: &Path) -> Vec<String> {
    let mut script = "exec 2>&1\n".to_owned();
    for (command, _) in commands {
        script.push_str(&command.join("\n"));
        script.push_str("\nstatus=$?\nprintf '%s\\n' '");
        script.push_str(MARK);
        script.push_str("'\n(exit $status)\n");
    }
    let program = Path::new(env!("CARGO_BIN_EXE_devres-tracer"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let end = format!("{MARK}\n");
    let mut printed: Vec<String> = output.split(&end).map(str::to_owned).collect();
    assert_eq!(printed.pop().as_deref(), Some(""), "{script}: {output}");
    printed
}

/// Whether `shown` is what was printed, `...` standing for any lines.
fn fits(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        (Some((line, shown)), Some((other, printed))) => line == other && fits(shown, printed),
        _ => false,
    }
}

#[test]
fn console_blocks_show_what_the_commands_print() {
    let update = std::env::var_os("UPDATE_DOCUMENTS").is_some();
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    // Commands that write do so beside the documents, not into them.
    let directory = tempfile::tempdir().unwrap();
    for name in ["docs", "tracer-user"] {
        std::os::unix::fs::symlink(root().join(name), directory.path().join(name)).unwrap();
    }
    let mut wrong = String::new();
    let mut run_blocks = 0;
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
        // The last first: what is replaced moves what is behind it.
        for block in blocks(&document).iter().rev() {
            if block.kind != "console" {
                continue;
            }
            run_blocks += 1;
            let commands = session(&block.lines);
            let mut now: Vec<String> = Vec::new();
            for ((command, shown), printed) in commands.iter().zip(run(&commands, directory.path()))
            {
                let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
                let shown_is_right = fits(shown, &printed);
                if !shown_is_right && !update {
                    let _ = writeln!(
                        wrong,
                        "{}:{}: {} prints\n{}",
                        path.display(),
                        block.begin,
                        command.join("\n"),
                        printed.join("\n")
                    );
                }
                now.push(format!("$ {}", command.join("\n")));
                let right: &[&str] = if shown_is_right { shown } else { &printed };
                now.extend(right.iter().map(|&line| line.to_owned()));
            }
            lines.splice(block.begin..block.begin + block.lines.len(), now);
        }
        if update {
            fs::write(&path, lines.join("\n") + "\n").unwrap();
        }
    }
    assert!(run_blocks > 0);
    assert!(wrong.is_empty(), "{wrong}");
}

/// The arguments of each use of the program in a line of shell.
fn uses(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("the shell can't read {line:?}"));
    let mut found = Vec::new();
    let mut rest = words.as_slice();
    while let Some(at) = rest
        .iter()
        .position(|word| word == "devres-tracer" || word.ends_with("/devres-tracer"))
    {
        let arguments = &rest[at..];
        let end = arguments
            .iter()
            .position(|word| {
                matches!(word.as_str(), "|" | "&&" | "||" | "<" | ">") || word.starts_with('>')
            })
            .unwrap_or(arguments.len());
        found.push(arguments[..end].to_vec());
        rest = &arguments[end..];
    }
    found
}

/// Programs that get a path or name of this one and do not run it.
const CARRIERS: [&str; 5] = ["cargo", "scp", "cp", "install", "dpkg"];

#[test]
fn every_command_in_the_documents_can_be_given() {
    let mut checked = 0;
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        for block in blocks(&document) {
            if !matches!(block.kind, "sh" | "console") {
                continue;
            }
            let text = block.lines.join("\n").replace("\\\n", " ");
            for line in text.lines() {
                let line = match block.kind {
                    "console" => match line.strip_prefix("$ ") {
                        Some(line) => line,
                        None => continue,
                    },
                    _ => line,
                };
                if !line.contains("devres-tracer")
                    || CARRIERS.iter().any(|program| line.starts_with(program))
                {
                    continue;
                }
                for arguments in uses(line) {
                    checked += 1;
                    let given = Arguments::command().try_get_matches_from(&arguments);
                    if let Err(error) = given {
                        let asked = !error.use_stderr();
                        assert!(asked, "{}: {arguments:?}: {error}", path.display());
                    }
                }
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn links_lead_somewhere() {
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        for link in document.split("](").skip(1) {
            let (target, _) = link.split_once(')').unwrap();
            let (file, _) = target.split_once('#').unwrap_or((target, ""));
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let found = path.parent().unwrap().join(file);
            assert!(found.exists(), "{}: {target}", path.display());
        }
    }
}

#[test]
fn the_tables_of_a_lab_are_described() {
    let path = root().join("docs/lab.md");
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once("<!-- tables: ").unwrap();
    let (note, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of tables -->").unwrap();
    let tables = lab::document();
    let whole = format!("{before}<!-- tables: {note}-->\n\n{tables}<!-- end of tables -->{after}");
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, whole).unwrap();
    } else {
        assert!(
            document == whole,
            "docs/lab.md does not describe the tables: run UPDATE_DOCUMENTS=1"
        );
    }
}

#[test]
fn each_rule_has_a_recording_in_which_it_finds_something() {
    for rule in RuleSet::all().infos() {
        let recording = ["dvrt", "log"]
            .map(|kind| format!("docs/recordings/{}.{kind}", rule.id.to_lowercase()))
            .into_iter()
            .find(|name| root().join(name).exists())
            .unwrap_or_else(|| panic!("there is no recording for {}", rule.id));
        assert!(rule.page.contains(&recording), "{}", rule.id);
        let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
            .args(["trace", "--quiet", "--all-rules", "--from", &recording])
            .current_dir(root())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let found = printed
            .lines()
            .any(|line| line.starts_with(&format!("{} ", rule.id)));
        assert!(found, "{recording}: {printed}");
    }
}
