use super::*;
use crate::{finding::Mainline, rules::RuleSet};

fn commits(rule: &str, observed: Observed<'_>) -> Option<Vec<&'static str>> {
    let known = of(rule, observed)?;
    Some(known.fixes.iter().filter_map(|fix| fix.commit).collect())
}

#[test]
fn what_was_observed_decides() {
    let by = |bus, function| Observed {
        bus: Some(bus),
        driver: Some("some-driver"),
        function: Some(function),
    };
    let platform = Some(vec!["f99508074e78", "f3e8f073c9a1"]);
    for (observed, expected) in [
        (by("platform", "platform_remove"), platform.clone()),
        (by("platform", "platform_drv_remove"), platform.clone()),
        // The bus's own function has jumped.
        (by("platform", "device_remove"), platform),
        // The driver did it, or nobody knows who.
        (by("platform", "some_driver_remove"), None),
        (by("platform", "device_unbind_cleanup"), None),
        (
            Observed {
                bus: Some("platform"),
                ..Observed::default()
            },
            None,
        ),
        // Another bus, another change.
        (by("spi", "spi_remove"), Some(vec!["f99508074e78"])),
        (by("spi", "platform_remove"), None),
        (by("dp-aux", "dp_aux_ep_remove"), Some(vec![])),
        (by("pci", "device_remove"), None),
        (Observed::default(), None),
    ] {
        assert_eq!(commits("DR001", observed), expected, "{observed:?}");
    }
}

#[test]
fn a_fault_is_that_of_its_rule() {
    let deleted = Observed::function(Some("device_del"));
    assert_eq!(commits("DR011", deleted), Some(vec!["699fb50d9903"]));
    assert_eq!(commits("DR009", deleted), None);
    let driver = |name| Observed::driver(Some(name));
    assert_eq!(commits("DR012", driver("ucan")), Some(vec!["fed4626501c8"]));
    assert_eq!(commits("DR012", driver("ucan2")), None);
    assert_eq!(commits("DR014", driver("ucan")), None);
}

#[test]
fn each_row_can_be_met_and_says_what_it_knows() {
    for (row, place) in all().iter().zip(0..) {
        assert!(RuleSet::all().find(row.rule).is_some(), "{row:?}");
        let observed = match row.condition {
            Condition::Bus { name, functions } => Observed {
                bus: Some(name),
                function: functions.first().copied(),
                ..Observed::default()
            },
            Condition::Function(functions) => Observed::function(functions.first().copied()),
            Condition::Driver(drivers) => Observed::driver(drivers.first().copied()),
        };
        let met = all()
            .iter()
            .position(|one| one.rule == row.rule && one.condition.holds(observed));
        assert_eq!(
            met,
            Some(place),
            "another row takes what is meant for {row:?}"
        );
        let is_open = matches!(row.known.mainline, Mainline::NotYet(_));
        assert_eq!(row.known.fixes.is_empty(), is_open, "{row:?}");
        for fix in row.known.fixes {
            assert!(fix.commit.is_some() || fix.subject.is_some(), "{row:?}");
            assert!(
                fix.commit.is_none_or(|commit| commit.len() == 12
                    && commit.bytes().all(|digit| digit.is_ascii_hexdigit())),
                "{row:?}"
            );
        }
    }
}

#[test]
fn it_is_told_in_a_sentence() {
    let text = |rule, observed| of(rule, observed).map(Known::text).unwrap_or_default();
    let removed = |bus, function| Observed {
        bus: Some(bus),
        function: Some(function),
        ..Observed::default()
    };
    assert_eq!(
        text("DR001", removed("sdio", "sdio_bus_remove")),
        "fixed by f99508074e78 (\"PM: domains: Detach on device_unbind_cleanup()\") and 7322d24cab91 \
         (\"Drop dev_pm_domain_detach() call\") in 6.18; not backported to 6.12, 6.1, 5.10"
    );
    assert_eq!(
        text("DR001", removed("i2c", "i2c_device_remove")),
        "fixed by 5b5475826c52 after 5.10, no later than 6.1; not backported to 5.10"
    );
    assert_eq!(
        text("DR001", removed("dp-aux", "dp_aux_ep_remove")),
        "not fixed as of 7.3"
    );
    assert_eq!(
        text("DR017", Observed::driver(Some("dwc2"))),
        "fixed by f747313249b7 (\"usb: dwc2: fix a devres leak in hw_enable upon suspend resume\"); \
         backported to 6.1.22, 5.10.177"
    );
}
