use super::{ACTIONS, Action, Key, Keymap};

#[test]
fn every_default_key_is_a_key_and_does_one_thing() {
    let mut seen = std::collections::HashMap::new();
    for info in &ACTIONS {
        for key in info.keys {
            let key = Key::parse(key).unwrap();
            assert_eq!(seen.insert(key, info.name), None, "{key}");
        }
    }
    let map = Keymap::default();
    for info in &ACTIONS {
        assert_eq!(map.keys(info.action), info.keys, "{}", info.name);
    }
}

#[test]
fn keys_are_written_as_they_are_read() {
    for name in [
        "q",
        "Q",
        "/",
        "Space",
        "Ctrl-c",
        "Alt-x",
        "Ctrl-Alt-Up",
        "F12",
        "-",
    ] {
        assert_eq!(Key::parse(name).unwrap().to_string(), name);
    }
    for name in ["", "Ctrl-", "F0", "Hyper-x", "qq", " "] {
        assert!(Key::parse(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_bound_key_loses_what_it_did() {
    let mut map = Keymap::default();
    let key = Key::parse("s").unwrap();
    map.bind(Action::Quit, &[key]);
    assert_eq!(map.action(key), Some(Action::Quit));
    assert!(map.keys(Action::Sort).is_empty());
    assert_eq!(map.action(Key::parse("q").unwrap()), None);
}
