//! The reports of a check, and what they are written to.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use crate::{
    check::{Lives, Results, Status, Test},
    command::{files, manner, say::shown},
    sink::{self, reports::Format},
};

/// What a check comes to, with the run that it judged where that is to be shown.
pub(super) struct Judgement {
    pub(super) results: Results,
    /// What was judged, in words: a file, or the running kernel.
    pub(super) name: String,
    pub(super) lives: Option<Lives>,
}

/// What a report looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For programs and logs.
    Format(Format),
    /// A page with a picture.
    Page,
}

/// A report that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) form: Form,
    /// `None` for standard output.
    pub(super) file: Option<PathBuf>,
}

impl Judgement {
    /// That there was nothing to judge.
    pub(super) fn without_run(results: Results) -> Self {
        Self {
            results,
            name: "check".to_owned(),
            lives: None,
        }
    }

    fn write_page(&self, writer: &mut Vec<u8>) -> io::Result<()> {
        let report = self.lives.as_ref().map(|lives| sink::report::Report {
            name: &self.name,
            source: &lives.information,
            histories: &lives.histories,
            findings: &lives.findings,
            summary: &lives.summary,
            damage: None,
        });
        let page = sink::html::Page {
            title: &self.name,
            reports: report.as_slice(),
            results: Some(&self.results),
        };
        sink::html::write_html(&page, writer)
    }
}

impl Report {
    /// Reads the option's value.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').unwrap_or((text, "-"));
        let format = Format::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| {
                let names = Format::ALL.map(Format::name);
                format!("the formats are {}", names.join(", "))
            })?;
        match file {
            "" => Err(format!("{name}= needs a file, or - for standard output")),
            "-" => Ok(Self {
                form: Form::Format(format),
                file: None,
            }),
            file => Ok(Self {
                form: Form::Format(format),
                file: Some(file.into()),
            }),
        }
    }

    /// Why these can't be written all at once, where standard output may be that of a command as well.
    pub(super) fn conflict(reports: &[Self], beside_command: bool) -> Option<String> {
        let shown: Vec<Format> = reports
            .iter()
            .filter(|report| report.file.is_none())
            .filter_map(|report| match report.form {
                Form::Format(format) => Some(format),
                Form::Page => None,
            })
            .collect();
        let document = shown.iter().find(|format| !format.is_lines())?.name();
        let beside = if shown.len() > 1 {
            "another report"
        } else if beside_command {
            "the command's output"
        } else {
            return None;
        };
        Some(format!(
            "standard output can't hold both {document} and {beside}: give one of them a file"
        ))
    }
}

/// A report with what it is written to.
pub(super) struct OpenReport {
    form: Form,
    name: String,
    target: Target,
}

enum Target {
    Output,
    /// What can be written only once, such as a pipe.
    Stream(File),
    /// What says that the run has not come to its end, until it has.
    File(File),
}

impl OpenReport {
    /// Opens it. A file says from now on that the run was not done to its end, so that nobody takes what an earlier
    /// run left there for this one's.
    pub(super) fn open(report: &Report) -> anyhow::Result<Self> {
        let Some(path) = &report.file else {
            return Ok(Self {
                form: report.form,
                name: "standard output".to_owned(),
                target: Target::Output,
            });
        };
        let name = shown(path);
        let file = files::create_file(path)?;
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let open = Self {
            form: report.form,
            target: if is_file {
                Target::File(file)
            } else {
                Target::Stream(file)
            },
            name,
        };
        if open.is_file() {
            let test = Test::new("run", Status::Inconclusive, "the run did not finish");
            let results = Results::without_run(None, super::today(), test);
            open.put(&Judgement::without_run(results))?;
        }
        Ok(open)
    }

    /// Whether it is a file that is read when the run is over.
    pub(super) const fn is_file(&self) -> bool {
        matches!(self.target, Target::File(_))
    }

    pub(super) fn write(self, judgement: &Judgement) -> anyhow::Result<()> {
        self.put(judgement)
    }

    fn put(&self, judgement: &Judgement) -> anyhow::Result<()> {
        let results = &judgement.results;
        let mut text = Vec::new();
        let formed = match self.form {
            Form::Format(format) if manner::is_quiet() => format.write_brief(results, &mut text),
            Form::Format(format) => format.write(results, &mut text),
            Form::Page => judgement.write_page(&mut text),
        };
        let written = formed.and_then(|()| self.replace(&text));
        match written {
            // Nobody reads it any more; the verdict stands.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.with_context(|| format!("{} can't be written", self.name)),
        }
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        match &self.target {
            Target::Output => {
                let mut output = io::stdout().lock();
                output.write_all(text)?;
                output.flush()
            }
            Target::Stream(file) => (&*file).write_all(text),
            Target::File(file) => {
                file.set_len(0)?;
                let mut writer: &File = file;
                writer.rewind()?;
                writer.write_all(text)
            }
        }
    }
}

/// Writes all of them, and reports the first that can't be written: a terminal that has gone away must not keep the
/// files from telling.
pub(super) fn write_all(reports: Vec<OpenReport>, judgement: &Judgement) -> anyhow::Result<()> {
    let mut written = Ok(());
    for report in reports {
        written = written.and(report.write(judgement));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        Report::parse(text).unwrap()
    }

    #[test]
    fn reports_have_a_form_and_a_file() {
        assert_eq!(report("ktap"), report("ktap=-"));
        assert_eq!(report("junit=a=b.xml").file, Some("a=b.xml".into()));
        assert!(Report::parse("xml=out").unwrap_err().contains("junit"));
        assert!(Report::parse("junit=").is_err());
    }

    #[test]
    fn what_would_be_mixed_up_is_refused() {
        let conflict = |texts: &[&str], beside_command| {
            let reports: Vec<Report> = texts.iter().map(|text| report(text)).collect();
            Report::conflict(&reports, beside_command).is_some()
        };
        assert!(!conflict(&["ktap", "github"], true));
        assert!(!conflict(&["ktap", "junit=x"], true));
        assert!(conflict(&["ktap", "junit"], false));
        assert!(!conflict(&["json"], false));
        assert!(conflict(&["json"], true));
    }

    #[test]
    fn a_file_says_that_nothing_was_done_until_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ktap");
        std::fs::write(&path, "ok 1 of yesterday\n".repeat(999)).unwrap();
        let open = OpenReport::open(&report(&format!("ktap={}", path.display()))).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("not ok 1 run # ERROR"), "{text}");
        assert!(!text.contains("yesterday"), "{text}");
        let passed = Test::new("it", Status::Passed, "");
        let date = super::super::today();
        let results = Results::without_run(None, date, passed);
        open.write(&Judgement::without_run(results)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("ok 1 it\n") && !text.contains("run"),
            "{text}"
        );
    }
}
