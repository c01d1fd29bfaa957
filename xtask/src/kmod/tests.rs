//! Every scenario on one kernel: the one named by `DEVRES_TRACER_TEST_KERNEL`, or the newest in the cache, or else
//! fetched. `cargo test -p xtask -- --ignored`.

use std::collections::BTreeMap;

use super::*;
use crate::guest::Guest;
use crate::kernel;

/// Runs all scenarios, each with the kernel's log of it, and then shows the list of the device that stays.
const SCRIPT: &str = r#"
    insmod /devres_test.ko || exit 2
    cd /sys/kernel/debug/devres_test
    echo no-such-scenario 2>/dev/null >run && exit 3
    cut -f1 scenarios | while read -r name; do
        dmesg -c >/dev/null
        echo "== $name"
        echo "$name" >run && echo succeeded
        dmesg -c
        case $name in self-reference*) echo self-reference-clean >run ;; esac
    done
    dmesg -c >/dev/null
    echo '== more'
    echo many 100000 >run
    echo concurrent 20000 >run
    echo platform-register >run
    cd /sys/bus/platform/drivers/devres-test-platform
    echo devres-test.0 >unbind
    echo devres-test.0 >bind
    echo 5 >devres-test.0/grow
    echo 5 >devres-test.0/shrink
    cd /sys/kernel/debug/devres_test
    echo '== list'
    grep devres-test.0 stacks
    echo '== callback'
    insmod /devres_test_callback.ko && rmmod devres_test_callback
    grep callback-host stacks
    echo '== end'
    cd /
    rmmod devres_test && dmesg -c
"#;

/// The scenarios that are about a warning of the kernel.
const WARNING_SCENARIOS: [&str; 5] = [
    "group-close-unknown-id",
    "group-remove-unknown-id",
    "group-release-unknown-id",
    "irq-double-free",
    "regulator-enabled-at-put",
];

/// What the kernel's log says when something is broken.
const TROUBLE: [&str; 6] = [
    "BUG:",
    "Oops",
    "Call Trace",
    "general protection",
    "refcount_t",
    "blocked for more than",
];

/// Release function, name and size of what the device that stays has, oldest first.
const LIST: [(&str, &str, &str); 12] = [
    ("devm_kmalloc_release", "devm_kzalloc_release", "48"),
    ("devm_kmalloc_release", "devm_kzalloc_release", "7"),
    ("devm_kmalloc_release", "devm_kzalloc_release", "17"),
    ("devm_pages_release", "devm_pages_release", "16"),
    ("devm_percpu_release", "devm_percpu_release", "8"),
    ("devm_kmalloc_release", "devm_krealloc_release", "4000"),
    ("custom_release [devres_test]", "custom_release", "24"),
    ("group_open_release", "grp<", "0"),
    ("devm_kmalloc_release", "devm_kzalloc_release", "16"),
    ("group_close_release", "grp>", "0"),
    ("devm_action_release", "", ""),
    ("devm_irq_release", "devm_irq_release", "16"),
];

struct Sections(BTreeMap<String, String>);

impl Sections {
    fn parse(output: &str) -> Self {
        let sections = output.split("== ").filter_map(|section| {
            let (name, text) = section.split_once('\n')?;
            Some((name.to_owned(), text.to_owned()))
        });
        Self(sections.collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("there is no section {name}"))
    }

    /// Whether `first` comes before `second` in the section; both must be there.
    fn is_before(&self, name: &str, first: &str, second: &str) -> bool {
        let text = self.get(name);
        let position = |what: &str| {
            text.find(what)
                .unwrap_or_else(|| panic!("{name} lacks `{what}`:\n{text}"))
        };
        position(first) < position(second)
    }
}

