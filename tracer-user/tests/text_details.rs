//! What function events say about their calls, and what is decided without.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

#[path = "support/text.rs"]
mod support;

use std::collections::BTreeMap;

use devres_tracer::{
    engine::{Outcome, Verdict},
    event::{Hook, Role},
    finding::Severity,
    rules::RuleSet,
    source::text,
};
use support::{import, judge_by};

fn only(text: &str, rule: &str) -> Outcome {
    judge_by(&import(text), RuleSet::all().only(&[rule]).unwrap())
}

fn errors(outcome: &Outcome) -> Vec<&str> {
    let findings = outcome.findings.iter();
    findings
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.rule)
        .collect()
}

fn reasons(outcome: &Outcome, rule: &str) -> Vec<String> {
    let undecided = outcome.undecided.iter();
    undecided
        .filter(|undecided| undecided.rule == rule)
        .map(|undecided| undecided.reason.to_string())
        .collect()
}

/// A binding under the tracepoint and probes; `{}` is what the last lines are.
const BINDING: &str = r#"
 sh-71 [001] d..1. 3.100000: really_probe: (really_probe+0x0/0x3e0) dev=0xffff888003410010 name="spk.0" drv="spk"
 sh-71 [001] d..1. 3.100100: dev_pm_domain_attach: (dev_pm_domain_attach+0x0/0x50) dev=0xffff888003410010 name="spk.0" pmd=0x0
 sh-71 [001] d..1. 3.100200: attach_ret: (platform_probe+0x26/0x90 <- dev_pm_domain_attach) ret=0
 sh-71 [001] d..1. 3.100300: devres_log: spk.0 ADD 00000000c0ffee10 devm_kzalloc_release (96 bytes)
 sh-71 [001] d..1. 3.100400: devres_log: spk.0 ADD 00000000c0ffee20 devm_irq_release (16 bytes)
 sh-71 [001] d..1. 3.100500: driver_bound: (driver_bound+0x0/0xc0) dev=0xffff888003410010 name="spk.0"
 sh-71 [001] d..1. 3.100600: probe_ret: (__driver_probe_device+0x84/0x160 <- really_probe) ret=0
 sh-72 [000] d..1. 8.200000: unbind: (device_release_driver_internal+0x0/0x210) dev=0xffff888003410010 name="spk.0"
 sh-72 [000] d..1. 8.200100: device_remove: (device_remove+0x0/0x70) dev=0xffff888003410010 name="spk.0"
{removed} sh-72 [000] d..1. 8.200400: remove_ret: (device_release_driver_internal+0x19c/0x210 <- device_remove)
 sh-72 [000] d..1. 8.200500: cleanup: (device_unbind_cleanup+0x0/0x70) dev=0xffff888003410010 name="spk.0"
 sh-72 [000] d..1. 8.200600: release_all: (devres_release_all+0x0/0xd0) dev=0xffff888003410010 name="spk.0"
 sh-72 [000] d..1. 8.200700: devres_log: spk.0 REL 00000000c0ffee20 devm_irq_release (16 bytes)
 sh-72 [000] d..1. 8.200800: devres_log: spk.0 REL 00000000c0ffee10 devm_kzalloc_release (96 bytes)
 sh-72 [000] d..1. 8.200900: release_all_ret: (device_unbind_cleanup+0x15/0x70 <- devres_release_all) ret=2
{cleaned} sh-72 [000] d..1. 8.201300: cleanup_ret: (device_release_driver_internal+0x1a4/0x210 <- device_unbind_cleanup)
 sh-72 [000] d..1. 8.201400: unbind_ret: (unbind_store+0x4a/0xb0 <- device_release_driver_internal)
"#;
const DETACH: &str = r#" sh-72 [000] d..1. 8.{}: pm_detach: (dev_pm_domain_detach+0x0/0x40) dev=0xffff888003410010 name="spk.0" pmd=0xffffffff82b0a4c0 detach=0xffffffff8170c1b0
"#;

fn detached_too_early() -> String {
    let detach = DETACH.replace("{}", "200200");
    BINDING
        .replace("{removed}", &detach)
        .replace("{cleaned}", "")
}

