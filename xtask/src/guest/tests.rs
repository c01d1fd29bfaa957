use std::fs;

use super::*;

fn guest() -> Result<Guest> {
    let name = std::env::var("DEVRES_TRACER_TEST_KERNEL").unwrap_or_else(|_| "newest".to_owned());
    let mut guest = Guest::new(Kernel::obtain(&name, false, None)?);
    guest.standard_devices = false;
    Ok(guest)
}

#[test]
#[ignore = "boots a kernel in QEMU"]
fn output_exit_code_and_shared_files_come_back_unchanged() -> Result<()> {
    let mut guest = guest()?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), "carried in")?;
    guest.files = vec![(file.path().to_owned(), "/some/where/file".to_owned())];
    let script = r"
            uname -r
            printf 'a\tb\r\n\n'
            printf 'to the other stream' >&2
            cp /some/where/file /mnt/share/copy
            exit 42
        ";
    let run = guest.run(script)?;
    assert_eq!(run.stdout, format!("{}\na\tb\r\n\n", guest.kernel.release));
    assert_eq!(run.stderr, "to the other stream");
    assert_eq!(run.exit_code, 42);
    assert_eq!(
        fs::read_to_string(run.share_dir.join("copy"))?,
        "carried in"
    );
    assert!(
        run.console.contains("Run /init as init process"),
        "{}",
        run.console
    );
    Ok(())
}

#[test]
#[ignore = "boots a kernel in QEMU"]
fn devices_and_modules_are_ready_for_the_script() -> Result<()> {
    let mut guest = guest()?;
    guest.devices = vec!["pvpanic".to_owned()];
    guest.load = vec![
        "i2c-stub chip_addr=0x48".to_owned(),
        "lm75".to_owned(),
        "virtio_pci".to_owned(),
    ];
    let script = r"
            set -e
            cd -P /sys/bus/acpi/devices/QEMU0001:00
            [ -e driver ] || cd -P physical_node
            device=${PWD##*/}
            cd -P driver
            echo $device >unbind
            [ ! -e $device ]
            echo $device >bind
            [ -e $device ]
            bus=$(grep -l 'SMBus stub' /sys/bus/i2c/devices/i2c-*/name)
            echo lm75 0x48 >${bus%name}new_device
            ls /sys/bus/i2c/drivers/lm75 | grep 0048
        ";
    let run = guest.run(script)?;
    assert_eq!((run.exit_code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.ends_with("-0048\n"), "{}", run.stdout);
    Ok(())
}

#[test]
#[ignore = "boots a kernel in QEMU"]
fn a_guest_that_hangs_or_crashes_is_an_error_that_shows_its_logs() -> Result<()> {
    let mut guest = guest()?;
    guest.timeout = Duration::from_secs(30);
    let crash = guest
        .run("echo c >/proc/sysrq-trigger")
        .expect_err("the kernel panics")
        .to_string();
    assert!(
        crash.contains("without finishing") && crash.contains("sysrq triggered crash"),
        "{crash}"
    );

    guest.timeout = Duration::from_secs(15);
    let hang = guest
        .run("echo waiting >&2; sleep 1000")
        .expect_err("the script sleeps")
        .to_string();
    assert!(
        hang.contains("did not finish within 15 s") && hang.contains("waiting"),
        "{hang}"
    );

    guest.timeout = Duration::from_secs(60);
    guest.silence = Some(Duration::from_secs(8));
    let silent = guest
        .run("for i in 1 2 3 4 5 6; do echo $i; sleep 2; done; sleep 1000")
        .expect_err("the script sleeps")
        .to_string();
    assert!(silent.contains("printed nothing for 8 s"), "{silent}");

    guest.silence = None;
    guest.step = Some(Duration::from_secs(8));
    "unknown_nmi_panic".clone_into(&mut guest.append);
    let still = guest
        .run("while sleep 1; do echo here >/dev/kmsg; done")
        .expect_err("the script says nothing")
        .to_string();
    assert!(
        still.contains("its script printed nothing for 8 s") && still.contains("NMI"),
        "{still}"
    );

    guest.load = vec!["i2c-stub".to_owned()];
    let setup = guest
        .run("true")
        .expect_err("i2c-stub needs a parameter")
        .to_string();
    assert!(setup.contains("modprobe i2c-stub"), "{setup}");
    guest.load = vec!["no-such".to_owned()];
    let missing = guest
        .run("true")
        .expect_err("there is no such module")
        .to_string();
    assert!(missing.contains("no_such"), "{missing}");
    Ok(())
}
