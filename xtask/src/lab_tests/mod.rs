//! `cargo xtask test --lab`: the tables that `devres-tracer export --format parquet` writes, queried by DuckDB and by Spark.
//!
//! Both run the queries of `docs/lab` as they stand, over the recordings of the workspace, which are of several kernels, and
//! over a thousand made-up ones, and must give the same answers. Of the made-up ones the answers are known.

mod answers;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::python::installed;
use crate::test::Tally;
use crate::{command, toolchain, tools, workspace};

/// What is installed for them.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The program that calls the engines.
const QUERY: &str = include_str!("query.py");

/// Queries beside those of the documents.
const OWN_QUERIES: [(&str, &str); 2] = [
    ("rows", include_str!("rows.sql")),
    ("partitions", include_str!("partitions.sql")),
];

/// How many recordings are made up.
const RECORDINGS: usize = 1000;

/// Names that want to be more than a part of a path.
const KERNEL: &str = "6.1/../=%41 'x";
const MACHINE: &str = "a/b=c%20d Gerät";

/// The tests.
const TESTS: [(&str, Test); 2] = [
    ("lab_of_the_workspaces_recordings", of_the_workspace),
    ("lab_of_a_thousand_recordings", of_a_thousand),
];

type Test = fn(&Engines) -> Result<()>;

/// Runs the tests whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> Result<Tally> {
    tools::require(&["python3", "pip3", "java"])?;
    let engines = Engines::provide().context("cannot get the engines")?;
    let mut tally = Tally::default();
    for (name, test) in TESTS {
        if !filter.is_none_or(|filter| name.contains(filter)) {
            continue;
        }
        tally += Tally::of(&name, test(&engines));
    }
    Ok(tally)
}

/// The engines, and the programs of the workspace that make tables for them.
struct Engines {
    /// Python packages.
    python: PathBuf,
    tracer: PathBuf,
    fleet: PathBuf,
}

impl Engines {
    /// Finds the packages in the cache, or installs them; and builds the programs.
    fn provide() -> Result<Self> {
        let cache = workspace::cache()?.join("lab-tests");
        fs::create_dir_all(&cache).context("cannot create the engines' directory")?;
        let lock = File::create(cache.join("lock")).context("cannot create the engines' lock")?;
        lock.lock().context("cannot lock the engines")?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace::root().join("target"), PathBuf::from);
        let build = ["build", "--quiet", "--package", "devres-tracer"];
        let programs = ["--bin", "devres-tracer", "--example", "fleet"];
        command::output(toolchain::cargo().args(build).args(programs))?;
        Ok(Self {
            python: installed(&cache, REQUIREMENTS, "DuckDB and Spark")?,
            tracer: target.join("debug/devres-tracer"),
            fleet: target.join("debug/examples/fleet"),
        })
    }

    /// What an engine answers, by query. `lab` is the directory with the tables in `lab`.
    fn ask(&self, engine: &str, lab: &Path, queries: &[PathBuf]) -> Result<Value> {
        let registration = workspace::root().join(format!("docs/lab/{engine}.sql"));
        let output = command::output(
            Command::new("python3")
                .env("PYTHONPATH", &self.python)
                .arg("-c")
                .arg(QUERY)
                .arg(engine)
                .arg(registration)
                .args(queries)
                .current_dir(lab),
        )?;
        let answers = output
            .lines()
            .find_map(|line| line.strip_prefix("ANSWERS "))
            .with_context(|| format!("{engine} printed {output:?}"))?;
        serde_json::from_str(answers).context("the answers are no JSON")
    }

    /// Asks both engines, and fails unless they give the same answers. Prints how long each took.
    fn ask_both(&self, lab: &Path) -> Result<Value> {
        let queries = queries(lab)?;
        let one = self.ask("duckdb", lab, &queries)?;
        let other = self.ask("spark", lab, &queries)?;
        for answers in [&one, &other] {
            let seconds = answers["start"].as_f64().unwrap_or_default();
            println!(
                "  {} {}: started in {seconds:.1} s",
                answers["engine"], answers["version"]
            );
        }
        for path in queries {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let (one, other) = (&one["queries"][&*name], &other["queries"][&*name]);
            same(&name, one, other)?;
            let seconds = |answer: &Value| answer["seconds"].as_f64().unwrap_or_default();
            println!(
                "  {name}: {} rows, DuckDB {:.2} s, Spark {:.2} s",
                answers::rows(one).len(),
                seconds(one),
                seconds(other)
            );
        }
        Ok(one["queries"].clone())
    }

    /// Adds recordings to the tables in `lab`. Some of them may be incomplete.
    fn export(&self, directory: &Path, recordings: &[PathBuf], options: &[&str]) -> Result<()> {
        let began = Instant::now();
        let output = command::run(
            Command::new(&self.tracer)
                .args(["export", "--format", "parquet", "--output", "lab"])
                .args(options)
                .args(recordings)
                .current_dir(directory),
        )?;
        let code = output.status.code();
        if !matches!(code, Some(0 | 3)) {
            bail!(
                "the export ended with {code:?}:\n{}",
                command::error_text(&output)
            );
        }
        println!(
            "  {} recordings exported in {:.1} s, {} bytes",
            recordings.len(),
            began.elapsed().as_secs_f64(),
            size(&directory.join("lab"))?
        );
        Ok(())
    }
}

