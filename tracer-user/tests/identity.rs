//! Which life at an address something belongs to: against a plain reference, in the live source's own order.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod support;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use devres_tracer::{
    engine::Engine,
    event::{DeviceAddress, Event, EventKind, Hook, Task},
    evidence::Coverage,
    history::{Histories, HistoryObserver, Limits, StepKind, Window},
    model::{Change, Model},
    rules::RuleSet,
    source::recording::Recording,
};
use proptest::{collection::vec, prelude::*};
use support::{Dev, Story, whole};

const DEVICE: Dev = Dev(0xff11_0000_0638_fc10);

/// What is reported about a life, by the reference and by the model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Compared {
    address: u64,
    generation: u32,
    name: Option<String>,
    resources: Vec<String>,
}

/// Whatever happened to three devices, in the order in which it did.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// `device_initialize`, of a device that has its name already or gets it later.
    Begin { named: bool },
    /// `dev_set_name`: no event.
    Name,
    /// A resource is added.
    Add,
    /// `device_del`.
    Delete,
    /// The last put.
    End,
    /// The last put; the tracer sees nothing of it, and is not told either.
    EndUnseen,
    /// The next deed is lost, and the event after it says so.
    Lose,
}

fn deed() -> impl Strategy<Value = (u64, Deed)> {
    let deed = prop_oneof![
        4 => any::<bool>().prop_map(|named| Deed::Begin { named }),
        2 => Just(Deed::Name),
        4 => Just(Deed::Add),
        2 => Just(Deed::Delete),
        3 => Just(Deed::End),
        1 => Just(Deed::EndUnseen),
        1 => Just(Deed::Lose),
    ];
    (0..3_u64, deed)
}

/// The kernel's side: who lives where, and what the probes have reported about it.
#[derive(Debug, Default)]
struct Kernel {
    story: Story,
    /// The name of the device that lives at an address.
    living: BTreeMap<u64, Option<String>>,
    /// The name that an address was last reported with, as the probes remember it.
    told: BTreeMap<u64, Option<String>>,
    born: u64,
    added: u64,
    losing: bool,
    lost: u64,
}

impl Kernel {
    fn new() -> Self {
        Self {
            story: Story::new(),
            ..Self::default()
        }
    }

    fn act(&mut self, place: u64, deed: Deed) {
        let device = Dev(0xff11_0000_0500_0000 + place * 0x800);
        let address = device.0;
        if let Deed::Lose = deed {
            self.losing = true;
            return;
        }
        let histories = self.living.contains_key(&address);
        match deed {
            Deed::Begin { named } if !histories => {
                self.born += 1;
                let name = named.then(|| format!("device{}", self.born));
                self.living.insert(address, name);
                self.told.remove(&address);
                self.event(device, |story| {
                    story.enter(device, Hook::Initialise);
                });
            }
            Deed::Name if histories => {
                self.born += 1;
                let name = format!("late{}", self.born);
                let known = self.living.entry(address).or_default();
                known.get_or_insert(name);
            }
            // What lived before the tracer came is there as well.
            Deed::Add => {
                self.living
                    .entry(address)
                    .or_insert_with(|| Some(format!("old{place}")));
                self.added += 1;
                let (node, name) = (0x1000 * self.added, format!("resource{}", self.added));
                self.event(device, |story| {
                    story.add(device, node, &name, 8);
                });
            }
            Deed::Delete if histories => self.event(device, |story| {
                story
                    .enter(device, Hook::Delete)
                    .leave(device, Hook::Delete);
            }),
            Deed::End if histories => {
                self.event(device, |story| {
                    story.last_put(device);
                });
                self.living.remove(&address);
                self.told.remove(&address);
            }
            Deed::EndUnseen => {
                self.living.remove(&address);
            }
            _ => {}
        }
        self.losing = false;
    }

    /// A probe runs: it sends who the device is if that has changed, and then what happened.
    fn event(&mut self, device: Dev, tell: impl FnOnce(&mut Story)) {
        if self.losing {
            self.lost += 1;
            return;
        }
        if self.lost > 0 {
            self.story.lose(std::mem::take(&mut self.lost));
        }
        let name = self.living.get(&device.0).cloned().flatten();
        if self.told.get(&device.0) != Some(&name) {
            self.story
                .named(device, name.as_deref().unwrap_or_default(), "", "");
            self.told.insert(device.0, name);
        }
        tell(&mut self.story);
    }
}

