//! Hooks that are attached and deliver nothing: every sign of one, and everything that looks like one and is not.

mod support;

use devres_tracer::{
    engine::{Outcome, Verdict},
    event::{AddedNode, EventKind, Hook, Loss, LossCause},
    evidence::{Attachment, Before, Coverage, HookState},
    finding::Severity,
    model::Sign,
};
use support::{Dev, Story, added, recorded, reduced, whole, without};

const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
const OTHER: Dev = Dev(0xff11_0000_0600_0000);
const BLOCK: &str = "devm_kzalloc_release";
const NODE: u64 = 0xff11_0000_0700_0000;

/// A whole life: begin, probe with two resources and a group, unbind, delete, last put; with stacks.
fn life(story: &mut Story) {
    begin(story);
    probe(story);
    unbind(story);
    delete(story);
}

fn begin(story: &mut Story) {
    // Who it is stands before the event that it came with.
    story
        .named(DEVICE, "dev0", "platform", "")
        .enter(DEVICE, Hook::Initialise);
}

fn probe(story: &mut Story) {
    story
        .named(DEVICE, "dev0", "platform", "drv")
        .enter(DEVICE, Hook::Probe)
        .attach(DEVICE)
        .stack(&["devm_kmalloc", "drv_probe@drv", "really_probe"])
        .add(DEVICE, NODE, BLOCK, 64)
        .enter(DEVICE, Hook::DevresAdd)
        .stack(&[
            "add_dr",
            "devres_add",
            "devm_ioremap",
            "drv_probe@drv",
            "really_probe",
        ])
        .add(DEVICE, NODE + 0x100, "devm_ioremap_release", 8)
        .open_group(DEVICE, 0, NODE + 0x200)
        .close_group(DEVICE, 0, NODE + 0x200)
        .krealloc(DEVICE, NODE, NODE + 0x300)
        .stack(&["driver_bound", "really_probe"])
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(0));
}

fn unbind(story: &mut Story) {
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove)
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, NODE + 0x200, "grp<", 0)
        .rel(DEVICE, NODE + 0x100, "devm_ioremap_release", 8)
        .rel(DEVICE, NODE + 0x300, "devm_krealloc_release", 64)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    story
        .detach(DEVICE)
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind)
        .named(DEVICE, "dev0", "platform", "");
}

fn delete(story: &mut Story) {
    story
        .enter(DEVICE, Hook::Delete)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Delete)
        .enter(DEVICE, Hook::FinalPut)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::FinalPut);
}

/// The story without what these hooks told, from event `from` on: as if they had been attached and silent.
fn silenced(story: &Story, hooks: &[Hook], from: usize) -> Story {
    let mut silenced = Story::new();
    silenced.events = story
        .events
        .iter()
        .enumerate()
        .filter(|(place, event)| {
            let hook = match &event.kind {
                EventKind::Enter(call) => Some(call.hook),
                EventKind::Leave(left) => Some(left.hook),
                _ => None,
            };
            *place < from || hook.is_none_or(|hook| !hooks.contains(&hook))
        })
        .map(|(_, event)| event.clone())
        .collect();
    silenced
}

fn by_functions() -> Vec<Hook> {
    let traced = [
        Hook::DevresLog,
        Hook::ModuleLoad,
        Hook::ModuleFree,
        Hook::IrqHandler,
    ];
    Hook::ALL
        .into_iter()
        .filter(|hook| !traced.contains(hook))
        .collect()
}

fn signs(outcome: &Outcome) -> Vec<Sign> {
    outcome.silent_hooks.iter().map(|one| one.sign).collect()
}

/// Nothing is silent, and everything could be decided.
#[track_caller]
fn healthy(story: &Story, coverage: Coverage) {
    let outcome = story.judge(coverage);
    assert_eq!(signs(&outcome), [], "{:#?}", outcome.silent_hooks);
}

/// The verdict is open, and the hook is named.
#[track_caller]
fn silent(story: &Story, coverage: Coverage, sign: Sign, symbol: &str) {
    let outcome = story.judge(coverage);
    assert!(
        signs(&outcome).contains(&sign),
        "{:#?}",
        outcome.silent_hooks
    );
    assert_eq!(
        outcome.verdict(Severity::Error),
        Verdict::Inconclusive,
        "{outcome:#?}"
    );
    assert_eq!(outcome.desync_details, [""; 0], "no fault of the tracer");
    let told = outcome.silent_hooks.iter().find(|one| one.sign == sign);
    let told = told.map(ToString::to_string).unwrap_or_default();
    assert!(told.contains(symbol), "{told}");
    assert!(told.contains("attached and silent"), "{told}");
}