fn detached_at_the_end() -> String {
    let detach = DETACH.replace("{}", "201000");
    BINDING
        .replace("{removed}", "")
        .replace("{cleaned}", &detach)
}

/// A driver whose group is closed, and closed again if `again`.
fn groups(again: bool) -> String {
    let close = |time: &str| {
        format!(
            " sh-9 [000] d..1. {time}: close: (devres_close_group+0x0/0xb0) dev=0xffff888003420010 name=\"grp.0\" id=0x77\n"
        )
    };
    let marker = |time: &str| {
        format!(
            " sh-9 [000] d..1. {time}: add_dr: (add_dr+0x0/0xc0) dev=0xffff888003420010 node=0xffff888005550028 rel=group_close_release+0x0/0x10\n \
             sh-9 [000] d..1. {time}: devres_log: grp.0 ADD 00000000d00d0028 grp> (0 bytes)\n"
        )
    };
    let mut text = String::from(
        r#" sh-9 [000] d..1. 1.000000: device_initialize: (device_initialize+0x0/0x110) dev=0xffff888003420010
 sh-9 [000] d..1. 1.000100: open: (devres_open_group+0x0/0xf0) dev=0xffff888003420010 name="grp.0" id=0x77
 sh-9 [000] d..1. 1.000200: add_dr: (add_dr+0x0/0xc0) dev=0xffff888003420010 node=0xffff888005550000 rel=group_open_release+0x0/0x10
 sh-9 [000] d..1. 1.000300: devres_log: grp.0 ADD 00000000d00d0000 grp< (0 bytes)
"#,
    );
    text += &(close("1.000400") + &marker("1.000500"));
    if again {
        text += &(close("1.000600") + &marker("1.000700"));
    }
    text
}

/// Kernel 5.10: no tracepoint. Unbound with a detach before the resources go, or without.
fn concluded(detach: bool) -> String {
    let mut text = String::from(
        r#" sh-5 [000] .... 2.000000: device_initialize: (device_initialize+0x0/0x110) dev=0xffff888007770010
 sh-5 [000] .... 2.000100: really_probe: (really_probe+0x0/0x3e0) dev=0xffff888007770010 name="old.0" drv="old"
 sh-5 [000] .... 2.000150: attach: (dev_pm_domain_attach+0x0/0x50) dev=0xffff888007770010 pmd=0x0
 sh-5 [000] .... 2.000160: attach_ret: (platform_drv_probe+0x26/0x90 <- dev_pm_domain_attach) ret=0
 sh-5 [000] .... 2.000200: add_dr: (add_dr+0x0/0x60) dev=0xffff888007770010 node=0xffff888006660000 rel=devm_irq_release+0x0/0x20
 sh-5 [000] .... 2.000300: driver_bound: (driver_bound+0x0/0xc0) dev=0xffff888007770010 name="old.0"
 sh-5 [000] .... 2.000400: probe_ret: (driver_probe_device+0x84/0x160 <- really_probe) ret=1
 sh-5 [000] .... 5.000000: unbind: (__device_release_driver+0x0/0x210) dev=0xffff888007770010 name="old.0"
"#,
    );
    if detach {
        text += " sh-5 [000] .... 5.000100: detach: (dev_pm_domain_detach+0x0/0x40) dev=0xffff888007770010 pmd=0xffffffff82b0a4c0 detach=0xffffffff8170c1b0\n";
    }
    text += r" sh-5 [000] .... 5.000200: release_all: (devres_release_all+0x0/0xd0) dev=0xffff888007770010
 sh-5 [000] .... 5.000300: release_all_ret: (__device_release_driver+0x120/0x210 <- devres_release_all) ret=1
 sh-5 [000] .... 5.000400: unbind_ret: (device_driver_detach+0x4a/0xb0 <- __device_release_driver)
";
    if !detach {
        text += " sh-5 [000] .... 5.000500: detach: (dev_pm_domain_detach+0x0/0x40) dev=0xffff888007770010 pmd=0xffffffff82b0a4c0 detach=0xffffffff8170c1b0\n";
    }
    text
}

