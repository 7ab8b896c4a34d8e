//! The schema of the section `[stores]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::builtin::TYPES;
use super::named::NamedStores;
use super::settings::StoreRef;

/// One store: a type, and the settings of that type.
struct StoreTable;

impl JsonSchema for StoreTable {
    fn schema_name() -> Cow<'static, str> {
        "Store".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let types = TYPES.iter().map(|one| {
            let mut schema = (one.schema)(generator);
            let object = schema.ensure_object();
            object.remove("description");
            object.insert("additionalProperties".into(), Value::Bool(false));
            let properties = object.entry("properties").or_insert_with(|| json!({}));
            properties["type"] = json!({ "const": one.name });
            let required = object.entry("required").or_insert_with(|| json!([]));
            if let Value::Array(required) = required {
                required.insert(0, "type".into());
            }
            schema.to_value()
        });
        let types: Vec<Value> = types.collect();
        json_schema!({
            "description": "A store: its type, and the settings of that type.",
            "oneOf": types,
        })
    }
}

impl JsonSchema for StoreRef {
    fn schema_name() -> Cow<'static, str> {
        "StoreRef".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a store of the section [stores], or a store in place.",
            "anyOf": [{ "type": "string" }, generator.subschema_for::<StoreTable>()],
        })
    }
}

impl JsonSchema for NamedStores {
    fn schema_name() -> Cow<'static, str> {
        "NamedStores".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Stores by names of the operator's own.",
            "type": "object",
            "additionalProperties": generator.subschema_for::<StoreTable>(),
        })
    }
}
