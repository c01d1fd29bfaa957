//! DR002: a probe that fails leaves its PM domain attached.

use devres_tracer::{
    event::{EventKind, Hook, PmDomain, Return},
    finding::Severity,
};

use super::{
    DEVICE, accused, begin, innocent, silent, silent_after_loss,
    support::{DOMAIN, NO_DOMAIN, Story},
};

/// A probe that attaches a PM domain and returns `value`, with this domain then.
fn failed_probe(value: i64, after: PmDomain) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", "rpmsg", "driver")
        .enter(DEVICE, Hook::Probe)
        .attach(DEVICE);
    if !after.detaches() {
        story.detach(DEVICE);
    }
    if value == 0 {
        story.enter(DEVICE, Hook::Bound);
    }
    let returned = Return {
        hook: Hook::Probe,
        value: Some(value),
        pm: Some(after),
        node: None,
    };
    story.push(DEVICE, EventKind::Leave(returned));
    story
}

#[test]
fn a_failed_probe_that_leaves_its_domain_attached_leaks_it() {
    for value in [5, -5, 517] {
        accused(
            &failed_probe(value, DOMAIN),
            "DR002",
            Severity::Warn,
            "DR002/rpmsg/driver",
        );
    }
    let mut unended = failed_probe(5, DOMAIN);
    unended.events.pop();
    silent(&unended, "DR002");
    innocent(&failed_probe(5, NO_DOMAIN), "DR002");
    innocent(&failed_probe(0, DOMAIN), "DR002");
    let no_callback = PmDomain {
        domain: DOMAIN.domain,
        detach: 0,
    };
    innocent(&failed_probe(5, no_callback), "DR002");
    silent_after_loss(&failed_probe(5, DOMAIN), 5, "DR002");
}

#[test]
fn a_domain_that_was_there_before_the_probe_is_not_its_leak() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.attach(DEVICE).enter(DEVICE, Hook::Probe);
    let returned = Return {
        hook: Hook::Probe,
        value: Some(5),
        pm: Some(DOMAIN),
        node: None,
    };
    story.push(DEVICE, EventKind::Leave(returned));
    innocent(&story, "DR002");
}
