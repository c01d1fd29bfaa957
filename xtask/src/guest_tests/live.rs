//! The live view on a terminal: tmux is the terminal, and what it shows is looked at.

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::{Series, Session, Test, never};

pub(super) static SESSION: Session = Session {
    name: "live",
    script: r#"
        export LC_ALL=C.UTF-8
        terminal() { tmux -u -L live -f /dev/null "$@"; }
        press() { terminal send-keys -t live "$@"; }
        # await NAME TEXT: waits until the screen shows the text, and leaves the screen in NAME.screen.
        await() {
            tries=0
            until terminal capture-pane -p -t live >$1.screen && grep -qF -- "$2" $1.screen; do
                tries=$((tries + 1))
                if [ $tries -gt 150 ]; then
                    echo "no '$2' on the screen:" >&2
                    cat $1.screen >&2
                    return 1
                fi
                sleep 0.2
            done
        }
        # await_file NAME: waits until the file is there.
        await_file() {
            tries=0
            until [ -s $1 ]; do
                tries=$((tries + 1))
                [ $tries -lt 150 ] || { echo "no file $1" >&2; return 1; }
                sleep 0.2
            done
        }

        # 5.10 has an ACPI driver for it, later kernels have a platform driver.
        directory=/sys/bus/acpi/devices/QEMU0001:00
        [ -e $directory/driver ] || directory=$(readlink -f $directory/physical_node)
        device=${directory##*/}
        driver=$(readlink -f $directory/driver)
        echo $device >$driver/unbind

        terminal new-session -d -s live -x 120 -y 40 'exec sh'
        press -l 'stty -g >before; devres-tracer; echo $? >quit.exit; stty -g >after'
        press Enter
        await opened LIVE

        press /
        press -l "name:$device driver:pvpanic"
        await typed "name:$device"
        echo $device >$driver/bind
        press Enter
        await bound ' bound '
        press Enter
        # The ACPI driver of 5.10 owns nothing when it is bound.
        if [ "$(uname -r | cut -d . -f 1-2)" = 5.10 ]; then
            await stack 'devm_kmalloc_release'
            echo $device >$driver/unbind
        else
            await stack 'devm_pvpanic_probe'
            echo $device >$driver/unbind
            await unwound 'devm_ioport_map_release is released'
        fi
        press 3
        sleep 1
        terminal capture-pane -p -t live >findings.screen
        if grep -q DR001 findings.screen; then
            press Enter
            await story 'Order expected'
            press w C-u
            press -l finding.txt
            press Enter
            await saved 'DR001 saved as finding.txt'
        fi
        press W C-u
        press -l saved.jsonl
        press Enter
        await trace 'events saved as saved.jsonl'
        press 1 Space
        await paused PAUSED
        press Space
        await resumed LIVE
        press q
        await_file after
        await quit 'stty -g >after'
        echo $device >$driver/bind

        # A signal from elsewhere.
        press -l 'clear; devres-tracer live; echo $? >killed.exit; stty -g >killed'
        press Enter
        await again LIVE
        killall -TERM devres-tracer
        await_file killed
        # Without another screen, on a terminal that can do little.
        press -l 'clear; TERM=vt100 devres-tracer live; echo $? >plain.exit; stty -g >plain'
        press Enter
        await plain LIVE
        press q
        await_file plain
        terminal kill-server

        # No terminal.
        run nowhere devres-tracer live
    "#,
    tests: &[
        Test {
            name: "live_shows_what_is_bound_and_unbound",
            skipped: never,
            check: shows_binding,
        },
        Test {
            name: "live_finds_and_saves_the_wrong_order",
            skipped: where_the_order_is_right,
            check: finds_and_saves,
        },
        Test {
            name: "live_leaves_the_terminal_as_it_was",
            skipped: never,
            check: leaves_the_terminal,
        },
        Test {
            name: "live_says_why_it_can_not_run",
            skipped: never,
            check: says_why,
        },
    ],
};

/// For tests of what was wrong up to 6.16.
fn where_the_order_is_right(series: Series) -> Option<&'static str> {
    (!((5, 15)..(6, 17)).contains(&series))
        .then_some("this kernel detaches the PM domain at the right time")
}

fn shows(evidence: &Evidence, screen: &str, texts: &[&str]) -> Result<()> {
    let shown = evidence.text(&format!("{screen}.screen"))?;
    for text in texts {
        ensure!(
            shown.contains(text),
            "`{text}` is missing in {screen}:\n{shown}"
        );
    }
    Ok(())
}

fn shows_binding(evidence: &Evidence) -> Result<()> {
    shows(
        evidence,
        "opened",
        &["lost 0", "starts with a snapshot", "Devices"],
    )?;
    shows(evidence, "bound", &["pvpanic", "bound"])?;
    let stack: &[&str] = if evidence.series() < (5, 15) {
        &["AGE", "devm_kmalloc_release", "removed"]
    } else {
        &["probing", "AGE", "devm_pvpanic_probe"]
    };
    shows(evidence, "stack", stack)?;
    let saved = evidence.text("saved.jsonl")?;
    ensure!(
        saved.lines().count() > 20 && saved.starts_with(r#"{"type":"source""#),
        "the saved trace is none"
    );
    Ok(())
}

fn finds_and_saves(evidence: &Evidence) -> Result<()> {
    shows(
        evidence,
        "unwound",
        &["Unwinding by", "detaches the PM domain", "released"],
    )?;
    shows(evidence, "findings", &["DR001", "pvpanic"])?;
    shows(
        evidence,
        "story",
        &["Order seen", "Order expected", "pm-detach-before-release"],
    )?;
    let saved = evidence.text("finding.txt")?;
    ensure!(
        saved.starts_with("DR001 error: driver pvpanic") && saved.contains("Order expected"),
        "the saved finding is another:\n{saved}"
    );
    Ok(())
}

fn leaves_the_terminal(evidence: &Evidence) -> Result<()> {
    let before = evidence.text("before")?;
    for after in ["after", "killed", "plain"] {
        let settings = evidence.text(after)?;
        ensure!(
            settings == before,
            "{after}: the terminal was {before} and is {settings}"
        );
    }
    evidence_exit(evidence, "quit", 0)?;
    // The shell's word for SIGTERM.
    evidence_exit(evidence, "killed", 143)?;
    evidence_exit(evidence, "plain", 0)?;
    let screen = evidence.text("plain.screen")?;
    ensure!(
        screen.is_ascii(),
        "vt100 was sent more than ASCII:\n{screen}"
    );
    Ok(())
}

fn evidence_exit(evidence: &Evidence, name: &str, expected: i32) -> Result<()> {
    let code = evidence.exit_code(name)?;
    ensure!(code == expected, "{name} ended with {code}");
    Ok(())
}

fn says_why(evidence: &Evidence) -> Result<()> {
    let code = evidence.exit_code("nowhere")?;
    let text = evidence.text("nowhere.stderr")?;
    ensure!(code == 4, "the exit code is {code}");
    ensure!(
        text.contains("this is not a terminal") && text.contains("devres-tracer demo"),
        "it says something else:\n{text}"
    );
    Ok(())
}
