//! Exercise on a tree in a temporary directory that looks like sysfs.

mod failed_probes;
mod modules;
mod refused;

use std::{
    cell::{Cell, RefCell},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use tempfile::TempDir;

use super::*;
use crate::{
    check::exercise::{
        fail_module,
        fail_probe::{FailWay, Outcome},
    },
    kernel::now,
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
    /// How failslab was set at the last bind in which something was to fail.
    failslab_at_bind: RefCell<Vec<String>>,
    /// The bind with this number is refused since the device is bound already.
    refused_bind: Option<usize>,
    /// Whether the kernel lets eBPF replace what a function returns.
    overrides: bool,
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
            failslab_at_bind: RefCell::default(),
            refused_bind: None,
            overrides: false,
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
        if self.refused_bind == Some(number) {
            self.armed.take();
            self.outcome.replace(Some(Outcome::default()));
            self.attach(&place.bus, &place.device, &place.driver);
            return Err("busy".to_owned());
        }
        if let Some(number) = self.armed.take() {
            if self.roots.sys.join("kernel/debug/failslab").exists() {
                self.failslab_at_bind
                    .replace(failed_probes::failslab(self).to_vec());
            }
            let fails = number <= self.acquisitions;
            let refuses = fails && self.optional != Some(number);
            self.outcome.replace(Some(Outcome {
                seen: number.min(self.acquisitions),
                failed: fails.then(|| vec!["devm_kmalloc".to_owned()]),
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
        } else if module.name == fail_module::MODULE {
            if self.acquisitions == 0 {
                return Err("modprobe failed".to_owned());
            }
        } else {
            self.make(&format!("module/{}/drivers/i2c:lm75", module.name));
        }
        Ok(())
    }

    fn fail_nth(&self, way: FailWay, place: &Place, number: u32) -> Result<(), String> {
        let unit = way.unit();
        self.order(format!("fail {unit} {number} of {}", place.device));
        self.armed.set(Some(number));
        Ok(())
    }

    fn attach_failing(&self) -> Result<(), String> {
        if !self.overrides {
            return Err("no CONFIG_BPF_KPROBE_OVERRIDE".to_owned());
        }
        self.order("attach".to_owned());
        Ok(())
    }

    fn detach_failing(&self) {
        self.order("detach".to_owned());
    }

    fn outcome(&self, _: FailWay) -> Result<Outcome, String> {
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
