//! The live view gives the terminal back, whatever signal ends it.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    process::{Command, Stdio},
    thread,
};

use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{Termios, tcgetattr},
    },
    unistd::Pid,
};

/// What the terminal gets when its other screen is taken, and when it is given back.
const TAKEN: &[u8] = b"\x1b[?1049h";
const GIVEN_BACK: &[u8] = b"\x1b[?1049l";

/// The first picture has more bytes than this.
const FIRST_PICTURE: usize = 500;

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/pvpanic-6.1.dvrt");

/// What is set on a terminal that the program leaves as it was.
fn settings(terminal: &OwnedFd) -> Termios {
    tcgetattr(terminal).expect("it is a terminal")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Ends the live view by a signal once it has drawn something, and fails if the terminal isn't as before.
fn ends_well_by(signal: Signal) {
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).expect("there are terminals");
    let before = settings(&terminal.slave);
    let end = || Stdio::from(terminal.slave.try_clone().expect("it can be shared"));
    // In a shell's background and under nohup signals are ignored that the program must get here.
    let mut program = Command::new("env");
    program
        .arg("--default-signal=HUP,INT,QUIT,TERM,ABRT")
        .args([env!("CARGO_BIN_EXE_devres-tracer"), "live", RECORDING])
        .env("TERM", "xterm")
        .stdin(end())
        .stdout(end())
        .stderr(end());
    let mut running = program.spawn().expect("it can be run");
    // The command holds copies of the terminal: while they are there, reading doesn't come to an end.
    drop(program);

    let mut screen = File::from(terminal.master);
    let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
    while !contains(&seen, TAKEN) || seen.len() < FIRST_PICTURE {
        let count = screen.read(&mut bytes).expect("it draws");
        seen.extend_from_slice(&bytes[..count]);
    }
    let pid = Pid::from_raw(i32::try_from(running.id()).expect("a process id"));
    kill(pid, signal).expect("it is running");
    // What it still draws must be read, or it waits for that; our own copy of the terminal keeps the end from coming.
    let reader = thread::spawn(move || {
        let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
        while !contains(&seen, GIVEN_BACK) {
            match screen.read(&mut bytes) {
                Ok(count) if count > 0 => seen.extend_from_slice(&bytes[..count]),
                _ => break,
            }
        }
        (seen, screen)
    });
    let status = running.wait().expect("it ends");
    assert_eq!(status.signal(), Some(signal as i32), "{status}");
    assert_eq!(
        settings(&terminal.slave),
        before,
        "{signal} left other settings"
    );
    drop(terminal.slave);
    let (seen, _screen) = reader.join().expect("it was read");
    assert!(
        contains(&seen, GIVEN_BACK),
        "{signal} left the other screen"
    );
}

#[test]
fn signals_leave_the_terminal_as_it_was() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGABRT,
    ] {
        ends_well_by(signal);
    }
}
