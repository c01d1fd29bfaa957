//! What an exercise does to the machine.

use std::{
    cell::{Cell, RefCell},
    ffi::OsString,
    io,
    process::Command,
    time::Duration,
};

use nix::libc;

use super::{
    Roots,
    fail_module::FailModule,
    fail_probe::{FailWay, Outcome},
    fault_log::{FaultLog, without_allocator},
    modules::Module,
    orders::{OrderError, Orders},
};
use crate::{
    check::selection::Place,
    source::live::{FailedAllocation, FailingAllocations, FailingError},
};

/// What an exercise does to the machine: a trait, so that it can be tried without one.
pub(super) trait Machine {
    /// Unbinds a device from its driver.
    fn unbind(&self, place: &Place) -> Result<(), String>;
    /// Binds a device to a driver. That the probe is deferred is no error.
    fn bind(&self, place: &Place) -> Result<(), String>;
    /// Unloads a module.
    fn unload(&self, module: &Module) -> Result<(), String>;
    /// Loads a module.
    fn load(&self, module: &Module) -> Result<(), String>;
    /// Lets the allocation or acquisition with this number fail when a device is bound next.
    fn fail_nth(&self, way: FailWay, place: &Place, number: u32) -> Result<(), String>;
    /// What came of that.
    fn outcome(&self, way: FailWay) -> Result<Outcome, String>;
    /// Attaches the eBPF programs that let allocations fail.
    fn attach_failing(&self) -> Result<(), String>;
    /// Detaches them.
    fn detach_failing(&self);
    /// Disarms the module that lets acquisitions fail.
    fn fail_nothing(&self) -> Result<(), String>;
}

/// This machine, through sysfs and kmod's programs.
#[derive(Debug)]
pub(super) struct ThisMachine {
    roots: Roots,
    orders: RefCell<Orders>,
    /// Devices of which an order has not returned. Another one would wait for that.
    stuck: RefCell<Vec<Place>>,
    /// Which allocation is to fail in the next bind, by `fail-nth`.
    fail_nth: Cell<Option<u32>>,
    /// What came of that.
    outcome: RefCell<Option<Outcome>>,
    /// The eBPF programs that let allocations fail, while they are attached.
    failing: RefCell<Option<FailingAllocations>>,
}

impl ThisMachine {
    /// The machine below these roots. An unbind or bind that takes longer than `patience` is no longer waited for.
    pub(super) fn new(roots: Roots, patience: Duration) -> Self {
        Self {
            roots,
            orders: RefCell::new(Orders::new(patience)),
            stuck: RefCell::default(),
            fail_nth: Cell::new(None),
            outcome: RefCell::default(),
            failing: RefCell::default(),
        }
    }

    fn write(&self, place: &Place, attribute: &str) -> Result<(), OrderError> {
        let path = self.roots.driver(&place.bus, &place.driver).join(attribute);
        let done = match self.fail_nth.take() {
            None => self.orders.borrow_mut().write(&path, &place.device),
            Some(number) => {
                let log = FaultLog::from_now();
                let mut orders = self.orders.borrow_mut();
                orders
                    .write_failing(&path, &place.device, number)
                    .and_then(|disturbed| {
                        let has_failed = disturbed.left == 0;
                        self.outcome.replace(Some(Outcome {
                            seen: number - disturbed.left.min(number),
                            failed: has_failed.then(|| log.failure_of(disturbed.process)),
                            returned: returned(&disturbed.written),
                        }));
                        Ok(disturbed.written?)
                    })
            }
        };
        if let Err(OrderError::Hangs { .. }) = done {
            self.stuck.borrow_mut().push(place.clone());
        }
        done
    }

    /// Does something with the attached eBPF programs.
    fn with_failing<R>(
        &self,
        work: impl FnOnce(&mut FailingAllocations) -> Result<R, FailingError>,
    ) -> Result<R, String> {
        let mut failing = self.failing.borrow_mut();
        let failing = failing.as_mut().ok_or("no eBPF is attached")?;
        work(failing).map_err(|error| error.to_string())
    }

    fn refuse_stuck(&self, place: &Place) -> Result<(), String> {
        if self.stuck.borrow().contains(place) {
            return Err(format!("{} is left as it hangs", place.name()));
        }
        Ok(())
    }
}

impl Machine for ThisMachine {
    fn unbind(&self, place: &Place) -> Result<(), String> {
        self.refuse_stuck(place)?;
        self.write(place, "unbind")
            .map_err(|error| format!("unbinding {} {error}", place.name()))
    }

    fn bind(&self, place: &Place) -> Result<(), String> {
        self.refuse_stuck(place)?;
        match self.write(place, "bind") {
            // The probe is deferred: the driver core tries again by itself.
            Err(OrderError::Refused(error)) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(()),
            other => other
                .map_err(|error| format!("rebinding {} to {} {error}", place.name(), place.driver)),
        }
    }

    fn unload(&self, module: &Module) -> Result<(), String> {
        run("rmmod", &[OsString::from(&module.name)])
    }

