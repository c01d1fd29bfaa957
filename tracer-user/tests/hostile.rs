//! Events as no kernel would send them: the model must stay whole, whatever it is reported.

mod support;

use std::sync::Arc;

use devres_tracer::{
    engine::Engine,
    event::{
        Call, CallDetail, Event, EventKind, GroupId, Hook, Loss, LossCause, NodeAddress, PmDomain,
        Return,
    },
    finding::Severity,
    model::{Device, Model},
    rules::RuleSet,
};
use proptest::{collection::vec, prelude::*};
use support::{DOMAIN, Dev, Story, added, recorded, reduced, reference, whole};

const NAMES: [&str; 6] = [
    "grp<",
    "grp>",
    "devm_kzalloc_release",
    "devm_krealloc_release",
    "devm_irq_release",
    "group_open_release",
];

fn kind() -> impl Strategy<Value = EventKind> {
    let node = (0..40_u64).prop_map(|number| number * 8);
    let name = prop::sample::select(&NAMES[..]);
    let hook = prop::sample::select(&Hook::ALL[..]);
    let detail = prop_oneof![
        Just(CallDetail::None),
        (0..4_u64).prop_map(|id| CallDetail::Group(GroupId(id))),
        Just(CallDetail::Pm(DOMAIN)),
        Just(CallDetail::Pm(PmDomain::default())),
        node.clone().prop_map(CallDetail::Pointer),
        (0..4_u32).prop_map(CallDetail::Releases),
    ];
    prop_oneof![
        6 => (node.clone(), name.clone(), 0..4_u64).prop_map(|(node, name, group)| {
            let mut node = added(node, name, 8);
            node.group = Some(GroupId(group));
            node.payload_address = node.node.0;
            EventKind::Add(node)
        }),
        2 => (node.clone(), name.clone()).prop_map(|(node, name)| EventKind::Remove(reference(node, name, 8))),
        4 => (node.clone(), name.clone()).prop_map(|(node, name)| EventKind::Release(reference(node, name, 8))),
        1 => (node.clone(), name.clone()).prop_map(|(node, name)| EventKind::Replace(reference(node, name, 8))),
        1 => Just(EventKind::RemoveAction { function: 0, data: 0 }),
        1 => vec((node.clone(), name), 0..6).prop_map(|nodes| {
            let nodes: Vec<_> = nodes.into_iter().map(|(node, name)| added(node, name, 8)).collect();
            let mut story = Story::new();
            story.snapshot(Dev(1), "driver", &nodes);
            story.events.remove(0).kind
        }),
        8 => (hook.clone(), detail).prop_map(|(hook, detail)| EventKind::Enter(Call { hook, detail })),
        8 => (hook, prop::option::of(-2..4_i64), prop::option::of(node)).prop_map(|(hook, value, node)| {
            EventKind::Leave(Return { hook, value, pm: None, node: node.map(NodeAddress) })
        }),
        1 => Just(EventKind::Loss(Loss { count: u64::MAX, cause: LossCause::Input })),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    vec((0..4_u64, 0..3_u32, 0..2_u32, kind()), 1..300).prop_map(|events| {
        let mut story = Story::new();
        for (device, tid, tgid, kind) in events {
            story.task("hostile", tid).push(Dev(device), kind);
            if let Some(event) = story.events.last_mut() {
                event.task.tgid = tgid;
            }
        }
        story.events
    })
}

fn whole_lists(model: &Model) -> Result<(), TestCaseError> {
    for device in model.devices() {
        let listed = device.nodes().count();
        let releasing = device.releasing().count();
        prop_assert_eq!(listed, device.nodes().rev().count());
        prop_assert_eq!(releasing, device.releasing().rev().count());
        prop_assert_eq!(listed + releasing, device.node_count());
        for (_, node) in device.nodes().chain(device.releasing()) {
            let owner = model.owner(node).map(Device::key);
            prop_assert_eq!(owner, Some(device.key()));
        }
        for (_, open, close) in device.groups() {
            for marker in [Some(open), close].into_iter().flatten() {
                prop_assert!(device.nodes().any(|(id, _)| id == marker));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_model_stays_whole(events in events()) {
        for coverage in [whole(), reduced(), recorded()] {
            let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
            for event in &events {
                engine.apply(event);
                whole_lists(engine.model())?;
            }
            let outcome = engine.finish();
            let _ = outcome.verdict(Severity::Error);
            prop_assert_eq!(outcome.events, events.len() as u64);
        }
    }
}
