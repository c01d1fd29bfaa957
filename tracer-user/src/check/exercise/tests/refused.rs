//! What an exercise refuses, since the machine runs on it.

use std::{fs, os::unix::fs::symlink};

use super::*;
use crate::check::exercise::Candidate;

#[test]
fn names_that_may_be_several_things_are_not_guessed() {
    let tree = Tree::new();
    let device = tree.device("platform", "platform/rtc", Some("rtc-x"));
    tree.device("i2c", "i2c-0/0-0068", Some("rtc"));
    let error = tree.refusal("rtc");
    assert!(
        error.contains("driver i2c/rtc") && error.contains("device platform/rtc"),
        "{error}"
    );
    assert!(tree.exercise("i2c/rtc").is_ok());
    assert!(tree.exercise("platform/rtc").is_ok());
    assert!(tree.exercise(device.to_str().unwrap()).is_ok());
    for (name, words) in [
        ("nothing", "no bus has a driver or device"),
        ("../rtc", "is not a driver or device"),
        ("/tmp", "is not a device on a bus"),
        ("", "is not a driver or device"),
    ] {
        let error = tree.refusal(name);
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn what_can_not_be_unbound_is_said() {
    let tree = Tree::new();
    tree.device("platform", "a", None);
    assert!(tree.refusal("a").contains("no driver is bound"));
    tree.device("platform", "b", Some("stubborn"));
    fs::remove_file(tree.roots.driver("platform", "stubborn").join("unbind")).unwrap();
    assert!(tree.refusal("b").contains("suppress_bind_attrs"));
    tree.make("bus/platform/drivers/idle");
    assert!(tree.refusal("idle").contains("bound to no device"));
}

#[test]
fn the_disks_in_use_are_refused_with_their_parents() {
    let tree = Tree::new();
    tree.device("pci", "pci0/0000:00:04.0", Some("virtio-pci"));
    tree.device("virtio", "pci0/0000:00:04.0/virtio1", Some("virtio_blk"));
    let disk = tree.make("devices/pci0/0000:00:04.0/virtio1/block/vda");
    tree.make("devices/pci0/0000:00:04.0/virtio1/block/vda/vda1");
    tree.link("dev/block/254:1", disk.join("vda1"));
    tree.link("class/block/vda1", disk.join("vda1"));
    fs::write(
        tree.roots.proc.join("self/mountinfo"),
        "21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n",
    )
    .unwrap();
    for name in ["virtio_blk", "0000:00:04.0"] {
        let error = tree.refusal(name);
        assert!(error.contains("mounted on /"), "{error}");
    }
    assert!(Exercise::of_devices(tree.roots.clone(), "virtio_blk", true).is_ok());

    // A disk of disks, known by its source only.
    let mapped = tree.make("devices/virtual/block/dm-0");
    tree.link("class/block/dm-0", &mapped);
    tree.link(mapped.join("slaves/vda1"), disk.join("vda1"));
    fs::write(
        tree.roots.proc.join("self/mountinfo"),
        "21 1 0:25 / / rw shared:1 - btrfs /dev/dm-0 rw\n",
    )
    .unwrap();
    assert!(tree.refusal("virtio_blk").contains("mounted on /"));
}

#[test]
fn swap_is_a_disk_in_use() {
    let tree = Tree::new();
    tree.device("virtio", "virtio1", Some("virtio_blk"));
    let disk = tree.make("devices/virtio1/block/vdb");
    tree.link("class/block/vdb", &disk);
    fs::write(
        tree.roots.proc.join("swaps"),
        "Filename Type Size Used Priority\n/dev/vdb partition 1 0 -2\n",
    )
    .unwrap();
    assert!(tree.refusal("virtio_blk").contains("swap"));
}

#[test]
fn the_only_network_is_refused_and_one_of_two_is_not() {
    let tree = Tree::new();
    for (device, interface) in [("virtio2", "eth0"), ("virtio3", "eth1")] {
        let path = tree.device("virtio", device, Some("virtio_net"));
        tree.make(&format!("devices/{device}/net/{interface}"));
        tree.link(
            format!("class/net/{interface}"),
            path.join("net").join(interface),
        );
        tree.link(path.join("net").join(interface).join("device"), &path);
    }
    tree.write("devices/virtio2/net/eth0/operstate", "up\n");
    tree.write("devices/virtio3/net/eth1/operstate", "down\n");
    assert!(tree.refusal("virtio2").contains("eth0"));
    assert!(tree.exercise("virtio3").is_ok());
    tree.write("devices/virtio3/net/eth1/operstate", "up\n");
    assert!(tree.exercise("virtio2").is_ok());
    assert!(tree.refusal("virtio_net").contains("only network"));
    fs::write(
        tree.roots.proc.join("self/mountinfo"),
        "21 1 0:25 / / rw shared:1 - nfs server:/root rw\n",
    )
    .unwrap();
    assert!(tree.refusal("virtio2").contains("may be mounted"));
}

#[test]
fn the_console_is_refused_also_where_it_hangs_on_another_device() {
    let tree = Tree::new();
    let port = tree.device("platform", "uart", Some("uart-driver"));
    let clock = tree.device("platform", "clock", Some("clock-driver"));
    let link = tree.make("devices/virtual/devlink/x");
    symlink(&port, link.join("consumer")).unwrap();
    symlink(&link, clock.join("consumer:platform:uart")).unwrap();
    tree.make("devices/uart/tty/ttyS0");
    tree.link("class/tty/ttyS0", port.join("tty/ttyS0"));
    tree.write("class/tty/console/active", "tty0 ttyS0\n");
    assert!(tree.refusal("uart").contains("ttyS0"));
    assert!(tree.refusal("clock").contains("ttyS0"));
    let screen = tree.device("platform", "display", Some("simple"));
    tree.link("class/graphics/fb0/device", &screen);
    tree.make("class/tty/tty0");
    assert!(tree.refusal("display").contains("fb0"));
}

#[test]
fn what_this_runs_on_and_what_a_host_lends_is_refused() {
    let tree = Tree::new();
    tree.device("pci", "pci0/port", Some("serial"));
    tree.link("dev/char/4:65", tree.make("devices/pci0/port/tty/ttyS1"));
    assert!(tree.exercise("serial").is_ok());
    fs::write(
        tree.roots.proc.join("self/stat"),
        "77 (a) b (c)) S 1 77 77 1089 77 4194304\n",
    )
    .unwrap();
    assert!(tree.refusal("serial").contains("the terminal"));

    let shared = tree.device("virtio", "virtio5", Some("9pnet_virtio"));
    let other = tree.device("virtio", "virtio6", Some("9pnet_virtio"));
    fs::write(shared.join("mount_tag"), "job\0").unwrap();
    fs::write(other.join("mount_tag"), "other\0").unwrap();
    fs::write(
        tree.roots.proc.join("self/mountinfo"),
        "21 1 0:25 / /job rw,relatime - 9p job rw,trans=virtio\n",
    )
    .unwrap();
    assert!(tree.refusal("virtio5").contains("/job"));
    assert!(tree.exercise("virtio6").is_ok());
}

#[test]
fn of_every_device_what_is_needed_or_can_not_be_unbound_is_left_out() {
    let tree = Tree::new();
    tree.device("pci", "pci0/0000:00:01.0", Some("virtio-pci"));
    tree.device("virtio", "pci0/0000:00:01.0/virtio0", Some("virtio_blk"));
    tree.device("pci", "pci0/0000:00:02.0", Some("e1000e"));
    tree.device("pci", "pci0/0000:00:03.0", None);
    let hub = tree.device("usb", "pci0/usb1", Some("usb"));
    fs::write(hub.join("bDeviceClass"), "09\n").unwrap();
    let dog = tree.device("pci", "pci0/0000:00:04.0", Some("i6300esb"));
    fs::create_dir_all(dog.join("watchdog/watchdog0")).unwrap();
    fs::write(dog.join("watchdog/watchdog0/state"), "active\n").unwrap();
    tree.device("platform", "fixed", Some("suppressed"));
    for attribute in ["bind", "unbind"] {
        fs::remove_file(tree.roots.driver("platform", "suppressed").join(attribute)).unwrap();
    }
    let disk = tree.make("devices/pci0/0000:00:01.0/virtio0/block/vda");
    tree.link("dev/block/254:0", disk);
    fs::write(
        tree.roots.proc.join("self/mountinfo"),
        "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n",
    )
    .unwrap();

    let told: Vec<(String, String)> = Candidate::every(&tree.roots)
        .unwrap()
        .iter()
        .map(|candidate| {
            let target = candidate.target(&tree.roots);
            let reason = target.map_or_else(|error| error.reason(), |_| String::new());
            (candidate.place.name(), reason)
        })
        .collect();
    let reasons = [
        ("virtio/virtio0", "mounted on /"),
        ("pci/0000:00:01.0", "mounted on /"),
        ("pci/0000:00:02.0", ""),
        ("pci/0000:00:04.0", "watchdog0"),
        ("usb/usb1", "USB hub"),
        ("platform/fixed", "suppress_bind_attrs"),
    ];
    assert_eq!(told.len(), reasons.len(), "{told:?}");
    for ((name, why), (device, reason)) in told.iter().zip(reasons) {
        assert_eq!(name, device);
        assert_eq!(why.is_empty(), reason.is_empty(), "{name}: {why}");
        assert!(
            why.contains(reason) && !why.contains("--force"),
            "{name}: {why}"
        );
    }
}