/// The plain reference: the stream of one address is cut where a life begins or ends; an identity belongs to the
/// part in which the address's next event lies, unless that begins a life and something is missing in between.
fn cut(events: &[Event]) -> Vec<Compared> {
    let mut parts: Vec<(usize, Compared)> = Vec::new();
    let addresses: std::collections::BTreeSet<u64> = events
        .iter()
        .map(|event| event.device.0)
        .filter(|address| *address != 0)
        .collect();
    for address in addresses {
        let mut generation = None;
        let mut part: Option<(usize, Compared)> = None;
        for (place, event) in events.iter().enumerate() {
            if event.device.0 != address || matches!(event.kind, EventKind::Device(_)) {
                continue;
            }
            let begins = is(event, true, Hook::Initialise);
            if begins {
                parts.extend(part.take());
            }
            let (_, told) = part.get_or_insert_with(|| {
                let number = generation.map_or(u32::from(begins), |last: u32| last + 1);
                generation = Some(number);
                (
                    place,
                    Compared {
                        address,
                        generation: number,
                        ..Compared::default()
                    },
                )
            });
            // The identities between the address's last event and this one; the last one counts.
            for earlier in events[..place].iter().rev() {
                match &earlier.kind {
                    EventKind::Loss(_) if begins => break,
                    EventKind::Device(identity) if earlier.device.0 == address => {
                        if let Some(name) = &identity.name {
                            told.name = Some(name.to_string());
                        }
                        break;
                    }
                    _ if earlier.device.0 == address => break,
                    _ => {}
                }
            }
            if let EventKind::Snapshot(snapshot) = &event.kind {
                told.name = snapshot.identity.name.as_deref().map(str::to_owned);
            }
            if let EventKind::Add(node) = &event.kind {
                told.resources
                    .push(node.name.as_deref().unwrap().to_owned());
            }
            if is(event, false, Hook::FinalPut) {
                parts.extend(part.take());
            }
        }
        parts.extend(part);
    }
    parts.sort_by_key(|(place, _)| *place);
    parts.into_iter().map(|(_, told)| told).collect()
}

fn is(event: &Event, entry: bool, hook: Hook) -> bool {
    match &event.kind {
        EventKind::Enter(call) => entry && call.hook == hook,
        EventKind::Leave(returned) => !entry && returned.hook == hook,
        _ => false,
    }
}

fn observed(events: &[Event], coverage: Coverage) -> (Histories, Model) {
    let mut model = Model::new(Arc::new(coverage));
    let mut observer = HistoryObserver::new(Limits::default(), Window::default(), true);
    for event in events {
        for change in model.apply(event) {
            observer.observe(&change, &model);
        }
    }
    (observer.finish(&model), model)
}

fn told(histories: &Histories) -> Vec<Compared> {
    histories
        .devices
        .iter()
        .map(|history| Compared {
            address: history.key.address.0,
            generation: history.key.generation,
            name: history.name.as_deref().map(str::to_owned),
            resources: history
                .bindings
                .iter()
                .flat_map(|binding| &binding.steps)
                .filter_map(|step| match step.kind {
                    StepKind::Added(item) => Some(histories.names.text(item.label).to_owned()),
                    _ => None,
                })
                .collect(),
        })
        .collect()
}

proptest! {
    #[test]
    fn every_life_is_told_apart(deeds in vec(deed(), 0..60)) {
        let mut kernel = Kernel::new();
        for (place, deed) in deeds {
            kernel.act(place, deed);
        }
        let events = &kernel.story.events;
        let (histories, model) = observed(events, whole());
        let expected = cut(events);
        prop_assert_eq!(told(&histories), &expected[..]);
        prop_assert_eq!(model.tally().devices, expected.len() as u64);
    }

    #[test]
    fn without_loss_every_resource_is_its_owners(deeds in vec(deed(), 0..60)) {
        // What the kernel did, and not what the stream says: who was born when, and what was added to it.
        let mut kernel = Kernel::new();
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for (place, deed) in deeds {
            if matches!(deed, Deed::Lose | Deed::EndUnseen) {
                continue;
            }
            kernel.act(place, deed);
            if let (Deed::Add, Some(Some(name))) =
                (deed, kernel.living.get(&(0xff11_0000_0500_0000 + place * 0x800)))
            {
                owners.insert(format!("resource{}", kernel.added), name.clone());
            }
        }
        let (histories, _) = observed(&kernel.story.events, whole());
        let mut found = BTreeMap::new();
        for history in told(&histories) {
            for resource in history.resources {
                found.insert(resource, history.name.clone());
            }
        }
        for (resource, owner) in owners {
            prop_assert_eq!(found.get(&resource), Some(&Some(owner)));
        }
    }
}