#[test]
fn a_healthy_life_shows_no_sign() {
    let mut story = Story::new();
    life(&mut story);
    life(&mut story);
    let outcome = story.judge(whole());
    assert_eq!(signs(&outcome), []);
    assert_eq!(
        outcome.verdict(Severity::Error),
        Verdict::Clean,
        "{outcome:#?}"
    );
    healthy(&story, recorded());
    let mut snapped = Story::new();
    snapped.snapshot(OTHER, "", &[]);
    life(&mut snapped);
    let mut coverage = whole();
    coverage.before = Before::Snapshot;
    healthy(&snapped, coverage);
}

/// Which hook falls silent, from which event of the second life on, and what shows it.
#[test]
fn each_sign_shows_a_silent_hook() {
    let skipped = |inner, outer| Sign::Skipped { inner, outer };
    let cases: [(&[Hook], Sign, &str); 10] = [
        (
            &[Hook::ReleaseAll],
            Sign::ReleaseOutsideCall,
            "devres_release_all",
        ),
        (
            &[Hook::ReleaseAll],
            skipped(Hook::ReleaseAll, Hook::Cleanup),
            "devres_release_all",
        ),
        (
            &[Hook::Remove],
            skipped(Hook::Remove, Hook::Unbind),
            "device_remove",
        ),
        (
            &[Hook::Cleanup],
            skipped(Hook::Cleanup, Hook::Unbind),
            "device_unbind_cleanup",
        ),
        (
            &[Hook::Bound],
            skipped(Hook::Bound, Hook::Probe),
            "driver_bound",
        ),
        (
            &[Hook::Unbind],
            Sign::WithoutCaller(Hook::Remove),
            "device_release_driver_internal",
        ),
        (&[Hook::Probe], Sign::OnStack(Hook::Probe), "really_probe"),
        (
            &[Hook::DevresAdd],
            Sign::EffectWithoutCall(Hook::DevresAdd),
            "devres_add",
        ),
        (
            &[Hook::OpenGroup],
            Sign::EffectWithoutCall(Hook::OpenGroup),
            "devres_open_group",
        ),
        (
            &[Hook::CloseGroup],
            Sign::EffectWithoutCall(Hook::CloseGroup),
            "devres_close_group",
        ),
    ];
    for (hooks, sign, symbol) in cases {
        let mut story = Story::new();
        life(&mut story);
        let second = story.events.len();
        life(&mut story);
        for from in [0, second] {
            silent(&silenced(&story, hooks, from), whole(), sign, symbol);
        }
    }
    let mut story = Story::new();
    life(&mut story);
    let krealloc = silenced(&story, &[Hook::Krealloc], 0);
    silent(
        &krealloc,
        whole(),
        Sign::EffectWithoutCall(Hook::Krealloc),
        "devm_krealloc",
    );
}

#[test]
fn a_domain_that_goes_by_itself_shows_a_silent_detach() {
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    unbind(&mut story);
    story
        .pm(DEVICE, Hook::Probe, support::NO_DOMAIN)
        .returned(DEVICE, Hook::Probe, Some(-19));
    healthy(&story, whole());
    let sign = Sign::EffectWithoutCall(Hook::PmDetach);
    silent(
        &silenced(&story, &[Hook::PmDetach], 0),
        whole(),
        sign,
        "dev_pm_domain_detach",
    );
}

#[test]
fn a_return_that_its_caller_outran_shows_a_silent_return() {
    let mut story = Story::new();
    life(&mut story);
    story.events.retain(
        |event| !matches!(&event.kind, EventKind::Leave(left) if left.hook == Hook::Remove),
    );
    let mut at_cleanup = Story::new();
    at_cleanup.events.clone_from(&story.events);
    silent(
        &at_cleanup,
        whole(),
        Sign::NotReturned(Hook::Remove),
        "device_remove",
    );
}