fn run_everything() -> Result<(Sections, (u32, u32))> {
    let name = std::env::var("DEVRES_TRACER_TEST_KERNEL").unwrap_or_else(|_| "newest".to_owned());
    let kernel = Kernel::obtain(&name, false, None)?;
    let series: Vec<u32> = kernel::series(&kernel.release)
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let module = build(&kernel, None)?;
    let mut guest = Guest::new(kernel);
    guest.standard_devices = false;
    guest.files = [MODULE, CALLBACK_MODULE]
        .map(|file| (module.with_file_name(file), format!("/{file}")))
        .to_vec();
    let run = guest.run(SCRIPT)?;
    assert_eq!(run.exit_code, 0, "{}{}", run.stdout, run.stderr);
    Ok((Sections::parse(&run.stdout), (series[0], series[1])))
}

fn check_health(sections: &Sections) {
    for (name, text) in &sections.0 {
        let warns = WARNING_SCENARIOS.contains(&name.as_str());
        assert_eq!(
            text.matches("WARNING:").count(),
            usize::from(warns),
            "{name}:\n{text}"
        );
        // A warning brings a call trace along.
        let trouble = TROUBLE
            .iter()
            .filter(|trouble| !(warns && **trouble == "Call Trace"));
        for trouble in trouble {
            assert!(!text.contains(trouble), "{name}:\n{text}");
        }
        if !["more", "list", "callback", "end"].contains(&name.as_str()) {
            assert!(text.contains("succeeded"), "{name}:\n{text}");
        }
    }
}

fn check_list(sections: &Sections, names_are_recorded: bool) {
    let lines: Vec<Vec<&str>> = sections
        .get("list")
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), LIST.len(), "{lines:?}");
    for (line, (release, name, size)) in lines.iter().zip(LIST) {
        let [
            device,
            device_name,
            node,
            line_name,
            line_size,
            line_release,
        ] = line[..]
        else {
            panic!("{line:?} has not six fields");
        };
        for address in [device, node] {
            assert!(
                u64::from_str_radix(address, 16).is_ok_and(|address| address >> 63 == 1),
                "{line:?}"
            );
        }
        assert_eq!((device_name, line_release), ("devres-test.0", release));
        if !names_are_recorded {
            assert_eq!((line_name, line_size), ("-", "-"));
        } else if !name.is_empty() {
            assert_eq!((line_name, line_size), (name, size));
        }
    }
}

#[test]
#[ignore = "boots a kernel in QEMU"]
fn every_scenario_comes_about_and_leaves_the_kernel_well() -> Result<()> {
    let (sections, series) = run_everything()?;
    assert!(sections.0.len() > 80, "{:?}", sections.0.keys());
    check_health(&sections);
    check_list(&sections, series > (5, 10));

    let detached_first =
        |name: &str| sections.is_before(name, "PM domain detached", "action: power off");
    for outcome in ["detach", "fail", "defer"] {
        assert_eq!(
            detached_first(&format!("pm-{outcome}-platform")),
            series < (6, 17)
        );
        assert_eq!(
            detached_first(&format!("pm-{outcome}-spi")),
            series < (6, 18)
        );
        assert!(!detached_first(&format!("pm-{outcome}-platform-ok")));
        assert!(!detached_first(&format!("pm-{outcome}-spi-ok")));
    }
    assert!(detached_first("pm-detach-bus"));
    assert!(!detached_first("pm-detach-bus-ok"));

    let swallowed =
        |name: &str| sections.is_before(name, "action: power off", "component is unbound");
    assert_eq!(swallowed("component-swallow"), series < (5, 16));
    assert!(!swallowed("component-swallow-ok"));

    assert!(sections.is_before(
        "group-foreign-release",
        "action: power off",
        "releases 3 resources"
    ));
    assert!(sections.is_before(
        "group-foreign-release-ok",
        "releases 1 resources",
        "action: power off"
    ));
    for name in [
        "resource-before-probe",
        "add-in-release",
        "add-after-unbind",
    ] {
        let refused = |name: &str| {
            sections
                .get(name)
                .contains("Resources present before probing")
        };
        assert!(refused(name), "{name}");
        assert!(!refused(&format!("{name}-ok")), "{name}-ok");
    }
    assert_eq!(
        sections
            .get("deferral-churn")
            .matches("action: power off")
            .count(),
        13
    );
    assert!(sections.get("callback").contains("devm_action_release"));
    Ok(())
}
