//! Probes that are made to fail.

use super::*;
use crate::kernel::now;

const BY_MODULE: FailWay = FailWay::Module;

#[test]
fn a_probe_fails_at_each_acquisition_and_is_bound_in_the_end() {
    let mut tree = Tree::new();
    tree.optional = Some(2);
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    let clock = CycleClock::default();
    let exercise = tree
        .exercise("lm75")
        .unwrap()
        .failing_probes(vec![BY_MODULE]);
    let exercised = exercise.run_on(&tree, 2, &never(), &clock);
    assert_eq!((exercised.done, exercised.gap()), (2, None));
    let expected = [
        "load devres_fail",
        "unbind 0-0048",
        "bind 0-0048",
        "unbind 0-0048",
        "fail acquisition 1 of 0-0048",
        "bind 0-0048",
        "fail acquisition 2 of 0-0048",
        "bind 0-0048",
        "unbind 0-0048",
        "fail acquisition 3 of 0-0048",
        "bind 0-0048",
        "fail acquisition 4 of 0-0048",
        "bind 0-0048",
        "unload devres_fail",
    ];
    assert_eq!(tree.orders(), expected);
    let failed = exercised.failed_probes.unwrap();
    let bound: Vec<bool> = failed.probes.iter().map(|attempt| attempt.bound).collect();
    assert_eq!(bound, [false, true, false, true]);
    assert_eq!(failed.probes[3].outcome.failed, None);
    assert_eq!(failed.way, Ok(BY_MODULE));
    assert_eq!(clock.attempt_at(now()), 4);
}

#[test]
fn where_nothing_can_be_made_to_fail_that_is_said_and_the_rest_done() {
    let mut tree = Tree::new();
    tree.acquisitions = 0;
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    let exercise = tree
        .exercise("lm75")
        .unwrap()
        .failing_probes(vec![BY_MODULE]);
    let exercised = exercise.run_on(&tree, 2, &never(), &CycleClock::default());
    assert_eq!((exercised.done, exercised.gap()), (2, None));
    let failed = exercised.failed_probes.unwrap();
    assert!(failed.way.unwrap_err().contains("modprobe failed") && failed.probes.is_empty());
}

