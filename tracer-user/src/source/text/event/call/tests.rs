use super::*;

/// What was learned beside the call.
#[derive(Default)]
struct Learned {
    names: Names,
    strange: Strange,
}

fn call_of(hook: Hook, phase: Phase, arguments: &str) -> (Call, Learned) {
    call_among(false, hook, phase, arguments)
}

/// A call in a text that has shown addresses of 64 bits, or not yet.
fn call_among(mut wide: bool, hook: Hook, phase: Phase, arguments: &str) -> (Call, Learned) {
    let mut learned = Learned::default();
    let mut call = Call::new(hook, phase);
    call.take(
        arguments.as_bytes(),
        &mut learned.names,
        &mut learned.strange,
        &mut wide,
    );
    (call, learned)
}

fn call(arguments: &str) -> (Call, Learned) {
    call_of(Hook::Probe, Phase::Enter, arguments)
}

fn name(learned: &Learned, id: Option<NameId>) -> String {
    id.and_then(|id| learned.names.text(id))
        .unwrap()
        .to_string()
}

#[test]
fn devices_and_drivers_are_taken() {
    let (call, learned) = call(r#" dev=0xff11000005131010 name="QEMU 0001:00" drv="pvpanic-mmio""#);
    assert_eq!(call.device, 0xff11_0000_0513_1010);
    assert_eq!(name(&learned, call.name), "QEMU 0001:00");
    assert_eq!(name(&learned, call.driver), "pvpanic-mmio");
}

#[test]
fn devices_are_known_by_whatever_name() {
    for arguments in [
        r#"devp=0xff11000005131010 dev="demo.0""#,
        r#"dev="demo.0" dev_ptr=0xff11000005131010"#,
        r#"device=18379471554360840208 device_name="demo.0""#,
        r#"arg1=0xff11000005131010 name="demo.0""#,
        r#"a0=0xff11000005131010 devname="demo.0""#,
        r#"di=0xff11000005131010 dev="demo.0""#,
        r#"x0=ff11000005131010 dname="demo.0""#,
        r#"Dev=0xff11000005131010, DevName="demo.0""#,
    ] {
        let (call, learned) = call(arguments);
        assert_eq!(call.device, 0xff11_0000_0513_1010, "{arguments}");
        assert_eq!(name(&learned, call.name), "demo.0", "{arguments}");
        assert!(learned.strange.is_empty(), "{arguments}");
    }
    let (call, learned) = call(r#"dev="12345678" drvname="demo""#);
    assert_eq!(call.device, 0);
    assert_eq!(name(&learned, call.name), "12345678");
    assert_eq!(name(&learned, call.driver), "demo");
}

#[test]
fn pm_domains_are_numbers_or_symbols() {
    for arguments in [
        "pmd=0xffffffff82a6b3c0 detach=0xffffffff816d9b40",
        "pmdomain=0xffffffff82a6b3c0 dtor=0xffffffff816d9b40",
        "pm_domain=acpi_general_pm_domain+0x0/0x120 detach=acpi_dev_pm_detach+0x0/0x50 [acpi]",
        "power_off=1 pm_domain_ptr=0xffffffff82a6b3c0 detach_fn=0xffffffff816d9b40",
    ] {
        let (call, learned) = call_of(Hook::PmDetach, Phase::Enter, arguments);
        assert!(call.raw.pm().unwrap().detaches(), "{arguments}");
        assert!(learned.strange.is_empty(), "{arguments}");
    }
    let (call, learned) = call_of(Hook::PmDetach, Phase::Enter, "dev=0x10 pm=0x20 zork=1");
    assert_eq!(call.raw.pm(), None);
    assert_eq!(call.untold(), Role::PmDomain.bit() | Role::PowerOff.bit());
    let strange: Vec<_> = learned.strange.of(Hook::PmDetach).unwrap().iter().collect();
    assert_eq!(strange, ["pm", "zork"]);
}

#[test]
fn release_functions_are_symbols_or_addresses() {
    let rel = |arguments| call_of(Hook::AddDr, Phase::Enter, arguments);
    let (call, learned) = rel(" node=0xff11000006a5cde0 rel=foo_release+0x0/0x10 [foo] size=8");
    assert_eq!(call.node, 0xff11_0000_06a5_cde0);
    assert_eq!(call.raw.get(Role::Size), Some(8));
    let Some(Release::Symbol(symbol, module)) = call.release else {
        panic!("{call:?}");
    };
    assert_eq!(name(&learned, Some(symbol)), "foo_release");
    assert_eq!(name(&learned, module), "foo");
    assert_eq!(rel("rel=0x10").0.release, Some(Release::Address(16)));
    for middle in [
        "rel=foo_release+0x4/0x10",
        "rel=foo_release+0x10/0x20 [foo]",
    ] {
        assert_eq!(rel(middle).0.release, None, "{middle}");
    }
}

#[test]
fn values_may_be_negative_or_missing() {
    let left = |arguments| call_of(Hook::Probe, Phase::Leave, arguments).0.raw;
    let returned = |arguments| left(arguments).get(Role::Returned);
    assert_eq!(returned("ret=-517"), Some(517_u64.wrapping_neg()));
    assert_eq!(returned("ret=0xfffffdfb"), Some(0xffff_fdfb));
    assert_eq!(returned("cnt=7"), Some(7));
    assert_eq!(returned("arg1=7"), Some(7));
    let (call, _) = call("remark name=(null) drv=0x10 ret= pmd=0x0 off=0x1");
    assert_eq!((call.name, call.driver), (None, None));
    assert_eq!(call.raw.get(Role::Returned), None);
    assert_eq!(call.raw.get(Role::PmDomain), Some(0));
    assert_eq!(call.raw.get(Role::Detach), None);
    assert!(
        call.raw.pm().is_some(),
        "without a domain there is none to detach"
    );
}

#[test]
fn what_was_cut_off_at_the_end_of_a_line_is_not_told() {
    let group = |wide, arguments| {
        let (call, _) = call_among(wide, Hook::ReleaseGroup, Phase::Enter, arguments);
        (call.device, call.raw.get(Role::Group))
    };
    let device = 0xff11_0000_0513_1010;
    for (wide, arguments, expected) in [
        (
            false,
            "dev=0xff11000005131010 id=0xff11000001000100",
            (device, Some(0xff11_0000_0100_0100)),
        ),
        (
            false,
            "dev=0xff11000005131010 id=0xff11000001",
            (device, None),
        ),
        (
            false,
            "dev=0xff11000005131010 id=0xff110000",
            (device, None),
        ),
        (false, "dev=0xff11000005131010 id=0x", (device, None)),
        (false, "dev=0xff11000005131010 id=0x0", (device, Some(0))),
        (
            false,
            "dev=0xff11000005131010 id=0x7a",
            (device, Some(0x7a)),
        ),
        (true, "dev=0xff1100000513", (0, None)),
        // A 32-bit kernel's.
        (
            false,
            "dev=0xf0001000 id=0xf0002000",
            (0xf000_1000, Some(0xf000_2000)),
        ),
    ] {
        assert_eq!(group(wide, arguments), expected, "{arguments}");
    }
    let (call, learned) = call(r#"dev=0xff11000005131010 name="QEMU0001:00" drv="pvpan"#);
    assert_eq!(name(&learned, call.name), "QEMU0001:00");
    assert_eq!(call.driver, None);
    let (call, _) = call_among(true, Hook::Probe, Phase::Leave, "ret=0xfffffff0");
    assert_eq!(call.raw.get(Role::Returned), Some(0xffff_fff0));
}