/// What a rule says of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Says {
    found: Option<Severity>,
    undecided: bool,
}

fn says(text: &str) -> BTreeMap<&'static str, Says> {
    let outcome = judge_by(&import(text), RuleSet::all());
    let everywhere = outcome.lost > 0 || outcome.desyncs > 0 || outcome.findings_dropped > 0;
    let rules = RuleSet::all();
    let infos: Vec<_> = rules.infos().collect();
    // Of hooks that nobody asked for nothing is missed.
    let infos = infos.into_iter().filter(|info| !info.optional);
    let by_rule = infos.map(|info| {
        let found = outcome.findings.iter();
        let says = Says {
            found: found
                .filter(|finding| finding.rule == info.id)
                .map(|finding| finding.severity)
                .max(),
            undecided: everywhere || !reasons(&outcome, info.id).is_empty(),
        };
        (info.id, says)
    });
    by_rule.collect()
}

/// Each argument of a text: where ` name=value` begins and ends, and its name.
fn arguments(text: &str) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    for (equals, _) in text.match_indices('=') {
        let begin = text[..equals].rfind(' ').unwrap();
        let value = &text[equals + 1..];
        let length = match value.strip_prefix('"') {
            Some(quoted) => quoted.find('"').unwrap() + 2,
            None => value.find([' ', '\n']).unwrap(),
        };
        found.push((
            begin,
            equals + 1 + length,
            text[begin + 1..equals].to_owned(),
        ));
    }
    found
}

fn without(text: &str, gone: &[&(usize, usize, String)]) -> String {
    let mut left = text.to_owned();
    for (begin, end, _) in gone.iter().rev() {
        left.replace_range(*begin..*end, "");
    }
    left
}

#[test]
fn an_argument_less_makes_no_verdict_better_or_worse() {
    for (text, errors_of, decided) in [
        (detached_too_early(), vec!["DR001"], vec!["DR001", "DR007"]),
        (detached_at_the_end(), vec![], vec!["DR001", "DR007"]),
        (groups(true), vec!["DR005"], vec![]),
        (groups(false), vec![], vec!["DR005"]),
        (concluded(true), vec!["DR001"], vec!["DR001", "DR007"]),
        (concluded(false), vec![], vec!["DR001", "DR007"]),
    ] {
        assert_eq!(
            errors(&judge_by(&import(&text), RuleSet::all())),
            errors_of,
            "{text}"
        );
        let before = says(&text);
        for rule in decided {
            assert!(!before[rule].undecided, "{rule}: {text}");
        }
        let arguments = arguments(&text);
        assert!(arguments.len() > 10, "{text}");
        let mut names: Vec<&str> = arguments.iter().map(|(.., name)| &**name).collect();
        names.sort_unstable();
        names.dedup();
        let each = arguments.iter().map(|argument| vec![argument]);
        let all = names.iter().map(|name| {
            let of_name = arguments.iter().filter(|(.., known)| known == name);
            of_name.collect::<Vec<_>>()
        });
        for gone in each.chain(all) {
            let left = without(&text, &gone);
            for (rule, after) in says(&left) {
                let was = before[rule];
                let told = format!("{rule} without {gone:?}: {was:?}, then {after:?}\n{left}");
                assert!(after.found <= was.found, "worse: {told}");
                let same = after.found == was.found && (was.found.is_some() || !was.undecided);
                assert!(after.undecided || same, "better: {told}");
            }
        }
    }
}

#[test]
fn a_detach_of_which_no_domain_is_told_decides_nothing() {
    let text =
        detached_too_early().replace(" pmd=0xffffffff82b0a4c0 detach=0xffffffff8170c1b0", "");
    let outcome = only(&text, "DR001");
    assert_eq!(errors(&outcome), [""; 0]);
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
    assert_eq!(
        reasons(&outcome, "DR001"),
        ["dev_pm_domain_detach is seen without pm_domain: some of its lines in the text lack it"]
    );
    let named = detached_too_early().replace(" pmd=", " zork=");
    let reasons = reasons(&only(&named, "DR001"), "DR001");
    assert!(
        reasons[0].ends_with("(not understood: zork)"),
        "{reasons:?}"
    );
}

