//! Exercise on a tree in a temporary directory that looks like sysfs.

use crate::kernel::now;
use std::{
    cell::{Cell, RefCell},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use tempfile::TempDir;

use super::*;
use crate::check::exercise::{
    Candidate,
    fail_probe::{self, Outcome},
};

/// A machine made of directories and links.
struct Tree {
    directory: TempDir,
    roots: Roots,
    log: RefCell<Vec<String>>,
    /// The bind with this number fails.
    failing_bind: Option<usize>,
    /// Set after so many orders.
    stop_after: Option<(usize, AtomicBool)>,
    /// Loading a module brings a device on the faux bus with this name and a new number.
    brings: Option<&'static str>,
    loads: Cell<usize>,
    /// How many acquisitions a probe has.
    acquisitions: u32,
    /// Without this one it is bound all the same.
    optional: Option<u32>,
    /// Which is to fail next.
    armed: Cell<Option<u32>>,
    outcome: RefCell<Option<Outcome>>,
}

impl Tree {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let roots = Roots {
            sys: root.join("sys"),
            proc: root.join("proc"),
            modules: root.join("modules"),
        };
        fs::create_dir_all(&roots.sys).unwrap();
        fs::create_dir_all(roots.proc.join("self")).unwrap();
        Self {
            directory,
            roots,
            log: RefCell::default(),
            failing_bind: None,
            stop_after: None,
            brings: None,
            loads: Cell::new(0),
            acquisitions: 3,
            optional: None,
            armed: Cell::new(None),
            outcome: RefCell::default(),
        }
    }

    fn make(&self, path: &str) -> PathBuf {
        let path = self.roots.sys.join(path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.roots.sys.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let from = self.roots.sys.join(from);
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        symlink(self.roots.sys.join(to), from).unwrap();
    }

    /// A device on a bus, at this path below `devices`, with a driver if one is given.
    fn device(&self, bus: &str, path: &str, driver: Option<&str>) -> PathBuf {
        let directory = self.make(&format!("devices/{path}"));
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        self.link(format!("bus/{bus}/devices/{name}"), &directory);
        self.link(directory.join("subsystem"), format!("bus/{bus}"));
        if let Some(driver) = driver {
            self.write(&format!("bus/{bus}/drivers/{driver}/unbind"), "");
            self.write(&format!("bus/{bus}/drivers/{driver}/bind"), "");
            self.attach(bus, name, driver);
        }
        directory
    }

    fn attach(&self, bus: &str, device: &str, driver: &str) {
        let directory = self.roots.device(bus, device).unwrap();
        let own = self.roots.driver(bus, driver);
        symlink(&own, directory.join("driver")).unwrap();
        symlink(&directory, own.join(device)).unwrap();
    }

    fn order(&self, order: String) {
        self.log.borrow_mut().push(order);
        if let Some((after, stop)) = &self.stop_after
            && self.log.borrow().len() >= *after
        {
            stop.store(true, Ordering::Relaxed);
        }
    }

    fn orders(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    fn exercise(&self, name: &str) -> Result<Exercise, ExerciseError> {
        Exercise::of_devices(self.roots.clone(), name, false)
    }

    fn refusal(&self, name: &str) -> String {
        self.exercise(name).unwrap_err().to_string()
    }
}

impl Machine for Tree {
    fn unbind(&self, place: &Place) -> Result<(), String> {
        self.order(format!("unbind {}", place.device));
        let directory = self.roots.device(&place.bus, &place.device).unwrap();
        fs::remove_file(directory.join("driver")).map_err(|error| error.to_string())?;
        let own = self.roots.driver(&place.bus, &place.driver);
        fs::remove_file(own.join(&place.device)).map_err(|error| error.to_string())?;
        for consumer in affected(std::slice::from_ref(&directory)) {
            if consumer != directory && consumer.join("driver").exists() {
                fs::remove_file(consumer.join("driver")).unwrap();
            }
        }
        Ok(())
    }

    fn bind(&self, place: &Place) -> Result<(), String> {
        self.order(format!("bind {}", place.device));
        let number = self
            .log
            .borrow()
            .iter()
            .filter(|order| order.starts_with("bind"))
            .count();
        if self.failing_bind == Some(number) {
            return Err("no such device".to_owned());
        }
        if let Some(number) = self.armed.take() {
            let fails = number <= self.acquisitions;
            let refuses = fails && self.optional != Some(number);
            self.outcome.replace(Some(Outcome {
                seen: number.min(self.acquisitions),
                failed: if fails {
                    vec!["devm_kmalloc".to_owned()]
                } else {
                    Vec::new()
                },
                returned: if refuses { 12 } else { 0 },
            }));
            if refuses {
                return Err("out of memory".to_owned());
            }
        }
        let directory = self.roots.device(&place.bus, &place.device).unwrap();
        let own = self.roots.driver(&place.bus, &place.driver);
        let _ = fs::remove_file(own.join(&place.device));
        symlink(&own, directory.join("driver")).map_err(|error| error.to_string())?;
        symlink(&directory, own.join(&place.device)).map_err(|error| error.to_string())
    }

    fn unload(&self, module: &Module) -> Result<(), String> {
        self.order(format!("unload {}", module.name));
        if let Some(name) = self.brings {
            let name = format!("{name}.{}", self.loads.get());
            fs::remove_dir_all(self.roots.device("faux", &name).unwrap()).unwrap();
            fs::remove_file(self.roots.sys.join("bus/faux/devices").join(&name)).unwrap();
            fs::remove_file(self.roots.driver("faux", "faux_driver").join(&name)).unwrap();
        }
        fs::remove_dir_all(self.roots.sys.join("module").join(&module.name))
            .map_err(|error| error.to_string())
    }

    fn load(&self, module: &Module) -> Result<(), String> {
        self.order(format!("load {}", module.name));
        self.write(&format!("module/{}/initstate", module.name), "live\n");
        if let Some(name) = self.brings {
            self.loads.set(self.loads.get() + 1);
            let path = format!("faux/{name}.{}", self.loads.get());
            self.device("faux", &path, Some("faux_driver"));
        } else if module.name == fail_probe::MODULE {
            if self.acquisitions == 0 {
                return Err("modprobe failed".to_owned());
            }
        } else {
            self.make(&format!("module/{}/drivers/i2c:lm75", module.name));
        }
        Ok(())
    }

    fn fail_nth(&self, place: &Place, number: u32) -> Result<(), String> {
        self.order(format!("fail {number} of {}", place.device));
        self.armed.set(Some(number));
        Ok(())
    }

    fn outcome(&self) -> Result<Outcome, String> {
        let outcome = self.outcome.take();
        outcome.ok_or_else(|| "the probe has not run".to_owned())
    }

    fn fail_nothing(&self) -> Result<(), String> {
        self.order("fail nothing".to_owned());
        Ok(())
    }
}

fn never() -> AtomicBool {
    AtomicBool::new(false)
}

#[test]
fn a_driver_is_unbound_and_bound_device_by_device() {
    let tree = Tree::new();
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    tree.device("i2c", "pci0/i2c-0/0-0049", Some("lm75"));
    let clock = CycleClock::default();
    let exercise = tree.exercise("lm75").unwrap();
    let exercised = exercise.run_on(&tree, 2, &never(), &clock);
    assert_eq!((exercised.done, &exercised.problem), (2, &None));
    assert_eq!(exercised.not_restored, None);
    let one = [
        "unbind 0-0048",
        "bind 0-0048",
        "unbind 0-0049",
        "bind 0-0049",
    ];
    assert_eq!(tree.orders(), [one, one].concat());
    assert_eq!(clock.cycle_at(now()), 2);
    let Wanted::Devices(places) = exercise.wanted() else {
        panic!("devices are wanted");
    };
    assert_eq!(places.len(), 2);
}

#[test]
fn this_machine_is_told_by_one_write() {
    let tree = Tree::new();
    tree.device("i2c", "0-0048", Some("lm75"));
    let machine = ThisMachine {
        roots: tree.roots.clone(),
    };
    let place = Target::find(&tree.roots, "0-0048").unwrap().remove(0).place;
    machine.unbind(&place).unwrap();
    let driver = tree.roots.driver("i2c", "lm75");
    assert_eq!(fs::read_to_string(driver.join("unbind")).unwrap(), "0-0048");
    machine.bind(&place).unwrap();
    assert_eq!(fs::read_to_string(driver.join("bind")).unwrap(), "0-0048");
    fs::remove_file(driver.join("bind")).unwrap();
    let error = machine.bind(&place).unwrap_err();
    assert!(error.contains("i2c/0-0048"), "{error}");
}

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
fn a_failed_bind_ends_it_and_is_tried_again() {
    let mut tree = Tree::new();
    tree.device("i2c", "0-0048", Some("lm75"));
    tree.failing_bind = Some(3);
    let exercise = tree.exercise("lm75").unwrap();
    let exercised = exercise.run_on(&tree, 10, &never(), &CycleClock::default());
    assert_eq!(exercised.done, 2);
    let problem = exercised.problem.unwrap();
    assert!(problem.starts_with("cycle 3:"), "{problem}");
    assert_eq!(exercised.not_restored, None);
    assert!(
        tree.roots
            .device("i2c", "0-0048")
            .unwrap()
            .join("driver")
            .exists()
    );
}

#[test]
fn asked_to_end_it_binds_what_it_has_unbound() {
    let mut tree = Tree::new();
    tree.device("i2c", "0-0048", Some("lm75"));
    tree.stop_after = Some((5, never()));
    let exercise = tree.exercise("lm75").unwrap();
    let stop = &tree.stop_after.as_ref().unwrap().1;
    let exercised = exercise.run_on(&tree, 10, stop, &CycleClock::default());
    assert_eq!((exercised.done, exercised.problem), (3, None));
    assert!(exercised.stopped.is_some());
    assert_eq!(tree.orders().last().unwrap(), "bind 0-0048");
}

#[test]
fn consumers_get_their_drivers_back() {
    let tree = Tree::new();
    let regulator = tree.device("platform", "regulator", Some("fixed"));
    let consumer = tree.device("i2c", "elsewhere/0-0048", Some("lm75"));
    let link = tree.make("devices/virtual/devlink/x");
    symlink(&consumer, link.join("consumer")).unwrap();
    symlink(&link, regulator.join("consumer:i2c:0-0048")).unwrap();
    let exercise = tree.exercise("fixed").unwrap();
    let exercised = exercise.run_on(&tree, 1, &never(), &CycleClock::default());
    assert_eq!(exercised.not_restored, None);
    assert_eq!(
        tree.orders(),
        ["unbind regulator", "bind regulator", "bind 0-0048"]
    );
    assert!(consumer.join("driver").exists());
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
fn a_module_that_was_not_loaded_is_unloaded_at_the_end() {
    let tree = Tree::new();
    let file = tree.directory.path().join("my-driver.ko");
    fs::write(&file, "").unwrap();
    let exercise =
        Exercise::with_module(tree.roots.clone(), file.to_str().unwrap(), false, &tree).unwrap();
    assert_eq!(
        exercise.wanted(),
        Wanted::Module {
            drivers: vec![("i2c".to_owned(), "lm75".to_owned())],
            along: Vec::new(),
        }
    );
    let exercised = exercise.run_on(&tree, 2, &never(), &CycleClock::default());
    assert_eq!((exercised.done, exercised.not_restored), (2, None));
    let (load, unload) = ("load my_driver", "unload my_driver");
    assert_eq!(tree.orders(), [load, unload, load, unload, load, unload]);
}

#[test]
fn a_module_that_was_loaded_stays() {
    let tree = Tree::new();
    tree.write("module/lm75/initstate", "live\n");
    let exercise = Exercise::with_module(tree.roots.clone(), "lm75", false, &tree).unwrap();
    let exercised = exercise.run_on(&tree, 1, &never(), &CycleClock::default());
    assert_eq!((exercised.done, exercised.not_restored), (1, None));
    // Its driver has no device: whether others come and go with it is tried first.
    let once = ["unload lm75", "load lm75"];
    assert_eq!(tree.orders(), [once, once].concat());
}

#[test]
fn a_module_without_a_driver_is_known_by_the_devices_that_come_and_go_with_it() {
    for loaded in [false, true] {
        let mut tree = Tree::new();
        tree.device("faux", "faux/other", Some("faux_driver"));
        tree.device("platform", "platform/busy", Some("busy"));
        tree.brings = Some("vkms");
        if loaded {
            tree.load(&Module::named("vkms").unwrap()).unwrap();
        }
        let exercise = Exercise::with_module(tree.roots.clone(), "vkms", false, &tree).unwrap();
        let Wanted::Module { along, .. } = exercise.wanted() else {
            panic!("a module is wanted");
        };
        let devices: Vec<&str> = along.iter().map(|place| &*place.device).collect();
        let number = if loaded { 2 } else { 1 };
        assert_eq!(devices, [format!("vkms.{number}")], "loaded: {loaded}");
        let exercised = exercise.run_on(&tree, 2, &never(), &CycleClock::default());
        assert_eq!((exercised.done, exercised.problem), (2, None));
    }
}

#[test]
fn a_module_that_is_nowhere_is_a_mistake() {
    let tree = Tree::new();
    let verify = |name| Exercise::verify_module(&tree.roots, name);
    fs::create_dir_all(tree.roots.proc.join("sys/kernel")).unwrap();
    fs::write(tree.roots.proc.join("sys/kernel/osrelease"), "6.1\n").unwrap();
    assert!(matches!(verify("lm75"), Err(ExerciseError::NoTarget(_))));
    let installed = tree.roots.modules.join("6.1");
    fs::create_dir_all(&installed).unwrap();
    assert!(verify("lm75").is_ok(), "nothing tells what is installed");
    let list = "kernel/drivers/hwmon/lm75.ko.xz: kernel/drivers/x.ko\nkernel/i2c-dev.ko:\n";
    fs::write(installed.join("modules.dep"), list).unwrap();
    assert!(verify("lm75").is_ok() && verify("i2c_dev").is_ok() && verify("i2c-dev").is_ok());
    assert!(matches!(verify("x"), Err(ExerciseError::NoTarget(_))));
    let loaded = tree.roots.sys.join("module/x");
    fs::create_dir_all(&loaded).unwrap();
    fs::write(loaded.join("initstate"), "live").unwrap();
    assert!(verify("x").is_ok());
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

#[test]
fn a_probe_fails_at_each_acquisition_and_is_bound_in_the_end() {
    let mut tree = Tree::new();
    tree.optional = Some(2);
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    let clock = CycleClock::default();
    let exercise = tree.exercise("lm75").unwrap().failing_probes();
    let exercised = exercise.run_on(&tree, 2, &never(), &clock);
    assert_eq!((exercised.done, exercised.gap()), (2, None));
    let expected = [
        "load devres_fail",
        "unbind 0-0048",
        "bind 0-0048",
        "unbind 0-0048",
        "fail 1 of 0-0048",
        "bind 0-0048",
        "fail 2 of 0-0048",
        "bind 0-0048",
        "unbind 0-0048",
        "fail 3 of 0-0048",
        "bind 0-0048",
        "fail 4 of 0-0048",
        "bind 0-0048",
        "unload devres_fail",
    ];
    assert_eq!(tree.orders(), expected);
    let failed = exercised.failed_probes.unwrap();
    let bound: Vec<bool> = failed.probes.iter().map(|attempt| attempt.bound).collect();
    assert_eq!(bound, [false, true, false, true]);
    assert!(failed.probes[3].outcome.failed.is_empty());
    assert_eq!(clock.attempt_at(now()), 4);
}

#[test]
fn where_nothing_can_be_made_to_fail_that_is_said_and_the_rest_done() {
    let mut tree = Tree::new();
    tree.acquisitions = 0;
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    let exercise = tree.exercise("lm75").unwrap().failing_probes();
    let exercised = exercise.run_on(&tree, 2, &never(), &CycleClock::default());
    assert_eq!((exercised.done, exercised.gap()), (2, None));
    let failed = exercised.failed_probes.unwrap();
    assert!(failed.unable.unwrap().contains("modprobe failed") && failed.probes.is_empty());
}

#[test]
fn a_module_that_was_there_before_stays_and_is_disarmed_and_a_stop_leaves_the_device_bound() {
    let mut tree = Tree::new();
    tree.write("module/devres_fail/initstate", "live\n");
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    tree.stop_after = Some((5, never()));
    let exercise = tree.exercise("lm75").unwrap().failing_probes();
    let (_, stop) = tree.stop_after.as_ref().unwrap();
    let exercised = exercise.run_on(&tree, 2, stop, &CycleClock::default());
    assert_eq!(
        (exercised.done, &*exercised.stopped.unwrap()),
        (1, "interrupted")
    );
    assert_eq!(exercised.not_restored, None);
    let orders = tree.orders();
    assert_eq!(orders[orders.len() - 2..], ["bind 0-0048", "fail nothing"]);
}
