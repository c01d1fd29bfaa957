//! Which files there are, and what they say of themselves.

use std::{collections::BTreeMap, fs::File, sync::Arc};

use devres_tracer::{
    filter::DeviceFilter,
    model::Model,
    sink::{
        Sink as _,
        lab::{Directory, Recorded, VERSION, tables},
    },
};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use tempfile::TempDir;

use super::{export, files};
use crate::inert;

#[test]
fn a_file_says_what_it_is() {
    let directory = TempDir::new().unwrap();
    export(&inert::material("acme"), "0a", directory.path());
    for schema in tables() {
        let [file] = &files(&directory.path().join(schema.name))[..] else {
            panic!("{} has one file", schema.name);
        };
        let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
        let metadata = reader.metadata().file_metadata();
        let told: BTreeMap<&str, Option<&str>> = metadata
            .key_value_metadata()
            .unwrap()
            .iter()
            .map(|one| (one.key.as_str(), one.value.as_deref()))
            .collect();
        assert_eq!(told["devres_tracer.table"], Some(schema.name));
        let version = VERSION.to_string();
        assert_eq!(told["devres_tracer.schema_version"], Some(version.as_str()));
        let columns: Vec<&str> = metadata
            .schema()
            .get_fields()
            .iter()
            .map(|one| one.name())
            .collect();
        let described: Vec<&str> = schema.columns.iter().map(|one| one.name).collect();
        assert_eq!(columns, described, "{}", schema.name);
        assert!(metadata.num_rows() > 0, "{}", schema.name);
    }
}

#[test]
fn a_recording_replaces_itself_and_no_other() {
    let directory = TempDir::new().unwrap();
    let (one, other) = (inert::material("one"), inert::material("other"));
    export(&one, "0a", directory.path());
    let first = files(directory.path());
    export(&one, "0a", directory.path());
    assert_eq!(files(directory.path()), first);
    export(&other, "0b", directory.path());
    assert_eq!(files(directory.path()).len(), 2 * first.len());
    // The same recording, with another name of the machine.
    export(&other, "0a", directory.path());
    assert_eq!(files(directory.path()).len(), 2 * first.len());
    assert!(!first.iter().any(|path| path.exists()));
}

#[test]
fn names_are_parts_of_paths() {
    let undone = |part: &str| {
        let mut bytes = Vec::new();
        let mut rest = part.as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            if *first == b'%' {
                let digits = std::str::from_utf8(&behind[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &behind[2..];
            } else {
                bytes.push(*first);
                rest = behind;
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    for name in inert::hostile() {
        let directory = TempDir::new().unwrap();
        export(&inert::material(&name), "0a1b", directory.path());
        let written = files(directory.path());
        assert_eq!(written.len(), tables().len(), "{name:?}");
        for file in written {
            let path = file
                .strip_prefix(directory.path())
                .unwrap()
                .to_str()
                .unwrap();
            let parts: Vec<&str> = path.split('/').collect();
            let [_, kernel, machine, "0a1b.parquet"] = parts.as_slice() else {
                panic!("{path:?} of {name:?}");
            };
            for (part, key) in [(kernel, "kernel="), (machine, "machine=")] {
                let value = undone(part.strip_prefix(key).unwrap());
                let whole = part.len() < 150;
                assert!(
                    name.starts_with(&value) && (!whole || name == value),
                    "{path:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_is_left_behind_by_an_export_that_fails() {
    let directory = TempDir::new().unwrap();
    let material = inert::material("acme");
    let recorded = Recorded {
        id: "0a",
        name: "acme",
        information: &material.information,
        header: None,
        machine: None,
        recorded_at: None,
        redacted: false,
    };
    let lab = Directory::open(directory.path()).unwrap();
    let event = &material.events[0];
    let model = Model::new(Arc::new(material.information.coverage.clone()));
    {
        let (mut events, _lives, _files) = lab.record(&recorded, DeviceFilter::default()).unwrap();
        events.event(event, &model).unwrap();
        assert!(!files(directory.path()).is_empty());
    }
    assert!(files(directory.path()).is_empty());
}
