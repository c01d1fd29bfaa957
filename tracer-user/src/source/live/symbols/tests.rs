use super::*;

const TABLE: &str = "\
ffffffff81000000 T startup_64
ffffffff81001000 t devm_action_release
ffffffff81001000 t devm_action_alias
ffffffff81001100 D not_a_function
ffffffffc0001000 t pvpanic_remove\t[pvpanic]
ffffffffc0001040 t pvpanic_probe\t[pvpanic]
0000000000000000 t hidden
garbage
";

fn symbols() -> Symbols {
    Symbols::read(TABLE.as_bytes()).unwrap()
}

#[test]
fn an_address_lies_in_the_function_that_begins_before_it() {
    let function = symbols().function(0xffff_ffff_c000_103f);
    assert_eq!(function.name.as_deref(), Some("pvpanic_remove"));
    assert_eq!(function.module.as_deref(), Some("pvpanic"));
    assert_eq!(function.address, 0xffff_ffff_c000_1000);
}

#[test]
fn the_first_of_several_names_is_taken() {
    let function = symbols().function(0xffff_ffff_8100_1000);
    assert_eq!(function.name.as_deref(), Some("devm_action_release"));
    assert_eq!(function.module, None);
}

#[test]
fn an_address_far_from_any_function_has_no_name() {
    assert_eq!(symbols().function(0xffff_ffff_f000_0000).name, None);
    assert_eq!(symbols().function(0x1000).name, None);
}

#[test]
fn a_return_address_behind_the_last_instruction_belongs_to_the_caller() {
    let frame = symbols().frame(0xffff_ffff_c000_1040);
    assert_eq!(frame.to_string(), "pvpanic_remove+0x40 [pvpanic]");
}

fn lm75(at: u64) -> ModuleSymbols {
    let function = |address, name: &str| ModuleFunction {
        address,
        size: 0x40,
        name: name.into(),
    };
    ModuleSymbols {
        name: "lm75".into(),
        code: None,
        init: None,
        functions: vec![
            function(at + 0x40, "lm75_remove"),
            function(at, "lm75_probe"),
        ],
    }
}

#[test]
fn a_module_that_comes_later_takes_the_place_of_what_was_there() {
    let mut symbols = symbols();
    let at = 0xffff_ffff_c000_1000;
    assert_eq!(symbols.function(at).name.as_deref(), Some("pvpanic_remove"));
    symbols.add_module(lm75(at));
    assert_eq!(symbols.function(at + 4).to_string(), "lm75_probe [lm75]");
    assert_eq!(
        symbols.function(at + 0x7f).to_string(),
        "lm75_remove [lm75]"
    );
    symbols.add_module(lm75(at + 0x10_0000));
    assert_eq!(
        symbols.function(at).name.as_deref(),
        Some("pvpanic_remove"),
        "the module has moved"
    );
}

#[test]
fn what_lies_where_a_module_was_is_not_taken_for_it() {
    let mut symbols = symbols();
    let at = 0xffff_ffff_c000_1000;
    symbols.remove_module("pvpanic");
    assert_eq!(symbols.function(at).name, None);
    symbols.add_module(lm75(at));
    assert_eq!(symbols.function(at).name.as_deref(), Some("lm75_probe"));
    symbols.remove_module("lm75");
    assert_eq!(symbols.function(at).name, None);
}

#[test]
fn a_module_that_is_being_initialised_is_told_by_its_place() {
    let mut symbols = symbols();
    let begin = 0xffff_ffff_c000_1000;
    symbols.add_module(ModuleSymbols {
        init: Some(ModuleCode {
            begin,
            size: 0x1000,
        }),
        ..lm75(begin + 0x10_0000)
    });
    let frame = symbols.frame(begin + 0x23);
    assert_eq!(frame.to_string(), "0xffffffffc0001022 [lm75]");
    symbols.add_module(ModuleSymbols {
        name: "next".into(),
        ..lm75(begin)
    });
    assert_eq!(
        symbols.frame(begin + 0x23).to_string(),
        "lm75_probe+0x23 [next]"
    );
    assert_eq!(
        symbols.function(begin + 0x10_0000).to_string(),
        "lm75_probe [lm75]"
    );
}

#[test]
fn a_function_of_a_module_that_went_too_early_to_be_read_is_told_by_its_place() {
    let mut symbols = symbols();
    let begin = 0xffff_ffff_c000_1000;
    symbols.add_module(ModuleSymbols {
        name: "brief".into(),
        code: Some(ModuleCode {
            begin,
            size: 0x2000,
        }),
        init: None,
        functions: Vec::new(),
    });
    let expected = |address| Function {
        address,
        name: None,
        module: Some("brief".into()),
    };
    assert_eq!(*symbols.function(begin + 0x50), expected(begin + 0x50));
    let mut later = self::symbols();
    later.take_over(symbols);
    assert_eq!(*later.function(begin + 0x50), expected(begin + 0x50));
    assert_eq!(
        later.function(begin + 0x2000).module.as_deref(),
        None,
        "it is no longer than that"
    );
}

#[test]
fn a_trampoline_is_not_taken_for_the_module_behind_it() {
    let table = "ffffffffc0000000 t bpf_trampoline_1\t[bpf]\n";
    let mut symbols = Symbols::read(table.as_bytes()).unwrap();
    assert!(symbols.function(0xffff_ffff_c000_0800).name.is_some());
    assert_eq!(symbols.function(0xffff_ffff_c000_1000).name, None);
}

#[test]
fn only_functions_with_addresses_are_kept() {
    assert!(symbols().has_function("startup_64"));
    assert!(!symbols().has_function("not_a_function"));
    assert!(!symbols().has_function("hidden"));
}
