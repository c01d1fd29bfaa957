//! Each view, at several sizes.

use snapbox::{Assert, Data, IntoData as _};

use crate::screen::{demo, text};

fn check(name: &str, keys: &str, sizes: &[(u16, u16)]) {
    for (width, height) in sizes {
        let mut session = demo();
        // Once, so that pages have a length.
        text(&mut session, *width, *height);
        session.press(keys).unwrap();
        let screen = text(&mut session, *width, *height);
        let file = format!(
            "{}/tests/tui/screens/{name}-{width}x{height}.txt",
            env!("CARGO_MANIFEST_DIR")
        );
        Assert::new().action_env("SNAPSHOTS").eq(
            screen.raw(),
            Data::read_from(file.as_ref(), Some(snapbox::data::DataFormat::Text)).raw(),
        );
    }
}

const USUAL: [(u16, u16); 2] = [(80, 24), (120, 40)];

#[test]
fn devices() {
    check("devices", "", &USUAL);
    check(
        "devices",
        "",
        &[(180, 50), (60, 15), (40, 10), (24, 6), (20, 5)],
    );
}

#[test]
fn devices_while_bound() {
    check("bound", "t # 2 7 Enter", &USUAL);
}

#[test]
fn all_devices() {
    check("all-devices", "a", &[(80, 24)]);
}

#[test]
fn stack_while_unwinding() {
    check("unwinding", "t # 3 8 Enter 2", &USUAL);
    check("unwinding", "t # 3 8 Enter 2", &[(60, 15), (24, 6)]);
}

#[test]
fn stack_while_bound() {
    check("stack", "t # 2 7 Enter 2 Down", &USUAL);
}

#[test]
fn findings() {
    check("findings", "3", &USUAL);
    check("findings", "3", &[(40, 10), (24, 6)]);
}

#[test]
fn findings_that_lie_ahead() {
    check("findings-ahead", "[ { { { 3", &[(80, 24)]);
}

#[test]
fn finding() {
    check("finding", "3 Enter", &USUAL);
    check("finding", "3 Enter", &[(60, 30), (24, 6)]);
}

#[test]
fn rule_below_the_finding() {
    check("finding-end", "3 Enter End", &[(80, 24)]);
}

#[test]
fn timeline() {
    check("timeline", "4", &USUAL);
    check("timeline", "4", &[(40, 10), (24, 6)]);
}

#[test]
fn timeline_of_the_unbind() {
    check("timeline-zoomed", "[ 4 + + +", &USUAL);
}

#[test]
fn timeline_of_all_devices() {
    check("timeline-all", "4 d", &[(80, 24)]);
}

#[test]
fn help() {
    check("help", "?", &USUAL);
}

#[test]
fn filter_being_typed() {
    check("filter", "/ p v p a", &[(80, 24)]);
}
