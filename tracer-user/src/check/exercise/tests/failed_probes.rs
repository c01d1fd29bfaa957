//! Probes that are made to fail.

use super::*;
use crate::kernel::now;

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