#[test]
fn arguments_are_understood_by_whatever_name() {
    for names in [
        [" devp=", " dev=", " drvname=", " pmdomain=", " dtor="],
        [" arg1=", " name=", " driver=", " pm_domain=", " detach_fn="],
        [
            " kobj=",
            " devname=",
            " drv_name=",
            " domain=",
            " pm_detach=",
        ],
    ] {
        let ours = [" dev=", " name=", " drv=", " pmd=", " detach="];
        let mut text = detached_too_early();
        for (place, name) in ours.iter().enumerate() {
            text = text.replace(name, &format!(" <{place}>="));
        }
        for (place, name) in names.iter().enumerate() {
            text = text.replace(&format!(" <{place}>="), name);
        }
        assert_eq!(errors(&only(&text, "DR001")), ["DR001"], "{text}");
    }
}

#[test]
fn what_was_there_before_the_text_is_known_by_its_release() {
    let whole = detached_too_early();
    let unbind = whole.find(" sh-72").unwrap();
    assert_eq!(errors(&only(&whole[unbind..], "DR001")), ["DR001"]);
    let whole = detached_at_the_end();
    let unbind = whole.find(" sh-72").unwrap();
    let outcome = only(&whole[unbind..], "DR001");
    assert_eq!(errors(&outcome), [""; 0]);
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
}

#[test]
fn a_text_does_not_tell_which_interrupt_a_resource_is() {
    let text = detached_at_the_end()
        + " sh-72 [000] d..1. 9.000000: free_irq: (free_irq+0x0/0x90) irq=31 dev_id=0xffff888003450000\n";
    let outcome = only(&text, "DR021");
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
    let reasons = reasons(&outcome, "DR021");
    assert_eq!(
        reasons,
        ["devres_log is seen without payload: text does not show the contents of a resource"]
    );
}

const FUNCTION: &str = "\
# tracer: function
              sh-12      [001] .....   50.000100: device_release_driver_internal{1} <-unbind_store
              sh-12      [001] .....   50.000110: devres_release_all{2} <-device_unbind_cleanup
              sh-12      [001] d..1.   50.000120: devres_log: f.0 REL ffff888104a5b100 devm_kzalloc_release (16 bytes)
";
const GRAPH: &str = "\
# tracer: function_graph
  50.000100 |   1)     sh-12      |               |  device_release_driver_internal{1} {
  50.000110 |   1)     sh-12      |               |    devres_release_all{2} {
  50.000115 |   1)     sh-12      |   0.210 us    |      kfree(objp=0xffff888100003000);
  50.000120 |   1)     sh-12      |               |      /* devres_log: f.0 REL ffff888104a5b100 devm_kzalloc_release (16 bytes) */
  50.000130 |   1)     sh-12      |   3.401 us    |    } /* devres_release_all ret=0x1 */
  50.000140 |   1)     sh-12      |   9.401 us    |  } /* device_release_driver_internal */
";
const TRACE_CMD: &str = "\
cpus=2
              sh-12    [001]    50.000100: funcgraph_entry:                   |  device_release_driver_internal{1} {
              sh-12    [001]    50.000110: funcgraph_entry:                   |    devres_release_all{2} {
              sh-12    [001]    50.000120: devres_log:           f.0 REL ffff888104a5b100 devm_kzalloc_release (16 bytes)
              sh-12    [001]    50.000130: funcgraph_exit:         3.401 us   |    } /* ret=0x1 */
              sh-12    [001]    50.000140: funcgraph_exit:         9.401 us   |  }
";
const TRACE_CMD_FUNCTION: &str = "\
              sh-12    [001]    50.000100: function:             device_release_driver_internal{1} <-- unbind_store
              sh-12    [001]    50.000110: function:             devres_release_all{2} <-- device_unbind_cleanup
              sh-12    [001]    50.000120: devres_log:           f.0 REL ffff888104a5b100 devm_kzalloc_release (16 bytes)
