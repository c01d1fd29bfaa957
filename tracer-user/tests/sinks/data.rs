//! What a resource's payload points to is reported where the kernel's memory says it.

use std::{collections::BTreeMap, sync::Arc};

use devres_tracer::{
    event::{AddedNode, EventKind, Function, Text},
    model::Model,
    sink::{stacks::DeviceStack, stacks_data::Targets},
};

use crate::support::{Dev, Story, added, whole};

const OWN: Dev = Dev(0xff11_0000_0500_0000);
const OTHER: Dev = Dev(0xff11_0000_0600_0000);
const BLOCK: u64 = 0xff11_0000_0700_0000;
const OWN_BLOCK: u64 = 0xff11_0000_0800_0000;
const VARIABLE: u64 = 0xffff_ffff_c000_2000;

fn action(node: u64, data: u64) -> AddedNode {
    AddedNode {
        function: Some(Arc::new(Function {
            address: 0xffff_ffff_c000_0000,
            name: Some(Text::from("acme_stop")),
            module: Some(Text::from("acme")),
        })),
        action_data: data,
        ..added(node, "devm_action_release", 16)
    }
}

fn block(node: u64, at: u64, size: u64, payload: [u64; 4]) -> AddedNode {
    AddedNode {
        payload_address: at,
        payload,
        ..added(node, "devm_kzalloc_release", size)
    }
}

/// What is reported about `device`, newest first, with the symbols of a kernel in which `VARIABLE` is one.
fn told(nodes: Vec<AddedNode>) -> Vec<String> {
    let mut story = Story::new();
    story
        .named(OTHER, "1-0041", "i2c", "")
        .push(OTHER, EventKind::Add(block(0x10, BLOCK, 208, [0; 4])));
    story.named(OWN, "1-0040", "i2c", "acme");
    for node in nodes {
        story.push(OWN, EventKind::Add(node));
    }
    let mut model = Model::new(Arc::new(whole()));
    for event in &story.events {
        model.apply(event);
    }
    let mut targets = Targets::of(&model);
    let device = model.device(OWN.address()).unwrap();
    let mut stack = DeviceStack::of(device);
    let pointers = stack.stack.iter().flat_map(|entry| entry.pointers.clone());
    let unknown = targets.unknown(pointers);
    let variables: BTreeMap<u64, String> = unknown
        .into_iter()
        .filter(|pointer| *pointer == VARIABLE)
        .map(|pointer| (pointer, "acme_state [acme]".to_owned()))
        .collect();
    targets.add_variables(variables);
    stack.name_data(&targets);
    let mut text = Vec::new();
    stack.write(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("  "));
    lines
        .map(|line| line.trim_start_matches(' ').to_owned())
        .collect()
}

#[test]
fn an_actions_argument_is_named() {
    let action = |data| told(vec![action(0x20, data)]);
    let line = |data: &str| {
        vec![format!(
            "devm_action_release → acme_stop [acme]  16 bytes{data}  added by init[1]"
        )]
    };
    assert_eq!(action(VARIABLE), line("  data: acme_state [acme]"));
    assert_eq!(action(OTHER.0), line("  data: device 1-0041"));
    let in_block = line("  data: devm_kzalloc_release (208 bytes) of 1-0041");
    assert_eq!(action(BLOCK + 207), in_block);
    assert_eq!(action(BLOCK + 208), line(""));
    // That it is about its own device is no news.
    assert_eq!(action(OWN.0), line(""));
    assert_eq!(action(27), line(""));
}

#[test]
fn whose_memory_it_is_shows_in_what_lies_in_it() {
    let told = told(vec![
        block(0x20, OWN_BLOCK, 64, [7, OWN.0, VARIABLE, 0]),
        action(0x30, OWN_BLOCK),
        AddedNode {
            payload: [BLOCK, VARIABLE, 0, 0],
            ..added(0x40, "devm_clk_release", 16)
        },
    ]);
    assert_eq!(
        told,
        [
            "devm_clk_release  16 bytes  data: acme_state [acme]  added by init[1]",
            "devm_action_release → acme_stop [acme]  16 bytes  data: devm_kzalloc_release (64 bytes)  added by init[1]",
            "devm_kzalloc_release  64 bytes  refers to acme_state [acme]  added by init[1]",
        ]
    );
}
