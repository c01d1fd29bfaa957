//! JUnit's XML, in the form that Jenkins' schema describes: a suite for each group.
//!
//! What could not be decided is an `error`, what was excused or not run `skipped`.

use std::io::{self, Write};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::{
    check::{Group, Results, Status, Test},
    escape::escape,
};

pub(super) fn write(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    let mut xml = Writer::new_with_indent(&mut *writer, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let count = |status| results.count(status).to_string();
    let tests = results.tests().count().to_string();
    let name = format!(
        "devres-tracer on {}",
        escape(results.kernel.as_deref().unwrap_or("a recording"))
    );
    let time = seconds(results);
    xml.create_element("testsuites")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("time", time.as_str()))
        .with_attribute(("tests", tests.as_str()))
        .with_attribute(("failures", count(Status::Failed).as_str()))
        .with_attribute(("errors", count(Status::Inconclusive).as_str()))
        .write_inner_content(|xml| {
            for group in &results.groups {
                suite(xml, group, results)?;
            }
            Ok(())
        })?;
    drop(xml);
    writeln!(writer)
}

/// How long the run took, which is how long each of its tests did: all of them watch the whole run.
fn seconds(results: &Results) -> String {
    format!("{:.3}", results.duration.as_secs_f64())
}

fn suite<W: Write>(xml: &mut Writer<W>, group: &Group, results: &Results) -> io::Result<()> {
    let count = |wanted: &[Status]| {
        let tests = group.tests.iter();
        tests
            .filter(|test| wanted.contains(&test.status))
            .count()
            .to_string()
    };
    xml.create_element("testsuite")
        .with_attribute(("name", escape(&group.name).as_str()))
        .with_attribute(("tests", group.tests.len().to_string().as_str()))
        .with_attribute(("failures", count(&[Status::Failed]).as_str()))
        .with_attribute(("errors", count(&[Status::Inconclusive]).as_str()))
        .with_attribute((
            "skipped",
            count(&[Status::Skipped, Status::Excused]).as_str(),
        ))
        .with_attribute(("time", seconds(results).as_str()))
        .write_inner_content(|xml| {
            let properties = [
                ("kernel", results.kernel.as_deref()),
                ("machine", results.machine.as_deref()),
                ("driver", group.driver.as_deref()),
            ];
            if properties.iter().any(|(_, value)| value.is_some()) {
                xml.create_element("properties")
                    .write_inner_content(|xml| {
                        for (name, value) in properties {
                            if let Some(value) = value {
                                xml.create_element("property")
                                    .with_attribute(("name", name))
                                    .with_attribute(("value", escape(value).as_str()))
                                    .write_empty()?;
                            }
                        }
                        Ok(())
                    })?;
            }
            for test in group.tests.iter() {
                case(xml, group, test)?;
            }
            Ok(())
        })?;
    Ok(())
}

fn case<W: Write>(xml: &mut Writer<W>, group: &Group, test: &Test) -> io::Result<()> {
    let class = format!("devres.{}", escape(&group.name));
    let name = escape(&test.name);
    let element = xml
        .create_element("testcase")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("classname", class.as_str()));
    let message = escape(&test.message);
    let details: Vec<String> = test.details().iter().map(|line| escape(line)).collect();
    let details = details.join("\n");
    let (outcome, kind) = match test.status {
        Status::Passed => {
            element.write_empty()?;
            return Ok(());
        }
        Status::Failed => ("failure", "finding"),
        Status::Inconclusive => ("error", "inconclusive"),
        Status::Skipped => ("skipped", ""),
        Status::Excused => ("skipped", "excused"),
        Status::Noted => ("system-out", ""),
    };
    element.write_inner_content(|xml| {
        match test.status {
            // The schema lets these say no more than a text.
            Status::Noted => {
                let said = format!("{message}\n{details}");
                xml.create_element(outcome)
                    .write_text_content(BytesText::new(&said))?;
            }
            Status::Skipped | Status::Excused => {
                let said = if kind.is_empty() {
                    message
                } else {
                    format!("{kind}: {message}")
                };
                xml.create_element(outcome)
                    .with_attribute(("message", said.as_str()))
                    .write_text_content(BytesText::new(&details))?;
            }
            _ => {
                xml.create_element(outcome)
                    .with_attribute(("message", message.as_str()))
                    .with_attribute(("type", kind))
                    .write_text_content(BytesText::new(&details))?;
            }
        }
        Ok(())
    })?;
    Ok(())
}