";

fn with_arguments(text: &str) -> String {
    text.replace(
        "{1}",
        "(dev=0xffff888100001000, drv=0x0, parent=0xffff888100002000)",
    )
    .replace("{2}", "(dev=0xffff888100001000)")
}

fn calls(text: &str) -> Vec<String> {
    let import = import(text);
    let mut told = Vec::new();
    for event in import.events() {
        let at = event.time.to_string();
        match event.kind {
            devres_tracer::event::EventKind::Enter(call) => {
                assert_eq!(event.device.0, 0xffff_8881_0000_1000, "{text}");
                assert_eq!(event.task.tid, 12, "{text}");
                told.push(format!("{at} {}", call.hook.symbol()));
            }
            devres_tracer::event::EventKind::Leave(left) => {
                told.push(format!(
                    "{at} {} returned {:?}",
                    left.hook.symbol(),
                    left.value
                ));
            }
            devres_tracer::event::EventKind::Release(_) => told.push(format!("{at} released")),
            _ => {}
        }
    }
    told
}

#[test]
fn function_tracers_tell_calls_with_their_arguments() {
    for text in [FUNCTION, TRACE_CMD_FUNCTION] {
        assert_eq!(
            calls(&with_arguments(text)),
            [
                "50.000100 device_release_driver_internal",
                "50.000110 devres_release_all",
                "50.000120 released",
            ]
        );
    }
    for text in [GRAPH, TRACE_CMD] {
        assert_eq!(
            calls(&with_arguments(text)),
            [
                "50.000100 device_release_driver_internal",
                "50.000110 devres_release_all",
                "50.000120 released",
                "50.000130 devres_release_all returned Some(1)",
                "50.000140 device_release_driver_internal returned None",
            ]
        );
    }
}

#[test]
fn without_arguments_it_is_said_what_to_record_instead() {
    for (text, call, option) in [
        (FUNCTION, "", "func-args"),
        (TRACE_CMD_FUNCTION, "", "func-args"),
        (GRAPH, "()", "funcgraph-args"),
        (TRACE_CMD, "()", "funcgraph-args"),
    ] {
        let text = text.replace("{1}", call).replace("{2}", call);
        let import = import(&text);
        let coverage = import.coverage();
        let reason = coverage.reason(Hook::Unbind).unwrap();
        let command = format!("echo 1 > /sys/kernel/tracing/options/{option}`");
        assert!(reason.contains(&command), "{reason}");
        assert!(reason.contains("`devres-tracer record`"), "{reason}");
        assert_eq!(calls(&text), ["50.000120 released"]);
        let elsewhere = coverage.reason(Hook::Probe).unwrap();
        assert_eq!(elsewhere, "the text has no events of it");
        let outcome = judge_by(&import, RuleSet::all());
        assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
    }
    let alone = FUNCTION
        .split_once("\n              sh-12      [001] d..1.")
        .unwrap()
        .0;
    let error = text::read(alone.replace("{1}", "").replace("{2}", "").as_bytes());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("options/func-args`"), "{error}");
    let no_task = with_arguments(GRAPH).replace("    sh-12      |", "");
    let reason = import(&no_task)
        .coverage()
        .reason(Hook::Unbind)
        .map(str::to_owned);
    assert!(reason.unwrap().contains("funcgraph-proc"), "{no_task}");
}

#[test]
fn addresses_and_names_are_only_joined_where_that_is_told() {
    let text = with_arguments(FUNCTION);
    let import = import(&text);
    assert!(!import.coverage().tells(Hook::Unbind, Role::Name));
    assert!(!import.coverage().serves(Hook::Unbind));
    let joined = text.replace(
        "sh-12      [001] d..1.   50.000120",
        "sh-12      [001] d..1.   50.000130",
    ) + " sh-12 [001] ..... 51.000000: device_del: (device_del+0x0/0x400) dev=0xffff888100001000 name=\"f.0\"\n";
    let import = self::import(&joined);
    assert!(import.coverage().serves(Hook::Unbind), "{joined}");
}
