//! The page that `devres-tracer report --html` writes, drawn by a real browser: at several widths, light and dark, for a look at
//! the pictures in `target/report-page`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::tracer;
use crate::test::Tally;
use crate::{tools, workspace};

/// The test's name.
const NAME: &str = "report_page_is_drawn_by_chromium";

/// Pages that are drawn at each width, and the widths in pixels: a phone's, half of a screen, a screen.
const PAGES: [&str; 3] = ["demo", "rules", "many"];
const WIDTHS: [u32; 3] = [480, 1024, 1920];
/// Presses keys in the page with all rules' recordings.
const KEYS: &str = include_str!("keys.html");
/// What a browser is told for each scheme of colours.
const SCHEMES: [(&str, &str); 2] = [("dark", "0"), ("light", "1")];

/// Devices of the made-up recording, and resources of each.
const DEVICES: u64 = 100;
const RESOURCES: u64 = 1000;

/// Runs the test, if its name contains `filter` and there is a Chromium.
pub(super) fn run(filter: Option<&str>) -> Tally {
    let mut tally = Tally::default();
    if !filter.is_none_or(|filter| NAME.contains(filter)) {
        return tally;
    }
    if let Err(error) = tools::require(&["chromium"]) {
        println!("skipped {NAME}: {error:#}");
        tally.skipped = 1;
        return tally;
    }
    let result = demo_is_drawn()
        .and_then(|()| recordings_are_drawn_beside_each_other())
        .and_then(|()| many_resources_are_drawn())
        .and_then(|()| all_rules_are_drawn())
        .and_then(|()| pages_fit_each_width())
        .and_then(|()| keys_do_what_they_say());
    Tally::of(&NAME, result)
}

/// The finding's device is selected, and the stack at the finding's beginning is listed.
fn demo_is_drawn() -> Result<()> {
    let demo = workspace::root().join("tracer-user/demo/pvpanic-6.1.dvrt");
    let page = drawn("demo", &demo, 1)?;
    for wanted in [
        "<h3 id=\"device-name\">QEMU0001:00</h3>",
        "it holds 3 resources, 56 bytes, newest first:",
        ">pvpanic_remove  16 B</button>",
        "aria-label=\"Show DR001 on the timeline\"",
    ] {
        ensure!(page.contains(wanted), "the page lacks {wanted}:\n{page}");
    }
    Ok(())
}

/// Each device has a lane in each recording, and the still picture gives way to the one that the script draws.
fn recordings_are_drawn_beside_each_other() -> Result<()> {
    let demo = workspace::root().join("tracer-user/demo/pvpanic-6.1.dvrt");
    let page = drawn_of("beside", &[&demo, &demo], 1)?;
    for wanted in [
        "2 devices, 10 resources",
        ">1: QEMU0001:00",
        "and 2 ",
        "<figure id=\"still\" hidden=\"\">",
    ] {
        ensure!(page.contains(wanted), "the page lacks {wanted}:\n{page}");
    }
    Ok(())
}

/// A recording with many devices and resources comes to its end as well.
fn many_resources_are_drawn() -> Result<()> {
    let demo = workspace::root().join("tracer-user/demo/pvpanic-6.1.dvrt");
    let json = tracer()
        .args(["export", "--format", "json"])
        .arg(&demo)
        .output()
        .context("cannot run the tracer")?;
    let json = String::from_utf8(json.stdout).context("the export is not text")?;
    let mut lines = json
        .lines()
        .next()
        .context("the export is empty")?
        .to_owned();
    let mut time = 1_000_000_000_u64;
    let mut event = |address: u64, kind: &str, detail: &str| {
        time += 1_000;
        let _ = write!(
            lines,
            "\n{{\"type\":\"event\",\"time\":{time},\"tid\":1,\"tgid\":1,\"comm\":\"sh\",\"cpu\":0,\
             \"address\":\"{address:#x}\",\"event\":\"{kind}\",\"detail\":{detail}}}"
        );
    };
    for device in 0..DEVICES {
        let address = 0xffff_8880_0000_0000 + device * 0x800;
        event(
            address,
            "enter",
            r#"{"function":"device_initialize","arguments":"none"}"#,
        );
        let name = format!(
            r#"{{"name":"dev{device}","driver":"made-up","bus":"platform","parent":"0x0"}}"#
        );
        event(address, "device", &name);
        for resource in 0..RESOURCES {
            let node = 0xffff_8881_0000_0000 + (device * RESOURCES + resource) * 0x40;
            let added = format!(
                r#"{{"node":"{node:#x}","name":"devm_kzalloc_release","size":8,"action_data":"0x0","payload_address":"{:#x}","payload":["0x0","0x0","0x0","0x0"]}}"#,
                node + 40
            );
            event(address, "add", &added);
        }
    }
    let directory = directory()?;
    let recording = directory.join("many.jsonl");
    fs::write(&recording, lines).context("cannot write the recording")?;
    let page = drawn("many", &recording, 3)?;
    let wanted = format!("{DEVICES} devices, 100,000 resources");
    ensure!(page.contains(&wanted), "the page lacks {wanted}");
    Ok(())
}

