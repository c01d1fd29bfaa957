//! DR020: release functions whose module has gone.

use devres_tracer::{
    event::{EventKind, Text},
    finding::Severity,
};

use super::{
    DEVICE, accused, begin, innocent, nothing, probe, silent_after_loss,
    support::{Dev, Story},
};

/// A device with a resource whose release is in `module`, and another module or that one is unloaded.
fn unloaded(module: &str, removed: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    story.add_action(DEVICE, 0x100, "guest_callback@guest");
    if removed {
        story.rem(DEVICE, 0x100, "devm_action_release", 16);
    }
    let module = Text::from(module);
    story.push(Dev(0), EventKind::ModuleFree { module, code: None });
    story
}

#[test]
fn a_module_that_goes_before_its_resource_is_an_error() {
    accused(
        &unloaded("guest", false),
        "DR020",
        Severity::Error,
        "DR020/platform/driver/guest/guest_callback",
    );
    innocent(&unloaded("other", false), "DR020");
    innocent(&unloaded("guest", true), "DR020");
    silent_after_loss(&unloaded("guest", false), 7, "DR020");
}