#[test]
fn a_life_that_begins_leaves_its_name_off_the_one_whose_end_was_not_seen() {
    let mut story = Story::new();
    story
        .named(DEVICE, "first", "", "")
        .enter(DEVICE, Hook::Initialise)
        .add(DEVICE, 0x10, "devm_kzalloc_release", 8)
        .named(DEVICE, "second", "", "")
        .enter(DEVICE, Hook::Initialise);
    let (histories, _) = observed(&story.events, whole());
    let names: Vec<_> = told(&histories)
        .into_iter()
        .map(|history| history.name)
        .collect();
    assert_eq!(names, [Some("first".to_owned()), Some("second".to_owned())]);
}

#[test]
fn an_identity_from_before_a_loss_is_not_given_to_the_life_behind_it() {
    let mut story = Story::new();
    story
        .enter(DEVICE, Hook::Initialise)
        .named(DEVICE, "first", "", "")
        .lose(3)
        .enter(DEVICE, Hook::Initialise);
    let (histories, _) = observed(&story.events, whole());
    assert_eq!(histories.devices[1].key.generation, 2);
    assert_eq!(histories.devices[1].name, None);
}

#[test]
fn a_name_that_the_source_finds_by_itself_is_known_at_once() {
    let mut story = Story::new();
    story
        .named(DEVICE, "", "", "")
        .enter(DEVICE, Hook::Initialise);
    let mut model = Model::new(Arc::new(whole()));
    for event in &story.events {
        model.apply(event);
    }
    story.events.clear();
    story.named(DEVICE, "card0", "drm", "");
    story.events[0].task = Task::default();
    let changes = model.apply(&story.events[0]);
    assert!(
        matches!(changes[..], [Change::DeviceNamed(_)]),
        "{changes:?}"
    );
    let device = model.device(DEVICE.address()).unwrap();
    assert_eq!((device.name(), device.key().generation), ("card0", 1));
    // It is no reason to take the next life for named.
    story.events.clear();
    story
        .named(DEVICE, "", "", "")
        .enter(DEVICE, Hook::Initialise);
    for event in &story.events {
        model.apply(event);
    }
    let device = model.device(DEVICE.address()).unwrap();
    assert_eq!((device.name(), device.key().generation), ("", 2));
}

#[test]
fn what_is_found_before_a_device_has_its_name_is_found_by_it() {
    let mut story = Story::new();
    story
        .named(DEVICE, "", "platform", "")
        .enter(DEVICE, Hook::Initialise)
        .open_group(DEVICE, 7, 0x100)
        .open_group(DEVICE, 7, 0x200);
    let mut engine = Engine::new(Arc::new(whole()), RuleSet::all().only(&["DR005"]).unwrap());
    let mut devices = Vec::new();
    story.named(DEVICE, "named-at-last", "platform", "");
    story.enter(DEVICE, Hook::Delete);
    for event in &story.events {
        let updates = engine.apply(event);
        devices.extend(updates.iter().map(|finding| finding.device.clone()));
    }
    assert_eq!(devices, ["an unnamed device", "named-at-last"]);
}

#[test]
fn an_identity_at_the_end_of_a_stream_goes_on_with_it() {
    let mut story = Story::new();
    story.named(DEVICE, "waiting", "", "");
    let (_, model) = story.run(whole());
    assert!(model.device(DEVICE.address()).is_none());
    let [event] = &model.introductions()[..] else {
        panic!("{:?}", model.introductions());
    };
    assert_eq!(event.kind, story.events[0].kind);
    assert_eq!(event.task, story.events[0].task);
}

fn recording(name: &str) -> (Coverage, Vec<Event>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recordings")
        .join(name);
    let mut recording = Recording::open(&path).unwrap();
    let coverage = recording.information().coverage.clone();
    let mut events = Vec::new();
    recording
        .for_each(|event| {
            events.push(event.clone());
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    (coverage, events)
}

/// A test of the kernel's own that registers one platform device after the other: all at one address.
#[test]
fn eight_lives_at_one_address_are_eight() {
    let (coverage, events) = recording("one-address-eight-lives.dvrt");
    let address = DeviceAddress(DEVICE.0);
    let (histories, _) = observed(&events, coverage.clone());
    let numbers: Vec<u32> = histories
        .devices
        .iter()
        .filter(|history| history.key.address == address)
        .map(|history| history.key.generation)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(told(&histories), cut(&events));

    // Each finding is of the life that owned what it is about.
    let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
    for event in &events {
        engine.apply(event);
    }
    let outcome = engine.finish();
    assert_eq!(outcome.findings.len(), 2);
    for finding in &outcome.findings {
        let history = histories
            .devices
            .iter()
            .find(|history| history.key == finding.instance)
            .unwrap();
        let resource = &finding.resources[0].name;
        let owned = told(&histories)
            .into_iter()
            .find(|told| {
                (told.address, told.generation) == (history.key.address.0, history.key.generation)
            })
            .unwrap();
        assert_eq!(owned.resources, [resource.as_str()]);
    }
}
