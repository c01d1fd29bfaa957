//! Signals of LAVA: a test set for each group, a test case for each test.

use std::io::{self, Write};

use crate::check::{Results, Status};

pub(super) fn write(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    for group in &results.groups {
        writeln!(
            writer,
            "<LAVA_SIGNAL_TESTSET START {}>",
            identifier(&group.name)
        )?;
        for test in group.tests.iter() {
            let result = match test.status {
                Status::Passed | Status::Noted | Status::Excused => "pass",
                Status::Failed => "fail",
                Status::Skipped => "skip",
                Status::Inconclusive => "unknown",
            };
            writeln!(
                writer,
                "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={} RESULT={result}>",
                identifier(&test.name)
            )?;
        }
        writeln!(writer, "<LAVA_SIGNAL_TESTSET STOP>")?;
    }
    Ok(())
}

/// LAVA's names have no blanks and nothing that ends a signal.
fn identifier(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | ':' => letter,
            _ => '-',
        })
        .collect();
    plain.trim_matches('-').to_owned()
}
