//! What differs between two recordings.

mod less;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    io::{self, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use devres_tracer::{
    diff::{Comparison, DifferenceKind, Sameness, Side, compare},
    event::Hook,
    evidence::Coverage,
    history::{Histories, HistoryObserver, Limits, Window},
    model::Model,
    source::recording::Recording,
};
use proptest::prelude::*;

use support::{Dev, Story, whole};

const DEV: Dev = Dev(0xff11_0000_0513_1010);
const OTHER: Dev = Dev(0xff11_0000_0513_2020);

/// What was seen, and what could be.
struct Seen {
    histories: Histories,
    coverage: Coverage,
}

impl Seen {
    fn of(story: &Story, coverage: Coverage) -> Self {
        Self::limited(story, coverage, Limits::default())
    }

    fn limited(story: &Story, coverage: Coverage, limits: Limits) -> Self {
        let mut model = Model::new(Arc::new(coverage.clone()));
        let mut observer = HistoryObserver::new(limits, Window::default(), false);
        for event in &story.events {
            for change in model.apply(event) {
                observer.observe(&change, &model);
            }
        }
        let histories = observer.finish(&model);
        Self {
            histories,
            coverage,
        }
    }

    fn read(path: &Path) -> Option<Self> {
        let mut recording = Recording::open(path).ok()?;
        let coverage = recording.information().coverage.clone();
        let mut model = Model::new(Arc::new(coverage.clone()));
        let mut observer = HistoryObserver::new(Limits::default(), Window::default(), false);
        recording
            .for_each(|event| {
                for change in model.apply(event) {
                    observer.observe(&change, &model);
                }
                ControlFlow::Continue(())
            })
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let histories = observer.finish(&model);
        Some(Self {
            histories,
            coverage,
        })
    }

    fn side<'a>(&'a self, name: &'a str) -> Side<'a> {
        Side {
            name,
            coverage: &self.coverage,
            histories: &self.histories,
        }
    }

