//! The exercise of an exercise: cycles, and what was there before brought back at the end.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    ExerciseError, Exercised, Roots, Target,
    affected::{affected, bound_below},
    fail_probe::FailWay,
    hold::across,
    injector::Injector,
    machine::{Machine, ThisMachine},
    modules::Module,
    protect::refuse,
    sysfs::{link_name, names},
};
use crate::{
    check::{
        exercise::wanted::{CycleClock, Wanted},
        selection::Place,
    },
    kernel::now,
};

/// How long a driver may take to be bound again, by itself or after a deferred probe.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the devices of a module that was just loaded must stay the same to be called complete.
const SETTLED: Duration = Duration::from_millis(200);

/// Something that can be done again and again, and undone.
#[derive(Debug)]
pub struct Exercise {
    pub(super) roots: Roots,
    subject: Subject,
    /// What had a driver before, beside the targets, and may lose it.
    others: Vec<Place>,
    /// Files that are held open while a device is unbound.
    files: Vec<PathBuf>,
    /// Probes are made to fail in the last cycle, in the first of these ways that is possible.
    pub(super) fail_ways: Vec<FailWay>,
    /// How long the kernel may take to unbind or bind a device.
    timeout: Duration,
}

/// What every step of a run needs.
pub(super) struct Running<'r> {
    pub(super) machine: &'r dyn Machine,
    pub(super) stop: &'r AtomicBool,
    pub(super) clock: &'r CycleClock,
    /// What makes probes fail, if they are to and can be made to.
    injector: Option<&'r Injector>,
}

#[derive(Debug)]
enum Subject {
    Devices(Vec<Target>),
    Module {
        module: Module,
        drivers: Vec<(String, String)>,
        /// How many devices its drivers were bound to.
        devices: usize,
        /// The bound devices that come and go with it, where no driver of its own is bound to one: on the faux bus the
        /// driver belongs to the bus.
        along: Vec<Place>,
        /// It was not loaded before.
        loaded_here: bool,
    },
}

impl Exercise {
    /// How long the kernel may take to unbind or bind a device, unless it is given: half of what it calls hung itself.
    pub const TIMEOUT: Duration = Duration::from_secs(60);

    /// Unbinds a driver's devices, or a device, and binds them again. What the machine needs is refused
    /// unless `force`.
    pub fn of_devices(roots: Roots, name: &str, force: bool) -> Result<Self, ExerciseError> {
        let targets = Target::find(&roots, name)?;
        if !force {
            refuse(&roots, &targets)?;
        }
        Ok(Self::of_targets(roots, targets))
    }

    /// Unbinds these devices and binds them again, whatever needs them.
    #[must_use]
    pub fn of_targets(roots: Roots, targets: Vec<Target>) -> Self {
        Self {
            others: others(&roots, &targets),
            roots,
            subject: Subject::Devices(targets),
            files: Vec::new(),
            fail_ways: Vec::new(),
            timeout: Self::TIMEOUT,
        }
    }

    /// Holds these files open while a device is unbound, and uses and closes them behind that.
    #[must_use]
    pub fn holding(self, files: Vec<PathBuf>) -> Self {
        Self { files, ..self }
    }

    /// In the last cycle each device's probe is made to fail, at one place after the other, before it is bound: in the
    /// first of these ways that the kernel allows.
    #[must_use]
    pub fn failing_probes(self, fail_ways: Vec<FailWay>) -> Self {
        Self { fail_ways, ..self }
    }

    /// An unbind or bind that takes longer than this is no longer waited for.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Whether there is such a module to unload and load, as far as can be known before that is tried.
    pub fn verify_module(roots: &Roots, name: &str) -> Result<(), ExerciseError> {
        let module = Module::named(name)?;
        if module.is_loaded(roots) || module.file.is_some() || module.is_known(roots) {
            return Ok(());
        }
        Err(ExerciseError::NoTarget(format!(
            "module {name:?} is neither loaded nor installed for this kernel"
        )))
    }

    /// Unloads a module and loads it again. One that is not loaded yet is loaded now, and unloaded when the
    /// exercise is over.
    pub fn of_module(roots: Roots, name: &str, force: bool) -> Result<Self, ExerciseError> {
        let machine = ThisMachine::new(roots.clone(), Self::TIMEOUT);
        Self::with_module(roots, name, force, &machine)
    }

