//! The model on its own: states, groups, doubt, and the sources that see less.

mod doubt;
mod groups;
mod sources;
mod states;
#[path = "../support/mod.rs"]
mod support;

use devres_tracer::{
    event::Hook,
    evidence::Coverage,
    model::{Changes, Device, Model, State, Taint},
};

use support::{Dev, Story, desyncs};

const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
const OTHER: Dev = Dev(0xff11_0000_0600_0000);
const NOBODY: Dev = Dev(0);

/// Tells a part of a story.
type Telling<'a> = &'a dyn Fn(&mut Story);

fn state(model: &Model, device: Dev) -> Option<State> {
    model.device(device.address()).map(Device::state)
}

fn taints(model: &Model, device: Dev) -> Vec<Taint> {
    let device = model.device(device.address());
    device.into_iter().flat_map(Device::taints).collect()
}

fn began() -> Story {
    let mut story = Story::new();
    story.enter(DEVICE, Hook::Initialise);
    story
}

fn enters(hook: Hook) -> impl Fn(&mut Story) {
    move |story| {
        story.enter(DEVICE, hook);
    }
}

fn leaves(hook: Hook, value: Option<i64>) -> impl Fn(&mut Story) {
    move |story| {
        story.returned(DEVICE, hook, value);
    }
}

#[track_caller]
fn quiet(story: &Story, coverage: Coverage) -> (Vec<Changes>, Model) {
    let (changes, model) = story.run(coverage);
    assert_eq!(desyncs(&changes), Vec::<String>::new());
    (changes, model)
}
