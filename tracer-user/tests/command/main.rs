//! The command line where a transcript can't show it: files that are written, bytes that are not text, other programs.

mod inputs;
mod other_tools;
mod outputs;
mod tables;

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with a recording in it as JSON lines, and the program to run there.
struct Place {
    directory: TempDir,
}

/// What came of running it.
struct Ran {
    code: i32,
    output: String,
    error: String,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            directory: TempDir::new().expect("a directory can be made"),
        };
        let ran = place.run(&["demo", "--json", "--output", "whole.jsonl"]);
        assert_eq!(ran.code, 1, "{}", ran.error);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file can be read")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("the file can be written");
    }

    fn lines(&self) -> Vec<String> {
        self.read("whole.jsonl")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_among(&std::env::var("PATH").unwrap_or_default(), arguments)
    }

    /// The same where programs are looked for in these directories only.
    fn run_among(&self, programs: &str, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).env("PATH", programs).output();
        Ran::of(&output.expect("it can be run"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devres-tracer"));
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("COLUMNS", "100")
            .env_remove("SUDO_UID")
            .stdin(Stdio::null());
        command
    }

    /// The summary of `trace --json --from`, with the exit code.
    fn judged(&self, arguments: &[&str]) -> (i32, Value) {
        let ran = self.run(&[&["trace", "--json", "--quiet", "--from"], arguments].concat());
        let last = ran.output.lines().last().unwrap_or_default();
        let summary = serde_json::from_str(last).unwrap_or_else(|_| panic!("{}", ran.error));
        (ran.code, summary)
    }
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or_else(|| {
                panic!("it was killed by {:?}", output.status.signal());
            }),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/pvpanic-6.1.dvrt");

/// Started by a name that nobody types, the program writes what it is told where it is told, and answers with the error.
#[test]
fn orders_to_the_kernel_are_carried_out_and_answered() {
    use std::{io::Write as _, os::unix::process::CommandExt as _};

    let directory = TempDir::new().expect("a directory can be made");
    let path = directory.path().join("unbind");
    fs::write(&path, "").expect("the file can be written");
    let mut program = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .arg0("devres-tracer-orders")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut orders = program.stdin.take().expect("it reads");
    let path = path.to_str().expect("the path is text");
    write!(orders, "{path}\n0-0048\n{path}/none\n0-0048\n").expect("it listens");
    drop(orders);
    let ended = program.wait_with_output().expect("it ends");
    let not_a_directory = "20";
    assert_eq!(
        String::from_utf8_lossy(&ended.stdout),
        format!("0\n{not_a_directory}\n")
    );
    assert!(ended.status.success());
    assert_eq!(
        fs::read_to_string(path).expect("the file can be read"),
        "0-0048"
    );
}
