//! The JSON Schema of what `--json` writes, generated from the types that are written.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::json;

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
        schemas.add::<First<SourceInformation>>();
        schemas.add::<EventLine<'_>>();
        schemas.add::<LossLine>();
        schemas.add::<Finding>();
        schemas.add::<Summary>();
        schemas.add::<First<DeviceStack>>();
        schemas.add::<First<Results>>();
        report::add_schemas(&mut schemas);
        diff::add_schemas(&mut schemas);
        schemas
    }

    /// Adds that of a line.
    pub(crate) fn add<T: JsonSchema>(&mut self) {
        self.lines.push(self.generator.subschema_for::<T>());
    }

    /// One schema that fits each line of each stream, and nothing else.
    pub(crate) fn finish(mut self) -> serde_json::Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A line of what devres-tracer writes with --json",
            "description": format!("Version {STREAM_VERSION}. The first line of a stream tells the version."),
            "anyOf": self.lines,
            "$defs": self.generator.take_definitions(true),
        })
    }
}
