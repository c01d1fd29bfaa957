//! Policies and expectations, and what a run comes to that is judged by them.

use std::ops::ControlFlow;

use devres_tracer::{
    check::{Date, Examination, Policy, RunEnd, write_expectations},
    sink::reports::Format,
};

use super::{Bound, Target, judge::recording};

pub(super) const POLICY: Target = Target {
    name: "policy",
    run: policy,
    size: <[u8]>::len,
    held: Bound::new(1 << 20, 100),
    asked_for: Bound::new(2 << 20, 300),
};

pub(super) const EXPECTATIONS: Target = Target {
    name: "expectations",
    run: expectations,
    size: <[u8]>::len,
    held: Bound::new(1 << 20, 100),
    asked_for: Bound::new(2 << 20, 300),
};

/// A run with a finding.
const RUN: &[u8] = include_bytes!("../../../demo/pvpanic-6.1.dvrt");
const TODAY: Date = Date::constant(2026, 3, 1);

fn policy(input: &[u8]) -> String {
    match Policy::read("policy.toml", &String::from_utf8_lossy(input)) {
        Ok(policy) => reports(&policy),
        Err(error) => error.to_string(),
    }
}

fn expectations(input: &[u8]) -> String {
    let mut policy = Policy::default();
    match policy.add_expectations("expectations.toml", &String::from_utf8_lossy(input)) {
        Ok(()) => reports(&policy),
        Err(error) => error.to_string(),
    }
}

/// The run in all forms of reports. Expectations that are written of it can be read.
fn reports(policy: &Policy) -> String {
    let Ok(mut recording) = recording(RUN) else {
        panic!("the recording can't be read");
    };
    let mut examination = Examination::new(recording.information().clone(), policy.clone());
    recording.replay(|event| {
        examination.event(event);
        ControlFlow::Continue(())
    });
    let results = examination.finish(RunEnd::on(TODAY));
    let mut reports = policy.describe().into_bytes();
    for format in Format::ALL {
        if let Err(error) = format.write(&results, &mut reports) {
            panic!("{}: {error}", format.name());
        }
    }
    let written = write_expectations(&results, policy);
    if let Err(error) = Policy::default().add_expectations("written.toml", &written) {
        panic!("{error}: {written}");
    }
    String::from_utf8_lossy(&reports).into_owned() + &written
}
