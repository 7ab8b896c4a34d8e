//! The JSON Schema of a configuration.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::Config;

/// The JSON Schema (draft 2020-12) of a [`Config`], for editors that complete TOML and JSON.
///
/// It has storehouse's own types of stores; types that a program registers are not in it. What
/// reading a configuration checks beyond the form of values is not in it either.
///
/// ```
/// let schema = storehouse::config_schema();
/// assert_eq!(schema.get("title").unwrap(), "storehouse");
/// ```
#[must_use]
pub fn config_schema() -> Schema {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".to_owned(), "storehouse".into());
    schema
}

/// A duration with its unit.
pub(crate) struct DurationText;

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration with its unit, like \"10 s\" or \"7 days\".",
            "type": "string",
            "maxLength": 64,
        })
    }
}

/// A number of bytes.
pub(crate) struct SizeText;

impl JsonSchema for SizeText {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size with its unit, like \"8 MiB\", or a number of bytes.",
            "anyOf": [{ "type": "string", "maxLength": 64 }, { "type": "integer", "minimum": 0 }],
        })
    }
}