#[test]
fn a_module_that_was_there_before_stays_and_is_disarmed_and_a_stop_leaves_the_device_bound() {
    let mut tree = Tree::new();
    tree.write("module/devres_fail/initstate", "live\n");
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    tree.stop_after = Some((5, never()));
    let exercise = tree
        .exercise("lm75")
        .unwrap()
        .failing_probes(vec![BY_MODULE]);
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

/// The kernel's fault injection, as Debian's kernels would have it if they had it.
fn add_fault_injection(tree: &Tree) {
    let thread = tree.roots.proc.join("thread-self");
    fs::create_dir_all(&thread).unwrap();
    fs::write(thread.join("fail-nth"), "0\n").unwrap();
    for (name, value) in FAILSLAB {
        tree.write(&format!("kernel/debug/failslab/{name}"), value);
    }
}

const FAILSLAB: [(&str, &str); 4] = [
    ("ignore-gfp-wait", "Y"),
    ("cache-filter", "N"),
    ("verbose", "1"),
    ("times", "1"),
];

/// How failslab is set.
pub(super) fn failslab(tree: &Tree) -> [String; 4] {
    let directory = tree.roots.sys.join("kernel/debug/failslab");
    FAILSLAB.map(|(name, _)| fs::read_to_string(directory.join(name)).unwrap())
}

#[test]
fn fault_injection_is_taken_first_and_a_survived_failure_is_not_the_end() {
    let mut tree = Tree::new();
    tree.optional = Some(2);
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    add_fault_injection(&tree);
    let ways = FailWay::ALL.to_vec();
    let exercise = tree.exercise("lm75").unwrap().failing_probes(ways);
    let exercised = exercise.run_on(&tree, 2, &never(), &CycleClock::default());
    assert_eq!((exercised.done, exercised.gap()), (2, None));
    let expected = [
        "unbind 0-0048",
        "bind 0-0048",
        "unbind 0-0048",
        "fail allocation 1 of 0-0048",
        "bind 0-0048",
        "fail allocation 2 of 0-0048",
        "bind 0-0048",
        "unbind 0-0048",
        "fail allocation 3 of 0-0048",
        "bind 0-0048",
        "fail allocation 4 of 0-0048",
        "bind 0-0048",
    ];
    assert_eq!(tree.orders(), expected);
    assert_eq!(tree.failslab_at_bind.take(), ["N", "N", "2", "1"]);
    assert_eq!(failslab(&tree), FAILSLAB.map(|(_, value)| value));
    let failed = exercised.failed_probes.unwrap();
    assert_eq!(failed.way, Ok(FailWay::FailNth));
    let bound: Vec<bool> = failed.probes.iter().map(|attempt| attempt.bound).collect();
    assert_eq!(bound, [false, true, false, true]);
}

#[test]
fn a_stop_sets_failslab_back_and_leaves_the_device_bound() {
    let mut tree = Tree::new();
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    add_fault_injection(&tree);
    tree.stop_after = Some((5, never()));
    let exercise = tree.exercise("lm75").unwrap();
    let exercise = exercise.failing_probes(vec![FailWay::FailNth]);
    let (_, stop) = tree.stop_after.as_ref().unwrap();
    let exercised = exercise.run_on(&tree, 2, stop, &CycleClock::default());
    assert!(exercised.stopped.is_some() && exercised.not_restored.is_none());
    assert_eq!(tree.orders().last().unwrap(), "bind 0-0048");
    assert_eq!(failslab(&tree), FAILSLAB.map(|(_, value)| value));
}

#[test]
fn without_fault_injection_the_module_is_taken_unless_a_way_is_named() {
    let run = |ways: Vec<FailWay>| {
        let tree = Tree::new();
        tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
        let exercise = tree.exercise("lm75").unwrap().failing_probes(ways);
        let exercised = exercise.run_on(&tree, 2, &never(), &CycleClock::default());
        assert_eq!((exercised.done, exercised.gap()), (2, None));
        exercised.failed_probes.unwrap()
    };
    let by_module = run(FailWay::ALL.to_vec());
    assert_eq!((by_module.way, by_module.probes.len()), (Ok(BY_MODULE), 4));
    let none = run(vec![FailWay::FailNth]);
    let reason = none.way.unwrap_err();
    assert!(reason.contains("CONFIG_FAULT_INJECTION"), "{reason}");
    assert!(none.probes.is_empty());
}

#[test]
fn without_fault_injection_ebpf_is_taken_before_the_module_and_detached_at_the_end() {
    let mut tree = Tree::new();
    tree.overrides = true;
    tree.optional = Some(2);
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    let run = |stop: &AtomicBool| {
        let exercise = tree.exercise("lm75").unwrap();
        let exercise = exercise.failing_probes(FailWay::ALL.to_vec());
        exercise.run_on(&tree, 2, stop, &CycleClock::default())
    };
    let exercised = run(&never());
    assert_eq!((exercised.done, exercised.gap()), (2, None));
    let failed = exercised.failed_probes.unwrap();
    assert_eq!((failed.way, failed.probes.len()), (Ok(FailWay::Bpf), 4));
    let orders = tree.orders();
    assert_eq!(orders[0], "attach");
    assert!(orders.contains(&"fail allocation 3 of 0-0048".to_owned()));
    assert_eq!(orders[orders.len() - 2..], ["bind 0-0048", "detach"]);

    let stopped = run(&AtomicBool::new(true));
    assert!(stopped.stopped.is_some());
    assert_eq!(tree.orders().last().unwrap(), "detach");
}

#[test]
fn a_bind_that_is_refused_is_not_a_probe_without_failure() {
    let mut tree = Tree::new();
    tree.device("i2c", "pci0/i2c-0/0-0048", Some("lm75"));
    add_fault_injection(&tree);
    // Somebody else has bound it meanwhile: no probe, and no allocation that could fail.
    tree.refused_bind = Some(3);
    let exercise = tree.exercise("lm75").unwrap();
    let exercise = exercise.failing_probes(vec![FailWay::FailNth]);
    let exercised = exercise.run_on(&tree, 2, &never(), &CycleClock::default());
    let problem = exercised.problem.unwrap();
    assert!(problem.contains("still it did: busy"), "{problem}");
    assert_eq!(exercised.done, 1);
}
