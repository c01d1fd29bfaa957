//! DR009: additions after an unbind.

use devres_tracer::{event::Hook, finding::Severity};

use super::{
    BLOCK, DEVICE, accused, begin, found, innocent, no_release, nothing, probe, silent_after_loss,
    support::Story, unbind,
};

/// A device that was bound, has been unbound, and gets a resource.
fn added_after_unbind(after: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    unbind(&mut story, DEVICE, nothing, no_release);
    story.add(DEVICE, 0x100, BLOCK, 8);
    after(&mut story);
    story
}

#[test]
fn what_is_added_after_unbind_is_in_the_way_of_the_next_probe() {
    let fingerprint = "DR009/platform/driver/devm_kzalloc_release";
    let probed = added_after_unbind(|story| {
        story
            .enter(DEVICE, Hook::Probe)
            .returned(DEVICE, Hook::Probe, Some(-16));
    });
    accused(&probed, "DR009", Severity::Error, fingerprint);
    let deleted = added_after_unbind(|story| {
        story
            .enter(DEVICE, Hook::Delete)
            .enter(DEVICE, Hook::ReleaseAll)
            .rel(DEVICE, 0x100, BLOCK, 8)
            .returned(DEVICE, Hook::ReleaseAll, Some(1))
            .leave(DEVICE, Hook::Delete);
    });
    accused(&deleted, "DR009", Severity::Warn, fingerprint);
    accused(
        &added_after_unbind(nothing),
        "DR009",
        Severity::Warn,
        fingerprint,
    );
    silent_after_loss(&added_after_unbind(nothing), 7, "DR009");
    let taken_off = added_after_unbind(|story| {
        story.rem(DEVICE, 0x100, BLOCK, 8);
    });
    innocent(&taken_off, "DR009");
}

#[test]
fn what_is_added_to_a_deleted_device_and_never_released_is_leaked() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .enter(DEVICE, Hook::Delete)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Delete)
        .enter(DEVICE, Hook::FinalPut)
        .release_nothing(DEVICE)
        .add(DEVICE, 0x100, BLOCK, 8)
        .leave(DEVICE, Hook::FinalPut);
    // The state at that time is dead, not deleted: nothing is added to such a device by rights at all.
    assert_eq!(found(&story, "DR009"), []);
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .enter(DEVICE, Hook::Delete)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Delete)
        .add(DEVICE, 0x100, BLOCK, 8)
        .last_put(DEVICE);
    accused(
        &story,
        "DR009",
        Severity::Error,
        "DR009/platform/?/devm_kzalloc_release",
    );
}

/// A device that was unbound, and to which two functions of its driver add memory.
fn added_after_unbind_by(callers: &[&'static str]) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    unbind(&mut story, DEVICE, nothing, no_release);
    for (caller, node) in callers.iter().zip(1..) {
        story
            .stack(&["devm_kmalloc", "devm_kasprintf", caller, "process_one_work"])
            .add(DEVICE, node * 0x100, BLOCK, 8);
    }
    story
}

#[test]
fn resources_that_different_functions_ask_for_are_different_findings() {
    let fingerprint = |caller: &str| {
        let name = format!("DR009/platform/driver/devm_kzalloc_release/{caller}");
        (Severity::Warn, name)
    };
    // What a compiler appends to a name differs from one kernel to the next.
    assert_eq!(
        found(
            &added_after_unbind_by(&["work@driver", "open.isra.0@driver"]),
            "DR009"
        ),
        [fingerprint("work"), fingerprint("open")]
    );
    // The same twice, and after the module was loaded anew.
    let twice = added_after_unbind_by(&["work@driver", "work@driver"]);
    let finding = accused(&twice, "DR009", Severity::Warn, &fingerprint("work").1);
    assert_eq!(finding.count, 2);
}

#[test]
fn a_function_that_has_no_name_tells_nothing_apart() {
    let finding = accused(
        &added_after_unbind_by(&["do_one_initcall"]),
        "DR009",
        Severity::Warn,
        "DR009/platform/driver/devm_kzalloc_release",
    );
    assert_eq!(finding.resources.len(), 1);
}