/// A page with the recordings of all rules has each of them as a finding. They lie under a long path, as in many a lab:
/// a word of the page is then longer than a column of it.
fn all_rules_are_drawn() -> Result<()> {
    let recordings = directory()?.join("recordings-of-all-rules-".repeat(4));
    fs::create_dir_all(&recordings).context("cannot create the directory of the recordings")?;
    let entries = fs::read_dir(workspace::root().join("docs/recordings"))
        .context("cannot list the recordings")?;
    let mut files = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(name) = path.file_name() else {
            continue;
        };
        if path.extension().is_some_and(|kind| kind == "dvrt") {
            let copy = recordings.join(name);
            fs::copy(&path, &copy).context("cannot copy a recording")?;
            files.push(copy);
        }
    }
    files.sort();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let page = drawn_of("rules", &files, 1)?;
    for rule in ["DR001", "DR013", "DR026"] {
        let wanted = format!("aria-label=\"Show {rule} on the timeline\"");
        ensure!(page.contains(&wanted), "the page lacks {wanted}");
    }
    Ok(())
}

/// No page is wider than the window, in which it would have to be moved to and fro.
fn pages_fit_each_width() -> Result<()> {
    let directory = directory()?;
    for (page, width) in PAGES
        .iter()
        .flat_map(|page| WIDTHS.map(|width| (page, width)))
    {
        // The narrowest window of a browser is wider than a phone: a frame within it is not.
        let frame = directory.join(format!("{page}-{width}.html"));
        let content = format!(
            "<!doctype html><style>body{{margin:0}}iframe{{border:0;width:{width}px;height:1400px}}</style>\
             <iframe src=\"{page}.html\"></iframe><p></p><script>onload=()=>{{\
             const page=document.querySelector('iframe').contentDocument.documentElement;\
             document.querySelector('p').textContent='wide '+page.scrollWidth+' of '+page.clientWidth}}</script>"
        );
        fs::write(&frame, content).context("cannot write a page")?;
        for (scheme, value) in SCHEMES {
            let picture = directory.join(format!("{page}-{width}-{scheme}.png"));
            let mut chromium = Command::new("chromium");
            chromium
                .args(["--headless", "--no-sandbox", "--disable-gpu"])
                .args(["--hide-scrollbars", "--allow-file-access-from-files"])
                .arg(format!("--blink-settings=preferredColorScheme={value}"))
                .arg(format!("--window-size={width},1400"))
                .arg(format!("--screenshot={}", picture.display()))
                .arg("--dump-dom")
                .arg(format!("file://{}", frame.display()));
            let drawn = chromium.output().context("cannot run chromium")?;
            let drawn = String::from_utf8_lossy(&drawn.stdout).into_owned();
            let measured = drawn
                .split_once("<p>wide ")
                .and_then(|(_, rest)| rest.split_once("</p>"))
                .and_then(|(numbers, _)| numbers.split_once(" of "))
                .and_then(|(all, window)| {
                    Some((all.parse::<u32>().ok()?, window.parse::<u32>().ok()?))
                });
            let (all, window) = measured.with_context(|| format!("{page} was not measured"))?;
            ensure!(
                all <= window,
                "{page} is {all} pixels wide in {window}, {scheme}"
            );
            ensure!(picture.is_file(), "{} is missing", picture.display());
        }
    }
    Ok(())
}

/// Each key changes what it is for: the colours, the finding, the time, the device, the search, the list of keys.
fn keys_do_what_they_say() -> Result<()> {
    let keys = directory()?.join("keys.html");
    fs::write(&keys, KEYS).context("cannot write a page")?;
    let drawn = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--allow-file-access-from-files", "--dump-dom"])
        .arg(format!("file://{}", keys.display()))
        .output()
        .context("cannot run chromium")?;
    let drawn = String::from_utf8_lossy(&drawn.stdout);
    let without_effect = drawn
        .split_once("<p>without effect: ")
        .and_then(|(_, rest)| rest.split_once("</p>"))
        .map(|(keys, _)| keys)
        .context("no key was pressed")?;
    ensure!(
        without_effect.is_empty(),
        "keys without effect: {without_effect}"
    );
    Ok(())
}

fn directory() -> Result<PathBuf> {
    let directory = workspace::root().join("target/report-page");
    fs::create_dir_all(&directory).context("cannot create the directory of the pages")?;
    Ok(directory)
}

/// The page's elements after its script has run. `code` is the exit code that the report must have.
fn drawn(name: &str, recording: &Path, code: i32) -> Result<String> {
    drawn_of(name, &[recording], code)
}

fn drawn_of(name: &str, recordings: &[&Path], code: i32) -> Result<String> {
    let directory = directory()?;
    let page = directory.join(format!("{name}.html"));
    let report = tracer()
        .args(["report", "--html"])
        .arg(&page)
        .args(recordings)
        .output()
        .context("cannot run the tracer")?;
    ensure!(report.status.code() == Some(code), "{name}: {report:?}");
    let chromium = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!("file://{}", page.display()))
        .output()
        .context("cannot run chromium")?;
    let said = String::from_utf8_lossy(&chromium.stderr);
    let complaint = said.lines().find(|line| line.contains("CONSOLE"));
    ensure!(
        complaint.is_none(),
        "{name}: the browser complains: {complaint:?}"
    );
    let page = String::from_utf8_lossy(&chromium.stdout).into_owned();
    ensure!(
        page.contains("data-drawn="),
        "{name} was not drawn:\n{said}"
    );
    Ok(page)
}