#[test]
fn all_functions_at_once_fall_silent_before_and_during_a_trace() {
    let mut story = Story::new();
    life(&mut story);
    let second = story.events.len();
    life(&mut story);
    for from in [0, second] {
        let outcome = silenced(&story, &by_functions(), from).judge(whole());
        assert_ne!(signs(&outcome), []);
        assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
        assert_eq!(outcome.findings, [], "ignorance is no accusation");
        assert_eq!(outcome.desync_details, [""; 0]);
    }
    // Of a device that was bound before, only what it releases is seen.
    let mut bound = Story::new();
    bound.snapshot(DEVICE, "drv", &[added(NODE, BLOCK, 64)]);
    bound.rel(DEVICE, NODE, BLOCK, 64);
    let mut coverage = whole();
    coverage.before = Before::Snapshot;
    silent(
        &bound,
        coverage,
        Sign::ReleaseOutsideCall,
        "devres_release_all",
    );
}

#[test]
fn a_driver_that_came_by_itself_is_told_at_the_end_where_there_are_no_stacks() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .named(DEVICE, "dev0", "platform", "drv")
        .add(DEVICE, NODE, BLOCK, 64);
    silent(
        &story,
        whole(),
        Sign::DriverWithoutProbe,
        "really_probe or driver_bound",
    );
    // device_bind_driver() probes nothing, and tells that it has bound.
    story.enter(DEVICE, Hook::Bound);
    healthy(&story, whole());
}

#[test]
fn what_the_kernel_tells_of_its_switches_leaves_everything_open() {
    for (cause, way, word) in [
        (
            LossCause::FtraceOff,
            Attachment::Fentry,
            "ftrace is switched off",
        ),
        (
            LossCause::KprobesOff,
            Attachment::Kprobe,
            "kprobes are switched off",
        ),
    ] {
        let mut coverage = whole();
        for entry in &mut coverage.hooks {
            entry.state = HookState::Attached(way);
        }
        let mut story = Story::new();
        life(&mut story);
        story.push(Dev(0), EventKind::Loss(Loss { count: 0, cause }));
        silent(&story, coverage, Sign::SwitchedOff(way), word);
    }
}

#[test]
fn nothing_at_all_is_not_clean_where_a_switch_can_not_be_read() {
    for (way, word) in [
        (Attachment::Kprobe, "/sys/kernel/debug/kprobes/enabled"),
        (Attachment::Fentry, "/proc/sys/kernel/ftrace_enabled"),
    ] {
        let mut coverage = whole();
        coverage.before = Before::Snapshot;
        for entry in &mut coverage.hooks {
            if by_functions().contains(&entry.hook) {
                entry.state = HookState::Attached(way);
            }
        }
        let nothing = Story::new();
        healthy(&nothing, coverage.clone());
        coverage.unread_switches = vec![way];
        silent(&nothing, coverage.clone(), Sign::NothingSeen(way), word);
        // The first function that is entered shows that they fire.
        let mut story = Story::new();
        life(&mut story);
        healthy(&story, coverage);
    }
}

#[test]
fn a_kretprobe_that_does_not_know_its_device_shows_nothing() {
    let mut coverage = whole();
    for entry in &mut coverage.hooks {
        entry.state = HookState::Attached(Attachment::Kprobe);
    }
    // The parent's remove unbinds its child, of which a filter wants only what it always lets through.
    let mut story = Story::new();
    begin(&mut story);
    probe(&mut story);
    story
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove)
        .enter(OTHER, Hook::Unbind)
        .leave(Dev(0), Hook::Remove)
        .leave(Dev(0), Hook::Cleanup)
        .leave(Dev(0), Hook::Unbind)
        .leave(Dev(0), Hook::Remove)
        .enter(DEVICE, Hook::Cleanup);
    healthy(&story, coverage);
}

