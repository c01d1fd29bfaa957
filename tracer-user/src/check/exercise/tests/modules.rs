//! Exercises by a module's name.

use std::fs;

use super::*;

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
    assert!(verify("lm75").is_ok(), "what is installed can't be known");
    let list = "kernel/drivers/hwmon/lm75.ko.xz: kernel/drivers/x.ko\nkernel/i2c-dev.ko:\n";
    fs::write(installed.join("modules.dep"), list).unwrap();
    assert!(verify("lm75").is_ok() && verify("i2c_dev").is_ok() && verify("i2c-dev").is_ok());
    assert!(matches!(verify("x"), Err(ExerciseError::NoTarget(_))));
    let loaded = tree.roots.sys.join("module/x");
    fs::create_dir_all(&loaded).unwrap();
    fs::write(loaded.join("initstate"), "live").unwrap();
    assert!(verify("x").is_ok());
}
