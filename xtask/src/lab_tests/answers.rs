//! What the queries must answer.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The rows of an answer.
pub(super) fn rows(answer: &Value) -> &[Value] {
    answer["rows"].as_array().map_or(&[], Vec::as_slice)
}

/// A column of an answer, of all rows.
fn column<'a>(answer: &'a Value, name: &str) -> Result<Vec<&'a Value>> {
    let columns = answer["columns"]
        .as_array()
        .context("an answer has columns")?;
    let place = columns.iter().position(|column| column == name);
    let place = place.with_context(|| format!("there is no column {name} in {columns:?}"))?;
    Ok(rows(answer).iter().map(|row| &row[place]).collect())
}

/// Fails unless these columns of an answer's rows are these, in this order.
fn are(told: &Value, query: &str, columns: &[&str], expected: &[Value]) -> Result<()> {
    let answer = &told[query];
    let mut found: Vec<Vec<&Value>> = vec![Vec::new(); rows(answer).len()];
    for name in columns {
        for (row, value) in found.iter_mut().zip(column(answer, name)?) {
            row.push(value);
        }
    }
    let found: Vec<Value> = found.into_iter().map(|row| json!(row)).collect();
    ensure!(
        found == expected,
        "{query}: {columns:?} are {found:?} instead of {expected:?}"
    );
    Ok(())
}

/// How many rows a table has, or how many recordings have rows in it.
fn number(told: &Value, table: &str, name: &str) -> Result<i64> {
    let names = column(&told["rows"], "name")?;
    let place = names.iter().position(|name| *name == table);
    let place = place.with_context(|| format!("no table {table} was counted"))?;
    column(&told["rows"], name)?
        .get(place)
        .and_then(|number| number.as_i64())
        .with_context(|| format!("{table} has no number"))
}

/// Each recording is there, with all of its events.
fn are_whole(told: &Value, recordings: usize) -> Result<()> {
    for table in ["recordings", "events"] {
        let found = number(told, table, "in_recordings")?;
        ensure!(
            found == i64::try_from(recordings)?,
            "{table} has {found} of {recordings} recordings"
        );
    }
    let (read, written) = (
        number(told, "events read", "number")?,
        number(told, "events", "number")?,
    );
    ensure!(
        read == written,
        "{read} events were read and {written} written"
    );
    Ok(())
}

/// Recordings of several kernels, and one from a machine with a hostile name.
pub(super) fn of_the_workspace(
    told: &Value,
    recordings: usize,
    (kernel, machine): (&str, &str),
) -> Result<()> {
    are_whole(told, recordings)?;
    let partitions = &told["partitions"];
    let kernels = column(partitions, "kernel")?;
    let releases = column(partitions, "kernel_release")?;
    let machines = column(partitions, "machine")?;
    let names = column(partitions, "machine_name")?;
    let pairs = kernels
        .iter()
        .zip(&releases)
        .chain(machines.iter().zip(&names));
    for (value, name) in pairs {
        let expected = name.as_str().unwrap_or("unknown");
        ensure!(**value == expected, "the partition of {name} is {value}");
    }
    ensure!(
        kernels.iter().any(|one| **one == kernel),
        "{kernel:?} is not among {kernels:?}"
    );
    ensure!(
        machines.iter().any(|one| **one == machine),
        "{machine:?} is not among {machines:?}"
    );
    let mut distinct: Vec<&str> = kernels
        .iter()
        .filter_map(|kernel| kernel.as_str())
        .collect();
    distinct.dedup();
    ensure!(
        distinct.len() > 3,
        "there are only the kernels {distinct:?}"
    );
    let found = number(told, "findings", "in_recordings")?;
    ensure!(found > 20, "only {found} recordings have findings");
    ensure!(
        !rows(&told["slowest-releases"]).is_empty(),
        "no release took any time"
    );
    Ok(())
}

/// The made-up recordings; `tracer-user/examples/fleet.rs` says what is in them.
pub(super) fn of_a_thousand(told: &Value) -> Result<()> {
    are_whole(told, 1000)?;
    are(
        told,
        "regressed-drivers",
        &[
            "driver",
            "rule",
            "on_machines",
            "bad_recordings",
            "good_recordings",
        ],
        &[json!(["acme-panel", "DR001", 20, 300, 699])],
    )?;
    are(
        told,
        "new-findings",
        &[
            "driver",
            "first_recorded",
            "in_recordings",
            "on_machines",
            "exercised_before",
        ],
        &[json!(["acme-late", "2026-02-13", 28, 4, 860])],
    )?;
    are(
        told,
        "growth",
        &[
            "machine_name",
            "driver",
            "days",
            "first_resources",
            "last_resources",
            "growth",
        ],
        &[json!(["Acme Board 07", "acme-hub", 50, 10, 19, 9])],
    )?;
    are(
        told,
        "never-exercised",
        &["driver", "in_recordings", "on_machines", "probed"],
        &[json!(["acme-idle", 1000, 20, 1])],
    )?;
    let slowest = &told["slowest-releases"];
    let (drivers, kernels, longest) = (
        column(slowest, "driver")?,
        column(slowest, "kernel_release")?,
        column(slowest, "longest_ms")?,
    );
    for place in 0..3 {
        ensure!(
            drivers[place] == "acme-flash" && kernels[place] == "6.12.3-lab",
            "the slowest are {slowest}"
        );
        let milliseconds = longest[place].as_f64().unwrap_or_default();
        ensure!(
            (1500.0..1501.0).contains(&milliseconds),
            "it took {milliseconds} ms"
        );
    }
    ensure!(
        longest[3].as_f64().is_some_and(|next| next < 2.0),
        "the next took {}",
        longest[3]
    );
    let sum = |name: &str| -> Result<i64> {
        let column = column(&told["verdicts"], name)?;
        Ok(column.iter().filter_map(|number| number.as_i64()).sum())
    };
    ensure!(
        (sum("in_all")?, sum("with_losses")?, sum("inconclusive")?) == (1000, 1, 1),
        "{}",
        told["verdicts"]
    );
    ensure!(
        sum("clean")? == 699 && sum("with_findings")? == 300,
        "{}",
        told["verdicts"]
    );
    Ok(())
}