    fn with_module(
        roots: Roots,
        name: &str,
        force: bool,
        machine: &dyn Machine,
    ) -> Result<Self, ExerciseError> {
        let module = Module::named(name)?;
        let loaded_here = !module.is_loaded(&roots);
        let mut before = BTreeSet::new();
        if loaded_here {
            before = bound_devices(&roots);
            machine.load(&module).map_err(ExerciseError::Impossible)?;
        }
        let devices = settled(|| module.devices(&roots).unwrap_or_default());
        let mut exercise = Self {
            subject: Subject::Module {
                drivers: module.drivers(&roots)?,
                devices: devices.len(),
                along: Vec::new(),
                module,
                loaded_here,
            },
            others: Vec::new(),
            files: Vec::new(),
            fail_ways: Vec::new(),
            timeout: Self::TIMEOUT,
            roots,
        };
        if !force && let Err(refused) = refuse(&exercise.roots, &devices) {
            exercise.bring_back(machine);
            return Err(refused);
        }
        if devices.is_empty() {
            exercise.find_along(before, machine)?;
        }
        exercise.others = others(&exercise.roots, &devices);
        Ok(exercise)
    }

    /// Finds the devices that come and go with a module that has no driver of its own on any. One that was loaded already
    /// is unloaded and loaded once to see them; `before` is what was bound without one that was not.
    fn find_along(
        &mut self,
        mut before: BTreeSet<Place>,
        machine: &dyn Machine,
    ) -> Result<(), ExerciseError> {
        let roots = &self.roots;
        let Subject::Module {
            module,
            along,
            loaded_here,
            ..
        } = &mut self.subject
        else {
            return Ok(());
        };
        let mut loaded = None;
        if !*loaded_here {
            loaded = Some(bound_devices(roots));
            machine.unload(module).map_err(ExerciseError::Impossible)?;
            before = bound_devices(roots);
            machine.load(module).map_err(ExerciseError::Impossible)?;
        }
        let after = settled(|| bound_devices(roots));
        // What has only come in this moment, and was not there while the module was loaded before, is somebody else's.
        let is_along = |place: &&Place| {
            loaded
                .as_ref()
                .is_none_or(|loaded| loaded.iter().any(|one| one.is_like(place)))
        };
        *along = after
            .difference(&before)
            .filter(is_along)
            .cloned()
            .collect();
        Ok(())
    }

