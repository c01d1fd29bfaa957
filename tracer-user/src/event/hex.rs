//! Addresses in JSON: hexadecimal strings, because a JSON number holds no 64 bits.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// What the schema says of such a string.
pub(crate) enum Hexadecimal {}

impl JsonSchema for Hexadecimal {
    fn schema_name() -> Cow<'static, str> {
        "Hexadecimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^0x[0-9a-f]+$" })
    }
}

fn parse(text: &str) -> Result<u64, String> {
    text.strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("{text:?} is not a hexadecimal address such as 0x1f"))
}

/// A number that is written so, as a type of its own.
macro_rules! hexadecimal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug,
            Clone,
            Copy,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            Default,
            serde::Serialize,
            schemars::JsonSchema,
            serde::Deserialize,
        )]
        pub struct $name(
            #[serde(with = "crate::event::hex")]
            #[schemars(with = "crate::event::hex::Hexadecimal")]
            pub u64,
        );

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "{:#x}", self.0)
            }
        }
    };
}
pub(super) use hexadecimal;

/// The same for several words.
pub(super) mod words {
    use serde::{
        Deserialize as _, Deserializer, Serializer, de::Error as _, ser::SerializeSeq as _,
    };

    pub(crate) fn serialize<S: Serializer>(
        words: &[u64; 4],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(words.len()))?;
        for word in words {
            sequence.serialize_element(&format_args!("{word:#x}"))?;
        }
        sequence.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u64; 4], D::Error> {
        let texts = <[String; 4]>::deserialize(deserializer)?;
        let mut words = [0; 4];
        for (word, text) in words.iter_mut().zip(&texts) {
            *word = super::parse(text).map_err(D::Error::custom)?;
        }
        Ok(words)
    }
}
