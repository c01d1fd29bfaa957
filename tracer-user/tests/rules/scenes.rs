//! Devices that several rules are asked about.

use devres_tracer::event::Hook;

use super::{DEVICE, IRQ, add_irq, begin, call_irq, probe, support::Story, unbind};

/// A bound device on which group functions are called.
pub(crate) fn bound(body: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", body);
    story
}

pub(crate) const NUMBER: u32 = 17;

pub(crate) const DEV_ID: u64 = 0xff11_0000_0700_0000;

/// A device with an interrupt; `remove` happens in its remove, `late` after that, and the interrupt is released
/// then if it is still there.
pub(crate) fn with_irq(
    freed: bool,
    remove: impl Fn(&mut Story),
    late: impl Fn(&mut Story),
) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_irq(story, DEVICE, 0x100, u64::from(NUMBER), DEV_ID);
    });
    let remove = |story: &mut Story| {
        if freed {
            story.rem(DEVICE, 0x100, IRQ, 16);
        }
        remove(story);
    };
    unbind(&mut story, DEVICE, remove, |story| {
        late(story);
        if !freed {
            story.rel(DEVICE, 0x100, IRQ, 16);
            call_irq(story, Hook::FreeIrq, NUMBER, DEV_ID);
        }
        i64::from(!freed)
    });
    story
}