/// What looks like a sign and is none, because it has another explanation.
#[test]
fn whatever_else_explains_it_is_no_sign() {
    let mut story = Story::new();
    life(&mut story);
    let mut before = whole();
    before.before = Before::Snapshot;

    // The source does not have the hook: the kernel has inlined it, or a text never had it.
    for hook in by_functions() {
        let story = silenced(&story, &[hook], 0);
        healthy(&story, without(whole(), &[hook]));
    }
    healthy(
        &silenced(&story, &by_functions(), 0),
        without(whole(), &by_functions()),
    );
    // Another tool attached its hooks one by one, after the tracepoint.
    healthy(&silenced(&story, &by_functions(), 0), recorded());

    // Whatever had begun when the trace did: it may be in the midst of anything.
    let bound: Vec<AddedNode> = vec![added(NODE + 0x300, BLOCK, 64)];
    for kept in 0..story.events.len() {
        let mut halfway = Story::new();
        halfway.events = story.events[kept..].to_vec();
        let mut unknown = whole();
        unknown.before = Before::Unknown("the text begins in the middle".to_owned());
        let outcome = halfway.judge(unknown);
        assert_eq!(
            signs(&outcome),
            [],
            "from event {kept}: {:#?}",
            outcome.silent_hooks
        );
    }
    let mut running = Story::new();
    running
        .snapshot(DEVICE, "drv", &bound)
        .leave(DEVICE, Hook::Remove)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, NODE + 0x300, BLOCK, 64)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Unbind);
    healthy(&running, before.clone());

    // A probe that runs since before the trace binds another device that had no driver.
    let mut nested = Story::new();
    nested
        .snapshot(DEVICE, "", &[])
        .named(DEVICE, "phy0", "mdio_bus", "generic")
        .stack(&[
            "devm_kmalloc",
            "phy_probe",
            "phy_attach_direct",
            "really_probe",
        ])
        .add(DEVICE, NODE, BLOCK, 64)
        .stack(&[
            "driver_bound",
            "device_bind_driver",
            "phy_attach_direct",
            "really_probe",
        ])
        .enter(DEVICE, Hook::Bound);
    healthy(&nested, before.clone());

    // Hooks are attached one after the other until the snapshot is taken.
    let mut attaching = Story::new();
    attaching
        .add(DEVICE, NODE, "grp<", 0)
        .add(DEVICE, NODE + 0x28, "grp>", 0)
        .enter(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Cleanup)
        .snapshot(DEVICE, "", &[]);
    healthy(&attaching, before);
}

#[test]
fn what_was_lost_is_a_loss_and_no_silence() {
    let mut story = Story::new();
    life(&mut story);
    let mut loss = Story::new();
    loss.lose(1);
    let loss = loss.events.remove(0);
    // Each event but an addition that explains what follows; a loss stands for it.
    for missing in 0..story.events.len() {
        let mut lossy = Story::new();
        lossy.events.clone_from(&story.events);
        lossy.events[missing] = loss.clone();
        let outcome = lossy.judge(whole());
        assert_eq!(
            signs(&outcome),
            [],
            "event {missing}: {:#?}",
            story.events[missing]
        );
        assert_ne!(outcome.verdict(Severity::Error), Verdict::Clean);
    }
}

#[test]
fn kernels_that_tell_less_are_judged_by_what_they_tell() {
    // 5.10: neither the tracepoint nor device_remove nor device_unbind_cleanup.
    let mut story = Story::new();
    story
        .enter(DEVICE, Hook::Initialise)
        .named(DEVICE, "dev0", "platform", "drv")
        .enter(DEVICE, Hook::Probe)
        .enter(DEVICE, Hook::AddDr)
        .add(DEVICE, NODE, BLOCK, 64)
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(1))
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::ReleaseAll)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::Unbind)
        // A probe that has failed returns zero.
        .enter(DEVICE, Hook::Probe)
        .release_nothing(DEVICE)
        .returned(DEVICE, Hook::Probe, Some(0));
    healthy(&story, reduced());
    let sign = Sign::Skipped {
        inner: Hook::Bound,
        outer: Hook::Probe,
    };
    silent(
        &silenced(&story, &[Hook::Bound], 0),
        reduced(),
        sign,
        "driver_bound",
    );
}

#[test]
fn two_tasks_on_one_device_do_not_silence_each_other() {
    let mut story = Story::new();
    begin(&mut story);
    story
        .task("one", 10)
        .enter(DEVICE, Hook::OpenGroup)
        .task("two", 20)
        .enter(DEVICE, Hook::OpenGroup)
        .add(DEVICE, NODE, "grp<", 0)
        .task("one", 10)
        .add(DEVICE, NODE + 0x100, "grp<", 0);
    healthy(&story, whole());
}

#[test]
fn a_rule_that_needs_a_silent_hook_can_not_decide() {
    let mut story = Story::new();
    life(&mut story);
    let outcome = silenced(&story, &[Hook::ReleaseAll, Hook::ReleaseGroup], 0).judge(whole());
    let about = |rule| outcome.undecided.iter().find(|one| one.rule == rule);
    let reason = about("DR008")
        .map(|one| one.reason.to_string())
        .unwrap_or_default();
    assert!(reason.contains("attached and silent"), "{reason}");
}
