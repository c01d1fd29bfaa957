//! Cycles of an exercise are compared with each other.

use devres_tracer::{
    check::{CycleClock, Place, Results, RunEnd, Status, Wanted, exercise::Exercised},
    engine::Verdict,
    event::{Hook, Time},
};

use super::{
    DEVICE, NODES, TODAY, Unbind,
    assertions::growing,
    begin, story,
    support::{Dev, Story, whole},
    test,
};

/// The results of an exercise whose cycles begin before each binding of the story.
fn exercise(story: &Story, exercised: Exercised) -> Results {
    let drivers = vec![("platform".to_owned(), "pvpanic-mmio".to_owned())];
    let wanted = Wanted::Module {
        drivers,
        along: Vec::new(),
    };
    exercise_of(story, wanted, exercised)
}

/// The same with the bindings that are wanted.
fn exercise_of(story: &Story, wanted: Wanted, exercised: Exercised) -> Results {
    let (mut examination, _) = begin("", whole());
    let clock = CycleClock::default();
    examination.watch_cycles(wanted, clock.clone());
    for event in &story.events {
        if let devres_tracer::event::EventKind::Enter(call) = &event.kind
            && call.hook == Hook::Probe
        {
            clock.begin(Time(event.time.0 - 1));
        }
        examination.event(event);
    }
    let ending = RunEnd {
        exercised: Some(exercised),
        ..RunEnd::on(TODAY)
    };
    examination.finish(ending)
}

fn done(wanted: u64, done: u64) -> Exercised {
    Exercised {
        wanted,
        done,
        ..Exercised::default()
    }
}

#[test]
fn cycles_are_compared_with_the_first() {
    let steady = exercise(&story(&[Unbind::Right; 4]), done(4, 4));
    assert_eq!(steady.verdict, Verdict::Clean, "{steady:?}");
    assert_eq!(test(&steady, "exercise", "same stack").0, Status::Passed);
    let grown = exercise(&growing(4), done(4, 4));
    let (status, message) = test(&grown, "exercise", "same stack");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 2: QEMU0001:00 is not as in cycle 1: 4 resources"),
        "{message}"
    );
    let leaving = story(&[Unbind::Right, Unbind::Right, Unbind::Leaving]);
    let (status, message) = {
        let results = exercise(&leaving, done(3, 3));
        let (status, message) = test(&results, "exercise", "nothing left");
        (status, message.to_owned())
    };
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 3: left on QEMU0001:00"),
        "{message}"
    );
}

/// A module whose device on the faux bus has another number in each cycle, and so many resources.
fn faux(resources: &[usize]) -> Story {
    let mut story = Story::new();
    for (number, count) in resources.iter().enumerate() {
        let device = Dev(DEVICE.0 + 0x1000 * number as u64);
        let nodes = &NODES[..*count];
        story
            .enter(device, Hook::Initialise)
            .named(device, &format!("vkms.{number}"), "faux", "faux_driver")
            .enter(device, Hook::Probe);
        for (node, name, size) in nodes {
            story.add(device, *node, name, *size);
        }
        story.bound(device).begin_unbind(device);
        for (node, name, size) in nodes.iter().rev() {
            story.rel(device, *node, name, *size);
        }
        story
            .returned(device, Hook::ReleaseAll, i64::try_from(*count).ok())
            .leave(device, Hook::Cleanup)
            .leave(device, Hook::Unbind);
    }
    story
}

#[test]
fn devices_that_come_and_go_with_a_module_are_compared_whatever_their_numbers() {
    let wanted = |name: &str| Wanted::Module {
        drivers: Vec::new(),
        along: vec![Place {
            bus: "faux".to_owned(),
            device: name.to_owned(),
            driver: "faux_driver".to_owned(),
        }],
    };
    let steady = exercise_of(&faux(&[3, 3, 3]), wanted("vkms.7"), done(3, 3));
    let (status, message) = test(&steady, "exercise", "same stack");
    assert_eq!(status, Status::Passed, "{message}");
    assert_eq!(message, "in each cycle: vkms.0: 3 resources");
    let fewer = exercise_of(&faux(&[3, 3, 2]), wanted("vkms.7"), done(3, 3));
    let (status, message) = test(&fewer, "exercise", "same stack");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 3: vkms.2 is not as in cycle 1"),
        "{message}"
    );
    let other = exercise_of(&faux(&[3, 3, 3]), wanted("vgem"), done(3, 3));
    let (status, message) = test(&other, "exercise", "same stack");
    assert_eq!(status, Status::Inconclusive, "{message}");
}

#[test]
fn cycles_that_were_not_done_or_not_seen_are_no_pass() {
    let two = story(&[Unbind::Right; 2]);
    let stopped = Exercised {
        stopped: Some("interrupted".to_owned()),
        ..done(5, 2)
    };
    let results = exercise(&two, stopped);
    assert_eq!(results.verdict, Verdict::Inconclusive);
    let unseen = exercise(&two, done(3, 3));
    let (status, message) = test(&unseen, "exercise", "same stack");
    assert_eq!(status, Status::Inconclusive);
    assert!(
        message.contains("no binding was seen in cycle 3"),
        "{message}"
    );
    let failed = Exercised {
        problem: Some("cycle 3: binding failed".to_owned()),
        ..done(5, 2)
    };
    let results = exercise(&two, failed);
    assert_eq!(test(&results, "exercise", "cycles").0, Status::Failed);
    let unrestored = Exercised {
        not_restored: Some("gone".to_owned()),
        ..done(2, 2)
    };
    let results = exercise(&two, unrestored);
    assert_eq!(test(&results, "exercise", "restored").0, Status::Failed);
}