    /// Whose bindings it is about.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        match &self.subject {
            Subject::Devices(targets) => {
                Wanted::Devices(targets.iter().map(|target| target.place.clone()).collect())
            }
            Subject::Module { drivers, along, .. } => Wanted::Module {
                drivers: drivers.clone(),
                along: along.clone(),
            },
        }
    }

    /// Does so many cycles, until `stop` is set, and brings back what was there before. Each cycle is reported
    /// to `clock` when it begins.
    #[must_use]
    pub fn run(&self, cycles: u64, stop: &AtomicBool, clock: &CycleClock) -> Exercised {
        let machine = ThisMachine::new(self.roots.clone(), self.timeout);
        self.run_on(&machine, cycles, stop, clock)
    }

    fn run_on(
        &self,
        machine: &dyn Machine,
        cycles: u64,
        stop: &AtomicBool,
        clock: &CycleClock,
    ) -> Exercised {
        let mut exercised = Exercised {
            wanted: cycles,
            ..Exercised::default()
        };
        let injector = self.get_injector(machine, &mut exercised);
        let running = Running {
            machine,
            stop,
            clock,
            injector: injector.as_ref(),
        };
        for cycle in 1..=cycles {
            if stop.load(Ordering::Relaxed) {
                exercised.stopped = Some("interrupted".to_owned());
                break;
            }
            clock.begin(now());
            if let Err(problem) = self.cycle(&running, cycle, &mut exercised) {
                exercised.problem = Some(format!("cycle {cycle}: {problem}"));
                break;
            }
            if exercised.stopped.is_some() {
                break;
            }
            exercised.done = cycle;
        }
        let mut problems = self.bring_back(machine);
        if let Some(injector) = injector {
            problems.extend(injector.end(machine).err());
        }
        exercised.not_restored = (!problems.is_empty()).then(|| problems.join("; "));
        exercised
    }

    fn cycle(
        &self,
        running: &Running<'_>,
        number: u64,
        exercised: &mut Exercised,
    ) -> Result<(), String> {
        let machine = running.machine;
        let injector = running.injector.filter(|_| number == exercised.wanted);
        match (&self.subject, injector) {
            (Subject::Devices(targets), Some(injector)) => {
                for target in targets {
                    self.fail_probes(running, injector, &target.place, exercised)?;
                }
            }
            (Subject::Devices(targets), None) => {
                for target in targets {
                    let unbind = || machine.unbind(&target.place);
                    if self.files.is_empty() {
                        unbind()?;
                    } else {
                        let (unbound, how) = across(&self.files, &self.roots, unbind)?;
                        exercised.held.push((number, how));
                        unbound?;
                    }
                    let bound = machine.bind(&target.place);
                    self.wait_for(&target.place, bound)?;
                }
            }
            (
                Subject::Module {
                    module,
                    devices,
                    along,
                    ..
                },
                _,
            ) => {
                machine.unload(module)?;
                machine.load(module)?;
                let deadline = Instant::now() + PATIENCE;
                let is_complete =
                    || self.count_devices(module) >= *devices && self.has_along(along);
                while !is_complete() && Instant::now() < deadline {
                    thread::sleep(LOOK_EVERY);
                }
            }
        }
        // Those that depend on it may have lost their drivers with it.
        for place in &self.others {
            if self.lacks_driver(place) {
                // At the end it is tried again, and reported.
                let _ = machine.bind(place);
            }
        }
        Ok(())
    }

    pub(super) fn is_bound(&self, place: &Place) -> bool {
        self.driver_of(place).as_deref() == Some(&place.driver)
    }

    fn count_devices(&self, module: &Module) -> usize {
        module
            .devices(&self.roots)
            .map_or(0, |devices| devices.len())
    }

    /// Whether as many devices as these are there again, whatever their numbers.
    fn has_along(&self, along: &[Place]) -> bool {
        if along.is_empty() {
            return true;
        }
        let bound = bound_devices(&self.roots);
        along.iter().all(|place| {
            let like = |one: &&Place| one.is_like(place);
            bound.iter().filter(like).count() >= along.iter().filter(like).count()
        })
    }

    /// Waits until a device has its driver. An order to bind that failed is an error only if it stays
    /// without.
    pub(super) fn wait_for(
        &self,
        place: &Place,
        ordered: Result<(), String>,
    ) -> Result<(), String> {
        /// How long to wait where the kernel has said that it failed: it may have been quicker by itself.
        const AFTER_FAILURE: Duration = Duration::from_millis(500);
        let patience = if ordered.is_ok() {
            PATIENCE
        } else {
            AFTER_FAILURE
        };
        let deadline = Instant::now() + patience;
        loop {
            if self.is_bound(place) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                ordered?;
                return Err(format!(
                    "{} was not bound to {} again within {} s",
                    place.name(),
                    place.driver,
                    PATIENCE.as_secs()
                ));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn driver_of(&self, place: &Place) -> Option<String> {
        let device = self.roots.device(&place.bus, &place.device).ok()?;
        link_name(&device.join("driver"))
    }

    /// Whether a device is there and has no driver.
    fn lacks_driver(&self, place: &Place) -> bool {
        self.roots.device(&place.bus, &place.device).is_ok() && self.driver_of(place).is_none()
    }

    /// Brings back what was there before; says what could not be.
    fn bring_back(&self, machine: &dyn Machine) -> Vec<String> {
        let mut problems = Vec::new();
        let mut bind = |place: &Place| {
            if !self.is_bound(place) {
                let ordered = machine.bind(place);
                problems.extend(self.wait_for(place, ordered).err());
            }
        };
        match &self.subject {
            Subject::Devices(targets) => {
                for target in targets {
                    bind(&target.place);
                }
            }
            Subject::Module {
                module,
                loaded_here,
                ..
            } => {
                let wrong = match (module.is_loaded(&self.roots), loaded_here) {
                    (false, false) => machine.load(module).err(),
                    (true, true) => machine.unload(module).err(),
                    _ => None,
                };
                problems.extend(wrong);
                return problems;
            }
        }
        for place in &self.others {
            if self.lacks_driver(place) {
                bind(place);
            }
        }
        problems
    }
}

/// What has a driver beside the targets, and may lose it with them.
fn others(roots: &Roots, targets: &[Target]) -> Vec<Place> {
    let paths: Vec<PathBuf> = targets.iter().map(|target| target.path.clone()).collect();
    let directories: BTreeSet<PathBuf> = affected(&paths);
    bound_below(roots, &directories)
        .into_iter()
        .filter(|place| !targets.iter().any(|target| target.place == *place))
        .collect()
}

/// All devices that are bound to a driver.
fn bound_devices(roots: &Roots) -> BTreeSet<Place> {
    let mut bound = BTreeSet::new();
    for bus in names(&roots.sys.join("bus")).unwrap_or_default() {
        let directory = roots.sys.join("bus").join(&bus).join("devices");
        for device in names(&directory).unwrap_or_default() {
            if let Some(driver) = link_name(&directory.join(&device).join("driver")) {
                bound.insert(Place {
                    bus: bus.clone(),
                    device,
                    driver,
                });
            }
        }
    }
    bound
}

/// What a module's loading brings, once it doesn't change any more.
fn settled<Devices: PartialEq>(devices: impl Fn() -> Devices) -> Devices {
    let (mut known, mut since) = (devices(), Instant::now());
    let deadline = since + PATIENCE;
    while since.elapsed() < SETTLED && Instant::now() < deadline {
        thread::sleep(LOOK_EVERY);
        let now = devices();
        if now != known {
            (known, since) = (now, Instant::now());
        }
    }
    known
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
