//! Devices at one address are rows of their own.

use std::{io::BufReader, ops::ControlFlow};

use devres_tracer::{
    rules::RuleSet,
    source::recording::Recording,
    tui::{Session, Sight, configuration::Configuration, theme::Ability},
};

use crate::screen::text;

/// A test of the kernel's own that registers one platform device after the other.
const RECORDING: &[u8] = include_bytes!("../recordings/one-address-eight-lives.dvrt");

#[test]
fn each_life_at_an_address_has_a_row() {
    let reader = Box::new(BufReader::new(RECORDING));
    let mut recording = Recording::read(reader, "lives.dvrt".to_owned()).unwrap();
    let mut session = Session::new(
        Sight::Recording("lives.dvrt".to_owned()),
        recording.information().clone(),
        RuleSet::checked(),
        Configuration::new(Ability::full()),
    );
    recording
        .for_each(|event| {
            session.take(event.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
    session.end();
    let screen = text(&mut session, 100, 40);
    let rows = screen
        .lines()
        .filter(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            ["platform", "test", "gone"]
                .iter()
                .all(|word| words.contains(word))
        })
        .count();
    assert_eq!(rows, 8, "{screen}");
}
