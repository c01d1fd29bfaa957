//! Debug info that is fetched: `debuginfod-find` asks a server that hands out the demo's module, as the debuginfod of a
//! distribution would.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use super::{build_id, commands::recording, demo, line_with};

/// Answers every connection: the file for its build id, and nothing for others.
fn serve(build_id: String, file: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            answer(&connection.unwrap(), &build_id, &file);
        }
    });
    port
}

fn answer(mut connection: &TcpStream, build_id: &str, file: &[u8]) {
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next().unwrap().unwrap();
    let _: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let (status, body) = if request.contains(&format!("/buildid/{build_id}/debuginfo ")) {
        ("200 OK", file)
    } else {
        ("404 Not Found", &[][..])
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body).unwrap();
}

#[test]
#[ignore = "needs debuginfod-find: `cargo xtask test` installs it"]
fn debug_info_is_fetched_from_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = recording(directory.path(), "demo.ko");
    let port = serve(build_id("demo.ko"), std::fs::read(demo("demo.ko")).unwrap());
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(["report", "--no-pager", "--debuginfod"])
        .arg(&file)
        .env("DEBUGINFOD_URLS", format!("http://127.0.0.1:{port}"))
        .env("HOME", &home)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("DEBUGINFOD_CACHE_PATH")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let probe = format!("[demo] at {}", line_with("called_in_probe"));
    assert!(text.contains(&probe), "{text}");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "devres-tracer: no debug info for the kernel\n"
    );
}
