//! Which lines the sinks' streams of JSON have.

use super::{
    diff,
    json::{EventLine, First, LossLine},
    report,
    schema::Schemas,
    stacks::DeviceStack,
};
use crate::{check::Results, engine::Summary, evidence::SourceInformation, finding::Finding};

/// The schemas of all lines that sinks write.
pub(crate) fn schemas() -> Schemas {
    let mut schemas = Schemas::new();
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