/// The queries of the documents, and those of the tests, which are laid beside the tables.
fn queries(lab: &Path) -> Result<Vec<PathBuf>> {
    let registrations = ["duckdb", "spark"];
    let documents = workspace::root().join("docs/lab");
    let mut found = Vec::new();
    for entry in fs::read_dir(&documents).context("there are no queries")? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|suffix| suffix == "sql")
            && !registrations.contains(&&*stem)
        {
            found.push(path);
        }
    }
    found.sort();
    ensure!(found.len() > 4, "there are only {} queries", found.len());
    for (name, text) in OWN_QUERIES {
        let path = lab.join(name).with_extension("sql");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        found.push(path);
    }
    Ok(found)
}

/// Fails unless two answers are the same, row by row.
fn same(name: &str, one: &Value, other: &Value) -> Result<()> {
    ensure!(
        one["columns"] == other["columns"],
        "{name}: DuckDB has the columns {}, Spark {}",
        one["columns"],
        other["columns"]
    );
    let (rows, others) = (answers::rows(one), answers::rows(other));
    for (number, (row, other)) in rows.iter().zip(others).enumerate() {
        ensure!(
            row == other,
            "{name}: row {number} is {row} in DuckDB and {other} in Spark"
        );
    }
    ensure!(
        rows.len() == others.len(),
        "{name}: DuckDB has {} rows, Spark {}",
        rows.len(),
        others.len()
    );
    Ok(())
}

/// An empty directory for a lab.
fn place(name: &str) -> Result<PathBuf> {
    let directory = workspace::root().join("target/lab-tests").join(name);
    workspace::remove_if_present(&directory)?;
    fs::create_dir_all(&directory).context("cannot create the lab's directory")?;
    Ok(directory)
}

/// The bytes of all files below a directory.
fn size(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).context("there are no tables")? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

/// The recordings that are kept in the workspace.
fn kept() -> Result<Vec<PathBuf>> {
    let root = workspace::root();
    let mut found = vec![root.join("tracer-user/demo/pvpanic-6.1.dvrt")];
    for directory in ["docs/recordings", "tracer-user/tests/recordings"] {
        for entry in fs::read_dir(root.join(directory)).context("there are no recordings")? {
            found.push(entry?.path());
        }
    }
    found.sort();
    Ok(found)
}

fn of_the_workspace(engines: &Engines) -> Result<()> {
    let directory = place("workspace")?;
    let recordings = kept()?;
    engines.export(&directory, &recordings, &["--recorded", "2026-03-01"])?;
    let demo = workspace::root().join("tracer-user/demo/pvpanic-6.1.dvrt");
    let lines = command::output(
        Command::new(&engines.tracer)
            .args(["export", "--format", "json"])
            .arg(&demo),
    )?;
    let hostile = directory.join("hostile.jsonl");
    fs::write(&hostile, lines.replace("6.1.0-56-amd64", KERNEL)).context("cannot write lines")?;
    engines.export(&directory, &[hostile], &["--machine", MACHINE])?;
    let told = engines.ask_both(&directory)?;
    answers::of_the_workspace(&told, recordings.len() + 1, (KERNEL, MACHINE))?;
    // The same again: nothing is there twice.
    engines.export(&directory, &recordings, &["--recorded", "2026-03-01"])?;
    let again = engines.ask("duckdb", &directory, &queries(&directory)?)?;
    same(
        "rows, exported twice",
        &told["rows"],
        &again["queries"]["rows"],
    )
}

fn of_a_thousand(engines: &Engines) -> Result<()> {
    let directory = place("fleet")?;
    let made = directory.join("recordings");
    fs::create_dir_all(&made).context("cannot create the recordings' directory")?;
    command::output(
        Command::new(&engines.fleet)
            .arg(&made)
            .arg(RECORDINGS.to_string()),
    )?;
    let mut recordings = Vec::new();
    for entry in fs::read_dir(&made)? {
        recordings.push(entry?.path());
    }
    recordings.sort();
    ensure!(
        recordings.len() == RECORDINGS,
        "{} were made",
        recordings.len()
    );
    engines.export(&directory, &recordings, &[])?;
    answers::of_a_thousand(&engines.ask_both(&directory)?)
}