    fn load(&self, module: &Module) -> Result<(), String> {
        match &module.file {
            Some(file) => run("insmod", &[file.as_os_str().to_owned()]),
            None => run("modprobe", &[OsString::from(&module.name)]),
        }
    }

    fn fail_nth(&self, way: FailWay, place: &Place, number: u32) -> Result<(), String> {
        match way {
            FailWay::FailNth => {
                self.outcome.take();
                self.fail_nth.set(Some(number));
                Ok(())
            }
            FailWay::Bpf => {
                let process = self.orders.borrow_mut().process();
                let process = process
                    .map_err(|error| format!("the process that binds can't be started: {error}"))?;
                self.with_failing(|failing| failing.arm(process, number))
            }
            FailWay::Module => {
                let mut orders = self.orders.borrow_mut();
                FailModule(&self.roots).arm(place, number, &mut orders)
            }
        }
    }

    fn outcome(&self, way: FailWay) -> Result<Outcome, String> {
        match way {
            FailWay::FailNth => {
                let outcome = self.outcome.take();
                outcome.ok_or_else(|| "nothing was bound with fail-nth set".to_owned())
            }
            FailWay::Bpf => self
                .with_failing(FailingAllocations::outcome)
                .map(Outcome::from),
            FailWay::Module => FailModule(&self.roots).outcome(),
        }
    }

    fn attach_failing(&self) -> Result<(), String> {
        let attached = FailingAllocations::attach().map_err(|error| error.to_string())?;
        self.failing.replace(Some(attached));
        Ok(())
    }

    fn detach_failing(&self) {
        self.failing.take();
    }

    fn fail_nothing(&self) -> Result<(), String> {
        FailModule(&self.roots).disarm()
    }
}

impl From<FailedAllocation> for Outcome {
    fn from(allocation: FailedAllocation) -> Self {
        Self {
            seen: u32::try_from(allocation.seen).unwrap_or(u32::MAX),
            failed: allocation.stack.map(without_allocator),
            returned: allocation.returned,
        }
    }
}

/// What an order returned: zero, or its error, negative.
fn returned(written: &io::Result<()>) -> i64 {
    match written {
        Ok(()) => 0,
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

/// Runs a program of kmod's, found also where only root's path leads.
fn run(program: &str, arguments: &[OsString]) -> Result<(), String> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::{super::orders::HANGS, *};

    fn machine(script: &'static [&'static str; 2], patience: Duration) -> ThisMachine {
        ThisMachine {
            orders: RefCell::new(Orders::by_script(script, patience)),
            ..ThisMachine::new(Roots::default(), patience)
        }
    }

    fn place(device: &str) -> Place {
        Place {
            bus: "i2c".to_owned(),
            device: device.to_owned(),
            driver: "lm75".to_owned(),
        }
    }

    #[test]
    fn a_device_that_hangs_is_left_alone_and_others_are_not() {
        let machine = machine(HANGS, Duration::from_secs(2));
        let error = machine.unbind(&place("hangs")).unwrap_err();
        assert!(
            error.starts_with("unbinding i2c/hangs has not ended within 2 s"),
            "{error}"
        );
        assert_eq!(
            machine.bind(&place("hangs")).unwrap_err(),
            "i2c/hangs is left as it hangs"
        );
        machine.unbind(&place("0-0048")).unwrap();
        machine.bind(&place("0-0048")).unwrap();
    }

    #[test]
    fn a_bind_in_which_an_allocation_is_to_fail_says_whether_it_did() {
        // The second of three allocations fails.
        let script = &[
            "-c",
            r"while read -r path && read -r text; do
                case $path in
                    2\ /*) echo 12 0 ;;
                    *\ /*) echo 0 1 ;;
                    *) echo 0 ;;
                esac
            done",
        ];
        let machine = machine(script, Duration::from_secs(30));
        let place = place("0-0048");
        let way = FailWay::FailNth;
        machine.fail_nth(way, &place, 2).unwrap();
        assert!(
            machine
                .bind(&place)
                .unwrap_err()
                .contains("Cannot allocate")
        );
        let outcome = machine.outcome(way).unwrap();
        assert_eq!((outcome.seen, outcome.returned), (2, -12));
        assert!(outcome.failed.is_some());
        machine.fail_nth(way, &place, 4).unwrap();
        machine.bind(&place).unwrap();
        let outcome = machine.outcome(way).unwrap();
        assert_eq!((outcome.seen, outcome.returned), (3, 0));
        assert_eq!(outcome.failed, None);
        // It is for one bind only.
        machine.bind(&place).unwrap();
        assert!(machine.outcome(way).is_err());
    }

    #[test]
    fn a_deferred_probe_is_no_error_and_every_other_is() {
        let deferred = machine(&["-c", "read -r path; echo 11"], Duration::from_secs(30));
        deferred.bind(&place("0-0048")).unwrap();
        let missing = machine(&["-c", "read -r path; echo 19"], Duration::from_secs(30));
        let error = missing.bind(&place("0-0048")).unwrap_err();
        assert!(
            error.starts_with("rebinding i2c/0-0048 to lm75 failed: No such device"),
            "{error}"
        );
    }
}
