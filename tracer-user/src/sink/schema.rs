//! The JSON Schema of what `--json` writes, generated from the types that are written.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    diff,
    json::{EventLine, First, LossLine},
    report,
    stacks::DeviceStack,
};
use crate::{
    check::Results,
    engine::Summary,
    evidence::{STREAM_VERSION, SourceInformation},
    finding::Finding,
};

/// The schemas of the lines of all streams, under construction.
#[derive(Debug)]
pub(crate) struct Schemas {
    generator: SchemaGenerator,
    lines: Vec<Schema>,
}

impl Schemas {
    /// Those of all lines that sinks write.
    pub(crate) fn of_sinks() -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let mut schemas = Self {
            generator: settings.into_generator(),
            lines: Vec::new(),
        };
        schemas.add::<First<SourceInformation>>("source");
        schemas.add::<EventLine<'_>>("event");
        schemas.add::<LossLine>("loss");
        schemas.add::<Finding>("finding");
        schemas.add::<Summary>("summary");
        schemas.add::<First<DeviceStack>>("device");
        schemas.add::<First<Results>>("check");
        report::add_schemas(&mut schemas);
        diff::add_schemas(&mut schemas);
        schemas
    }

    /// Adds that of a line whose `type` is `kind`.
    pub(crate) fn add<T: JsonSchema>(&mut self, kind: &str) {
        let mut line = T::json_schema(&mut self.generator);
        line.insert("title".to_owned(), kind.into());
        // The schema that is generated of a struct leaves out what `serde(tag)` puts into it.
        if let Some(Value::Object(properties)) = line.get_mut("properties") {
            properties.insert("type".to_owned(), json!({ "const": kind }));
        }
        if let Some(Value::Array(required)) = line.get_mut("required")
            && !required.contains(&json!("type"))
        {
            required.push(json!("type"));
        }
        self.lines.push(line);
    }

    /// One schema that fits each line of each stream, and nothing else.
    pub(crate) fn finish(mut self) -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A line of what devres-tracer writes with --json",
            "description": format!("Version {STREAM_VERSION}. The first line of a stream tells the version."),
            "anyOf": self.lines,
            "$defs": self.generator.take_definitions(true),
        })
    }
}