    fn against<'a>(&'a self, other: &'a Self) -> Comparison<'a> {
        compare(self.side("GOOD"), other.side("BAD"), &[])
    }
}

fn seen(story: &Story) -> Seen {
    Seen::of(story, whole())
}

/// The kinds of the differences that count.
fn kinds(comparison: &Comparison<'_>) -> Vec<&'static str> {
    comparison
        .differences()
        .filter(|difference| !difference.minor)
        .map(|difference| difference.kind.name())
        .collect()
}

/// A resource in a story: its name and size.
type Resource = (&'static str, u64);

const RESOURCES: &[Resource] = &[
    ("devm_kzalloc_release", 64),
    ("devm_clk_release", 16),
    ("devm_kzalloc_release", 24),
    ("acme_power_off", 16),
    ("devm_irq_release", 16),
];

/// What is varied in a story.
#[derive(Debug, Clone)]
struct Plan {
    /// Which resources are added, in this order.
    added: Vec<Resource>,
    /// The places in `added` of those that are released, in this order.
    released: Vec<usize>,
    /// Whether the PM domain is detached before the release.
    inverted: bool,
    /// Where nodes and devices lie, and when everything happens.
    base: u64,
    device: Dev,
    name: &'static str,
    tid: u32,
}

impl Plan {
    fn new() -> Self {
        Self {
            added: RESOURCES.to_vec(),
            released: (0..RESOURCES.len()).rev().collect(),
            inverted: false,
            base: 0x1000,
            device: DEV,
            name: "QEMU0001:00",
            tid: 7,
        }
    }

    fn story(&self) -> Story {
        let mut story = Story::new();
        self.history(&mut story);
        story
    }

    fn history(&self, story: &mut Story) {
        let device = self.device;
        story
            .task("modprobe", self.tid)
            .wait(self.base)
            .enter(device, Hook::Initialise)
            .named(device, self.name, "platform", "acme");
        self.binding(story);
    }

    fn binding(&self, story: &mut Story) {
        let device = self.device;
        let node = |place: usize| self.base + 0x100 * (place as u64 + 1);
        story.enter(device, Hook::Probe).attach(device);
        for (place, (name, size)) in self.added.iter().enumerate() {
            story.add(device, node(place), name, *size);
        }
        story
            .bound(device)
            .enter(device, Hook::Unbind)
            .enter(device, Hook::Remove);
        if self.inverted {
            story.detach(device);
        }
        story
            .leave(device, Hook::Remove)
            .enter(device, Hook::Cleanup);
        // Removed one by one, where the kernel's order is left.
        for place in &self.released {
            let (name, size) = self.added[*place];
            story.rem(device, node(*place), name, size);
        }
        if !self.inverted {
            story.detach(device);
        }
        story
            .leave(device, Hook::Cleanup)
            .leave(device, Hook::Unbind);
    }
}

#[test]
fn addresses_times_and_tasks_dont_count() {
    let one = seen(&Plan::new().story());
    let mut moved = Plan::new();
    (moved.base, moved.tid, moved.device) = (0x77_0000, 99, OTHER);
    let other = seen(&moved.story());
    assert_eq!(one.against(&other).sameness(true), Sameness::Same);
}

#[test]
fn a_detach_that_moves_is_the_only_difference() {
    let mut inverted = Plan::new();
    inverted.inverted = true;
    let (one, other) = (seen(&inverted.story()), seen(&Plan::new().story()));
    for comparison in [one.against(&other), other.against(&one)] {
        assert_eq!(kinds(&comparison), ["elsewhere"]);
        assert_eq!(comparison.sameness(false), Sameness::Different);
    }
}

#[test]
fn a_new_and_a_missing_resource_are_told_once() {
    let mut more = Plan::new();
    more.added.insert(2, ("devm_regulator_release", 8));
    more.released = (0..6).rev().collect();
    let (one, other) = (seen(&Plan::new().story()), seen(&more.story()));
    assert_eq!(kinds(&one.against(&other)), ["added"]);
    assert_eq!(kinds(&other.against(&one)), ["not_added"]);
}

#[test]
fn a_resource_that_stays_is_never_released() {
    let mut leaky = Plan::new();
    leaky.released.retain(|place| *place != 1);
    let (one, other) = (seen(&Plan::new().story()), seen(&leaky.story()));
    let comparison = one.against(&other);
    let found: Vec<_> = comparison.differences().collect();
    let [only] = &found[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(only.kind, DifferenceKind::NotReleased { still_owned: true });
    assert_eq!(kinds(&other.against(&one)), ["released"]);
}

#[test]
fn sizes_are_minor() {
    let mut larger = Plan::new();
    larger.added[3].1 = 64;
    let (one, other) = (seen(&Plan::new().story()), seen(&larger.story()));
    let comparison = one.against(&other);
    assert_eq!(comparison.differences().count(), 1);
    assert_eq!(comparison.sameness(false), Sameness::Same);
    assert_eq!(comparison.sameness(true), Sameness::Different);
}

#[test]
fn kernels_that_dont_name_actions_are_compared_with_those_that_do() {
    let mut unnamed = Plan::new();
    unnamed.added[3].0 = "devm_action_release";
    let (one, other) = (seen(&unnamed.story()), seen(&Plan::new().story()));
    assert_eq!(one.against(&other).sameness(true), Sameness::Same);
    assert_eq!(other.against(&one).sameness(true), Sameness::Same);
    let mut two_others = Plan::new();
    two_others.added[3].0 = "acme_reset";
    let two_others = seen(&two_others.story());
    assert_eq!(kinds(&two_others.against(&other)), ["not_added", "added"]);
}

#[test]
fn what_a_compiler_adds_to_a_name_doesnt_count() {
    let mut cloned = Plan::new();
    cloned.added[3].0 = "acme_power_off.constprop.0";
    let (one, other) = (seen(&Plan::new().story()), seen(&cloned.story()));
    assert_eq!(one.against(&other).sameness(true), Sameness::Same);
}

#[test]
fn devices_are_found_under_another_name() {
    let mut renamed = Plan::new();
    renamed.name = "QEMU0001:01";
    let (one, other) = (seen(&Plan::new().story()), seen(&renamed.story()));
    let comparison = one.against(&other);
    assert_eq!(comparison.sameness(true), Sameness::Same);
    assert_eq!(comparison.renamed.len(), 1);

    // Two of one driver: in order, unless told otherwise.
    let both = |first: &'static str, second: &'static str| {
        let mut story = Story::new();
        let mut plan = Plan::new();
        plan.name = first;
        plan.history(&mut story);
        (plan.name, plan.device, plan.base) = (second, OTHER, 0x99_0000);
        plan.added.truncate(2);
        plan.released = vec![1, 0];
        plan.history(&mut story);
        seen(&story)
    };
    let (one, other) = (both("a", "b"), both("x", "y"));
    assert_eq!(one.against(&other).sameness(true), Sameness::Same);
    let map = [("a".to_owned(), "y".to_owned())];
    let mapped = compare(one.side("GOOD"), other.side("BAD"), &map);
    assert_eq!(mapped.sameness(true), Sameness::Different);
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let names = prop::sample::select(vec![
        ("devm_kzalloc_release", 64),
        ("devm_kzalloc_release", 24),
        ("devm_clk_release", 16),
        ("devm_irq_release", 16),
        ("acme_power_off", 16),
        ("acme_reset", 16),
    ]);
    prop::collection::vec(names, 2..12).prop_map(|added| {
        let mut plan = Plan::new();
        plan.released = (0..added.len()).rev().collect();
        plan.added = added;
        plan
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Two releases that change places are reported, also of resources of one name.
    #[test]
    fn any_two_releases_in_another_order_are_reported(
        plan in any_plan(),
        first: prop::sample::Index,
        second: prop::sample::Index,
    ) {
        let (first, second) = (first.index(plan.added.len()), second.index(plan.added.len()));
        let mut other = plan.clone();
        other.released.swap(first, second);
        let (one, other) = (seen(&plan.story()), seen(&other.story()));
        let found = kinds(&one.against(&other));
        if first == second {
            prop_assert_eq!(found, Vec::<&str>::new());
        } else {
            prop_assert!(!found.is_empty() && found.iter().all(|kind| *kind == "order"), "{:?}", found);
        }
    }

    /// A release that is missing is reported, whichever it is.
    #[test]
    fn any_release_that_is_missing_is_reported(plan in any_plan(), which: prop::sample::Index) {
        let mut other = plan.clone();
        other.released.remove(which.index(plan.added.len()));
        let (one, other) = (seen(&plan.story()), seen(&other.story()));
        prop_assert_eq!(kinds(&one.against(&other)), ["not_released"]);
        prop_assert_eq!(kinds(&other.against(&one)), ["released"]);
    }

    /// Nothing is the same as something else, and everything the same as itself.
    #[test]
    fn everything_is_the_same_as_itself(plan in any_plan()) {
        let one = seen(&plan.story());
        prop_assert_eq!(one.against(&one).differences().count(), 0);
        prop_assert_eq!(one.against(&one).sameness(true), Sameness::Same);
    }
}

/// The inputs beside the workspace; none if there are none.
fn inputs() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for up in ["../../shared/inputs", "../../../shared/inputs"] {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(up);
        for kind in ["ftrace", "kernel-log"] {
            let Ok(entries) = fs::read_dir(directory.join(kind)) else {
                continue;
            };
            found.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    if found.is_empty() {
        // Past the capture of tests' output, so that it is seen.
        let told = io::stderr().write_all(b"SKIPPED: no inputs to compare\n");
        assert!(told.is_ok());
    }
    found
}

#[test]
fn every_input_is_the_same_as_itself() {
    for path in inputs() {
        let Some(one) = Seen::read(&path) else {
            // Those without an event, and the notes beside the others.
            continue;
        };
        let Some(other) = Seen::read(&path) else {
            panic!("{} could be read once", path.display());
        };
        let comparison = one.against(&other);
        assert_eq!(
            comparison.sameness(true),
            Sameness::Same,
            "{}: {:#?}",
            path.display(),
            comparison.reasons
        );
        // One of them holds only warnings that name no device.
        let told = comparison.compared > 0 || !one.histories.said.is_empty();
        assert!(told, "{}", path.display());
    }
}

#[test]
fn between_6_1_and_7_3_only_the_detach_of_pvpanic_moves() {
    let find = |name: &str| {
        let path = inputs().into_iter().find(|path| path.ends_with(name));
        path.and_then(|path| Seen::read(&path))
    };
    let (Some(good), Some(bad)) = (find("6.1-pvpanic.txt"), find("7.3-pvpanic.txt")) else {
        return;
    };
    let comparison = good.against(&bad);
    let found: Vec<_> = comparison
        .differences()
        .filter(|difference| !difference.minor)
        .collect();
    let [only] = &found[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(only.kind, DifferenceKind::Elsewhere);
    let binding = &comparison.devices[0].histories[0].bindings[0];
    let what = |half: &Option<devres_tracer::diff::Half<'_>>, place: usize| {
        half.as_ref().unwrap().entries[place].name()
    };
    assert_eq!(what(&binding.good, only.good.unwrap().entry), "pm_detached");
    assert_eq!(what(&binding.bad, only.bad.unwrap().entry), "pm_detached");
    assert_eq!(comparison.reasons, Vec::<String>::new());
}
