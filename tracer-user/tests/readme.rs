//! What the README shows is what the program prints.

use std::process::Command;

#[test]
fn the_headline_is_what_the_demo_prints() {
    let readme = include_str!("../../README.md");
    let (_, shown) = readme
        .split_once("```text\n$ devres-tracer demo --quiet\n")
        .expect("the README begins with the demo");
    let (shown, _) = shown.split_once("\n```").expect("the block has an end");
    let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
        .args(["demo", "--quiet"])
        .output()
        .expect("it can be run");
    let printed = format!(
        "{}$ echo $?\n{}",
        String::from_utf8_lossy(&output.stdout),
        output.status.code().expect("it ended by itself"),
    );
    assert_eq!(shown, printed);
}
